#pragma once
// What attention.h needs of a tile of rows and a piece of keys, and its second phase: products become scores, scores
// probabilities. E is explained there. Everything has internal linkage; vec.h says why.
#include <math.h>

#include "kernels/simd/attend_pieces.h"
#include "kernels/simd/kv_stream.h"
#include "kernels/simd/math.h"

namespace atb::kernels::simd {
namespace {

// Rows are a line longer than they need to be, or two, so that those of a tile do not fall into the same cache sets. They
// begin where lines do, of two bytes, too.
constexpr int64_t kScoreStride = kAttendChunk + kLanes;
constexpr int64_t kProbStride = kAttendChunk + 2 * kLanes;
constexpr int64_t kQueryStride = kMaxHeadDim + 2 * kLanes;

template <class Factor>
struct AttendScratch {
  alignas(64) float scores[kAttendTile * kScoreStride];
  alignas(64) Factor probs[kAttendTile * kProbStride];
  alignas(64) Factor query[kAttendRows * kQueryStride];  ///< Of the call.
  PartialScratch part;
};

/// The extents of a tile of rows and a piece of keys, computed once.
template <class E>
struct Piece {
  /// How KvStream fetches: 2 KB ahead. With 1 to 2 KB the hardware's own prefetching runs along; 4 KB and more are a
  /// quarter slower. All lines are fetched beside the products.
  static constexpr int64_t kAhead = 32, kPart = 32;

  const AttendCall& call;
  Rows rows;
  SlotGroups first;  ///< The first group that some row sees.
  Span tile;
  int64_t key_dim;    ///< head_dim as stored.
  int64_t value_dim;  ///< call.value_dim as stored.

  Piece(const AttendCall& c, const Rows& of, int64_t key_begin, int64_t key_end)
      : call(c),
        rows(of),
        first(c, 0),
        tile(TileKeys(c, of, key_begin, key_end)),
        key_dim(E::kDepth == 2 ? RoundUp(c.head_dim, 32) : c.head_dim),
        value_dim(E::kDepth == 2 ? RoundUp(c.value_dim, 16) : c.value_dim) {
    first = SlotGroups(c, key_begin + tile.begin);
  }

  const char* Keys(const SlotGroups& at) const {
    return static_cast<const char*>(call.k_cache) + at.slot() * key_dim * E::kBytes;
  }
  const char* Values(const SlotGroups& at) const {
    if (call.v_cache == nullptr) {
      return static_cast<const char*>(call.values) +
             StagedAt(at.position(), kValueDepth, kValueDepth * value_dim * E::kBytes);
    }
    return static_cast<const char*>(call.v_cache) + at.slot() * value_dim * E::kBytes;
  }
  int64_t KeyLines() const { return kValueDepth * key_dim * E::kBytes / kLine; }  ///< Of a group.
  int64_t ValueLines() const { return kValueDepth * value_dim * E::kBytes / kLine; }
};

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

/// Turns rows of products into probabilities; keys that a row cannot see get zero. It sets max and sum of `out`. The
/// largest scores of all rows come first, so that no row waits for its own. `stream`: a KvStream or a PieceAhead.
template <class V, class E, class Stream>
inline void SoftmaxRows(const Piece<E>& p, int64_t key_begin, int64_t key_end, float* scores,
                        typename E::Factor* probs, const AttendPartial& out, Stream& stream) {
  const AttendCall& c = p.call;
  // Where scores are products times a positive scale, the largest product gives the largest score, and the scale is
  // left to the exponential.
  const bool plain = !c.mask && !IsBent(c) && c.scale > 0;
  const float factor = plain ? c.scale : 1;
  // Most pieces of a long prompt. Loops of a known length have no end that could be mispredicted for each row.
  const bool whole = plain && SeesAll(p, key_begin, key_end);
  constexpr Span kAll = {0, kAttendChunk};
  for (int64_t i = 0; i < p.rows.count; ++i) {
    float* row = scores + i * kScoreStride;
    if (whole) {
      const float top = MaxOfRow<V>(kAll, row) * factor;
      out.max[i] = top < kLeastScore ? kLeastScore : top;
    } else {
      const int64_t r = p.rows.first + i;
      const Span seen = VisibleKeys(c, r / c.group, key_begin, key_end);
      out.max[i] = ScoresOfRow<V>(c, r, key_begin, p.tile, seen, factor, row);
    }
    stream.Rest();
  }
  for (int64_t i = 0; i < p.rows.count; ++i) {
    const float* row = scores + i * kScoreStride;
    typename E::Factor* to = probs + i * kProbStride;
    out.sum[i] = whole ? ProbsOfRow<V, E>(kAll, factor, out.max[i], row, to)
                       : ProbsOfRow<V, E>(p.tile, factor, out.max[i], row, to);
    if (out.sum[i] == 0) out.max[i] = -INFINITY;
    stream.Rest();
  }
}

}  // namespace
}  // namespace atb::kernels::simd
