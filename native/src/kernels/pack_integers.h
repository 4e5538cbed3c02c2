#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/pack.h"

namespace atb::kernels {

/// Whether a format holds integers, and not floats of as few bits.
constexpr bool AreIntegers(WeightFormat format) { return format == WeightFormat::kI8 || format == WeightFormat::kI4; }
/// Whether a weight is multiplied with digits (DigitMatrix): its numbers are integers, or are twice.
constexpr bool TakesDigits(const PackedWeight& weight) {
  return AreIntegers(weight.format) || (weight.format == WeightFormat::kE2M1 && !IsWidened(weight));
}
/// Whether a format holds two numbers in a byte.
constexpr bool HoldsPairs(WeightFormat format) { return format == WeightFormat::kI4 || format == WeightFormat::kE2M1; }
/// Whether a format holds bytes or halves of them, with scales.
constexpr bool HasScales(WeightFormat format) {
  return AreIntegers(format) || format == WeightFormat::kE2M1 || format == WeightFormat::kE4M3;
}

/// What the bytes of a weight with scales are.
enum class WeightNumbers : uint8_t {
  kIntegers,
  kFloats,  ///< Codes of e4m3 (8 bits) or e2m1 (4 bits).
};
/// The format of a weight with scales and 8 or 4 bits.
constexpr WeightFormat FormatOf(int bits, WeightNumbers numbers) {
  if (numbers == WeightNumbers::kFloats) return bits == 8 ? WeightFormat::kE4M3 : WeightFormat::kE2M1;
  return bits == 8 ? WeightFormat::kI8 : WeightFormat::kI4;
}

/// Numbers out of their codes, to which the other tables' are compared: e4m3 as OCP's "8-bit floating point
/// specification" has it, but for its NaN; twice an e2m1 number, of which the lower four bits of the byte are read.
float E4M3ToF32(uint8_t code);
int8_t TwiceE2M1(int8_t code);

/// Writes columns [column, column + count) of a panel from rows of int8 or of codes, with the padding of k. A weight
/// that holds pairs keeps the lower four bits of each.
void PackIntegers(const PackedWeight& weight, std::byte* panel, int64_t column, int64_t count, const int8_t* rows,
                  int64_t row_stride, int64_t column_stride, const KernelTable& kernels);
/// Writes zeros to a column of a panel.
void ZeroIntegers(const PackedWeight& weight, std::byte* panel, int64_t column);

/// Reads the k integers, or codes (of four bits: with the highest bit as their sign), of row `row` out of a packed
/// weight.
void UnpackIntegers(const PackedWeight& weight, int64_t row, int8_t* out);

/// Between `count` int8 and as many int4, two in a byte, the first one in its lower half. Where the count is odd, the
/// last byte's upper half is 0.
void ExpandInt4(const std::byte* pairs, int64_t count, int8_t* out);
void CompressInt4(const int8_t* values, int64_t count, std::byte* pairs);

/// How many groups a row of k channels has; 1 where group is 0.
int64_t GroupsOf(int64_t k, int64_t group);

/// The geometry of the scales [n, groups] of a weight [n, k]; throws what PackedGeometry throws.
PackedScales ScalesGeometry(int64_t n, int64_t groups, bool interleaved);
int64_t ScalesBytes(const PackedScales& scales);
/// Writes the scales of rows [row_begin, row_end) into `data` of ScalesBytes. Source row 0 is row_begin, and the scale
/// of group g of row r is at source[r * row_stride + g * column_stride].
void PackScales(const PackedScales& scales, float* data, int64_t row_begin, int64_t row_end, const float* source,
                int64_t row_stride, int64_t column_stride = 1);
/// The scale of a group of row `row`.
float ScaleOf(const PackedScales& scales, int64_t row, int64_t group);

/// Whether a weight of this format is multiplied with such scales. Those of other weights may have a form that its
/// kernels do not read.
inline bool TakesScales(WeightFormat format, const PackedScales& scales) {
  if (scales.are_minimums) return false;
  if (scales.exponents) return format == WeightFormat::kE2M1;
  if (scales.numbers.Any()) return AreIntegers(format);
  return scales.offsets == nullptr && (scales.multipliers == nullptr || HoldsPairs(format));
}

/// Whether integers with such scales may have offsets or minimums.
constexpr bool MayHaveOffsets(const PackedScales& scales) {
  return !scales.multipliers && !scales.exponents;
}

/// The largest multiplier of a format: times the largest of its integers it fits a byte.
constexpr int MostMultiplier(WeightFormat format) { return format == WeightFormat::kE2M1 ? 8 : 15; }
/// Whether the scales [groups] of an output are products of one scale and multipliers up to `most`, as PackedWeight has
/// them. If so, both are written, and their products are exactly the scales. Scales that are all zero or all NaN are
/// such products.
bool FindMultipliers(const float* scales, int64_t groups, int most, float* scale, int8_t* multipliers);

/// Bytes of the scales [n] and of the multipliers behind them.
int64_t MultiplierBytes(const PackedScales& scales);
/// Bytes from the scales to the multipliers.
int64_t MultipliersAt(const PackedScales& scales);
/// Writes the multipliers [groups] of an output where `multipliers` has them.
void PutMultipliers(const PackedScales& scales, int64_t row, const int8_t* found, int8_t* multipliers);
/// Writes the scales as products into `data` of MultiplierBytes, and describes them in `packed`. False when the scales
/// of some output are no such products.
bool PackMultipliers(const PackedScales& scales, int most, std::byte* data, PackedScales& packed);
int64_t ExponentBytes(const PackedScales& scales);
/// Writes the scales as exponents, a byte for each, into `data`, and describes them in `packed`. False when one of them
/// is no power of two from 2^-127 to 2^127, nor zero in the padding.
bool PackExponents(const PackedScales& scales, std::byte* data, PackedScales& packed);

/// The largest magnitude of offsets, which are whole numbers. An int4 and its offset fit a byte.
constexpr int MostOffset(WeightFormat format) { return format == WeightFormat::kI4 ? 112 : 256; }
int64_t OffsetBytes(const PackedScales& scales);
/// Writes offsets that were packed as scales are, floats, as whole numbers into `data` of OffsetBytes, and describes
/// them in `packed`. False when one of them is no whole number from -most to most.
bool PackOffsets(const PackedScales& floats, int most, std::byte* data, PackedScales& packed);

}  // namespace atb::kernels
