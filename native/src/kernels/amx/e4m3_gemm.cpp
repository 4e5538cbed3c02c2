// Products of bf16 with e4m3 weights through AMX tiles. The loops, from the outside in:
//
//   for rows of activations that stay in L2                                  Wide
//     for pairs of panels                        16 + 16 columns             Wide
//       for slices of 2048 channels              widened to bf16 tiles       Wide
//         for row pairs                          32 rows                     Wide
//           for groups of channels               one burst of tiles          MultiplyGroups
//             for steps of 32 channels           one tile of each panel      PairBlock
//
// Up to 16 rows, or as many at the end, widen each tile right before they multiply it (e4m3_few.h). Either way the products
// of a group are one chain of tdpbf16ps over its channels in order; the sum is multiplied by the scale of the group and
// added to the groups before in f32.
#include "kernels/amx/e4m3_few.h"
#include "kernels/avx512/kernels.h"

namespace atb::kernels::amx {
namespace {

/// What is left to do of the sums of a group: to add them, scaled, to the totals, and after the last group the epilogue.
/// It is done while the next tiles are multiplied.
class DeferredGroup {
 public:
  /// Takes the sums of `rows` rows. `row` is the first one's place in the call, where these are the last channels, or -1.
  void Start(const Pair& pair, int64_t group, const PairSums& sums, PairSums& totals, int64_t rows, bool first,
             int64_t row) {
    pair_ = &pair;
    sums_ = &sums;
    totals_ = &totals;
    rows_ = left_ = rows;
    first_ = first;
    row_ = row;
    for (int64_t p = 0; p < pair.panels; ++p) scales_[p] = pair.Scale(p, group);
  }
  void Spread(int64_t steps) { each_ = steps > 0 ? (left_ + steps - 1) / steps : left_; }
  void Step() {
    if (left_ > 0) Some(Min(each_, left_));
  }
  void Rest() {
    if (left_ > 0) Some(left_);
  }

 private:
  void Some(int64_t n) {
    for (int64_t p = 0; p < pair_->panels; ++p) {
      for (int64_t r = rows_ - left_; r < rows_ - left_ + n; ++r) {
        const Vec before = first_ ? Vec::Zero() : Vec::Load((*totals_)[p][r]);
        Fma(Vec::Load((*sums_)[p][r]), scales_[p], before).Store((*totals_)[p][r]);
      }
    }
    if (row_ >= 0) Finish(rows_ - left_, n);
    left_ -= n;
  }
  void Finish(int64_t first, int64_t n) {
    const GemmCall& call = pair_->call;
    const float* second = (*totals_)[1][first];
    simd::Finish<Vec>(call, row_ + first, n, pair_->panel, (*totals_)[0][first], call.gated ? second : nullptr);
    if (pair_->panels == 2 && !call.gated)
      simd::Finish<Vec>(call, row_ + first, n, pair_->panel + 1, second, nullptr);
  }

