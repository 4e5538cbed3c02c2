#pragma once
#include "kernels/kernel_table.h"
#include "ops/param.h"

namespace atb {

/// The keys `limit`, `gateScale` and `clampForm`, our extension, of an operation that may be SwiGLU. Throws
/// NATIVE_PARAM_INVALID.
kernels::GateClamp ReadGateClamp(ParamReader& reader, bool is_swiglu);

}  // namespace atb
