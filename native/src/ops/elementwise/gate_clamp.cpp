#include "ops/elementwise/gate_clamp.h"

namespace atb {

kernels::GateClamp ReadGateClamp(ParamReader& reader, bool is_swiglu) {
  kernels::GateClamp clamp{static_cast<float>(reader.Number("limit", 0)),
                           static_cast<float>(reader.Number("gateScale", 1))};
  using enum kernels::ClampForm;
  constexpr kernels::ClampForm kForms[] = {kPlusOne, kGates, kActivated};
  clamp.form = kForms[reader.Enum("clampForm", {"plus-one", "gates", "activated"}, 0)];
  if (clamp.limit < 0 || (clamp.limit != 0 && !is_swiglu))
    reader.Fail("limit", "0, or a positive number where the activation is SwiGLU");
  if (clamp.scale != 1 && clamp.limit == 0) reader.Fail("gateScale", "1 without limit");
  if (clamp.form != kPlusOne && clamp.limit == 0) reader.Fail("clampForm", "plus-one without limit");
  return clamp;
}

}  // namespace atb
