#include <string.h>

#include "kernels/amx/kernels.h"
#include "kernels/amx/tiles.h"
#include "kernels/avx512/kernels.h"
#include "kernels/avx512/pairs.h"

namespace atb::kernels::amx {
namespace {

using avx512::Pairs;
using avx512::Vec;
using simd::kQueryStride;
using simd::kScoreStride;
using simd::Piece;

struct Scratch {
  simd::AttendScratch<uint16_t> s;
  alignas(64) float edge[kAttendRows * 16];  ///< The last columns of a head_dim that is no multiple of 16.
};
static_assert(sizeof(Scratch) <= kAttendScratchBytes);
static_assert(kMaxHeadDim % 32 == 0 && kTileRows == kKeyPanel && kTileRowBytes / 2 == kValueDepth);

// Tiles 0 to 5 have the rows of the queries: accumulators, queries, probabilities. 6 and 7 are keys or values.
void ConfigureFor(int64_t rows) {
  TileConfig config;
  for (int t = 0; t < 8; ++t) config.Set(t, t < 6 ? rows : kTileRows);
  Configure(config);
}

/// acc tiles 0 and 1 += queries [d .. d + 32) x two panels of keys; kQuery is the tile of those queries.
template <int kQuery>
inline void ScoreStep(const char* keys, int64_t panel_bytes) {
  LoadTile<6>(keys, kTileRowBytes);
  MultiplyBF16<0, kQuery, 6>();
  LoadTile<7>(keys + panel_bytes, kTileRowBytes);
  MultiplyBF16<1, kQuery, 7>();
}

/// Products of all rows with 32 keys. Up to 128 of head_dim the queries stay in tiles 2 to 5.
void Scores(const uint16_t* query, const char* keys, int64_t key_dim, float* scores) {
    const int64_t panel_bytes = kKeyPanel * key_dim * 2;
  const int64_t steps = key_dim / 32;
  Zero<0>();
  Zero<1>();
  if (steps <= 4) {
    ScoreStep<2>(keys, panel_bytes);
    if (steps > 1) ScoreStep<3>(keys + kTileBytes, panel_bytes);
    if (steps > 2) ScoreStep<4>(keys + 2 * kTileBytes, panel_bytes);
    if (steps > 3) ScoreStep<5>(keys + 3 * kTileBytes, panel_bytes);
  } else {
    for (int64_t i = 0; i < steps; ++i) {
      LoadTile<2>(query + i * 32, kQueryStride * 2);
      ScoreStep<2>(keys + i * kTileBytes, panel_bytes);
    }
  }
  StoreTile<0>(scores, kScoreStride * 4);
  StoreTile<1>(scores + kKeyPanel, kScoreStride * 4);
}

/// Tile kTile of the accumulators, if there are as many: its values, its product.
template <int kTile, int kTiles>
inline void WeighStep(const char* values) {
  if constexpr (kTile < kTiles) {
    constexpr int kValues = 6 + kTile % 2;
    LoadTile<kValues>(values + kTile * kTileBytes, kTileRowBytes);
    MultiplyBF16<kTile, 5, kValues>();
  }
}

/// Columns [16 * kTile, ...) of the rows at `out`, `columns` of them in all.
template <int kTile, int kTiles>
inline void StoreColumns(float* out, int64_t stride, int64_t rows, int64_t columns, float* edge) {
  if constexpr (kTile < kTiles) {
    const int64_t n = Min(columns - kTile * 16, 16);
    if (n == 16) return StoreTile<kTile>(out + kTile * 16, stride * 4);
    StoreTile<kTile>(edge, 64);
    for (int64_t r = 0; r < rows; ++r) memcpy(out + r * stride + kTile * 16, edge + r * 16, static_cast<size_t>(n) * 4);
  }
}

/// Columns [d, d + columns) of the output, columns <= 16 * kTiles and kTiles <= 5.
template <int kTiles>
void Weigh(const Piece& p, const uint16_t* probs, int64_t d, int64_t columns, float* out, float* edge) {
  Zero<0>();
  Zero<1>();
  Zero<2>();
  Zero<3>();
  Zero<4>();
  for (int64_t j = p.tile.begin; j < p.tile.end; j += kValueDepth) {
    const int64_t place = FindPlace(p.call, p.key_begin + j, p.key_dim, p.value_dim).values;
    const char* values = static_cast<const char*>(p.call.v_cache) + (place + d * kValueDepth) * 2;
    simd::PrefetchNextKeys<Pairs>(p, p.key_begin + j);
    LoadTile<5>(probs + j, kScoreStride * 2);
    WeighStep<0, kTiles>(values);
    WeighStep<1, kTiles>(values);
    WeighStep<2, kTiles>(values);
    WeighStep<3, kTiles>(values);
    WeighStep<4, kTiles>(values);
  }
  const int64_t rows = p.call.q_tokens * p.call.group;
  const int64_t stride = p.call.head_dim;
  StoreColumns<0, kTiles>(out + d, stride, rows, columns, edge);
  StoreColumns<1, kTiles>(out + d, stride, rows, columns, edge);
  StoreColumns<2, kTiles>(out + d, stride, rows, columns, edge);
  StoreColumns<3, kTiles>(out + d, stride, rows, columns, edge);
  StoreColumns<4, kTiles>(out + d, stride, rows, columns, edge);
}

void LoadQueries(const AttendCall& c, int64_t key_dim, uint16_t* query) {
  const int64_t rows = c.q_tokens * c.group;
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t head = c.kv_head * c.group + r % c.group;
    uint16_t* row = query + r * kQueryStride;
    Pairs::LoadQuery(c.q, r / c.group * c.q_stride + head * c.head_dim, c.head_dim, row);
    memset(row + c.head_dim, 0, static_cast<size_t>(key_dim - c.head_dim) * 2);
  }
  const int64_t steps = key_dim / 32;
  if (steps > 4) return;
  LoadTile<2>(query, kQueryStride * 2);
  if (steps > 1) LoadTile<3>(query + 32, kQueryStride * 2);
  if (steps > 2) LoadTile<4>(query + 64, kQueryStride * 2);
  if (steps > 3) LoadTile<5>(query + 96, kQueryStride * 2);
}

}  // namespace

