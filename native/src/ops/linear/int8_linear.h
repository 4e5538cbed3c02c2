#pragma once
#include <memory>

#include "ops/operation.h"

namespace atb {

/// The Linear of int8, which ATB makes of an outDataType of 16 bits: out = (x w + bias) * deqScale. x int8 [.., m, k],
/// w int8, bias i32 [n] where there is one, deqScale [n] of floats, out [.., m, n]. `op` names it in messages and must
/// be a literal.
std::unique_ptr<Operation> MakeInt8Linear(const char* op, bool transpose_b, bool has_bias, DType out);

}  // namespace atb
