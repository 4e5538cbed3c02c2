#include "ops/moe/expert_weight.h"

#include "kernels/pack.h"
#include "kernels/pack_integers.h"
#include "kernels/stack.h"
#include "ops/check.h"

namespace atb {

using kernels::PackedScales;
using kernels::PackedWeight;

PackedWeight Experts::operator()(int64_t expert) const {
  PackedWeight own = kernels::ExpertOf(first, expert);
  const int64_t offset = expert * scales_stride;
  if (first.scales)
    own.scales = reinterpret_cast<const float*>(reinterpret_cast<const std::byte*>(first.scales) + offset);
  if (first.multipliers) own.multipliers = first.multipliers + offset;
  if (first.exponents) own.exponents = first.exponents + offset;
  own.short_scales = kernels::Behind(first.short_scales, offset);
  if (first.offsets)
    own.offsets = first.offsets + expert * offsets_stride / static_cast<int64_t>(sizeof(int16_t));
  own.minimums = kernels::Behind(first.minimums, expert * offsets_stride);
  return own;
}

ExpertWeight::Sizes ExpertWeight::SizesOf(const TensorDesc& weight) const {
  return {weight.dim(0), weight.dim(1), weight.dim(2) * (bits ? 8 / bits : 1)};
}

bool ExpertWeight::MayWiden(std::span<const TensorDesc> in) const {
  if (bits != 4) return false;
  const int64_t k = SizesOf(At(in, input)).k;
  return At(in, scale_input).dim(2) == kernels::GroupsOf(k, kernels::kWidenedGroup);
}

ExpertWeight::Sizes ExpertWeight::Check(std::span<const TensorDesc> in, DType x, int64_t k) const {
  const TensorDesc& weight = At(in, input);
  if (weight.layout != Layout::kPackedLinear)
    throw InputError("NATIVE_LAYOUT_MISMATCH", op, input, "a packed weight", ToString(weight));
  const DType dtype = bits ? DType::kI8 : x;
  if (weight.dtype != dtype) FailDType(op, input, ToString(dtype), weight);
  RequireRank(op, input, weight, 3, 3);
  const Sizes sizes = SizesOf(weight);
  if (sizes.k != k || sizes.experts < 1 || (interleaved && sizes.n % 2 != 0)) {
    const char* rows = interleaved ? "[experts, an even n, " : "[experts, n, ";
    FailShape(op, input, rows + std::to_string(k) + " input channels]", weight);
  }
  if (bits == 0) return sizes;
  const TensorDesc& scales = At(in, scale_input);
  RequireRank(op, scale_input, scales, 3, 3);
  if (scales.layout != Layout::kPackedScales) RequireDense(op, scale_input, scales);
  if (scales.dtype != DType::kF32) FailDType(op, scale_input, "f32", scales);
  const bool is_one = scales.layout != Layout::kPackedScales;
  if (scales.dim(0) != sizes.experts || scales.dim(1) != sizes.n || (is_one && scales.dim(2) != 1)) {
    FailShape(op, scale_input, "[" + std::to_string(sizes.experts) + "," + std::to_string(sizes.n) + ",groups]",
              scales);
  }
  if (offset_input != 0) CheckOffsets(At(in, offset_input), sizes);
  return sizes;
}

void ExpertWeight::CheckOffsets(const TensorDesc& offsets, const Sizes& sizes) const {
  if (offsets.layout != Layout::kPackedScales)
    throw InputError("NATIVE_LAYOUT_MISMATCH", op, offset_input, "offsets packed with their weight", ToString(offsets));
  RequireRank(op, offset_input, offsets, 3, 3);
  if (offsets.dim(0) == sizes.experts && offsets.dim(1) == sizes.n) return;
  FailShape(op, offset_input, "[" + std::to_string(sizes.experts) + "," + std::to_string(sizes.n) + ",groups]",
            offsets);
}

void ExpertWeight::CheckBias(std::span<const TensorDesc> in, int bias, const Sizes& sizes) const {
  const TensorDesc& desc = At(in, bias);
  RequireFloat(op, bias, desc);
  if (desc.rank != 2 || desc.dim(0) != sizes.experts || desc.dim(1) != sizes.n)
    FailShape(op, bias, "[" + std::to_string(sizes.experts) + "," + std::to_string(sizes.n) + "]", desc);
}

void ExpertWeight::Validate(std::span<const Tensor> in) const {
  const Tensor& tensor = At(in, input);
  const auto& packed = *tensor.As<const PackedWeight>();
  const Sizes sizes = SizesOf(tensor.desc);
  // Floats of 8 and 4 bits are multiplied like integers of as many.
  const bool fits = bits == 0 ? !kernels::HasScales(packed.format)
                              : kernels::HasScales(packed.format) && kernels::HoldsPairs(packed.format) == (bits == 4);
  if (!fits || packed.n != sizes.n || packed.k != sizes.k || packed.interleaved != interleaved) {
    throw InputError("NATIVE_LAYOUT_MISMATCH", op, input,
                     interleaved ? "packed with gate and up panels in turn" : "packed as matrices of its own shape",
                     "another packed weight for " + ToString(tensor.desc));
  }
  if (bits == 0) return;
  const bool are_integers = kernels::AreIntegers(packed.format);
  if (int8_rows && !are_integers)
    throw InputError("NATIVE_LAYOUT_MISMATCH", op, input, "packed as integers, as the rows are",
                     "floats of as many bits");
  const Tensor& scales = At(in, scale_input);
  const bool are_packed = scales.desc.layout == Layout::kPackedScales;
  const int64_t groups = kernels::GroupsOf(packed.k, packed.group);
  const auto lies_alike = [&](const PackedScales& own) {
    return own.groups == groups && own.interleaved == packed.interleaved;
  };
  const PackedScales* const own = are_packed ? scales.As<const PackedScales>() : nullptr;
  const bool match =
      own ? packed.group != 0 && lies_alike(*own) && kernels::TakesScales(packed.format, *own) : packed.group == 0;
  if (!match || (offset_input != 0 && own && !kernels::MayHaveOffsets(*own))) {
    throw InputError("NATIVE_LAYOUT_MISMATCH", op, scale_input, "scales of the weight's groups",
                     "others for " + ToString(scales.desc));
  }
  if (offset_input == 0) return;
  const Tensor& offsets = At(in, offset_input);
  const auto& whole = *offsets.As<const PackedScales>();
  const bool are_whole = whole.offsets || (whole.are_minimums && own);
  if (are_integers && are_whole && lies_alike(whole)) return;
  throw InputError("NATIVE_LAYOUT_MISMATCH", op, offset_input, "offsets of the weight's groups",
                   "others for " + ToString(offsets.desc));
}

Experts ExpertWeight::Resolve(std::span<const Tensor> in) const {
  Experts experts{*At(in, input).As<const PackedWeight>()};
  if (bits == 0) return experts;
  const Tensor& scales = At(in, scale_input);
  if (scales.desc.layout == Layout::kPackedScales) {
    const auto& packed = *scales.As<const PackedScales>();
    experts.first.scales = packed.data;
    experts.first.multipliers = packed.multipliers;
    experts.first.exponents = packed.exponents;
    experts.first.short_scales = packed.numbers;
    experts.scales_stride = kernels::ScalesStride(packed);
  } else {
    experts.first.scales = scales.As<const float>();
    experts.scales_stride = experts.first.n * static_cast<int64_t>(sizeof(float));
  }
  if (offset_input != 0) {
    const auto& packed = *At(in, offset_input).As<const PackedScales>();
    experts.first.offsets = packed.offsets;
    experts.first.minimums = packed.numbers;
    experts.offsets_stride = kernels::ScalesStride(packed);
  }
  return experts;
}

}  // namespace atb
