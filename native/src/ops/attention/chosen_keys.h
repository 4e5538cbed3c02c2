#pragma once
#include <cstdint>
#include <span>

#include "tensor/tensor.h"

namespace atb {

/// An operation's input i32 [tokens, K]: the numbers of what each query attends to, ascending, and numbers below 0
/// behind them. With several choosers it is [tokens, choosers * K], and each of a query has a row of its own.
struct ChosenKeys {
  const char* op;
  int input;
  int64_t choosers = 1;

  /// Throws what the functions of ops/check.h throw.
  void Check(std::span<const TensorDesc> in, int64_t tokens) const;
  /// Checks a row's numbers, which are below `end` and are called `what`. Throws NATIVE_VALUE_OUT_OF_RANGE.
  void Validate(std::span<const Tensor> in, int64_t row, int64_t end, const char* what) const;

  int64_t Most(std::span<const Tensor> in) const { return At(in, input).desc.dim(1) / choosers; }
  const int32_t* Of(std::span<const Tensor> in, int64_t row) const {
    return At(in, input).As<const int32_t>() + row * Most(in);
  }
  int64_t Count(std::span<const Tensor> in, int64_t row) const;
};

}  // namespace atb
