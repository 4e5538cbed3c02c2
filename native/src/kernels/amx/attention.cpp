#include <string.h>

#include "kernels/amx/kernels.h"
#include "kernels/amx/tiles.h"
#include "kernels/avx512/kernels.h"
#include "kernels/avx512_bf16/bf16_pairs.h"

namespace atb::kernels::amx {
namespace {

using avx512_bf16::BF16Pairs;
using avx512::Vec;
using simd::kProbStride;
using simd::kQueryStride;
using simd::kScoreStride;
using Piece = simd::Piece<BF16Pairs>;
using Stream = simd::KvStream<Piece>;
using Ahead = simd::PieceAhead<Piece>;

struct Scratch {
  simd::AttendScratch<uint16_t> s;
  alignas(64) float edge[kAttendTile * 16];  ///< The last columns of a head_dim that is no multiple of 16.
};
static_assert(sizeof(Scratch) <= kAttendScratchBytes);
static_assert(kMaxHeadDim % 32 == 0 && kTileRows == kKeyPanel && kTileRowBytes / 2 == kValueDepth);

constexpr int64_t kTileLines = kTileBytes / simd::kLine;
/// Tiles 2 to 5 keep queries, 32 elements of head_dim each.
constexpr int64_t kKeptSteps = 4;
/// Tiles 0 to 4 accumulate values, 16 columns each; tile 5 holds probabilities.
constexpr int64_t kValueTiles = 5;

// Tiles 0 to 5 have the rows of the queries: accumulators, queries, probabilities. 6 and 7 hold keys or values.
void ConfigureFor(int64_t rows) {
  TileConfig config;
  for (int t = 0; t < 8; ++t) config.Set(t, t < 6 ? rows : kTileRows);
  Configure(config);
}

/// Copies the queries of a call to rows of whole tiles.
void CopyQueries(const AttendCall& c, uint16_t* query) {
  simd::LoadQueries<BF16Pairs>(c, query);
  const auto padding = static_cast<size_t>(RoundUp(c.head_dim, 32) - c.head_dim) * 2;
  for (int64_t r = 0; padding > 0 && r < c.q_tokens * c.group; ++r)
    memset(query + r * kQueryStride + c.head_dim, 0, padding);
}

/// Tells a Stream that products read `lines` cache lines.
inline void Step(Stream& stream, int64_t lines) { stream.Step(lines); }
inline void Step(Ahead&, int64_t) {}

/// Sets tile kAcc to the products of all rows with the panel of 16 keys at `keys`, whose tiles follow one another in
/// memory; kSteps tiles keep the queries.
template <int kAcc, int kSteps, class S>
inline void ScorePanel(const char* keys, S& stream) {
  Zero<kAcc>();
  ForTiles<kSteps>([&]<int kStep>() {
    constexpr int kKeys = 6 + kStep % 2;
    Step(stream, kTileLines);
    StreamTile<kKeys>(keys + kStep * kTileBytes, kTileRowBytes);
    MultiplyBF16<kAcc, 2 + kStep, kKeys>();
  });
}

/// Products of all rows with the keys of the tile; heads are 32 * kSteps long. A panel is stored behind the products of
/// the next one, which need not wait for it.
template <int kSteps, class S>
void ScoreKept(const Piece& p, const GroupPlaces& places, const uint16_t* query, float* scores, S& stream) {
  ForTiles<kSteps>([&]<int kStep>() { LoadTile<2 + kStep>(query + kStep * 32, kQueryStride * 2); });
  for (int64_t j = p.tile.begin; j < p.tile.end; j += kValueDepth) {
    const char* keys = places.keys[j / kValueDepth];
    ScorePanel<0, kSteps>(keys, stream);
    if (j > p.tile.begin) StoreTile<1>(scores + j - kKeyPanel, kScoreStride * 4);
    ScorePanel<1, kSteps>(keys + kSteps * kTileBytes, stream);
    StoreTile<0>(scores + j, kScoreStride * 4);
  }
  StoreTile<1>(scores + p.tile.end - kKeyPanel, kScoreStride * 4);
}

/// The same for longer heads, whose queries come from memory.
template <class S>
void ScoreLoaded(const Piece& p, const GroupPlaces& places, const uint16_t* query, float* scores, S& stream) {
  const int64_t steps = p.key_dim / 32;
  for (int64_t j = p.tile.begin; j < p.tile.end; j += kValueDepth) {
    const char* keys = places.keys[j / kValueDepth];
    Zero<0>();
    Zero<1>();
    for (int64_t i = 0; i < steps; ++i, keys += kTileBytes) {
      Step(stream, 2 * kTileLines);
      LoadTile<2>(query + i * 32, kQueryStride * 2);
      StreamTile<6>(keys, kTileRowBytes);
      MultiplyBF16<0, 2, 6>();
      StreamTile<7>(keys + steps * kTileBytes, kTileRowBytes);
      MultiplyBF16<1, 2, 7>();
    }
    StoreTile<0>(scores + j, kScoreStride * 4);
    StoreTile<1>(scores + j + kKeyPanel, kScoreStride * 4);
  }
}

/// Adds the products of probabilities and values to tiles 0 .. kTiles - 1.
template <int kTiles>
inline void WeighGroup(const char* values) {
  ForTiles<kTiles>([&]<int kTile>() {
    constexpr int kValues = 6 + kTile % 2;
    StreamTile<kValues>(values + kTile * kTileBytes, kTileRowBytes);
    MultiplyBF16<kTile, 5, kValues>();
  });
}

/// Writes columns [0, columns) of the rows at `out`.
template <int kTiles, int kTile = 0>
inline void StoreTiles(float* out, int64_t stride, int64_t rows, int64_t columns, float* edge) {
  if constexpr (kTile < kTiles) {
    const int64_t n = Min(columns - kTile * 16, 16);
    if (n == 16) {
      StoreTile<kTile>(out + kTile * 16, stride * 4);
    } else {
      StoreTile<kTile>(edge, kTileRowBytes);
      for (int64_t r = 0; r < rows; ++r)
        memcpy(out + r * stride + kTile * 16, edge + r * 16, static_cast<size_t>(n) * 4);
    }
    StoreTiles<kTiles, kTile + 1>(out, stride, rows, columns, edge);
  }
}

/// Computes columns [d, d + columns) of the output, columns <= 16 * kTiles. The pass with d = 0 fetches for all passes.
template <int kTiles, class S>
void Weigh(const Piece& p, const GroupPlaces& places, const uint16_t* probs, int64_t d, int64_t columns, float* out,
           float* edge, S& stream) {
  ForTiles<kTiles>([]<int kTile>() { Zero<kTile>(); });
  for (int64_t j = p.tile.begin; j < p.tile.end; j += kValueDepth) {
    LoadTile<5>(probs + j, kProbStride * 2);
    if (d == 0) Step(stream, p.ValueLines());
    WeighGroup<kTiles>(places.values[j / kValueDepth] + d * kValueDepth * 2);
  }
  StoreTiles<kTiles>(out + d, p.call.value_dim, p.rows.count, columns, edge);
}

/// One piece for one tile of rows. S: Stream or Ahead.
template <class S>
void AttendPiece(const Piece& p, const GroupPlaces& places, int64_t key_begin, int64_t key_end,
                 const AttendPartial& out, Scratch& t, S stream) {
  const AttendCall& c = p.call;
  const uint16_t* query = t.s.query + p.rows.first * kQueryStride;
  const int64_t steps = p.key_dim / 32;
  if (steps > kKeptSteps) {
    ScoreLoaded(p, places, query, t.s.scores, stream);
  } else {
    simd::WithCount<kKeptSteps>(
        steps, [&](auto n) { ScoreKept<n.value>(p, places, query, t.s.scores, stream); });
  }

  simd::SoftmaxRows<Vec, BF16Pairs>(p, key_begin, key_end, t.s.scores, t.s.probs, out, stream);

  // As many passes over the values as the accumulators need, of equal width.
  const int64_t tiles = p.value_dim / 16;
  const int64_t passes = (tiles + kValueTiles - 1) / kValueTiles;
  const int64_t width = (tiles + passes - 1) / passes;
  for (int64_t first = 0; first < tiles; first += width) {
    simd::WithCount<kValueTiles>(Min(tiles - first, width), [&](auto n) {
      const int64_t d = first * 16;
      Weigh<n.value>(p, places, t.s.probs, d, Min(c.value_dim - d, width * 16), out.out, t.edge, stream);
    });
  }
}

}  // namespace

void Attend(const AttendCall& c, int64_t key_begin, int64_t key_end, const AttendPartial& out, void* scratch) {
  if (c.cache_dtype == DType::kI8) return AttendIntegers(c, key_begin, key_end, out, scratch);
  if (c.dtype != DType::kBF16) return avx512::Attend(c, key_begin, key_end, out, scratch);
  Scratch& t = *static_cast<Scratch*>(scratch);
  CopyQueries(c, t.s.query);
  int64_t configured = 0;
  GroupPlaces places;
  simd::AttendPieces<Vec>(c, key_begin, key_end, out, t.s.part,
                          [&](const Rows& rows, int64_t begin, int64_t end, const AttendPartial& to) {
                            if (rows.count != configured) ConfigureFor(configured = rows.count);
                            const Piece p(c, rows, begin, end);
                            places.Find(p, begin, end);
                            if (c.q_tokens == 1) {
                              AttendPiece(p, places, begin, end, to, t, Stream(p));
                            } else {
                              AttendPiece(p, places, begin, end, to, t, Ahead(p, key_end));
                            }
                          });
  Release();
}

}  // namespace atb::kernels::amx
