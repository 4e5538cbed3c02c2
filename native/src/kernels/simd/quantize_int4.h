#pragma once
// Quantises weights to int4, for a vector type V; kernel_table.h says what is computed. Everything has internal
// linkage; vec.h says why.
#include <math.h>
#include <string.h>

#include "kernels/simd/quantize.h"

namespace atb::kernels::simd {
namespace {

/// Rows whose numbers are all smaller count as zeros, so that all reciprocals stay finite.
constexpr float kTinyWeight = 0x1p-100f;
/// What the number of largest magnitude in a group may become: with its sign, clipped a little, or at the shorter end.
/// The best of the three loses 1 to 2 % more squares than the best of all scales, the first alone 6 to 10 % (weights of
/// language models, groups of 32 to 128).
constexpr float kExtremes[] = {-8.0f, -9.0f, 7.0f};
constexpr float kLargestMultiplier = 15.0f;

constexpr int kExtremeCount = sizeof kExtremes / sizeof kExtremes[0];

template <class V>
inline V ToInt4(V x, V inverse) {
  return Min(Max(Round(x * inverse), V::Set1(-8.0f)), V::Set1(7.0f));
}

/// Up to sixteen groups of a row. Vectors have what belongs to group g in lane g.
struct RowGroups {
  const float* x;  ///< The first group.
  int64_t count;
  int64_t group;
  int64_t channels;  ///< All channels of the groups; the last group may be shorter.

  const float* Group(int64_t g) const { return x + g * group; }
  int64_t Size(int64_t g) const { return channels - g * group < group ? channels - g * group : group; }
};

/// The number with the largest magnitude of each group. Among equals a negative number wins.
template <class V>
inline V Extremes(const RowGroups& row_groups) {
  V highs[kLanes], lows[kLanes];
  for (int64_t g = 0; g < kLanes; ++g) highs[g] = lows[g] = V::Zero();
  for (int64_t g = 0; g < row_groups.count; ++g) {
    const float* x = row_groups.Group(g);
    const int64_t n = row_groups.Size(g);
    V high = V::Zero(), low = V::Zero();
    for (int64_t i = 0; i < n; i += kLanes) {
      const V v = LoadAs<V>(x, DType::kF32, i, n - i);
      high = Max(v, high);
      low = Min(v, low);
    }
    highs[g] = high;
    lows[g] = low;
  }
  const V up = ReduceEach(highs, [](V a, V b) { return Max(a, b); });
  const V down = ReduceEach(lows, [](V a, V b) { return Min(a, b); });
  return WhereNegative(-down - up, up, down);
}

/// The square errors of each group with each of its possible scales [kExtremeCount][16].
template <class V>
inline void SquareErrors(const RowGroups& row_groups, const float* scales, const float* inverses, V* out) {
  V sums[kExtremeCount][kLanes];
  for (int64_t g = row_groups.count; g < kLanes; ++g)
    for (auto& of_end : sums) of_end[g] = V::Zero();
  for (int64_t g = 0; g < row_groups.count; ++g) {
    const float* x = row_groups.Group(g);
    const int64_t n = row_groups.Size(g);
    V sum[kExtremeCount], scale[kExtremeCount], inverse[kExtremeCount];
    for (int end = 0; end < kExtremeCount; ++end) {
      sum[end] = V::Zero();
      scale[end] = V::Set1(scales[end * kLanes + g]);
      inverse[end] = V::Set1(inverses[end * kLanes + g]);
    }
    for (int64_t i = 0; i < n; i += kLanes) {
      const V v = LoadAs<V>(x, DType::kF32, i, n - i);
      for (int end = 0; end < kExtremeCount; ++end) {
        const V error = Fma(-ToInt4(v, inverse[end]), scale[end], v);
        sum[end] = Fma(error, error, sum[end]);
      }
    }
    for (int end = 0; end < kExtremeCount; ++end) sums[end][g] = sum[end];
  }
  for (int end = 0; end < kExtremeCount; ++end) out[end] = ReduceEach(sums[end], [](V a, V b) { return a + b; });
}

/// The multipliers with the least errors. Among equals the first wins; groups of zeros get 0.
template <class V>
inline V BestMultipliers(const RowGroups& row_groups, float scale) {
  const V extremes = Extremes<V>(row_groups) / V::Set1(scale);
  const V one = V::Set1(1.0f), largest = V::Set1(kLargestMultiplier);
  V multipliers[kExtremeCount], errors[kExtremeCount];
  float scales[kExtremeCount * kLanes], inverses[kExtremeCount * kLanes];
  for (int end = 0; end < kExtremeCount; ++end) {
    const V exact = extremes / V::Set1(kExtremes[end]);
    V m = Round(exact);
    m = WhereNegative(Abs(m) - one, WhereNegative(exact, -one, one), m);
    multipliers[end] = m = Min(Max(m, -largest), largest);
    const V product = m * V::Set1(scale);
    product.Store(scales + end * kLanes);
    (one / product).Store(inverses + end * kLanes);
  }
  SquareErrors<V>(row_groups, scales, inverses, errors);
  V best = multipliers[0], least = errors[0];
  for (int end = 1; end < kExtremeCount; ++end) {
    const V change = errors[end] - least;
    best = WhereNegative(change, multipliers[end], best);
    least = WhereNegative(change, errors[end], least);
  }
  return WhereNegative(-Abs(extremes), best, V::Zero());
}

/// KernelTable::quantize_int4.
template <class V, class Digits>
float QuantizeInt4(const float* x, int64_t k, int64_t group, int8_t* out, int8_t* multipliers) {
  V high = V::Zero(), low = V::Zero(), sum = V::Zero();
  for (int64_t i = 0; i < k; i += kLanes) {
    const V v = LoadAs<V>(x, DType::kF32, i, k - i);
    high = Max(v, high);
    low = Min(v, low);
    sum = Fma(v, V::Zero(), sum);
  }
  const float max = ReduceMax(Max(high, -low));
  const float not_finite = ReduceAdd(sum);
  if (max < kTinyWeight || not_finite != 0) {
    memset(out, 0, static_cast<size_t>(k));
    memset(multipliers, 0, static_cast<size_t>((k + group - 1) / group));
    return not_finite == 0 ? 0 : not_finite;
  }
  // The last four bits of the scale are zeros, so that its products with multipliers, of four bits, are exact.
  float scale = max / (8 * kLargestMultiplier);
  uint32_t bits;
  memcpy(&bits, &scale, sizeof bits);
  bits &= ~0xFu;
  memcpy(&scale, &bits, sizeof bits);
  const int64_t groups = (k + group - 1) / group;
  for (int64_t first = 0; first < groups; first += kLanes) {
    const int64_t begin = first * group;
    const RowGroups row_groups{x + begin, groups - first < kLanes ? groups - first : kLanes, group, k - begin};
    float chosen[kLanes];
    BestMultipliers<V>(row_groups, scale).Store(chosen);
    for (int64_t g = 0; g < row_groups.count; ++g) {
      const float m = chosen[g];
      multipliers[first + g] = static_cast<int8_t>(m);
      const V inverse = V::Set1(m == 0 ? 0 : 1 / (m * scale));
      const float* from = row_groups.Group(g);
      const int64_t n = row_groups.Size(g);
      for (int64_t i = 0; i < n; i += kLanes)
        Digits::Store(ToInt4(LoadAs<V>(from, DType::kF32, i, n - i), inverse), 1, out + begin + g * group + i, 0);
    }
  }
  return scale;
}

}  // namespace
}  // namespace atb::kernels::simd
