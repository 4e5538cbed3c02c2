#include "weights/weight_part.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "ops/check.h"
#include "weights/expand_words.h"
#include "weights/staging.h"
#include "weights/widen.h"

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

void ReadDoubles(const PlannedPart& planned, int64_t element, int64_t count, std::byte* to, ReadStaging& staging) {
  constexpr auto kSize = static_cast<int64_t>(sizeof(double));
  std::byte* const stored = Grow(staging.codes.codes, count * kSize);
  planned.file->Read(static_cast<uint64_t>(planned.part->offset + element * kSize),
                     {stored, static_cast<size_t>(count * kSize)});
  for (int64_t i = 0; i < count; ++i) {
    double number;
    std::memcpy(&number, stored + i * kSize, sizeof number);
    const auto rounded = static_cast<float>(number);
    std::memcpy(to + i * static_cast<int64_t>(sizeof rounded), &rounded, sizeof rounded);
  }
}

void ReadFile(const PlannedPart& planned, int64_t element, int64_t count, std::byte* to, ReadStaging& staging) {
  if (planned.part->codes) return ReadCodes(planned, element, count, to, staging.codes);
  if (planned.part->doubles) return ReadDoubles(planned, element, count, to, staging);
  if (planned.part->blocks) return ReadBlocks(planned, element, count, to, staging.codes.codes);
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
      ReadFile(planned, window.low * columns, window.Span() * columns, into, staging);
    } else {
      std::byte* span = Grow(staging.window, window.Span() * row_bytes);
      ReadFile(planned, window.low * columns, window.Span() * columns, span, staging);
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
  // Neighbours of a row are taken together: rows a power of two apart drive one another out of the cache.
  constexpr int64_t kStep = 32, kTogether = 16;
  const T* from = reinterpret_cast<const T*>(block);
  T* into = reinterpret_cast<T*>(to);
  for (int64_t first = 0; first < columns; first += kStep) {
    const int64_t last = std::min(first + kStep, columns);
    for (int64_t row = begin; row < end; row += kTogether) {
      const int64_t count = std::min(kTogether, end - row);
      int64_t places[kTogether];
      for (int64_t r = 0; r < count; ++r) places[r] = SourceRow(part, row + r) - low;
      T* const out = into + (row - begin) * columns;
      for (int64_t i = first; i < last; ++i) {
        for (int64_t r = 0; r < count; ++r) out[r * columns + i] = from[i * width + places[r]];
      }
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
      ReadFile(planned, 0, width * columns, block, staging);
    } else {
      for (int64_t i = 0; i < columns; ++i)
        ReadFile(planned, i * stored_columns + window.low, width, block + i * width * size, staging);
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
  if (!planned.WantsRows()) return ReadFile(planned, begin, end - begin, to, staging);
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
    Widen(kernels, row + i * static_cast<int64_t>(SizeOf(dtype)), dtype, widened, n);
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
    Widen(kernels, from + i * static_cast<int64_t>(SizeOf(part.dtype)), part.dtype, widened, n);
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

/// Of a word of a part.
int64_t WordBits(const WeightPart& part) { return 8 * static_cast<int64_t>(SizeOf(part.dtype)); }

/// Rows [first, last) of a part of words, as T. Returns the bytes that were read.
template <typename T>
int64_t ReadWords(const PlannedPart& planned, int64_t first, int64_t last, T* to, ReadStaging& staging) {
  const WeightPart& part = *planned.part;
  const PackedWords& words = *part.words;
  const bool are_bytes = part.dtype != DType::kI32;
  const int64_t per_word = WordBits(part) / words.bits;
  // Whether rows share words; else each row has its own.
  const bool shared = words.axis == (part.transposed ? 1 : 0);
  const int64_t word_columns = shared ? planned.columns : CeilDiv(planned.columns, per_word);
  std::vector<int32_t>& order = staging.word_rows;
  order.clear();
  staging.places.clear();
  for (int64_t row = first; row < last; ++row) {
    const auto word_row = static_cast<int32_t>(SourceRow(part, row) / (shared ? per_word : 1));
    if (order.empty() || order.back() != word_row) order.push_back(word_row);
    staging.places.push_back(static_cast<int64_t>(order.size()) - 1);
  }
  WeightPart stored{.file = {}, .offset = part.offset, .dtype = part.dtype, .shape = part.shape};
  stored.transposed = part.transposed;
  const auto word_rows = static_cast<int64_t>(order.size());
  stored.row_order = std::move(order);
  const PlannedPart reading{&stored, planned.file, 0, word_rows, word_columns};
  uint32_t* const read = Grow(staging.words, word_rows * word_columns);
  const int64_t count = word_rows * word_columns;
  std::byte* const stored_words = are_bytes ? Grow(staging.bytes, count) : reinterpret_cast<std::byte*>(read);
  ReadUnconverted(reading, 0, count, stored_words, staging);
  if (are_bytes) std::transform(stored_words, stored_words + count, read, [](std::byte b) { return uint32_t(b); });
  const uint32_t signs = words.bits == 4 ? 0x88888888u : 0x80808080u;
  if (words.is_signed) std::transform(read, read + count, read, [=](uint32_t word) { return word ^ signs; });
  staging.word_rows = std::move(*stored.row_order);
  auto* const unordered = reinterpret_cast<T*>(Grow(staging.row, planned.columns * static_cast<int64_t>(sizeof(T))));
  for (int64_t row = first; row < last; ++row, to += planned.columns) {
    const uint32_t* const from = read + staging.places[static_cast<size_t>(row - first)] * word_columns;
    T* const into = part.column_order ? unordered : to;
    if (shared) {
      PickFromWords(words, from, SourceRow(part, row) % per_word, planned.columns, into);
    } else if (words.bits == 4) {
      ExpandWords<T, 4>(words, from, planned.columns, into);
    } else {
      ExpandWords<T, 8>(words, from, planned.columns, into);
    }
    if (!part.column_order) continue;
    for (int64_t i = 0; i < planned.columns; ++i) to[i] = into[(*part.column_order)[static_cast<size_t>(i)]];
  }
  return count * static_cast<int64_t>(SizeOf(part.dtype));
}

void Fill(const kernels::KernelTable& kernels, float value, std::byte* to, DType dtype, int64_t count) {
  const auto size = static_cast<int64_t>(SizeOf(dtype));
  std::byte number[sizeof(float)];
  kernels.from_f32(&value, number, dtype, 1);
  for (int64_t i = 0; i < count; ++i) std::memcpy(to + i * size, number, static_cast<size_t>(size));
}

/// Rows of a part of words: int8, or floats.
int64_t ReadIntegers(const PlannedPart& planned, int64_t begin, int64_t end, DType dtype, std::byte* to,
                     ReadStaging& staging, const kernels::KernelTable& kernels) {
  const int64_t first = begin / planned.columns, last = end / planned.columns;
  if (dtype == DType::kI8) return ReadWords(planned, first, last, reinterpret_cast<int8_t*>(to), staging);
  const int64_t count = end - begin;
  float* const floats = Grow(staging.floats, count);
  const int64_t bytes = ReadWords(planned, first, last, floats, staging);
  const WeightPart& part = *planned.part;
  for (int64_t i = 0; i < count; ++i) floats[i] = floats[i] * part.times + part.plus;
  kernels.from_f32(floats, to, dtype, count);
  return bytes;
}

void CheckColumnOrder(const PlannedPart& planned, const std::string& name) {
  const std::vector<int32_t>& order = *planned.part->column_order;
  const auto fits = [&](int32_t column) { return column >= 0 && column < planned.columns; };
  if (planned.part->words && static_cast<int64_t>(order.size()) == planned.columns && std::ranges::all_of(order, fits))
    return;
  throw Error("NATIVE_ARGUMENT_INVALID", "weight \"" + name + "\": columnOrder must have the " +
                                             std::to_string(planned.columns) + " columns that words hold");
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

/// The matrix that the tensor holds.
std::vector<int64_t> HeldShape(const WeightPart& part) {
  std::vector<int64_t> shape = part.shape;
  if (part.words) shape[static_cast<size_t>(part.words->axis)] = part.words->count;
  return shape;
}

void CheckWords(const WeightPart& part, const std::string& name) {
  const PackedWords& words = *part.words;
  const auto fail = [&](const char* code, const std::string& what) {
    throw Error(code, "weight \"" + name + "\": " + what);
  };
  const bool are_words = part.dtype == DType::kI32 || part.dtype == DType::kI8 || part.dtype == DType::kU8;
  if (!are_words || part.shape.size() != 2)
    fail("NATIVE_SHAPE_MISMATCH", "words must be i32[r,c] or bytes, found " + ToString(part.dtype, part.shape));
  // Numbers of 2 bits become integers of 8.
  const bool are_bytes = part.dtype != DType::kI32 && !words.is_signed && !part.transposed;
  const bool are_pairs = words.bits == 2 && words.axis == 0 && are_bytes;
  const bool fits_awq = words.bits == 4 && part.dtype == DType::kI32;
  if ((words.bits != 4 && words.bits != 8 && !are_pairs) || (words.awq && !fits_awq) || words.minus < 0 ||
      words.minus > 256 || (words.axis != 0 && words.axis != 1))
    fail("NATIVE_ARGUMENT_INVALID",
         "words must be of 4 or 8 bits, along axis 0 or 1, less 0 to 256, or bytes of 2 bits along axis 0");
  const int64_t held = part.shape[static_cast<size_t>(words.axis)];
  if (words.count < 1 || held != CeilDiv(CheckedMul(words.count, words.bits), WordBits(part))) {
    fail("NATIVE_SHAPE_MISMATCH", std::to_string(words.count) + " integers of " + std::to_string(words.bits) +
                                      " bits do not take " + std::to_string(held) + " words");
  }
}

void CheckBlocks(const WeightPart& part, const std::string& name) {
  const auto fail = [&](const char* code, const std::string& what) {
    throw Error(code, "weight \"" + name + "\": " + what);
  };
  const StoredBlocks& blocks = *part.blocks;
  const bool are_integers = blocks.content == BlockContent::kIntegers || blocks.content == BlockContent::kInt4;
  const DType made = are_integers ? DType::kI8 : DType::kF32;
  if (part.dtype != made || part.words || part.codes || part.doubles)
    fail("NATIVE_ARGUMENT_INVALID", "blocks become f32 or, as integers, i8, and are no words, codes or doubles");
  if (part.transposed && blocks.content != BlockContent::kNumbers)
    fail("NATIVE_ARGUMENT_INVALID", "integers of blocks share scales along their rows, and cannot be transposed");
  const int64_t row = part.shape.empty() ? 1 : part.shape.back();
  if (row % ElementsOfBlock(blocks) != 0)
    fail("NATIVE_SHAPE_MISMATCH", "rows must be of whole blocks, found " + ToString(part.dtype, part.shape));
}

/// Multiplies rows of floats, of which the first is row `row` of the part, with their factors.
void MultiplyRows(const PlannedPart& planned, int64_t row, int64_t rows, float* to, ReadStaging& staging,
                  const kernels::KernelTable& kernels) {
  const PlannedPart& factors = *planned.factors;
  const int64_t count = factors.rows * factors.columns;
  float* const own = Grow(staging.factors, count);
  ReadPart(factors, 0, count, DType::kF32, reinterpret_cast<std::byte*>(own), staging, kernels);
  for (int64_t r = 0; r < rows; ++r, to += planned.columns) {
    const float factor = own[SourceRow(*planned.part, row + r)];
    for (int64_t i = 0; i < planned.columns; ++i) to[i] *= factor;
  }
}

}  // namespace

int ShiftOf(const PackedWords& words, int64_t number) {
  constexpr int kAwqPlace[] = {0, 4, 1, 5, 2, 6, 3, 7};
  const auto place = static_cast<int>(number);
  return words.bits * (words.awq ? kAwqPlace[place] : place);
}

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

int64_t PlannedPart::FileBytes() const {
  if (!file) return 0;
  const int64_t elements = rows * columns;
  return part->words ? CeilDiv(elements * part->words->bits, 8) : StoredBytes(*part, elements);
}

int64_t StoredBytes(const WeightPart& part, int64_t count) {
  if (part.codes) return CodeBytes(*part.codes, count);
  if (part.blocks) return BlockBytes(*part.blocks, count);
  return CheckedMul(count, static_cast<int64_t>(part.doubles ? sizeof(double) : SizeOf(part.dtype)));
}

PlannedPart PlanPart(const WeightPart& part, const std::string& name, Files& files) {
  const auto fail = [&](const char* code, const std::string& what) {
    throw Error(code, "weight \"" + name + "\": " + what);
  };
  const int64_t count = Elements(part.shape);
  PlannedPart planned;
  planned.part = &part;
  planned.name = name;
  if (part.words) CheckWords(part, name);
  const std::vector<int64_t> shape = HeldShape(part);
  const bool is_changed = part.words || part.codes || part.doubles || part.blocks || part.transposed ||
                          part.row_order || part.HasArithmetic();
  if (part.value && is_changed) fail("NATIVE_ARGUMENT_INVALID", "a part of one value has nothing to change");
  if (!std::isfinite(part.times) || !std::isfinite(part.plus))
    fail("NATIVE_ARGUMENT_INVALID", "times and plus must be finite");
  if (!IsFloat(part.dtype) && (part.unit_rows || part.value)) {
    fail("NATIVE_ARGUMENT_INVALID",
         std::string("unit rows and value are for floats, found ") + ToString(part.dtype, part.shape));
  }
  if (part.doubles && (part.dtype != DType::kF32 || part.words || part.codes))
    fail("NATIVE_ARGUMENT_INVALID", "doubles become f32, and are no words or codes");
  if (part.blocks) CheckBlocks(part, name);
  if (part.transposed && part.shape.size() != 2) {
    fail("NATIVE_SHAPE_MISMATCH",
         "a tensor to transpose must be a matrix, found " + ToString(part.dtype, part.shape) + " in " + part.file);
  }
  if (part.row_order && part.shape.empty())
    fail("NATIVE_SHAPE_MISMATCH", "a scalar in " + part.file + " has no rows to order");
  planned.rows = shape.empty() ? 1 : shape[part.transposed ? 1 : 0];
  planned.columns = part.transposed ? shape[0] : Elements(std::span(shape).subspan(std::min<size_t>(1, shape.size())));
  if (part.column_order) CheckColumnOrder(planned, name);
  if (part.row_order) {
    CheckOrder(planned, planned.rows, name);
    planned.rows = static_cast<int64_t>(part.row_order->size());
    CheckedMul(CheckedMul(planned.rows, planned.columns), static_cast<int64_t>(SizeOf(part.dtype)));
  }
  if (part.value) return planned;
  if (part.row_factors) {
    const WeightPart& factors = *part.row_factors;
    const int64_t stored_rows = shape.empty() ? 1 : shape[0];
    const bool is_plain = IsFloat(factors.dtype) && !factors.words && !factors.codes && !factors.row_factors &&
                          !factors.transposed && !factors.row_order;
    if (!is_plain || Elements(factors.shape) != stored_rows || part.transposed || part.words || part.plus != 0)
      fail("NATIVE_ARGUMENT_INVALID", "factors of rows must be plain floats, one for each of " +
                                          std::to_string(stored_rows) + " rows of floats that nothing is added to");
    planned.factors = std::make_shared<const PlannedPart>(PlanPart(factors, name, files));
  }
  if (part.codes) {
    CheckCodes(part, name);
    planned.scales = std::make_shared<const PlannedPart>(PlanPart(*part.codes->scales, name, files));
  }
  const int64_t end = CheckedAdd(part.offset, StoredBytes(part, count));
  planned.file = &files.Open(part.file);
  if (static_cast<uint64_t>(end) > planned.file->size()) {
    throw Error("NATIVE_FILE_TRUNCATED", part.file + ": weight \"" + name + "\" ends at byte " + std::to_string(end) +
                                             ", the file at byte " + std::to_string(planned.file->size()));
  }
  return planned;
}

std::vector<int64_t> ShapeOf(const PlannedPart& planned) {
  if (planned.part->transposed) return {planned.rows, planned.columns};
  std::vector<int64_t> shape = HeldShape(*planned.part);
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
  if (part.words) return ReadIntegers(planned, begin, end, dtype, to, staging, kernels);
  const int64_t size = count * static_cast<int64_t>(SizeOf(part.dtype));
  const bool as_it_is = part.dtype == dtype || SizeOf(dtype) == 1;
  std::byte* read = as_it_is ? to : Grow(staging.unconverted, size);
  ReadUnconverted(planned, begin, end, read, staging);
  if (!as_it_is || part.HasArithmetic()) Convert(kernels, planned, read, to, dtype, count);
  if (planned.factors)
    MultiplyRows(planned, begin / planned.columns, count / planned.columns, reinterpret_cast<float*>(to), staging,
                 kernels);
  return StoredBytes(part, count);
}

}  // namespace atb
