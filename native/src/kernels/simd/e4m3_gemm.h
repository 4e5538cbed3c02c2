#pragma once
// Products with weights of e4m3 and their scales, over a vector type V. Everything has internal linkage; vec.h says
// why.
//
// The products of a group are one chain of f32 sums in the order of its channels. The sum is multiplied by the group's
// scale and added to the sum of the groups before, in all tables at these places and at no others, so that a row's bits
// do not depend on how many rows share the call.
#include "kernels/simd/gemm.h"
#include "kernels/simd/integer_gemm.h"

namespace atb::kernels::simd {
namespace {

// Where many rows share a call, a format F may say what it widens weights to: F::Wide, a format of gemm.h which makes
// the same chain of the same products, and F::Widen(line, to).
template <class F>
constexpr bool kHasWide = requires { typename F::Wide; };

/// Bytes of a line of weights as F::Wide reads them.
template <class F>
constexpr int64_t WideBytesOf() {
  if constexpr (kHasWide<F>) return F::kStep / F::Wide::kStep * F::Wide::kBytes;
  return 0;
}

/// Of rows that are multiplied at once.
struct ScaledSums {
  float group[kPanels][kRows][kPanelColumns];  ///< Of one group of channels.
  float totals[kPanels][kRows][kPanelColumns];
};

template <class F>
struct alignas(64) ScaledScratch {
  /// Rows are multiplied at once so many times while a piece of the panels is wide.
  static constexpr int64_t kPasses = kHasWide<F> ? 8 : 1;
  static constexpr int64_t kPanelBytes = kChannels / F::kStep * WideBytesOf<F>();
  ScaledSums sums[kPasses];
  float x[kRows][kChannels];
  float scales[kPanels][kPanelColumns];
  char wide[kHasWide<F> ? kPanels * kPanelBytes : 1];
};

/// What the sums of a format count: a power of two.
template <class F>
constexpr float UnitOf() {
  if constexpr (requires { F::kUnit; }) return F::kUnit;
  return 1;
}

/// totals += scales * the sums of a group, which become zero.
template <class V, class F>
void AddGroup(const Scales& scales, int64_t group, int64_t rows, int64_t panels, ScaledSums& sums) {
  for (int64_t p = 0; p < panels; ++p) {
    const V scale = scales.At<V>(p, group);
    for (int64_t r = 0; r < rows; ++r) {
      float* const total = sums.totals[p][r];
      float* const sum = sums.group[p][r];
      V counted = V::Load(sum);
      if constexpr (UnitOf<F>() != 1) counted = counted * V::Set1(UnitOf<F>());
      Fma(counted, scale, V::Load(total)).Store(total);
      V::Zero().Store(sum);
    }
  }
}

/// Widens `steps` lines of each panel to scratch.wide.
template <class F>
void WidenPanels(const char* w, int64_t panel_stride, int64_t steps, int64_t panels, ScaledScratch<F>& scratch) {
  for (int64_t p = 0; p < panels; ++p) {
    const char* from = w + p * panel_stride;
    char* to = scratch.wide + p * scratch.kPanelBytes;
    for (int64_t s = 0; s < steps; ++s, from += F::kBytes, to += WideBytesOf<F>()) {
      __builtin_prefetch(from + kPrefetchBytes);
      F::Widen(from, to);
    }
  }
}

/// AccumulateRows; as a function of its own where F::kApart, since gcc keeps less of long products in registers when
/// they stand in the loops of ScaledGemm.
template <class V, class F>
__attribute__((noinline)) void AccumulateApart(int64_t rows, const char* x, int64_t x_bytes, const char* w,
                                               int64_t panel_stride, int64_t steps, int64_t panels, ScaledSums& sums) {
  AccumulateRows<V, F>(rows, x, x_bytes, w, panel_stride, steps, panels, sums.group);
}

/// KernelTable::gemm for e4m3, with the products of format F: as those of kernels/simd/gemm.h, but for Direct and
/// Convert, which are told the activations' dtype. One function serves all dtypes, since only the conversion of rows
/// knows of them; the loops of products would be compiled anew for each. `memory` has room for a ScaledScratch<F>.
template <class V, class F>
void ScaledGemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* memory) {
  auto& scratch = *static_cast<ScaledScratch<F>*>(memory);
  constexpr int64_t kPass = RowsOf<V, F>();
  const PackedWeight& weight = *call.weight;
  const ScaleGroups groups(weight);
  const int64_t x_size = call.x_dtype == DType::kF32 ? 4 : 2;
  const int64_t x_stride = call.x_stride * x_size;
  // Widening for less would cost more than it saves.
  const bool wide = kHasWide<F> && call.m > 2 * kPass;
  for (int64_t panel = panel_begin; panel < panel_end; panel += kPanels) {
    const int64_t panels = Min(kPanels, panel_end - panel);
    const auto scales = Scales::Of<V>(weight, groups.count, panel, panels, scratch.scales[0]);
    for (int64_t first = 0; first < call.m; first += kPass * scratch.kPasses) {
      const int64_t end_row = Min(first + kPass * scratch.kPasses, call.m);
      memset(scratch.sums, 0, static_cast<size_t>((end_row - first + kPass - 1) / kPass) * sizeof(ScaledSums));
      for (int64_t k = 0, channels = 0; k < weight.k; k += channels) {
        const int64_t group = k / groups.channels, end = Min((group + 1) * groups.channels, weight.k);
        channels = Min(kChannels, end - k);
        const int64_t steps = (channels + F::kStep - 1) / F::kStep;
        const char* w = static_cast<const char*>(weight.data) + panel * weight.panel_stride + k / F::kStep * F::kBytes;
        if constexpr (kHasWide<F>) {
          if (wide) WidenPanels<F>(w, weight.panel_stride, steps, panels, scratch);
        }
        for (int64_t row = first; row < end_row; row += kPass) {
          const int64_t rows = Min(kPass, end_row - row);
          ScaledSums& sums = scratch.sums[(row - first) / kPass];
          const char* x = static_cast<const char*>(call.x) + row * x_stride + k * x_size;
          int64_t x_bytes = x_stride;
          if (!F::Direct(call.x_dtype, channels)) {
            for (int64_t r = 0; r < rows; ++r) F::Convert(x + r * x_stride, call.x_dtype, channels, scratch.x[r]);
            x = reinterpret_cast<const char*>(scratch.x);
            x_bytes = sizeof scratch.x[0];
          }
          if constexpr (kHasWide<F>) {
            using Wide = typename F::Wide;
            static_assert(RowsOf<V, Wide>() >= kPass && Wide::kXBytes * (F::kStep / Wide::kStep) == F::kXBytes);
            if (wide)
              AccumulateRows<V, Wide>(rows, x, x_bytes, scratch.wide, scratch.kPanelBytes,
                                      steps * (F::kStep / Wide::kStep), panels, sums.group);
          }
          if (!wide) {
            if constexpr (requires { F::kApart; })
              AccumulateApart<V, F>(rows, x, x_bytes, w, weight.panel_stride, steps, panels, sums);
            else
              AccumulateRows<V, F>(rows, x, x_bytes, w, weight.panel_stride, steps, panels, sums.group);
          }
          if (k + channels == end) AddGroup<V, F>(scales, group, rows, panels, sums);
        }
      }
      for (int64_t row = first; row < end_row; row += kPass) {
        ScaledSums& sums = scratch.sums[(row - first) / kPass];
        for (int64_t p = 0; p < panels; p += call.gated ? 2 : 1) {
          const float* up = call.gated ? sums.totals[p + 1][0] : nullptr;
          Finish<V>(call, row, Min(kPass, end_row - row), panel + p, sums.totals[p][0], up);
        }
      }
    }
  }
}

/// Four channels in f32, of activations of any dtype. A table adds Load: a line as four vectors.
template <class V>
struct F32Channels {
  static constexpr int64_t kStep = kLineE4M3;
  static constexpr int64_t kBytes = 64;
  static constexpr int64_t kXBytes = 16;
  struct Weights {
    V channels[4];
    void Store(char* to) const {
      for (int i = 0; i < 4; ++i) channels[i].Store(reinterpret_cast<float*>(to) + i * kPanelColumns);
    }
  };
  static V MulAdd(V acc, const Weights& w, const char* x) {
    for (int i = 0; i < 4; ++i) acc = Fma(V::Set1(reinterpret_cast<const float*>(x)[i]), w.channels[i], acc);
    return acc;
  }
  static bool Direct(DType dtype, int64_t channels) { return dtype == DType::kF32 && channels % kStep == 0; }
  /// Widens `channels` activations to f32, and fills the last step of four with zeros.
  static void Convert(const char* x, DType dtype, int64_t channels, float* out) {
    if (dtype == DType::kBF16) return WidenAs<DType::kBF16>(x, channels, out);
    if (dtype == DType::kF16) return WidenAs<DType::kF16>(x, channels, out);
    WidenAs<DType::kF32>(x, channels, out);
  }

 private:
  template <DType kX>
  static void WidenAs(const char* x, int64_t channels, float* out) {
    for (int64_t i = 0; i < channels; i += kLanes) {
      const int64_t n = Min(kLanes, channels - i);
      LoadAs<V>(x, kX, i, n).Store(out + i);  // The other lanes are zeros.
    }
  }
};

}  // namespace
}  // namespace atb::kernels::simd
