#include "kernels/pack.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <string>

#include "base/align.h"
#include "base/checked.h"
#include "kernels/convert.h"
#include "kernels/pack_integers.h"

namespace atb::kernels {
namespace {

/// Rows of each of the two interleaved matrices, or of the only matrix.
int64_t MatrixRows(const PackedWeight& weight) { return weight.interleaved ? weight.n / 2 : weight.n; }

struct Place {
  int64_t panel;
  int64_t column;
};

Place PlaceOf(const PackedWeight& weight, int64_t row) {
  const int64_t rows = MatrixRows(weight);
  const int64_t matrix = row / rows;
  const int64_t r = row % rows;
  const int64_t panel = r / kPanelColumns;
  return {weight.interleaved ? 2 * panel + matrix : panel, r % kPanelColumns};
}

int64_t PaddedK(const PackedWeight& weight) {
  if (HasScales(weight.format)) return CeilDiv(weight.k, kIntegerTileK) * kIntegerTileK;
  return weight.format == WeightFormat::kBF16 ? CeilDiv(weight.k, kTileK) * kTileK : weight.k;
}

/// Element of a panel that holds input channel i of a column.
int64_t ElementAt(const PackedWeight& weight, int64_t column, int64_t i) {
  if (weight.format == WeightFormat::kBF16) return (i / 2 * kPanelColumns + column) * 2 + i % 2;
  return i * kPanelColumns + column;
}

constexpr int64_t kUnit = 4;
constexpr int64_t kLine = kPanelColumns * kUnit;

/// A line of an f16 panel holds one number of each column, but pack_lines moves units of four bytes: pairs of f16,
/// which are taken apart afterwards.
void PackHalves(const std::byte* rows, int64_t row_bytes, int64_t k, std::byte* panel, const KernelTable& kernels) {
  constexpr int64_t kPairs = 32;
  alignas(64) uint32_t lines[kPairs * kPanelColumns];
  auto* to = reinterpret_cast<uint16_t*>(panel);
  for (int64_t first = 0; first < k / 2; first += kPairs) {
    const int64_t pairs = std::min(kPairs, k / 2 - first);
    kernels.pack_lines(rows + first * kUnit, row_bytes, pairs, lines);
    for (int64_t i = 0; i < pairs; ++i, to += 2 * kPanelColumns) {
      for (int64_t c = 0; c < kPanelColumns; ++c) {
        const uint32_t pair = lines[i * kPanelColumns + c];
        to[c] = static_cast<uint16_t>(pair);
        to[kPanelColumns + c] = static_cast<uint16_t>(pair >> 16);
      }
    }
  }
  if (k % 2 == 0) return;
  for (int64_t c = 0; c < kPanelColumns; ++c) std::memcpy(to + c, rows + c * row_bytes + (k - 1) * 2, sizeof *to);
}

/// The fast path of PackRows for floats: a whole panel of rows that need no conversion. It returns false when they do.
bool PackWholePanel(const PackedWeight& weight, std::byte* panel, const std::byte* rows, const SourceMatrix& source,
                    const KernelTable& kernels) {
  if (source.column_stride != 1 || source.dtype != DTypeOf(weight.format)) return false;
  const auto size = static_cast<int64_t>(SizeOf(source.dtype));
  const int64_t row_bytes = source.row_stride * size;
  if (weight.format == WeightFormat::kF16) {
    PackHalves(rows, row_bytes, weight.k, panel, kernels);
    return true;
  }
  const int64_t whole = weight.k * size / kUnit, lines = PaddedK(weight) * size / kUnit;
  const int64_t rest = weight.k * size - whole * kUnit;
  kernels.pack_lines(rows, row_bytes, whole, panel);
  std::memset(panel + whole * kLine, 0, static_cast<size_t>((lines - whole) * kLine));
  for (int64_t c = 0; c < kPanelColumns && rest > 0; ++c)
    std::memcpy(panel + whole * kLine + c * kUnit, rows + c * row_bytes + whole * kUnit, static_cast<size_t>(rest));
  return true;
}

void PackRow(const PackedWeight& weight, std::byte* panel, int64_t column, const std::byte* row,
             const SourceMatrix& source) {
  const DType dtype = DTypeOf(weight.format);
  const auto size = static_cast<int64_t>(SizeOf(dtype));
  for (int64_t i = 0; i < weight.k; ++i) {
    const int64_t from = i * source.column_stride, to = ElementAt(weight, column, i);
    if (source.dtype == dtype) {
      std::memcpy(panel + to * size, row + from * size, static_cast<size_t>(size));
    } else {
      StoreFloat(panel, dtype, to, LoadFloat(row, source.dtype, from));
    }
  }
  for (int64_t i = weight.k; i < PaddedK(weight); ++i) StoreFloat(panel, dtype, ElementAt(weight, column, i), 0);
}

/// Copies a row out of a panel without conversion.
void CopyRow(const PackedWeight& weight, const std::byte* panel, int64_t column, std::byte* out) {
  if (weight.format == WeightFormat::kF16) {
    const std::byte* from = panel + column * 2;
    for (int64_t i = 0; i < weight.k; ++i) std::memcpy(out + i * 2, from + i * 2 * kPanelColumns, 2);
    return;
  }
  const std::byte* from = panel + column * kUnit;
  const int64_t bytes = weight.k * static_cast<int64_t>(SizeOf(DTypeOf(weight.format))), whole = bytes / kUnit;
  for (int64_t i = 0; i < whole; ++i) std::memcpy(out + i * kUnit, from + i * kLine, kUnit);
  std::memcpy(out + whole * kUnit, from + whole * kLine, static_cast<size_t>(bytes - whole * kUnit));
}

void ZeroColumn(const PackedWeight& weight, std::byte* panel, int64_t column) {
  const DType dtype = DTypeOf(weight.format);
  for (int64_t i = 0; i < PaddedK(weight); ++i) StoreFloat(panel, dtype, ElementAt(weight, column, i), 0);
}

}  // namespace

WeightFormat FormatOf(DType dtype) {
  if (dtype == DType::kI8) return WeightFormat::kI8;
  if (dtype == DType::kBF16) return WeightFormat::kBF16;
  return dtype == DType::kF16 ? WeightFormat::kF16 : WeightFormat::kF32;
}

DType DTypeOf(WeightFormat format) {
  if (HasScales(format)) return DType::kI8;
  if (format == WeightFormat::kBF16) return DType::kBF16;
  return format == WeightFormat::kF16 ? DType::kF16 : DType::kF32;
}

PackedWeight PackedGeometry(WeightFormat format, int64_t n, int64_t k, bool interleaved) {
  if (n < 1 || k < 1 || (interleaved && n % 2 != 0)) {
    throw Error("NATIVE_SHAPE_MISMATCH", "a weight [" + std::to_string(n) + "," + std::to_string(k) +
                                             "] cannot be packed" + (interleaved ? " as two interleaved halves" : ""));
  }
  PackedWeight weight{format, n, k, 0, 0, nullptr, interleaved};
  if (HasScales(format) && k > kMaxIntegerChannels) {
    throw Error("NATIVE_SHAPE_MISMATCH", "a weight with scales has at most " + std::to_string(kMaxIntegerChannels) +
                                             " input channels, found " + std::to_string(k));
  }
  const int64_t panels = CeilDiv(MatrixRows(weight), kPanelColumns);
  weight.panels = interleaved ? 2 * panels : panels;
  const int64_t row_bytes = CheckedMul(CheckedAdd(k, kIntegerTileK), static_cast<int64_t>(SizeOf(DTypeOf(format))));
  CheckedMul(CheckedAdd(n, 2 * kPanelColumns), row_bytes);  // This bounds the bytes of the whole weight from above.
  weight.panel_stride = PaddedK(weight) * kPanelColumns * static_cast<int64_t>(SizeOf(DTypeOf(format)));
  if (HoldsPairs(format)) weight.panel_stride /= 2;
  return weight;
}

int64_t PackedBytes(const PackedWeight& weight) { return weight.panels * weight.panel_stride; }

int64_t PanelRow(const PackedWeight& weight, int64_t panel) {
  if (!weight.interleaved) return panel * kPanelColumns;
  return panel % 2 * MatrixRows(weight) + panel / 2 * kPanelColumns;
}

int64_t PanelWidth(const PackedWeight& weight, int64_t panel) {
  const int64_t first = (weight.interleaved ? panel / 2 : panel) * kPanelColumns;
  return std::min(kPanelColumns, MatrixRows(weight) - first);
}

int64_t ExponentSpan(const PackedWeight& weight) {
  const int64_t unit = std::lcm(weight.group, kIntegerTileK);
  return unit * std::max<int64_t>(1, kExponentSpan / unit);
}

void PackRows(const PackedWeight& weight, std::byte* data, int64_t row_begin, int64_t row_end,
              const SourceMatrix& source, const KernelTable& kernels) {
  const auto* rows = static_cast<const std::byte*>(source.data);
  const int64_t stride = source.row_stride * static_cast<int64_t>(SizeOf(source.dtype));
  for (int64_t row = row_begin; row < row_end;) {
    const Place place = PlaceOf(weight, row);
    std::byte* panel = data + place.panel * weight.panel_stride;
    const int64_t width = PanelWidth(weight, place.panel);
    const int64_t count = std::min(width - place.column, row_end - row);
    if (HasScales(weight.format)) {
      PackIntegers(weight, panel, place.column, count, reinterpret_cast<const int8_t*>(rows), stride,
                   source.column_stride, kernels);
    } else if (count < kPanelColumns || !PackWholePanel(weight, panel, rows, source, kernels)) {
      for (int64_t i = 0; i < count; ++i) PackRow(weight, panel, place.column + i, rows + i * stride, source);
    }
    if (place.column + count == width) {
      for (int64_t column = width; column < kPanelColumns; ++column) {
        HasScales(weight.format) ? ZeroIntegers(weight, panel, column) : ZeroColumn(weight, panel, column);
      }
    }
    row += count;
    rows += count * stride;
  }
}

void UnpackRow(const PackedWeight& weight, int64_t row, DType dtype, void* out) {
  const Place place = PlaceOf(weight, row);
  const auto* panel = static_cast<const std::byte*>(weight.data) + place.panel * weight.panel_stride;
  const DType from = DTypeOf(weight.format);
  if (from == dtype) return CopyRow(weight, panel, place.column, static_cast<std::byte*>(out));
  for (int64_t i = 0; i < weight.k; ++i) {
    StoreFloat(out, dtype, i, LoadFloat(panel, from, ElementAt(weight, place.column, i)));
  }
}

}  // namespace atb::kernels
