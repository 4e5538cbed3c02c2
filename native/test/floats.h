#pragma once
#include "tensor/dtype.h"

namespace atb {

constexpr DType kFloats[] = {DType::kF32, DType::kF16, DType::kBF16};

}  // namespace atb
