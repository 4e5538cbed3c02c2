#pragma once
#include "ops/operation.h"

namespace atb {

/// One of the kernel table's functions, applied to each element of a float tensor.
class Unary : public Operation {
 public:
  /// `op` names the operation in messages and must be a literal.
  Unary(const char* op, kernels::UnaryOp function, float arg = 0.0f) : op_(op), function_(function), arg_(arg) {}
  int NumInputs() const override { return 1; }
  int NumOutputs() const override { return 1; }
  bool InPlace(int, int) const override { return true; }
  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override;
  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override;

 private:
  const char* op_;
  kernels::UnaryOp function_;
  float arg_;
};

}  // namespace atb
