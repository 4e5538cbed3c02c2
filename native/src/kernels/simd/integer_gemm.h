#pragma once
// What the products with weights of integers share over a vector type V. Everything here has internal linkage; vec.h
// says why.
//
// An activation row is multiplied as one to three rows of digits (DigitMatrix in kernel_table.h). A product of digits
// and integer weights is exact in int32 in whatever order it is summed, so that tiles and vector instructions may be
// mixed freely. Offsets of int4 are added to the integers. Rounding happens only in this file and in Join of each
// table, in the same way and in the same order: the sums of the digits are joined to a number, to which offsets of int8
// add their part; it is multiplied by its group's scale (or that of a window, kExponentSpan in packed_weight.h) and
// added to the sum of the groups before. What minimums take is summed by itself and taken away then (TakeMinimums). The
// scale of the activation row comes last.
#include "kernels/simd/gemm.h"

namespace atb::kernels::simd {
namespace {

/// How the activation rows of a call are cut into blocks of digits.
struct DigitBlocks {
  int64_t rows;   ///< Activation rows of a block; the last block may have fewer.
  int64_t tiles;  ///< Tiles of 64 channels in each digit row.
  int64_t count;

  explicit DigitBlocks(const GemmCall& call)
      : rows(kBlockRows[call.digits.planes]),
        tiles((call.weight->k + kIntegerTileK - 1) / kIntegerTileK),
        count((call.m + rows - 1) / rows) {}
};

/// One block of digits: [tiles of 64 channels][planes][rows][64] bytes. Its digit rows are all rows of the first plane,
/// then all rows of the second plane, and so on.
struct DigitBlock {
  const int8_t* digits;
  int64_t row;          ///< The first activation row.
  int64_t rows;         ///< Activation rows.
  int64_t digit_rows;   ///< rows * planes, at most 32.
  int64_t tile_stride;  ///< Bytes from one tile of 64 channels to the next.

  DigitBlock(const GemmCall& call, const DigitBlocks& blocks, int64_t i)
      : digits(call.digits.blocks + i * blocks.rows * call.digits.planes * blocks.tiles * kIntegerTileK),
        row(i * blocks.rows),
        rows(Min(blocks.rows, call.m - row)),
        digit_rows(rows * call.digits.planes),
        tile_stride(digit_rows * kIntegerTileK) {}
};

/// Groups of channels that have their own scale. A weight with one scale for each output has one group of all channels.
struct ScaleGroups {
  int64_t channels;
  int64_t count;
  int64_t steps;  ///< Of kGroupStep channels, in all groups.

  explicit ScaleGroups(const PackedWeight& weight)
      : channels(weight.group ? weight.group : weight.k),
        count((weight.k + channels - 1) / channels),
        steps((weight.k + kGroupStep - 1) / kGroupStep) {}
  /// The step at which group g begins; of the successor of the last one, `steps`.
  int64_t Step(int64_t g) const { return g < count ? g * channels / kGroupStep : steps; }
};

/// Whether sums over all channels stay integers: each output has one scale, perhaps with a multiplier for each group.
inline bool HasOneScale(const PackedWeight& weight) { return weight.group == 0 || weight.multipliers; }

/// The sixteen numbers of a group of a panel, which has `groups` of them.
template <class V>
inline V NumberAt(const GroupNumbers& numbers, int64_t groups, int64_t panel, int64_t group) {
  if (numbers.floats) return V::Load(numbers.floats + (panel * groups + group) * kPanelColumns);
  if (!numbers.steps) return V::LoadF16(numbers.halves + (panel * groups + group) * kPanelColumns);
  const int64_t halves = (groups + kStepGroups - 1) / kStepGroups;
  return V::LoadF16(numbers.halves + (panel * halves + group / kStepGroups) * kPanelColumns) *
         V::LoadInt8(numbers.steps + (panel * groups + group) * kPanelColumns);
}

/// The scales of some panels: the sixteen of panel p (counted from the first) and group g begin at
/// data + p * stride + g * 16, or are powers of two whose exponents begin at exponents + p * stride + g * 16, or are
/// f16.
struct Scales {
  const float* data;
  int64_t stride;
  const uint8_t* exponents = nullptr;
  GroupNumbers shorts{};
  int64_t first = 0;  ///< The number of the first panel, for these.

