#pragma once
// Weights as int4 over a vector type V; kernel_table.h says what is computed. Internal linkage, as in vec.h.
#include <math.h>
#include <string.h>

#include "kernels/simd/quantize.h"

namespace atb::kernels::simd {
namespace {

/// Rows of smaller numbers are taken for zeros, so that all reciprocals stay finite.
constexpr float kTinyWeight = 0x1p-100f;
/// What the number of largest magnitude in a group may become: with its sign, clipped a little, or at the shorter end.
/// The best of the three loses 1 to 2 % more squares than the best of all scales, the first alone 6 to 10 % (weights of
/// language models, groups of 32 to 128).
constexpr float kExtremes[] = {-8.0f, -9.0f, 7.0f};
constexpr float kLargestMultiplier = 15.0f;

/// One group of x: n numbers from i on.
struct WeightGroup {
  const float* x;
  int64_t n;
};

template <class V>
inline V ToInt4(V x, V inverse) {
  return Min(Max(Round(x * inverse), V::Set1(-8.0f)), V::Set1(7.0f));
}

/// The group's number of largest magnitude, a negative one among equals.
template <class V>
inline float Extreme(const WeightGroup& group) {
  V low = V::Zero(), high = V::Zero();
  for (int64_t i = 0; i < group.n; i += kLanes) {
    const V v = LoadAs<V>(group.x, DType::kF32, i, group.n - i);
    high = Max(v, high);
    low = Max(-v, low);
  }
  const float up = ReduceMax(high), down = ReduceMax(low);
  return down >= up ? -down : up;
}

template <class V>
inline float SquareError(const WeightGroup& group, float scale) {
  const V inverse = V::Set1(1 / scale), factor = V::Set1(scale);
  V sum = V::Zero();
  for (int64_t i = 0; i < group.n; i += kLanes) {
    const V v = LoadAs<V>(group.x, DType::kF32, i, group.n - i);
    const V error = Fma(-ToInt4(v, inverse), factor, v);
    sum = Fma(error, error, sum);
  }
  return ReduceAdd(sum);
}

/// The multiplier with the least error, the first among equals.
template <class V>
inline float BestMultiplier(const WeightGroup& group, float scale) {
  const float extreme = Extreme<V>(group) / scale;
  if (extreme == 0) return 0;
  float best = 0, least = 0;
  for (float end : kExtremes) {
    float m = nearbyintf(extreme / end);
    if (m == 0) m = extreme / end < 0 ? -1.0f : 1.0f;
    m = fminf(fmaxf(m, -kLargestMultiplier), kLargestMultiplier);
    if (m == best) continue;
    const float error = SquareError<V>(group, m * scale);
    if (best == 0 || error < least) {
      best = m;
      least = error;
    }
  }
  return best;
}

template <class V, class Digits>
float QuantizeInt4(const float* x, int64_t k, int64_t group, int8_t* out, int8_t* multipliers) {
  V largest = V::Zero(), sum = V::Zero();
  for (int64_t i = 0; i < k; i += kLanes) {
    const V v = LoadAs<V>(x, DType::kF32, i, k - i);
    largest = Max(Abs(v), largest);
    sum = Fma(v, V::Zero(), sum);
  }
  const float max = ReduceMax(largest);
  const float not_finite = ReduceAdd(sum);
  if (max < kTinyWeight || not_finite != 0) {
    memset(out, 0, static_cast<size_t>(k));
    memset(multipliers, 0, static_cast<size_t>((k + group - 1) / group));
    return not_finite == 0 ? 0 : not_finite;
  }
  // Four bits of the scale are free, so that its products with multipliers are exact.
  float scale = max / (8 * kLargestMultiplier);
  uint32_t bits;
  memcpy(&bits, &scale, sizeof bits);
  bits &= ~0xFu;
  memcpy(&scale, &bits, sizeof bits);
  for (int64_t first = 0; first < k; first += group) {
    const WeightGroup part{x + first, k - first < group ? k - first : group};
    const float m = BestMultiplier<V>(part, scale);
    multipliers[first / group] = static_cast<int8_t>(m);
    const V inverse = V::Set1(m == 0 ? 0 : 1 / (m * scale));
    for (int64_t i = 0; i < part.n; i += kLanes)
      Digits::Store(ToInt4(LoadAs<V>(part.x, DType::kF32, i, part.n - i), inverse), 1, out + first + i, 0);
  }
  return scale;
}

}  // namespace
}  // namespace atb::kernels::simd
