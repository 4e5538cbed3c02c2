#pragma once
// How a product with a weight of integers is cut into pieces that fit the caches. integer_gemm.cpp draws the loops over
// these pieces. Included by that file alone; everything has internal linkage.
//
// Speeds quoted here are those of integer_gemm_bench with one thread on a Xeon with AMX (48 KB of L1, 2 MB of L2 for
// each core), for a weight [2048, 2048] unless another is named: GB/s of weights, of which plain reading reaches 18
// there, or GFLOP/s for 512 activation rows. w8a16 and w4a16 have two digit rows for each activation row.
#include "kernels/amx/tiles.h"
#include "kernels/simd/integer_gemm.h"

namespace atb::kernels::amx {
namespace {

using simd::Min;

/// Digit rows of a block: they fill two tiles.
constexpr int64_t kBlockDigitRows = 2 * kTileRows;

/// Up to this many digit rows the vector kernel of AVX-512 is as fast as tiles or faster: it reads int8 at 17.4 GB/s (1
/// row) to 16.9 (3 rows) and tiles at 16.8 to 16.2; with 2 rows it reads int4 at 17.0 and tiles at 14.5. Beyond, its
/// time grows with each row while a tile takes 16 rows at once: with 6 rows of int4 it is 11.9 against 14.3, with 8
/// rows of int8 12.6 against 15.0.
constexpr int64_t kVectorDigitRows = 3;

/// Digits that are multiplied while a weight tile is in L1 or L2 come from L2 themselves, and may fill half of it; the
/// panels that stream past them take the rest. 128 KB: 910 GFLOP/s, 256 KB: 1150, 512 KB: 1260, 1 MB: 1300; 2 MB, the
/// whole of L2: 1240.
constexpr int64_t kDigitBytes = 1024 * 1024;
/// The most digit blocks that are multiplied together. With k below 512 kDigitBytes would allow more, but the
/// sums of each pair of panels and block take 4 KB of the scratch.
constexpr int64_t kMaxBlocks = 64;

/// Channels that are multiplied before the next panels come, where k is larger: a slice of them. 32 digit rows of a
/// slice are 128 KB, so that 8 blocks fill kDigitBytes; as many bytes are the tiles that a pair of panels of int4
/// expands to.
constexpr int64_t kSliceChannels = 4096;
/// While channels take several slices, the sums of this many blocks and panels are kept: 16 pairs of panels times
/// 8 blocks times 4 KB are 512 KB.
constexpr int64_t kKeptBlocks = 8;
constexpr int64_t kKeptPanels = 32;
static_assert(kKeptBlocks * kBlockDigitRows * kSliceChannels == kDigitBytes);

/// Panels of a set, which one or two digit blocks fetch into L2 side by side. Two blocks of 16 w8a16 rows and a weight
/// [9728, 896]: 2 panels 10.6 GB/s, 4 panels 12.1, 8 panels 13.0. One stream from memory reaches 60 % of its speed.
constexpr int64_t kSetPanels = 8;
/// The most bytes of such a set: while it is used the next one comes, so that it takes this much of L2 twice. 64 KB
/// (two panels of 2048 channels): 9.9 GB/s, 128 KB: 10.9, 256 KB: 11.8; more changes nothing.
constexpr int64_t kSetBytes = 256 * 1024;

/// Steps of int4 with multipliers after which the next block multiplies the same expanded tiles. All blocks together
/// hide the expansion of a burst only when it is long enough: 4 steps 970 GFLOP/s, 16 steps 1070, 32 steps 1240, 128
/// steps 1250. The tiles of 32 steps, and of 2 more that are made ahead, of two panels are 68 KB.
constexpr int64_t kExpandedBurst = 32;
/// The same where each group has its scale, in whole groups. Tiles of 8 steps are 16 KB, which stay in L1 while blocks
/// pass: 256 rows and a weight [512, 2048] with groups of 128 take 4 % less time than with 16 steps. A single group may
/// take 32 steps.
constexpr int64_t kGroupBurst = 8;
constexpr int64_t kMostBurst = 32;
/// Steps after which the other one of two blocks multiplies the same tiles, so that neither waits for memory long: 1
/// step 9.7 GB/s, 2 steps 11.0, 4 or 8 steps 11.6. (16 steps are slower, 8 to 10, and 32 as fast as 8.)
constexpr int64_t kShortBurst = 8;

/// How scales enter a product, which decides how tiles are multiplied.
enum class ScaleKind {
  kPerOutput,    ///< One f32 for each output: sums over all channels stay in tiles.
  kMultipliers,  ///< Int4 only, also an integer for each group of channels: the tiles hold multiplier * int4.
  kPerGroup,     ///< One f32 for each group of channels: the sums of each group leave the tiles.
  kWindows,      ///< Powers of two: the sums of spans leave the tiles, whose multipliers are those of a window.
};

/// Steps of 64 channels, each a tile of a panel.
constexpr int64_t TileSteps(int64_t channels) { return (channels + kIntegerTileK - 1) / kIntegerTileK; }

/// Channels that are whole tiles and whole groups.
inline int64_t WholeGroups(const PackedWeight& weight) {
  if (simd::HasOneScale(weight)) return kIntegerTileK;
  if (weight.exponents) return ExponentSpan(weight);
  return weight.group % kIntegerTileK ? 2 * weight.group : weight.group;
}

/// Channels of a slice: whole tiles and whole groups, and all slices alike.
inline int64_t SliceChannels(const PackedWeight& weight) {
  const int64_t unit = WholeGroups(weight);
  const int64_t most = kSliceChannels / unit * unit;
  const int64_t slices = (weight.k + most - 1) / most;
  return ((weight.k + slices - 1) / slices + unit - 1) / unit * unit;
}

/// The most digit blocks that stay in L2 together.
inline int64_t MostBlocks(const PackedWeight& weight) {
  if (weight.k > SliceChannels(weight)) return kKeptBlocks;
  return Min(kMaxBlocks, kDigitBytes / (kBlockDigitRows * weight.k));
}

/// Panels of a set that one or two blocks fetch: an even number of them.
inline int64_t SetPanels(const PackedWeight& weight) {
  const int64_t most = kSetBytes / weight.panel_stride / 2 * 2;
  return most < 2 ? 2 : Min(most, kSetPanels);
}

/// All sizes of the loops over digit blocks [first_block, end_block).
struct IntegerPlan {
  simd::DigitBlocks blocks;
  simd::ScaleGroups groups;
  int64_t first_block;
  int64_t end_block;
  ScaleKind scales;
  bool pairs;          ///< Weights are two to a byte, and expanded to tiles of bytes.
  bool half_steps;     ///< Steps are half a tile, 32 channels, since groups do not consist of whole tiles.
  int64_t set_panels;  ///< Panels that are fetched side by side.
  int64_t slice;       ///< Channels that are multiplied before the next panels come.
  int64_t burst;       ///< Steps that a block multiplies before the next block multiplies the same tiles; 0: a pass.

