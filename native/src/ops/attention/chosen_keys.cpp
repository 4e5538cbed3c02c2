#include "ops/attention/chosen_keys.h"

#include <algorithm>
#include <string>

#include "ops/check.h"

namespace atb {

void ChosenKeys::Check(std::span<const TensorDesc> in, int64_t tokens) const {
  const TensorDesc& chosen = At(in, input);
  RequireDType(op, input, chosen, DType::kI32);
  if (chosen.rank != 2 || chosen.dim(0) != tokens || chosen.dim(1) % choosers != 0) {
    const std::string each = choosers == 1 ? "" : std::to_string(choosers) + "*";
    FailShape(op, input, "[" + std::to_string(tokens) + "," + each + "K]", chosen);
  }
}

void ChosenKeys::Validate(std::span<const Tensor> in, int64_t row, int64_t end, const char* what) const {
  const int32_t* own = Of(in, row);
  int64_t least = 0;  // Behind a number below 0 none may follow that is not.
  for (int64_t j = 0; j < Most(in); least = own[j] < 0 ? end : own[j] + 1, ++j) {
    if (own[j] < 0 || (own[j] >= least && own[j] < end)) continue;
    const std::string expected = "ascending " + std::string(what) + " below " + std::to_string(end);
    FailValue(op, input, expected + ", and numbers below 0 behind them", std::to_string(own[j]));
  }
}

int64_t ChosenKeys::Count(std::span<const Tensor> in, int64_t row) const {
  const int32_t* own = Of(in, row);
  return std::partition_point(own, own + Most(in), [](int32_t number) { return number >= 0; }) - own;
}

}  // namespace atb
