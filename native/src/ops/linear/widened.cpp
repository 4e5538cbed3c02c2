#include "ops/linear/widened.h"

#include <algorithm>

#include "base/align.h"
#include "base/checked.h"
#include "kernels/pack.h"
#include "kernels/pack_integers.h"
#include "ops/linear/pieces.h"

namespace atb {
namespace {

using kernels::PackedWeight;

/// Panels that are made at a time: as many as fit these bytes, and at least two, which gates and what they gate are.
/// Those of few rows stay in L2; many rows would be read again for each time.
constexpr int64_t kFewBytes = 512 << 10, kBytes = 2 << 20;
constexpr int64_t kLeast = 2, kMost = 16;

int64_t PanelsOf(int64_t bytes, int64_t panel_bytes) {
  return std::clamp(bytes / panel_bytes / kLeast * kLeast, kLeast, kMost);
}

}  // namespace

size_t WidenedBytes(int64_t k) {
  const int64_t line = kernels::kPanelColumns * static_cast<int64_t>(sizeof(float));
  const int64_t panel = CheckedMul(RoundUp(k, kernels::kTileK), line);
  // Panels of 16 bits are half as large, and perhaps twice as many.
  return static_cast<size_t>(CheckedMul(panel, PanelsOf(kBytes, panel)) + panel);
}

void RunKernel(const kernels::GemmCall& call, int64_t begin, int64_t end, const kernels::KernelTable& kernels,
               std::byte* scratch, std::byte* memory) {
  const PackedWeight& weight = *call.weight;
  if (!kernels::IsWidened(weight)) return kernels.gemm(call, begin, end, scratch);
  PackedWeight floats =
      kernels::PackedGeometry(kernels::FormatOf(call.x_dtype), weight.n, weight.k, weight.interleaved);
  kernels::GemmCall own = call;
  own.weight = &floats;
  const int64_t scales = kernels::GroupsOf(weight.k, weight.group) * kernels::kPanelColumns;
  const int64_t step = PanelsOf(call.m <= kFewRows ? kFewBytes : kBytes, floats.panel_stride);
  for (int64_t panel = begin; panel < end; panel += step) {
    const int64_t stop = std::min(panel + step, end);
    for (int64_t p = panel; p < stop; ++p) {
      kernels.widen_e2m1(static_cast<const std::byte*>(weight.data) + p * weight.panel_stride,
                         weight.scales + p * scales, weight.k, call.x_dtype,
                         memory + (p - panel) * floats.panel_stride);
    }
    // Kernels count panels from the weight's first.
    floats.data = reinterpret_cast<const std::byte*>(reinterpret_cast<uintptr_t>(memory) -
                                                     static_cast<uintptr_t>(panel * floats.panel_stride));
    kernels.gemm(own, panel, stop, scratch);
  }
}

}  // namespace atb
