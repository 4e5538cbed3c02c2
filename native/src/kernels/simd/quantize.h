#pragma once
// Quantises activations to digits, for a vector type V; kernel_table.h says what is computed. Everything has internal
// linkage; vec.h says why.
#include <math.h>
#include <string.h>

#include "kernels/kernel_table.h"
#include "kernels/simd/math.h"

namespace atb::kernels::simd {
namespace {

constexpr float kSmallestNormal = 0x1p-126f;

/// The smallest power of two, at least 2^-126, for which max / scale rounds to a whole number of at most `planes`
/// digits.
inline float PowerScale(float max, int planes) {
  const float largest = planes == 2 ? 127 * 256 + 127 : (127 * 256 + 127) * 256 + 127;
  int exponent = 0;
  frexpf(max, &exponent);
  exponent -= planes == 2 ? 15 : 23;
  float scale = ldexpf(1.0f, exponent < -126 ? -126 : exponent);
  if (nearbyintf(max / scale) > largest) scale *= 2;
  return scale;
}

/// The scale of a row whose largest magnitude, a finite one, is `max`; 0 when the row counts as zeros.
inline float ScaleOf(float max, int planes) {
  const float scale = max == 0 ? 0 : planes == 1 ? max / 127 : PowerScale(max, planes);
  return scale < kSmallestNormal ? 0 : scale;
}

inline void StoreZeros(int64_t k, int planes, int8_t* out, int64_t step, int64_t plane_stride) {
  for (int64_t i = 0; i < k; i += kIntegerTileK, out += step) {
    for (int plane = 0; plane < planes; ++plane) memset(out + plane * plane_stride, 0, kIntegerTileK);
  }
}

/// KernelTable::quantize. Digits::Store(v, planes, out, plane_stride) writes the digits of sixteen whole numbers.
template <class V, class Digits>
float Quantize(const void* x, DType dtype, int64_t k, int planes, int8_t* out, int64_t step, int64_t plane_stride) {
  const int64_t padded = (k + kIntegerTileK - 1) / kIntegerTileK * kIntegerTileK;
  V largest = V::Zero(), sum = V::Zero();  // `sum` adds up zeros, and becomes NaN with a number that is not finite.
  for (int64_t i = 0; i < k; i += kLanes) {
    const V v = LoadAs<V>(x, dtype, i, k - i);
    largest = Max(Abs(v), largest);
    sum = Fma(v, V::Zero(), sum);
  }
  const float max = ReduceMax(largest);
  const float not_finite = ReduceAdd(sum);
  const float scale = not_finite == 0 ? ScaleOf(max, planes) : 0;
  if (scale == 0) {
    StoreZeros(k, planes, out, step, plane_stride);
    return not_finite == 0 ? 0 : not_finite;
  }
  const V divisor = V::Set1(scale), factor = V::Set1(1 / scale);
  for (int64_t i = 0; i < padded; i += kLanes) {
    const V v = i < k ? LoadAs<V>(x, dtype, i, k - i) : V::Zero();
    int8_t* to = out + i / kIntegerTileK * step + i % kIntegerTileK;
    // Dividing by a power of two is multiplying by its inverse, bit for bit.
    Digits::Store(Round(planes == 1 ? v / divisor : v * factor), planes, to, plane_stride);
  }
  return scale;
}

}  // namespace
}  // namespace atb::kernels::simd