  IntegerPlan(const GemmCall& call, int64_t first, int64_t end)
      : blocks(call),
        groups(*call.weight),
        first_block(first),
        end_block(end),
        scales(call.weight->exponents           ? ScaleKind::kWindows
               : !simd::HasOneScale(*call.weight) ? ScaleKind::kPerGroup
               : call.weight->multipliers       ? ScaleKind::kMultipliers
                                                : ScaleKind::kPerOutput),
        pairs(call.weight->format == WeightFormat::kI4 || call.weight->format == WeightFormat::kE2M1),
        half_steps(scales == ScaleKind::kPerGroup && call.weight->group % kIntegerTileK != 0),
        set_panels(Blocks() <= 2 ? SetPanels(*call.weight) : 2),
        slice(SliceChannels(*call.weight)),
        burst(scales == ScaleKind::kWindows ? 0 : call.weight->k) {
    // Digits of two blocks stay in L2 whatever k is.
    if (Blocks() <= 2) slice = call.weight->k;
    if (Blocks() == 1) return;
    if (scales == ScaleKind::kWindows) return;
    if (scales == ScaleKind::kPerGroup) {
      const int64_t steps = WholeGroups(*call.weight) / kIntegerTileK;
      burst = steps < kGroupBurst ? kGroupBurst / steps * steps : steps;
    } else if (pairs) {
      burst = kExpandedBurst;
    } else if (Blocks() == 2) {
      burst = kShortBurst;
    }
  }

  int64_t Blocks() const { return end_block - first_block; }
};

/// Panels that are fetched into L2 side by side, and a slice of their channels.
struct PanelSet {
  int64_t kept;  ///< The first of the kKeptPanels panels whose sums are kept together.
  int64_t panel;
  int64_t panels;
  int64_t k;
};

/// Walks over the sets of panels [panel_begin, panel_end): all sets of kKeptPanels panels, slice after slice, then the
/// next kKeptPanels panels.
class PanelSetWalk {
 public:
  PanelSetWalk(const IntegerPlan& plan, int64_t k, int64_t panel_begin, int64_t panel_end)
      : plan_(plan), k_(k), panel_end_(panel_end), set_{panel_begin, panel_begin, 0, 0} {
    SetCount();
  }

  bool done() const { return set_.panels <= 0; }
  const PanelSet& set() const { return set_; }

  void Next() {
    set_.panel += set_.panels;
    SetCount();
    if (!done()) return;
    set_.panel = set_.kept;
    set_.k += plan_.slice;
    if (set_.k >= k_) {
      set_.panel = set_.kept += kKeptPanels;
      set_.k = 0;
    }
    SetCount();
  }

 private:
  void SetCount() { set_.panels = Min(plan_.set_panels, Min(set_.kept + kKeptPanels, panel_end_) - set_.panel); }

  const IntegerPlan& plan_;
  int64_t k_;
  int64_t panel_end_;
  PanelSet set_;
};

}  // namespace
}  // namespace atb::kernels::amx
