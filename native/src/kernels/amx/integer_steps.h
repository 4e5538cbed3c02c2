#pragma once
// The innermost loop of a product with integers: one digit block times one pair of panels. Included by integer_gemm.cpp
// alone; everything has internal linkage.
//
//                           panel p      panel p + 1
//                         +----------+  +----------+
//                         |  tile 6  |  |  tile 7  |   weights: 64 channels x 16 columns
//                         +----------+  +----------+
//      digit   +--------+ +----------+  +----------+
//      rows    | tile 4 | |  tile 0  |  |  tile 1  |
//      0 .. 15 +--------+ +----------+  +----------+   sums of digits, int32
//      digit   +--------+ +----------+  +----------+
//      rows    | tile 5 | |  tile 2  |  |  tile 3  |
//     16 .. 31 +--------+ +----------+  +----------+
//              64 channels
//
// A step loads tiles 4 to 7 and multiplies four times. A block of up to 16 digit rows has no tiles 2, 3 and 5; a last
// panel without a partner has no tiles 1, 3 and 7. Eight tiles allow no larger block of sums, and four loads for four
// products are the best ratio: one load takes as long as one product (16 cycles) when the tile comes from L1, twice as
// long when it comes from L2, which gives 32 bytes a cycle.
#include "kernels/amx/integer_epilogue.h"
#include "kernels/amx/tiles.h"

namespace atb::kernels::amx {
namespace {

/// Tiles of two panels, one for each step. Those of a step follow those of the step before; in a ring the first one
/// follows the last one.
struct WeightTiles {
  const char* tile;      ///< The first step's tile of the first panel.
  int64_t panel_stride;  ///< Bytes from there to the second panel's tile.
  const char* ring = nullptr;
  const char* ring_end = nullptr;
};

/// Shapes the tiles for `digit_rows` digit rows and for steps of 64 or, with half_steps, 32 channels.
inline void ConfigureSteps(int64_t digit_rows, bool half_steps) {
  const int64_t bytes = half_steps ? kTileRowBytes / 2 : kTileRowBytes;
  const int64_t first = Min(digit_rows, kTileRows);
  const int64_t second = digit_rows > kTileRows ? digit_rows - kTileRows : kTileRows;
  TileConfig config;
  for (int tile = 0; tile < 4; ++tile) config.Set(tile, tile < 2 ? first : second);
  config.Set(4, first, bytes);
  config.Set(5, second, bytes);
  config.Set(6, bytes / 4);
  config.Set(7, bytes / 4);
  Configure(config);
}

/// Bytes from a block's beginning to the digits of step s.
template <bool kHalf>
inline int64_t DigitsAt(int64_t s, int64_t tile_stride) {
  return kHalf ? s / 2 * tile_stride + s % 2 * (kTileRowBytes / 2) : s * tile_stride;
}

/// Multiplies steps [begin, end) of R tiles of digit rows and P panels. With `resume` the products are added to `sums`,
/// [P], else they replace them. `weights` begin with the tile of step `begin`. `work` is the side work; it is changed.
template <int R, int P, bool kHalf, class Work>
void MultiplySteps(const simd::DigitBlock& block, const WeightTiles& weights, int64_t begin, int64_t end, bool resume,
                   Work& work, DigitSums* sums) {
  constexpr int64_t kStepBytes = kTileBytes / (kHalf ? 2 : 1);
  Work side = work;  // A copy stays in registers.
  if (resume) {
    LoadTile<0>(sums[0][0], kTileRowBytes);
    if constexpr (R == 2) LoadTile<2>(sums[0][kTileRows], kTileRowBytes);
    if constexpr (P == 2) LoadTile<1>(sums[1][0], kTileRowBytes);
    if constexpr (R == 2 && P == 2) LoadTile<3>(sums[1][kTileRows], kTileRowBytes);
  } else {
    ForTiles<4>([]<int I>() { Zero<I>(); });
  }
  const char* tile = weights.tile;
  const char* const ring = weights.ring;
  const char* const ring_end = weights.ring_end;
  const int64_t stride = weights.panel_stride;
  for (int64_t s = begin; s < end; ++s) {
    const int8_t* digits = block.digits + DigitsAt<kHalf>(s, block.tile_stride);
    LoadTile<4>(digits, kTileRowBytes);
    side.template Between<0>();
    if constexpr (R == 2) LoadTile<5>(digits + kTileBytes, kTileRowBytes);
    side.template Between<1>();
    LoadTile<6>(tile, kTileRowBytes);
    side.template Between<2>();
    MultiplyI8<0, 4, 6>();
    side.template Between<3>();
    if constexpr (R == 2) MultiplyI8<2, 5, 6>();
    side.template Between<4>();
    if constexpr (P == 2) {
      LoadTile<7>(tile + stride, kTileRowBytes);
      side.template Between<5>();
      MultiplyI8<1, 4, 7>();
      side.template Between<6>();
      if constexpr (R == 2) MultiplyI8<3, 5, 7>();
      side.template Between<7>();
    }
    side.EndStep();
    tile += kStepBytes;
    if (tile == ring_end) tile = ring;
  }
  StoreTile<0>(sums[0][0], kTileRowBytes);
  if constexpr (R == 2) StoreTile<2>(sums[0][kTileRows], kTileRowBytes);
  if constexpr (P == 2) StoreTile<1>(sums[1][0], kTileRowBytes);
  if constexpr (R == 2 && P == 2) StoreTile<3>(sums[1][kTileRows], kTileRowBytes);
  work = side;
}

/// The same for as many tiles of digit rows as the block has.
template <int P, bool kHalf, class Work>
void RunSteps(const simd::DigitBlock& block, const WeightTiles& weights, int64_t begin, int64_t end, bool resume,
              Work& work, DigitSums* sums) {
  (block.digit_rows > kTileRows ? MultiplySteps<2, P, kHalf, Work>
                                : MultiplySteps<1, P, kHalf, Work>)(block, weights, begin, end, resume, work, sums);
}

}  // namespace
}  // namespace atb::kernels::amx
