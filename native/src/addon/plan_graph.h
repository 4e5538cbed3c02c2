#pragma once
#include <napi.h>

namespace atb::addon {

/// planGraph(spec, inputs, {threads, isa}): bytes that a step of a graph takes beside its inputs, whose descriptions are
/// given by name. It needs no engine and no bytes of theirs.
Napi::Value PlanGraph(const Napi::CallbackInfo& info);

}  // namespace atb::addon
