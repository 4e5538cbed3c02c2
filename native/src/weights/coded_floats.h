#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace atb {

struct PlannedPart;
struct WeightPart;

/// How bytes of a file hold floats: as places in a table, a byte each or, where the table has 16 numbers, two to a
/// byte, the first in its upper half, or in its lower one. Each `block` of numbers, counted through the tensor whatever
/// its rows are, has a scale. A number is table[code] * scale, rounded once to the dtype of its part.
struct CodedFloats {
  std::vector<float> table;  ///< 16 or 256. Of scales, places of what is no number may hold what is not finite.
  bool low_first = false;    ///< Of 16: the first of two lies in the lower half of their byte.
  int64_t block = 0;
  /// f32, a number for each block: of the file, or one value for all, or codes of 256 in their turn, whose scales are
  /// no codes. They may have `times` and `plus`, and no other change.
  std::shared_ptr<const WeightPart> scales;
};

/// One thread's memory for reading codes.
struct CodeStaging {
  std::vector<std::byte> codes;
  std::vector<float> scales;
  std::unique_ptr<CodeStaging> of_scales;
};

/// Bytes of so many codes.
int64_t CodeBytes(const CodedFloats& codes, int64_t count);

/// Throws NATIVE_ARGUMENT_INVALID and NATIVE_SHAPE_MISMATCH where a part of weight `name` cannot be made of its codes.
void CheckCodes(const WeightPart& part, const std::string& name);

/// Writes numbers [begin, begin + count) of the tensor, in its dtype. Throws NATIVE_FILE_ERROR, NATIVE_FILE_TRUNCATED,
/// and NATIVE_VALUE_OUT_OF_RANGE for scales that are not finite.
void ReadCodes(const PlannedPart& planned, int64_t begin, int64_t count, std::byte* to, CodeStaging& staging);

}  // namespace atb
