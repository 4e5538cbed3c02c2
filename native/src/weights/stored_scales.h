#pragma once
#include <atomic>
#include <string>

#include "weights/stored_tensor.h"

namespace atb {

/// Replaces the offsets of all experts, which were read as floats, by whole numbers. Throws NATIVE_VALUE_OUT_OF_RANGE
/// where one is none from -most to most.
void NarrowOffsets(StoredTensor& offsets, int64_t experts, int most, const std::string& name,
                   std::atomic<int64_t>* meter);

/// Throws NATIVE_VALUE_OUT_OF_RANGE unless all scales are finite.
void RequireFinite(const StoredTensor& scales, const std::string& name);

}  // namespace atb
