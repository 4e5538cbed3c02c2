#include "graph/graph.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/checked.h"
#include "ops/check.h"

namespace atb {
namespace {

/// The most bytes that a tensor may have, so that the sum over all tensors cannot overflow.
constexpr int64_t kMaxTensorBytes = int64_t{1} << 46;

uint64_t NowNs() {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

/// Bytes of a row-major tensor. Throws when a product of any of its dimensions would overflow, even if another is 0.
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

}  // namespace

Graph::Graph(const GraphSpec& spec) : flat_(Flatten(spec)) {
  size_t arity = 0;
  for (const FlatNode& node : flat_.nodes) {
    node_names_.push_back(node.name);
    node_types_.push_back(node.type);
    arity = std::max(arity, node.inputs.size() + node.outputs.size());
  }
  for (size_t i = 0; i < flat_.storages.size(); ++i) {
    const Storage& storage = flat_.storages[i];
    if (storage.input >= 0) continue;
    intermediates_.push_back(static_cast<int>(i));
    lifetimes_.push_back(
        {.bytes = 0, .first = static_cast<size_t>(storage.first_node), .last = static_cast<size_t>(storage.last_node)});
  }
  bound_.resize(flat_.inputs.size());
  is_bound_.resize(flat_.inputs.size());
  given_.resize(flat_.inputs.size());
  is_given_.resize(flat_.inputs.size());
  descs_.resize(flat_.slots.size());
  data_.resize(flat_.storages.size());
  node_descs_.resize(arity);
  node_tensors_.resize(arity);
  outputs_.resize(flat_.outputs.size());
  copy_to_.resize(flat_.outputs.size());
}

void Graph::CheckTensor(const std::string& what, const Tensor& tensor) const {
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

void Graph::Bind(int input, const Tensor& tensor) {
  if (input < 0 || static_cast<size_t>(input) >= flat_.inputs.size())
    throw Error("NATIVE_INPUT_INVALID", "there is no input " + std::to_string(input) + "; the graph has " +
                                            std::to_string(flat_.inputs.size()));
  const auto i = static_cast<size_t>(input);
  CheckTensor("input \"" + flat_.inputs[i] + '"', tensor);
  bound_[i] = tensor;
  is_bound_[i] = true;
}

/// Fills given_ and returns whether any description differs from the latest shapes.
bool Graph::TakeInputs(std::span<const BoundTensor> inputs) {
  for (size_t i = 0; i < given_.size(); ++i) {
    is_given_[i] = false;
    given_[i] = bound_[i];
  }
  for (const BoundTensor& input : inputs) {
    const auto i = static_cast<size_t>(input.index);
    if (input.index < 0 || i >= given_.size())
      throw Error("NATIVE_INPUT_INVALID", "there is no input " + std::to_string(input.index));
    if (is_given_[i]) throw Error("NATIVE_INPUT_INVALID", "input \"" + flat_.inputs[i] + "\" is given twice");
    // The name is put together only when a check is needed, so that a usual run allocates nothing.
    if (!SameDesc(input.tensor.desc, descs_[i]) || input.tensor.data == nullptr ||
        reinterpret_cast<uintptr_t>(input.tensor.data) % SizeOf(input.tensor.desc.dtype) != 0)
      CheckTensor("input \"" + flat_.inputs[i] + '"', input.tensor);
    is_given_[i] = true;
    given_[i] = input.tensor;
  }
  return InputsChanged();
}

bool Graph::InputsChanged() const {
  bool changed = false;
  for (size_t i = 0; i < given_.size(); ++i) {
    if (!is_given_[i] && !is_bound_[i])
      throw Error("NATIVE_INPUT_INVALID", "input \"" + flat_.inputs[i] + "\" is missing");
    changed = changed || !SameDesc(given_[i].desc, descs_[i]);
  }
  return changed;
}

void Graph::RefreshShapes(const kernels::KernelTable& kernels, int threads) {
  shapes_valid_ = false;
  for (size_t i = 0; i < given_.size(); ++i) descs_[i] = given_[i].desc;
  workspace_bytes_ = 0;
  size_t view = 0;
  for (size_t i = 0; i < flat_.nodes.size(); ++i) {
    for (; view < flat_.nodes[i].views_before; ++view) RefreshView(flat_.views[view]);
    RefreshNode(i, kernels, threads);
  }
  for (; view < flat_.views.size(); ++view) RefreshView(flat_.views[view]);
  for (size_t i = 0; i < intermediates_.size(); ++i)
    lifetimes_[i].bytes = DescOf(flat_.storages[static_cast<size_t>(intermediates_[i])].slot).Bytes();
  shapes_kernels_ = &kernels;
  shapes_threads_ = threads;
  shapes_valid_ = true;
}

void Graph::RefreshView(int slot) {
  const Slot& view = flat_.slots[static_cast<size_t>(slot)];
  const TensorDesc& source = DescOf(view.source);
  const auto fail = [&](const std::string& problem) {
    const int input = StorageOf(slot).input;
    const bool given_now = input >= 0 && is_given_[static_cast<size_t>(input)];
    throw Error(given_now ? "NATIVE_INPUT_INVALID" : "NATIVE_SHAPE_MISMATCH",
                "a view of " + flat_.Describe(view.source) + ", " + ToString(source) + ", " + problem);
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

void Graph::RefreshNode(size_t index, const kernels::KernelTable& kernels, int threads) {
  const FlatNode& node = flat_.nodes[index];
  const size_t n = node.inputs.size();
  for (size_t i = 0; i < n; ++i) node_descs_[i] = DescOf(node.inputs[i]);
  const std::span<const TensorDesc> in(node_descs_.data(), n);
  const std::span<TensorDesc> out(node_descs_.data() + n, node.outputs.size());
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
    workspace_bytes_ = std::max(workspace_bytes_, node.op->WorkspaceBytes(in, threads, kernels));
  } catch (const Error& e) {
    Rethrow(e, node, true);
  }
}

/// Adds the node's path to the error. An error about the shape of an input of this run names that input.
void Graph::Rethrow(const Error& error, const FlatNode& node, bool shapes) const {
  const std::string text = node.name + ": " + error.what();
  const auto* about = dynamic_cast<const InputError*>(&error);
  if (!about || about->input() < 0 || static_cast<size_t>(about->input()) >= node.inputs.size())
    throw Error(error.code(), text);
  const int slot = node.inputs[static_cast<size_t>(about->input())];
  const std::string named = text + " (in" + std::to_string(about->input()) + " is " + flat_.Describe(slot) + ")";
  const int input = StorageOf(slot).input;
  if (shapes && input >= 0 && is_given_[static_cast<size_t>(input)])
    throw Error("NATIVE_INPUT_INVALID",
                "input \"" + flat_.inputs[static_cast<size_t>(input)] + "\" does not fit: " + named);
  throw Error(error.code(), named);
}

/// A plan for the latest shapes, and an arena for it.
const BucketPlan& Graph::Plan() {
  const std::span<const TensorDesc> inputs = std::span(descs_).first(flat_.inputs.size());
  const BucketPlan& plan = plans_.Fit(lifetimes_, workspace_bytes_, inputs, flat_.inputs);
  if (counters_.plans != plans_.made()) {
    counters_.plans = plans_.made();
    counters_.last_plan_reason = plans_.reason();
  }
  arena_->Reserve(plan.arena_bytes);
  counters_.arena_bytes = std::max<uint64_t>(counters_.arena_bytes, plan.arena_bytes);
  return plan;
}

void Graph::Reserve(std::span<const BoundTensor> inputs, const kernels::KernelTable& kernels, int threads) {
  outputs_valid_ = false;
  is_given_.assign(is_given_.size(), false);
  given_ = bound_;
  for (const BoundTensor& input : inputs) {
    CheckedBytes(input.tensor.desc);
    given_[static_cast<size_t>(input.index)] = {input.tensor.desc, nullptr};
    is_given_[static_cast<size_t>(input.index)] = true;
  }
  InputsChanged();
  RefreshShapes(kernels, threads);
  Plan();
}

/// Gives each storage its bytes for this run.
void Graph::Place(const BucketPlan& plan) {
  for (size_t i = 0; i < given_.size(); ++i) data_[i] = given_[i].data;
  for (size_t i = 0; i < intermediates_.size(); ++i)
    data_[static_cast<size_t>(intermediates_[i])] = arena_->data() + plan.offsets[i];
}

/// Lets outputs be computed where the caller wants them, or notes that they must be copied there.
void Graph::TakeOutputs(std::span<const BoundTensor> destinations) {
  std::ranges::fill(copy_to_, nullptr);
  for (const BoundTensor& destination : destinations) {
    const auto i = static_cast<size_t>(destination.index);
    if (destination.index < 0 || i >= outputs_.size())
      throw Error("NATIVE_OUTPUT_INVALID", "there is no output " + std::to_string(destination.index));
    const int slot = flat_.output_slots[i];
    const TensorDesc& desc = DescOf(slot);
    if (!SameDesc(destination.tensor.desc, desc) || desc.layout != Layout::kRowMajor)
      throw Error("NATIVE_OUTPUT_INVALID", "output \"" + flat_.outputs[i] + "\" is " + ToString(desc) +
                                               ", its destination " + ToString(destination.tensor.desc));
    const auto address = reinterpret_cast<uintptr_t>(destination.tensor.data);
    if (desc.Bytes() > 0 && (address == 0 || address % SizeOf(desc.dtype) != 0))
      throw Error("NATIVE_OUTPUT_INVALID", "output \"" + flat_.outputs[i] + "\" has no aligned destination");
    // Two outputs may be views of one tensor. Then the first of them decides where it is computed.
    void*& place = data_[static_cast<size_t>(flat_.slots[static_cast<size_t>(slot)].storage)];
    const auto arena_at = reinterpret_cast<uintptr_t>(arena_->data());
    const bool in_arena = reinterpret_cast<uintptr_t>(place) - arena_at < arena_->size();
    if (in_arena && StorageOf(slot).input < 0) {
      place = destination.tensor.data;
    } else {
      copy_to_[i] = &destination.tensor;
    }
  }
}

void Graph::TakeKeep(std::span<const std::string> keep) {
  kept_.clear();
  for (const std::string& name : keep) {
    const auto found = flat_.names.find(name);
    if (found == flat_.names.end())
      throw Error("NATIVE_INPUT_INVALID", "keep: the graph has no tensor \"" + name + '"');
    const TensorDesc& desc = DescOf(found->second.slot);
    if (desc.layout != Layout::kRowMajor)
      throw Error("NATIVE_INPUT_INVALID", "keep: \"" + name + "\" is " + ToString(desc) + ", which cannot be copied");
    KeptTensor tensor{
        .name = name, .node = found->second.node, .tensor = {desc, nullptr}, .bytes = Buffer(desc.Bytes())};
    tensor.tensor.data = tensor.bytes.data();
    kept_.push_back(std::move(tensor));
  }
}

void Graph::Keep(int node) {
  for (KeptTensor& tensor : kept_) {
    if (tensor.node != node || tensor.bytes.size() == 0) continue;
    const Tensor source = TensorOf(flat_.names.find(tensor.name)->second.slot);
    std::memcpy(tensor.bytes.data(), source.data, tensor.bytes.size());
  }
}

void Graph::Execute(const Context& ctx) {
  for (size_t i = 0; i < flat_.nodes.size(); ++i) {
    if (stop_ != nullptr && stop_->load(std::memory_order_relaxed))
      throw Error("NATIVE_DISPOSED", "the engine was stopped in the middle of a run");
    const FlatNode& node = flat_.nodes[i];
    const size_t n = node.inputs.size();
    for (size_t j = 0; j < n; ++j) node_tensors_[j] = TensorOf(node.inputs[j]);
    for (size_t j = 0; j < node.outputs.size(); ++j) node_tensors_[n + j] = TensorOf(node.outputs[j]);
    const std::span<const Tensor> in(node_tensors_.data(), n);
    const std::span<const Tensor> out(node_tensors_.data() + n, node.outputs.size());
    const uint64_t start = profiling_ ? NowNs() : 0;
    try {
      node.op->Validate(in);
    } catch (const Error& e) {
      Rethrow(e, node, false);
    }
    node.op->Execute(in, out, ctx);
    if (profiling_) timings_.push_back({static_cast<int>(i), start, NowNs() - start});
    if (!kept_.empty()) Keep(static_cast<int>(i));
  }
  if (!kept_.empty() && flat_.nodes.empty()) Keep(0);
}

void Graph::Run(std::span<const BoundTensor> inputs, std::span<const BoundTensor> destinations,
                std::span<const std::string> keep, const kernels::KernelTable& kernels, ThreadPool& pool) {
  outputs_valid_ = false;
  timings_.clear();
  const bool changed = TakeInputs(inputs);
  if (changed || !shapes_valid_ || shapes_kernels_ != &kernels || shapes_threads_ != pool.threads())
    RefreshShapes(kernels, pool.threads());
  const BucketPlan& plan = Plan();
  Place(plan);
  TakeOutputs(destinations);
  TakeKeep(keep);
  Execute({.kernels = kernels, .pool = pool, .workspace = arena_->data() + plan.workspace_offset});
  for (size_t i = 0; i < outputs_.size(); ++i) {
    outputs_[i] = TensorOf(flat_.output_slots[i]);
    if (!copy_to_[i]) continue;
    if (outputs_[i].desc.Bytes() > 0) std::memmove(copy_to_[i]->data, outputs_[i].data, outputs_[i].desc.Bytes());
    outputs_[i].data = copy_to_[i]->data;
  }
  ++counters_.runs;
  outputs_valid_ = true;
}

size_t Graph::PlannedBytes(std::span<const TensorDesc> inputs, const kernels::KernelTable& kernels, int threads) {
  if (inputs.size() != given_.size())
    throw Error("NATIVE_INPUT_INVALID", "the graph has " + std::to_string(given_.size()) + " inputs, described are " +
                                            std::to_string(inputs.size()));
  for (size_t i = 0; i < inputs.size(); ++i) {
    CheckedBytes(inputs[i]);
    given_[i] = {inputs[i], nullptr};
    is_given_[i] = true;
  }
  RefreshShapes(kernels, threads);
  PlanCache plan;
  return plan.Fit(lifetimes_, workspace_bytes_, inputs, flat_.inputs).arena_bytes;
}

const Tensor& Graph::Output(int index) const {
  if (!outputs_valid_) throw Error("NATIVE_GRAPH_NOT_RUN", "the graph has no outputs: its latest run did not end");
  if (index < 0 || static_cast<size_t>(index) >= outputs_.size())
    throw Error("NATIVE_OUTPUT_INVALID", "there is no output " + std::to_string(index));
  return outputs_[static_cast<size_t>(index)];
}

const Tensor& Graph::Kept(std::string_view name) const {
  if (!outputs_valid_) throw Error("NATIVE_GRAPH_NOT_RUN", "the graph has no tensors: its latest run did not end");
  const auto found = std::ranges::find(kept_, name, &KeptTensor::name);
  if (found == kept_.end())
    throw Error("NATIVE_OUTPUT_INVALID", "the latest run did not keep \"" + std::string(name) + '"');
  return found->tensor;
}

void Graph::SetProfiling(bool on) {
  profiling_ = on;
  timings_.clear();
  if (on) timings_.reserve(flat_.nodes.size());
}

}  // namespace atb
