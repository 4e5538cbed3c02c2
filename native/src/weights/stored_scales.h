#pragma once
#include <atomic>
#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "weights/stored_tensor.h"
#include "weights/weight_part.h"

namespace atb {

/// Replaces the offsets of all experts, which were read as floats, by whole numbers. Throws NATIVE_VALUE_OUT_OF_RANGE
/// where one is none from -most to most.
void NarrowOffsets(StoredTensor& offsets, int64_t experts, int most, const std::string& name,
                   std::atomic<int64_t>* meter);

/// Throws NATIVE_VALUE_OUT_OF_RANGE unless all scales are finite.
void RequireFinite(const StoredTensor& scales, const std::string& name);

/// Whether all parts are numbers of blocks that are alike, and f16 or such with steps: then, which.
std::optional<bool> StepsOf(std::span<const PlannedPart> parts);

/// Lets scales, or minimums, whose geometry is known have their numbers at `data`: floats, or as StepsOf says.
void PointAt(kernels::PackedScales& scales, std::optional<bool> steps, const std::byte* data);

}  // namespace atb
