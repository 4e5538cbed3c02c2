#pragma once
#include <span>
#include <string>

#include "ops/check.h"
#include "tensor/tensor.h"

namespace atb {

/// Of a tensor of i32 or i64.
inline int64_t IndexAt(const Tensor& indices, int64_t i) {
  return indices.desc.dtype == DType::kI64 ? indices.As<int64_t>()[i] : indices.As<int32_t>()[i];
}

/// Throws NATIVE_VALUE_OUT_OF_RANGE unless all are within [0, n).
inline void ValidateIndices(const char* op, int input, const Tensor& indices, int64_t n) {
  for (int64_t i = 0; i < indices.desc.Elements(); ++i) {
    const int64_t index = IndexAt(indices, i);
    if (index >= 0 && index < n) continue;
    FailValue(op, input, "indices from 0 to " + std::to_string(n - 1),
              std::to_string(index) + " at " + std::to_string(i));
  }
}

}  // namespace atb
