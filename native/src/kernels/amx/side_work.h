#pragma once
// What is done between the tile instructions of a product with integers. Tile instructions of one step depend on each
// other, and each takes 16 cycles or more; other instructions run beside them for nothing. Included by integer_gemm.cpp
// alone; everything has internal linkage.
//
// A step (integer_steps.h) calls Between<I>() at its I-th of 8 places, of which a step with a single panel has the
// first 5, and EndStep() after all of them.
#include "kernels/amx/int4_tiles.h"
#include "kernels/amx/integer_epilogue.h"

namespace atb::kernels::amx {
namespace {

/// Tiles of int4 are expanded this many steps before they are needed. One step more costs few rows 2 to 3 % (8 rows of
/// w4a16: 1 step 13.1 GB/s, 2 steps 12.9, 4 steps 12.4), and is worth as much with many (512 rows: 1200, 1215 and 1235
/// GFLOP/s).
constexpr int64_t kExpandedAhead = 2;

/// Fetches the next set of panels into L2 and the cache lines that results will be written to into L1, and does the
/// epilogue of earlier sums.
struct SideWork {
  const char* next;      ///< Cache lines of the next set's first panel.
  int64_t panel_stride;  ///< Bytes from a panel to the next one.
  int64_t panels;        ///< Panels of the next set, up to 8; 0 fetches nothing.
  int64_t lines;         ///< Cache lines of each panel that a step fetches.
  int64_t lines_left;    ///< Cache lines of each panel that all steps fetch.
  const char* out;       ///< Where the next row of results begins.
  int64_t out_bytes;     ///< Bytes from a row to the next one.
  int64_t out_rows;
  DeferredIntegerEpilogue* epilogue;
  int64_t epilogue_rows;  ///< Rows that a step finishes.

  template <int I>
  ATB_INLINE void Between() {
    if (I >= panels) return;
    for (int64_t i = 0; i < lines; ++i) __builtin_prefetch(next + I * panel_stride + i * 64, 0, 2);
  }
  ATB_INLINE void EndStep() {
    next += lines * 64;
    lines_left -= lines;
    if (lines > lines_left) lines = lines_left;
    if (epilogue->rows_left() > 0) epilogue->Finish(epilogue_rows);
    if (out_rows <= 0) return;
    PrefetchForWrite(out);
    out += out_bytes;
    --out_rows;
  }
};

/// Also fetches the weights of a pair of panels into L1: each tile right after the one before it has been used, and
/// after the last one the first tile of the panels that follow.
struct FetchTilesAhead : SideWork {
  const char* tile;
  int64_t tile_panel_stride;
  int64_t tiles;  ///< Tiles of each panel that are still to be fetched.
  const char* following;

  template <int I>
  ATB_INLINE void Between() {
    SideWork::Between<I>();
    if constexpr (I == 2) PrefetchTile(tile);
    if constexpr (I == 5) PrefetchTile(tile + tile_panel_stride);
  }
  ATB_INLINE void EndStep() {
    SideWork::EndStep();
    tile = --tiles == 0 ? following : tile + kTileBytes;
  }
};

/// Also expands tiles of P panels of int4 or e2m1, kExpandedAhead steps ahead, into a ring of tiles for each panel. A
/// step is a tile, or with kHalf half of one. Expander: PlainTiles, ChangedTiles or WindowTiles.
template <int P, bool kHalf, class Expander>
struct ExpandTilesAhead : SideWork {
  static constexpr int64_t kStepBytes = kTileBytes / (kHalf ? 2 : 1);

  const char* from;
  int64_t from_stride;
  int8_t* ring;        ///< Of the first panel; that of the next panel follows.
  int64_t ring_bytes;  ///< Of one panel.
  int64_t to;          ///< Where in the ring the next tile goes.
  Expander expander;
  int64_t steps;  ///< Whose tiles are still to be made.

  template <int I>
  ATB_INLINE void Between() {
    SideWork::Between<I>();
    MakePart<I>();
  }
  ATB_INLINE void EndStep() {
    SideWork::EndStep();
    NextTile();
  }
  /// Makes the tiles of the first kExpandedAhead steps.
  void Start() {
    expander.NextTile();
    for (int64_t i = 0; i < kExpandedAhead; ++i) {
      ForTiles<4 * P>([&]<int I>() __attribute__((always_inline)) { MakePart<I>(); });
      NextTile();
    }
  }

 private:
  /// Makes a quarter of the tile of panel I / 4.
  template <int I>
  ATB_INLINE void MakePart() {
    constexpr int64_t kLines = kStepBytes / 2 / 64 / 4;
    if (I / 4 >= P || steps <= 0) return;
    expander.template Choose<I / 4, I % 4>();
#pragma GCC unroll 2
    for (int64_t line = I % 4 * kLines; line < (I % 4 + 1) * kLines; ++line) {
      __builtin_prefetch(from + I / 4 * from_stride + line * 64 + kPrefetchBytes);
      expander.ExpandLine(from + I / 4 * from_stride + line * 64, ring + to + I / 4 * ring_bytes + line * 128);
    }
  }

  ATB_INLINE void NextTile() {
    from += expander.NextTile() * (kStepBytes / 2);
    to += kStepBytes;
    if (to == ring_bytes) to = 0;
    --steps;
  }
};

}  // namespace
}  // namespace atb::kernels::amx
