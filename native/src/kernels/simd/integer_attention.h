#pragma once
// Attention over a cache of integers, for a vector type V (vec.h) and a way I to multiply them; attention.h has the
// same phases for floats, and kernels/reference/attention.cpp says what is computed. Everything has internal linkage;
// vec.h says why.
//
// Queries, and probabilities times the values' scales, become whole numbers of 16 bits with a scale per row or token:
// 1/256 of the error that the cache's own 8 bits have. So products are sums of int32, which are exact in any order, and
// no phase can disagree with another about them.
//
// I has:
//   V                  the vector type
//   Exponential        Exponential(scale, shift)(x) = exp(x * scale - shift)
//   kBytes             bytes from a whole number to the next one; a row has room for 2 * kRowBytes
//   kSumRows           rows of int32 that hold a row's products: 2 are sums of high and of low digits
//   Total(p)           the products of sixteen keys as f32
//   StoreQuery(x, to, i), StoreWeight(x, to, i)  rounds four vectors to the whole numbers i .. i + 63 of a row; no
//                      weight is negative; kMaxWeight is the largest one, where it is not that of attention_integers.h
//   Stored             64 bytes, [16 lanes][4]; LoadKeys(p), LoadValues(p)
//   Sum                sixteen sums; Start(row), Zero()
//   StartOf(query, n)  what sums of a row of queries begin with
//   MulKeys(s, w, sum), MulValues(s, w, sum)     sum + the products of the lanes of s with the four numbers at w
//   StoreTotal(sum, p) writes sixteen int32; ToFloat(sum)
#include "kernels/simd/attention.h"
#include "kernels/simd/attention_integers.h"

namespace atb::kernels::simd {
namespace {

/// Products of kRows queries with a panel of 16 keys.
template <class I, int kRows>
__attribute__((noinline)) void ScorePanel(const char* keys, int64_t quads, const int8_t* query, const SumStarts* starts,
                                          int32_t* sums) {
  typename I::Sum acc[kRows];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) acc[r] = I::Start(starts[r]);
  for (int64_t u = 0; u < quads; ++u) {
    const typename I::Stored k = I::LoadKeys(keys + u * kLine);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r)
      acc[r] = I::MulKeys(k, query + 2 * r * kRowBytes + u * 4 * I::kBytes, acc[r]);
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) I::StoreTotal(acc[r], sums + r * kScoreStride);
}

/// out[r, d .. d + columns) = the weights times the values of the tile's keys, for kRows rows and columns <= 16 *
/// kTiles.
template <class I, int kRows, int kTiles>
__attribute__((noinline)) void WeighTiles(const IntegerPiece& p, KvStream<IntegerPiece>* stream, const int8_t* weights,
                                          const float* scales, int64_t d, int64_t columns, float* out) {
  using V = typename I::V;
  typename I::Sum acc[kRows][kTiles];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int t = 0; t < kTiles; ++t) acc[r][t] = I::Zero();
  }
  const int64_t tile = p.group * kLanes;
  SlotGroups at = p.first;
  for (int64_t j = p.tile.begin; j < p.tile.end; j += p.group, at.Next()) {
    const char* values = p.Values(at) + d * p.group;
    if (stream) stream->Step(p.ValueLines());
    for (int64_t u = 0; u < p.group / 4; ++u) {
#pragma GCC unroll 8
      for (int t = 0; t < kTiles; ++t) {
        const typename I::Stored value = I::LoadValues(values + t * tile + u * kLine);
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r)
          acc[r][t] = I::MulValues(value, weights + 2 * r * kRowBytes + (j + u * 4) * I::kBytes, acc[r][t]);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int t = 0; t < kTiles; ++t) {
      const V x = I::ToFloat(acc[r][t]) * V::Set1(scales[r]);
      StoreAs(x, out + r * p.call.value_dim + d, DType::kF32, t * kLanes, columns - t * kLanes);
    }
  }
}

/// One piece for one tile. kScoreRows sums, then kWeighRows * kWeighTiles, are in registers.
template <class I, int kScoreRows, int kWeighRows, int kWeighTiles>
inline void AttendIntegerPiece(const IntegerPiece& p, int64_t key_begin, int64_t key_end, const AttendPartial& out,
                               IntegerScratch& s) {
  const AttendCall& c = p.call;
  KvStream<IntegerPiece> stream(p);
  FetchValueScales(p);
  const int8_t* query = s.query + 2 * p.rows.first * kRowBytes;
  SlotGroups at = p.first;
  for (int64_t j = p.tile.begin; j < p.tile.end; j += p.group, at.Next()) {
    for (int64_t panel = 0; panel < p.group / kKeyPanel; ++panel) {
      stream.Step(p.KeyLines() * kKeyPanel / p.group);
      const char* keys = p.Keys(at) + panel * kKeyPanel * c.head_dim;
      for (int64_t r = 0; r < p.rows.count; r += kScoreRows) {
        WithCount<kScoreRows>(p.rows.count - r, [&](auto n) {
          ScorePanel<I, n.value>(keys, c.head_dim / 4, query + 2 * r * kRowBytes, s.starts + p.rows.first + r,
                                 s.sums + r * kScoreStride + j + panel * kKeyPanel);
        });
      }
    }
  }

  WeightsOfRows<I>(p, key_begin, key_end, s, out, stream);

  for (int64_t r = 0; r < p.rows.count; r += kWeighRows) {
    WithCount<kWeighRows>(p.rows.count - r, [&](auto n) {
      for (int64_t d = 0; d < c.value_dim; d += kWeighTiles * kLanes) {
        const int64_t columns = Min(c.value_dim - d, kWeighTiles * kLanes);
        WithCount<kWeighTiles>((columns + kLanes - 1) / kLanes, [&](auto tiles) {
          WeighTiles<I, n.value, tiles.value>(p, r == 0 && d == 0 ? &stream : nullptr, s.weights + 2 * r * kRowBytes,
                                              s.weight_scales + r, d, columns, out.out + r * c.value_dim);
        });
      }
    });
  }
}

/// KernelTable::attend for a cache of integers; the numbers are AttendIntegerPiece's.
template <class I, int kScoreRows, int kWeighRows, int kWeighTiles>
inline void AttendIntegers(const AttendCall& c, int64_t key_begin, int64_t key_end, const AttendPartial& out,
                           void* scratch) {
  auto& s = *static_cast<IntegerScratch*>(scratch);
  QuantizeQueries<I>(c, s);
  using V = typename I::V;
  AttendPieces<V>(c, key_begin, key_end, out, s.part,
                  [&](const Rows& rows, int64_t begin, int64_t end, const AttendPartial& to) {
                    const IntegerPiece p(c, rows, begin, end);
                    AttendIntegerPiece<I, kScoreRows, kWeighRows, kWeighTiles>(p, begin, end, to, s);
                  });
}

}  // namespace
}  // namespace atb::kernels::simd
