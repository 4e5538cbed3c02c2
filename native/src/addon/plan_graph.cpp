#include "addon/plan_graph.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "addon/graph_reader.h"
#include "addon/guard.h"
#include "graph/graph.h"
#include "kernels/dispatch.h"

namespace atb::addon {
namespace {

struct LayoutRow {
  std::string_view name;
  Layout layout;
};
constexpr LayoutRow kLayouts[] = {
    {"plain", Layout::kRowMajor}, {"linear", Layout::kPackedLinear}, {"scales", Layout::kPackedScales},
    {"keys", Layout::kKeyCache},  {"values", Layout::kValueCache},
};

}  // namespace

TensorDesc ReadPlannedInput(const Napi::Value& value, const Where& where) {
  const Napi::Object object = ReadObject(value, where);
  TensorDesc desc(ReadDType(object.Get("dtype"), Where(where, "dtype")), {});
  const std::vector<int64_t> shape = ReadShape(object.Get("shape"), Where(where, "shape"));
  desc.rank = static_cast<uint8_t>(shape.size());
  std::copy(shape.begin(), shape.end(), desc.dims.begin());
  const Napi::Value layout = object.Get("layout");
  if (layout.IsUndefined()) return desc;
  const std::string name = layout.IsString() ? ReadString(layout, Where(where, "layout")) : "";
  for (const LayoutRow& row : kLayouts) {
    if (name != row.name) continue;
    desc.layout = row.layout;
    return desc;
  }
  FailArgument(Where(where, "layout"), "a layout (plain, linear, scales, keys, values)", layout);
}

Napi::Value PlanGraph(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guard(env, [&] {
    Graph graph(ReadGraph(info[0], "spec"));
    const Napi::Object given = ReadObject(info[1], "inputs");
    const Napi::Object options = ReadObject(info[2], "options");
    const auto threads =
        static_cast<int>(ReadInteger(options.Get("threads"), "options.threads", 1, ThreadPool::kMaxThreads));
    const Napi::Value isa = options.Get("isa");
    std::vector<TensorDesc> inputs;
    for (const std::string& name : graph.Inputs())
      inputs.push_back(ReadPlannedInput(given.Get(name), Where("inputs", name)));
    const kernels::KernelTable& table = kernels::Select(isa.IsUndefined() ? "" : ReadString(isa, "options.isa"));
    return Napi::Number::New(env, static_cast<double>(graph.PlannedBytes(inputs, table, threads)));
  });
}

}  // namespace atb::addon
