#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "kernels/kernel_table.h"
#include "kernels/pack.h"
#include "weights/weight_part.h"

namespace atb {

/// One thread's memory: rows of int8, each with room behind it for what kernels write there, and a row of floats.
struct IntegerStaging {
  std::vector<int8_t> integers;
  std::vector<float> floats;
  std::vector<float> scales;
  std::vector<int8_t> multipliers;
};

/// Where the integers and the scales of a weight go. Scales of groups lie in the order of the panels; those of int4 are
/// made as products, which take an eighth of the room and a half.
struct IntegerTarget {
  kernels::PackedWeight weight;  ///< Its group says how many channels share a scale.
  std::byte* data;
  kernels::PackedScales order;
  float* scales;  ///< Null when the scales are a load of their own. With multipliers one for each output.
  int8_t* multipliers = nullptr;
};

/// Rounds `count` rows of floats from row `row` on, [count, k] without gaps, to int8 (scale = max / 127, to nearest
/// even) or int4 (KernelTable::quantize_int4) group by group, and packs them with their scales.
void QuantizeRows(const IntegerTarget& target, const kernels::KernelTable& kernels, const std::byte* rows, DType dtype,
                  int64_t row, int64_t count, IntegerStaging& staging);

/// What the parts of a weight of integers are read as: integers as they are, or floats. Floats are read in their own
/// dtype, and in f32 where that differs or where they are changed: integers are the only rounding. Of no parts, `none`
/// says which they are.
DType PartsDType(std::span<const WeightPart> parts, DType none);

/// Packs rows of integers: bytes, or, when `paired`, pairs of int4 in bytes.
void PackIntegerRows(const IntegerTarget& target, const kernels::KernelTable& kernels, const std::byte* rows,
                     int64_t row, int64_t count, bool paired, IntegerStaging& staging);

/// Throws NATIVE_VALUE_OUT_OF_RANGE when one of `count` codes of e4m3 is NaN, which would make every answer of weight
/// `name` none.
void RequireNumbers(const std::string& name, const std::byte* codes, int64_t count);

/// Throws NATIVE_VALUE_OUT_OF_RANGE when one of `count` bytes of weight `name` is no integer from -8 to 7.
void RequireInt4(const std::string& name, const std::byte* integers, int64_t count);

}  // namespace atb
