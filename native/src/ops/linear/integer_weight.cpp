#include "ops/linear/integer_weight.h"

#include <algorithm>

#include "base/align.h"
#include "base/checked.h"
#include "kernels/convert.h"
#include "ops/check.h"
#include "ops/rows.h"

namespace atb {
namespace {

using kernels::PackedScales;
using kernels::PackedWeight;
using kernels::WeightFormat;
using kernels::WeightNumbers;

bool IsPacked(const TensorDesc& desc) { return desc.layout != Layout::kRowMajor; }

const char* NameOf(WeightFormat format) {
  if (format == WeightFormat::kI8) return "int8";
  if (format == WeightFormat::kI4) return "int4";
  return format == WeightFormat::kE4M3 ? "e4m3" : "e2m1";
}

}  // namespace

int64_t IntegerWeight::ReadGroup(ParamReader& reader, int bits, WeightNumbers numbers) {
  const int64_t group = reader.Int("quantGroupSize", 0, 0, kernels::kMaxGroup);
  const bool may_be_small = bits == 4 && numbers == WeightNumbers::kFloats;
  if (group % kernels::kGroupStep != 0 && !(may_be_small && group == kernels::kWidenedGroup)) {
    const std::string small = may_be_small ? ", " + std::to_string(kernels::kWidenedGroup) : "";
    reader.Fail("quantGroupSize", "0" + small + " or a multiple of " + std::to_string(kernels::kGroupStep) + " up to " +
                                      std::to_string(kernels::kMaxGroup));
  }
  return group;
}

WeightNumbers IntegerWeight::ReadNumbers(ParamReader& reader) {
  return static_cast<WeightNumbers>(reader.Enum("weightNumbers", {"integers", "floats"}, 0));
}

float IntegerWeight::NumberOf(int8_t code) const {
  if (numbers == WeightNumbers::kIntegers) return code;
  return bits == 8 ? kernels::E4M3ToF32(static_cast<uint8_t>(code))
                   : 0.5f * static_cast<float>(kernels::TwiceE2M1(code));
}

IntegerWeight::Sizes IntegerWeight::SizesOf(const TensorDesc& weight) const {
  const int64_t last = weight.dim(1) * (8 / bits);
  const bool rows_are_outputs = transpose_b || IsPacked(weight);
  const int64_t n = rows_are_outputs ? weight.dim(0) : last;
  const int64_t k = rows_are_outputs ? last : weight.dim(0);
  return {n, k, kernels::GroupsOf(k, group), rows_are_outputs};
}

IntegerWeight::Sizes IntegerWeight::Check(std::span<const TensorDesc> in, std::optional<int64_t> k) const {
  const TensorDesc& weight = At(in, weight_input);
  if (weight.layout != Layout::kPackedLinear) RequireDense(op, weight_input, weight);
  if (weight.dtype != DType::kI8) FailDType(op, weight_input, "i8", weight);
  RequireRank(op, weight_input, weight, 2, 2);
  const Sizes sizes = SizesOf(weight);
  if (k && sizes.k != *k)
    FailShape(op, weight_input, "a weight of " + std::to_string(*k) + " input channels, as in0 has", weight);
  if (sizes.k < 1 || sizes.n < 1 || sizes.k > kernels::kMaxIntegerChannels) {
    FailShape(op, weight_input, "of 1 to " + std::to_string(kernels::kMaxIntegerChannels) + " input channels", weight);
  }
  const TensorDesc& scales = At(in, scale_input);
  if (scales.layout == Layout::kPackedScales) {
    if (group == 0 || !IsPacked(weight))
      throw InputError("NATIVE_LAYOUT_MISMATCH", op, scale_input,
                       "row-major, as the weight or one scale per output asks", ToString(scales));
  } else {
    RequireFloat(op, scale_input, scales);
  }
  CheckLikeScales(scale_input, scales, sizes);
  if (offset_input == 0) return sizes;
  const TensorDesc& offsets = At(in, offset_input);
  if (offsets.layout != Layout::kPackedScales || !IsPacked(weight) || !kernels::AreIntegers(Format()))
    throw InputError("NATIVE_LAYOUT_MISMATCH", op, offset_input, "offsets packed with their weight of integers",
                     ToString(offsets));
  CheckLikeScales(offset_input, offsets, sizes);
  return sizes;
}

void IntegerWeight::CheckLikeScales(int input, const TensorDesc& desc, const Sizes& sizes) const {
  const auto is = [&](int64_t a, int64_t b) { return desc.rank == 2 && desc.dim(0) == a && desc.dim(1) == b; };
  const int64_t n = sizes.n, groups = sizes.groups;
  if (group == 0) {
    if ((desc.rank == 1 && desc.dim(0) == n) || is(n, 1) || is(1, n)) return;
    FailShape(op, input, std::to_string(n) + " numbers, [n]", desc);
  }
  const int64_t rows = sizes.rows_are_outputs ? n : groups;
  const int64_t columns = sizes.rows_are_outputs ? groups : n;
  if (is(rows, columns)) return;
  FailShape(op, input, "of shape " + std::to_string(rows) + "," + std::to_string(columns), desc);
}

void IntegerWeight::Validate(std::span<const Tensor> in) const {
  const Tensor& weight = At(in, weight_input);
  if (!IsPacked(weight.desc)) return;
  const Sizes sizes = SizesOf(weight.desc);
  const auto& packed = *weight.As<const PackedWeight>();
  if (packed.format != Format() || packed.n != sizes.n || packed.k != sizes.k) {
    const std::string shape = " [" + std::to_string(sizes.n) + "," + std::to_string(sizes.k) + "]";
    throw InputError("NATIVE_LAYOUT_MISMATCH", op, weight_input, std::string("packed as ") + NameOf(Format()) + shape,
                     "another packed weight for " + ToString(weight.desc));
  }
  const auto require_order = [&](int input, bool are_offsets) {
    const Tensor& tensor = At(in, input);
    if (tensor.desc.layout != Layout::kPackedScales) return;
    const auto& ordered = *tensor.As<const PackedScales>();
    if (ordered.n != sizes.n || ordered.groups != sizes.groups || ordered.interleaved != packed.interleaved ||
        (ordered.offsets != nullptr || ordered.are_minimums) != are_offsets) {
      throw InputError("NATIVE_LAYOUT_MISMATCH", op, input, "packed in the order of the weight's panels",
                       "others for " + ToString(tensor.desc));
    }
  };
  require_order(scale_input, false);
  if (offset_input != 0) require_order(offset_input, true);
  if (offset_input != 0 && group == 0 && At(in, offset_input).As<const PackedScales>()->are_minimums)
    throw InputError("NATIVE_LAYOUT_MISMATCH", op, offset_input, "offsets, since all channels share a scale", "minimums");
  const Tensor& scales = At(in, scale_input);
  if (scales.desc.layout != Layout::kPackedScales) return;
  const auto& own = *scales.As<const PackedScales>();
  if (kernels::TakesScales(Format(), own) && (offset_input == 0 || kernels::MayHaveOffsets(own))) return;
  throw InputError("NATIVE_LAYOUT_MISMATCH", op, scale_input,
                   std::string("scales that were packed with ") + NameOf(Format()),
                   "those of another weight for " + ToString(scales.desc));
}

PackedWeight IntegerWeight::Geometry(const Sizes& sizes) const {
  PackedWeight weight = kernels::PackedGeometry(Format(), sizes.n, sizes.k, interleaved);
  weight.group = group;
  return weight;
}

int64_t IntegerWeight::Bytes(std::span<const TensorDesc> in, int threads) const {
  const TensorDesc& weight = At(in, weight_input);
  const Sizes sizes = SizesOf(weight);
  // There is room for scales in either order. Interleaving adds at most two panels.
  const int64_t rows = CheckedAdd(sizes.n, 3 * kernels::kPanelColumns);
  int64_t bytes = CheckedMul(CheckedMul(rows, sizes.groups), static_cast<int64_t>(sizeof(float)));
  if (!IsPacked(weight)) {
    bytes = CheckedAdd(Align(bytes), Align(kernels::PackedBytes(Geometry(sizes))));
    bytes = CheckedAdd(bytes, CheckedMul(threads, Align(kernels::kPanelColumns * sizes.k)));
  }
  return Align(bytes);
}

PackedWeight IntegerWeight::Resolve(std::span<const Tensor> in, const Context& ctx, std::byte* workspace) const {
  const Tensor& tensor = At(in, weight_input);
  const Tensor& scales = At(in, scale_input);
  const Sizes sizes = SizesOf(tensor.desc);
  PackedWeight weight = Geometry(sizes);
  if (IsPacked(tensor.desc)) {
    weight = *tensor.As<const PackedWeight>();
    weight.group = group;
  }
  auto* own_scales = reinterpret_cast<float*>(workspace);
  if (scales.desc.layout == Layout::kPackedScales) {
    weight.scales = scales.As<const PackedScales>()->data;
    weight.multipliers = scales.As<const PackedScales>()->multipliers;
    weight.exponents = scales.As<const PackedScales>()->exponents;
    weight.short_scales = scales.As<const PackedScales>()->numbers;
  } else if (group == 0) {
    weight.scales = LoadFloats(ctx.kernels, scales, 0, sizes.n, own_scales);
  } else {
    const PackedScales order = kernels::ScalesGeometry(sizes.n, sizes.groups, weight.interleaved);
    ForRows(ctx.pool, sizes.n, sizes.groups, [&](int64_t row, int) {
      // They are copied one by one, because they may have any dtype. The last row also fills the padding of its panel.
      float values[kernels::kMaxIntegerChannels / kernels::kWidenedGroup + 1];
      for (int64_t g = 0; g < sizes.groups; ++g) values[g] = ScaleAt(scales, sizes, row, g);
      kernels::PackScales(order, own_scales, row, row + 1, values, sizes.groups);
    });
    weight.scales = own_scales;
  }
  if (offset_input != 0) {
    weight.offsets = At(in, offset_input).As<const PackedScales>()->offsets;
    weight.minimums = At(in, offset_input).As<const PackedScales>()->numbers;
  }
  if (IsPacked(tensor.desc)) return weight;

  std::byte* const panels =
      workspace + Align((sizes.n + 3 * kernels::kPanelColumns) * sizes.groups * static_cast<int64_t>(sizeof(float)));
  std::byte* const buffers = panels + Align(kernels::PackedBytes(weight));
  ctx.pool.ParallelFor(weight.panels, [&](int64_t panel, int worker) {
    auto* rows = reinterpret_cast<int8_t*>(buffers + worker * Align(kernels::kPanelColumns * sizes.k));
    const int64_t first = kernels::PanelRow(weight, panel), width = kernels::PanelWidth(weight, panel);
    for (int64_t r = 0; r < width; ++r) Row(tensor, sizes, first + r, rows + r * sizes.k);
    kernels::PackRows(weight, panels, first, first + width, {rows, DType::kI8, sizes.k}, ctx.kernels);
  });
  weight.data = panels;
  return weight;
}

void IntegerWeight::Row(const Tensor& weight, const Sizes& sizes, int64_t row, int8_t* out) const {
  if (IsPacked(weight.desc)) return kernels::UnpackIntegers(*weight.As<const PackedWeight>(), row, out);
  const auto* data = weight.As<std::byte>();
  if (sizes.rows_are_outputs) {
    const std::byte* from = data + row * (bits == 8 ? sizes.k : sizes.k / 2);
    if (bits == 8) std::copy_n(reinterpret_cast<const int8_t*>(from), sizes.k, out);
    if (bits == 4) kernels::ExpandInt4(from, sizes.k, out);
    return;
  }
  for (int64_t i = 0; i < sizes.k; ++i) {
    if (bits == 8) {
      out[i] = reinterpret_cast<const int8_t*>(data)[i * sizes.n + row];
    } else {
      int8_t pair[2];
      kernels::ExpandInt4(data + (i * sizes.n + row) / 2, 2, pair);
      out[i] = pair[row % 2];
    }
  }
}

float IntegerWeight::ScaleAt(const Tensor& scales, const Sizes& sizes, int64_t row, int64_t group) {
  if (scales.desc.layout == Layout::kPackedScales)
    return kernels::ScaleOf(*scales.As<const PackedScales>(), row, group);
  const int64_t at = sizes.rows_are_outputs ? row * sizes.groups + group : group * sizes.n + row;
  return kernels::LoadFloat(scales.data, scales.desc.dtype, at);
}

}  // namespace atb
