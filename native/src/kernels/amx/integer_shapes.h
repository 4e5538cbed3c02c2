#pragma once
// How tiles are shaped for attention over a cache of integers. Everything has internal linkage; vec.h says why.
#include "kernels/amx/tiles.h"
#include "kernels/kv_layout.h"

namespace atb::kernels::amx {
namespace {

/// Tiles 2 to 5 keep digits of queries, 64 elements of head_dim each.
constexpr int64_t kKeptTiles = 4;

/// How digits of queries become rows of tiles: up to eight queries, high and low digits in turns, make one tile; more
/// take a tile of high digits and a tile of low ones.
struct Shape {
  int64_t halves;  ///< Tiles: 1 or 2.
  int64_t rows;    ///< Rows of each tile.
  int64_t stride;  ///< Digit rows from one row of a tile to the next row.

  explicit Shape(int64_t queries)
      : halves(2 * queries <= kTileRows ? 1 : 2), rows(halves == 1 ? 2 * queries : queries), stride(halves) {}
};

/// Shapes the tiles for products of queries and keys: 0 and 1 accumulate, 2 to 5 hold queries, 6 holds keys. Where
/// head_dim is no multiple of 64, tile 7 holds the keys' last columns.
void ConfigureScores(const Shape& shape, int64_t head_dim) {
  TileConfig config;
  const int64_t steps = (head_dim + 63) / 64;
  const int64_t rest = head_dim % 64;
  const bool kept = steps * shape.halves <= kKeptTiles;
  for (int t = 0; t < 6; ++t) config.Set(t, shape.rows);
  for (int64_t half = 0; rest != 0 && half < shape.halves; ++half) {
    // Where the tiles do not keep all queries, tiles 2 and 3 are for whole steps, 4 and 5 for the last columns.
    const int64_t step = kept ? steps - 1 : 1;
    config.Set(static_cast<int>(2 + step * shape.halves + half), shape.rows, rest);
  }
  config.Set(6, kTileRows);
  config.Set(7, rest == 0 ? kTileRows : rest / 4);
  Configure(config);
}

/// Shapes the tiles for products of weights and values: 0 to 4 accumulate and 5 holds weights; with two halves 0 to 3
/// accumulate, 4 and 5 hold weights. 6 and 7 hold values.
void ConfigureWeights(const Shape& shape, int64_t group) {
  TileConfig config;
  for (int t = 0; t < 6; ++t) config.Set(t, shape.rows);
  if (shape.halves == 2) config.Set(4, shape.rows, group);
  config.Set(5, shape.rows, group);
  config.Set(6, kTileRows < group / 4 ? kTileRows : group / 4);
  config.Set(7, kTileRows < group / 4 ? kTileRows : group / 4);
  Configure(config);
}

}  // namespace
}  // namespace atb::kernels::amx
