#include "weights/integer_rows.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/pack_integers.h"
#include "weights/staging.h"

namespace atb {
namespace {

using kernels::PackedWeight;
using kernels::WeightFormat;

/// Room for a row's integers and for what a kernel writes behind them: it fills whole tiles from the start of the last
/// group on.
int64_t Stride(const PackedWeight& weight) { return weight.k + 2 * kernels::kIntegerTileK; }

}  // namespace

void QuantizeRows(const IntegerTarget& target, const kernels::KernelTable& kernels, const std::byte* rows, DType dtype,
                  int64_t row, int64_t count, IntegerStaging& staging) {
  const PackedWeight& weight = target.weight;
  const int64_t k = weight.k, groups = kernels::GroupsOf(k, weight.group);
  const int64_t channels = weight.group ? weight.group : k;
  const auto size = static_cast<int64_t>(SizeOf(dtype));
  const int64_t stride = Stride(weight);
  int8_t* integers = Grow(staging.integers, count * stride);
  float* scales = Grow(staging.scales, count * groups);
  float* floats = Grow(staging.floats, k);
  int8_t* multipliers = Grow(staging.multipliers, groups);
  for (int64_t r = 0; r < count; ++r) {
    const std::byte* from = rows + r * k * size;
    int8_t* to = integers + r * stride;
    float* own_scales = scales + r * groups;
    if (weight.format == WeightFormat::kI4) {
      kernels.to_f32(from, dtype, floats, k);
      const float scale = kernels.quantize_int4(floats, k, channels, to, multipliers);
      for (int64_t g = 0; g < groups; ++g) own_scales[g] = scale * static_cast<float>(multipliers[g]);
      if (target.multipliers == nullptr) continue;
      // As they are found when the scales come out of a file: so both ways give the same bits.
      kernels::FindMultipliers(own_scales, groups, kernels::MostMultiplier(weight.format), &target.scales[row + r],
                               multipliers);
      kernels::PutMultipliers(target.order, row + r, multipliers, target.multipliers);
      continue;
    }
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t first = g * channels, n = std::min(channels, k - first);
      // The kernel fills its last tile with zeros, which the next group overwrites: so groups go from front to back.
      own_scales[g] = kernels.quantize(from + first * size, dtype, n, 1, to + first, kernels::kIntegerTileK, 0);
    }
  }
  kernels::PackRows(weight, target.data, row, row + count, {integers, DType::kI8, stride}, kernels);
  if (target.multipliers != nullptr) return;
  if (weight.group) {
    kernels::PackScales(target.order, target.scales, row, row + count, scales, groups);
  } else {
    std::copy_n(scales, count, target.scales + row);
  }
}

DType PartsDType(std::span<const WeightPart> parts, DType none) {
  const DType first = parts.empty() ? none : parts.front().dtype;
  if (!IsFloat(first)) return DType::kI8;
  const bool alike = std::ranges::all_of(
      parts, [=](const WeightPart& part) { return part.dtype == first && !part.HasArithmetic(); });
  return alike ? first : DType::kF32;
}

void PackIntegerRows(const IntegerTarget& target, const kernels::KernelTable& kernels, const std::byte* rows,
                     int64_t row, int64_t count, bool paired, IntegerStaging& staging) {
  const int64_t k = target.weight.k;
  auto* integers = reinterpret_cast<const int8_t*>(rows);
  if (paired) {
    int8_t* expanded = Grow(staging.integers, count * k);
    kernels::ExpandInt4(rows, count * k, expanded);  // Rows of an even number follow each other without gaps.
    integers = expanded;
  }
  kernels::PackRows(target.weight, target.data, row, row + count, {integers, DType::kI8, k}, kernels);
}

void RequireNumbers(const std::string& name, const std::byte* codes, int64_t count) {
  const auto is_nan = [](std::byte code) { return (code & std::byte{0x7F}) == std::byte{0x7F}; };
  if (std::any_of(codes, codes + count, is_nan))
    throw Error("NATIVE_VALUE_OUT_OF_RANGE", "weight \"" + name + "\" must be finite, found NaN");
}

void RequireInt4(const std::string& name, const std::byte* integers, int64_t count) {
  const auto is_wide = [](std::byte byte) { return static_cast<uint8_t>(static_cast<uint8_t>(byte) + 8) > 15; };
  const auto* const found = std::find_if(integers, integers + count, is_wide);
  if (found == integers + count) return;
  throw Error("NATIVE_VALUE_OUT_OF_RANGE", "weight \"" + name + "\" must be integers from -8 to 7, found " +
                                               std::to_string(static_cast<int8_t>(*found)));
}

}  // namespace atb
