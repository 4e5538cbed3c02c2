// Products of bf16 with e4m3 weights through AMX tiles. The loops, from the outside in:
//
//   for rows of activations whose slices stay in L2                                        E4M3Gemm
//     for 32 panels whose sums are kept together       two where there is one slice        Wide
//       for slices of 2048 channels                                                        Wide
//         for pairs of panels                          16 + 16 columns                     Wide
//           for row pairs                              32 rows; the first widens to tiles  Wide
//             for groups of channels                                                       MultiplySlice
//               for steps of 32 channels               one tile of each panel              MultiplyStep
//
// Up to 16 rows, or as many at the end, widen each tile right before they multiply it (e4m3_few.h). Either way the
// products of a group are one chain of tdpbf16ps over its channels in order; the sum is multiplied by the scale of the
// group and added to the groups before in f32.
#include "kernels/amx/e4m3_few.h"
#include "kernels/avx512/kernels.h"

namespace atb::kernels::amx {
namespace {

/// totals[p][r] = scales[p] * sums[p][r], of rows [row, row + rows) and P panels; but of the first group added to them.
template <int P, bool kFirst>
__attribute__((noinline)) void AddRows(const PairSums& sums, const Vec* scales, int64_t row, int64_t rows,
                                       PairSums& totals) {
  const Vec first = scales[0], second = scales[1];
  const float* from = sums[0][row];
  float* to = totals[0][row];
  constexpr int64_t kPanel = kPairRows * kPanelColumns;
#pragma GCC unroll 4
  for (int64_t r = 0; r < rows; ++r, from += kPanelColumns, to += kPanelColumns) {
    Fma(Vec::Load(from), first, kFirst ? Vec::Zero() : Vec::Load(to)).Store(to);
    if constexpr (P == 2)
      Fma(Vec::Load(from + kPanel), second, kFirst ? Vec::Zero() : Vec::Load(to + kPanel)).Store(to + kPanel);
  }
}

/// What is left to do of the sums of a group: to add them, scaled, to the totals, and after the last group the
/// epilogue. It is done while the next tiles are multiplied.
class DeferredGroup {
 public:
  /// Takes the sums of `rows` rows; nothing of an earlier group may be left. `row` is the first one's place in the
  /// call, where these are the last channels, or -1. The work is spread over `steps` steps.
  void Start(const Pair& pair, int64_t group, const PairSums& sums, PairSums& totals, int64_t rows, int64_t row,
             int64_t steps) {
    constexpr decltype(&AddRows<1, false>) kAdders[][2] = {{AddRows<1, false>, AddRows<1, true>},
                                                           {AddRows<2, false>, AddRows<2, true>}};
    add_ = kAdders[pair.panels - 1][group == 0];
    call_ = &pair.call;
    panel_ = pair.panel;
    panels_ = pair.panels;
    sums_ = &sums;
    totals_ = &totals;
    rows_ = left_ = rows;
    row_ = row;
    // SwiGLU takes two rows at least, since the constants of its polynomial are loaded once for both.
    each_ = rows > 2 * steps ? (rows + steps - 1) / steps : 2;
    for (int64_t p = 0; p < pair.panels; ++p) scales_[p] = pair.Scale(p, group);
  }
  /// Where the tiles store the sums of a group while those of the one before are still needed.
  PairSums& Next(Scratch& scratch) { return scratch.group[turn_ ^= 1]; }
  ATB_INLINE void Step() {
    if (left_ > 0) Some(Min(each_, left_));
  }
  ATB_INLINE void Rest() {
    if (left_ > 0) Some(left_);
  }

 private:
  void Some(int64_t n) {
    add_(*sums_, scales_, rows_ - left_, n, *totals_);
    if (row_ >= 0) Finish(rows_ - left_, n);
    left_ -= n;
  }
  void Finish(int64_t first, int64_t n) {
    const float* second = (*totals_)[1][first];
    simd::Finish<Vec>(*call_, row_ + first, n, panel_, (*totals_)[0][first], call_->gated ? second : nullptr);
    if (panels_ == 2 && !call_->gated)
      simd::Finish<Vec>(*call_, row_ + first, n, panel_ + 1, second, nullptr);
  }

  void (*add_)(const PairSums& sums, const Vec* scales, int64_t row, int64_t rows, PairSums& totals) = nullptr;
  const GemmCall* call_ = nullptr;
  int64_t panel_ = 0, panels_ = 0;
  const PairSums* sums_ = nullptr;
  PairSums* totals_ = nullptr;
  int64_t rows_ = 0, left_ = 0, each_ = 0, row_ = -1;
  int turn_ = 0;
  Vec scales_[2];
};

// --- More than 16 rows ---

/// Channels of a slice: whole groups, unless a group is larger than a slice.
int64_t SliceChannels(const simd::ScaleGroups& groups) {
  return groups.channels >= kSliceChannels ? kSliceChannels : kSliceChannels / groups.channels * groups.channels;
}

/// A pair of panels and a slice of their channels, [k, end).
struct Slice {
  const Pair& pair;
  int64_t k, end;
  Scratch& scratch;

