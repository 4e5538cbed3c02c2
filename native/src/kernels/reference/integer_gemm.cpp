#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/convert.h"
#include "kernels/group_numbers.h"
#include "kernels/pack_integers.h"
#include "kernels/reference/kernels.h"

namespace atb::kernels::reference {
namespace {

/// TwiceE2M1 of each code.
const std::array<int8_t, 16> kTwice = [] {
  std::array<int8_t, 16> twice;
  for (int code = 0; code < 16; ++code) twice[static_cast<size_t>(code)] = TwiceE2M1(static_cast<int8_t>(code));
  return twice;
}();

/// A channel's integers in the columns of a panel.
template <WeightFormat format>
void ReadIntegers(const PackedWeight& weight, int64_t panel, uint64_t i, int32_t* out) {
  const auto* const data = static_cast<const int8_t*>(weight.data) + panel * weight.panel_stride;
  const bool is_first = i % 8 < 4;  // Of the two halves of a byte.
  for (int64_t column = 0; column < kPanelColumns; ++column) {
    const int8_t both = data[(i / (format == WeightFormat::kI8 ? 4 : 8) * kPanelColumns + column) * 4 + i % 4];
    const int half = (is_first ? static_cast<int8_t>(both * 16) : both) >> 4;
    out[column] = format == WeightFormat::kI8     ? both
                  : format == WeightFormat::kE2M1 ? kTwice[static_cast<size_t>(half & 15)]
                                                  : half;
  }
}

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

/// A row's outputs in a panel.
template <WeightFormat format>
struct Outputs {
  const GemmCall& call;
  int64_t row, panel;
  const PackedWeight& weight{*call.weight};
  int64_t channels{weight.group == 0 ? weight.k : weight.group};  ///< Of a group.
  int64_t groups{GroupsOf(weight.k, weight.group)};
  int64_t width{PanelWidth(weight, panel)};

  /// Of what a group of channels has for each column.
  int64_t At(int64_t group, int64_t column) const { return (panel * groups + group) * kPanelColumns + column; }

  /// The exact sums of products of channels [first, end), digits joined; those of a group's channels count
  /// weight_of(group, column) times. Where int4 have offsets these are added to them.
  template <class F>
  PanelSums JoinedSums(int64_t first, int64_t end, F weight_of) const {
    PanelSums sums{};
    for (int plane = 0; plane < call.digits.planes; ++plane) {
      const Digits digits(call, row, plane);
      int32_t products[kPanelColumns] = {};
      for (int64_t from = first, to; from < end; from = to) {
        const int64_t group = from / channels;
        to = std::min(end, (group + 1) * channels);
        int32_t own[kPanelColumns] = {}, all = 0;
        for (int64_t i = from; i < to; ++i) {
          int32_t integers[kPanelColumns];
          ReadIntegers<format>(weight, panel, static_cast<uint64_t>(i), integers);
          const int32_t digit = digits[static_cast<uint64_t>(i)];
          for (int64_t column = 0; column < kPanelColumns; ++column) own[column] += digit * integers[column];
          all += digit;
        }
        for (int64_t column = 0; column < width; ++column) {
          if (format == WeightFormat::kI4 && weight.minimums.Any()) own[column] += all * kHalfOfInt4;
          if (format == WeightFormat::kI4 && weight.offsets) own[column] += all * weight.offsets[At(group, column)];
          products[column] += own[column] * weight_of(group, column);
        }
      }
      for (int64_t column = 0; column < width; ++column)
        sums[column] = sums[column] * 256 + static_cast<float>(products[column]);
    }
    return sums;
  }

  static int32_t Once(int64_t /*group*/, int64_t /*column*/) { return 1; }

  int Exponent(int64_t group, int64_t column) const { return weight.exponents[At(group, column)]; }

  /// The sums where scales are powers of two, span by span, as kExponentSpan says.
  PanelSums SumsOfSpans() const {
    const int64_t span = ExponentSpan(weight);
    PanelSums values{};
    for (int64_t first = 0; first < weight.k; first += span) {
      const int64_t end = std::min(weight.k, first + span);
      int largest[kPanelColumns] = {};
      for (int64_t i = first; i < end; i += channels) {
        for (int64_t column = 0; column < width; ++column)
          largest[column] = std::max(largest[column], Exponent(i / channels, column));
      }
      for (int64_t i = first; i < end; i += channels) {
        const PanelSums sums = JoinedSums(i, std::min(weight.k, i + channels), Once);
        for (int64_t column = 0; column < width; ++column) {
          const int exponent = Exponent(i / channels, column);
          if (largest[column] - exponent < 4 * kExponentWindows) continue;
          values[column] = std::fma(sums[column], std::ldexp(1.0f, exponent - 127), values[column]);
        }
      }
      for (int window = 0; window < kExponentWindows; ++window) {
        const PanelSums sums = JoinedSums(first, end, [&](int64_t group, int64_t column) {
          const int below = largest[column] - Exponent(group, column) - 4 * window;
          return below < 0 || below > 3 ? 0 : 8 >> below;
        });
        for (int64_t column = 0; column < width; ++column) {
          const float unit = std::ldexp(1.0f, largest[column] - 127 - 3 - 4 * window);
          values[column] = std::fma(sums[column], unit, values[column]);
        }
      }
    }
    return values;
  }

