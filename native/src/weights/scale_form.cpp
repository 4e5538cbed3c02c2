#include "weights/scale_form.h"

#include "base/align.h"
#include "base/checked.h"
#include "kernels/pack_integers.h"

namespace atb {
namespace {

bool Allows(ScaleForms forms, uint64_t form) {
  const auto is = [=](ScaleForm one) { return form == static_cast<uint64_t>(one); };
  if (forms == ScaleForms::kOffsets) return is(ScaleForm::kOffsets);
  if (forms == ScaleForms::kProducts) return is(ScaleForm::kMultipliers);
  if (is(ScaleForm::kFloats)) return true;
  if (is(ScaleForm::kMultipliers)) return forms == ScaleForms::kOfInt4 || forms == ScaleForms::kOfE2M1;
  return is(ScaleForm::kExponents) && forms == ScaleForms::kOfE2M1;
}

}  // namespace

ScaleForm FormOf(const StoredTensor& stored) {
  if (stored.scales.multipliers) return ScaleForm::kMultipliers;
  if (stored.scales.exponents) return ScaleForm::kExponents;
  return stored.scales.offsets ? ScaleForm::kOffsets : ScaleForm::kFloats;
}

bool TakeForm(StoredTensor& stored, int64_t experts, ScaleForms forms, uint64_t form, std::atomic<int64_t>* meter) {
  if (!Allows(forms, form)) return false;
  kernels::PackedScales& scales = stored.scales;
  const auto room = [&](int64_t each) {
    stored.bytes = Buffer(static_cast<size_t>(CheckedMul(experts, each)), meter);
    scales.data = nullptr;
    return stored.bytes.data();
  };
  switch (static_cast<ScaleForm>(form)) {
    case ScaleForm::kFloats:
      break;
    case ScaleForm::kMultipliers: {
      if (forms == ScaleForms::kProducts) break;
      std::byte* const bytes = room(Align(kernels::MultiplierBytes(scales)));
      scales.data = reinterpret_cast<const float*>(bytes);
      scales.multipliers = reinterpret_cast<const int8_t*>(bytes + kernels::MultipliersAt(scales));
      break;
    }
    case ScaleForm::kExponents:
      scales.exponents = reinterpret_cast<const uint8_t*>(room(kernels::ExponentBytes(scales)));
      break;
    case ScaleForm::kOffsets:
      scales.offsets = reinterpret_cast<const int16_t*>(room(kernels::OffsetBytes(scales)));
      break;
  }
  return true;
}

}  // namespace atb
