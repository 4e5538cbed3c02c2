#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/convert.h"
#include "kernels/reference/kernels.h"

namespace atb::kernels::reference {
namespace {

/// The largest whole number that two or three digits from -128 to 127 to base 256 express.
constexpr float kLargest[] = {0, 0, 127 * 256 + 127, (127 * 256 + 127) * 256 + 127};

/// The smallest power of two, but not below 2^-126, for which max / scale rounds to a whole number up to `largest`.
float PowerScale(float max, float largest) {
  int exponent = 0;
  std::frexp(max, &exponent);
  float scale = std::ldexp(1.0f, std::max(exponent - (largest < 65536 ? 15 : 23), -126));
  if (std::nearbyint(max / scale) > largest) scale *= 2;
  return scale;
}

}  // namespace

float Quantize(const void* x, DType dtype, int64_t k, int planes, int8_t* out, int64_t step, int64_t plane_stride) {
  float max = 0;
  bool finite = true;
  for (int64_t i = 0; i < k; ++i) {
    const float magnitude = std::fabs(LoadFloat(x, dtype, i));
    finite = finite && std::isfinite(magnitude);
    max = std::fmax(max, magnitude);
  }
  const float scale = planes == 1 ? max / 127 : PowerScale(max, kLargest[planes]);
  const bool empty = !finite || max == 0 || scale < std::numeric_limits<float>::min();
  for (int64_t i = 0; i < (k + kIntegerTileK - 1) / kIntegerTileK * kIntegerTileK; ++i) {
    const float number = i >= k || empty ? 0 : std::nearbyint(LoadFloat(x, dtype, i) / scale);
    auto value = static_cast<int32_t>(number);
    for (int plane = planes - 1; plane >= 0; --plane) {
      const auto digit = static_cast<int8_t>(value);
      out[i / kIntegerTileK * step + plane * plane_stride + i % kIntegerTileK] = digit;
      value = (value - digit) / 256;
    }
  }
  if (!finite) return std::numeric_limits<float>::quiet_NaN();
  return empty ? 0 : scale;
}

int32_t SumDigits(const int8_t* digits, int64_t count) {
  int32_t sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += digits[i];
  return sum;
}

}  // namespace atb::kernels::reference
