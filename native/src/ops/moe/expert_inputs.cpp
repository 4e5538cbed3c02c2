#include "ops/moe/expert_inputs.h"

#include <string>

#include "ops/check.h"

namespace atb {
namespace {

void RequireIntegers(const char* op, int input, const TensorDesc& desc, int64_t experts, int64_t columns) {
  RequireDType(op, input, desc, DType::kI32);
  if (desc.rank == 2 && desc.dim(0) == experts && desc.dim(1) == columns) return;
  FailShape(op, input, "[" + std::to_string(experts) + "," + std::to_string(columns) + "]", desc);
}

}  // namespace

void ExpertInputPlaces::Check(std::span<const TensorDesc> in, const ExpertWeight::Sizes& sizes) const {
  if (channels != 0) RequireIntegers(op, channels, At(in, channels), sizes.experts, sizes.k);
  if (sum_bias != 0) RequireIntegers(op, sum_bias, At(in, sum_bias), sizes.experts, sizes.n);
  if (scale == 0) return;
  // Before them are the scales of the weight.
  if (At(in, scale - 1).layout == Layout::kPackedScales)
    throw InputError("NATIVE_LAYOUT_MISMATCH", op, scale - 1, "one scale for each output beside scales of inputs",
                     ToString(At(in, scale - 1)));
  RequireFloat(op, scale, At(in, scale));
  if (At(in, scale + 1).dtype != DType::kI8) RequireFloat(op, scale + 1, At(in, scale + 1));
  for (const int input : {scale, scale + 1}) {
    RequireDense(op, input, At(in, input));
    if (At(in, input).Elements() != sizes.experts)
      FailShape(op, input, "one number for each of " + std::to_string(sizes.experts) + " experts", At(in, input));
  }
}

ExpertInputs ExpertInputPlaces::Resolve(std::span<const Tensor> in) const {
  const auto at = [&](int input) { return input == 0 ? nullptr : &At(in, input); };
  const auto integers = [&](int input) { return input == 0 ? nullptr : at(input)->As<const int32_t>(); };
  return {integers(channels), at(scale), scale == 0 ? nullptr : at(scale + 1), integers(sum_bias)};
}

}  // namespace atb
