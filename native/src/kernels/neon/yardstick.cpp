#include <string.h>

#include "kernels/neon/kernels.h"
#include "kernels/neon/vec.h"

namespace atb::kernels::neon {

/// Six rows times a panel of f32: six sums of sixteen lanes in registers, and factors are lanes.
int64_t Yardstick(const void* memory) {
  constexpr int kRows = 6;
  constexpr int64_t kSteps = 2048, kPanel = kSteps * 64, kRow = kSteps * 4, kBlocks = 64;
  static_assert(8 * kPanel == kYardstickBytes && kRows * kRow <= kPanel);
  const char* rows = static_cast<const char*>(memory);
  Vec sums[kRows];
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) sums[r] = Vec::Zero();
  for (int64_t block = 0; block < kBlocks; ++block) {
    const auto* panel = reinterpret_cast<const float*>(rows + block % 8 * kPanel);
    for (int64_t s = 0; s < kSteps; ++s) {
      const Vec weights = Vec::Load(panel + s * 16);
#pragma GCC unroll 6
      for (int r = 0; r < kRows; ++r) {
        sums[r] = FmaBy(weights, reinterpret_cast<const float*>(rows + r * kRow + s * 4), sums[r]);
      }
    }
  }
  float used = 0;  // Else the compiler would drop the sums.
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) used += ReduceAdd(sums[r]);
  volatile float sink = used;
  (void)sink;
  return kBlocks * kSteps * kRows * (2 * 16);
}

}  // namespace atb::kernels::neon