  int64_t Steps() const { return (end - k + kTileK - 1) / kTileK; }
  std::byte* Tile(int64_t p, int64_t step) const { return scratch.tiles[p][step]; }
  void Widen(int64_t step) const {
    for (int64_t p = 0; p < pair.panels; ++p) WidenTile(pair.Lines(p, k + step * kTileK), Tile(p, step));
  }
};

/// What the row pairs of a slice do beside their tiles.
struct SliceWork {
  const char* next;         ///< Lines of the first of the panels to come, which a row pair fetches its share of into L2.
  int64_t panel_stride;
  int64_t lines;            ///< That a step fetches of each panel.
  int64_t lines_left;       ///< That all steps fetch.

  /// Row pair number `i` of `pairs`.
  SliceWork(const Slice& slice, bool fetches, int64_t i, int64_t pairs) {
    const int64_t all = (slice.end - slice.k) / kLineE4M3, first = all * i / pairs;
    next = slice.pair.Lines(2, slice.k) + first * 64;
    panel_stride = slice.pair.call.weight->panel_stride;
    lines_left = fetches ? all * (i + 1) / pairs - first : 0;
    lines = (lines_left + slice.Steps() - 1) / slice.Steps();
  }
  ATB_INLINE void Step() {
    if (lines_left <= 0) return;
    for (int64_t i = 0; i < lines; ++i, next += 64) {
      __builtin_prefetch(next, 0, 2);
      __builtin_prefetch(next + panel_stride, 0, 2);
    }
    lines_left -= lines;
  }
};

/// A step: 32 rows times a tile of P panels. Where `finished` is not null, sums are stored there before they begin
/// anew: each right before its next product, three products after its last one.
template <int P>
ATB_INLINE inline void MultiplyStep(const char* x, int64_t x_stride, const Slice& slice, int64_t step,
                                    PairSums* finished) {
  const auto store = [finished]<int I>(int64_t panel, int64_t row) __attribute__((always_inline)) {
    if (finished == nullptr) return;
    StoreTile<I>((*finished)[panel][row], kTileRowBytes);
    Zero<I>();
  };
  LoadTile<4>(x, x_stride);
  LoadTile<5>(x + kTileRows * x_stride, x_stride);
  LoadTile<6>(slice.Tile(0, step), kTileRowBytes);
  store.template operator()<0>(0, 0);
  MultiplyBF16<0, 4, 6>();
  store.template operator()<2>(0, kTileRows);
  MultiplyBF16<2, 5, 6>();
  if constexpr (P == 2) {
    LoadTile<7>(slice.Tile(1, step), kTileRowBytes);
    store.template operator()<1>(1, 0);
    MultiplyBF16<1, 4, 7>();
    store.template operator()<3>(1, kTileRows);
    MultiplyBF16<3, 5, 7>();
  }
}

template <int P>
void StoreSums(PairSums& sums) {
  StoreTile<0>(sums[0][0], kTileRowBytes);
  StoreTile<2>(sums[0][kTileRows], kTileRowBytes);
  if constexpr (P == 2) StoreTile<1>(sums[1][0], kTileRowBytes);
  if constexpr (P == 2) StoreTile<3>(sums[1][kTileRows], kTileRowBytes);
}

template <int P>
void LoadSums(const PairSums& sums) {
  LoadTile<0>(sums[0][0], kTileRowBytes);
  LoadTile<2>(sums[0][kTileRows], kTileRowBytes);
  if constexpr (P == 2) LoadTile<1>(sums[1][0], kTileRowBytes);
  if constexpr (P == 2) LoadTile<3>(sums[1][kTileRows], kTileRowBytes);
}

/// Multiplies one row pair by a slice of P panels, group by group. kWidens: it makes the slice's tiles, two steps
/// before they are multiplied. Only a single group takes several slices: its sums wait where they will be scaled.
template <int P, bool kWidens>
void MultiplySlice(const Slice& slice, int64_t row, int64_t rows, PairSums& totals, DeferredGroup& pending,
                   SliceWork work) {
  const Pair& pair = slice.pair;
  const GemmCall& call = pair.call;
  Scratch& scratch = slice.scratch;
  const int64_t steps = slice.Steps(), all = call.weight->k;
  const bool single = pair.groups.count == 1, complete = slice.end == all;
  const int64_t each = single ? steps : pair.groups.channels / kTileK;
  const int64_t out_size = call.out_dtype == DType::kF32 ? 4 : 2;
  const char* const out = static_cast<const char*>(call.out) +
                          (row * call.out_stride + PanelRow(*call.weight, pair.panel)) * out_size;
  const char* const x = static_cast<const char*>(call.x) + (row * call.x_stride + slice.k) * 2;
  const auto rest_of = [&](int64_t step) __attribute__((always_inline)) {
    work.Step();
    if (kWidens && step + kAhead < steps) slice.Widen(step + kAhead);
    // The results go to one or two cache lines of each row. Were these misses when they are written, they would take a
    // twentieth of the time.
    if (complete && step < rows) PrefetchForWrite(out + step * call.out_stride * out_size);
  };
  if (kWidens) {
    for (int64_t step = 0; step < Min(kAhead, steps); ++step) slice.Widen(step);
  }
  single && slice.k > 0 ? LoadSums<P>(totals) : ForTiles<4>([]<int I>() { Zero<I>(); });
  int64_t group = single ? 0 : slice.k / pair.groups.channels;
  for (int64_t step = 0; step < steps; ++group) {
    for (const int64_t first = step, stop = Min(step + each, steps); step < stop; ++step) {
      const bool whole = slice.k + (step + 1) * kTileK <= all;
      const char* const from = whole ? x + step * kTileRowBytes : reinterpret_cast<const char*>(scratch.tail);
      PairSums* const finished = step == first && step > 0 ? &pending.Next(scratch) : nullptr;
      MultiplyStep<P>(from, whole ? call.x_stride * 2 : kTileRowBytes, slice, step, finished);
      rest_of(step);
      if (finished) {
        pending.Rest();
        pending.Start(pair, group - 1, *finished, totals, rows, -1, each);
      }
      pending.Step();
    }
  }
  PairSums& sums = single ? totals : pending.Next(scratch);
  pending.Rest();
  StoreSums<P>(sums);
  if (!single || complete) pending.Start(pair, group - 1, sums, totals, rows, complete ? row : -1, each);
}

/// Rows [row, row + rows) in row pairs: every pair but the last is whole, the last has more than 16 rows.
void Wide(const GemmCall& call, int64_t row, int64_t rows, int64_t panel_begin, int64_t panel_end, Scratch& scratch) {
  const int64_t k_all = call.weight->k, pairs = (rows + kPairRows - 1) / kPairRows;
  const int64_t channels = SliceChannels(simd::ScaleGroups(*call.weight));
  const bool several = channels < k_all;
  const int64_t kept = several ? kKeptPanels : 2;
  int64_t configured = 0;
  DeferredGroup pending;
  for (int64_t first_kept = panel_begin; first_kept < panel_end; first_kept += kept) {
    const int64_t kept_end = Min(first_kept + kept, panel_end);
    for (int64_t k = 0; k < k_all; k += channels) {
      for (int64_t panel = first_kept; panel < kept_end; panel += 2) {
        const Pair pair(call, panel, panel_end, scratch);
        const Slice slice{pair, k, Min(k + channels, k_all), scratch};
        for (int64_t i = 0; i < pairs; ++i) {
          const int64_t first = row + i * kPairRows, count = Min(kPairRows, rows - i * kPairRows);
          if (count != configured) ConfigurePair(configured = count);
          if (slice.end == k_all) CopyTail(call, first, count, scratch);
          // A row pair whose channels are one slice is done with its sums when the next but one begins.
          PairSums& totals = scratch.totals[several ? (panel - first_kept) / 2 : 0][several ? i : i % 2];
          const auto multiply = i == 0 ? (pair.panels == 2 ? MultiplySlice<2, true> : MultiplySlice<1, true>)
                                       : (pair.panels == 2 ? MultiplySlice<2, false> : MultiplySlice<1, false>);
          multiply(slice, first, count, totals, pending, SliceWork(slice, panel + 4 <= panel_end, i, pairs));
        }
      }
    }
  }
  pending.Rest();
}

}  // namespace

static_assert(sizeof(Scratch) <= kGemmScratchBytes);

void E4M3Gemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* memory) {
  if (call.x_dtype != DType::kBF16) return avx512::E4M3Gemm(call, panel_begin, panel_end, memory);
  Scratch& scratch = *static_cast<Scratch*>(memory);
  const int64_t rest = call.m % kPairRows;
  const int64_t narrow = rest <= kTileRows ? rest : 0;  // 16 rows or fewer at the end do not fill a pair of tiles.
  const int64_t wide = call.m - narrow;
  const int64_t k = call.weight->k, slice = Min(k, SliceChannels(simd::ScaleGroups(*call.weight)));
  const int64_t fit = kBlockBytes / (slice * 2) / kPairRows * kPairRows;
  const int64_t block = slice < k ? Min(fit, kKeptPairs * kPairRows) : fit;
  for (int64_t row = 0; row < wide; row += block)
    Wide(call, row, Min(block, wide - row), panel_begin, panel_end, scratch);
  if (narrow) Narrow(call, wide, narrow, panel_begin, panel_end, scratch);
  Release();
}

}  // namespace atb::kernels::amx
