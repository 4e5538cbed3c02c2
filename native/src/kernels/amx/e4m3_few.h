#pragma once
// Up to 16 rows times weights of e4m3. Included by e4m3_gemm.cpp alone; everything has internal linkage.
#include "kernels/amx/e4m3_panels.h"

namespace atb::kernels::amx {
namespace {

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
    pair.FetchScales(g);
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
// what tdpbf16ps is defined to do (Intel's manual, "TDPBF16PS"): for 32 channels it sums the products of the even and
// of the odd channels, each in order from zero, adds both sums, and adds that to the tile; subnormals are zeros.

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
    pair.FetchScales(g);
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
}  // namespace atb::kernels::amx
