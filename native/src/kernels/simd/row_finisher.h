#pragma once
// What the epilogue of a product hands to the loop over its rows. Plain data: files of one instruction set share it.
#include "kernels/kernel_table.h"

namespace atb::kernels::simd {

/// The sums of one panel, and where they are gates those of the next panel, `up`: f32 [rows][16], rows `stride` floats
/// apart.
struct PanelSums {
  const float* c = nullptr;
  const float* up = nullptr;
  int64_t stride = 0;
  alignas(64) float bias[kPanelColumns] = {};
  alignas(64) float up_bias[kPanelColumns] = {};
};

/// Writes `width` columns of row r to element at + r * out_stride of the call's result, for `rows` rows.
using RowFinisher = void (*)(const GemmCall& call, int64_t rows, int64_t at, int64_t width, const PanelSums& sums);

}  // namespace atb::kernels::simd
