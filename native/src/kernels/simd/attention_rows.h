#pragma once
// What attention does with one row of scores over a piece of keys. Everything has internal linkage; vec.h says why.
#include <math.h>

#include "kernels/attend_tile.h"
#include "kernels/simd/math.h"

namespace atb::kernels::simd {
namespace {

constexpr float kLaneNumbers[kLanes] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/// Whether scores are more than products times a scale, beside a mask.
inline bool IsBent(const AttendCall& c) { return c.softcap != 0 || c.slopes != nullptr; }

/// Turns products of row r and the tile's keys into scores, with the softcap and the row's slope; `by` is their scale.
/// Not inlined, so that its constants take no registers from rows without either.
template <class V>
__attribute__((noinline)) void BendScores(const AttendCall& c, int64_t r, int64_t key_begin, const Span& tile, float by,
                                          float* scores) {
  const V slope = V::Set1(c.slopes ? c.slopes[r % c.group] : 0);
  const int64_t query = c.q_position + r / c.group;
  // Whole numbers below 2^24, which are exact.
  V distance = V::Load(kLaneNumbers) + V::Set1(static_cast<float>(key_begin + tile.begin - query));
  const V inverse = V::Set1(c.softcap != 0 ? 1 / c.softcap : 0);
  for (int64_t j = tile.begin; j < tile.end; j += kLanes) {
    V s = V::Load(scores + j) * V::Set1(by);
    if (c.softcap != 0) s = V::Set1(c.softcap) * Tanh(s * inverse);
    Fma(slope, distance, s).Store(scores + j);
    distance = distance + V::Set1(kLanes);
  }
}

/// The mask of row r from key `key_begin` on; null: none.
inline const float* MaskOf(const AttendCall& c, int64_t r, int64_t key_begin) {
  if (c.mask == nullptr) return nullptr;
  return c.mask + r % c.group * c.mask_head_stride + r / c.group * c.mask_stride + key_begin;
}

/// Gives keys of a row that it cannot see the score -infinity.
template <class V>
inline void HideKeys(const Span& tile, const Span& row, float* scores) {
  const V none = V::Set1(-INFINITY);
  for (int64_t j = tile.begin; j < Min(row.begin, tile.end); j += kLanes)
    First(none, Min(row.begin - j, kLanes), V::Load(scores + j)).Store(scores + j);
  for (int64_t j = Max(row.end / kLanes * kLanes, tile.begin); j < tile.end; j += kLanes)
    First(V::Load(scores + j), Max(Min(row.end - j, kLanes), 0), none).Store(scores + j);
}

/// The largest score of a row. No order of comparisons changes it.
template <class V>
__attribute__((always_inline)) inline float MaxOfRow(const Span& tile, const float* scores) {
  V a = V::Set1(-INFINITY), b = a;
#pragma GCC unroll 8
  for (int64_t j = tile.begin; j < tile.end; j += 2 * kLanes) {
    a = Max(V::Load(scores + j), a);
    b = Max(V::Load(scores + j + kLanes), b);
  }
  return ReduceMax(Max(a, b));
}

/// Turns a row of scores into probabilities, which E rounds into `probs`. Returns their sum.
template <class V, class E>
__attribute__((always_inline)) inline float ProbsOfRow(const Span& tile, float factor, float top, const float* scores,
                                                       typename E::Factor* probs) {
  const typename E::Exponential exp(factor, top);
  V sum = V::Zero();
#pragma GCC unroll 8
  for (int64_t j = tile.begin; j < tile.end; j += 2 * kLanes)
    sum = E::Keep(exp(V::Load(scores + j)), exp(V::Load(scores + j + kLanes)), probs + j, sum);
  return ReduceAdd(sum);
}

/// Turns products of row r into scores divided by `factor`, which is the scale of products or 1. Returns the largest
/// score.
template <class V>
inline float ScoresOfRow(const AttendCall& c, int64_t r, int64_t key_begin, const Span& tile, const Span& row,
                         float factor, float* scores) {
  const float* mask = MaskOf(c, r, key_begin);
  if (IsBent(c)) {
    BendScores<V>(c, r, key_begin, tile, c.scale, scores);
  } else if (factor != c.scale) {
    for (int64_t j = tile.begin; j < tile.end; j += kLanes) (V::Load(scores + j) * V::Set1(c.scale)).Store(scores + j);
  }
  for (int64_t j = tile.begin; mask && j < tile.end; j += kLanes)
    (V::Load(scores + j) + V::LoadPart(mask + j, Max(Min(row.end - j, kLanes), 0))).Store(scores + j);
  HideKeys<V>(tile, row, scores);
  const float top = MaxOfRow<V>(tile, scores) * factor;
  return top < kLeastScore ? kLeastScore : top;  // The row sees nothing: each exponential becomes 0. A NaN stays one.
}

/// Whether all rows of a tile see all keys of a piece.
template <class P>
inline bool SeesAll(const P& p, int64_t key_begin, int64_t key_end) {
  const AttendCall& c = p.call;
  const Span first = VisibleKeys(c, p.rows.first / c.group, key_begin, key_end);
  const Span last = VisibleKeys(c, (p.rows.first + p.rows.count - 1) / c.group, key_begin, key_end);
  return last.begin <= 0 && first.end == kAttendChunk;
}

}  // namespace
}  // namespace atb::kernels::simd