  const Pair* pair_ = nullptr;
  const PairSums* sums_ = nullptr;
  PairSums* totals_ = nullptr;
  int64_t rows_ = 0, left_ = 0, each_ = 0, row_ = -1;
  bool first_ = false;
  Vec scales_[2];
};

// --- More than 16 rows ---

void ConfigurePair(int64_t rows) {
  TileConfig config;
  for (int tile = 0; tile < 8; ++tile) config.Set(tile, kTileRows);
  config.Set(2, rows - kTileRows);
  config.Set(3, rows - kTileRows);
  config.Set(5, rows - kTileRows);
  Configure(config);
}

/// Channels of a slice: whole groups, unless a group is larger than a slice.
int64_t SliceChannels(const simd::ScaleGroups& groups) {
  return groups.channels >= kSliceChannels ? kSliceChannels : kSliceChannels / groups.channels * groups.channels;
}

/// Multiplies one row pair by the widened channels [k, end) of a pair of panels, group by group.
template <int P>
void MultiplyGroups(const Pair& pair, int64_t row, int64_t rows, int64_t k, int64_t end, PairSums& totals,
                    DeferredGroup& pending, Scratch& scratch) {
  const GemmCall& call = pair.call;
  const int64_t channels = pair.groups.channels, all = call.weight->k;
  const char* x = static_cast<const char*>(call.x) + row * call.x_stride * 2;
  // Only a single group takes several slices: its sums wait where they will be scaled.
  PairSums& sums = pair.groups.count == 1 ? totals : scratch.group;
  const int64_t out_bytes = call.out_stride * (call.out_dtype == DType::kF32 ? 4 : 2);
  const char* const out = static_cast<const char*>(call.out) + row * out_bytes +
                          PanelRow(*call.weight, pair.panel) * (call.out_dtype == DType::kF32 ? 4 : 2);
  for (int64_t at = k; at < end;) {
    const int64_t group = at / channels, stop = Min(Min((group + 1) * channels, all), end);
    const bool complete = stop == Min((group + 1) * channels, all);
    const int64_t whole = (stop - at) / kTileK;
    const PairCall part{.x = x + at * 2,
                        .x_stride = call.x_stride * 2,
                        .w = reinterpret_cast<const char*>(scratch.tiles[0][(at - k) / kTileK]),
                        .panel_stride = sizeof scratch.tiles[0],
                        .whole = whole,
                        .tail = whole * kTileK < stop - at ? reinterpret_cast<const char*>(scratch.tail) : nullptr,
                        .resume = at > group * channels,
                        .c = sums[0][0],
                        .out = out,
                        .out_bytes = out_bytes,
                        .out_rows = stop == all ? rows : 0,
                        .next = nullptr,
                        .next_x = nullptr};
    PairBlock<P, 0>(part, pending);
    if (complete) pending.Start(pair, group, sums, totals, rows, group == 0, stop == all ? row : -1);
    at = stop;
  }
}

/// Fetches the share of row pair number `i` of channels [k, end) of the panels to come into L2.
void FetchShare(const Pair& pair, int64_t k, int64_t end, int64_t i, int64_t pairs) {
  const int64_t lines = (end - k) / kLineE4M3, first = lines * i / pairs, last = lines * (i + 1) / pairs;
  for (int64_t p = 2; p < 4; ++p) {
    const char* const from = pair.Lines(p, k);
    for (int64_t line = first; line < last; ++line) __builtin_prefetch(from + line * 64, 0, 2);
  }
}

/// Rows [row, row + rows) in row pairs: every pair but the last is whole, the last has more than 16 rows.
void Wide(const GemmCall& call, int64_t row, int64_t rows, int64_t panel_begin, int64_t panel_end, Scratch& scratch) {
  const int64_t k_all = call.weight->k, pairs = (rows + kPairRows - 1) / kPairRows;
  const int64_t slice = SliceChannels(simd::ScaleGroups(*call.weight));
  int64_t configured = 0;
  for (int64_t panel = panel_begin; panel < panel_end; panel += 2) {
    const Pair pair(call, panel, panel_end, scratch);
    DeferredGroup pending;
    for (int64_t k = 0; k < k_all; k += slice) {
      const int64_t end = Min(k + slice, k_all);
      for (int64_t p = 0; p < pair.panels; ++p) {
        for (int64_t c = k; c < end; c += kTileK)
          WidenTile(pair.Lines(p, c), scratch.tiles[p][(c - k) / kTileK]);
      }
      for (int64_t i = 0; i < pairs; ++i) {
        const int64_t first = row + i * kPairRows, count = Min(kPairRows, rows - i * kPairRows);
        if (panel + 2 < panel_end) FetchShare(pair, k, end, i, pairs);
        if (count != configured) ConfigurePair(configured = count);
        if (end == k_all) CopyTail(call, first, count, scratch);
        (pair.panels == 2 ? MultiplyGroups<2> : MultiplyGroups<1>)(pair, first, count, k, end, scratch.totals[i],
                                                                   pending, scratch);
      }
    }
    pending.Rest();
  }
}

}  // namespace

static_assert(sizeof(Scratch) <= kGemmScratchBytes);

void E4M3Gemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* memory) {
  if (call.x_dtype != DType::kBF16) return avx512::E4M3Gemm(call, panel_begin, panel_end, memory);
  Scratch& scratch = *static_cast<Scratch*>(memory);
  const int64_t rest = call.m % kPairRows;
  const int64_t narrow = rest <= kTileRows ? rest : 0;  // 16 rows or fewer at the end do not fill a pair of tiles.
  const int64_t wide = call.m - narrow;
  const int64_t fit = kBlockBytes / (call.weight->k * 2) / kPairRows * kPairRows;
  const int64_t block = fit < kPairRows ? kPairRows : Min(fit, kKeptPairs * kPairRows);
  for (int64_t row = 0; row < wide; row += block)
    Wide(call, row, Min(block, wide - row), panel_begin, panel_end, scratch);
  if (narrow) Narrow(call, wide, narrow, panel_begin, panel_end, scratch);
  Release();
}

}  // namespace atb::kernels::amx
