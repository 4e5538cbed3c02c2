#include <algorithm>
#include <cmath>

#include "kernels/pack_integers.h"
#include "kernels/reference/kernels.h"

namespace atb::kernels::reference {
namespace {

/// The integers of one column of a panel, by channel.
template <WeightFormat format>
class Column {
 public:
  Column(const PackedWeight& weight, int64_t panel, int64_t column)
      : data_(static_cast<const int8_t*>(weight.data) + panel * weight.panel_stride + column * 4) {}

  int32_t operator[](uint64_t i) const {
    if constexpr (format == WeightFormat::kI8) return data_[i / 4 * kPanelColumns * 4 + i % 4];
    const int8_t both = data_[i / 8 * kPanelColumns * 4 + i % 4];
    const int half = (i % 8 < 4 ? static_cast<int8_t>(both * 16) : both) >> 4;
    return format == WeightFormat::kE2M1 ? TwiceE2M1(static_cast<int8_t>(half)) : half;
  }

 private:
  const int8_t* data_;
};

/// One digit of an activation row, by channel.
class Digits {
 public:
  Digits(const GemmCall& call, int64_t row, int plane) {
    const int64_t block_rows = kBlockRows[call.digits.planes];
    const int64_t first = row / block_rows * block_rows;
    const int64_t rows = std::min(block_rows, call.m - first);
    const int64_t tiles = (call.weight->k + kIntegerTileK - 1) / kIntegerTileK;
    step_ = static_cast<uint64_t>(call.digits.planes * rows * kIntegerTileK);
    data_ = call.digits.blocks + (first * tiles * call.digits.planes + plane * rows + row - first) * kIntegerTileK;
  }

  int32_t operator[](uint64_t i) const { return data_[i / kIntegerTileK * step_ + i % kIntegerTileK]; }

 private:
  const int8_t* data_;
  uint64_t step_;
};

/// One output: the column of a panel, for a row.
template <WeightFormat format>
struct Output {
  const GemmCall& call;
  int64_t row, panel, column;
  const PackedWeight& weight{*call.weight};
  Column<format> integers{weight, panel, column};
  int64_t groups{GroupsOf(weight.k, weight.group)};

  /// Of what a group of channels has for each column.
  int64_t At(int64_t group) const { return (panel * groups + group) * kPanelColumns + column; }

  /// The exact sum of products of channels [first, end), digits joined; each counts weight_of(channel) times. `offset`
  /// is added to the integers.
  template <class F>
  float JoinedSum(int64_t first, int64_t end, F weight_of, int32_t offset = 0) const {
    float sum = 0;
    for (int plane = 0; plane < call.digits.planes; ++plane) {
      const Digits digits(call, row, plane);
      int32_t products = 0;
      for (int64_t i = first; i < end; ++i) {
        const auto at = static_cast<uint64_t>(i);
        products += digits[at] * (integers[at] + offset) * weight_of(i);
      }
      sum = sum * 256 + static_cast<float>(products);
    }
    return sum;
  }

  /// The sum where scales are powers of two, span by span, as kExponentSpan says.
  float SumOfSpans() const {
    const int64_t span = ExponentSpan(weight);
    const auto exponent = [this](int64_t i) -> int { return weight.exponents[At(i / weight.group)]; };
    float value = 0;
    for (int64_t first = 0; first < weight.k; first += span) {
      const int64_t end = std::min(weight.k, first + span);
      int largest = 0;
      for (int64_t i = first; i < end; i += weight.group) largest = std::max(largest, exponent(i));
      for (int64_t i = first; i < end; i += weight.group) {
        if (largest - exponent(i) < 4 * kExponentWindows) continue;
        const float sum = JoinedSum(i, std::min(weight.k, i + weight.group), [](int64_t) { return 1; });
        value = std::fma(sum, std::ldexp(1.0f, exponent(i) - 127), value);
      }
      for (int window = 0; window < kExponentWindows; ++window) {
        const float sum = JoinedSum(first, end, [&](int64_t i) {
          const int below = largest - exponent(i) - 4 * window;
          return below < 0 || below > 3 ? 0 : 8 >> below;
        });
        value = std::fma(sum, std::ldexp(1.0f, largest - 127 - 3 - 4 * window), value);
      }
    }
    return value;
  }

  /// Where an output has one scale for all channels, else of each group, one after another.
  float SumOfGroups() const {
    const bool one = weight.group == 0 || weight.multipliers;
    float value = 0;
    for (int64_t first = 0; first < weight.k; first += one ? weight.k : weight.group) {
      const int64_t end = one ? weight.k : std::min(weight.k, first + weight.group);
      const int64_t group = one ? 0 : first / weight.group;
      const int32_t offset = weight.offsets ? weight.offsets[At(group)] : 0;
      const int32_t added = format == WeightFormat::kI4 ? offset : 0;
      const auto multiplier = [this](int64_t i) { return weight.multipliers[At(i / weight.group)]; };
      float sum = weight.multipliers ? JoinedSum(first, end, multiplier, added)
                                     : JoinedSum(first, end, [](int64_t) { return 1; }, added);
      if (weight.offsets && format != WeightFormat::kI4)
        sum = std::fma(static_cast<float>(offset), call.digits.sums[row * groups + group], sum);
      const float scale = one ? weight.scales[PanelRow(weight, panel) + column] : weight.scales[At(group)];
      value = std::fma(sum, scale, value);
    }
    return value;
  }

  float Value() const {
    const float value = weight.exponents ? SumOfSpans() : SumOfGroups();
    return value * (call.digits.scales[row] * (format == WeightFormat::kE2M1 ? 0.5f : 1.0f));
  }
};

}  // namespace

/// The sums of each digit are exact integers (e2m1 numbers count twice): over all channels where an output has one
/// scale, else over each group. Offsets of int4 are added to the integers. The sums of the digits are joined to a
/// number; where there are offsets of int8, the group's offset times the sum of the row's numbers is added to it. The
/// result is multiplied by the scale and added to the groups before, in f32; where scales are powers of two, the sum of
/// a window takes a group's place. Every table rounds at these places and at no others, so that all give the same bits.
float IntegerDot(const GemmCall& call, int64_t row, int64_t panel, int64_t column) {
  switch (call.weight->format) {
    case WeightFormat::kI8:
      return Output<WeightFormat::kI8>{call, row, panel, column}.Value();
    case WeightFormat::kI4:
      return Output<WeightFormat::kI4>{call, row, panel, column}.Value();
    default:
      return Output<WeightFormat::kE2M1>{call, row, panel, column}.Value();
  }
}

}  // namespace atb::kernels::reference
