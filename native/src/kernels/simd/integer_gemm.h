#pragma once
// What the products with weights of integers share over a vector type V. Internal linkage, as in vec.h.
//
// A product of digits is exact in int32 in whatever order, so that tiles and vector instructions may be mixed freely.
// Only here are numbers rounded, the same way and in the same order in every kernel: digits are joined, scaled by the
// group's scale and added to the sum of the groups before; the row's scale comes last.
#include "kernels/simd/gemm.h"

namespace atb::kernels::simd {
namespace {

/// The blocks of a call's rows.
struct Blocks {
  int64_t rows;   ///< Of a whole block.
  int64_t tiles;  ///< Of 64 channels.
  int64_t count;

  explicit Blocks(const GemmCall& call)
      : rows(kBlockRows[call.planes]),
        tiles((call.weight->k + kIntegerTileK - 1) / kIntegerTileK),
        count((call.m + rows - 1) / rows) {}
};

/// One block: R rows of all planes, `lines` in all, each of them `stride` bytes further with the next 64 channels.
struct Block {
  const int8_t* x;
  int64_t row;
  int64_t rows;
  int64_t lines;
  int64_t stride;

  Block(const GemmCall& call, const Blocks& blocks, int64_t i)
      : x(static_cast<const int8_t*>(call.x) + i * blocks.rows * call.planes * blocks.tiles * kIntegerTileK),
        row(i * blocks.rows),
        rows(Min(blocks.rows, call.m - row)),
        lines(rows * call.planes),
        stride(lines * kIntegerTileK) {}
};

/// Groups of channels whose sums are formed apart: one of all of them when there is one scale for each output.
struct Groups {
  int64_t channels;
  int64_t count;

  explicit Groups(const PackedWeight& weight)
      : channels(weight.group ? weight.group : weight.k), count((weight.k + channels - 1) / channels) {}
};

/// Whether there is one scale for each output of the weight.
inline bool HasOneScale(const PackedWeight& weight) { return weight.group == 0 || weight.multipliers; }

/// Where the scales of panel p (of `panels`, from `first`) and group g are: sixteen at data + p * stride + g * 16.
struct Scales {
  const float* data;
  int64_t stride;

  /// `copy`: [panels][16], for scales per output, which may end in the middle of a panel.
  template <class V>
  static Scales Of(const PackedWeight& weight, int64_t groups, int64_t first, int64_t panels, float* copy) {
    if (!HasOneScale(weight)) return {weight.scales + first * groups * kPanelColumns, groups * kPanelColumns};
    for (int64_t p = 0; p < panels; ++p) {
      const int64_t panel = first + p;
      LoadAs<V>(weight.scales, DType::kF32, PanelRow(weight, panel), PanelWidth(weight, panel))
          .Store(copy + p * kPanelColumns);
    }
    return {copy, kPanelColumns};
  }
};

/// Integers of kI4 are multiplied sixteenfold, as they lie in the upper half of a byte: exact, and undone here. Where
/// there are multipliers it is undone before these.
inline float FormatFactor(const PackedWeight& weight) {
  return weight.format == WeightFormat::kI4 && !weight.multipliers ? 0.0625f : 1.0f;
}

/// Times the scales of rows [row, row + rows): c [rows][16].
template <class V>
void ScaleRows(const GemmCall& call, int64_t row, int64_t rows, float* c) {
  const float factor = FormatFactor(*call.weight);
  for (int64_t r = 0; r < rows; ++r, c += kPanelColumns)
    (V::Load(c) * V::Set1(call.x_scales[row + r] * factor)).Store(c);
}

/// Finishes rows of a panel (and of the next, with swiglu): their scales, then the epilogue.
template <class V>
void FinishInteger(const GemmCall& call, int64_t row, int64_t rows, int64_t panel, float* c, float* up) {
  ScaleRows<V>(call, row, rows, c);
  if (up) ScaleRows<V>(call, row, rows, up);
  Finish<V>(call, row, rows, panel, c, up);
}

}  // namespace
}  // namespace atb::kernels::simd
