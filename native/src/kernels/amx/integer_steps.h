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
#include "kernels/amx/group_sums.h"
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

/// The sums of R tiles of digit rows and P panels, in tiles 0 to 3.
template <int R, int P>
ATB_INLINE inline void LoadSums(const DigitSums* sums) {
  LoadTile<0>(sums[0][0], kTileRowBytes);
  if constexpr (R == 2) LoadTile<2>(sums[0][kTileRows], kTileRowBytes);
  if constexpr (P == 2) LoadTile<1>(sums[1][0], kTileRowBytes);
  if constexpr (R == 2 && P == 2) LoadTile<3>(sums[1][kTileRows], kTileRowBytes);
}
template <int R, int P>
ATB_INLINE inline void StoreSums(DigitSums* sums) {
  StoreTile<0>(sums[0][0], kTileRowBytes);
  if constexpr (R == 2) StoreTile<2>(sums[0][kTileRows], kTileRowBytes);
  if constexpr (P == 2) StoreTile<1>(sums[1][0], kTileRowBytes);
  if constexpr (R == 2 && P == 2) StoreTile<3>(sums[1][kTileRows], kTileRowBytes);
}

/// A step: digits times the tile of the first panel and that of the second one. Where `finished` is not null, sums are
/// stored there before they begin anew: each right before its next product, so that three products of other sums lie
/// between its last one and the store that waits for it.
template <int R, int P, class Work>
ATB_INLINE inline void MultiplyStep(const int8_t* digits, const char* first, const char* second, Work& side,
                                    DigitSums* finished = nullptr) {
  const auto store = [finished]<int I>(int64_t panel, int64_t row) __attribute__((always_inline)) {
    if (finished == nullptr) return;
    StoreTile<I>(finished[panel][row], kTileRowBytes);
    Zero<I>();
  };
  LoadTile<4>(digits, kTileRowBytes);
  side.template Between<0>();
  if constexpr (R == 2) LoadTile<5>(digits + kTileBytes, kTileRowBytes);
  side.template Between<1>();
  LoadTile<6>(first, kTileRowBytes);
  side.template Between<2>();
  store.template operator()<0>(0, 0);
  MultiplyI8<0, 4, 6>();
  side.template Between<3>();
  if constexpr (R == 2) {
    store.template operator()<2>(0, kTileRows);
    MultiplyI8<2, 5, 6>();
  }
  side.template Between<4>();
  if constexpr (P == 2) {
    LoadTile<7>(second, kTileRowBytes);
    side.template Between<5>();
    store.template operator()<1>(1, 0);
    MultiplyI8<1, 4, 7>();
    side.template Between<6>();
    if constexpr (R == 2) {
      store.template operator()<3>(1, kTileRows);
      MultiplyI8<3, 5, 7>();
    }
    side.template Between<7>();
  }
  side.EndStep();
}

/// Multiplies steps [begin, end) of R tiles of digit rows and P panels. With `resume` the products are added to `sums`,
/// [P], else they replace them. `weights` begin with the tile of step `begin`. `work` is the side work; it is changed.
template <int R, int P, class Work>
void MultiplySteps(const simd::DigitBlock& block, const WeightTiles& weights, int64_t begin, int64_t end, bool resume,
                   Work& work, DigitSums* sums) {
  Work side = work;  // A copy stays in registers.
  resume ? LoadSums<R, P>(sums) : ForTiles<4>([]<int I>() { Zero<I>(); });
  const char* tile = weights.tile;
  const char* const ring = weights.ring;
  const char* const ring_end = weights.ring_end;
  const int64_t stride = weights.panel_stride;
  for (int64_t s = begin; s < end; ++s) {
    MultiplyStep<R, P>(block.digits + s * block.tile_stride, tile, tile + stride, side);
    tile += kTileBytes;
    if (tile == ring_end) tile = ring;
  }
  StoreSums<R, P>(sums);
  work = side;
}