  /// The sixteen scales of a panel and a group, where they are no powers of two.
  template <class V>
  V At(int64_t panel, int64_t group) const {
    if (shorts.halves) return NumberAt<V>(shorts, stride / kPanelColumns, first + panel, group);
    return V::Load(data + panel * stride + group * kPanelColumns);
  }

  /// Without those of the first `panels` panels.
  Scales Behind(int64_t panels) const {
    Scales rest = *this;
    if (data) rest.data += panels * stride;
    if (exponents) rest.exponents += panels * stride;
    rest.first += panels;
    return rest;
  }

  /// Of `panels` panels from `first` on. One scale for each output is copied to `copy`, [panels][16], since the
  /// weight's array may end in the middle of a panel.
  template <class V>
  static Scales Of(const PackedWeight& weight, int64_t groups, int64_t first, int64_t panels, float* copy) {
    const int64_t stride = groups * kPanelColumns;
    if (weight.exponents) return {nullptr, stride, weight.exponents + first * stride};
    if (weight.short_scales.halves) return {nullptr, stride, nullptr, weight.short_scales, first};
    if (!HasOneScale(weight)) return {weight.scales + first * stride, stride};
    for (int64_t p = 0; p < panels; ++p) {
      const int64_t panel = first + p;
      LoadAs<V>(weight.scales, DType::kF32, PanelRow(weight, panel), PanelWidth(weight, panel))
          .Store(copy + p * kPanelColumns);
    }
    return {copy, kPanelColumns};
  }
};

/// What the offsets of a group of int8 add to the sums of its products: offset * the sum of the row's numbers.
struct GroupOffsets {
  const int16_t* offsets = nullptr;  ///< Of the sixteen columns of the first panel, or null: there are none.
  int64_t stride = 0;                ///< To those of the next panel.
  const float* sums = nullptr;       ///< Of the first row.
  int64_t row_stride = 0;            ///< To that of the next row.

  GroupOffsets() = default;
  /// Of group `group`, from panel `panel` and activation row `row` on.
  GroupOffsets(const GemmCall& call, int64_t groups, int64_t group, int64_t panel, int64_t row) {
    if (!AddsOffsets(*call.weight)) return;
    stride = groups * kPanelColumns;
    offsets = call.weight->offsets + panel * stride + group * kPanelColumns;
    row_stride = groups;
    sums = call.digits.sums + row * row_stride + group;
  }

