#pragma once
#include <algorithm>

#include "ops/operation.h"

namespace atb {

/// round(x / scale + offset) within -128 and 127, to nearest even; NaN gives 0.
inline int8_t QuantizeStatically(float x, float scale, float offset) {
  // Adding and subtracting this leaves a number below 2^22 as a whole one.
  constexpr float kRounding = 0x1.8p23f;
  const float number = x / scale + offset;
  const float within = std::min(std::max(number == number ? number : 0.0f, -128.0f), 127.0f);
  return static_cast<int8_t>(within + kRounding - kRounding);
}

/// A scale, which is a float, or an offset, which is int8 or a float.
float QuantNumber(const Tensor& numbers, int64_t at);

/// Elewise's ELEWISE_QUANT_PER_CHANNEL: x [.., k] of floats -> int8, as QuantizeStatically has it. Scale and offset
/// have one number, or k; the offsets are int8 or floats.
class StaticQuant : public Operation {
 public:
  int NumInputs() const override { return 3; }
  int NumOutputs() const override { return 1; }
  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override;
  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override;
};

}  // namespace atb
