#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/convert.h"
#include "kernels/pack_integers.h"
#include "kernels/reference/kernels.h"

namespace atb::kernels::reference {

void PackLines(const void* rows, int64_t row_stride, int64_t units, void* out) {
  const auto* from = static_cast<const char*>(rows);
  auto* to = static_cast<char*>(out);
  for (int64_t i = 0; i < units; ++i) {
    for (int64_t c = 0; c < kPanelColumns; ++c)
      std::memcpy(to + (i * kPanelColumns + c) * 4, from + c * row_stride + i * 4, 4);
  }
}

void WidenE2M1(const void* panel, const float* scales, int64_t k, DType dtype, void* out) {
  const auto* const codes = static_cast<const int8_t*>(panel);
  const bool pairs = dtype == DType::kBF16;
  // bf16 panels have zeros behind channel k, as the codes are.
  for (int64_t i = 0; i < (pairs ? (k + kTileK - 1) / kTileK * kTileK : k); ++i) {
    const float* const own = scales + std::min(i / kWidenedGroup, (k - 1) / kWidenedGroup) * kPanelColumns;
    for (int64_t column = 0; column < kPanelColumns; ++column) {
      const int both = codes[(i / 8 * kPanelColumns + column) * 4 + i % 4];
      const auto code = static_cast<int8_t>(i % 8 < 4 ? both : both >> 4);
      // The sign of a zero counts, too.
      const float size = 0.5f * std::fabs(static_cast<float>(TwiceE2M1(code)));
      const float rounded = Bf16ToF32(F32ToBf16(std::copysign(size, (code & 8) != 0 ? -1.0f : 1.0f) * own[column]));
      StoreFloat(out, dtype, pairs ? (i / 2 * kPanelColumns + column) * 2 + i % 2 : i * kPanelColumns + column, rounded);
    }
  }
}

}  // namespace atb::kernels::reference
