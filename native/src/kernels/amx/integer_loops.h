#pragma once
// What products with weights of integers share, whatever their scales are: the loop over digit blocks and what goes on
// beside it. Included by integer_gemm.cpp alone; everything has internal linkage.
#include "kernels/amx/integer_epilogue.h"
#include "kernels/amx/integer_pieces.h"
#include "kernels/amx/integer_plan.h"
#include "kernels/amx/integer_steps.h"
#include "kernels/amx/side_work.h"

namespace atb::kernels::amx {
namespace {

using simd::DigitBlock;

/// The fewest rows that a step finishes where the epilogue of all blocks comes after their products: to begin it takes
/// instructions, too. With 1 row groups of 128 take 3 % more time.
constexpr int64_t kEpilogueRows = 4;

/// Digit blocks [first, end) of a call.
class IntegerLoops {
 public:
  IntegerLoops(const GemmCall& call, int64_t first, int64_t end, Scratch& scratch)
      : call_(call),
        weight_(*call.weight),
        plan_(call, first, end),
        scratch_(scratch),
        epilogue_(call, plan_.blocks),
        group_(call) {}

 protected:
  /// The tile of a panel that begins with channel k.
  const char* TileAt(int64_t panel, int64_t k) const {
    return static_cast<const char*>(weight_.data) + panel * weight_.panel_stride +
           k / kIntegerTileK * StoredTileBytes();
  }
  int64_t StoredTileBytes() const { return plan_.pairs ? kTileBytes / 2 : kTileBytes; }

  /// Calls multiply(number, block, sums) for each block. `complete`: all channels have been multiplied then.
  template <class F>
  void ForBlocks(const PanelPair& pair, bool complete, F multiply) {
    for (int64_t b = plan_.first_block; b < plan_.end_block; ++b) {
      const DigitBlock block(call_, plan_.blocks, b);
      if (block.digit_rows != configured_rows_) {
        CloseGroup();
        ConfigureSteps(configured_rows_ = block.digit_rows, plan_.half_steps);
      }
      SetResultRows(block, pair.panel, complete);
      DigitSums(&sums)[2] = pair.one_burst ? scratch_.kept[++bursts_ % 2] : pair.sums[b - plan_.first_block];
      multiply(b - plan_.first_block, block, sums);
      if (!pair.one_burst) continue;
      CloseGroup();
      epilogue_.FinishAll();
      epilogue_.Start(b, b + 1, pair.panel, pair.panels, pair.scales.data, &sums);
      side_work_.epilogue_rows = epilogue_.rows_left() / TileSteps(weight_.k) + 1;
    }
  }

  /// The tiles of a pair, to be expanded in bursts of that many steps. With one block tiles are used once, and a ring
  /// of 4 steps, 8 KB, stays in L1. Else a burst must stay in the ring.
  template <int P, bool kHalf, class Expander>
  ExpandTilesAhead<P, kHalf, Expander> StartExpanding(const PanelPair& pair, int64_t steps, int64_t burst,
                                                      const Expander& expander) {
    using Work = ExpandTilesAhead<P, kHalf, Expander>;
    const int64_t ring_bytes = (kExpandedAhead + (plan_.Blocks() == 1 ? 2 : burst)) * Work::kStepBytes;
    Work expand{side_work_, TileAt(pair.panel, pair.k), weight_.panel_stride, scratch_.tiles, ring_bytes, 0, expander,
                steps};
    expand.Start();
    return expand;
  }

  /// Where the tiles of step `step` lie, counted from the first of `work`.
  template <class Work>
  static WeightTiles InRing(const Work& work, int64_t step) {
    const auto* const ring = reinterpret_cast<const char*>(work.ring);
    return {ring + step * Work::kStepBytes % work.ring_bytes, work.ring_bytes, ring, ring + work.ring_bytes};
  }

  /// Adds what the tiles hold of a group.
  void CloseGroup() {
    if (group_.open() > 0) StoreGroup(configured_rows_, group_.open(), group_.next());
    group_.Stored();
    group_.Rest();
  }

  /// What is done while all blocks multiply the pair of panels that begins with the set's panel `first`: the pairs of a
  /// set share the fetching of the next set, each a range of its tiles.
  void SetSideWork(const PanelSet& set, int64_t first, const PanelSet* next) {
    const int64_t blocks = plan_.Blocks();
    const int64_t tiles = TileSteps(Min(plan_.slice, weight_.k - set.k));
    const int64_t steps = tiles * blocks * (plan_.half_steps ? 2 : 1);
    side_work_ = {nullptr, weight_.panel_stride, 0, 0, 0, nullptr, 0, 0, &epilogue_, 0};
    const int64_t rows = (epilogue_.rows_left() + steps - 1) / steps + 1;
    side_work_.epilogue_rows = rows < kEpilogueRows ? kEpilogueRows : rows;
    // FetchTilesAhead alone is enough for one block, and for two blocks where kSetBytes allows fewer than 4 panels: the
    // next panels would not stay in L2 until they are used.
    const bool fetches_tiles = plan_.scales == ScaleKind::kPerOutput && !plan_.pairs;
    const bool near = fetches_tiles && (blocks == 1 || (blocks == 2 && plan_.set_panels < kSetPanels / 2));
    if (!next || near) return;
    const int64_t pairs = plan_.set_panels / 2, number = first / 2;
    const int64_t lines = tiles * StoredTileBytes() / 64, begin = lines * number / pairs;
    side_work_.next = TileAt(next->panel, next->k) + begin * 64;
    side_work_.panels = next->panels;
    side_work_.lines_left = lines * (number + 1) / pairs - begin;
    side_work_.lines = (side_work_.lines_left + steps - 1) / steps;
  }

  /// The cache lines that results go to, one for each row, are fetched ahead: each would be a miss when it is written.
  void SetResultRows(const DigitBlock& block, int64_t panel, bool complete) {
    const int64_t size = call_.out_dtype == DType::kF32 ? 4 : 2;
    side_work_.out_rows = complete ? block.rows : 0;
    side_work_.out_bytes = call_.out_stride * size;
    side_work_.out = static_cast<const char*>(call_.out) + block.row * side_work_.out_bytes +
                     PanelRow(weight_, panel) * size;
  }

  const GemmCall& call_;
  const PackedWeight& weight_;
  const IntegerPlan plan_;
  Scratch& scratch_;
  int64_t bursts_ = 0;
  int64_t configured_rows_ = 0;  ///< Digit rows that the tiles are shaped for.
  SideWork side_work_{};
  DeferredIntegerEpilogue epilogue_;
  DeferredGroup group_;
};

}  // namespace
}  // namespace atb::kernels::amx
