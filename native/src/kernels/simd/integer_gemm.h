#pragma once
// What the products with weights of integers share over a vector type V. Everything here has internal linkage; vec.h
// says why.
//
// An activation row is multiplied as one to three rows of digits (DigitMatrix in kernel_table.h). A product of digits
// and integer weights is exact in int32 in whatever order it is summed, so that tiles and vector instructions may be
// mixed freely. Offsets of int4 are added to the integers. Rounding happens only in this file and in Join of each
// table, in the same way and in the same order: the sums of the digits are joined to a number, to which offsets of int8
// add their part; it is multiplied by its group's scale (or that of a window, kExponentSpan in packed_weight.h) and
// added to the sum of the groups before. The scale of the activation row comes last.
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

/// The scales of some panels: the sixteen of panel p (counted from the first) and group g begin at
/// data + p * stride + g * 16, or are powers of two whose exponents begin at exponents + p * stride + g * 16.
struct Scales {
  const float* data;
  int64_t stride;
  const uint8_t* exponents = nullptr;

  /// The sixteen scales at p * stride + g * 16, where they are floats.
  template <class V>
  V At(int64_t at) const {
    return V::Load(data + at);
  }

  /// Of `panels` panels from `first` on. One scale for each output is copied to `copy`, [panels][16], since the
  /// weight's array may end in the middle of a panel.
  template <class V>
  static Scales Of(const PackedWeight& weight, int64_t groups, int64_t first, int64_t panels, float* copy) {
    const int64_t stride = groups * kPanelColumns;
    if (weight.exponents) return {nullptr, stride, weight.exponents + first * stride};
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
    if (!WantsSums(*call.weight)) return;
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

/// Int4 weights without multipliers and offsets are multiplied in the upper half of a byte, as 16 times their value:
/// this factor undoes it, exactly. With multipliers the kernels undo it before they multiply by these. E2m1 numbers are
/// multiplied as twice their value.
inline float FormatFactor(const PackedWeight& weight) {
  if (weight.format == WeightFormat::kE2M1) return 0.5f;
  return weight.format == WeightFormat::kI4 && !weight.multipliers && !weight.offsets ? 0.0625f : 1.0f;
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
  ScaleRows<V>(call, row, rows, c);
  if (up) ScaleRows<V>(call, row, rows, up);
  Finish<V>(call, row, rows, panel, c, up);
}

}  // namespace
}  // namespace atb::kernels::simd
