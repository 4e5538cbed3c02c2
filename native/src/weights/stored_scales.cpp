#include "weights/stored_scales.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "base/error.h"
#include "kernels/pack_integers.h"

namespace atb {
namespace {

[[noreturn]] void Fail(const std::string& name, const std::string& expected) {
  throw Error("NATIVE_VALUE_OUT_OF_RANGE", "weight \"" + name + "\": " + expected);
}

}  // namespace

void NarrowOffsets(StoredTensor& offsets, const std::string& name, std::atomic<int64_t>* meter) {
  Buffer bytes(static_cast<size_t>(kernels::OffsetBytes(offsets.scales)), meter);
  kernels::PackedScales packed;
  if (!kernels::PackOffsets(offsets.scales, bytes.data(), packed)) {
    const std::string most = std::to_string(kernels::kMaxOffset);
    Fail(name, "offsets must be whole numbers from -" + most + " to " + most);
  }
  offsets.scales = packed;
  offsets.bytes = std::move(bytes);
}

void RequireFinite(const StoredTensor& scales, const std::string& name) {
  const std::span all(reinterpret_cast<const float*>(scales.bytes.data()), scales.bytes.size() / sizeof(float));
  if (!std::ranges::all_of(all, [](float scale) { return std::isfinite(scale); })) Fail(name, "scales must be finite");
}

}  // namespace atb
