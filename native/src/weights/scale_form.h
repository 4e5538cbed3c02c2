#pragma once
#include <atomic>
#include <cstdint>

#include "weights/stored_tensor.h"

namespace atb {

/// What a tensor's bytes are, where its description leaves a choice. These numbers are in files.
enum class ScaleForm : uint64_t {
  kFloats = 0,  ///< Or f16, with steps or without; or a tensor that is no scales of groups.
  kMultipliers = 1,
  kExponents = 2,
  kOffsets = 3,
};

/// Which of them a tensor may have.
enum class ScaleForms : uint8_t {
  kPlanned,   ///< The one that it is planned with: floats, if they are scales.
  kProducts,  ///< Likewise, multipliers: those that are made with a weight of int4.
  kOfInt4,    ///< Scales that ShrinkScales looks at.
  kOfE2M1,
  kOffsets,
};

ScaleForm FormOf(const StoredTensor& stored);

/// Gives scales [experts, n, groups] the room and the pointers of another form; their numbers are to be filled in.
/// False for a form that they cannot have. Throws NATIVE_OUT_OF_MEMORY.
bool TakeForm(StoredTensor& stored, int64_t experts, ScaleForms forms, uint64_t form, std::atomic<int64_t>* meter);

}  // namespace atb
