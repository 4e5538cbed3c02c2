#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/packed_weight.h"
#include "kernels/tables.h"
#include "tensor/dtype.h"

namespace atb::kernels {

/// The format that holds f32, f16, bf16 or int8 weights.
WeightFormat FormatOf(DType dtype);
/// The dtype of a format's numbers; int8 for int4 and for codes. A format of floats without scales is multiplied with
/// activations of this dtype.
DType DTypeOf(WeightFormat format);

/// The most input channels of a weight of integers: a sum of this many products of bytes fits an int32.
constexpr int64_t kMaxIntegerChannels = (int64_t{1} << 17) - 1;

/// The geometry of a matrix [n, k] in `format`; data is null. Throws NATIVE_SHAPE_MISMATCH when n or k is not positive
/// or n is odd and interleaved or integers have too many channels, NATIVE_SIZE_OVERFLOW when its bytes do not fit an
/// int64_t.
PackedWeight PackedGeometry(WeightFormat format, int64_t n, int64_t k, bool interleaved = false);
/// The size of `data` in bytes: panels * panel_stride.
int64_t PackedBytes(const PackedWeight& weight);

/// The matrix row in column 0 of a panel, and how many of the panel's columns are rows of the matrix (1 .. 16).
int64_t PanelRow(const PackedWeight& weight, int64_t panel);
int64_t PanelWidth(const PackedWeight& weight, int64_t panel);
/// Channels of a span of a weight with exponents: whole groups, and whole tiles.
int64_t ExponentSpan(const PackedWeight& weight);

/// A matrix in ordinary memory: element (row, i) is at row * row_stride + i * column_stride, counted in elements of
/// `dtype`. The dtype is f32, f16 or bf16; or int8 for a weight of integers, where kI4 keeps the lower four bits. A
/// matrix stored as [n, k] has strides (k, 1), one stored as [k, n] has strides (1, n).
struct SourceMatrix {
  const void* data;
  DType dtype;
  int64_t row_stride;
  int64_t column_stride = 1;
};

/// Writes rows [row_begin, row_end) of a weight into `data` (PackedBytes long, 64-byte aligned), rounding to the
/// format's dtype; source row 0 is row_begin, so that a file can be packed piece by piece. Each row is written with its
/// padding of k, the last row of a matrix also with the padding of n: once every row has been packed, every byte is
/// defined. Different rows may be packed by different threads; pieces that are whole panels (16 rows) in the
/// format's own dtype and contiguous along k are the fast ones. All kernel tables write the same.
void PackRows(const PackedWeight& weight, std::byte* data, int64_t row_begin, int64_t row_end,
              const SourceMatrix& source, const KernelTable& kernels = kReference);

/// Reads row `row` (of k numbers) out of a packed weight of floats, as f32, f16 or bf16.
void UnpackRow(const PackedWeight& weight, int64_t row, DType dtype, void* out);

}  // namespace atb::kernels
