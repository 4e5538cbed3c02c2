#include "graph/graph.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/buffer.h"
#include "base/checked.h"
#include "base/error.h"
#include "graph/flatten.h"
#include "graph/plan_cache.h"
#include "ops/check.h"

namespace atb {
namespace {

/// Bytes of one tensor: so that sums of all of them cannot overflow.
constexpr int64_t kMaxTensorBytes = int64_t{1} << 46;
uint64_t NowNs() {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

/// Bytes of a row-major tensor. Products of any of its dimensions are in range afterwards, also where another is 0.
int64_t CheckedBytes(const TensorDesc& desc) {
  int64_t all = 1;
  for (int64_t d : desc.shape()) {
    if (d < 0) throw Error("NATIVE_SIZE_OVERFLOW", "a negative dimension in " + ToString(desc));
    all = CheckedMul(all, std::max<int64_t>(d, 1));
  }
  if (CheckedMul(all, static_cast<int64_t>(SizeOf(desc.dtype))) > kMaxTensorBytes)
    throw Error("NATIVE_SIZE_OVERFLOW", ToString(desc) + " is larger than any memory");
  return static_cast<int64_t>(desc.Bytes());
}

struct KeptTensor {
  std::string name;
  int node;
  Tensor tensor;
  Buffer bytes;
};

}  // namespace

struct Graph::Impl {
  explicit Impl(const GraphSpec& spec);

  void Bind(int input, const Tensor& tensor);
  void Run(std::span<const BoundTensor> inputs, std::span<const BoundTensor> outputs, std::span<const std::string> keep,
           const kernels::KernelTable& kernels, ThreadPool& pool);

  void CheckTensor(const std::string& what, const Tensor& tensor) const;
  bool TakeInputs(std::span<const BoundTensor> inputs);
  void RefreshShapes(const kernels::KernelTable& kernels, int threads);
  void RefreshView(int slot);
  void RefreshNode(size_t index, const kernels::KernelTable& kernels, int threads);
  void Place(const Plan& plan);
  void TakeOutputs(std::span<const BoundTensor> destinations);
  void TakeKeep(std::span<const std::string> keep);
  void Execute(const Context& ctx);
  void Keep(int node);
  [[noreturn]] void Rethrow(const Error& error, const FlatNode& node, bool shapes) const;

  TensorDesc& DescOf(int slot) { return descs[static_cast<size_t>(slot)]; }
  const Storage& StorageOf(int slot) const {
    return flat.storages[static_cast<size_t>(flat.slots[static_cast<size_t>(slot)].storage)];
  }
  Tensor TensorOf(int slot) const {
    return {descs[static_cast<size_t>(slot)], data[static_cast<size_t>(flat.slots[static_cast<size_t>(slot)].storage)]};
  }

  FlatGraph flat;
  std::vector<std::string> node_names;
  std::vector<std::string> node_types;
  std::vector<int> intermediates;  ///< Storages that live in the arena.

  std::vector<Tensor> bound;  ///< Per input; data is null where nothing is bound.
  std::vector<bool> is_bound;
  std::vector<Tensor> given;  ///< Per input, for this run.
  std::vector<bool> is_given;

  // The latest shapes, per slot, and what they need, per intermediate.
  bool shapes_valid = false;
  const kernels::KernelTable* shapes_kernels = nullptr;
  int shapes_threads = 0;
  std::vector<TensorDesc> descs;
  std::vector<Lifetime> lifetimes;
  size_t workspace_bytes = 0;

  PlanCache plans;
  Buffer arena;
  std::vector<void*> data;  ///< Per storage, for this run.

  std::vector<TensorDesc> node_descs;  ///< Scratch: inputs, then outputs of one node.
  std::vector<Tensor> node_tensors;

  bool outputs_valid = false;
  std::vector<Tensor> outputs;
  std::vector<const Tensor*> copy_to;  ///< Per output: a destination that another tensor's bytes must be copied to.
  std::vector<KeptTensor> kept;

