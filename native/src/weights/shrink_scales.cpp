#include "weights/shrink_scales.h"

#include <utility>

#include "base/align.h"
#include "base/checked.h"
#include "kernels/pack_integers.h"
#include "kernels/stack.h"

namespace atb {

void ShrinkScales(StoredTensor& stored, int64_t experts, kernels::WeightFormat format, std::atomic<int64_t>* meter) {
  const kernels::PackedScales floats = stored.scales;
  const auto take = [&](int64_t stride, auto pack) {
    Buffer bytes(static_cast<size_t>(CheckedMul(experts, stride)), meter);
    kernels::PackedScales packed;
    for (int64_t e = experts - 1; e >= 0; --e) {
      if (!pack(kernels::ExpertOf(floats, e), bytes.data() + e * stride, packed)) return false;
    }
    stored.scales = packed;
    stored.bytes = std::move(bytes);
    return true;
  };
  const auto multipliers = [=](const kernels::PackedScales& own, std::byte* data, kernels::PackedScales& packed) {
    return kernels::PackMultipliers(own, kernels::MostMultiplier(format), data, packed);
  };
  if (take(Align(kernels::MultiplierBytes(floats)), multipliers) || format != kernels::WeightFormat::kE2M1) return;
  take(kernels::ExponentBytes(floats), kernels::PackExponents);
}

}  // namespace atb
