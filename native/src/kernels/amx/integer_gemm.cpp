// Products with weights of integers through AMX tiles. The loops, from the outside in:
//
//   for digit blocks that stay in L2 together        as many as fit 1 MB, at most 64    IntegerGemm
//     for 32 panels whose sums are kept together                                        PanelSetWalk
//       for slices of 4096 channels                  one slice where k is smaller       PanelSetWalk
//         for sets of panels                         2 to 8, fetched side by side       PanelSetWalk
//           for pairs of panels                      16 + 16 columns of the result      IntegerProduct::MultiplyPair
//             for bursts of steps                    all steps, or 8, 16 or 32          MultiplyPerOutput and others
//               for digit blocks                     up to 32 digit rows each           ForBlocks
//                 for steps of 64 channels           one tile of each panel             MultiplySteps
//
//                 channels k ->                                   panels, 16 columns each ->
//               +--------+--------+-----                      +----+----+----+----+----+----+-----
//    digit      | tile   |        |                channels   |1 KB|    |    |    |    |    |
//    block 0    | of 64  |        |                   k       +----+----+----+----+----+----+
//               +--------+--------+-----              |       |    |    |    |    |    |    |
//    digit      |        |        |                   v       +----+----+----+----+----+----+
//    block 1    |        |        |                           |    |    |    |    |    |    |
//               +--------+--------+-----                       [ pair  ] [ pair  ]
//                                                              [       set       ]
//
// A panel's tiles follow one another in memory, so a step moves down by a tile in a pair of panels and right by a tile
// in a digit block. The digits of a block are the rows of the left tiles, those of all planes, so that a weight tile
// meets all digits of an activation row while it is loaded. integer_plan.h says what the sizes are and why,
// integer_steps.h draws a step, side_work.h has what is done between tile instructions, and integer_epilogue.h what
// becomes of the sums. Sums are exact: tiles and the vector kernel of AVX-512 give the same bits.
#include "kernels/amx/integer_epilogue.h"
#include "kernels/amx/integer_pieces.h"
#include "kernels/amx/integer_plan.h"
#include "kernels/amx/integer_steps.h"
#include "kernels/amx/kernels.h"
#include "kernels/amx/side_work.h"
#include "kernels/avx512/kernels.h"

namespace atb::kernels::amx {
namespace {

using simd::DigitBlock;

/// Digit blocks [first, end) times panels.
class IntegerProduct {
 public:
  IntegerProduct(const GemmCall& call, int64_t first, int64_t end, Scratch& scratch)
      : call_(call),
        weight_(*call.weight),
        plan_(call, first, end),
        scratch_(scratch),
        epilogue_(call, plan_.blocks),
        group_(call) {}

  void Run(int64_t panel_begin, int64_t panel_end) {
    PanelSetWalk walk(plan_, weight_.k, panel_begin, panel_end);
    while (!walk.done()) {
      const PanelSet set = walk.set();
      walk.Next();
      const PanelSet* const next = walk.done() ? nullptr : &walk.set();
      for (int64_t first = 0; first < set.panels; first += 2) MultiplyPair(set, first, next);
    }
    epilogue_.FinishAll();
  }

 private:
  /// The tile of a panel that begins with channel k.
  const char* TileAt(int64_t panel, int64_t k) const {
    return static_cast<const char*>(weight_.data) + panel * weight_.panel_stride +
           k / kIntegerTileK * StoredTileBytes();
  }
  int64_t StoredTileBytes() const { return plan_.pairs ? kTileBytes / 2 : kTileBytes; }

  /// The pair of panels that begins with the set's panel `first`.
  void MultiplyPair(const PanelSet& set, int64_t first, const PanelSet* next) {
    const bool one_slice = plan_.slice >= weight_.k;
    PanelPair pair{.panel = set.panel + first,
                   .panels = Min(2, set.panels - first),
                   .k = set.k,
                   .end = Min(set.k + plan_.slice, weight_.k),
                   .scales = {},
                   .one_burst = one_slice && plan_.burst >= TileSteps(plan_.slice),
                   .sums = nullptr};
    const int64_t turn = pair.panel / 2 % 2;
    pair.sums = &scratch_.kept[one_slice ? turn * kMaxBlocks : (pair.panel - set.kept) / 2 * kKeptBlocks];
    pair.scales = Scales::Of<Vec>(weight_, plan_.groups.count, pair.panel, pair.panels, scratch_.scales[turn][0]);
    SetSideWork(set, first, next);
    pair.panels == 2 ? MultiplyPanels<2>(pair) : MultiplyPanels<1>(pair);
    if (pair.one_burst || pair.end < weight_.k) return;
    group_.Rest();
    epilogue_.FinishAll();
    epilogue_.Start(plan_.first_block, plan_.end_block, pair.panel, pair.panels, pair.scales.data, pair.sums);
  }

