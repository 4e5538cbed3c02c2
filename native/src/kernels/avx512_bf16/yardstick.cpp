#include <string.h>

#include "kernels/avx512_bf16/kernels.h"
#include "kernels/avx512/vec.h"

namespace atb::kernels::avx512_bf16 {

/// Six rows times four panels by vdpbf16ps: 24 sums in registers, and the rows are broadcast.
int64_t Yardstick(const void* memory) {
  constexpr int kRows = 6, kPanels = 4;
  constexpr int64_t kSteps = 1024, kPanel = kSteps * 64, kRow = kSteps * 4, kBlocks = 64;
  static_assert(4 * kPanels * kPanel <= kYardstickBytes && kRows * kRow <= kPanel);
  const char* rows = static_cast<const char*>(memory);
  __m512 sums[kPanels][kRows] = {};
  for (int64_t block = 0; block < kBlocks; ++block) {
    const char* panels = rows + block % 4 * kPanels * kPanel;
    for (int64_t s = 0; s < kSteps; ++s) {
      __m512bh weights[kPanels];
#pragma GCC unroll 4
      for (int p = 0; p < kPanels; ++p) weights[p] = (__m512bh)_mm512_loadu_si512(panels + p * kPanel + s * 64);
#pragma GCC unroll 6
      for (int r = 0; r < kRows; ++r) {
        int pair;
        memcpy(&pair, rows + r * kRow + s * 4, sizeof pair);
        const auto x = (__m512bh)_mm512_set1_epi32(pair);
#pragma GCC unroll 4
        for (int p = 0; p < kPanels; ++p) sums[p][r] = _mm512_dpbf16_ps(sums[p][r], weights[p], x);
      }
    }
  }
  float used = 0;  // Else the compiler would drop the sums.
  for (auto& panel : sums) {
    for (__m512 sum : panel) used += _mm512_cvtss_f32(sum);
  }
  volatile float sink = used;
  (void)sink;
  return kBlocks * kSteps * kRows * kPanels * (2 * 2 * 16);
}

}  // namespace atb::kernels::avx512
