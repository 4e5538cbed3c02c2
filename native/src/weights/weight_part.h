#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/kernel_table.h"
#include "tensor/tensor.h"
#include "weights/coded_floats.h"
#include "weights/file.h"
#include "weights/gguf_blocks.h"

namespace atb {

/// How a tensor [r, c] of words, i32 or bytes, holds a matrix of integers: a word has as many as its bits allow,
/// neighbours along an axis, the first in its lowest bits. An integer is the unsigned number in these bits less
/// `minus`.
struct PackedWords {
  int bits = 4;            ///< Or 8; 2 for bytes along axis 0, whose numbers become integers of 8 bits.
  int axis = 0;            ///< 0: the words of a column make a column; 1: those of a row make a row.
  int64_t count = 0;       ///< Integers along that axis. The last word may hold fewer than the others.
  int minus = 0;           ///< From 0 to 256.
  bool awq = false;        ///< i32 of 4 bits only: integer 0, 1, 2, … of a word is in place 0, 4, 1, 5, 2, 6, 3, 7.
  bool is_signed = false;  ///< The highest bit of each number is taken the other way round: two's complement.
};

/// By how many bits a word is shifted for its integer `number`.
int ShiftOf(const PackedWords& words, int64_t number);

/// Some rows of a weight: a tensor of a file, which may be changed while it is read, or one number for all elements.
struct WeightPart {
  std::string file;
  int64_t offset = 0;  ///< Of the tensor's first byte. The tensor is row-major.
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;  ///< Of the tensor in the file.
  /// The tensor is a matrix [k, n], and its transpose [n, k] is wanted.
  bool transposed = false;
  /// Row i of the part is row row_order[i] of the tensor (of its transpose, if that is wanted). A row may come several
  /// times or not at all.
  std::optional<std::vector<int32_t>> row_order = std::nullopt;
  /// Each number x becomes times * x + plus, computed in f32. Only for what becomes floats.
  float times = 1;
  float plus = 0;
  /// Before that, each row is divided by its length, its Euclidean norm, which counts as 1e-12 where it is less. Floats
  /// only.
  bool unit_rows = false;
  /// Every element is this number, and there is no file.
  std::optional<float> value = std::nullopt;
  /// The tensor, of i32 or bytes, holds a matrix of smaller integers: that one is what is transposed and ordered.
  std::optional<PackedWords> words = std::nullopt;
  /// The tensor, of i8, has an integer of 4 bits, from -8 to 7, in each byte: it is not meant to be of pairs.
  bool unpaired = false;
  /// Of words only: number i of a row is number column_order[i] of the row that the words hold. As many as there are.
  std::optional<std::vector<int32_t>> column_order = std::nullopt;
  /// The file has codes at `offset`, of which the floats of the tensor are made before all that is said above.
  std::optional<CodedFloats> codes = std::nullopt;
  /// The file has f64 at `offset`, of which the f32 of the tensor are made, rounded once, before all that is said
  /// above.
  bool doubles = false;
  /// The file has blocks of a GGUF file at `offset`, of which the tensor, f32 or i8, is made before all that is said
  /// above.
  std::optional<StoredBlocks> blocks = std::nullopt;
  /// Of floats: a number for each row of the tensor, which all of the row is multiplied with, in f32.
  std::shared_ptr<const WeightPart> row_factors{};

  bool HasArithmetic() const { return unit_rows || times != 1 || plus != 0; }
};

/// Bytes of `count` elements of a part in its file, of which no words are.
int64_t StoredBytes(const WeightPart& part, int64_t count);

/// What one thread reads at a time of tensors that are read as they lie: large enough that a call into the system costs
/// nothing beside it, small enough that it stays in the cache until it is packed.
constexpr int64_t kPieceBytes = int64_t{1} << 20;
/// Likewise of transposed tensors. A piece is a block of columns, which takes a call for each row of the file: a wider
/// block takes fewer calls.
constexpr int64_t kTransposedPieceBytes = int64_t{4} << 20;

/// The files of one load, each opened once.
class Files {
 public:
  const File& Open(const std::string& path);

 private:
  std::map<std::string, std::unique_ptr<File>> files_;
};

/// A part that was checked, and where its rows go in the weight.
struct PlannedPart {
  const WeightPart* part = nullptr;
  const File* file = nullptr;  ///< Null when all elements are one number.
  int64_t first_row = 0;       ///< In the weight.
  int64_t rows = 0;
  int64_t columns = 0;                           ///< Elements of a row.
  std::string_view name{};                       ///< Of the weight.
  std::shared_ptr<const PlannedPart> scales{};   ///< Of codes.
  std::shared_ptr<const PlannedPart> factors{};  ///< Of rows.

  /// Whether reading it wants whole rows; otherwise any range of elements will do.
  bool WantsRows() const { return part->transposed || part->row_order || part->unit_rows || part->words || factors; }
  int64_t FileBytes() const;  ///< Of its elements in the file; one that is taken twice counts twice.
};

/// Checks that a part of weight `name` can be read: that its tensor lies inside its file, that the rows of the order
/// are rows of the tensor. Throws NATIVE_SHAPE_MISMATCH, NATIVE_ARGUMENT_INVALID, NATIVE_FILE_ERROR,
/// NATIVE_FILE_TRUNCATED, NATIVE_SIZE_OVERFLOW.
PlannedPart PlanPart(const WeightPart& part, const std::string& name, Files& files);

/// Which row of the tensor, or of its transpose, is row `row` of the part.
inline int64_t SourceRow(const WeightPart& part, int64_t row) {
  return part.row_order ? (*part.row_order)[static_cast<size_t>(row)] : row;
}

/// The shape of a part after its changes.
std::vector<int64_t> ShapeOf(const PlannedPart& part);

/// One thread's memory for reading parts.
struct ReadStaging {
  std::vector<std::byte> unconverted;
  std::vector<std::byte> window;
  std::vector<uint32_t> words;
  std::vector<std::byte> bytes;
  std::vector<float> factors;
  std::vector<uint32_t> lines;
  std::vector<float> floats;
  std::vector<int32_t> word_rows;
  std::vector<int64_t> places;
  std::vector<std::byte> row;
  CodeStaging codes;
};

/// Writes elements [begin, end) of the part to `to` as `dtype`: whole rows where the part wants them. Numbers convert
/// into floats, words into floats or int8; other dtypes are copied. Returns the bytes of these elements in the file.
/// Throws NATIVE_FILE_ERROR, NATIVE_FILE_TRUNCATED.
int64_t ReadPart(const PlannedPart& part, int64_t begin, int64_t end, DType dtype, std::byte* to, ReadStaging& staging,
                 const kernels::KernelTable& kernels);

/// The number of elements. Throws NATIVE_SIZE_OVERFLOW.
int64_t Elements(std::span<const int64_t> shape);
std::string ToString(DType dtype, std::span<const int64_t> shape);

}  // namespace atb
