#include "engine/engine.h"

#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "base/error.h"
#include "caches.h"
#include "check.h"
#include "engine/engine_thread.h"
#include "throws.h"

namespace atb {
namespace {

NodeSpec Node(std::string name, std::string type, ParamObject param, std::vector<std::string> in,
              std::vector<std::string> out) {
  NodeSpec node;
  node.name = std::move(name);
  node.op_type = std::move(type);
  node.param = std::move(param);
  node.inputs = std::move(in);
  node.outputs = std::move(out);
  return node;
}

/// logits = x * scale, element by element, twice.
GraphSpec Logits() {
  const ParamObject mul{{"elewiseType", "ELEWISE_MUL"}};
  GraphSpec spec;
  spec.name = "logits";
  spec.inputs = {"x", "scale"};
  spec.outputs = {"logits"};
  spec.nodes = {Node("first", "Elewise", mul, {"x", "scale"}, {"y"}),
                Node("second", "Elewise", mul, {"y", "scale"}, {"logits"})};
  return spec;
}

TensorBundle Floats(const std::string& name, std::initializer_list<int64_t> shape, std::vector<float> values) {
  TensorBundle bundle;
  bundle.Add(name, TensorDesc(DType::kF32, shape));
  bundle.Allocate();
  CHECK(static_cast<size_t>(bundle[0].desc.Elements()) == values.size());
  std::copy(values.begin(), values.end(), bundle[0].As<float>());
  return bundle;
}

OwnedTensor Owned(TensorBundle bundle) {
  auto owner = std::make_shared<TensorBundle>(std::move(bundle));
  return {(*owner)[0], owner};
}

struct Fixture {
  EngineShared shared;
  Engine engine{2, {}, shared};

