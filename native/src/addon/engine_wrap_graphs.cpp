// The methods of EngineWrap that keep graphs and run them.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "addon/engine_wrap.h"
#include "addon/graph_reader.h"
#include "addon/plan_graph.h"
#include "addon/requests.h"
#include "addon/values.h"

namespace atb::addon {

Napi::Value EngineWrap::LoadGraph(const Info& info) {
  const auto read = [&] { return std::make_shared<Graph>(ReadGraph(info[0], "spec")); };
  return Call(info, read, [&](std::shared_ptr<Graph> graph) {
    const int id = NewId(graphs_);
    return Create(
        info.Env(), graphs_, id, [id, graph = std::move(graph)](Engine& engine) { engine.AddGraph(id, graph); },
        [id](Engine& engine) { engine.RemoveGraph(id); });
  });
}

Napi::Value EngineWrap::UnloadGraph(const Info& info) {
  return Call(
      info, [&] { return ReadGraphId(info[0]); },
      [&](int id) {
        Remove(graphs_, id);
        return info.Env().Undefined();
      });
}

Napi::Value EngineWrap::Reserve(const Info& info) {
  struct Arguments {
    int graph;
    std::vector<NamedTensor> inputs;
  };
  const auto read = [&] {
    const Where where("inputs");
    Arguments arguments{ReadGraphId(info[0]), {}};
    const Napi::Object given = ReadObject(info[1], where);
    for (const std::string& name : ReadKeys(given, where, kMaxTensors))
      arguments.inputs.push_back({name, {ReadPlannedInput(given.Get(name), Where(where, name)), nullptr}});
    return arguments;
  };
  return CallAsync(info, read, [&](Arguments arguments) {
    return Submit(info.Env(), [arguments = std::move(arguments)](Engine& engine) {
      engine.Reserve(arguments.graph, arguments.inputs);
      return std::monostate();
    });
  });
}

Napi::Value EngineWrap::GraphStats(const Info& info) {
  return Call(
      info, [&] { return ReadGraphId(info[0]); },
      [&](int id) { return MakeGraphStats(info.Env(), thread_->engine().Stats(id)); });
}

Napi::Value EngineWrap::Run(const Info& info) {
  const auto read = [&] {
    const int id = ReadGraphId(info[0]);
    return std::make_shared<const StepRequest>(ReadStep(id, info[1], info[2]));
  };
  return CallAsync(info, read, [&](const std::shared_ptr<const StepRequest>& request) {
    return Submit(info.Env(), [request](Engine& engine) { return engine.Run(*request); });
  });
}

Napi::Value EngineWrap::Forward(const Info& info) {
  const auto read = [&] {
    auto request = std::make_shared<ForwardRequest>();
    request->spec = ReadGraph(info[0], "spec");
    request->inputs = ReadTensors(info[1], "inputs");
    if (!info[2].IsUndefined()) request->intermediates = ReadStrings(info[2], "intermediates", 1 << 16);
    return request;
  };
  return CallAsync(info, read, [&](const std::shared_ptr<ForwardRequest>& request) {
    return Submit(info.Env(), [request](Engine& engine) { return engine.Forward(*request); });
  });
}

}  // namespace atb::addon
