#pragma once
// Attention of one query tile over one piece of keys, for a vector type V (vec.h) and a way E to multiply elements of
// the cache; kernels/reference/attention.cpp says what is computed. Everything has internal linkage; vec.h says why.
//
// Attend goes through three phases for all rows of the tile and all keys of the piece:
//
//   ScoreKeys     scores [rows][keys]   = queries * keys
//   SoftmaxRows   probs  [rows][keys]   = exp(scores - the row's largest), and their sum
//   WeighValues   out    [rows][value_dim] = probs * values
//
// E has:
//   Factor             the type of a query's or a probability's element as it is multiplied
//   kBytes             the size of a stored element
//   kDepth             the stored elements that one product sums: 2 for bf16, which is stored in pairs
//   Stored             sixteen lanes of kDepth elements; Load(p), Load(p, lanes)
//   Mul(s, f, acc)     acc + the products of the lanes of s with the kDepth factors at f
//   Exponential        Exponential(scale, shift)(x) = exp(x * scale - shift), as exact as the factors need
//   Keep(p, q, to, sum)  writes two vectors of probabilities as factors, and returns sum + what it wrote
//   LoadQuery(q, at, n, to)  writes n elements of a query as factors
#include <math.h>

#include "kernels/simd/attend_pieces.h"
#include "kernels/simd/attention_rows.h"
#include "kernels/simd/kv_stream.h"
#include "kernels/simd/math.h"

