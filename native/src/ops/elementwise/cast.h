#pragma once
#include <optional>

#include "ops/operation.h"

namespace atb {

/// Reads an aclDataType string; empty when absent or ACL_DT_UNDEFINED. Throws for types that the engine does not have.
std::optional<DType> ReadDType(ParamReader& reader, std::string_view key);

/// Converts every element. Floats round to nearest even; a float becomes an integer by truncation, NaN becomes 0 and
/// what does not fit becomes the nearest bound; integers wrap.
void CastTensor(const Tensor& in, const Tensor& out, const Context& ctx);

}  // namespace atb
