#include "weights/stored_scales.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "base/checked.h"
#include "base/error.h"
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

}  // namespace atb