  template <int P>
  void MultiplyPanels(const PanelPair& pair) {
    const bool is_int4 = weight_.format == WeightFormat::kI4;
    switch (plan_.scales) {
      case ScaleKind::kPerOutput:
        if (!plan_.pairs) return MultiplyPerOutput<P>(pair);
        return is_int4 ? MultiplyExpanded<P>(pair, PlainTiles<PlainInt4>{})
                       : MultiplyExpanded<P>(pair, PlainTiles<PlainE2M1>{});
      case ScaleKind::kMultipliers:
        return is_int4 ? MultiplyExpanded<P>(pair, Multiplied<Int4Multipliers>(pair))
                       : MultiplyExpanded<P>(pair, Multiplied<E2M1Multipliers>(pair));
      case ScaleKind::kPerGroup:
        return plan_.half_steps ? MultiplyGroups<P, true>(pair) : MultiplyGroups<P, false>(pair);
    }
  }

  /// Calls multiply(number, block, sums) for each block. `complete`: all channels have been multiplied then.
  template <class F>
  void ForBlocks(const PanelPair& pair, bool complete, F multiply) {
    for (int64_t b = plan_.first_block; b < plan_.end_block; ++b) {
      const DigitBlock block(call_, plan_.blocks, b);
      if (block.digit_rows != configured_rows_) ConfigureSteps(configured_rows_ = block.digit_rows, plan_.half_steps);
      SetResultRows(block, pair.panel, complete);
      DigitSums(&sums)[2] = pair.one_burst ? scratch_.kept[++bursts_ % 2] : pair.sums[b - plan_.first_block];
      multiply(b - plan_.first_block, block, sums);
      if (!pair.one_burst) continue;
      group_.Rest();
      epilogue_.FinishAll();
      epilogue_.Start(b, b + 1, pair.panel, pair.panels, pair.scales.data, &sums);
      side_work_.epilogue_rows = epilogue_.rows_left() / TileSteps(weight_.k) + 1;
    }
  }

  /// int8 with one scale for each output.
  template <int P>
  void MultiplyPerOutput(const PanelPair& pair) {
    const int64_t begin = pair.k / kIntegerTileK, end = TileSteps(pair.end);
    WeightTiles weights{TileAt(pair.panel, pair.k), weight_.panel_stride};
    const int64_t burst = Min(plan_.burst, end - begin);
    for (int64_t s = begin; s < end; s += burst) {
      const int64_t burst_end = Min(s + burst, end);
      const bool complete = burst_end == end && pair.end == weight_.k;
      ForBlocks(pair, complete, [&](int64_t number, const DigitBlock& block, DigitSums(&sums)[2]) {
        if (number > 0) return RunSteps<P>(block, weights, s, burst_end, s > 0, side_work_, sums);
        const int64_t tiles = burst_end - s;
        const char* const following =
            weights.tile + (burst_end < end ? tiles * kTileBytes : 2 * weights.panel_stride);
        FetchTilesAhead work{side_work_, weights.tile + kTileBytes, weights.panel_stride, tiles - 1, following};
        RunSteps<P>(block, weights, s, burst_end, s > 0, work, sums);
        side_work_ = work;
      });
      weights.tile += burst * kTileBytes;
    }
  }

  template <class Format>
  MultipliedTiles<Format> Multiplied(const PanelPair& pair) const {
    const int64_t stride = plan_.groups.count * kPanelColumns;
    return {weight_.multipliers + pair.panel * stride, stride, MultiplierWalk(weight_, plan_.groups.count, pair.k)};
  }

  /// The tiles of a pair, to be expanded in bursts of that many steps. With one block tiles are used once, and a ring of
  /// 4 steps, 8 KB, stays in L1. Else a burst must stay in the ring.
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

  /// Int4 or e2m1 with one scale for each output, and perhaps multipliers: the first block of each burst also makes the
  /// tiles, the other blocks find them made.
  template <int P, class Expander>
  void MultiplyExpanded(const PanelPair& pair, const Expander& expander) {
    const int64_t begin = pair.k / kIntegerTileK, end = TileSteps(pair.end);
    const int64_t burst = Min(plan_.burst, end - begin);
    auto expand = StartExpanding<P, false>(pair, end - begin, burst, expander);
    for (int64_t s = begin; s < end; s += burst) {
      const int64_t burst_end = Min(s + burst, end);
      const WeightTiles weights = InRing(expand, s - begin);
      const bool complete = burst_end == end && pair.end == weight_.k;
      ForBlocks(pair, complete, [&](int64_t number, const DigitBlock& block, DigitSums(&sums)[2]) {
        if (number > 0) return RunSteps<P>(block, weights, s, burst_end, s > 0, side_work_, sums);
        static_cast<SideWork&>(expand) = side_work_;
        RunSteps<P>(block, weights, s, burst_end, s > 0, expand, sums);
        side_work_ = expand;
      });
    }
  }

