#pragma once
#include "ops/operation.h"

namespace atb {

/// Elewise's ELEWISE_QUANT_PER_CHANNEL: x [.., k] of floats -> int8, round(x / scale + offset) within -128 and 127. Scale and
/// offset have one number, or k; the offsets are int8 or floats. It rounds to nearest even; NaN gives 0.
class StaticQuant : public Operation {
 public:
  int NumInputs() const override { return 3; }
  int NumOutputs() const override { return 1; }
  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override;
  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override;
};

}  // namespace atb