/// Multiplies steps [begin, end) where the sums of each `each` of them, a group, go to `groups`, group after group from
/// `group` on. kHalf: a step is half a tile.
template <int R, int P, bool kHalf, class Work>
void MultiplyGroupSteps(const simd::DigitBlock& block, const WeightTiles& weights, int64_t begin, int64_t end,
                        int64_t each, int64_t group, DeferredGroup& groups, Work& work) {
  constexpr int64_t kStepBytes = kTileBytes / (kHalf ? 2 : 1);
  Work side = work;
  const char* tile = weights.tile;
  const char* const ring = weights.ring;
  const char* const ring_end = weights.ring_end;
  const int64_t stride = weights.panel_stride;
  const auto digits = [&block](int64_t s) { return block.digits + DigitsAt<kHalf>(s, block.tile_stride); };
  const auto advance = [&] {
    tile += kStepBytes;
    if (tile == ring_end) tile = ring;
  };
  for (int64_t s = begin; s < end; ++group) {
    MultiplyStep<R, P>(digits(s), tile, tile + stride, side, groups.next());
    groups.Begin(P, group);
    advance();
    const int64_t stop = Min(s + each, end);
    for (++s; s < stop; ++s) {
      MultiplyStep<R, P>(digits(s), tile, tile + stride, side);
      groups.Step();
      advance();
    }
  }
  work = side;
}

/// Multiplies the listed steps, `count` of them, as one group; `weights` have the tiles of these alone.
template <int R, int P, class Work>
void MultiplyListedSteps(const simd::DigitBlock& block, const WeightTiles& weights, const int64_t* steps, int64_t count,
                         DeferredGroup& groups, Work& work) {
  Work side = work;
  const char* tile = weights.tile;
  const char* const ring = weights.ring;
  const char* const ring_end = weights.ring_end;
  for (int64_t i = 0; i < count; ++i) {
    const int8_t* const digits = block.digits + steps[i] * block.tile_stride;
    if (i == 0) {
      MultiplyStep<R, P>(digits, tile, tile + weights.panel_stride, side, groups.next());
      groups.Begin(P, 0);
    } else {
      MultiplyStep<R, P>(digits, tile, tile + weights.panel_stride, side);
      groups.Step();
    }
    tile += kTileBytes;
    if (tile == ring_end) tile = ring;
  }
  work = side;
}

/// Stores the sums of `panels` panels.
inline void StoreGroup(int64_t digit_rows, int64_t panels, DigitSums* sums) {
  if (digit_rows > kTileRows) {
    panels == 2 ? StoreSums<2, 2>(sums) : StoreSums<2, 1>(sums);
  } else {
    panels == 2 ? StoreSums<1, 2>(sums) : StoreSums<1, 1>(sums);
  }
}

/// Either for as many tiles of digit rows as the block has.
template <int P, class Work>
void RunSteps(const simd::DigitBlock& block, const WeightTiles& weights, int64_t begin, int64_t end, bool resume,
              Work& work, DigitSums* sums) {
  (block.digit_rows > kTileRows ? MultiplySteps<2, P, Work>
                                : MultiplySteps<1, P, Work>)(block, weights, begin, end, resume, work, sums);
}
template <int P, bool kHalf, class Work>
void RunGroupSteps(const simd::DigitBlock& block, const WeightTiles& weights, int64_t begin, int64_t end, int64_t each,
                   int64_t group, DeferredGroup& groups, Work& work) {
  (block.digit_rows > kTileRows ? MultiplyGroupSteps<2, P, kHalf, Work> : MultiplyGroupSteps<1, P, kHalf, Work>)(
      block, weights, begin, end, each, group, groups, work);
}

template <int P, class Work>
void RunListedSteps(const simd::DigitBlock& block, const WeightTiles& weights, const int64_t* steps, int64_t count,
                    DeferredGroup& groups, Work& work) {
  (block.digit_rows > kTileRows ? MultiplyListedSteps<2, P, Work> : MultiplyListedSteps<1, P, Work>)(
      block, weights, steps, count, groups, work);
}

}  // namespace
}  // namespace atb::kernels::amx
