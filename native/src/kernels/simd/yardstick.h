#pragma once
// Products of f32 from L2, for a vector type V. Everything has internal linkage; vec.h says why.
#include <string.h>

#include "kernels/kernel_table.h"

namespace atb::kernels::simd {
namespace {

/// KernelTable::yardstick: six rows times P panels of f32, whose sums stay in registers; the rows are broadcast.
template <class V, int P>
int64_t Yardstick(const void* memory) {
  constexpr int kRows = 6;
  constexpr int64_t kSteps = 2048 / P, kPanel = kSteps * 64, kRow = kSteps * 4, kBlocks = 64 * P;
  static_assert(8 * P * kPanel == kYardstickBytes && kRows * kRow <= kPanel);
  const char* rows = static_cast<const char*>(memory);
  V sums[P][kRows];
  for (auto& panel : sums) {
    for (V& sum : panel) sum = V::Zero();
  }
  for (int64_t block = 0; block < kBlocks; ++block) {
    const char* panels = rows + block % 8 * P * kPanel;
    for (int64_t s = 0; s < kSteps; ++s) {
      V weights[P];
#pragma GCC unroll 4
      for (int p = 0; p < P; ++p) weights[p] = V::Load(reinterpret_cast<const float*>(panels + p * kPanel + s * 64));
#pragma GCC unroll 6
      for (int r = 0; r < kRows; ++r) {
        float x;
        memcpy(&x, rows + r * kRow + s * 4, sizeof x);
#pragma GCC unroll 4
        for (int p = 0; p < P; ++p) sums[p][r] = Fma(V::Set1(x), weights[p], sums[p][r]);
      }
    }
  }
  V all = V::Zero();  // Else the compiler would drop the sums.
  for (const auto& panel : sums) {
    for (const V& sum : panel) all = all + sum;
  }
  volatile float sink = ReduceAdd(all);
  (void)sink;
  return kBlocks * kSteps * kRows * P * (2 * 16);
}

}  // namespace
}  // namespace atb::kernels::simd