namespace atb::kernels::simd {
namespace {

// Rows are a line longer than they need to be, or two, so that those of a tile do not fall into the same cache sets.
// They begin where lines do, of two bytes, too.
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

/// Calls f(IntConstant<n>) for 1 <= n <= kMax; a larger n counts as kMax. So loops over n unroll into registers.
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

/// Products of kRows queries with the 32 keys of two panels. A panel has `units` units of kDepth elements of its keys.
template <class V, class E, int kRows>
__attribute__((noinline)) void ScoreKeys(KvStream<Piece<E>>* stream, const typename E::Factor* query, const char* keys,
                                         int64_t units, int64_t panel_bytes, float* scores) {
  constexpr int64_t kUnitBytes = kLanes * E::kDepth * E::kBytes;
  constexpr int64_t kUnits = 8;  // Units between two fetches.
  V acc[kRows][2];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) acc[r][0] = acc[r][1] = V::Zero();
  for (int64_t begin = 0; begin < units; begin += kUnits) {
    const int64_t end = Min(begin + kUnits, units);
    if (stream) stream->Step((end - begin) * 2 * kUnitBytes / kLine);
    for (int64_t u = begin; u < end; ++u) {
      const typename E::Stored k0 = E::Load(keys + u * kUnitBytes);
      const typename E::Stored k1 = E::Load(keys + panel_bytes + u * kUnitBytes);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const typename E::Factor* q = query + r * kQueryStride + u * E::kDepth;
        acc[r][0] = E::Mul(k0, q, acc[r][0]);
        acc[r][1] = E::Mul(k1, q, acc[r][1]);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    acc[r][0].Store(scores + r * kScoreStride);
    acc[r][1].Store(scores + r * kScoreStride + kLanes);
  }
}

/// out[r, d .. d + columns) = sum over the tile's keys of probs[r] * value, for kRows rows and columns <= 16 * kTiles.
template <class V, class E, int kRows, int kTiles>
__attribute__((noinline)) void WeighValues(const Piece<E>& p, KvStream<Piece<E>>* stream,
                                           const typename E::Factor* probs, int64_t d, int64_t columns, float* out) {
  V acc[kRows][kTiles];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int t = 0; t < kTiles; ++t) acc[r][t] = V::Zero();
  }
  // Pairs of elements are stored as tiles [16 d][2], single elements as rows of d.
  constexpr bool kTiled = E::kDepth == 2;
  constexpr int64_t kUnits = kValueDepth / E::kDepth;
  const int64_t unit = (kTiled ? kLanes * 2 : p.value_dim) * E::kBytes;
  const int64_t tile = (kTiled ? kValueDepth * kLanes : kLanes) * E::kBytes;
  const int64_t last = kTiled ? kLanes : columns - (kTiles - 1) * kLanes;
  SlotGroups at = p.first;
  for (int64_t j = p.tile.begin; j < p.tile.end; j += kValueDepth, at.Next()) {
    const char* values = p.Values(at) + (kTiled ? d * kValueDepth : d) * E::kBytes;
    for (int64_t u = 0; u < kUnits; ++u) {
      if (stream && u % (kUnits / 4) == 0) stream->Step(p.ValueLines() / 4);
      typename E::Stored value[kTiles];
      for (int t = 0; t < kTiles - 1; ++t) value[t] = E::Load(values + u * unit + t * tile);
      value[kTiles - 1] = E::Load(values + u * unit + (kTiles - 1) * tile, last);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const typename E::Factor* weight = probs + r * kProbStride + j + u * E::kDepth;
#pragma GCC unroll 8
        for (int t = 0; t < kTiles; ++t) acc[r][t] = E::Mul(value[t], weight, acc[r][t]);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    float* row = out + r * p.call.value_dim + d;
#pragma GCC unroll 8
    for (int t = 0; t < kTiles - 1; ++t) acc[r][t].Store(row + t * kLanes);
    acc[r][kTiles - 1].StorePart(row + (kTiles - 1) * kLanes, columns - (kTiles - 1) * kLanes);
  }
}

template <class E>
inline void LoadQueries(const AttendCall& c, typename E::Factor* query) {
  for (int64_t r = 0; r < c.q_tokens * c.group; ++r) {
    const int64_t head = c.kv_head * c.group + r % c.group;
    E::LoadQuery(c.q, r / c.group * c.q_stride + head * c.head_dim, c.head_dim, query + r * kQueryStride);
  }
}

/// One piece for one tile. kScoreRows * 2 accumulators, then kWeighRows * kWeighTiles, are in registers.
template <class V, class E, int kScoreRows, int kWeighRows, int kWeighTiles>
inline void AttendPiece(const Piece<E>& p, int64_t key_begin, int64_t key_end, const AttendPartial& out,
                        AttendScratch<typename E::Factor>& s) {
  const AttendCall& c = p.call;
  KvStream<Piece<E>> stream(p);
  const typename E::Factor* query = s.query + p.rows.first * kQueryStride;
  SlotGroups at = p.first;
  for (int64_t j = p.tile.begin; j < p.tile.end; j += kValueDepth, at.Next()) {
    for (int64_t r = 0; r < p.rows.count; r += kScoreRows) {
      WithCount<kScoreRows>(p.rows.count - r, [&](auto n) {
        ScoreKeys<V, E, n.value>(r == 0 ? &stream : nullptr, query + r * kQueryStride, p.Keys(at),
                                 c.head_dim / E::kDepth, kKeyPanel * p.key_dim * E::kBytes,
                                 s.scores + r * kScoreStride + j);
      });
    }
  }

  SoftmaxRows<V, E>(p, key_begin, key_end, s.scores, s.probs, out, stream);

  for (int64_t r = 0; r < p.rows.count; r += kWeighRows) {
    WithCount<kWeighRows>(p.rows.count - r, [&](auto n) {
      for (int64_t d = 0; d < c.value_dim; d += kWeighTiles * kLanes) {
        const int64_t columns = Min(c.value_dim - d, kWeighTiles * kLanes);
        WithCount<kWeighTiles>((columns + kLanes - 1) / kLanes, [&](auto tiles) {
          WeighValues<V, E, n.value, tiles.value>(p, r == 0 && d == 0 ? &stream : nullptr, s.probs + r * kProbStride,
                                                  d, columns, out.out + r * c.value_dim);
        });
      }
    });
  }
}

/// KernelTable::attend for a cache of floats; the numbers are AttendPiece's.
template <class V, class E, int kScoreRows, int kWeighRows, int kWeighTiles>
inline void Attend(const AttendCall& c, int64_t key_begin, int64_t key_end, const AttendPartial& out, void* scratch) {
  auto& s = *static_cast<AttendScratch<typename E::Factor>*>(scratch);
  LoadQueries<E>(c, s.query);
  AttendPieces<V>(c, key_begin, key_end, out, s.part,
                  [&](const Rows& rows, int64_t begin, int64_t end, const AttendPartial& to) {
                    const Piece<E> p(c, rows, begin, end);
                    AttendPiece<V, E, kScoreRows, kWeighRows, kWeighTiles>(p, begin, end, to, s);
                  });
}

}  // namespace
}  // namespace atb::kernels::simd
