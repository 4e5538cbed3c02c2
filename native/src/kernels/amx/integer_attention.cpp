#include "kernels/amx/integer_shapes.h"
#include "kernels/amx/kernels.h"
#include "kernels/avx512/kv_integers.h"

namespace atb::kernels::amx {
namespace {

using avx512::Vec;
using simd::IntegerPiece;
using simd::kRowBytes;
using simd::kScoreStride;
using Stream = simd::KvStream<IntegerPiece>;
using Ahead = simd::PieceAhead<IntegerPiece>;

/// Tiles store the sums of high and of low digits apart.
struct KvIntegers : avx512::KvIntegers {
  static constexpr int64_t kSumRows = 2;
  static simd::SumStarts StartOf(const int8_t*, int64_t) { return {0, 0}; }
  static Vec Total(const int32_t* sums) {
    return ToFloat({_mm512_loadu_si512(sums), _mm512_loadu_si512(sums + kScoreStride)});
  }
};

struct Scratch {
  simd::IntegerScratch s;
  alignas(64) int32_t edge[2 * kAttendTile * 16];
};
static_assert(sizeof(Scratch) <= kAttendScratchBytes);

/// Rows of a prompt that are computed together: with more, sums of both digits, weights and values do not fit L1. That
/// is worth 10 % for heads of 64 (8 rows 38, 16 rows 43 ns for what one product of tiles takes 10 to 11).
constexpr int64_t kNarrowTile = 8;
/// Longer heads are bound by products, which want more rows.
constexpr int64_t kLongestNarrow = 128;

/// Tells a Stream that products read `lines` cache lines.
inline void Step(Stream& stream, int64_t lines) { stream.Step(lines); }
inline void Step(Ahead&, int64_t) {}

inline const int8_t* Half(const int8_t* rows, int64_t half) { return rows + half * kRowBytes; }

/// Loads digits of queries into tiles from 2 on, `steps` whole or partial tiles of each kind.
template <int kHalves, int kStep = 0>
inline void KeepQueries(const int8_t* query, int64_t steps) {
  if constexpr ((kStep + 1) * kHalves <= kKeptTiles) {
    if (kStep >= steps) return;
    LoadTile<2 + kStep * kHalves>(query + kStep * 64, kHalves * kRowBytes);
    if constexpr (kHalves == 2) LoadTile<3 + kStep * kHalves>(Half(query, 1) + kStep * 64, kHalves * kRowBytes);
    KeepQueries<kHalves, kStep + 1>(query, steps);
  }
}

template <int kHalves, int kAcc, int kQuery, int kKeys>
inline void MultiplyQueries() {
  MultiplyI8<kAcc, kQuery, kKeys>();
  if constexpr (kHalves == 2) MultiplyI8<kAcc + 1, kQuery + 1, kKeys>();
}

template <int kHalves, int kAcc>
inline void ZeroSums() {
  Zero<kAcc>();
  if constexpr (kHalves == 2) Zero<kAcc + 1>();
}

template <int kHalves, int kAcc>
inline void StoreSums(int32_t* sums) {
  StoreTile<kAcc>(sums, kHalves * kScoreStride * 4);
  if constexpr (kHalves == 2) StoreTile<kAcc + 1>(sums + kScoreStride, kHalves * kScoreStride * 4);
}

/// Adds the products of keys and kept queries from step kStep on.
template <int kHalves, int kStep = 0>
inline void ScoreKept(const char* keys, int64_t full, bool rest) {
  if constexpr ((kStep + 1) * kHalves <= kKeptTiles) {
    if (kStep < full) {
      StreamTile<6>(keys + kStep * kTileBytes, kTileRowBytes);
      MultiplyQueries<kHalves, 0, 2 + kStep * kHalves, 6>();
      ScoreKept<kHalves, kStep + 1>(keys, full, rest);
    } else if (rest) {
      StreamTile<7>(keys + kStep * kTileBytes, kTileRowBytes);
      MultiplyQueries<kHalves, 0, 2 + kStep * kHalves, 7>();
    }
  }
}

/// ScoreKept with queries from memory, where four tiles cannot keep them: head_dim > 256, or > 128 with two halves.
template <int kHalves>
inline void ScoreLoaded(const int8_t* query, const char* keys, int64_t full, bool rest) {
  for (int64_t i = 0; i < full; ++i) {
    StreamTile<6>(keys + i * kTileBytes, kTileRowBytes);
    LoadTile<2>(query + i * 64, kHalves * kRowBytes);
    if constexpr (kHalves == 2) LoadTile<3>(Half(query, 1) + i * 64, 2 * kRowBytes);
    MultiplyQueries<kHalves, 0, 2, 6>();
  }
  if (!rest) return;
  StreamTile<7>(keys + full * kTileBytes, kTileRowBytes);
  LoadTile<2 + kHalves>(query + full * 64, kHalves * kRowBytes);
  if constexpr (kHalves == 2) LoadTile<5>(Half(query, 1) + full * 64, 2 * kRowBytes);
  MultiplyQueries<kHalves, 0, 2 + kHalves, 7>();
}

/// Sets tiles from kAcc on to the products of all rows with a panel of keys; heads are 64 * kSteps long and kept.
template <int kHalves, int kSteps, int kAcc, class S>
inline void ScorePanel(const char* keys, int64_t lines, S& stream) {
  Step(stream, lines);
  ZeroSums<kHalves, kAcc>();
  ForTiles<kSteps>([&]<int kStep>() {
    constexpr int kKeys = 6 + kStep % 2;
    StreamTile<kKeys>(keys + kStep * kTileBytes, kTileRowBytes);
    MultiplyQueries<kHalves, kAcc, 2 + kStep * kHalves, kKeys>();
  });
}

/// Score for heads of 64 * kSteps. Where tiles are left to sum up the next panel, one is stored behind its products,
/// which need not wait for it.
template <int kHalves, int kSteps, class S>
void ScoreWhole(const IntegerPiece& p, const GroupPlaces& places, simd::IntegerScratch& s, S& stream) {
  constexpr bool kWaits = kHalves == 2 && kSteps == 2;
  constexpr int kOther = kWaits ? 0 : kHalves == 2 ? 4 : 1;
  KeepQueries<kHalves>(s.query + 2 * p.rows.first * kRowBytes, kSteps);
  const int64_t lines = p.KeyLines() * kKeyPanel / p.group;
  constexpr int64_t kPanelBytes = kKeyPanel * 64 * kSteps;
  for (int64_t j = p.tile.begin; j < p.tile.end; j += 2 * kKeyPanel) {
    const char* keys = places.keys[j >> p.shift] + j % p.group / kKeyPanel * kPanelBytes;
    ScorePanel<kHalves, kSteps, 0>(keys, lines, stream);
    if (!kWaits && j > p.tile.begin) StoreSums<kHalves, kOther>(s.sums + j - kKeyPanel);
    if (kWaits) StoreSums<kHalves, 0>(s.sums + j);
    ScorePanel<kHalves, kSteps, kOther>(keys + kPanelBytes, lines, stream);
    StoreSums<kHalves, kWaits ? kOther : 0>(s.sums + j + (kWaits ? kKeyPanel : 0));
  }
  if (!kWaits) StoreSums<kHalves, kOther>(s.sums + p.tile.end - kKeyPanel);
}

/// Products of all rows with all keys of the tile.
template <int kHalves, class S>
inline void Score(const IntegerPiece& p, const GroupPlaces& places, simd::IntegerScratch& s, S& stream) {
  const int64_t head_dim = p.call.head_dim;
  if (head_dim == 64) return ScoreWhole<kHalves, 1>(p, places, s, stream);
  if (head_dim == 128) return ScoreWhole<kHalves, 2>(p, places, s, stream);
  const int64_t full = head_dim / 64;
  const bool rest = head_dim % 64 != 0;
  const bool kept = (full + rest) * kHalves <= kKeptTiles;
  const int8_t* query = s.query + 2 * p.rows.first * kRowBytes;
  if (kept) KeepQueries<kHalves>(query, full + rest);
  const int64_t lines = p.KeyLines() * kKeyPanel / p.group;
  for (int64_t j = p.tile.begin; j < p.tile.end; j += kKeyPanel) {
    const char* keys = places.keys[j >> p.shift] + j % p.group * head_dim;
    Step(stream, lines);
    ZeroSums<kHalves, 0>();
    if (kept) {
      ScoreKept<kHalves>(keys, full, rest);
    } else {
      ScoreLoaded<kHalves>(query, keys, full, rest);
    }
    StoreSums<kHalves, 0>(s.sums + j);
  }
}

/// Adds the products of weights and values for kTiles tiles of values.
template <int kHalves, int kTiles, int kTile = 0>
inline void WeighGroup(const char* values, int64_t tile_bytes) {
  if constexpr (kTile < kTiles) {
    constexpr int kValues = 6 + kTile % 2;
    StreamTile<kValues>(values + kTile * tile_bytes, kTileRowBytes);
    if constexpr (kHalves == 1) {
      MultiplyU8I8<kTile, 5, kValues>();
    } else {
      MultiplyU8I8<2 * kTile, 4, kValues>();
      MultiplyU8I8<2 * kTile + 1, 5, kValues>();
    }
    WeighGroup<kHalves, kTiles, kTile + 1>(values, tile_bytes);
  }
}

/// Writes columns [0, columns) of the output: sums of high and low digits are joined and multiplied by scales. `edge`
/// gets the sums, those of high digits in its even rows.
template <int kHalves, int kTiles, int kTile = 0>
inline void StoreTiles(const IntegerPiece& p, const float* scales, int64_t columns, float* out, int32_t* edge) {
  if constexpr (kTile < kTiles) {
    if constexpr (kHalves == 1) {
      StoreTile<kTile>(edge, kTileRowBytes);
    } else {
      StoreTile<2 * kTile>(edge, 2 * kTileRowBytes);
      StoreTile<2 * kTile + 1>(edge + 16, 2 * kTileRowBytes);
    }
    for (int64_t r = 0; r < p.rows.count; ++r) {
      const int32_t* sums = edge + r * 32;
      const Vec x = KvIntegers::ToFloat({_mm512_load_si512(sums), _mm512_load_si512(sums + 16)});
      simd::StoreAs(x * Vec::Set1(scales[r]), out + r * p.call.value_dim, DType::kF32, kTile * 16, columns - kTile * 16);
    }
    StoreTiles<kHalves, kTiles, kTile + 1>(p, scales, columns, out, edge);
  }
}

/// Computes columns [d, d + columns) of the output, columns <= 16 * kTiles. The pass with d = 0 fetches for all passes.
template <int kHalves, int kTiles, class S>
void Weigh(const IntegerPiece& p, const GroupPlaces& places, Scratch& t, int64_t d, int64_t columns, float* out,
           S& stream) {
  ForTiles<kHalves * kTiles>([]<int kTile>() { Zero<kTile>(); });
  for (int64_t j = p.tile.begin; j < p.tile.end; j += p.group) {
    if (d == 0) Step(stream, p.ValueLines());
    if constexpr (kHalves == 1) {
      LoadTile<5>(t.s.weights + j, kRowBytes);
    } else {
      LoadTile<4>(t.s.weights + j, 2 * kRowBytes);
      LoadTile<5>(Half(t.s.weights, 1) + j, 2 * kRowBytes);
    }
    WeighGroup<kHalves, kTiles>(places.values[j >> p.shift] + d * p.group, p.group * 16);
  }
  StoreTiles<kHalves, kTiles>(p, t.s.weight_scales, columns, out + d, t.edge);
}

/// All columns, in passes of equal width. There are as many passes as the accumulators need.
template <int kHalves, int kMaxTiles, class S>
void WeighAll(const IntegerPiece& p, const GroupPlaces& places, Scratch& t, float* out, S& stream) {
  const int64_t value_dim = p.call.value_dim;
  const int64_t tiles = (value_dim + 15) / 16;
  const int64_t passes = (tiles + kMaxTiles - 1) / kMaxTiles;
  const int64_t width = (tiles + passes - 1) / passes;
  for (int64_t first = 0; first < tiles; first += width) {
    simd::WithCount<kMaxTiles>(Min(tiles - first, width), [&](auto n) {
      const int64_t d = first * 16;
      Weigh<kHalves, n.value>(p, places, t, d, Min(value_dim - d, width * 16), out, stream);
    });
  }
}

/// One piece for one tile of rows. `configured`: the rows that tiles are shaped for, or 0. S: Stream or Ahead.
template <class S>
void AttendPiece(const IntegerPiece& p, const GroupPlaces& places, int64_t key_begin, int64_t key_end,
                 const AttendPartial& out, Scratch& t, int64_t& configured, S stream) {
  const AttendCall& c = p.call;
  simd::FetchValueScales(p);
  const Shape shape(p.rows.count);
  // Where both kinds of products have whole tiles, their shapes are alike, and configuring once is enough.
  const bool alike = c.head_dim % 64 == 0 && p.group == kIntegerGroup;
  if (!alike || configured != p.rows.count) ConfigureScores(shape, c.head_dim);
  configured = p.rows.count;
  if (shape.halves == 1) {
    Score<1>(p, places, t.s, stream);
  } else {
    Score<2>(p, places, t.s, stream);
  }

  simd::WeightsOfRows<KvIntegers>(p, key_begin, key_end, t.s, out, stream);

  if (!alike) ConfigureWeights(shape, p.group);
  if (shape.halves == 1) {
    WeighAll<1, 5>(p, places, t, out.out, stream);
  } else {
    WeighAll<2, 2>(p, places, t, out.out, stream);
  }
}

}  // namespace

void AttendIntegers(const AttendCall& c, int64_t key_begin, int64_t key_end, const AttendPartial& out, void* scratch) {
  Scratch& t = *static_cast<Scratch*>(scratch);
  simd::QuantizeQueries<KvIntegers>(c, t.s);
  int64_t configured = 0;
  GroupPlaces places;
  const auto attend = [&](const Rows& rows, int64_t begin, int64_t end, const AttendPartial& to) {
    const IntegerPiece p(c, rows, begin, end);
    places.Find(p, begin, end);
    if (c.q_tokens == 1) {
      AttendPiece(p, places, begin, end, to, t, configured, Stream(p));
    } else {
      AttendPiece(p, places, begin, end, to, t, configured, Ahead(p, key_end));
    }
  };
  const bool narrow = c.q_tokens > 1 && c.head_dim <= kLongestNarrow;
  simd::AttendPieces<Vec>(c, key_begin, key_end, out, t.s.part, attend, narrow ? kNarrowTile : kAttendTile);
  Release();
}

}  // namespace atb::kernels::amx
