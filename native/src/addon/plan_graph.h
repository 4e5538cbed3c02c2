#pragma once
#include <napi.h>

#include "addon/values.h"
#include "tensor/tensor.h"

namespace atb::addon {

/// A tensor by its description alone: PlannedInput of src/native/binding.ts.
TensorDesc ReadPlannedInput(const Napi::Value& value, const Where& where);

/// planGraph(spec, inputs, {threads, isa}): bytes that a step of a graph takes beside its inputs, whose descriptions
/// are given by name. It needs no engine and no bytes of theirs.
Napi::Value PlanGraph(const Napi::CallbackInfo& info);

}  // namespace atb::addon
