// Products of bf16 with e4m3 weights through AMX tiles. The loops, from the outside in:
//
//   for rows of activations that stay in L2                                  Wide
//     for pairs of panels                        16 + 16 columns             Wide
//       for slices of 2048 channels              widened to bf16 tiles       Wide
//         for row pairs                          32 rows                     Wide
//           for groups of channels               one burst of tiles          MultiplyGroups
//             for steps of 32 channels           one tile of each panel      PairBlock
//
// Up to 16 rows, or as many at the end, widen each tile right before they multiply it (Narrow). Either way the products
// of a group are one chain of tdpbf16ps over its channels in order; the sum is multiplied by the scale of the group and
// added to the groups before in f32.
#include "kernels/simd/e4m3_gemm.h"
#include "kernels/amx/e4m3_tiles.h"
#include "kernels/amx/gemm_tiles.h"
#include "kernels/amx/kernels.h"
#include "kernels/amx/tiles.h"
#include "kernels/avx512/kernels.h"

namespace atb::kernels::amx {
namespace {

using simd::Scales;

/// Channels of a pair of panels that are widened at once: 128 KB of tiles, which stay in L2 beside the activations.
constexpr int64_t kSliceChannels = 2048;
/// Activations that stay in L2, rows x channels of bf16.
constexpr int64_t kBlockBytes = 1024 * 1024;
/// Row pairs whose sums are kept from one slice to the next.
constexpr int64_t kKeptPairs = 32;
/// Tiles that few rows widen ahead of their use, and the ring of tiles that they go to. One tile ahead leaves the tile
/// unit waiting for stores; a larger ring only takes more of L1.
constexpr int64_t kAhead = 2;
constexpr int64_t kRing = 4;
/// Panels that up to 16 rows multiply side by side, as tiles and as vectors.
constexpr int64_t kTilePanels = 2;
constexpr int64_t kNarrowPanels = kE4M3Streams;

using PairSums = float[2][kPairRows][kPanelColumns];

struct alignas(64) Scratch {
  std::byte tiles[2][kSliceChannels / kTileK][kTileBytes];
  PairSums totals[kKeptPairs];
  PairSums group;  ///< The sums of one group of channels.
  float scales[kNarrowPanels][kPanelColumns];
  std::byte ring[kTilePanels][kRing][kTileBytes];
  float narrow_sums[kNarrowPanels][kTileRows][kPanelColumns];
  float narrow_totals[kNarrowPanels][kTileRows][kPanelColumns];
  float x[2][kSliceChannels];  ///< Activations of one or two rows.
  uint16_t tail[kPairRows][kTileK];
};

/// The panels of a pair and the activations of some rows.
struct Pair {
  const GemmCall& call;
  simd::ScaleGroups groups;
  int64_t panel;
  int64_t panels;
  Scales scales;

  Pair(const GemmCall& c, int64_t first, int64_t end, Scratch& scratch, int64_t most = 2)
      : call(c), groups(*c.weight), panel(first), panels(Min(most, end - first)),
        scales(Scales::Of<Vec>(*c.weight, groups.count, first, panels, scratch.scales[0])) {}

  /// Sixteen scales of a group, for sums of what the tiles hold.
  Vec Scale(int64_t p, int64_t group) const {
    return scales.At<Vec>(p * scales.stride + group * kPanelColumns) * Vec::Set1(1 / kWidenedFraction);
  }
  const char* Lines(int64_t p, int64_t channel) const {
    const PackedWeight& weight = *call.weight;
    return static_cast<const char*>(weight.data) + (panel + p) * weight.panel_stride + channel * kPanelColumns;
  }
};

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

/// The last channels of rows [row, row + rows), padded with zeros to a tile.
void CopyTail(const GemmCall& call, int64_t row, int64_t rows, Scratch& scratch) {
  const int64_t k = call.weight->k, rest = k % kTileK;
  if (rest == 0) return;
  const uint16_t* x = static_cast<const uint16_t*>(call.x) + row * call.x_stride + k - rest;
  for (int64_t r = 0; r < rows; ++r) {
    memset(scratch.tail[r], 0, sizeof scratch.tail[r]);
    memcpy(scratch.tail[r], x + r * call.x_stride, static_cast<size_t>(rest) * 2);
  }
}

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
                        .out = nullptr,
                        .out_bytes = 0,
                        .out_rows = 0,
                        .next = nullptr,
                        .next_x = nullptr};
    PairBlock<P, 0>(part, pending);
    if (complete) pending.Start(pair, group, sums, totals, rows, group == 0, stop == all ? row : -1);
    at = stop;
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
        if (count != configured) ConfigurePair(configured = count);
        if (end == k_all) CopyTail(call, first, count, scratch);
        (pair.panels == 2 ? MultiplyGroups<2> : MultiplyGroups<1>)(pair, first, count, k, end, scratch.totals[i],
                                                                   pending, scratch);
      }
    }
    pending.Rest();
  }
}