void Attend(const AttendCall& c, int64_t key_begin, int64_t key_end, const AttendPartial& out, void* scratch) {
  if (c.dtype != DType::kBF16) return avx512::Attend(c, key_begin, key_end, out, scratch);
  Scratch& t = *static_cast<Scratch*>(scratch);
  Piece p = {c,
             key_begin,
             TileKeys(c, key_begin, key_end),
             RoundUp(c.head_dim, 32),
             RoundUp(c.head_dim, 16),
             c.q_tokens == 1};
  ConfigureFor(c.q_tokens * c.group);
  LoadQueries(c, p.key_dim, t.s.query);
  for (int64_t j = p.tile.begin; j < p.tile.end; j += kValueDepth) {
    const Place at = FindPlace(c, key_begin + j, p.key_dim, p.value_dim);
    if (p.stream) simd::Prefetch(static_cast<const char*>(c.v_cache) + at.values * 2, kValueDepth * p.value_dim * 2);
    Scores(t.s.query, static_cast<const char*>(c.k_cache) + at.keys * 2, p.key_dim, t.s.scores + j);
  }

  simd::SoftmaxRows<Vec, Pairs>(c, key_begin, key_end, t.s.scores, t.s.probs, out);

  // As many passes over the values as five accumulators need, of equal width.
  const int64_t tiles = p.value_dim / 16;
  const int64_t width = (tiles + (tiles + 4) / 5 - 1) / ((tiles + 4) / 5);
  for (int64_t first = 0; first < tiles; first += width) {
    const int64_t d = first * 16;
    simd::WithCount<5>(Min(tiles - first, width), [&](auto n) {
      Weigh<n.value>(p, t.s.probs, d, Min(c.head_dim - d, width * 16), out.out, t.edge);
    });
    p.stream = false;
  }
  Release();
}

}  // namespace atb::kernels::amx
