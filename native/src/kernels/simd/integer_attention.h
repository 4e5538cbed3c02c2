#pragma once
// Attention over a cache of integers, over a vector type V (vec.h) and a way I to multiply them;
// kernels/reference/attention.cpp says what is computed. Internal linkage, as in vec.h.
//
// Queries, and probabilities times the values' scales, become whole numbers of 16 bits with a scale per row or token:
// 1/256 of the error that the cache's own 8 bits have. So products are sums of int32, which are exact in any order, and
// no phase can disagree with another about them.
//
// I has:
//   V                  the vector type
//   Exponential        Exponential(scale, shift)(x) = exp(x * scale - shift)
//   kBytes             of a whole number among others; a row of them has room for 2 * kRowBytes
//   kSumRows           rows of int32 that hold a row's products: 2 are sums of high and of low digits
//   Total(p)           the products of sixteen keys as f32
//   StoreQuery(x, to, i), StoreWeight(x, to, i)  rounds four vectors, of either sign or of none, as numbers i and later
//   Stored             64 bytes, [16 lanes][4]; LoadKeys(p), LoadValues(p)
//   Sum                sixteen sums; Start(row), Zero()
//   StartOf(query, n)  what sums of a row of queries begin with
//   MulKeys(s, w, sum), MulValues(s, w, sum)     sum + the products of the lanes of s with the four numbers at w
//   StoreTotal(sum, p) writes sixteen int32; ToFloat(sum)
#include "kernels/simd/attention.h"

namespace atb::kernels::simd {
namespace {

/// Bytes of a row's high or low digits, or half of those of its words: rows of a tile do not share cache sets.
constexpr int64_t kRowBytes = kMaxHeadDim + kLine;
/// The largest queries and weights: the high digit of a query is signed, that of a weight fits either way.
constexpr float kMaxQuery = 127 * 256;
constexpr float kMaxWeight = 127 * 256 + 255;
/// Numbers that become whole ones together.
constexpr int64_t kWhole = 64;
/// Queries and scales that are all smaller count for nothing.
constexpr float kLeastWeight = 1e-34f;

/// The first sums of a row of queries, see I::StartOf.
struct Starts {
  int32_t high;
  int32_t low;
};

/// One tile's and piece's extents, computed once; the P of Stream.
struct IntegerPiece {
  /// Integers are read twice as fast as floats beside the same work on probabilities, which memory must not wait for.
  static constexpr int64_t kAhead = 96, kPart = 25;

  const AttendCall& call;
  int64_t rows;
  int64_t group;  ///< Slots: 32 or 64.
  int shift;      ///< Its logarithm.
  SlotGroups first;   ///< The first group that some row sees.
  Span tile;
  int64_t key_bytes;    ///< Of a group's integers.
  int64_t value_bytes;

  IntegerPiece(const AttendCall& c, int64_t key_begin, int64_t key_end)
      : call(c),
        rows(c.q_tokens * c.group),
        group(GroupKeys(c)),
        shift(group == 64 ? 6 : 5),
        first(c, 0),
        tile(TileKeys(c, key_begin, key_end)),
        key_bytes(group * c.head_dim),
        value_bytes(group * RoundUp(c.head_dim, kLanes)) {
    first = SlotGroups(c, key_begin + tile.begin);
  }

