#pragma once
// Attention of one tile over one piece of keys, over a vector type V (vec.h) and a way E to multiply stored elements;
// kernels/reference/attention.cpp says what is computed. Internal linkage, as in vec.h.
//
// E has: Weight, the type of a query's or a probability's element as it is multiplied; kDepth, the elements that one
// product sums (2: pairs, as bf16 is stored); Stored, sixteen lanes of kDepth elements; Load(p) and Load(p, lanes);
// Mul(stored, weights, acc) = acc + the products of kDepth elements; RoundTo(p, weights), which writes probabilities as
// rounded to the cache's dtype and returns them; LoadQuery, which writes a query's row as weights; kBytes, an element's
// size in the cache.
#include <math.h>

#include "kernels/attend_tile.h"
#include "kernels/simd/math.h"

namespace atb::kernels::simd {
namespace {

// One vector more than the piece, so that the rows of a tile do not share cache sets.
constexpr int64_t kScoreStride = kAttendChunk + kLanes;
constexpr int64_t kQueryStride = kMaxHeadDim + kLanes;

template <class Weight>
struct AttendScratch {
  alignas(64) float scores[kAttendRows * kScoreStride];
  alignas(64) Weight probs[kAttendRows * kScoreStride];
  alignas(64) Weight query[kAttendRows * kQueryStride];
};

/// Turns a row of products into probabilities: rounded by E into `probs`, zero where the row cannot see.
template <class V, class E>
inline void SoftmaxRow(const AttendCall& c, int64_t token, int64_t key_begin, const Span& tile, const Span& row,
                       float* scores, typename E::Weight* probs, float* max_out, float* sum_out) {
  const V none = V::Set1(-INFINITY);
  const V scale = V::Set1(c.scale);
  const float* mask = c.mask ? c.mask + token * c.mask_stride + key_begin : nullptr;
  V max = none;
  for (int64_t j = tile.begin; j < tile.end; j += kLanes) {
    V s = V::Load(scores + j) * scale;
    const int64_t lanes = Max(Min(row.end - j, kLanes), 0);
    if (mask) s = s + (lanes == kLanes ? V::Load(mask + j) : V::LoadPart(mask + j, lanes));
    if (lanes < kLanes) s = First(s, lanes, none);
    if (j < row.begin) s = First(none, Min(row.begin - j, kLanes), s);
    s.Store(scores + j);
    max = Max(s, max);
  }
  float top = ReduceMax(max);
  if (top == -INFINITY) top = 0;  // Nothing to see: each exp(-inf) below is 0. A NaN score stays a NaN.
  const V shift = V::Set1(top);
  V sum = V::Zero();
  for (int64_t j = tile.begin; j < tile.end; j += kLanes) {
    sum = sum + E::RoundTo(Exp(V::Load(scores + j) - shift), probs + j);
  }
  *sum_out = ReduceAdd(sum);
  *max_out = *sum_out == 0 ? -INFINITY : top;
}

/// All rows of a tile. `out`: max and sum.
template <class V, class E>
inline void SoftmaxRows(const AttendCall& c, int64_t key_begin, int64_t key_end, float* scores,
                        typename E::Weight* probs, const AttendPartial& out) {
  const Span tile = TileKeys(c, key_begin, key_end);
  for (int64_t r = 0; r < c.q_tokens * c.group; ++r) {
    const int64_t token = r / c.group;
    SoftmaxRow<V, E>(c, token, key_begin, tile, VisibleKeys(c, token, key_begin, key_end), scores + r * kScoreStride,
                     probs + r * kScoreStride, out.max + r, out.sum + r);
  }
}

/// Memory soon to be used. Any address is allowed.
inline void Prefetch(const char* p, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(p + i, 0, 2);
}

/// f(IntConstant<n>) for 1 <= n <= kMax, so that loops over n unroll into registers.
template <int kN>
struct IntConstant {
  static constexpr int value = kN;
};
template <int kMax, class F>
inline void WithCount(int64_t n, const F& f) {
  if constexpr (kMax > 1) {
    if (n < kMax) return WithCount<kMax - 1>(n, f);
  }
  f(IntConstant<kMax>());
}

/// Products of kRows queries with the 32 keys of two panels, each `units` groups of kDepth elements of d.
template <class V, class E, int kRows>
__attribute__((noinline)) void Scores(const typename E::Weight* query, const char* keys, int64_t units,
                                      int64_t panel_bytes, float* scores) {
  V acc[kRows][2];
  for (int r = 0; r < kRows; ++r) acc[r][0] = acc[r][1] = V::Zero();
  for (int64_t u = 0; u < units; ++u) {
    const char* at = keys + u * kLanes * E::kDepth * E::kBytes;
    const typename E::Stored k0 = E::Load(at);
    const typename E::Stored k1 = E::Load(at + panel_bytes);
    for (int r = 0; r < kRows; ++r) {
      const typename E::Weight* q = query + r * kQueryStride + u * E::kDepth;
      acc[r][0] = E::Mul(k0, q, acc[r][0]);
      acc[r][1] = E::Mul(k1, q, acc[r][1]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    acc[r][0].Store(scores + r * kScoreStride);
    acc[r][1].Store(scores + r * kScoreStride + kLanes);
  }
}

/// One tile's and piece's extents, computed once.
struct Piece {
  const AttendCall& call;
  int64_t key_begin;
  Span tile;
  int64_t key_dim;    ///< head_dim as stored.
  int64_t value_dim;
  bool stream;  ///< Decode reads the cache from memory, once: fetch ahead. The tiles of a prompt find it in L2.
};

/// While the values of this piece are weighed, the keys of the next one come.
template <class E>
inline void PrefetchNextKeys(const Piece& p, int64_t position) {
  const int64_t next = position + kAttendChunk;
  if (!p.stream || next >= p.call.context_len) return;
  const int64_t keys = FindPlace(p.call, next, p.key_dim, p.value_dim).keys;
  Prefetch(static_cast<const char*>(p.call.k_cache) + keys * E::kBytes, kValueDepth * p.key_dim * E::kBytes);
}

/// out[r, d .. d + columns) = sum over the tile's keys of probs[r] * value, for kRows rows and columns <= 16 * kTiles.
template <class V, class E, int kRows, int kTiles>
__attribute__((noinline)) void Weigh(const Piece& p, const typename E::Weight* probs, int64_t d, int64_t columns,
                                     float* out) {
  V acc[kRows][kTiles];
  for (int r = 0; r < kRows; ++r) {
    for (int t = 0; t < kTiles; ++t) acc[r][t] = V::Zero();
  }
  // Pairs are stored as whole tiles [16 d][2], single elements as rows of d.
  constexpr bool kTiled = E::kDepth == 2;
  const int64_t unit = (kTiled ? kLanes * 2 : p.value_dim) * E::kBytes;
  const int64_t tile = (kTiled ? kValueDepth * kLanes : kLanes) * E::kBytes;
  const int64_t last = kTiled ? kLanes : columns - (kTiles - 1) * kLanes;
  for (int64_t j = p.tile.begin; j < p.tile.end; j += kValueDepth) {
    const int64_t place = FindPlace(p.call, p.key_begin + j, p.key_dim, p.value_dim).values;
    const char* values = static_cast<const char*>(p.call.v_cache) + (place + (kTiled ? d * kValueDepth : d)) * E::kBytes;
    PrefetchNextKeys<E>(p, p.key_begin + j);
    for (int64_t u = 0; u < kValueDepth / E::kDepth; ++u) {
      typename E::Stored value[kTiles];
      for (int t = 0; t < kTiles - 1; ++t) value[t] = E::Load(values + u * unit + t * tile);
      value[kTiles - 1] = E::Load(values + u * unit + (kTiles - 1) * tile, last);
      for (int r = 0; r < kRows; ++r) {
        const typename E::Weight* weight = probs + r * kScoreStride + j + u * E::kDepth;
        for (int t = 0; t < kTiles; ++t) acc[r][t] = E::Mul(value[t], weight, acc[r][t]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    float* row = out + r * p.call.head_dim + d;
    for (int t = 0; t < kTiles - 1; ++t) acc[r][t].Store(row + t * kLanes);
    acc[r][kTiles - 1].StorePart(row + (kTiles - 1) * kLanes, columns - (kTiles - 1) * kLanes);
  }
}

/// KernelTable::attend. kScoreRows * 2 and kWeighRows * kWeighTiles accumulators live in registers.
template <class V, class E, int kScoreRows, int kWeighRows, int kWeighTiles>
inline void Attend(const AttendCall& c, int64_t key_begin, int64_t key_end, const AttendPartial& out, void* scratch) {
  using Weight = typename E::Weight;
  auto& s = *static_cast<AttendScratch<Weight>*>(scratch);
  const int64_t rows = c.q_tokens * c.group;
  const Piece p = {c,
                   key_begin,
                   TileKeys(c, key_begin, key_end),
                   RoundUp(c.head_dim, E::kDepth == 2 ? 32 : 8),
                   RoundUp(c.head_dim, E::kDepth == 2 ? 16 : 8),
                   c.q_tokens == 1};

  for (int64_t r = 0; r < rows; ++r) {
    const int64_t head = c.kv_head * c.group + r % c.group;
    E::LoadQuery(c.q, r / c.group * c.q_stride + head * c.head_dim, c.head_dim, s.query + r * kQueryStride);
  }
  for (int64_t j = p.tile.begin; j < p.tile.end; j += kValueDepth) {
    const Place at = FindPlace(c, key_begin + j, p.key_dim, p.value_dim);
    const char* keys = static_cast<const char*>(c.k_cache) + at.keys * E::kBytes;
    const char* values = static_cast<const char*>(c.v_cache) + at.values * E::kBytes;
    if (p.stream) Prefetch(values, kValueDepth * p.value_dim * E::kBytes);
    for (int64_t r = 0; r < rows; r += kScoreRows) {
      WithCount<kScoreRows>(rows - r, [&](auto n) {
        Scores<V, E, n.value>(s.query + r * kQueryStride, keys, c.head_dim / E::kDepth,
                              kKeyPanel * p.key_dim * E::kBytes, s.scores + r * kScoreStride + j);
      });
    }
  }

  SoftmaxRows<V, E>(c, key_begin, key_end, s.scores, s.probs, out);

  Piece once = p;
  for (int64_t r = 0; r < rows; r += kWeighRows) {
    WithCount<kWeighRows>(rows - r, [&](auto n) {
      for (int64_t d = 0; d < c.head_dim; d += kWeighTiles * kLanes) {
        const int64_t columns = Min(c.head_dim - d, kWeighTiles * kLanes);
        WithCount<kWeighTiles>((columns + kLanes - 1) / kLanes, [&](auto tiles) {
          Weigh<V, E, n.value, tiles.value>(once, s.probs + r * kScoreStride, d, columns, out.out + r * c.head_dim);
        });
        once.stream = false;
      }
    });
  }
}

/// KernelTable::merge.
template <class V>
inline void Merge(const AttendPartial& acc, const AttendPartial& part, int64_t rows, int64_t head_dim) {
  for (int64_t r = 0; r < rows; ++r) {
    if (part.max[r] == -INFINITY) continue;
    const float max = acc.max[r] > part.max[r] ? acc.max[r] : part.max[r];
    const V a = Exp(V::Set1(acc.max[r] - max));
    const V b = Exp(V::Set1(part.max[r] - max));
    acc.max[r] = max;
    // One lane through the same arithmetic as the rest.
    Fma(V::Set1(part.sum[r]), b, V::Set1(acc.sum[r]) * a).StorePart(acc.sum + r, 1);
    float* total = acc.out + r * head_dim;
    const float* more = part.out + r * head_dim;
    for (int64_t d = 0; d < head_dim; d += kLanes) {
      const int64_t n = Min(head_dim - d, kLanes);
      StoreAs(Fma(LoadAs<V>(more, DType::kF32, d, n), b, LoadAs<V>(total, DType::kF32, d, n) * a), total, DType::kF32,
              d, n);
    }
  }
}

/// to[0 .. n) = f32 of elements [at, at + n) of an array.
template <class V>
inline void StoreRow(const void* from, DType dtype, int64_t at, int64_t n, float* to) {
  for (int64_t i = 0; i < n; i += kLanes) {
    const int64_t lanes = Min(n - i, kLanes);
    StoreAs(LoadAs<V>(from, dtype, at + i, lanes), to, DType::kF32, i, lanes);
  }
}

/// f32 and f16 elements, one at a time, times f32.
template <class V, DType kType>
struct Single {
  using Weight = float;
  using Stored = V;
  static constexpr int kDepth = 1;
  static constexpr int64_t kBytes = kType == DType::kF32 ? 4 : 2;

  static V Load(const char* p) { return LoadAs<V>(p, kType, 0, kLanes); }
  static V Load(const char* p, int64_t lanes) { return LoadAs<V>(p, kType, 0, lanes); }
  static V Mul(V stored, const float* weight, V acc) { return Fma(stored, V::Set1(*weight), acc); }
  static V RoundTo(V p, float* to) {
    if constexpr (kType == DType::kF16) {
      uint16_t half[kLanes];
      p.StoreF16(half);
      p = V::LoadF16(half);
    }
    p.Store(to);
    return p;
  }
  static void LoadQuery(const void* q, int64_t at, int64_t head_dim, float* to) {
    StoreRow<V>(q, kType, at, head_dim, to);
  }
};

}  // namespace
}  // namespace atb::kernels::simd
