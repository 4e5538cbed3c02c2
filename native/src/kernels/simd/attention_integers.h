#pragma once
// Queries and probabilities of attention over a cache of integers, as whole numbers. V and I are those of
// integer_attention.h. Everything has internal linkage; vec.h says why.
#include "kernels/simd/attention.h"

namespace atb::kernels::simd {
namespace {

/// Bytes of a row's high digits, of its low digits, or of half of its words. A line more than needed keeps the rows of
/// a tile out of the same cache sets.
constexpr int64_t kRowBytes = kMaxHeadDim + kLine;
/// The largest queries and weights: the high digit of a query is signed, that of a weight fits either way. Sums over a
/// head of kMaxHeadDim keys of 127 stay below 2^31.
constexpr float kMaxQuery = 127 * 256;
constexpr float kMaxLongQuery = 112 * 256;
constexpr int64_t kLongHead = 512;
static_assert(int64_t{127} * 256 * 127 * kLongHead < INT32_MAX && int64_t{112} * 256 * 127 * kMaxHeadDim < INT32_MAX);
constexpr float kMaxWeight = 127 * 256 + 255;
template <class I>
constexpr float MaxWeightOf() {
  if constexpr (requires { I::kMaxWeight; }) return I::kMaxWeight;
  return kMaxWeight;
}
/// Numbers that are quantised together.
constexpr int64_t kQuantizeStep = 64;
/// Where all queries, or all scales, are smaller than this, they count as zeros.
constexpr float kLeastWeight = 1e-34f;

/// What the sums of a row of queries begin with, of high and of low digits: see I::StartOf.
struct SumStarts {
  int32_t high;
  int32_t low;
};

/// The extents of a tile of rows and a piece of keys, computed once.
struct IntegerPiece {
  /// How KvStream fetches: 6 KB ahead, and 25 of 32 lines beside the products. Integers are read in half of the time of
  /// bf16, while probabilities take as long as before; memory must not wait for these.
  static constexpr int64_t kAhead = 96, kPart = 25;

  const AttendCall& call;
  Rows rows;
  int64_t group;  ///< Slots of a group, 32 or 64.
  int shift;      ///< The logarithm of `group` to base 2.
  SlotGroups first;   ///< The first group that some row sees.
  Span tile;
  int64_t key_bytes;    ///< Bytes of a group's keys without their scales.
  int64_t value_bytes;  ///< Bytes of a group's values without their scales.

  IntegerPiece(const AttendCall& c, const Rows& of, int64_t key_begin, int64_t key_end)
      : call(c),
        rows(of),
        group(GroupKeys(c)),
        shift(group == 64 ? 6 : 5),
        first(c, 0),
        tile(TileKeys(c, of, key_begin, key_end)),
        key_bytes(group * c.head_dim),
        value_bytes(group * RoundUp(c.value_dim, kLanes)) {
    first = SlotGroups(c, key_begin + tile.begin);
  }

