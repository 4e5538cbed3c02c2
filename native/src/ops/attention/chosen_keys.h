#pragma once
#include <cstdint>
#include <span>

#include "tensor/tensor.h"

namespace atb {

/// An operation's input i32 [tokens, K]: the numbers of what each query attends to, ascending, and numbers below 0
/// behind them.
struct ChosenKeys {
  const char* op;
  int input;

  /// Throws what the functions of ops/check.h throw.
  void Check(std::span<const TensorDesc> in, int64_t tokens) const;
  /// Checks a query's numbers, which are below `end` and are called `what`. Throws NATIVE_VALUE_OUT_OF_RANGE.
  void Validate(std::span<const Tensor> in, int64_t token, int64_t end, const char* what) const;

  int64_t Most(std::span<const Tensor> in) const { return in[static_cast<size_t>(input)].desc.dim(1); }
  const int32_t* Of(std::span<const Tensor> in, int64_t token) const {
    return in[static_cast<size_t>(input)].As<const int32_t>() + token * Most(in);
  }
  int64_t Count(std::span<const Tensor> in, int64_t token) const;
};

}  // namespace atb
