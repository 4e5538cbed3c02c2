#pragma once
// A thread's memory for a product with integers, and the piece of work that it is for. Included by integer_gemm.cpp
// alone; everything has internal linkage.
#include "kernels/amx/exponent_passes.h"
#include "kernels/amx/integer_epilogue.h"
#include "kernels/amx/side_work.h"

namespace atb::kernels::amx {
namespace {

using simd::Scales;

struct alignas(64) Scratch {
  /// Sums of blocks and pairs of panels: of two pairs in turn, [2][kMaxBlocks]; or, while channels take several slices,
  /// of all kept pairs, [kKeptPanels / 2][kKeptBlocks].
  DigitSums kept[2 * kMaxBlocks][2];
  /// Scales of two pairs of panels in turn.
  float scales[2][2][kPanelColumns];
  /// Of the pass at hand, and the scales of four passes in turn: sums of the two before wait for theirs.
  WindowPass pass;
  float pass_scales[4][2][kPanelColumns];
  /// Tiles of int8 that were made of int4 or e2m1: a ring of them for each panel of a pair.
  int8_t tiles[2 * (kExpandedAhead + kMostBurst) * kTileBytes];
};
static_assert(kKeptPanels / 2 * kKeptBlocks <= 2 * kMaxBlocks);

/// Two panels of a set, or the last one alone, and a slice of their channels.
struct PanelPair {
  int64_t panel;
  int64_t panels;
  int64_t k, end;  ///< The channels.
  Scales scales;
  /// Whether each block multiplies all channels in one burst. Then its sums are complete before the next block begins,
  /// and two places for sums are enough; else each block has its own, `sums`.
  bool one_burst;
  DigitSums (*sums)[2];
};

}  // namespace
}  // namespace atb::kernels::amx
