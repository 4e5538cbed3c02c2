#pragma once
#include <napi.h>

#include <vector>

#include "addon/grammars.h"
#include "cache/kv_cache.h"
#include "engine/engine.h"
#include "weights/packed_file.h"

namespace atb::addon {

// Readers of the arguments of Engine's methods, and makers of the results that JavaScript gets. src/native/binding.ts
// declares both.

std::vector<WeightLoad> ReadWeightLoads(const Napi::Value& value);
/// {file, key}
PackedFile ReadPackedFileName(const Napi::Value& value);
KvCacheOptions ReadKvCacheOptions(const Napi::Value& value);
SamplerOptions ReadSamplerOptions(const Napi::Value& value, const Grammars& grammars);
/// Inputs and options of a step.
StepRequest ReadStep(int graph, const Napi::Value& inputs, const Napi::Value& options);

Napi::Value MakeStepResult(Napi::Env env, const StepResult& result);
Napi::Value MakeForwardResult(Napi::Env env, const ForwardResult& result);
Napi::Value MakeLimits(Napi::Env env, const MachineLimits& limits);
Napi::Value MakeGraphStats(Napi::Env env, const GraphStats& stats);

}  // namespace atb::addon