  const char* Keys(const SlotGroups& at) const {
    return static_cast<const char*>(call.k_cache) + (at.slot() >> shift) * (key_bytes + ScaleBytes());
  }
  const char* Values(const SlotGroups& at) const {
    if (call.v_cache == nullptr)
      return static_cast<const char*>(call.values) + StagedAt(at.position(), group, value_bytes + ScaleBytes());
    return static_cast<const char*>(call.v_cache) + (at.slot() >> shift) * (value_bytes + ScaleBytes());
  }
  const float* KeyScales(const SlotGroups& at) const { return reinterpret_cast<const float*>(Keys(at) + key_bytes); }
  const float* ValueScales(const SlotGroups& at) const {
    return reinterpret_cast<const float*>(Values(at) + value_bytes);
  }
  int64_t ScaleBytes() const { return group * 4; }
  int64_t KeyLines() const { return (key_bytes + ScaleBytes()) / kLine; }  ///< Of a group, scales included.
  int64_t ValueLines() const { return (value_bytes + ScaleBytes()) / kLine; }
};

struct IntegerScratch {
  alignas(64) int32_t sums[2 * kAttendTile * kScoreStride];
  alignas(64) int8_t query[2 * kAttendRows * kRowBytes];  ///< Of the call.
  alignas(64) int8_t weights[2 * kAttendTile * kRowBytes];
  alignas(64) float key_scales[kAttendChunk];
  alignas(64) float value_scales[kAttendChunk];
  alignas(64) float value_factors[kAttendChunk];
  float query_scales[kAttendRows];
  SumStarts starts[kAttendRows];
  float weight_scales[kAttendTile];
  PartialScratch part;
};

/// Quantises a row of n numbers to whole numbers up to kMaxQuery or kMaxLongQuery, and returns the scale: NaN when a
/// number is not finite.
template <class I>
inline float QuantizeQuery(const void* q, DType dtype, int64_t at, int64_t n, int8_t* to) {
  using V = typename I::V;
  V largest = V::Zero(), broken = V::Zero();  // `broken` becomes NaN with a number that is not finite.
  for (int64_t i = 0; i < n; i += kLanes) {
    const V x = LoadAs<V>(q, dtype, at + i, n - i);
    largest = Max(Abs(x), largest);
    broken = Fma(x, V::Zero(), broken);
  }
  const float max = ReduceMax(largest);
  const float most = n > kLongHead ? kMaxLongQuery : kMaxQuery;
  const V by = V::Set1(max >= kLeastWeight ? most / max : 0);
  for (int64_t i = 0; i < n; i += kQuantizeStep) {
    V x[kQuantizeStep / kLanes];
    for (int64_t k = 0; k < kQuantizeStep; k += kLanes)
      x[k / kLanes] = k < n - i ? LoadAs<V>(q, dtype, at + i + k, n - i - k) * by : V::Zero();
    I::StoreQuery(x, to, i);
  }
  return max / most + ReduceAdd(broken);
}

/// QuantizeQuery for all rows of a call.
template <class I>
inline void QuantizeQueries(const AttendCall& c, IntegerScratch& s) {
  for (int64_t r = 0; r < c.q_tokens * c.group; ++r) {
    const int64_t at = r / c.group * c.q_stride + (c.kv_head * c.group + r % c.group) * c.head_dim;
    int8_t* to = s.query + 2 * r * kRowBytes;
    s.query_scales[r] = QuantizeQuery<I>(c.q, c.dtype, at, c.head_dim, to);
    s.starts[r] = I::StartOf(to, c.head_dim);
  }
}

/// Copies the scales of a piece's groups to one array for keys and one for values.
inline void GatherScales(const IntegerPiece& p, IntegerScratch& s) {
  SlotGroups at = p.first;
  for (int64_t j = p.tile.begin; j < p.tile.end; j += p.group, at.Next()) {
    const float* keys = p.KeyScales(at);
    const float* values = p.ValueScales(at);
    for (int64_t i = 0; i < p.group; i += kLanes) {
      __builtin_memcpy(s.key_scales + j + i, keys + i, kLine);
      __builtin_memcpy(s.value_scales + j + i, values + i, kLine);
    }
  }
}

/// Fetches the scales of values, which are read before the values are.
inline void FetchValueScales(const IntegerPiece& p) {
  SlotGroups at = p.first;
  for (int64_t j = p.tile.begin; j < p.tile.end; j += p.group, at.Next()) {
    const char* scales = reinterpret_cast<const char*>(p.ValueScales(at));
    for (int64_t i = 0; i < p.ScaleBytes(); i += kLine) __builtin_prefetch(scales + i, 0, 3);
  }
}

/// The lanes of v, which begins at key j, whose keys are in [row.begin, row.end); the other lanes get `other`.
template <class V>
inline V Seen(V v, int64_t j, const Span& row, V other) {
  if (j + kLanes > row.end) v = First(v, Max(Min(row.end - j, kLanes), 0), other);
  if (j < row.begin) v = First(other, Min(row.begin - j, kLanes), v);
  return v;
}

/// Sets value_factors, which turn a token's probabilities into weights: the scales of the values, enlarged so that the
/// largest weight fills 16 bits; zero where the token cannot see. Returns the scale of the weights: NaN when the scale
/// of a value that the token sees is not finite.
template <class I>
inline float SetValueFactors(const Span& row, const Span& keys, IntegerScratch& s) {
  using V = typename I::V;
  constexpr float kMost = MaxWeightOf<I>();
  V largest = V::Zero(), broken = V::Zero();
  for (int64_t j = keys.begin; j < keys.end; j += kLanes) {
    const V x = Seen(V::Load(s.value_scales + j), j, row, V::Zero());
    x.Store(s.value_factors + j);
    largest = Max(x, largest);
    broken = Fma(x, V::Zero(), broken);
  }
  const float max = ReduceMax(largest);
  const bool counts = max >= kLeastWeight;
  const V by = V::Set1(counts ? kMost / max : 0);
  for (int64_t j = keys.begin; j < keys.end; j += kLanes)
    (V::Load(s.value_factors + j) * by).Store(s.value_factors + j);
  return (counts ? max / kMost : 0) + ReduceAdd(broken);
}

/// Turns products of row i of a tile, of which it sees all, into scores divided by a factor. Returns the largest one.
template <class I>
__attribute__((always_inline)) inline float PlainScoresOfRow(const Span& keys, int64_t i, IntegerScratch& s) {
  using V = typename I::V;
  int32_t* sums = s.sums + i * I::kSumRows * kScoreStride;
  auto* scores = reinterpret_cast<float*>(sums);
  V max = V::Set1(-INFINITY);
#pragma GCC unroll 16
  for (int64_t j = keys.begin; j < keys.end; j += kLanes) {
    const V x = I::Total(sums + j) * V::Load(s.key_scales + j);
    x.Store(scores + j);
    max = Max(x, max);
  }
  return ReduceMax(max);
}

/// Turns products of row i of a tile into scores divided by `factor`, which is what products are multiplied with or 1.
/// Returns the largest score. kBent: see IsBent; a template, so that rows without it pay nothing for it.
template <class I, bool kBent>
inline float ScoresOfRow(const IntegerPiece& p, int64_t i, int64_t key_begin, const Span& row, const Span& keys,
                         float factor, IntegerScratch& s) {
  using V = typename I::V;
  const AttendCall& c = p.call;
  const int64_t r = p.rows.first + i;
  int32_t* sums = s.sums + i * I::kSumRows * kScoreStride;
  auto* scores = reinterpret_cast<float*>(sums);
  const float by = s.query_scales[r] * c.scale;
  if constexpr (kBent) {
    for (int64_t j = keys.begin; j < keys.end; j += kLanes)
      (I::Total(sums + j) * V::Load(s.key_scales + j)).Store(scores + j);
    BendScores<V>(c, r, key_begin, keys, by, scores);
  }
  const float* mask = MaskOf(c, r, key_begin);
  V max = V::Set1(-INFINITY);
  for (int64_t j = keys.begin; j < keys.end; j += kLanes) {
    V x = kBent ? V::Load(scores + j) : I::Total(sums + j) * V::Load(s.key_scales + j);
    if (!kBent && factor != by) x = x * V::Set1(by);
    if (mask) x = x + V::LoadPart(mask + j, Max(Min(row.end - j, kLanes), 0));
    x = Seen(x, j, row, V::Set1(-INFINITY));
    x.Store(scores + j);
    max = Max(x, max);
  }
  return ReduceMax(max) * factor;
}

/// Turns scores of row i of a tile into weights: probabilities times value_factors, as whole numbers. Returns the sum
/// of the probabilities.
template <class I>
__attribute__((always_inline)) inline float WeightsOfRow(const Span& keys, int64_t i, float factor, float top,
                                                         IntegerScratch& s) {
  using V = typename I::V;
  const auto* scores = reinterpret_cast<const float*>(s.sums + i * I::kSumRows * kScoreStride);
  int8_t* to = s.weights + 2 * i * kRowBytes;
  const typename I::Exponential exp(factor, top);
  V sum = V::Zero();
#pragma GCC unroll 4
  for (int64_t j = keys.begin; j < keys.end; j += kQuantizeStep) {
    V x[kQuantizeStep / kLanes];
    for (int64_t k = 0; k < kQuantizeStep; k += kLanes) {
      const V probability = exp(V::Load(scores + j + k));
      sum = sum + probability;
      x[k / kLanes] = probability * V::Load(s.value_factors + j + k);
    }
    I::StoreWeight(x, to, j);
  }
  return ReduceAdd(sum);
}

/// Turns the products of a tile into weights. It sets max and sum of `out`. The largest scores of all rows come first,
/// so that no row waits for its own. `stream`: a KvStream or a PieceAhead.
template <class I, bool kBent = false, class Stream>
inline void WeightsOfRows(const IntegerPiece& p, int64_t key_begin, int64_t key_end, IntegerScratch& s,
                          const AttendPartial& out, Stream& stream) {
  if constexpr (!kBent) {
    if (IsBent(p.call)) return WeightsOfRows<I, true>(p, key_begin, key_end, s, out, stream);
  }
  GatherScales(p, s);
  // Keys beside the tile's are seen by no row, so that their weights are zero.
  const Span keys = {p.tile.begin / kQuantizeStep * kQuantizeStep, RoundUp(p.tile.end, kQuantizeStep)};
  constexpr Span kAll = {0, kAttendChunk};
  const bool whole = SeesAll(p, key_begin, key_end);
  const auto seen = [&](int64_t i) {
    const Span row = VisibleKeys(p.call, (p.rows.first + i) / p.call.group, key_begin, key_end);
    return Span{Max(row.begin, keys.begin), Min(row.end, keys.end)};
  };
  float factors[kAttendTile];
  for (int64_t i = 0; i < p.rows.count; ++i) {
    const float by = s.query_scales[p.rows.first + i] * p.call.scale;
    // Where scores are products times a positive factor, the largest product gives the largest score, and the factor is
    // left to the exponential.
    const bool plain = !kBent && !p.call.mask && by > 0;
    factors[i] = plain ? by : 1;
    const float top = plain && whole ? PlainScoresOfRow<I>(kAll, i, s) * by
                                     : ScoresOfRow<I, kBent>(p, i, key_begin, seen(i), keys, factors[i], s);
    // Where the row sees nothing, each exponential becomes 0. A NaN stays one.
    out.max[i] = top < kLeastScore ? kLeastScore : top;
    stream.Rest();
  }
  Span last = {0, -1};
  float scale = 0;
  for (int64_t i = 0; i < p.rows.count; ++i) {
    const Span row = whole ? kAll : seen(i);
    if (row.begin != last.begin || row.end != last.end) scale = SetValueFactors<I>(row, keys, s);
    last = row;
    s.weight_scales[i] = scale;
    out.sum[i] = whole ? WeightsOfRow<I>(kAll, i, factors[i], out.max[i], s)
                       : WeightsOfRow<I>(keys, i, factors[i], out.max[i], s);
    if (out.sum[i] == 0) out.max[i] = -INFINITY;
    stream.Rest();
  }
}

}  // namespace
}  // namespace atb::kernels::simd
