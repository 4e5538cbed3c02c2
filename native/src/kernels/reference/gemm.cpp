#include <algorithm>
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

/// A single chain of additions over the input channels, in order.
template <DType dtype>
float FloatDot(const GemmCall& call, int64_t row, int64_t panel, int64_t column) {
  const PackedWeight& weight = *call.weight;
  const auto* data = static_cast<const char*>(weight.data) + panel * weight.panel_stride;
  float sum = 0;
  for (int64_t i = 0; i < weight.k; ++i)
    sum += LoadFloat(call.x, dtype, row * call.x_stride + i) * LoadFloat(data, dtype, PlaceOf<dtype>(column, i));
  return sum;
}

/// The products of each group are summed in order; the sum is multiplied by the group's scale and added to the groups
/// before.
float E4M3Dot(const GemmCall& call, int64_t row, int64_t panel, int64_t column) {
  const PackedWeight& weight = *call.weight;
  const auto* data = static_cast<const uint8_t*>(weight.data) + panel * weight.panel_stride;
  const int64_t groups = GroupsOf(weight.k, weight.group), channels = weight.group ? weight.group : weight.k;
  float value = 0;
  for (int64_t g = 0; g < groups; ++g) {
    float sum = 0;
    for (int64_t i = g * channels; i < std::min(weight.k, (g + 1) * channels); ++i) {
      const int64_t line = i / kLineE4M3 * 64, at = column / 4 * 16 + i % kLineE4M3 / 2 * 8 + column % 4 * 2 + i % 2;
      sum += LoadFloat(call.x, call.x_dtype, row * call.x_stride + i) * E4M3ToF32(data[line + at]);
    }
    const int64_t scale = weight.group ? (panel * groups + g) * kPanelColumns + column : PanelRow(weight, panel) + column;
    value = std::fma(sum, weight.scales[scale], value);
  }
  return value;
}

/// One output of x * weight^T + bias.
float Dot(const GemmCall& call, int64_t row, int64_t panel, int64_t column) {
  const auto dot = [&] {
    switch (call.weight->format) {
      case WeightFormat::kBF16:
        return FloatDot<DType::kBF16>(call, row, panel, column);
      case WeightFormat::kF32:
        return FloatDot<DType::kF32>(call, row, panel, column);
      case WeightFormat::kF16:
        return FloatDot<DType::kF16>(call, row, panel, column);
      case WeightFormat::kE4M3:
        return E4M3Dot(call, row, panel, column);
      default:
        return IntegerDot(call, row, panel, column);
    }
  };
  const float sum = dot();
  return call.bias ? sum + LoadFloat(call.bias, call.bias_dtype, PanelRow(*call.weight, panel) + column) : sum;
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
      for (int64_t column = 0; column < PanelWidth(weight, panel); ++column) {
        float value = Dot(call, row, panel, column), up = call.gated ? Dot(call, row, panel + 1, column) : 1;
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
