#include "weights/stored_scales.h"

#include <algorithm>
#include <cmath>

#include "base/checked.h"
#include "base/error.h"
#include "kernels/group_numbers.h"
#include "kernels/pack_integers.h"
#include "kernels/stack.h"

namespace atb {
namespace {

[[noreturn]] void Fail(const std::string& name, const std::string& expected) {
  throw Error("NATIVE_VALUE_OUT_OF_RANGE", "weight \"" + name + "\": " + expected);
}

}  // namespace

void NarrowOffsets(StoredTensor& offsets, int64_t experts, int most, const std::string& name,
                   std::atomic<int64_t>* meter) {
  const int64_t stride = kernels::OffsetBytes(offsets.scales);
  Buffer bytes(static_cast<size_t>(CheckedMul(experts, stride)), meter);
  kernels::PackedScales packed;
  for (int64_t e = experts - 1; e >= 0; --e) {
    if (kernels::PackOffsets(kernels::ExpertOf(offsets.scales, e), most, bytes.data() + e * stride, packed)) continue;
    Fail(name, "offsets must be whole numbers from -" + std::to_string(most) + " to " + std::to_string(most));
  }
  offsets.scales = packed;
  offsets.bytes = std::move(bytes);
}

void RequireFinite(const StoredTensor& scales, const std::string& name) {
  const std::span all(reinterpret_cast<const float*>(scales.bytes.data()), scales.bytes.size() / sizeof(float));
  if (!std::ranges::all_of(all, [](float scale) { return std::isfinite(scale); })) Fail(name, "scales must be finite");
}

std::optional<bool> StepsOf(std::span<const PlannedPart> parts) {
  std::optional<bool> steps;
  for (const PlannedPart& planned : parts) {
    const WeightPart& part = *planned.part;
    if (part.value == 0.0f) continue;
    if (!part.blocks || part.HasArithmetic() || part.row_factors) return std::nullopt;
    const BlockScales scales = ScalesOf(part.blocks->type);
    const bool has_steps = scales == BlockScales::kSteps;
    if (scales == BlockScales::kFloats || steps.value_or(has_steps) != has_steps) return std::nullopt;
    steps = has_steps;
  }
  return steps;
}

void PointAt(kernels::PackedScales& scales, std::optional<bool> steps, const std::byte* data) {
  const auto* const floats = reinterpret_cast<const float*>(data);
  if (steps) {
    scales.numbers = kernels::ShortsAt(scales, *steps, data);
  } else if (scales.are_minimums) {
    scales.numbers.floats = floats;
  } else {
    scales.data = floats;
  }
}

}  // namespace atb
