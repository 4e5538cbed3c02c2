#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/convert.h"
#include "kernels/pack.h"
#include "kernels/pack_integers.h"
#include "kernels/reference/kernels.h"

namespace atb::kernels::reference {
namespace {

/// The place of a column's input channel i in a panel of floats.
template <DType dtype>
int64_t PlaceOf(int64_t column, int64_t i) {
  if constexpr (dtype == DType::kBF16) return (i / 2 * kPanelColumns + column) * 2 + i % 2;
  return i * kPanelColumns + column;
}

/// For each column a single chain of additions over the input channels, in order.
template <DType dtype>
PanelSums FloatDots(const GemmCall& call, int64_t row, int64_t panel) {
  const PackedWeight& weight = *call.weight;
  const auto* data = static_cast<const char*>(weight.data) + panel * weight.panel_stride;
  PanelSums sums{};
  for (int64_t i = 0; i < weight.k; ++i) {
    const float x = LoadFloat(call.x, dtype, row * call.x_stride + i);
    for (int64_t column = 0; column < kPanelColumns; ++column)
      sums[column] += x * LoadFloat(data, dtype, PlaceOf<dtype>(column, i));
  }
  return sums;
}

/// E4M3ToF32 of each code.
const std::array<float, 256> kE4M3 = [] {
  std::array<float, 256> numbers;
  for (int code = 0; code < 256; ++code) numbers[static_cast<size_t>(code)] = E4M3ToF32(static_cast<uint8_t>(code));
  return numbers;
}();

/// The products of each group are summed in order; the sum is multiplied by the group's scale and added to the groups
/// before.
PanelSums E4M3Dots(const GemmCall& call, int64_t row, int64_t panel) {
  const PackedWeight& weight = *call.weight;
  const auto* data = static_cast<const uint8_t*>(weight.data) + panel * weight.panel_stride;
  const int64_t groups = GroupsOf(weight.k, weight.group), channels = weight.group ? weight.group : weight.k;
  PanelSums values{};
  for (int64_t g = 0; g < groups; ++g) {
    PanelSums sums{};
    for (int64_t i = g * channels; i < std::min(weight.k, (g + 1) * channels); ++i) {
      const float x = LoadFloat(call.x, call.x_dtype, row * call.x_stride + i);
      const int64_t line = i / kLineE4M3 * 64 + i % kLineE4M3 / 2 * 8 + i % 2;
      for (int64_t column = 0; column < kPanelColumns; ++column)
        sums[column] += x * kE4M3[data[line + column / 4 * 16 + column % 4 * 2]];
    }
    for (int64_t column = 0; column < PanelWidth(weight, panel); ++column) {
      const int64_t scale = weight.group ? (panel * groups + g) * kPanelColumns : PanelRow(weight, panel);
      values[column] = std::fma(sums[column], weight.scales[scale + column], values[column]);
    }
  }
  return values;
}

/// A row's outputs of x * weight^T + bias in the columns of a panel.
PanelSums Dots(const GemmCall& call, int64_t row, int64_t panel) {
  const auto dots = [&] {
    switch (call.weight->format) {
      case WeightFormat::kBF16:
        return FloatDots<DType::kBF16>(call, row, panel);
      case WeightFormat::kF32:
        return FloatDots<DType::kF32>(call, row, panel);
      case WeightFormat::kF16:
        return FloatDots<DType::kF16>(call, row, panel);
      case WeightFormat::kE4M3:
        return E4M3Dots(call, row, panel);
      default:
        return IntegerDots(call, row, panel);
    }
  };
  PanelSums sums = dots();
  if (!call.bias) return sums;
  for (int64_t column = 0; column < PanelWidth(*call.weight, panel); ++column)
    sums[column] += LoadFloat(call.bias, call.bias_dtype, PanelRow(*call.weight, panel) + column);
  return sums;
}

/// A NaN stays.
float AtMost(float limit, float x) { return limit < x ? limit : x; }

}  // namespace

void Gemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* /*scratch*/) {
  const PackedWeight& weight = *call.weight;
  const int64_t step = call.gated ? 2 : 1;
  for (int64_t panel = panel_begin; panel < panel_end; panel += step) {
    const int64_t begin = PanelRow(weight, panel);  // Where panels are gated a pair's outputs start where its gates do.
    for (int64_t row = 0; row < call.m; ++row) {
      const PanelSums sums = Dots(call, row, panel), ups = call.gated ? Dots(call, row, panel + 1) : PanelSums{};
      for (int64_t column = 0; column < PanelWidth(weight, panel); ++column) {
        float value = sums[column], up = call.gated ? ups[column] : 1;
        const GateClamp& clamp = call.clamp;
        const bool clamps = clamp.limit > 0, clamps_last = clamp.form == ClampForm::kActivated;
        if (clamps && !clamps_last) value = AtMost(clamp.limit, value);
        if (call.activation != UnaryOp::kNone) Unary(call.activation, &value, &value, 1, clamp.scale);
        if (clamps && clamps_last) value = AtMost(clamp.limit, value);
        if (clamps) up = up < -clamp.limit ? -clamp.limit : AtMost(clamp.limit, up);
        if (clamps && clamp.form == ClampForm::kPlusOne) up += 1;
        if (call.gated) value *= up;
        const int64_t at = row * call.out_stride + begin + column;
        if (call.residual) value += LoadFloat(call.residual, call.out_dtype, at);
        StoreFloat(call.out, call.out_dtype, at, value);
      }
    }
  }
}

}  // namespace atb::kernels::reference