  const char* Keys(const SlotGroups& at) const {
    return static_cast<const char*>(call.k_cache) + (at.slot() >> shift) * (key_bytes + ScaleBytes());
  }
  const char* Values(const SlotGroups& at) const {
    return static_cast<const char*>(call.v_cache) + (at.slot() >> shift) * (value_bytes + ScaleBytes());
  }
  const float* KeyScales(const SlotGroups& at) const { return reinterpret_cast<const float*>(Keys(at) + key_bytes); }
  const float* ValueScales(const SlotGroups& at) const { return reinterpret_cast<const float*>(Values(at) + value_bytes); }
  int64_t ScaleBytes() const { return group * 4; }
  int64_t KeyLines() const { return (key_bytes + ScaleBytes()) / kLine; }  ///< Of a group, scales included.
  int64_t ValueLines() const { return (value_bytes + ScaleBytes()) / kLine; }
};

struct IntegerScratch {
  alignas(64) int32_t sums[2 * kAttendRows * kScoreStride];
  alignas(64) int8_t query[2 * kAttendRows * kRowBytes];
  alignas(64) int8_t weights[2 * kAttendRows * kRowBytes];
  alignas(64) float key_scales[kAttendChunk];
  alignas(64) float value_scales[kAttendChunk];
  alignas(64) float value_factors[kAttendChunk];
  float query_scales[kAttendRows];
  float weight_scales[kAttendRows];
  Starts starts[kAttendRows];
};

/// A row of `n` numbers as whole ones up to kMaxQuery times the scale that is returned, NaN when one is not finite.
template <class I>
inline float LoadWholeQuery(const void* q, DType dtype, int64_t at, int64_t n, int8_t* to) {
  using V = typename I::V;
  V largest = V::Zero(), broken = V::Zero();
  for (int64_t i = 0; i < n; i += kLanes) {
    const V x = LoadAs<V>(q, dtype, at + i, n - i);
    largest = Max(Abs(x), largest);
    broken = Fma(x, V::Zero(), broken);  // Zeros, or NaN.
  }
  const float max = ReduceMax(largest);
  const V by = V::Set1(max >= kLeastWeight ? kMaxQuery / max : 0);
  for (int64_t i = 0; i < n; i += kWhole) {
    V x[kWhole / kLanes];
    for (int64_t k = 0; k < kWhole; k += kLanes)
      x[k / kLanes] = k < n - i ? LoadAs<V>(q, dtype, at + i + k, n - i - k) * by : V::Zero();
    I::StoreQuery(x, to, i);
  }
  return max / kMaxQuery + ReduceAdd(broken);
}

/// All rows of a tile.
template <class I>
inline void LoadWholeQueries(const AttendCall& c, IntegerScratch& s) {
  for (int64_t r = 0; r < c.q_tokens * c.group; ++r) {
    const int64_t at = r / c.group * c.q_stride + (c.kv_head * c.group + r % c.group) * c.head_dim;
    int8_t* to = s.query + 2 * r * kRowBytes;
    s.query_scales[r] = LoadWholeQuery<I>(c.q, c.dtype, at, c.head_dim, to);
    s.starts[r] = I::StartOf(to, c.head_dim);
  }
}

/// Copies a piece's scales together.
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

/// The scales of values are read before the values are.
inline void FetchValueScales(const IntegerPiece& p) {
  SlotGroups at = p.first;
  for (int64_t j = p.tile.begin; j < p.tile.end; j += p.group, at.Next()) {
    const char* scales = reinterpret_cast<const char*>(p.ValueScales(at));
    for (int64_t i = 0; i < p.ScaleBytes(); i += kLine) __builtin_prefetch(scales + i, 0, 3);
  }
}

/// Lanes [row.begin, row.end) of a vector that begins at key j, `other` in those beside them.
template <class V>
inline V Seen(V v, int64_t j, const Span& row, V other) {
  if (j + kLanes > row.end) v = First(v, Max(Min(row.end - j, kLanes), 0), other);
  if (j < row.begin) v = First(other, Min(row.begin - j, kLanes), v);
  return v;
}

/// What makes weights of a token's probabilities: value_factors, for as large weights as 16 bits hold, zero where it
/// cannot see. Returns the weights' scale, NaN when one that it sees is.
template <class V>
inline float SetValueFactors(const Span& row, const Span& keys, IntegerScratch& s) {
  V largest = V::Zero(), broken = V::Zero();
  for (int64_t j = keys.begin; j < keys.end; j += kLanes) {
    const V x = Seen(V::Load(s.value_scales + j), j, row, V::Zero());
    x.Store(s.value_factors + j);
    largest = Max(x, largest);
    broken = Fma(x, V::Zero(), broken);
  }
  const float max = ReduceMax(largest);
  const bool counts = max >= kLeastWeight;
  const V by = V::Set1(counts ? kMaxWeight / max : 0);
  for (int64_t j = keys.begin; j < keys.end; j += kLanes) (V::Load(s.value_factors + j) * by).Store(s.value_factors + j);
  return (counts ? max / kMaxWeight : 0) + ReduceAdd(broken);
}

/// Turns a row of products into weights, probabilities times value_factors as whole numbers, and their sum.
template <class I>
inline void WeightsOfRow(const AttendCall& c, int64_t r, int64_t key_begin, const Span& row, const Span& keys,
                         IntegerScratch& s, const AttendPartial& out, Stream<IntegerPiece>& stream) {
  using V = typename I::V;
  int32_t* sums = s.sums + r * I::kSumRows * kScoreStride;
  auto* scores = reinterpret_cast<float*>(sums);
  const float factor = s.query_scales[r] * c.scale;
  const float* mask = c.mask ? c.mask + r / c.group * c.mask_stride + key_begin : nullptr;
  // Where only a factor is between products and scores, the largest product tells the largest score.
  const bool plain = !mask && factor > 0;
  V max = V::Set1(-INFINITY);
  for (int64_t j = keys.begin; j < keys.end; j += kLanes) {
    V x = I::Total(sums + j) * V::Load(s.key_scales + j);
    if (!plain) x = x * V::Set1(factor);
    if (mask) x = x + V::LoadPart(mask + j, Max(Min(row.end - j, kLanes), 0));
    x = Seen(x, j, row, V::Set1(-INFINITY));
    x.Store(scores + j);
    max = Max(x, max);
  }
  float top = ReduceMax(max) * (plain ? factor : 1);
  if (top < kLeastScore) top = kLeastScore;  // Nothing to see: each exponential is 0. A NaN score stays a NaN.
  stream.Rest();
  const typename I::Exponential exp(plain ? factor : 1, top);
  int8_t* to = s.weights + 2 * r * kRowBytes;
  V sum = V::Zero();
  for (int64_t j = keys.begin; j < keys.end; j += kWhole) {
    V x[kWhole / kLanes];
    for (int64_t k = 0; k < kWhole; k += kLanes) {
      const V p = exp(V::Load(scores + j + k));
      sum = sum + p;
      x[k / kLanes] = p * V::Load(s.value_factors + j + k);
    }
    I::StoreWeight(x, to, j);
  }
  stream.Rest();
  out.sum[r] = ReduceAdd(sum);
  out.max[r] = out.sum[r] == 0 ? -INFINITY : top;
}

/// All rows of a tile. `out`: max and sum.
template <class I>
inline void WeightsOfRows(const IntegerPiece& p, int64_t key_begin, int64_t key_end, IntegerScratch& s,
                          const AttendPartial& out, Stream<IntegerPiece>& stream) {
  GatherScales(p, s);
  // Beside the tile nobody sees anything.
  const Span keys = {p.tile.begin / kWhole * kWhole, RoundUp(p.tile.end, kWhole)};
  for (int64_t token = 0; token < p.call.q_tokens; ++token) {
    const Span row = VisibleKeys(p.call, token, key_begin, key_end);
    const float scale = SetValueFactors<typename I::V>(row, keys, s);
    for (int64_t r = token * p.call.group; r < (token + 1) * p.call.group; ++r) {
      WeightsOfRow<I>(p.call, r, key_begin, row, keys, s, out, stream);
      s.weight_scales[r] = scale;
    }
  }
}

/// Products of kRows queries with a panel of 16 keys.
template <class I, int kRows>
__attribute__((noinline)) void ScorePanel(const char* keys, int64_t quads, const int8_t* query, const Starts* starts,
                                          int32_t* sums) {
  typename I::Sum acc[kRows];
  for (int r = 0; r < kRows; ++r) acc[r] = I::Start(starts[r]);
  for (int64_t u = 0; u < quads; ++u) {
    const typename I::Stored k = I::LoadKeys(keys + u * kLine);
    for (int r = 0; r < kRows; ++r)
      acc[r] = I::MulKeys(k, query + 2 * r * kRowBytes + u * 4 * I::kBytes, acc[r]);
  }
  for (int r = 0; r < kRows; ++r) I::StoreTotal(acc[r], sums + r * kScoreStride);
}

/// out[r, d .. d + columns) = the tile's weights times values, for kRows rows and columns <= 16 * kTiles.
template <class I, int kRows, int kTiles>
__attribute__((noinline)) void WeighTiles(const IntegerPiece& p, Stream<IntegerPiece>* stream, const int8_t* weights,
                                          const float* scales, int64_t d, int64_t columns, float* out) {
  using V = typename I::V;
  typename I::Sum acc[kRows][kTiles];
  for (int r = 0; r < kRows; ++r) {
    for (int t = 0; t < kTiles; ++t) acc[r][t] = I::Zero();
  }
  const int64_t tile = p.group * kLanes;
  SlotGroups at = p.first;
  for (int64_t j = p.tile.begin; j < p.tile.end; j += p.group, at.Next()) {
    const char* values = p.Values(at) + d * p.group;
    if (stream) stream->Step(p.ValueLines());
    for (int64_t u = 0; u < p.group / 4; ++u) {
      for (int t = 0; t < kTiles; ++t) {
        const typename I::Stored value = I::LoadValues(values + t * tile + u * kLine);
        for (int r = 0; r < kRows; ++r)
          acc[r][t] = I::MulValues(value, weights + 2 * r * kRowBytes + (j + u * 4) * I::kBytes, acc[r][t]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int t = 0; t < kTiles; ++t) {
      const V x = I::ToFloat(acc[r][t]) * V::Set1(scales[r]);
      StoreAs(x, out + r * p.call.head_dim + d, DType::kF32, t * kLanes, columns - t * kLanes);
    }
  }
}

/// KernelTable::attend for a cache of integers. kScoreRows and kWeighRows * kWeighTiles sums live in registers.
template <class I, int kScoreRows, int kWeighRows, int kWeighTiles>
inline void AttendIntegers(const AttendCall& c, int64_t key_begin, int64_t key_end, const AttendPartial& out,
                           void* scratch) {
  auto& s = *static_cast<IntegerScratch*>(scratch);
  const IntegerPiece p(c, key_begin, key_end);
  Stream<IntegerPiece> stream(p);
  FetchValueScales(p);
  LoadWholeQueries<I>(c, s);
  SlotGroups at = p.first;
  for (int64_t j = p.tile.begin; j < p.tile.end; j += p.group, at.Next()) {
    for (int64_t panel = 0; panel < p.group / kKeyPanel; ++panel) {
      stream.Step(p.KeyLines() * kKeyPanel / p.group);
      const char* keys = p.Keys(at) + panel * kKeyPanel * c.head_dim;
      for (int64_t r = 0; r < p.rows; r += kScoreRows) {
        WithCount<kScoreRows>(p.rows - r, [&](auto n) {
          ScorePanel<I, n.value>(keys, c.head_dim / 4, s.query + 2 * r * kRowBytes, s.starts + r,
                                 s.sums + r * kScoreStride + j + panel * kKeyPanel);
        });
      }
    }
  }

  WeightsOfRows<I>(p, key_begin, key_end, s, out, stream);

  for (int64_t r = 0; r < p.rows; r += kWeighRows) {
    WithCount<kWeighRows>(p.rows - r, [&](auto n) {
      for (int64_t d = 0; d < c.head_dim; d += kWeighTiles * kLanes) {
        const int64_t columns = Min(c.head_dim - d, kWeighTiles * kLanes);
        WithCount<kWeighTiles>((columns + kLanes - 1) / kLanes, [&](auto tiles) {
          WeighTiles<I, n.value, tiles.value>(p, r == 0 && d == 0 ? &stream : nullptr, s.weights + 2 * r * kRowBytes,
                                              s.weight_scales + r, d, columns, out.out + r * c.head_dim);
        });
      }
    });
  }
}

}  // namespace
}  // namespace atb::kernels::simd
