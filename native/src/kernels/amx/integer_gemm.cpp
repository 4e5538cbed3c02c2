// Products with weights of integers through AMX tiles. The loops, from the outside in:
//
//   for digit blocks that stay in L2 together        as many as fit 1 MB, at most 64    IntegerGemm
//     for 32 panels whose sums are kept together                                        PanelSetWalk
//       for slices of 4096 channels                  one slice where k is smaller       PanelSetWalk
//         for sets of panels                         2 to 8, fetched side by side       PanelSetWalk
//           for pairs of panels                      16 + 16 columns of the result      IntegerProduct::MultiplyPair
//             for bursts of steps                    all steps, or 8, 16 or 32          MultiplyPerOutput and others
//               or spans and passes over them        where scales are powers of two     MultiplyWindows
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
// integer_loops.h has what all kinds of products share, integer_steps.h draws a step, side_work.h has what is done
// between tile instructions, and integer_epilogue.h what becomes of the sums. Sums are exact: tiles and the vector
// kernel of AVX-512 give the same bits.
#include "kernels/amx/integer_loops.h"
#include "kernels/amx/kernels.h"
#include "kernels/avx512/kernels.h"

namespace atb::kernels::amx {
namespace {

/// Digit blocks [first, end) times panels.
class IntegerProduct : IntegerLoops {
 public:
  using IntegerLoops::IntegerLoops;

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
    CloseGroup();
    if (pair.one_burst || pair.end < weight_.k) return;
    epilogue_.FinishAll();
    epilogue_.Start(plan_.first_block, plan_.end_block, pair.panel, pair.panels, pair.scales.data, pair.sums);
  }

  template <int P>
  void MultiplyPanels(const PanelPair& pair) {
    const bool is_int4 = weight_.format == WeightFormat::kI4;
    switch (plan_.scales) {
      case ScaleKind::kPerOutput:
        if (!plan_.pairs) return MultiplyPerOutput<P>(pair);
        if (weight_.offsets) return MultiplyExpanded<P>(pair, WithOffsets<false>(pair));
        return is_int4 ? MultiplyExpanded<P>(pair, PlainTiles<PlainInt4>{})
                       : MultiplyExpanded<P>(pair, PlainTiles<PlainE2M1>{});
      case ScaleKind::kMultipliers:
        return is_int4 ? MultiplyExpanded<P>(pair, Multiplied<Int4Multipliers>(pair))
                       : MultiplyExpanded<P>(pair, Multiplied<E2M1Multipliers>(pair));
      case ScaleKind::kPerGroup:
        return plan_.half_steps ? MultiplyGroups<P, true>(pair) : MultiplyGroups<P, false>(pair);
      case ScaleKind::kWindows:
        return MultiplyWindows<P>(pair);
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
  ChangedTiles<Format> Multiplied(const PanelPair& pair) const {
    const int64_t stride = plan_.groups.count * kPanelColumns;
    return {weight_.multipliers + pair.panel * stride, stride, GroupWalk(plan_.groups, pair.k)};
  }
  template <bool kHalf>
  ChangedTiles<Int4Offsets, kHalf> WithOffsets(const PanelPair& pair) const {
    const int64_t stride = plan_.groups.count * kPanelColumns;
    return {weight_.offsets + pair.panel * stride, stride, GroupWalk(plan_.groups, pair.k)};
  }

  /// Int4 or e2m1 with one scale for each output, and perhaps multipliers or offsets: the first block of each burst
  /// also makes the tiles, the other blocks find them made.
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
    if (weight_.offsets) return MultiplyExpandedGroups<P, kHalf>(pair, WithOffsets<kHalf>(pair));
    if (weight_.minimums.Any()) return MultiplyExpandedGroups<P, kHalf>(pair, PlainTiles<UnsignedInt4>{});
    weight_.format == WeightFormat::kI4 ? MultiplyExpandedGroups<P, kHalf>(pair, PlainTiles<PlainInt4>{})
                                        : MultiplyExpandedGroups<P, kHalf>(pair, PlainTiles<PlainE2M1>{});
  }

  /// Powers of two for scales: span after span, pass after pass.
  template <int P>
  void MultiplyWindows(const PanelPair& pair) {
    const int64_t span = ExponentSpan(weight_);
    WindowPass& pass = scratch_.pass;
    for (int64_t k = pair.k; k < pair.end; k += span) {
      const SpanExponents exponents(weight_, plan_.groups, pair.panel, P, k, Min(k + span, pair.end));
      bool begins = k == 0;
      const auto run = [&](bool taken) {
        if (taken) MultiplyPass<P>(pair, k, begins);
        begins = begins && !taken;
      };
      for (int64_t g = 0; g < exponents.groups(); ++g) run(exponents.TakeSmall(g, pass, NextPassScales()));
      for (int window = 0; window < kExponentWindows; ++window)
        run(exponents.TakeWindow(window, pass, NextPassScales()));
    }
  }

  float (*NextPassScales())[kPanelColumns] { return scratch_.pass_scales[(passes_ + 1) % 4]; }

  /// A pass over the span that begins with channel k; `begins`: nothing has been summed.
  template <int P>
  void MultiplyPass(const PanelPair& pair, int64_t k, bool begins) {
    const WindowPass& pass = scratch_.pass;
    const Scales scales{NextPassScales()[0], kPanelColumns};
    ++passes_;
    PanelPair part = pair;
    part.k = k + pass.steps[0] * kIntegerTileK;
    auto expand = StartExpanding<P, false>(part, pass.count, pass.count, WindowTiles{&pass});
    const WeightTiles weights = InRing(expand, 0);
    const bool complete = k + ExponentSpan(weight_) >= weight_.k;
    ForBlocks(pair, complete, [&](int64_t number, const DigitBlock& whole, DigitSums(&sums)[2]) {
      DigitBlock block = whole;
      block.digits += k / kIntegerTileK * block.tile_stride;
      if (begins) memset(sums, 0, P * sizeof *sums);
      group_.SetTarget({sums, block.rows, scales, {}});
      if (number > 0) return RunListedSteps<P>(block, weights, pass.steps, pass.count, group_, side_work_);
      static_cast<SideWork&>(expand) = side_work_;
      RunListedSteps<P>(block, weights, pass.steps, pass.count, group_, expand);
      side_work_ = expand;
    });
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
    group_.SetTarget({sums, block.rows, pair.scales,
                      simd::GroupOffsets(call_, plan_.groups.count, 0, pair.panel, block.row)});
    const int64_t channels = plan_.groups.channels;
    RunGroupSteps<P, kHalf>(block, weights, k / kStep, (end + kStep - 1) / kStep, (channels + kStep - 1) / kStep,
                            k / channels, group_, work);
  }

  int64_t passes_ = 0;
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