  Fixture() {
    engine.Put("scale", Owned(Floats("scale", {1, 4}, {1, 2, 3, 4})));
    engine.AddGraph(1, std::make_shared<Graph>(Logits()));
  }
  StepRequest Step(std::vector<float> rows, std::vector<int32_t> samplers, bool logits = false) {
    StepRequest request;
    request.graph = 1;
    const auto count = static_cast<int64_t>(rows.size()) / 4;
    request.inputs = Floats("x", {count, 4}, std::move(rows));
    request.samplers = std::move(samplers);
    request.logits = logits;
    return request;
  }
};

void AStepSamplesTheRowsThatHaveASampler() {
  Fixture f;
  f.engine.AddSampler(7, Sampler({.temperature = 0, .top_logprobs = 1}));
  f.engine.AddSampler(8, Sampler({.temperature = 0}));
  const StepResult result = f.engine.Run(f.Step({9, 1, 1, 0, /**/ 1, 1, 1, 1, /**/ 100, 0, 0, 0, /**/ 1, NAN, 0, 0},
                                                {8, kUnsampled, 7, kUnsampled}, true));
  CHECK((result.tokens == std::vector<int32_t>{0, kUnsampled, 0, kUnsampled}));
  CHECK(!result.logprobs[0] && !result.logprobs[1] && result.logprobs[2]);
  CHECK(result.logprobs[2]->top.size() == 1 && result.logprobs[2]->top[0].token == 0);
  CHECK(result.logits[0].desc.dim(0) == 4 && result.logits[0].As<float>()[2] == 9);
  const StepResult failed = f.engine.Run(f.Step({1, NAN, 0, 0, /**/ 0, 0, 0, 1}, {8, 7}));
  CHECK((failed.tokens == std::vector<int32_t>{kNotFinite, 3}));
  CHECK(f.engine.Stats(1).counters.runs == 2);
  CHECK(f.engine.Stats(2).counters.runs == 0);
  CHECK(f.shared.arenas > 0);
  f.engine.RemoveGraph(1);
  CHECK(f.shared.arenas == 0);
}

/// A row that takes a token for granted is sampled only when the row before gave that token.
void DraftsAreVerifiedRowByRow() {
  Fixture f;
  f.engine.AddSampler(7, Sampler({.temperature = 0}));
  f.engine.AddSampler(8, Sampler({.temperature = 0, .repetition_penalty = 5}));
  const std::vector<float> rows = {0, 9, 0, 0, /**/ 0, 0, 9, 0, /**/ 9, 0, 0, 0, /**/ 0, 0, 0, 2, /**/ 0, 0, 1, 2};
  const auto run = [&](std::vector<int32_t> samplers, std::vector<int32_t> drafts) {
    StepRequest request = f.Step(rows, std::move(samplers));
    request.drafts = std::move(drafts);
    return f.engine.Run(request).tokens;
  };
  CHECK((run({7, 7, 7, kUnsampled, kUnsampled}, {1, 2, -1, -1, -1}) == std::vector<int32_t>{1, 2, 0, -1, -1}));
  CHECK((run({7, 7, 7, kUnsampled, kUnsampled}, {1, 3, -1, -1, -1}) == std::vector<int32_t>{1, 2, -1, -1, -1}));
  CHECK((run({7, 7, 7, kUnsampled, kUnsampled}, {0, 2, -1, -1, -1}) == std::vector<int32_t>{1, -1, -1, -1, -1}));
  // The second of these rows knows what the first gave: token 3 counts less by then.
  CHECK((run({7, kUnsampled, kUnsampled, 8, 8}, {-1, -1, -1, 3, -1}) == std::vector<int32_t>{1, -1, -1, 3, 2}));
  CheckThrows("NATIVE_SHAPE_MISMATCH", [&] { run({7, 7, -1, -1, -1}, {1}); });
  CheckThrows("NATIVE_VALUE_OUT_OF_RANGE", [&] { run({7, 8, -1, -1, -1}, {1, -1, -1, -1, -1}); });
  CheckThrows("NATIVE_VALUE_OUT_OF_RANGE", [&] { run({-1, -1, -1, -1, 7}, {-1, -1, -1, -1, 1}); });
  CheckThrows("NATIVE_VALUE_OUT_OF_RANGE", [&] { run({7, 7, 7, -1, -1}, {1, -1, -1, -1, -1}); });
}

void HalfPrecisionLogitsAreWidened() {
  EngineShared shared;
  Engine engine(1, "reference", shared);
  GraphSpec spec;
  spec.name = "cast";
  spec.inputs = {"x"};
  spec.outputs = {"y"};
  spec.nodes = {
      Node("cast", "Elewise", {{"elewiseType", "ELEWISE_CAST"}, {"outTensorType", "ACL_BF16"}}, {"x"}, {"y"})};
  engine.AddGraph(1, std::make_shared<Graph>(spec));
  engine.AddSampler(1, Sampler({.temperature = 0}));
  StepRequest request;
  request.graph = 1;
  request.inputs = Floats("x", {2, 3}, {1, 5, 2, 9, 8, 7});
  request.samplers = {kUnsampled, 1};
  request.logits = true;
  const StepResult result = engine.Run(request);
  CHECK((result.tokens == std::vector<int32_t>{kUnsampled, 0}));
  CHECK(result.logits[0].desc.dtype == DType::kF32 && result.logits[0].As<float>()[1] == 5);
}

void WrongStepsThrowAndChangeNothing() {
  Fixture f;
  f.engine.AddSampler(1, Sampler({.temperature = 0}));
  f.engine.AddSampler(2, Sampler({.temperature = 0, .logit_bias = {{4, 1.0f}}}));
  const std::vector<float> rows(8, 1);
  CheckThrows("NATIVE_SAMPLER_UNKNOWN", [&] { f.engine.Run(f.Step(rows, {1, 3})); });
  CheckThrows("NATIVE_VALUE_OUT_OF_RANGE", [&] { f.engine.Run(f.Step(rows, {1, 1})); });
  CheckThrows("NATIVE_SHAPE_MISMATCH", [&] { f.engine.Run(f.Step(rows, {1})); });
  CheckThrows("NATIVE_OPTION_INVALID", [&] { f.engine.Run(f.Step(rows, {1, 2})); });
  CheckThrows("NATIVE_INPUT_INVALID", [&] {
    StepRequest request = f.Step(rows, {});
    request.inputs = {};
    request.inputs.Allocate();
    f.engine.Run(request);
  });
  CheckThrows("NATIVE_INPUT_INVALID", [&] {
    StepRequest request = f.Step(rows, {});
    request.inputs = Floats("scale", {1, 4}, {1, 1, 1, 1});  // Bound.
    f.engine.Run(request);
  });
  CheckThrows("NATIVE_GRAPH_UNKNOWN", [&] {
    StepRequest request = f.Step(rows, {});
    request.graph = 9;
    f.engine.Run(request);
  });
  CheckThrows("NATIVE_SAMPLER_UNKNOWN", [&] { f.engine.AppendTokens(77, {}); });
  CHECK((f.engine.Run(f.Step(rows, {1, kUnsampled})).tokens == std::vector<int32_t>{3, kUnsampled}));
}

void GraphsFollowTheTensorsTheyAreBoundTo() {
  Fixture f;
  const auto first = [&] { return f.engine.Run(f.Step({1, 1, 1, 1}, {}, true)).logits[0].As<float>()[0]; };
  CHECK(first() == 1);
  f.engine.Put("scale", Owned(Floats("scale", {1, 4}, {5, 5, 5, 5})));
  CHECK(first() == 25);
  // A tensor that did not exist when the graph was added is not taken for a step's input.
  f.engine.Put("x", Owned(Floats("x", {1, 4}, {0, 0, 0, 0})));
  CHECK(first() == 25);
}

void ForwardRunsOnGivenAndOwnTensors() {
  Fixture f;
  ForwardRequest request;
  request.spec = Logits();
  request.inputs = Floats("x", {1, 4}, {1, 1, 2, 2});
  request.intermediates = {"first/y"};
  const ForwardResult result = f.engine.Forward(request);
  CHECK(result.outputs.Find("logits")->tensor.As<float>()[3] == 32);
  CHECK(result.intermediates.Find("first/y")->tensor.As<float>()[3] == 8);
  request.intermediates = {"nowhere"};
  CheckThrows("NATIVE_INPUT_INVALID", [&] { f.engine.Forward(request); });
  request.intermediates = {};
  request.inputs = Floats("z", {1}, {1});
  CheckThrows("NATIVE_INPUT_INVALID", [&] { f.engine.Forward(request); });
}

void CachesReplaceEarlierOnes() {
  Fixture f;
  const auto make = [&](int64_t layers) {
    return std::make_shared<const KvCache>(SameCaches(layers, 4, 32, 2, 8, DType::kF32), &f.shared.caches);
  };
  GraphSpec spec;
  spec.name = "write";
  spec.inputs = {"key", "value", "layer_1_k_cache", "layer_1_v_cache", "slots"};
  spec.outputs = {};
  spec.nodes = {Node("write", "ReshapeAndCache", {}, spec.inputs, {"layer_1_k_cache", "layer_1_v_cache"})};
  f.engine.PutCache(make(2));
  const int64_t two = f.shared.caches;
  CHECK(two > 0);
  StepRequest request;
  request.graph = 2;
  request.inputs.Add("key", TensorDesc(DType::kF32, {1, 2, 8}));
  request.inputs.Add("value", TensorDesc(DType::kF32, {1, 2, 8}));
  request.inputs.Add("slots", TensorDesc(DType::kI32, {1}));
  request.inputs.Allocate();
  f.engine.AddGraph(2, std::make_shared<Graph>(spec));
  f.engine.Run(request);
  f.engine.PutCache(make(3));
  CHECK(f.shared.caches == two / 2 * 3);  // The earlier ones are gone: the graph is bound to the new ones.
  f.engine.Run(request);
  f.engine.RemoveGraph(2);
  f.engine.PutCache(make(1));
  CHECK(f.shared.caches == two / 2);
  f.engine.AddGraph(2, std::make_shared<Graph>(spec));
  CheckThrows("NATIVE_INPUT_INVALID", [&] { f.engine.Run(request); });  // No second layer any more.
}

/// One layer writes a cache whose names are given once, and two layers read it. Nobody finds tensors that are not
/// listed.
void LayersShareACacheThatIsGivenOnce() {
  Fixture f;
  KvCacheOptions options{.num_blocks = 2, .block_size = 32, .dtype = DType::kF32, .caches = {}};
  options.caches = {{"shared_k", "shared_v", 1, 16, 16}, {"latent", std::nullopt, 1, 576, 512}};
  f.engine.PutCache(std::make_shared<const KvCache>(options, &f.shared.caches));
  CHECK(f.shared.caches == 2 * 32 * 4 * (16 + 16 + 576));

  const ParamObject attention{{"headNum", 1}, {"kvHeadNum", 1}, {"qkScale", 1}};
  const auto reads = [](std::string query) {
    return std::vector<std::string>{std::move(query), "shared_k", "shared_v", "tables", "contexts"};
  };
  GraphSpec spec;
  spec.name = "two layers";
  spec.inputs = {"key", "value", "slots", "query_0", "query_1", "shared_k", "shared_v", "tables", "contexts"};
  spec.outputs = {"sum"};
  spec.nodes = {
      Node("write", "ReshapeAndCache", {}, {"key", "value", "shared_k", "shared_v", "slots"}, {"shared_k", "shared_v"}),
      Node("layer_0", "PagedAttention", attention, reads("query_0"), {"out_0"}),
      Node("layer_1", "PagedAttention", attention, reads("query_1"), {"out_1"}),
      Node("add", "Elewise", {{"elewiseType", "ELEWISE_ADD"}}, {"out_0", "out_1"}, {"sum"})};
  f.engine.AddGraph(2, std::make_shared<Graph>(spec));
  StepRequest request;
  request.graph = 2;
  for (const char* name : {"key", "value", "query_0", "query_1"})
    request.inputs.Add(name, TensorDesc(DType::kF32, {1, 1, 16}));
  request.inputs.Add("slots", TensorDesc(DType::kI32, {1}));
  request.inputs.Add("tables", TensorDesc(DType::kI32, {1, 1}));
  request.inputs.Add("contexts", TensorDesc(DType::kI32, {1}));
  request.inputs.Allocate();
  for (int i = 0; i < 16; ++i) request.inputs[1].As<float>()[i] = static_cast<float>(i + 1);
  *request.inputs.Find("slots")->tensor.As<int32_t>() = 32;
  *request.inputs.Find("tables")->tensor.As<int32_t>() = 1;
  *request.inputs.Find("contexts")->tensor.As<int32_t>() = 1;
  ForwardRequest forward;
  forward.spec = spec;
  f.engine.Run(request);
  forward.inputs = std::move(request.inputs);
  // A single key has all the weight, so that each layer sees its value.
  const ForwardResult result = f.engine.Forward(forward);
  for (int i = 0; i < 16; ++i)
    CHECK(result.outputs.Find("sum")->tensor.As<float>()[i] == 2.0f * static_cast<float>(i + 1));

  CheckThrows("NATIVE_LAYOUT_MISMATCH", [&] { f.engine.Export("shared_k"); });
  CheckThrows("NATIVE_LAYOUT_MISMATCH", [&] { f.engine.Export("latent"); });
  CheckThrows("NATIVE_TENSOR_UNKNOWN", [&] { f.engine.Export("layer_0_k_cache"); });
  f.engine.RemoveGraph(2);
  options.caches = {};
  f.engine.PutCache(std::make_shared<const KvCache>(options, &f.shared.caches));
  CHECK(f.shared.caches == 0);
  CheckThrows("NATIVE_TENSOR_UNKNOWN", [&] { f.engine.Export("shared_k"); });
}

void LoadedWeightsAreBoundAndCounted() {
  Fixture f;
  std::string folder = (std::filesystem::temp_directory_path() / "atb-engine-XXXXXX").string();
  CHECK(mkdtemp(folder.data()) != nullptr);
  const std::string file = folder + "/w";
  const std::vector<float> numbers = {2, 2, 2, 2};
  std::ofstream(file, std::ios::binary).write(reinterpret_cast<const char*>(numbers.data()), 16);
  const WeightLoad load{"scale", DType::kF32, {1, 4}, WeightLayout::kPlain, {{file, 0, DType::kF32, {1, 4}}}};
  f.engine.Load({&load, 1}, nullptr, {}, std::atomic<bool>(false));
  CHECK(f.shared.weights == 16);
  CHECK(f.engine.Run(f.Step({1, 1, 1, 1}, {}, true)).logits[0].As<float>()[3] == 4);
  CheckThrows("NATIVE_DISPOSED", [&] { f.engine.Load({&load, 1}, nullptr, {}, std::atomic<bool>(true)); });
  std::filesystem::remove_all(folder);
}

void TasksRunInOrderAndFinishDrainsThem() {
  std::vector<int> order;
  std::mutex mutex;
  std::condition_variable wake;
  bool finished = false;
  EngineThread thread(2, {}, [&] {
    const std::lock_guard lock(mutex);
    finished = true;
    wake.notify_one();
  });
  for (int i = 0; i < 100; ++i) thread.Post([&, i](Engine&) { order.push_back(i); });
  EngineThread::Tasks prepared;
  prepared.push_back([&](Engine&) { order.push_back(100); });
  thread.Post(prepared);
  CHECK(prepared.empty());
  thread.Finish();
  thread.Post([&](Engine&) { order.push_back(-1); });  // Too late.
  std::unique_lock lock(mutex);
  wake.wait(lock, [&] { return finished; });
  CHECK(order.size() == 101);
  for (int i = 0; i <= 100; ++i) CHECK(order[static_cast<size_t>(i)] == i);
  thread.Stop();
  thread.Stop();
}

void StopDropsWhatHasNotBegunAndEndsARun() {
  EngineThread thread(1, {}, {});
  std::atomic<bool> began{false};
  std::atomic<bool> stopped{false};
  bool dropped = true;
  // A buffer that counts itself out of the engine's meters when its task is dropped.
  auto buffer = std::make_shared<Buffer>(100, &thread.shared()->weights);
  thread.Post([&](Engine& engine) {
    engine.Put("scale", Owned(Floats("scale", {1, 4}, {1, 1, 1, 1})));
    engine.AddGraph(1, std::make_shared<Graph>(Logits()));
    StepRequest request;
    request.graph = 1;
    request.inputs = Floats("x", {1, 4}, {1, 1, 1, 1});
    began = true;
    try {
      for (;;) engine.Run(request);
    } catch (const Error& error) {
      stopped = std::string(error.code()) == "NATIVE_DISPOSED";
    }
  });
  thread.Post([&, buffer = std::move(buffer)](Engine&) { dropped = false; });
  while (!began) std::this_thread::yield();
  thread.Stop();
  CHECK(stopped && dropped);
  CHECK(thread.shared()->weights == 0);
}

void EnginesWithImpossibleOptionsAreRefused() {
  CheckThrows("NATIVE_ISA_UNSUPPORTED", [] { EngineThread(1, "sse9", {}); });
  CheckThrows("NATIVE_THREADS_INVALID", [] { EngineThread(0, {}, {}); });
}

}  // namespace
}  // namespace atb

int main() {
  using namespace atb;
  RUN(AStepSamplesTheRowsThatHaveASampler);
  RUN(DraftsAreVerifiedRowByRow);
  RUN(HalfPrecisionLogitsAreWidened);
  RUN(WrongStepsThrowAndChangeNothing);
  RUN(GraphsFollowTheTensorsTheyAreBoundTo);
  RUN(ForwardRunsOnGivenAndOwnTensors);
  RUN(CachesReplaceEarlierOnes);
  RUN(LayersShareACacheThatIsGivenOnce);
  RUN(LoadedWeightsAreBoundAndCounted);
  RUN(TasksRunInOrderAndFinishDrainsThem);
  RUN(StopDropsWhatHasNotBegunAndEndsARun);
  RUN(EnginesWithImpossibleOptionsAreRefused);
  return 0;
}
