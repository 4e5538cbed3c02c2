#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/pack.h"

namespace atb::kernels {

constexpr bool IsInteger(WeightFormat format) { return format == WeightFormat::kI8 || format == WeightFormat::kI4; }

/// Writes columns [column, column + count) of a panel from rows of int8, padding of k included; a kI4 weight keeps the
/// lower four bits of each.
void PackIntegers(const PackedWeight& weight, std::byte* panel, int64_t column, int64_t count, const int8_t* rows,
                  int64_t row_stride, int64_t column_stride, const KernelTable& kernels);
void ZeroIntegers(const PackedWeight& weight, std::byte* panel, int64_t column);

/// Row `row` of a packed weight of integers: k of them.
void UnpackIntegers(const PackedWeight& weight, int64_t row, int8_t* out);

/// Pairs of int4 in bytes, the first in the lower half, as `count` int8; and back (an odd count leaves an upper half
/// 0).
void ExpandInt4(const std::byte* pairs, int64_t count, int8_t* out);
void CompressInt4(const int8_t* values, int64_t count, std::byte* pairs);

/// Groups of a row of k channels.
int64_t GroupsOf(int64_t k, int64_t group);

/// The geometry of the scales [n, groups] of a weight [n, k]; throws what PackedGeometry throws.
PackedScales ScalesGeometry(int64_t n, int64_t groups, bool interleaved);
int64_t ScalesBytes(const PackedScales& scales);
/// Likewise to PackRows: rows [row_begin, row_end), source row 0 being row_begin.
void PackScales(const PackedScales& scales, float* data, int64_t row_begin, int64_t row_end, const float* source,
                int64_t row_stride, int64_t column_stride = 1);
/// The scale of a group of row `row`.
float ScaleOf(const PackedScales& scales, int64_t row, int64_t group);

/// Whether the scales [groups] of an output are products of one number and multipliers as PackedWeight has them. Writes
/// them when they are; all zeros or all NaN are. The products of what is found are exactly the scales.
bool FindMultipliers(const float* scales, int64_t groups, float* scale, int8_t* multipliers);

/// The bytes of scales [n] and multipliers for such a geometry, the latter behind the former; and where they begin.
int64_t MultiplierBytes(const PackedScales& scales);
int64_t MultipliersAt(const PackedScales& scales);
/// The same scales as products, in `data` of MultiplierBytes; false when they are not.
bool PackMultipliers(const PackedScales& scales, std::byte* data, PackedScales& packed);

}  // namespace atb::kernels
