#pragma once
// Products with weights of e4m3 and their scales, over a vector type V. Everything has internal linkage; vec.h says why.
//
// The products of a group are one chain of f32 sums in the order of its channels. The sum is multiplied by the group's
// scale and added to the sum of the groups before, in all tables at these places and at no others, so that a row's bits
// do not depend on how many rows share the call.
#include "kernels/simd/gemm.h"
#include "kernels/simd/integer_gemm.h"

namespace atb::kernels::simd {
namespace {

struct ScaledScratch {
  GemmScratch group;  ///< The sums of one group of channels.
  float totals[kPanels][kRows][kPanelColumns];
  float scales[kPanels][kPanelColumns];
};

/// What the sums of a format count: a power of two.
template <class F>
constexpr float UnitOf() {
  if constexpr (requires { F::kUnit; }) return F::kUnit;
  return 1;
}

/// totals += scales * the sums of a group, which become zero.
template <class V, class F>
void AddGroup(const Scales& scales, int64_t group, int64_t rows, int64_t panels, ScaledScratch& scratch) {
  for (int64_t p = 0; p < panels; ++p) {
    const V scale = scales.At<V>(p * scales.stride + group * kPanelColumns);
    for (int64_t r = 0; r < rows; ++r) {
      float* const total = scratch.totals[p][r];
      float* const sum = scratch.group.c[p][r];
      V counted = V::Load(sum);
      if constexpr (UnitOf<F>() != 1) counted = counted * V::Set1(UnitOf<F>());
      Fma(counted, scale, V::Load(total)).Store(total);
      V::Zero().Store(sum);
    }
  }
}

/// KernelTable::gemm for e4m3 and activations as format F (kernels/simd/gemm.h) takes them.
template <class V, class F>
void ScaledGemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, int64_t x_size, ScaledScratch& scratch) {
  const PackedWeight& weight = *call.weight;
  const ScaleGroups groups(weight);
  const int64_t x_stride = call.x_stride * x_size;
  for (int64_t panel = panel_begin; panel < panel_end; panel += kPanels) {
    const int64_t panels = Min(kPanels, panel_end - panel);
    const auto scales = Scales::Of<V>(weight, groups.count, panel, panels, scratch.scales[0]);
    for (int64_t row = 0; row < call.m; row += RowsOf<V, F>()) {
      const int64_t rows = Min(RowsOf<V, F>(), call.m - row);
      memset(scratch.group.c, 0, sizeof scratch.group.c);
      memset(scratch.totals, 0, sizeof scratch.totals);
      for (int64_t k = 0, channels = 0; k < weight.k; k += channels) {
        const int64_t group = k / groups.channels, end = Min((group + 1) * groups.channels, weight.k);
        channels = Min(kChannels, end - k);
        const char* x = static_cast<const char*>(call.x) + row * x_stride + k * x_size;
        int64_t x_bytes = x_stride;
        if (!F::Direct(channels)) {
          for (int64_t r = 0; r < rows; ++r) F::Convert(x + r * x_stride, channels, scratch.group.x[r]);
          x = reinterpret_cast<const char*>(scratch.group.x);
          x_bytes = sizeof scratch.group.x[0];
        }
        const char* w = static_cast<const char*>(weight.data) + panel * weight.panel_stride + k / F::kStep * F::kBytes;
        const int64_t steps = (channels + F::kStep - 1) / F::kStep;
        AccumulateRows<V, F>(rows, x, x_bytes, w, weight.panel_stride, steps, panels, scratch.group.c);
        if (k + channels == end) AddGroup<V, F>(scales, group, rows, panels, scratch);
      }
      for (int64_t p = 0; p < panels; p += call.gated ? 2 : 1) {
        const float* up = call.gated ? scratch.totals[p + 1][0] : nullptr;
        Finish<V>(call, row, rows, panel + p, scratch.totals[p][0], up);
      }
    }
  }
}

/// Widens `channels` activations to f32, and fills the last step of four with zeros.
template <class V, DType kX>
void WidenRow(const char* x, int64_t channels, float* out) {
  for (int64_t i = 0; i < channels; i += kLanes) {
    const int64_t n = Min(kLanes, channels - i);
    LoadAs<V>(x, kX, i, n).Store(out + i);  // The other lanes are zeros.
  }
}

/// Four channels in f32, of activations of type kX. A table adds Load: a line as four vectors.
template <class V, DType kX>
struct F32Channels {
  static constexpr int64_t kStep = kLineE4M3;
  static constexpr int64_t kBytes = 64;
  static constexpr int64_t kXBytes = 16;
  struct Weights {
    V channels[4];
  };
  static V MulAdd(V acc, const Weights& w, const char* x) {
    for (int i = 0; i < 4; ++i) acc = Fma(V::Set1(reinterpret_cast<const float*>(x)[i]), w.channels[i], acc);
    return acc;
  }
  static bool Direct(int64_t channels) { return kX == DType::kF32 && channels % kStep == 0; }
  static void Convert(const char* x, int64_t channels, float* out) { WidenRow<V, kX>(x, channels, out); }
};

}  // namespace
}  // namespace atb::kernels::simd
