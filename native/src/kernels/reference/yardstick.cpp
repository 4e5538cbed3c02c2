#include "kernels/reference/kernels.h"

namespace atb::kernels::reference {

/// A row times panels of f32.
int64_t Yardstick(const void* memory) {
  constexpr int64_t kSteps = 1024, kBlocks = 16;
  static_assert(kBlocks * kSteps * 64 == kYardstickBytes);
  const auto* row = static_cast<const float*>(memory);
  float sums[16] = {};
  for (int64_t block = 0; block < kBlocks; ++block) {
    const float* panel = row + block * kSteps * 16;
    for (int64_t s = 0; s < kSteps; ++s) {
      for (int c = 0; c < 16; ++c) sums[c] += row[s] * panel[s * 16 + c];
    }
  }
  float used = 0;  // Else the compiler would drop the sums.
  for (float sum : sums) used += sum;
  volatile float sink = used;
  (void)sink;
  return kBlocks * kSteps * (2 * 16);
}

}  // namespace atb::kernels::reference
