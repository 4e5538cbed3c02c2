#pragma once
#include <napi.h>

#include <vector>

#include "cache/kv_cache.h"
#include "engine/engine.h"

namespace atb::addon {

// The arguments of Engine's methods as the engine takes them, and its results as JavaScript gets them. The forms are
// those of src/native/binding.ts.

std::vector<WeightLoad> ReadWeightLoads(const Napi::Value& value);
KvCacheOptions ReadKvCacheOptions(const Napi::Value& value);
SamplerOptions ReadSamplerOptions(const Napi::Value& value);
/// Inputs and options of a step.
StepRequest ReadStep(int graph, const Napi::Value& inputs, const Napi::Value& options);

Napi::Value MakeStepResult(Napi::Env env, const StepResult& result);
Napi::Value MakeForwardResult(Napi::Env env, const ForwardResult& result);
Napi::Value MakeLimits(Napi::Env env, const MachineLimits& limits);
Napi::Value MakeGraphStats(Napi::Env env, const GraphStats& stats);

}  // namespace atb::addon