  /// Where an output has one scale for all channels, else of each group, one after another.
  PanelSums SumsOfGroups() const {
    const bool one = weight.group == 0 || weight.multipliers;
    PanelSums values{};
    for (int64_t first = 0; first < weight.k; first += one ? weight.k : channels) {
      const int64_t end = one ? weight.k : std::min(weight.k, first + channels);
      const int64_t group = first / channels;
      const auto multiplier = [this](int64_t at, int64_t column) { return weight.multipliers[At(at, column)]; };
      const PanelSums sums =
          weight.multipliers ? JoinedSums(first, end, multiplier) : JoinedSums(first, end, Once);
      for (int64_t column = 0; column < width; ++column) {
        float sum = sums[column];
        if (weight.offsets && format != WeightFormat::kI4)
          sum = std::fma(static_cast<float>(weight.offsets[At(group, column)]),
                         call.digits.sums[row * groups + group], sum);
        const float scale = one ? weight.scales[PanelRow(weight, panel) + column] : Scale(group, column);
        values[column] = std::fma(sum, scale, values[column]);
      }
    }
    return values;
  }

  /// Of a group, where it has one of its own.
  float Scale(int64_t group, int64_t column) const {
    const GroupNumbers& shorts = weight.short_scales;
    return shorts.Any() ? GroupNumber(shorts, panel, groups, group, column) : weight.scales[At(group, column)];
  }

  /// Takes away what minimums take: those at even places are one sum, those at odd places another. Those of groups that
  /// share a half are summed before it multiplies them.
  void TakeMinimums(PanelSums& values) const {
    const GroupNumbers& minimums = weight.minimums;
    const float* const sums = call.digits.sums + row * groups;
    for (int64_t column = 0; column < width; ++column) {
      float totals[2] = {};
      if (minimums.steps != nullptr) {
        const int64_t halves = StepHalves(groups);
        for (int64_t i = 0; i < halves; ++i) {
          float own = 0;
          for (int64_t g = i * kStepGroups; g < std::min(groups, (i + 1) * kStepGroups); ++g)
            own = std::fma(static_cast<float>(minimums.steps[At(g, column)]), sums[g], own);
          const float half = F16ToF32(minimums.halves[(panel * halves + i) * kPanelColumns + column]);
          totals[i % 2] = std::fma(half, own, totals[i % 2]);
        }
      } else {
        for (int64_t g = 0; g < groups; ++g)
          totals[g % 2] = std::fma(GroupNumber(minimums, panel, groups, g, column), sums[g], totals[g % 2]);
      }
      values[column] -= totals[0] + totals[1];
    }
  }

  PanelSums Values() const {
    PanelSums values = weight.exponents ? SumsOfSpans() : SumsOfGroups();
    if (weight.minimums.Any()) TakeMinimums(values);
    const float scale = call.digits.scales[row] * (format == WeightFormat::kE2M1 ? 0.5f : 1.0f);
    for (int64_t column = 0; column < width; ++column) values[column] *= scale;
    return values;
  }
};

}  // namespace

/// The sums of each digit are exact integers (e2m1 numbers count twice): over all channels where an output has one
/// scale, else over each group. Offsets of int4 are added to the integers. The sums of the digits are joined to a
/// number; where there are offsets of int8, the group's offset times the sum of the row's numbers is added to it. The
/// result is multiplied by the scale and added to the groups before, in f32; where scales are powers of two, the sum of
/// a window takes a group's place. What minimums take is summed by itself
/// and taken away then. Every table rounds at these places and at no others, so that all give the same bits.
PanelSums IntegerDots(const GemmCall& call, int64_t row, int64_t panel) {
  switch (call.weight->format) {
    case WeightFormat::kI8:
      return Outputs<WeightFormat::kI8>{call, row, panel}.Values();
    case WeightFormat::kI4:
      return Outputs<WeightFormat::kI4>{call, row, panel}.Values();
    default:
      return Outputs<WeightFormat::kE2M1>{call, row, panel}.Values();
  }
}

}  // namespace atb::kernels::reference
