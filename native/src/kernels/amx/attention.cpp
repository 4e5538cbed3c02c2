#include <string.h>

#include "kernels/amx/kernels.h"
#include "kernels/amx/tiles.h"
#include "kernels/avx512/kernels.h"
#include "kernels/avx512/bf16_pairs.h"

namespace atb::kernels::amx {
namespace {

using avx512::BF16Pairs;
using avx512::Vec;
using simd::kQueryStride;
using simd::kScoreStride;
using Piece = simd::Piece<BF16Pairs>;
using Stream = simd::KvStream<Piece>;

struct Scratch {
  simd::AttendScratch<uint16_t> s;
  alignas(64) float edge[kAttendRows * 16];  ///< The last columns of a head_dim that is no multiple of 16.
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

/// Copies the queries to rows of whole tiles, and loads them into tiles 2 to 5 if they fit.
void LoadQueries(const Piece& p, uint16_t* query) {
  simd::LoadQueries<BF16Pairs>(p.call, query);
  if (p.key_dim > p.call.head_dim) {
    const auto padding = static_cast<size_t>(p.key_dim - p.call.head_dim) * 2;
    for (int64_t r = 0; r < p.rows; ++r) memset(query + r * kQueryStride + p.call.head_dim, 0, padding);
  }
  const int64_t steps = p.key_dim / 32;
  if (steps > kKeptSteps) return;
  LoadTile<2>(query, kQueryStride * 2);
  if (steps > 1) LoadTile<3>(query + 32, kQueryStride * 2);
  if (steps > 2) LoadTile<4>(query + 64, kQueryStride * 2);
  if (steps > 3) LoadTile<5>(query + 96, kQueryStride * 2);
}

/// Adds the products of keys and kept queries from step kStep on to tile kAcc.
template <int kAcc, int kStep = 0>
inline void ScoreKept(const char* keys, int64_t steps, Stream& stream) {
  if constexpr (kStep < kKeptSteps) {
    if (kStep >= steps) return;
    constexpr int kKeys = 6 + kStep % 2;
    stream.Step(kTileLines);
    LoadTile<kKeys>(keys + kStep * kTileBytes, kTileRowBytes);
    MultiplyBF16<kAcc, 2 + kStep, kKeys>();
    ScoreKept<kAcc, kStep + 1>(keys, steps, stream);
  }
}

/// Products of all rows with one panel of 16 keys whose queries are kept; a panel's tiles follow one another in memory.
template <int kAcc>
inline void ScorePanel(const char* keys, int64_t steps, float* scores, Stream& stream) {
  Zero<kAcc>();
  ScoreKept<kAcc>(keys, steps, stream);
  StoreTile<kAcc>(scores, kScoreStride * 4);
}

/// The same with two panels, whose queries come from memory.
inline void ScoreLoaded(const uint16_t* query, const char* keys, int64_t panel_bytes, int64_t steps, float* scores,
                        Stream& stream) {
  Zero<0>();
  Zero<1>();
  for (int64_t i = 0; i < steps; ++i) {
    stream.Step(2 * kTileLines);
    LoadTile<2>(query + i * 32, kQueryStride * 2);
    LoadTile<6>(keys + i * kTileBytes, kTileRowBytes);
    MultiplyBF16<0, 2, 6>();
    LoadTile<7>(keys + panel_bytes + i * kTileBytes, kTileRowBytes);
    MultiplyBF16<1, 2, 7>();
  }
  StoreTile<0>(scores, kScoreStride * 4);
  StoreTile<1>(scores + kKeyPanel, kScoreStride * 4);
}

/// Adds the products of probabilities and values to tiles kTile .. kTiles - 1.
template <int kTiles, int kTile = 0>
inline void WeighGroup(const char* values) {
  if constexpr (kTile < kTiles) {
    constexpr int kValues = 6 + kTile % 2;
    LoadTile<kValues>(values + kTile * kTileBytes, kTileRowBytes);
    MultiplyBF16<kTile, 5, kValues>();
    WeighGroup<kTiles, kTile + 1>(values);
  }
}

template <int kTiles, int kTile = 0>
inline void ZeroTiles() {
  if constexpr (kTile < kTiles) {
    Zero<kTile>();
    ZeroTiles<kTiles, kTile + 1>();
  }
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
template <int kTiles>
void Weigh(const Piece& p, const uint16_t* probs, int64_t d, int64_t columns, float* out, float* edge, Stream& stream) {
  ZeroTiles<kTiles>();
  SlotGroups at = p.first;
  for (int64_t j = p.tile.begin; j < p.tile.end; j += kValueDepth, at.Next()) {
    LoadTile<5>(probs + j, kScoreStride * 2);
    if (d == 0) stream.Step(p.ValueLines());
    WeighGroup<kTiles>(p.Values(at) + d * kValueDepth * 2);
  }
  StoreTiles<kTiles>(out + d, p.call.value_dim, p.rows, columns, edge);
}

}  // namespace

void Attend(const AttendCall& c, int64_t key_begin, int64_t key_end, const AttendPartial& out, void* scratch) {
  if (c.cache_dtype == DType::kI8) return AttendIntegers(c, key_begin, key_end, out, scratch);
  if (c.dtype != DType::kBF16) return avx512::Attend(c, key_begin, key_end, out, scratch);
  Scratch& t = *static_cast<Scratch*>(scratch);
  const Piece p(c, key_begin, key_end);
  Stream stream(p);
  ConfigureFor(p.rows);
  LoadQueries(p, t.s.query);
  const int64_t panel_bytes = kKeyPanel * p.key_dim * 2;
  const int64_t steps = p.key_dim / 32;
  SlotGroups at = p.first;
  for (int64_t j = p.tile.begin; j < p.tile.end; j += kValueDepth, at.Next()) {
    const char* keys = p.Keys(at);
    if (steps > kKeptSteps) {
      ScoreLoaded(t.s.query, keys, panel_bytes, steps, t.s.scores + j, stream);
    } else {
      ScorePanel<0>(keys, steps, t.s.scores + j, stream);
      ScorePanel<1>(keys + panel_bytes, steps, t.s.scores + j + kKeyPanel, stream);
    }
  }

  simd::SoftmaxRows<Vec, BF16Pairs>(p, key_begin, key_end, t.s.scores, t.s.probs, out, stream);

  // As many passes over the values as the accumulators need, of equal width.
  const int64_t tiles = p.value_dim / 16;
  const int64_t passes = (tiles + kValueTiles - 1) / kValueTiles;
  const int64_t width = (tiles + passes - 1) / passes;
  for (int64_t first = 0; first < tiles; first += width) {
    simd::WithCount<kValueTiles>(Min(tiles - first, width), [&](auto n) {
      const int64_t d = first * 16;
      Weigh<n.value>(p, t.s.probs, d, Min(c.value_dim - d, width * 16), out.out, t.edge, stream);
    });
  }
  Release();
}

}  // namespace atb::kernels::amx