  /// The factors of panel `panel`.
  template <class V>
  V Factors(int64_t panel) const {
    return V::LoadInt16(offsets + panel * stride);
  }
};

/// Int4 weights without multipliers, offsets and minimums are multiplied in the upper half of a byte, as 16 times their
/// value: this factor undoes it, exactly. With multipliers the kernels undo it before they multiply by these. E2m1 numbers are
/// multiplied as twice their value.
inline float FormatFactor(const PackedWeight& weight) {
  if (weight.format == WeightFormat::kE2M1) return 0.5f;
  const bool are_changed = weight.multipliers || weight.offsets || weight.minimums.Any();
  return weight.format == WeightFormat::kI4 && !are_changed ? 0.0625f : 1.0f;
}

/// Panels that come between what is read of minimums and what is fetched: as many as are multiplied side by side.
constexpr int64_t kMinimumsAhead = 8;

/// Takes from c what minimums take from R rows of a panel: for each group the minimum times the sum of the row's
/// numbers. Those of groups that share a half are summed before it multiplies them. Groups, or such sums, at even places
/// are one sum, those at odd places another, so that fewer wait for one another.
template <class V, int R>
inline void TakeMinimums(const GemmCall& call, int64_t row, int64_t panel, float* c) {
  const GroupNumbers& minimums = call.weight->minimums;
  const int64_t groups = ScaleGroups(*call.weight).count;
  const float* const sums = call.digits.sums + row * groups;
  const auto add = [=](V number, int64_t g, V(&total)[R]) __attribute__((always_inline)) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) total[r] = Fma(number, V::Set1(sums[r * groups + g]), total[r]);
  };
  V totals[2][R];
  for (int r = 0; r < R; ++r) totals[0][r] = totals[1][r] = V::Zero();
  if (minimums.steps) {
    const int64_t halves = (groups + kStepGroups - 1) / kStepGroups;
    const int8_t* steps = minimums.steps + panel * groups * kPanelColumns;
    const uint16_t* half = minimums.halves + panel * halves * kPanelColumns;
    const int64_t ahead = kMinimumsAhead * groups * kPanelColumns;
    for (int64_t i = 0; i < halves; ++i, half += kPanelColumns) {
      V own[R];
      for (int r = 0; r < R; ++r) own[r] = V::Zero();
      const int64_t end = Min(groups, (i + 1) * kStepGroups);
      for (int64_t offset = 0; offset < kStepGroups * kPanelColumns; offset += 64)
        __builtin_prefetch(steps + ahead + offset);
      for (int64_t g = i * kStepGroups; g < end; ++g, steps += kPanelColumns) add(V::LoadInt8(steps), g, own);
      const V unit = V::LoadF16(half);
      for (int r = 0; r < R; ++r) totals[i % 2][r] = Fma(unit, own[r], totals[i % 2][r]);
    }
  } else {
    for (int64_t g = 0; g < groups; ++g) add(NumberAt<V>(minimums, groups, panel, g), g, totals[g % 2]);
  }
  for (int r = 0; r < R; ++r, c += kPanelColumns) (V::Load(c) - (totals[0][r] + totals[1][r])).Store(c);
}

/// TakeMinimums for rows [row, row + rows), as many at once as registers hold; where there are no minimums, nothing.
template <class V>
void TakeMinimums(const GemmCall& call, int64_t row, int64_t rows, int64_t panel, float* c) {
  if (!call.weight->minimums.Any()) return;
  // Calls have three rows of two digits, or six of one.
  constexpr int kMost = V::kAccumulators / 3 < 3 ? V::kAccumulators / 3 : 3;
  for (; rows >= kMost; rows -= kMost, row += kMost, c += kMost * kPanelColumns)
    TakeMinimums<V, kMost>(call, row, panel, c);
  for (; rows > 0; --rows, ++row, c += kPanelColumns) TakeMinimums<V, 1>(call, row, panel, c);
}

/// Multiplies c, [rows][16], by the scales of activation rows [row, row + rows).
template <class V>
void ScaleRows(const GemmCall& call, int64_t row, int64_t rows, float* c) {
  const float factor = FormatFactor(*call.weight);
  for (int64_t r = 0; r < rows; ++r, c += kPanelColumns)
    (V::Load(c) * V::Set1(call.digits.scales[row + r] * factor)).Store(c);
}

/// Finishes rows of a panel (where they are gates also of the next panel, `up`): the scales of the rows, then the
/// epilogue.
template <class V>
void FinishInteger(const GemmCall& call, int64_t row, int64_t rows, int64_t panel, float* c, float* up) {
  TakeMinimums<V>(call, row, rows, panel, c);
  ScaleRows<V>(call, row, rows, c);
  if (up) {
    TakeMinimums<V>(call, row, rows, panel + 1, up);
    ScaleRows<V>(call, row, rows, up);
  }
  Finish<V>(call, row, rows, panel, c, up);
}

}  // namespace
}  // namespace atb::kernels::simd
