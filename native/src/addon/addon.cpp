#include <napi.h>

#include "addon/engine_wrap.h"
#include "addon/guard.h"
#include "addon/plan_graph.h"
#include "addon/values.h"
#include "kernels/dispatch.h"
#include "ops/operation.h"
#include "weights/packed_file.h"

namespace atb::addon {
namespace {

Napi::Value AvailableIsas(const Napi::CallbackInfo& info) {
  return Guard(info.Env(), [&] {
    Napi::Array names = Napi::Array::New(info.Env());
    uint32_t i = 0;
    for (const kernels::KernelTable* table : kernels::Available()) names.Set(i++, table->isa);
    return names;
  });
}

Napi::Value KernelTables(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guard(env, [&] {
    Napi::Array tables = Napi::Array::New(env);
    uint32_t i = 0;
    for (const kernels::TableState& state : kernels::States()) {
      Napi::Array missing = Napi::Array::New(env);
      uint32_t j = 0;
      for (std::string_view name : state.missing) missing.Set(j++, std::string(name));
      Napi::Object table = Napi::Object::New(env);
      table.Set("isa", std::string(state.isa));
      table.Set("missing", missing);
      table.Set("isBuilt", state.is_built);
      tables.Set(i++, table);
    }
    return tables;
  });
}

Napi::Value SupportedOps(const Napi::CallbackInfo& info) {
  return Guard(info.Env(), [&] {
    Napi::Array names = Napi::Array::New(info.Env());
    uint32_t i = 0;
    for (const std::string& type : SupportedOperations()) names.Set(i++, type);
    return names;
  });
}

Napi::Value PackedKey(const Napi::CallbackInfo& info) {
  return Guard(info.Env(), [&] {
    return Napi::String::New(info.Env(), ReadPackedKey(ReadString(info[0], "file", kMaxPathBytes)));
  });
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("availableIsas", Napi::Function::New(env, AvailableIsas, "availableIsas"));
  exports.Set("kernelTables", Napi::Function::New(env, KernelTables, "kernelTables"));
  exports.Set("supportedOps", Napi::Function::New(env, SupportedOps, "supportedOps"));
  exports.Set("packedKey", Napi::Function::New(env, PackedKey, "packedKey"));
  exports.Set("planGraph", Napi::Function::New(env, PlanGraph, "planGraph"));
  exports.Set("Engine", EngineWrap::Define(env));
  return exports;
}

NODE_API_MODULE(atb_models, Init)

}  // namespace
}  // namespace atb::addon
