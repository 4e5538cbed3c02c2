#include "weights/weight_part.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "ops/check.h"
#include "weights/staging.h"

namespace atb {
namespace {

/// Rows that lie near one another are read with what lies between them, in one call, up to this many bytes.
constexpr int64_t kWindowBytes = int64_t{256} << 10;
/// Reading so many bytes more costs less than another call.
constexpr int64_t kFreeBytes = int64_t{16} << 10;
/// Likewise in a row of a transposed tensor, whose every row is a call.
constexpr int64_t kFreeRowBytes = 256;
/// A window may hold so many times the bytes that are wanted of it.
constexpr int64_t kWindowWaste = 4;

/// Which row of the tensor, or of its transpose, is row `row` of the part.
int64_t SourceRow(const WeightPart& part, int64_t row) {
  return part.row_order ? (*part.row_order)[static_cast<size_t>(row)] : row;
}

/// Rows [begin, end) of a part, which come from rows [low, high] of its tensor.
struct Window {
  int64_t end;
  int64_t low;
  int64_t high;
  bool consecutive;  ///< They are exactly rows low, low + 1, … high.

  int64_t Span() const { return high - low + 1; }
};

/// How far a window may span, in rows of the tensor: always up to `free`, at most up to `most`.
struct WindowLimits {
  int64_t free;
  int64_t most;
};

/// The longest window from `begin` on that is worth reading at once. Consecutive rows always are.
Window FindWindow(const WeightPart& part, int64_t begin, int64_t end, WindowLimits limits) {
  const int64_t first = SourceRow(part, begin);
  Window window{begin + 1, first, first, true};
  for (; window.end < end; ++window.end) {
    const int64_t row = SourceRow(part, window.end);
    const bool consecutive = window.consecutive && row == window.high + 1;
    const int64_t low = std::min(window.low, row), high = std::max(window.high, row);
    const int64_t span = high - low + 1, taken = window.end - begin + 1;
    const bool is_near = span <= limits.most && (span <= limits.free || span <= kWindowWaste * taken);
    if (!consecutive && !is_near) break;
    window.low = low;
    window.high = high;
    window.consecutive = consecutive;
  }
  return window;
}

void ReadFile(const PlannedPart& planned, int64_t element, int64_t count, std::byte* to) {
  const auto size = static_cast<int64_t>(SizeOf(planned.part->dtype));
  const int64_t offset = planned.part->offset + element * size;
  planned.file->Read(static_cast<uint64_t>(offset), {to, static_cast<size_t>(count * size)});
}

void ReadOrdered(const PlannedPart& planned, int64_t begin, int64_t end, std::byte* to, ReadStaging& staging) {
  const int64_t columns = planned.columns;
  const int64_t row_bytes = columns * static_cast<int64_t>(SizeOf(planned.part->dtype));
  const WindowLimits limits{kFreeBytes / row_bytes, kWindowBytes / row_bytes};
  for (int64_t row = begin; row < end;) {
    const Window window = FindWindow(*planned.part, row, end, limits);
    std::byte* into = to + (row - begin) * row_bytes;
    if (window.consecutive) {
      ReadFile(planned, window.low * columns, window.Span() * columns, into);
    } else {
      std::byte* span = Grow(staging.window, window.Span() * row_bytes);
      ReadFile(planned, window.low * columns, window.Span() * columns, span);
      for (int64_t r = row; r < window.end; ++r) {
        const int64_t from = SourceRow(*planned.part, r) - window.low;
        std::memcpy(into + (r - row) * row_bytes, span + from * row_bytes, static_cast<size_t>(row_bytes));
      }
    }
    row = window.end;
  }
}

/// Rows [begin, end) of the part are columns of `block`, which holds columns [low, low + width) of the tensor.
template <typename T>
void Transpose(const WeightPart& part, int64_t begin, int64_t end, int64_t columns, const std::byte* block, int64_t low,
               int64_t width, std::byte* to) {
  // So many rows of the block fit the cache beside what is written.
  constexpr int64_t kStep = 32;
  const T* from = reinterpret_cast<const T*>(block);
  T* into = reinterpret_cast<T*>(to);
  for (int64_t first = 0; first < columns; first += kStep) {
    const int64_t last = std::min(first + kStep, columns);
    for (int64_t row = begin; row < end; ++row) {
      const int64_t column = SourceRow(part, row) - low;
      T* out = into + (row - begin) * columns;
      for (int64_t i = first; i < last; ++i) out[i] = from[i * width + column];
    }
  }
}

void ReadTransposed(const PlannedPart& planned, int64_t begin, int64_t end, std::byte* to, ReadStaging& staging) {
  const WeightPart& part = *planned.part;
  const int64_t columns = planned.columns, stored_columns = part.shape[1];
  const auto size = static_cast<int64_t>(SizeOf(part.dtype));
  const WindowLimits limits{std::min(kFreeRowBytes / size, kWindowBytes / (columns * size)),
                            kTransposedPieceBytes / (columns * size)};
  for (int64_t row = begin; row < end;) {
    const Window window = FindWindow(part, row, end, limits);
    const int64_t width = window.Span();
    std::byte* block = Grow(staging.window, width * columns * size);
    if (width == stored_columns) {
      ReadFile(planned, 0, width * columns, block);
    } else {
      for (int64_t i = 0; i < columns; ++i)
        ReadFile(planned, i * stored_columns + window.low, width, block + i * width * size);
    }
    std::byte* into = to + (row - begin) * columns * size;
    const auto transpose = size == 1   ? Transpose<uint8_t>
                           : size == 2 ? Transpose<uint16_t>
                           : size == 4 ? Transpose<uint32_t>
                                       : Transpose<uint64_t>;
    transpose(part, row, window.end, columns, block, window.low, width, into);
    row = window.end;
  }
}

/// Elements [begin, end) as the file has them.
void ReadUnconverted(const PlannedPart& planned, int64_t begin, int64_t end, std::byte* to, ReadStaging& staging) {
  if (!planned.WantsRows()) return ReadFile(planned, begin, end - begin, to);
  const int64_t first = begin / planned.columns, last = end / planned.columns;
  if (planned.part->transposed) return ReadTransposed(planned, first, last, to, staging);
  ReadOrdered(planned, first, last, to, staging);
}

/// Numbers that are widened at a time.
constexpr int64_t kConvertStep = 2048;

/// The Euclidean norm of a row.
float LengthOf(const kernels::KernelTable& kernels, DType dtype, const std::byte* row, int64_t columns) {
  constexpr float kLeastLength = 1e-12f;  // As torch.nn.functional.normalize has it.
  float widened[kConvertStep];
  double squares = 0;
  for (int64_t i = 0; i < columns; i += kConvertStep) {
    const int64_t n = std::min(kConvertStep, columns - i);
    kernels.to_f32(row + i * static_cast<int64_t>(SizeOf(dtype)), dtype, widened, n);
    for (int64_t j = 0; j < n; ++j) squares += static_cast<double>(widened[j]) * widened[j];
  }
  return std::max(static_cast<float>(std::sqrt(squares)), kLeastLength);
}

/// Elements of rows that are divided by `length`. `from` may be `to` when the dtypes are the same.
void ConvertBy(float length, const kernels::KernelTable& kernels, const WeightPart& part, const std::byte* from,
               std::byte* to, DType dtype, int64_t count) {
  float widened[kConvertStep];
  for (int64_t i = 0; i < count; i += kConvertStep) {
    const int64_t n = std::min(kConvertStep, count - i);
    kernels.to_f32(from + i * static_cast<int64_t>(SizeOf(part.dtype)), part.dtype, widened, n);
    if (part.unit_rows) {
      for (int64_t j = 0; j < n; ++j) widened[j] /= length;
    }
    if (part.HasArithmetic()) {
      for (int64_t j = 0; j < n; ++j) widened[j] = widened[j] * part.times + part.plus;
    }
    kernels.from_f32(widened, to + i * static_cast<int64_t>(SizeOf(dtype)), dtype, n);
  }
}

void Convert(const kernels::KernelTable& kernels, const PlannedPart& planned, const std::byte* from, std::byte* to,
             DType dtype, int64_t count) {
  const WeightPart& part = *planned.part;
  if (!part.unit_rows) return ConvertBy(1, kernels, part, from, to, dtype, count);
  for (int64_t i = 0; i < count; i += planned.columns) {
    const std::byte* row = from + i * static_cast<int64_t>(SizeOf(part.dtype));
    ConvertBy(LengthOf(kernels, part.dtype, row, planned.columns), kernels, part, row,
              to + i * static_cast<int64_t>(SizeOf(dtype)), dtype, planned.columns);
  }
}

void Fill(const kernels::KernelTable& kernels, float value, std::byte* to, DType dtype, int64_t count) {
  const auto size = static_cast<int64_t>(SizeOf(dtype));
  std::byte number[sizeof(float)];
  kernels.from_f32(&value, number, dtype, 1);
  for (int64_t i = 0; i < count; ++i) std::memcpy(to + i * size, number, static_cast<size_t>(size));
}

void CheckOrder(const PlannedPart& planned, int64_t stored_rows, const std::string& name) {
  const std::vector<int32_t>& order = *planned.part->row_order;
  for (size_t i = 0; i < order.size(); ++i) {
    if (order[i] >= 0 && order[i] < stored_rows) continue;
    throw Error("NATIVE_ARGUMENT_INVALID", "weight \"" + name + "\": rowOrder[" + std::to_string(i) + "] is " +
                                               std::to_string(order[i]) + ", and the tensor in " + planned.part->file +
                                               " has " + std::to_string(stored_rows) + " rows");
  }
}

}  // namespace

int64_t Elements(std::span<const int64_t> shape) {
  int64_t elements = 1;
  for (int64_t dim : shape) elements = CheckedMul(elements, dim);
  return elements;
}

std::string ToString(DType dtype, std::span<const int64_t> shape) {
  if (shape.size() > kMaxRank) return std::to_string(shape.size()) + " dimensions";
  TensorDesc desc(dtype, {});
  desc.rank = static_cast<uint8_t>(shape.size());
  std::copy(shape.begin(), shape.end(), desc.dims.begin());
  return ToString(desc);
}

const File& Files::Open(const std::string& path) {
  std::unique_ptr<File>& file = files_[path];
  if (!file) file = std::make_unique<File>(path);
  return *file;
}

int64_t PlannedPart::FileBytes() const { return file ? rows * columns * static_cast<int64_t>(SizeOf(part->dtype)) : 0; }

PlannedPart PlanPart(const WeightPart& part, const std::string& name, Files& files) {
  const auto fail = [&](const char* code, const std::string& what) {
    throw Error(code, "weight \"" + name + "\": " + what);
  };
  const int64_t count = Elements(part.shape);
  PlannedPart planned;
  planned.part = &part;
  const bool is_changed = part.transposed || part.row_order || part.HasArithmetic();
  if (part.value && is_changed) fail("NATIVE_ARGUMENT_INVALID", "a part of one value has nothing to change");
  if (!std::isfinite(part.times) || !std::isfinite(part.plus))
    fail("NATIVE_ARGUMENT_INVALID", "times and plus must be finite");
  if (!IsFloat(part.dtype) && (part.HasArithmetic() || part.value)) {
    fail("NATIVE_ARGUMENT_INVALID",
         std::string("unit rows, times, plus and value are for floats, found ") + ToString(part.dtype, part.shape));
  }
  if (part.transposed && part.shape.size() != 2) {
    fail("NATIVE_SHAPE_MISMATCH",
         "a tensor to transpose must be a matrix, found " + ToString(part.dtype, part.shape) + " in " + part.file);
  }
  if (part.row_order && part.shape.empty())
    fail("NATIVE_SHAPE_MISMATCH", "a scalar in " + part.file + " has no rows to order");
  planned.rows = part.shape.empty() ? 1 : part.shape[part.transposed ? 1 : 0];
  planned.columns =
      part.transposed ? part.shape[0] : Elements(std::span(part.shape).subspan(std::min<size_t>(1, part.shape.size())));
  if (part.row_order) {
    CheckOrder(planned, planned.rows, name);
    planned.rows = static_cast<int64_t>(part.row_order->size());
    CheckedMul(CheckedMul(planned.rows, planned.columns), static_cast<int64_t>(SizeOf(part.dtype)));
  }
  if (part.value) return planned;
  const int64_t end = CheckedAdd(part.offset, CheckedMul(count, static_cast<int64_t>(SizeOf(part.dtype))));
  planned.file = &files.Open(part.file);
  if (static_cast<uint64_t>(end) > planned.file->size()) {
    throw Error("NATIVE_FILE_TRUNCATED", part.file + ": weight \"" + name + "\" ends at byte " + std::to_string(end) +
                                             ", the file at byte " + std::to_string(planned.file->size()));
  }
  return planned;
}

std::vector<int64_t> ShapeOf(const PlannedPart& planned) {
  if (planned.part->transposed) return {planned.rows, planned.columns};
  std::vector<int64_t> shape = planned.part->shape;
  if (!shape.empty()) shape[0] = planned.rows;
  return shape;
}

int64_t ReadPart(const PlannedPart& planned, int64_t begin, int64_t end, DType dtype, std::byte* to,
                 ReadStaging& staging, const kernels::KernelTable& kernels) {
  const WeightPart& part = *planned.part;
  const int64_t count = end - begin;
  if (part.value) {
    Fill(kernels, *part.value, to, dtype, count);
    return 0;
  }
  const int64_t bytes = count * static_cast<int64_t>(SizeOf(part.dtype));
  const bool as_it_is = part.dtype == dtype || SizeOf(part.dtype) == 1;
  std::byte* read = as_it_is ? to : Grow(staging.unconverted, bytes);
  ReadUnconverted(planned, begin, end, read, staging);
  if (!as_it_is || part.HasArithmetic()) Convert(kernels, planned, read, to, dtype, count);
  return bytes;
}

}  // namespace atb