// --- Up to 16 rows ---

/// Widens the tiles of P panels, kAhead steps before they are multiplied.
template <int P>
struct TileRing {
  const Pair& pair;
  Scratch& scratch;
  int64_t made = 0;
  int64_t count;

  std::byte* At(int64_t p, int64_t step) const { return scratch.ring[p][step % kRing]; }
  void Make() {
    if (made == count) return;
    for (int64_t p = 0; p < P; ++p) WidenTile(pair.Lines(p, made * kTileK), At(p, made));
    ++made;
  }
};

/// totals[p] += scales * sums[p], the sums of a group.
template <int P>
void AddGroup(const Pair& pair, int64_t group, int64_t rows, Scratch& scratch) {
  for (int64_t p = 0; p < P; ++p) {
    const Vec scale = pair.Scale(p, group);
    for (int64_t r = 0; r < rows; ++r) {
      const Vec before = group == 0 ? Vec::Zero() : Vec::Load(scratch.narrow_totals[p][r]);
      Fma(Vec::Load(scratch.narrow_sums[p][r]), scale, before).Store(scratch.narrow_totals[p][r]);
    }
  }
}

template <int P>
void FinishPanels(const Pair& pair, int64_t row, int64_t rows, Scratch& scratch) {
  const GemmCall& call = pair.call;
  for (int64_t p = 0; p < P; p += call.gated ? 2 : 1) {
    const float* up = call.gated ? scratch.narrow_totals[p + 1][0] : nullptr;
    simd::Finish<Vec>(call, row, rows, pair.panel + p, scratch.narrow_totals[p][0], up);
  }
}

template <int P>
void NarrowPanels(const Pair& pair, int64_t row, int64_t rows, Scratch& scratch) {
  const GemmCall& call = pair.call;
  const int64_t k = call.weight->k, stride = call.x_stride * 2;
  const char* const x = static_cast<const char*>(call.x) + row * stride;
  TileRing<P> ring{pair, scratch, 0, (k + kTileK - 1) / kTileK};
  for (int64_t i = 0; i < kAhead; ++i) ring.Make();
  for (int64_t g = 0, step = 0; g < pair.groups.count; ++g) {
    const int64_t end = Min((g + 1) * pair.groups.channels, k), first = step;
    ForTiles<P>([]<int I>() { Zero<I>(); });
    for (; step * kTileK < end; ++step) {
      ring.Make();
      const bool whole = (step + 1) * kTileK <= k;
      LoadTile<6>(whole ? x + step * kTileRowBytes : reinterpret_cast<const char*>(scratch.tail),
                  whole ? stride : kTileRowBytes);
      ForTiles<P>([&]<int I>() {
        LoadTile<7>(ring.At(I, step), kTileRowBytes);
        MultiplyBF16<I, 6, 7>();
      });
      if (step == first && g > 0) AddGroup<P>(pair, g - 1, rows, scratch);  // Those of the group before, stored by now.
    }
    ForTiles<P>([&]<int I>() { StoreTile<I>(scratch.narrow_sums[I], kTileRowBytes); });
  }
  AddGroup<P>(pair, pair.groups.count - 1, rows, scratch);
  FinishPanels<P>(pair, row, rows, scratch);
}

void NarrowTiles(const GemmCall& call, int64_t row, int64_t rows, int64_t panel_begin, int64_t panel_end, Scratch& scratch) {
  TileConfig config;
  for (int tile = 0; tile < 7; ++tile) config.Set(tile, rows);
  config.Set(7, kTileRows);
  Configure(config);
  CopyTail(call, row, rows, scratch);
  for (int64_t panel = panel_begin; panel < panel_end; panel += kTilePanels) {
    const Pair pair(call, panel, panel_end, scratch);
    (pair.panels == 2 ? NarrowPanels<2> : NarrowPanels<1>)(pair, row, rows, scratch);
  }
}

// --- One or two rows ---
//
// Tiles multiply so few rows no faster than sixteen, and their making takes longer than reading the weights. Vectors do
// what tdpbf16ps is defined to do (Intel's manual, "TDPBF16PS"): for 32 channels it sums the products of the even and of
// the odd channels, each in order from zero, adds both sums, and adds that to the tile; subnormals are zeros.

/// As f32, subnormals as zeros.
void WidenRows(const GemmCall& call, int64_t row, int64_t rows, int64_t k, int64_t channels, Scratch& scratch) {
  const uint16_t* x = static_cast<const uint16_t*>(call.x) + row * call.x_stride + k;
  for (int64_t r = 0; r < rows; ++r, x += call.x_stride) {
    for (int64_t i = 0; i < channels; i += simd::kLanes)
      simd::LoadAs<Vec>(x, DType::kBF16, i, channels - i).Store(scratch.x[r] + i);
    for (int64_t i = (channels + simd::kLanes - 1) / simd::kLanes * simd::kLanes; i % kTileK; i += simd::kLanes)
      Vec::Zero().Store(scratch.x[r] + i);
  }
}

