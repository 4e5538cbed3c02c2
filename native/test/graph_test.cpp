#include "graph/graph.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>
#include <new>
#include <random>

#include "graph_specs.h"
#include "op_runner.h"

using namespace atb;        // NOLINT
using namespace atb::test;  // NOLINT

// Counts every allocation of the program, so that a test can show that a warm run makes none.
static std::atomic<uint64_t> allocations{0};
static void* Allocate(size_t bytes, size_t alignment) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  void* p = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (!p) throw std::bad_alloc();
  return p;
}
void* operator new(size_t bytes) { return Allocate(bytes, alignof(std::max_align_t)); }
void* operator new(size_t bytes, const std::nothrow_t&) noexcept { return Allocate(bytes, alignof(std::max_align_t)); }
void* operator new[](size_t bytes) { return Allocate(bytes, alignof(std::max_align_t)); }
void* operator new(size_t bytes, std::align_val_t a) { return Allocate(bytes, static_cast<size_t>(a)); }
void* operator new(size_t bytes, std::align_val_t a, const std::nothrow_t&) noexcept {
  return Allocate(bytes, static_cast<size_t>(a));
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete[](void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }

namespace {

const kernels::KernelTable& Table() { return kernels::Select({}); }

/// Runs a graph on values by input name, and gives the outputs.
struct Runner {
  explicit Runner(const GraphSpec& spec) : graph(spec) {}

  void Run(std::vector<std::pair<std::string, Value*>> inputs, Names keep = {}) {
    std::vector<BoundTensor> bound;
    for (auto& [name, value] : inputs) {
      const auto at = std::ranges::find(graph.Inputs(), name);
      bound.push_back({static_cast<int>(at - graph.Inputs().begin()), value->tensor()});
    }
    graph.Run(bound, {}, keep, Table(), pool);
  }
  static Value Copy(const Tensor& tensor) {
    Value value(tensor.desc);
    if (!value.bytes.empty()) std::memcpy(value.bytes.data(), tensor.data, value.bytes.size());
    return value;
  }
  Value Output(int index) { return Copy(graph.Output(index)); }

  Graph graph;
  ThreadPool pool{2};
};

void ChainsRun() {
  Runner r(Chain());
  CHECK(r.graph.Inputs() == (Names{"a", "b"}) && r.graph.Outputs() == Names{"y"});
  CHECK(r.graph.NodeNames() == (Names{"sum", "twice", "plus"}) && r.graph.NodeTypes() == Names(3, "Elewise"));
  Value a(DType::kF32, {2, 2}, {1, 2, 3, 4}), b(DType::kF32, {2, 2}, {10, 20, 30, 40});
  r.Run({{"a", &a}, {"b", &b}});
  CHECK(r.Output(0).Numbers() == (Numbers{23, 46, 69, 92}) && HasShape(r.Output(0), {2, 2}));
  CHECK(r.graph.counters().runs == 1 && r.graph.counters().plans == 1);
  CHECK(r.graph.counters().last_plan_reason == "first run" && r.graph.counters().arena_bytes > 0);
}

void EqualLayersAreOneSpecPlacedOften() {
  auto layer = std::make_shared<GraphSpec>(GraphSpec{
      "layer", {"x", "w"}, {"out"}, {}, {Mul("scale", {"x", "w"}, {"m"}), Add("residual", {"m", "x"}, {"out"})}});
  auto block = std::make_shared<GraphSpec>(
      GraphSpec{"block",
                {"x", "w0", "w1"},
                {"x2"},
                {},
                {Sub("layer_0", layer, {"x", "w0"}, {"x1"}), Sub("layer_1", layer, {"x1", "w1"}, {"x2"})}});
  const GraphSpec model{"model",
                        {"x", "w0", "w1"},
                        {"y"},
                        {},
                        {Sub("block", block, {"x", "w0", "w1"}, {"h"}), Muls("head", 10, {"h"}, {"y"})}};
  Runner r(model);
  CHECK(r.graph.NodeNames() == (Names{"block/layer_0/scale", "block/layer_0/residual", "block/layer_1/scale",
                                      "block/layer_1/residual", "head"}));
  Value x(DType::kF32, {2}, {1, 2}), w0(DType::kF32, {2}, {2, 3}), w1(DType::kF32, {2}, {4, 5});
  r.graph.Bind(1, w0.tensor());
  r.graph.Bind(2, w1.tensor());
  r.Run({{"x", &x}}, {"block/layer_0/residual/out", "block/x1", "block/layer_1/m", "h"});
  CHECK(r.Output(0).Numbers() == (Numbers{150, 480}));  // x (1 + w0) (1 + w1) * 10
  CHECK(Runner::Copy(r.graph.Kept("block/layer_0/residual/out")).Numbers() == (Numbers{3, 8}));
  CHECK(Runner::Copy(r.graph.Kept("block/x1")).Numbers() == (Numbers{3, 8}));
  CHECK(Runner::Copy(r.graph.Kept("block/layer_1/m")).Numbers() == (Numbers{12, 40}));
  CHECK(Runner::Copy(r.graph.Kept("h")).Numbers() == (Numbers{15, 48}));
  CHECK(Has(ErrorOf([&] { r.graph.Kept("block/layer_0/m"); }), {"NATIVE_OUTPUT_INVALID", "did not keep"}));
  CHECK(Has(ErrorOf([&] { r.Run({{"x", &x}}, {"nowhere"}); }), {"NATIVE_INPUT_INVALID", "no tensor \"nowhere\""}));
}

void ViewsReshapeWithoutCopies() {
  // x [T, 6] as heads [T, 2, 3], transposed to [2, T, 3], and back to rows [2 * T, 3]; a view of a view, and a view
  // out.
  const GraphSpec spec{"views",
                       {"x"},
                       {"rows", "x_again"},
                       {{"rows", "moved", {Dim({0, 1}), Dim({2})}},
                        {"heads", "pairs", {Dim({0}), Size(2), Size(3)}},
                        {"pairs", "x", {Dim({0}), Size(3), Size(2)}},
                        {"x_again", "x", {Dim({1, 0})}}},
                       {Op("move", "Transpose", {{"perm", Numbers{1, 0, 2}}}, {"heads"}, {"moved"})}};
  Runner r(spec);
  for (int64_t tokens : {2, 3, 1}) {
    Numbers numbers(static_cast<size_t>(tokens) * 6);
    for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<double>(i);
    Value x(DType::kBF16, {tokens, 6}, numbers);
    r.Run({{"x", &x}});
    CHECK(HasShape(r.Output(0), {2 * tokens, 3}) && HasShape(r.Output(1), {6 * tokens}));
    CHECK(r.graph.Output(1).data == x.bytes.data());
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t h = 0; h < 2; ++h)
        for (int64_t d = 0; d < 3; ++d)
          CHECK(r.Output(0).Get(static_cast<size_t>((h * tokens + t) * 3 + d)) ==
                static_cast<double>(t * 6 + h * 3 + d));
  }
  Value odd(DType::kBF16, {2, 4}, Numbers(8));
  CHECK(Has(ErrorOf([&] { r.Run({{"x", &odd}}); }),
            {"NATIVE_INPUT_INVALID", "a view of \"x\", bf16[2,4], cannot be bf16[2,3,2]"}));
  Value flat(DType::kBF16, {6}, Numbers(6));
  CHECK(Has(ErrorOf([&] { r.Run({{"x", &flat}}); }), {"NATIVE_INPUT_INVALID"}));
  Value good(DType::kBF16, {1, 6}, Numbers(6));
  r.Run({{"x", &good}});  // A refused run leaves the graph usable.
}

void InputsAreWrittenInPlace() {
  // A table that a sub-graph adds to, as a cache is written, and a sum read afterwards.
  auto inner = std::make_shared<GraphSpec>(
      GraphSpec{"inner", {"table", "delta"}, {"table"}, {}, {Add("write", {"table", "delta"}, {"table"})}});
  const GraphSpec spec{"outer",
                       {"table", "delta"},
                       {"y", "table"},
                       {},
                       {Sub("first", inner, {"table", "delta"}, {"table"}),
                        Sub("second", inner, {"table", "delta"}, {"table"}), Muls("read", 1, {"table"}, {"y"})}};
  Runner r(spec);
  Value table(DType::kF32, {2}, {100, 200}), delta(DType::kF32, {2}, {1, 2});
  r.graph.Bind(0, table.tensor());
  r.Run({{"delta", &delta}}, {"first/write/table", "second/write/table"});
  CHECK(table.Numbers() == (Numbers{102, 204}) && r.Output(0).Numbers() == (Numbers{102, 204}));
  CHECK(r.graph.Output(1).data == table.bytes.data());
  CHECK(Runner::Copy(r.graph.Kept("first/write/table")).Numbers() == (Numbers{101, 202}));
  CHECK(Runner::Copy(r.graph.Kept("second/write/table")).Numbers() == (Numbers{102, 204}));
  r.Run({{"delta", &delta}});
  CHECK(table.Numbers() == (Numbers{104, 208}));
}

void IntermediatesAreWrittenInPlace() {
  // h is written three times; the first value is read before, through a view, the last after.
  const GraphSpec spec{"in_place",
                       {"x"},
                       {"h", "early"},
                       {{"h_row", "h", {Size(1), Dim({0})}}},
                       {Muls("start", 2, {"x"}, {"h"}), Muls("copy", 1, {"h_row"}, {"early"}),
                        Add("more", {"h", "x"}, {"h"}), Muls("view", 10, {"h_row"}, {"h_row"})}};
  Runner r(spec);
  Value x(DType::kF32, {3}, {1, 2, 3});
  r.Run({{"x", &x}}, {"start/h", "more/h", "h"});
  CHECK(r.Output(0).Numbers() == (Numbers{30, 60, 90}) && HasShape(r.Output(0), {3}));
  CHECK(r.Output(1).Numbers() == (Numbers{2, 4, 6}) && HasShape(r.Output(1), {1, 3}));
  CHECK(x.Numbers() == (Numbers{1, 2, 3}));
  CHECK(Runner::Copy(r.graph.Kept("start/h")).Numbers() == (Numbers{2, 4, 6}));
  CHECK(Runner::Copy(r.graph.Kept("more/h")).Numbers() == (Numbers{3, 6, 9}));
  CHECK(Runner::Copy(r.graph.Kept("h")).Numbers() == (Numbers{30, 60, 90}));
  // A transpose cannot work in place; its name then means a new tensor.
  Runner t({"rename",
            {"x"},
            {"h"},
            {{"v", "h", {Dim({0, 1})}}},
            {Muls("start", 2, {"x"}, {"h"}), Muls("look", 1, {"v"}, {"l"}),
             Op("turn", "Transpose", {{"perm", Numbers{1, 0}}}, {"h"}, {"h"}), Muls("end", 1, {"v"}, {"v2"})}});
  Value m(DType::kF32, {2, 3}, {1, 2, 3, 4, 5, 6});
  t.Run({{"x", &m}}, {"l", "v2"});
  CHECK(HasShape(t.Output(0), {3, 2}) && t.Output(0).Numbers() == (Numbers{2, 8, 4, 10, 6, 12}));
  CHECK(Runner::Copy(t.graph.Kept("l")).Numbers() == (Numbers{2, 4, 6, 8, 10, 12}));
  CHECK(Runner::Copy(t.graph.Kept("v2")).Numbers() == (Numbers{2, 8, 4, 10, 6, 12}));
}

void EarlyOutputsSurviveTheRun() {
  GraphSpec spec{"g", {"x"}, {"early", "view", "late"}, {{"view", "second", {Size(1), Dim({0})}}}, {}};
  spec.nodes = {Muls("a", 2, {"x"}, {"early"}), Muls("b", 3, {"x"}, {"second"}), Muls("c", 4, {"x"}, {"t"}),
                Muls("d", 5, {"t"}, {"u"}), Muls("e", 6, {"u"}, {"late"})};
  Runner r(spec);
  Value x(DType::kF32, {3}, {1, 2, 3});
  r.Run({{"x", &x}});
  CHECK(r.Output(0).Numbers() == (Numbers{2, 4, 6}) && r.Output(1).Numbers() == (Numbers{3, 6, 9}));
  CHECK(r.Output(2).Numbers() == (Numbers{120, 240, 360}));
}

void InPlaceKeepsTheShape() {
  Runner r({"g", {"x", "b"}, {"h"}, {}, {Muls("start", 1, {"x"}, {"h"}), Add("grow", {"h", "b"}, {"h"})}});
  Value x(DType::kF32, {1, 2}, {1, 2}), same(DType::kF32, {1, 2}, {1, 1}), more(DType::kF32, {3, 2}, Numbers(6));
  r.Run({{"x", &x}, {"b", &same}});
  CHECK(Has(ErrorOf([&] { r.Run({{"x", &x}, {"b", &more}}); }),
            {"NATIVE_SHAPE_MISMATCH: grow: Elewise: out0 is written in place of f32[1,2], so it cannot be f32[3,2]"}));
}

void OutputsGoWhereTheCallerWants() {
  const GraphSpec spec{"g",
                       {"x"},
                       {"s", "row", "x", "s_last"},
                       {{"row", "s", {Size(1), Dim({0})}}, {"s_last", "s", {Dim({0})}}},
                       {Muls("m", 3, {"x"}, {"s"})}};
  Runner r(spec);
  Value x(DType::kF32, {2}, {1, 2}), s(DType::kF32, {2}, {0, 0}), row(DType::kF32, {1, 2}, {0, 0}),
      copy(DType::kF32, {2}, {0, 0});
  const BoundTensor in[] = {{0, x.tensor()}};
  const BoundTensor out[] = {{1, row.tensor()}, {0, s.tensor()}, {2, copy.tensor()}};
  for (int round = 0; round < 2; ++round) {
    r.graph.Run(in, out, {}, Table(), r.pool);
    CHECK(s.Numbers() == (Numbers{3, 6}) && row.Numbers() == (Numbers{3, 6}) && copy.Numbers() == (Numbers{1, 2}));
    CHECK(r.graph.Output(0).data == s.bytes.data() && r.graph.Output(1).data == row.bytes.data());
    CHECK(r.Output(3).Numbers() == (Numbers{3, 6}));
    s = row = Value();
    s = Value(DType::kF32, {2}, {0, 0});
    row = Value(DType::kF32, {1, 2}, {0, 0});
    const_cast<BoundTensor&>(out[0]).tensor = row.tensor();
    const_cast<BoundTensor&>(out[1]).tensor = s.tensor();
  }
  const BoundTensor wrong[] = {{0, row.tensor()}}, beyond[] = {{4, row.tensor()}};
  CHECK(Has(ErrorOf([&] { r.graph.Run(in, wrong, {}, Table(), r.pool); }),
            {"NATIVE_OUTPUT_INVALID", "\"s\" is f32[2]", "f32[1,2]"}));
  CHECK(Has(ErrorOf([&] { r.graph.Run(in, beyond, {}, Table(), r.pool); }), {"NATIVE_OUTPUT_INVALID", "no output 4"}));
  CHECK(Has(ErrorOf([&] { r.graph.Output(0); }), {"NATIVE_GRAPH_NOT_RUN"}));
}

/// Graphs of sums, products, in-place writes and views, made by chance, against an evaluation that shares no memory.
void RandomGraphsAgreeWithPlainEvaluation() {
  std::mt19937 rng(11);
  const auto pick = [&](size_t n) { return rng() % n; };
  for (int round = 0; round < 300; ++round) {
    GraphSpec spec{"random", {"x", "w"}, {}, {}, {}};
    std::map<std::string, Numbers> values = {{"x", {1, 2, 3, 4}}, {"w", {0.5, -1, 1, 2}}};
    Names tensors = spec.inputs;
    std::map<std::string, std::string> views;
    const auto value = [&](const std::string& name) -> Numbers& {
      return values[views.contains(name) ? views[name] : name];
    };
    const auto any = [&] {  // A tensor, or a view of it with the same shape.
      const std::string& tensor = tensors[pick(tensors.size())];
      if (pick(3) != 0) return tensor;
      const std::string view = tensor + "_view" + std::to_string(pick(2));
      if (!views.contains(view)) spec.views.push_back({view, tensor, {Size(2), Dim({1})}});
      views[view] = tensor;
      return view;
    };
    const size_t nodes = 1 + pick(25);
    for (size_t i = 0; i < nodes; ++i) {
      const bool multiply = pick(2) == 0;
      const std::string a = any(), b = multiply ? "w" : any(), name = "n" + std::to_string(i);
      const bool in_place = pick(3) == 0 && a.front() != 'w';
      Numbers result;
      for (size_t k = 0; k < 4; ++k) result.push_back(multiply ? value(a)[k] * value(b)[k] : value(a)[k] + value(b)[k]);
      const std::string out = in_place ? a : "t" + std::to_string(i);
      spec.nodes.push_back(multiply ? Mul(name, {a, b}, {out}) : Add(name, {a, b}, {out}));
      if (!in_place) tensors.push_back(out);
      value(out) = result;
    }
    for (const std::string& tensor : tensors)
      if (pick(3) == 0) spec.outputs.push_back(tensor);
    Runner r(spec);
    Value x(DType::kF32, {2, 2}, {1, 2, 3, 4}), w(DType::kF32, {2, 2}, {0.5, -1, 1, 2});
    r.Run({{"x", &x}, {"w", &w}});
    for (size_t i = 0; i < spec.outputs.size(); ++i)
      CHECK(Distance(r.Output(static_cast<int>(i)).Numbers(), values[spec.outputs[i]]) < 1e-4);
  }
}

/// A layer's worth of operations on [T, 64] with weights bound and everything that grows with T.
GraphSpec Layers() {
  auto layer = std::make_shared<GraphSpec>(
      GraphSpec{"layer",
                {"x", "g"},
                {"out"},
                {{"heads", "n", {Dim({0}), Size(4), Size(16)}}},
                {Op("norm", "RmsNorm", {{"layerType", "RMS_NORM_NORM"}}, {"x", "g"}, {"n"}),
                 Op("soft", "Softmax", {{"axes", Numbers{-1}}}, {"heads"}, {"s"}),
                 Op("up", "Concat", {{"concatDim", 1}}, {"n", "x"}, {"c"}),
                 Op("act", "Activation", {{"activationType", "ACTIVATION_SWIGLU_FORWARD"}}, {"c"}, {"a"}),
                 Add("residual", {"a", "x"}, {"out"})}});
  return {"layers",
          {"ids", "table", "g"},
          {"y"},
          {},
          {Op("embed", "Gather", {}, {"table", "ids"}, {"h"}), Sub("layer_0", layer, {"h", "g"}, {"h1"}),
           Sub("layer_1", layer, {"h1", "g"}, {"h2"}),
           Op("final", "RmsNorm", {{"layerType", "RMS_NORM_NORM"}}, {"h2", "g"}, {"y"})}};
}

void WarmRunsNeitherPlanNorAllocate() {
  for (const kernels::KernelTable* table : kernels::Available()) {
    Graph graph(Layers());
    ThreadPool pool(2);
    Value weights(TensorDesc(DType::kBF16, {10, 64})), g(DType::kBF16, {64}, Numbers(64, 1.5));
    for (size_t i = 0; i < 640; ++i) weights.Set(i, static_cast<double>(i % 7) - 3);
    graph.Bind(1, weights.tensor());
    graph.Bind(2, g.tensor());
    graph.SetProfiling(true);
    Value ids(TensorDesc(DType::kI32, {300}));
    for (size_t i = 0; i < 300; ++i) ids.Set(i, static_cast<double>(i % 10));
    const auto run = [&](int64_t tokens) {
      Tensor t = ids.tensor();
      t.desc.dims[0] = tokens;
      const BoundTensor in[] = {{0, t}};
      graph.Run(in, {}, {}, *table, pool);
      CHECK(graph.Output(0).desc.dim(0) == tokens);
    };
    run(300);
    const GraphCounters cold = graph.counters();
    const uint64_t before = allocations.load();
    for (int64_t tokens : {300, 1, 2, 299, 17, 300, 64, 1}) run(tokens);
    CHECK(allocations.load() == before);
    CHECK(graph.counters().plans == cold.plans && graph.counters().arena_bytes == cold.arena_bytes);
    CHECK(graph.counters().runs == cold.runs + 8);
  }
}

void GrowthIsPlannedPerDoubling() {
  Graph graph(Layers());
  ThreadPool pool(1);
  Value weights(DType::kF32, {2, 64}, Numbers(128, 1)), g(DType::kF32, {64}, Numbers(64, 1));
  graph.Bind(1, weights.tensor());
  graph.Bind(2, g.tensor());
  for (int64_t tokens = 1; tokens <= 256; ++tokens) {
    Value ids(DType::kI64, {tokens}, Numbers(static_cast<size_t>(tokens)));
    const BoundTensor in[] = {{0, ids.tensor()}};
    graph.Run(in, {}, {}, Table(), pool);
    if (tokens == 5) CHECK(graph.counters().last_plan_reason == "ids grew from i64[3] to i64[5]");
  }
  CHECK(graph.counters().plans == 9);  // 1, 2, 4, ... 256
  // Rounding up to the bucket costs nothing where nothing grew, and at most doubles the rest.
  Graph exact(Layers());
  exact.Bind(1, weights.tensor());
  exact.Bind(2, g.tensor());
  Value ids(DType::kI64, {256}, Numbers(256));
  const BoundTensor in[] = {{0, ids.tensor()}};
  exact.Run(in, {}, {}, Table(), pool);
  CHECK(graph.counters().arena_bytes == exact.counters().arena_bytes);
}

void OtherThreadsAndDTypesAreNoticed() {
  Graph graph(Layers());
  ThreadPool one(1), four(4);
  for (DType dtype : kFloats) {
    Value weights(dtype, {2, 64}, Numbers(128, 1)), g(dtype, {64}, Numbers(64, 1)),
        ids(DType::kI32, {40}, Numbers(40, 1));
    graph.Bind(1, weights.tensor());
    graph.Bind(2, g.tensor());
    const BoundTensor in[] = {{0, ids.tensor()}};
    graph.Run(in, {}, {}, Table(), one);
    const Value alone = Runner::Copy(graph.Output(0));
    graph.Run(in, {}, {}, Table(), four);
    // The largest dtype comes first, so what the second run needs more of is workspace.
    if (dtype == DType::kF32)
      CHECK(graph.counters().last_plan_reason == "other kernels or threads need more workspace");
    CHECK(alone.desc.dtype == dtype && alone.bytes == Runner::Copy(graph.Output(0)).bytes);
  }
}

void ProfilesTimeEachNode() {
  Runner r(Chain());
  Value a(DType::kF32, {2}, {1, 2}), b(DType::kF32, {2}, {3, 4});
  r.Run({{"a", &a}, {"b", &b}});
  CHECK(r.graph.Timings().empty());
  r.graph.SetProfiling(true);
  for (int round = 0; round < 2; ++round) {
    r.Run({{"a", &a}, {"b", &b}});
    CHECK(r.graph.Timings().size() == 3);
    for (size_t i = 0; i < 3; ++i) {
      CHECK(r.graph.Timings()[i].node == static_cast<int>(i));
      if (i > 0)
        CHECK(r.graph.Timings()[i].start_ns >=
              r.graph.Timings()[i - 1].start_ns + r.graph.Timings()[i - 1].duration_ns);
    }
  }
  r.graph.SetProfiling(false);
  r.Run({{"a", &a}, {"b", &b}});
  CHECK(r.graph.Timings().empty());
}

void InputsAreChecked() {
  Runner r(Chain());
  Value a(DType::kF32, {2}, {1, 2}), b(DType::kF32, {3}, {3, 4, 5}), h(DType::kF16, {2}, {1, 2}),
      ok(DType::kF32, {2}, {3, 4});
  CHECK(Has(ErrorOf([&] { r.graph.Output(0); }), {"NATIVE_GRAPH_NOT_RUN"}));
  CHECK(ErrorOf([&] { r.Run({{"a", &a}}); }) == "NATIVE_INPUT_INVALID: input \"b\" is missing");
  CHECK(Has(ErrorOf([&] { r.Run({{"a", &a}, {"b", &b}}); }),
            {"NATIVE_INPUT_INVALID: input \"b\" does not fit: sum: Elewise: in1", "f32[3]"}));
  CHECK(Has(ErrorOf([&] { r.Run({{"a", &a}, {"b", &h}}); }),
            {"NATIVE_INPUT_INVALID: input \"b\" does not fit", "f16[2]"}));
  CHECK(Has(ErrorOf([&] { r.Run({{"a", &a}, {"b", &ok}, {"a", &a}}); }),
            {"NATIVE_INPUT_INVALID", "\"a\" is given twice"}));
  const auto run = [&](Tensor t) {
    const BoundTensor in[] = {{0, a.tensor()}, {1, t}};
    return ErrorOf([&] { r.graph.Run(in, {}, {}, Table(), r.pool); });
  };
  CHECK(Has(run({TensorDesc(DType::kF32, {2}), nullptr}), {"NATIVE_INPUT_INVALID", "\"b\"", "no bytes"}));
  CHECK(Has(run({TensorDesc(DType::kF32, {2}), ok.bytes.data() + 1}), {"NATIVE_INPUT_INVALID", "not aligned"}));
  CHECK(Has(run({TensorDesc(DType::kF32, {-2}), ok.bytes.data()}), {"NATIVE_INPUT_INVALID", "negative"}));
  const int64_t big = int64_t{1} << 40;
  CHECK(Has(run({TensorDesc(DType::kF32, {big, big}), ok.bytes.data()}),
            {"NATIVE_INPUT_INVALID", "\"b\" is not a tensor"}));
  CHECK(Has(run({TensorDesc(DType::kF32, {big, big, 0}), ok.bytes.data()}), {"NATIVE_INPUT_INVALID"}));
  const BoundTensor beyond[] = {{7, ok.tensor()}};
  CHECK(Has(ErrorOf([&] { r.graph.Run(beyond, {}, {}, Table(), r.pool); }), {"NATIVE_INPUT_INVALID", "no input 7"}));
  CHECK(Has(ErrorOf([&] { r.graph.Bind(2, ok.tensor()); }), {"NATIVE_INPUT_INVALID", "no input 2"}));
  // A wrong weight is the binder's fault, not the run's.
  r.graph.Bind(1, b.tensor());
  CHECK(Has(ErrorOf([&] { r.Run({{"a", &a}}); }), {"NATIVE_SHAPE_MISMATCH: sum: Elewise", "(in1 is \"b\")"}));
  r.Run({{"a", &a}, {"b", &ok}});  // Given for this run, instead of the bound one.
  CHECK(r.Output(0).Numbers() == (Numbers{9, 14}));
}

void BadDataStopsBetweenOperations() {
  Runner r(Layers());
  Value table(DType::kF32, {4, 64}, Numbers(256, 1)), g(DType::kF32, {64}, Numbers(64, 1));
  Value bad(DType::kI32, {2}, {1, 4}), good(DType::kI32, {2}, {1, 3});
  CHECK(Has(
      ErrorOf([&] { r.Run({{"ids", &bad}, {"table", &table}, {"g", &g}}); }),
      {"NATIVE_VALUE_OUT_OF_RANGE: embed: Gather: in1 must be indices from 0 to 3, found 4 at 1 (in1 is \"ids\")"}));
  CHECK(Has(ErrorOf([&] { r.graph.Output(0); }), {"NATIVE_GRAPH_NOT_RUN"}));
  CHECK(r.graph.counters().runs == 0);
  r.Run({{"ids", &good}, {"table", &table}, {"g", &g}});
  CHECK(r.graph.counters().runs == 1);
  Value huge(DType::kF32, {1, 1}, {1}), wide(DType::kF32, {1, 1}, {1});
  Runner outer({"outer", {"a", "b"}, {"y"}, {}, {Add("all", {"a", "b"}, {"y"})}});
  Tensor a = huge.tensor(), b = wide.tensor();
  a.desc.dims = {int64_t{1} << 40, 1};
  b.desc.dims = {1, int64_t{1} << 40};
  const BoundTensor in[] = {{0, a}, {1, b}};
  CHECK(Has(ErrorOf([&] { outer.graph.Run(in, {}, {}, Table(), outer.pool); }), {"NATIVE_SIZE_OVERFLOW"}));
}

void EmptyTensorsRun() {
  Runner r(Layers());
  Value table(DType::kF32, {4, 64}, Numbers(256, 1)), g(DType::kF32, {64}, Numbers(64, 1)), none(DType::kI32, {0}, {});
  r.Run({{"ids", &none}, {"table", &table}, {"g", &g}}, {"h"});
  CHECK(HasShape(r.Output(0), {0, 64}) && HasShape(Runner::Copy(r.graph.Kept("h")), {0, 64}));
  Runner pass({"pass", {"x"}, {"x"}, {}, {}});
  Value x(DType::kI8, {2}, {1, 2});
  pass.Run({{"x", &x}}, {"x"});
  CHECK(pass.Output(0).Numbers() == (Numbers{1, 2}) && Runner::Copy(pass.graph.Kept("x")).Numbers() == (Numbers{1, 2}));
}

}  // namespace

int main() {
  RUN(ChainsRun);
  RUN(EqualLayersAreOneSpecPlacedOften);
  RUN(ViewsReshapeWithoutCopies);
  RUN(InputsAreWrittenInPlace);
  RUN(IntermediatesAreWrittenInPlace);
  RUN(EarlyOutputsSurviveTheRun);
  RUN(InPlaceKeepsTheShape);
  RUN(OutputsGoWhereTheCallerWants);
  RUN(RandomGraphsAgreeWithPlainEvaluation);
  RUN(WarmRunsNeitherPlanNorAllocate);
  RUN(GrowthIsPlannedPerDoubling);
  RUN(OtherThreadsAndDTypesAreNoticed);
  RUN(ProfilesTimeEachNode);
  RUN(InputsAreChecked);
  RUN(BadDataStopsBetweenOperations);
  RUN(EmptyTensorsRun);
}