  const std::atomic<bool>* stop = nullptr;
  GraphCounters counters;
  bool profiling = false;
  std::vector<NodeTiming> timings;
};

Graph::Impl::Impl(const GraphSpec& spec) : flat(Flatten(spec)) {
  size_t arity = 0;
  for (const FlatNode& node : flat.nodes) {
    node_names.push_back(node.name);
    node_types.push_back(node.type);
    arity = std::max(arity, node.inputs.size() + node.outputs.size());
  }
  for (size_t i = 0; i < flat.storages.size(); ++i) {
    const Storage& storage = flat.storages[i];
    if (storage.input >= 0) continue;
    intermediates.push_back(static_cast<int>(i));
    lifetimes.push_back(
        {.bytes = 0, .first = static_cast<size_t>(storage.first_node), .last = static_cast<size_t>(storage.last_node)});
  }
  bound.resize(flat.inputs.size());
  is_bound.resize(flat.inputs.size());
  given.resize(flat.inputs.size());
  is_given.resize(flat.inputs.size());
  descs.resize(flat.slots.size());
  data.resize(flat.storages.size());
  node_descs.resize(arity);
  node_tensors.resize(arity);
  outputs.resize(flat.outputs.size());
  copy_to.resize(flat.outputs.size());
}

void Graph::Impl::CheckTensor(const std::string& what, const Tensor& tensor) const {
  const auto fail = [&](const std::string& problem) { throw Error("NATIVE_INPUT_INVALID", what + " " + problem); };
  if (tensor.desc.rank > kMaxRank) fail("has rank " + std::to_string(tensor.desc.rank));
  int64_t size = 0;
  try {
    size = CheckedBytes(tensor.desc);
  } catch (const Error& e) {
    fail(std::string("is not a tensor: ") + e.what());
  }
  if (size > 0 && tensor.data == nullptr) fail(ToString(tensor.desc) + " has no bytes");
  if (reinterpret_cast<uintptr_t>(tensor.data) % SizeOf(tensor.desc.dtype) != 0)
    fail(ToString(tensor.desc) + " is not aligned to its elements");
}

void Graph::Impl::Bind(int input, const Tensor& tensor) {
  if (input < 0 || static_cast<size_t>(input) >= flat.inputs.size())
    throw Error("NATIVE_INPUT_INVALID",
                "there is no input " + std::to_string(input) + "; the graph has " + std::to_string(flat.inputs.size()));
  const auto i = static_cast<size_t>(input);
  CheckTensor("input \"" + flat.inputs[i] + '"', tensor);
  bound[i] = tensor;
  is_bound[i] = true;
}

/// Fills `given` and returns whether any description differs from the latest shapes.
bool Graph::Impl::TakeInputs(std::span<const BoundTensor> inputs) {
  for (size_t i = 0; i < given.size(); ++i) {
    is_given[i] = false;
    given[i] = bound[i];
  }
  for (const BoundTensor& input : inputs) {
    const auto i = static_cast<size_t>(input.index);
    if (input.index < 0 || i >= given.size())
      throw Error("NATIVE_INPUT_INVALID", "there is no input " + std::to_string(input.index));
    if (is_given[i]) throw Error("NATIVE_INPUT_INVALID", "input \"" + flat.inputs[i] + "\" is given twice");
    // The name is put together only for a message, so that a run allocates nothing.
    if (!SameDesc(input.tensor.desc, descs[i]) || input.tensor.data == nullptr ||
        reinterpret_cast<uintptr_t>(input.tensor.data) % SizeOf(input.tensor.desc.dtype) != 0)
      CheckTensor("input \"" + flat.inputs[i] + '"', input.tensor);
    is_given[i] = true;
    given[i] = input.tensor;
  }
  bool changed = false;
  for (size_t i = 0; i < given.size(); ++i) {
    if (!is_given[i] && !is_bound[i])
      throw Error("NATIVE_INPUT_INVALID", "input \"" + flat.inputs[i] + "\" is missing");
    changed = changed || !SameDesc(given[i].desc, descs[i]);
  }
  return changed;
}

void Graph::Impl::RefreshShapes(const kernels::KernelTable& kernels, int threads) {
  shapes_valid = false;
  for (size_t i = 0; i < given.size(); ++i) descs[i] = given[i].desc;
  workspace_bytes = 0;
  size_t view = 0;
  for (size_t i = 0; i < flat.nodes.size(); ++i) {
    for (; view < flat.nodes[i].views_before; ++view) RefreshView(flat.views[view]);
    RefreshNode(i, kernels, threads);
  }
  for (; view < flat.views.size(); ++view) RefreshView(flat.views[view]);
  for (size_t i = 0; i < intermediates.size(); ++i)
    lifetimes[i].bytes = DescOf(flat.storages[static_cast<size_t>(intermediates[i])].slot).Bytes();
  shapes_kernels = &kernels;
  shapes_threads = threads;
  shapes_valid = true;
}

void Graph::Impl::RefreshView(int slot) {
  const Slot& view = flat.slots[static_cast<size_t>(slot)];
  const TensorDesc& source = DescOf(view.source);
  const auto fail = [&](const std::string& problem) {
    const int input = StorageOf(slot).input;
    const bool given_now = input >= 0 && is_given[static_cast<size_t>(input)];
    throw Error(given_now ? "NATIVE_INPUT_INVALID" : "NATIVE_SHAPE_MISMATCH",
                "a view of " + flat.Describe(view.source) + ", " + ToString(source) + ", " + problem);
  };
  TensorDesc desc = source;
  desc.rank = static_cast<uint8_t>(view.shape.size());
  for (size_t i = 0; i < view.shape.size(); ++i) {
    int64_t size = view.shape[i].axes.empty() ? view.shape[i].constant : 1;
    for (int axis : view.shape[i].axes) {
      if (axis >= source.rank) fail("names its axis " + std::to_string(axis));
      size = CheckedMul(size, source.dim(axis));
    }
    desc.dims[i] = size;
  }
  if (CheckedBytes(desc) != static_cast<int64_t>(source.Bytes()) ||
      (source.layout != Layout::kRowMajor && !desc.SameShape(source)))
    fail("cannot be " + ToString(desc));
  DescOf(slot) = desc;
}

void Graph::Impl::RefreshNode(size_t index, const kernels::KernelTable& kernels, int threads) {
  const FlatNode& node = flat.nodes[index];
  const size_t n = node.inputs.size();
  for (size_t i = 0; i < n; ++i) node_descs[i] = DescOf(node.inputs[i]);
  const std::span<const TensorDesc> in(node_descs.data(), n);
  const std::span<TensorDesc> out(node_descs.data() + n, node.outputs.size());
  for (TensorDesc& desc : out) desc = {};
  try {
    node.op->InferShape(in, out);
    for (size_t i = 0; i < out.size(); ++i) {
      CheckedBytes(out[i]);
      TensorDesc& desc = DescOf(node.outputs[i]);
      if (node.in_place[i] && !SameDesc(desc, out[i]))
        throw Error("NATIVE_SHAPE_MISMATCH", node.type + ": out" + std::to_string(i) + " is written in place of " +
                                                 ToString(desc) + ", so it cannot be " + ToString(out[i]));
      desc = out[i];
    }
    workspace_bytes = std::max(workspace_bytes, node.op->WorkspaceBytes(in, threads, kernels));
  } catch (const Error& e) {
    Rethrow(e, node, true);
  }
}

/// The error with the node's path; when it is about the shape of an input of this run, an error of that input.
void Graph::Impl::Rethrow(const Error& error, const FlatNode& node, bool shapes) const {
  const std::string text = node.name + ": " + error.what();
  const auto* about = dynamic_cast<const InputError*>(&error);
  if (!about || about->input() < 0 || static_cast<size_t>(about->input()) >= node.inputs.size())
    throw Error(error.code(), text);
  const int slot = node.inputs[static_cast<size_t>(about->input())];
  const std::string named = text + " (in" + std::to_string(about->input()) + " is " + flat.Describe(slot) + ")";
  const int input = StorageOf(slot).input;
  if (shapes && input >= 0 && is_given[static_cast<size_t>(input)])
    throw Error("NATIVE_INPUT_INVALID",
                "input \"" + flat.inputs[static_cast<size_t>(input)] + "\" does not fit: " + named);
  throw Error(error.code(), named);
}

/// Gives each storage its bytes for this run.
void Graph::Impl::Place(const Plan& plan) {
  if (arena.size() < plan.arena_bytes) {
    arena = Buffer();  // The old bytes go first: nothing in them outlives a run.
    counters.arena_bytes = 0;
    arena = Buffer(plan.arena_bytes);
    counters.arena_bytes = arena.size();
  }
  for (size_t i = 0; i < given.size(); ++i) data[i] = given[i].data;
  for (size_t i = 0; i < intermediates.size(); ++i)
    data[static_cast<size_t>(intermediates[i])] = arena.data() + plan.offsets[i];
}

/// Lets outputs be computed where the caller wants them, or notes that they must be copied there.
void Graph::Impl::TakeOutputs(std::span<const BoundTensor> destinations) {
  std::ranges::fill(copy_to, nullptr);
  for (const BoundTensor& destination : destinations) {
    const auto i = static_cast<size_t>(destination.index);
    if (destination.index < 0 || i >= outputs.size())
      throw Error("NATIVE_OUTPUT_INVALID", "there is no output " + std::to_string(destination.index));
    const int slot = flat.output_slots[i];
    const TensorDesc& desc = DescOf(slot);
    if (!SameDesc(destination.tensor.desc, desc) || desc.layout != Layout::kRowMajor)
      throw Error("NATIVE_OUTPUT_INVALID", "output \"" + flat.outputs[i] + "\" is " + ToString(desc) +
                                               ", its destination " + ToString(destination.tensor.desc));
    const auto address = reinterpret_cast<uintptr_t>(destination.tensor.data);
    if (desc.Bytes() > 0 && (address == 0 || address % SizeOf(desc.dtype) != 0))
      throw Error("NATIVE_OUTPUT_INVALID", "output \"" + flat.outputs[i] + "\" has no aligned destination");
    // Two outputs may be views of one tensor: the first decides where it is computed.
    void*& place = data[static_cast<size_t>(flat.slots[static_cast<size_t>(slot)].storage)];
    const auto arena_at = reinterpret_cast<uintptr_t>(arena.data());
    const bool in_arena = reinterpret_cast<uintptr_t>(place) - arena_at < arena.size();
    if (in_arena && StorageOf(slot).input < 0) {
      place = destination.tensor.data;
    } else {
      copy_to[i] = &destination.tensor;
    }
  }
}

void Graph::Impl::TakeKeep(std::span<const std::string> keep) {
  kept.clear();
  for (const std::string& name : keep) {
    const auto found = flat.names.find(name);
    if (found == flat.names.end()) throw Error("NATIVE_INPUT_INVALID", "keep: the graph has no tensor \"" + name + '"');
    const TensorDesc& desc = DescOf(found->second.slot);
    if (desc.layout != Layout::kRowMajor)
      throw Error("NATIVE_INPUT_INVALID", "keep: \"" + name + "\" is " + ToString(desc) + ", which cannot be copied");
    KeptTensor tensor{
        .name = name, .node = found->second.node, .tensor = {desc, nullptr}, .bytes = Buffer(desc.Bytes())};
    tensor.tensor.data = tensor.bytes.data();
    kept.push_back(std::move(tensor));
  }
}

void Graph::Impl::Keep(int node) {
  for (KeptTensor& tensor : kept) {
    if (tensor.node != node || tensor.bytes.size() == 0) continue;
    const Tensor source = TensorOf(flat.names.find(tensor.name)->second.slot);
    std::memcpy(tensor.bytes.data(), source.data, tensor.bytes.size());
  }
}

void Graph::Impl::Execute(const Context& ctx) {
  for (size_t i = 0; i < flat.nodes.size(); ++i) {
    if (stop != nullptr && stop->load(std::memory_order_relaxed))
      throw Error("NATIVE_DISPOSED", "the engine was stopped in the middle of a run");
    const FlatNode& node = flat.nodes[i];
    const size_t n = node.inputs.size();
    for (size_t j = 0; j < n; ++j) node_tensors[j] = TensorOf(node.inputs[j]);
    for (size_t j = 0; j < node.outputs.size(); ++j) node_tensors[n + j] = TensorOf(node.outputs[j]);
    const std::span<const Tensor> in(node_tensors.data(), n);
    const std::span<const Tensor> out(node_tensors.data() + n, node.outputs.size());
    const uint64_t start = profiling ? NowNs() : 0;
    try {
      node.op->Validate(in);
    } catch (const Error& e) {
      Rethrow(e, node, false);
    }
    node.op->Execute(in, out, ctx);
    if (profiling) timings.push_back({static_cast<int>(i), start, NowNs() - start});
    if (!kept.empty()) Keep(static_cast<int>(i));
  }
  if (!kept.empty() && flat.nodes.empty()) Keep(0);
}

void Graph::Impl::Run(std::span<const BoundTensor> inputs, std::span<const BoundTensor> destinations,
                      std::span<const std::string> keep, const kernels::KernelTable& kernels, ThreadPool& pool) {
  outputs_valid = false;
  timings.clear();
  const bool changed = TakeInputs(inputs);
  if (changed || !shapes_valid || shapes_kernels != &kernels || shapes_threads != pool.threads())
    RefreshShapes(kernels, pool.threads());
  const Plan& plan = plans.Fit(lifetimes, workspace_bytes, std::span(descs).first(flat.inputs.size()), flat.inputs);
  if (counters.plans != plans.made()) {
    counters.plans = plans.made();
    counters.last_plan_reason = plans.reason();
  }
  Place(plan);
  TakeOutputs(destinations);
  TakeKeep(keep);
  Execute({.kernels = kernels, .pool = pool, .workspace = arena.data() + plan.workspace_offset});
  for (size_t i = 0; i < outputs.size(); ++i) {
    outputs[i] = TensorOf(flat.output_slots[i]);
    if (!copy_to[i]) continue;
    if (outputs[i].desc.Bytes() > 0) std::memmove(copy_to[i]->data, outputs[i].data, outputs[i].desc.Bytes());
    outputs[i].data = copy_to[i]->data;
  }
  ++counters.runs;
  outputs_valid = true;
}

Graph::Graph(const GraphSpec& spec) : impl_(std::make_unique<Impl>(spec)) {}
Graph::~Graph() = default;

const std::vector<std::string>& Graph::Inputs() const { return impl_->flat.inputs; }
const std::vector<std::string>& Graph::Outputs() const { return impl_->flat.outputs; }
const std::vector<std::string>& Graph::NodeNames() const { return impl_->node_names; }
const std::vector<std::string>& Graph::NodeTypes() const { return impl_->node_types; }

void Graph::Bind(int input, const Tensor& tensor) { impl_->Bind(input, tensor); }

void Graph::Run(std::span<const BoundTensor> inputs, std::span<const BoundTensor> outputs,
                std::span<const std::string> keep, const kernels::KernelTable& kernels, ThreadPool& pool) {
  impl_->Run(inputs, outputs, keep, kernels, pool);
}

void Graph::SetStop(const std::atomic<bool>* stop) { impl_->stop = stop; }

const Tensor& Graph::Output(int index) const {
  if (!impl_->outputs_valid)
    throw Error("NATIVE_GRAPH_NOT_RUN", "the graph has no outputs: its latest run did not end");
  if (index < 0 || static_cast<size_t>(index) >= impl_->outputs.size())
    throw Error("NATIVE_OUTPUT_INVALID", "there is no output " + std::to_string(index));
  return impl_->outputs[static_cast<size_t>(index)];
}

const Tensor& Graph::Kept(std::string_view name) const {
  if (!impl_->outputs_valid)
    throw Error("NATIVE_GRAPH_NOT_RUN", "the graph has no tensors: its latest run did not end");
  const auto found = std::ranges::find(impl_->kept, name, &KeptTensor::name);
  if (found == impl_->kept.end())
    throw Error("NATIVE_OUTPUT_INVALID", "the latest run did not keep \"" + std::string(name) + '"');
  return found->tensor;
}

const GraphCounters& Graph::counters() const { return impl_->counters; }

void Graph::SetProfiling(bool on) {
  impl_->profiling = on;
  impl_->timings.clear();
  if (on) impl_->timings.reserve(impl_->flat.nodes.size());
}

std::span<const NodeTiming> Graph::Timings() const { return impl_->timings; }

}  // namespace atb