/// sums[p][r] += R rows times `tiles` tiles of P panels. Not inlined: it runs while subnormals are zeros.
template <int R, int P>
__attribute__((noinline)) void MultiplyFew(const char* w, int64_t panel_stride, int64_t tiles, Scratch& scratch) {
  const __m512i odd_half = _mm512_set1_epi32(static_cast<int>(0xFFFF0000u));
  for (int64_t t = 0; t < tiles; ++t) {
    Vec even[P][R], odd[P][R];
    for (int p = 0; p < P; ++p) {
      for (int r = 0; r < R; ++r) even[p][r] = odd[p][r] = Vec::Zero();
    }
    for (int64_t line = 0; line < kTileRows / 2; ++line, w += 64) {
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) {
        __builtin_prefetch(w + p * panel_stride + kE4M3PrefetchBytes);
        const WidenedLine rows = WidenLine(w + p * panel_stride);
#pragma GCC unroll 2
        for (int r = 0; r < R; ++r) {
          const float* const x = scratch.x[r] + t * kTileK + line * kLineE4M3;
          const auto add = [&](Vec& sum, __m512i number, float by) __attribute__((always_inline)) {
            sum = Fma(Vec::Set1(by), Vec{_mm512_castsi512_ps(number)}, sum);
          };
          add(even[p][r], _mm512_slli_epi32(rows.first, 16), x[0]);
          add(odd[p][r], _mm512_and_si512(rows.first, odd_half), x[1]);
          add(even[p][r], _mm512_slli_epi32(rows.second, 16), x[2]);
          add(odd[p][r], _mm512_and_si512(rows.second, odd_half), x[3]);
        }
      }
    }
    for (int p = 0; p < P; ++p) {
      for (int r = 0; r < R; ++r) {
        float* const sum = scratch.narrow_sums[p][r];
        (Vec::Load(sum) + (even[p][r] + odd[p][r])).Store(sum);
      }
    }
  }
}

/// The processor's rounding mode in which subnormals are zeros, as they are to tiles, until the end of the scope.
class SubnormalsAreZeros {
 public:
  SubnormalsAreZeros() : before_(_mm_getcsr()) { Set(before_ | 0x8040u); }
  ~SubnormalsAreZeros() { Set(before_); }
  SubnormalsAreZeros(const SubnormalsAreZeros&) = delete;
  SubnormalsAreZeros& operator=(const SubnormalsAreZeros&) = delete;

 private:
  static void Set(unsigned mode) { __asm__ volatile("ldmxcsr %0" ::"m"(mode) : "memory"); }
  unsigned before_;
};

template <int R, int P>
void FewPanels(const Pair& pair, int64_t row, Scratch& scratch) {
  const GemmCall& call = pair.call;
  const int64_t k = call.weight->k;
  for (int64_t g = 0; g < pair.groups.count; ++g) {
    for (int p = 0; p < P; ++p) memset(scratch.narrow_sums[p], 0, R * sizeof scratch.narrow_sums[p][0]);
    const int64_t end = Min((g + 1) * pair.groups.channels, k);
    for (int64_t at = g * pair.groups.channels; at < end; at += kSliceChannels) {
      const int64_t channels = Min(kSliceChannels, end - at);
      const SubnormalsAreZeros mode;
      WidenRows(call, row, R, at, channels, scratch);
      MultiplyFew<R, P>(pair.Lines(0, at), call.weight->panel_stride, (channels + kTileK - 1) / kTileK, scratch);
    }
    AddGroup<P>(pair, g, R, scratch);
  }
  FinishPanels<P>(pair, row, R, scratch);
}

template <int R>
void Few(const GemmCall& call, int64_t row, int64_t panel_begin, int64_t panel_end, Scratch& scratch) {
  for (int64_t panel = panel_begin; panel < panel_end; panel += kNarrowPanels) {
    const Pair pair(call, panel, panel_end, scratch, kNarrowPanels);
    constexpr decltype(&FewPanels<R, 1>) kMultiply[] = {FewPanels<R, 1>, FewPanels<R, 2>, FewPanels<R, 3>, FewPanels<R, 4>,
                                                        FewPanels<R, 5>, FewPanels<R, 6>, FewPanels<R, 7>, FewPanels<R, 8>};
    kMultiply[pair.panels - 1](pair, row, scratch);
  }
}

/// Up to 16 rows.
void Narrow(const GemmCall& call, int64_t row, int64_t rows, int64_t panel_begin, int64_t panel_end, Scratch& scratch) {
  if (rows == 1) return Few<1>(call, row, panel_begin, panel_end, scratch);
  if (rows == 2) return Few<2>(call, row, panel_begin, panel_end, scratch);
  NarrowTiles(call, row, rows, panel_begin, panel_end, scratch);
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
