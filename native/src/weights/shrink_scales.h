#pragma once
#include <atomic>
#include <cstdint>

#include "kernels/packed_weight.h"
#include "weights/stored_tensor.h"

namespace atb {

/// Replaces the scales of 4-bit numbers by one scale for each output and small multipliers, if they are exactly such
/// products: they take fewer bytes, and multiplying by the weight needs no sums of groups. Those of e2m1 become
/// exponents, if they are powers of two and no such products. `stored` has the floats of `experts` matrices. Throws
/// NATIVE_OUT_OF_MEMORY.
void ShrinkScales(StoredTensor& stored, int64_t experts, kernels::WeightFormat format, std::atomic<int64_t>* meter);

}  // namespace atb