  /// A scale for each group of channels, and perhaps an offset: the sums of a group are scaled and added to f32 sums.
  template <int P, bool kHalf>
  void MultiplyGroups(const PanelPair& pair) {
    if (!plan_.pairs) return MultiplyStoredGroups<P, kHalf>(pair);
    weight_.format == WeightFormat::kI4 ? MultiplyExpandedGroups<P, kHalf>(pair, PlainTiles<PlainInt4>{})
                                        : MultiplyExpandedGroups<P, kHalf>(pair, PlainTiles<PlainE2M1>{});
  }

  template <int P, bool kHalf>
  void MultiplyStoredGroups(const PanelPair& pair) {
    for (int64_t k = pair.k; k < pair.end; k += GroupBurst()) {
      const int64_t end = Min(k + GroupBurst(), pair.end);
      const WeightTiles weights{TileAt(pair.panel, k), weight_.panel_stride};
      ForBlocks(pair, end == weight_.k, [&](int64_t, const DigitBlock& block, DigitSums(&sums)[2]) {
        RunGroups<P, kHalf>(pair, block, weights, k, end, side_work_, sums);
      });
    }
  }

  template <int P, bool kHalf, class Expander>
  void MultiplyExpandedGroups(const PanelPair& pair, const Expander& expander) {
    constexpr int64_t kStep = kIntegerTileK / (kHalf ? 2 : 1);
    const int64_t begin = pair.k / kStep, end_step = (pair.end + kStep - 1) / kStep;
    const int64_t burst = Min(GroupBurst() / kStep, end_step - begin);
    auto expand = StartExpanding<P, kHalf>(pair, end_step - begin, burst, expander);
    for (int64_t k = pair.k; k < pair.end; k += GroupBurst()) {
      const int64_t end = Min(k + GroupBurst(), pair.end);
      const WeightTiles weights = InRing(expand, k / kStep - begin);
      ForBlocks(pair, end == weight_.k, [&](int64_t number, const DigitBlock& block, DigitSums(&sums)[2]) {
        if (number > 0) return RunGroups<P, kHalf>(pair, block, weights, k, end, side_work_, sums);
        static_cast<SideWork&>(expand) = side_work_;
        RunGroups<P, kHalf>(pair, block, weights, k, end, expand, sums);
        side_work_ = expand;
      });
    }
  }

  int64_t GroupBurst() const { return plan_.burst * kIntegerTileK; }

  /// Multiplies a block by the groups of channels [k, end), whose tiles begin with those of `weights`.
  template <int P, bool kHalf, class Work>
  void RunGroups(const PanelPair& pair, const DigitBlock& block, const WeightTiles& weights, int64_t k, int64_t end,
                 Work& work, DigitSums* sums) {
    constexpr int64_t kStep = kIntegerTileK / (kHalf ? 2 : 1);
    if (k == 0) memset(sums, 0, P * sizeof *sums);
    group_.SetTarget({sums, block.rows, pair.scales, weight_.format,
                      simd::GroupOffsets(call_, plan_.groups.count, 0, pair.panel, block.row)});
    const int64_t channels = plan_.groups.channels;
    RunGroupSteps<P, kHalf>(block, weights, k / kStep, (end + kStep - 1) / kStep, (channels + kStep - 1) / kStep,
                            k / channels, group_, work);
  }

  /// What is done while all blocks multiply the pair of panels that begins with the set's panel `first`: the pairs of a
  /// set share the fetching of the next set, each a range of its tiles.
  void SetSideWork(const PanelSet& set, int64_t first, const PanelSet* next) {
    const int64_t blocks = plan_.Blocks();
    const int64_t tiles = TileSteps(Min(plan_.slice, weight_.k - set.k));
    const int64_t steps = tiles * blocks * (plan_.half_steps ? 2 : 1);
    side_work_ = {nullptr, weight_.panel_stride, 0, 0, 0, nullptr, 0, 0, &epilogue_, 0};
    side_work_.epilogue_rows = (epilogue_.rows_left() + steps - 1) / steps + 1;
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

static_assert(sizeof(Scratch) <= kGemmScratchBytes && avx512::kGemmScratchBytes <= kGemmScratchBytes);

void IntegerGemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* memory) {
  if (call.m * call.digits.planes <= kVectorDigitRows) return avx512::IntegerGemm(call, panel_begin, panel_end, memory);
  Scratch& scratch = *static_cast<Scratch*>(memory);
  const int64_t count = simd::DigitBlocks(call).count, most = MostBlocks(*call.weight);
  for (int64_t b = 0; b < count; b += most)
    IntegerProduct(call, b, Min(b + most, count), scratch).Run(panel_begin, panel_end);
  Release();
}

}  // namespace atb::kernels::amx
