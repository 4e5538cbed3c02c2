#pragma once
#include <cstdint>

#include "kernels/packed_weight.h"

namespace atb::kernels {

// A weight [experts, n, k] is as many matrices [n, k] of one geometry, one behind the other: each expert has its own
// range of panels. A PackedWeight or PackedScales then describes the first one, and kernels see one at a time.

/// Bytes from one expert's scales, or offsets, to those of the next; of products, with their multipliers.
int64_t ScalesStride(const PackedScales& first);

/// The matrix of an expert, without its scales.
PackedWeight ExpertOf(const PackedWeight& first, int64_t expert);
PackedScales ExpertOf(const PackedScales& first, int64_t expert);
/// The numbers that lie `offset` bytes behind these.
GroupNumbers Behind(const GroupNumbers& first, int64_t offset);

}  // namespace atb::kernels
