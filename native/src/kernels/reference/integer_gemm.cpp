#include <algorithm>
#include <cmath>

#include "kernels/pack_integers.h"
#include "kernels/reference/kernels.h"

namespace atb::kernels::reference {
namespace {

int32_t IntegerAt(const PackedWeight& weight, int64_t panel, int64_t column, int64_t i) {
  const auto* data = static_cast<const int8_t*>(weight.data) + panel * weight.panel_stride;
  if (weight.format == WeightFormat::kI8) return data[(i / 4 * kPanelColumns + column) * 4 + i % 4];
  const int8_t both = data[(i / 8 * kPanelColumns + column) * 4 + i % 4];
  const int half = (i % 8 < 4 ? static_cast<int8_t>(both * 16) : both) >> 4;
  return weight.format == WeightFormat::kE2M1 ? TwiceE2M1(static_cast<int8_t>(half)) : half;
}

/// Digit `plane` of channel i of an activation row.
int32_t DigitAt(const GemmCall& call, int64_t row, int plane, int64_t i) {
  const int64_t block_rows = kBlockRows[call.digits.planes];
  const int64_t first = row / block_rows * block_rows;
  const int64_t rows = std::min(block_rows, call.m - first);
  const int64_t tiles = (call.weight->k + kIntegerTileK - 1) / kIntegerTileK;
  const auto* block = call.digits.blocks + first * call.digits.planes * tiles * kIntegerTileK;
  const int64_t digits = (i / kIntegerTileK * call.digits.planes + plane) * rows + row - first;
  return block[digits * kIntegerTileK + i % kIntegerTileK];
}

/// The exact sum of products of channels [first, end), digits joined; each counts weight_of(channel) times. `offset` is
/// added to the integers.
template <class F>
float JoinedSum(const GemmCall& call, int64_t row, int64_t panel, int64_t column, int64_t first, int64_t end, F weight_of,
                int32_t offset = 0) {
  float sum = 0;
  for (int plane = 0; plane < call.digits.planes; ++plane) {
    int32_t products = 0;
    for (int64_t i = first; i < end; ++i)
      products += DigitAt(call, row, plane, i) * (IntegerAt(*call.weight, panel, column, i) + offset) * weight_of(i);
    sum = sum * 256 + static_cast<float>(products);
  }
  return sum;
}

/// The sum where scales are powers of two, span by span, as kExponentSpan says.
float SumOfSpans(const GemmCall& call, int64_t row, int64_t panel, int64_t column) {
  const PackedWeight& weight = *call.weight;
  const int64_t groups = GroupsOf(weight.k, weight.group), span = ExponentSpan(weight);
  const auto exponent = [&](int64_t i) -> int {
    return weight.exponents[(panel * groups + i / weight.group) * kPanelColumns + column];
  };
  float value = 0;
  for (int64_t first = 0; first < weight.k; first += span) {
    const int64_t end = std::min(weight.k, first + span);
    int largest = 0;
    for (int64_t i = first; i < end; i += weight.group) largest = std::max(largest, exponent(i));
    for (int64_t i = first; i < end; i += weight.group) {
      if (largest - exponent(i) < 4 * kExponentWindows) continue;
      const float sum =
          JoinedSum(call, row, panel, column, i, std::min(weight.k, i + weight.group), [](int64_t) { return 1; });
      value = std::fma(sum, std::ldexp(1.0f, exponent(i) - 127), value);
    }
    for (int window = 0; window < kExponentWindows; ++window) {
      const float sum = JoinedSum(call, row, panel, column, first, end, [&](int64_t i) {
        const int below = largest - exponent(i) - 4 * window;
        return below < 0 || below > 3 ? 0 : 8 >> below;
      });
      value = std::fma(sum, std::ldexp(1.0f, largest - 127 - 3 - 4 * window), value);
    }
  }
  return value;
}

}  // namespace

/// The sums of each digit are exact integers (e2m1 numbers count twice): over all channels where an output has one scale,
/// else over each group. Offsets of int4 are added to the integers. The sums of the digits are joined to a number; where
/// there are offsets of int8, the group's offset times the sum of the row's numbers is added to it. The result is multiplied by the scale and added to the groups before, in
/// f32; where scales are powers of two, the sum of a window takes a group's place. Every table rounds at these places and
/// at no others, so that all give the same bits.
float IntegerDot(const GemmCall& call, int64_t row, int64_t panel, int64_t column) {
  const PackedWeight& weight = *call.weight;
  const int64_t groups = GroupsOf(weight.k, weight.group);
  const bool one = weight.group == 0 || weight.multipliers;
  const auto at = [&](int64_t group) { return (panel * groups + group) * kPanelColumns + column; };
  float value = weight.exponents ? SumOfSpans(call, row, panel, column) : 0;
  for (int64_t first = 0; !weight.exponents && first < weight.k; first += one ? weight.k : weight.group) {
    const int64_t end = one ? weight.k : std::min(weight.k, first + weight.group);
    const int64_t group = one ? 0 : first / weight.group;
    const int32_t offset = weight.offsets ? weight.offsets[at(group)] : 0;
    const auto multiplier = [&](int64_t i) { return weight.multipliers ? weight.multipliers[at(i / weight.group)] : 1; };
    const bool is_int4 = weight.format == WeightFormat::kI4;
    float sum = JoinedSum(call, row, panel, column, first, end, multiplier, is_int4 ? offset : 0);
    if (weight.offsets && !is_int4)
      sum = std::fma(static_cast<float>(offset), call.digits.sums[row * groups + group], sum);
    const float scale = one ? weight.scales[PanelRow(weight, panel) + column] : weight.scales[at(group)];
    value = std::fma(sum, scale, value);
  }
  return value * (call.digits.scales[row] * (weight.format == WeightFormat::kE2M1 ? 0.5f : 1.0f));
}

}  // namespace atb::kernels::reference
