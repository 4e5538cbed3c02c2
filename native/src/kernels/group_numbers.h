#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/packed_weight.h"

namespace atb::kernels {

/// Halves of a panel, where numbers have steps.
constexpr int64_t StepHalves(int64_t groups) { return (groups + kStepGroups - 1) / kStepGroups; }
/// The number of a group and a column of a panel.
float GroupNumber(const GroupNumbers& numbers, int64_t panel, int64_t groups, int64_t group, int64_t column);
/// Bytes of numbers that are f16, the steps behind the halves, and where they lie in `data` of so many.
int64_t ShortBytes(const PackedScales& scales, bool has_steps);
GroupNumbers ShortsAt(const PackedScales& scales, bool has_steps, const std::byte* data);
/// PackScales into `data` of ShortBytes. False, and some numbers are not written, where one of them is no f16, or is no
/// step times an f16 that each kStepGroups share.
bool PackShorts(const PackedScales& scales, bool has_steps, std::byte* data, int64_t row_begin, int64_t row_end,
                const float* source, int64_t row_stride);

}  // namespace atb::kernels
