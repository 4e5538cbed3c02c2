#include "engine/engine.h"

#include <algorithm>
#include <cstring>
#include <exception>

#include "base/error.h"
#include "kernels/dispatch.h"
#include "weights/row_major.h"

namespace atb {
namespace {

/// Checks that a graph's first output can be sampled.
void CheckLogits(const Tensor& logits) {
  const TensorDesc& desc = logits.desc;
  if (IsFloat(desc.dtype) && desc.rank == 2 && desc.layout == Layout::kRowMajor && desc.dim(1) > 0) return;
  throw Error("NATIVE_SHAPE_MISMATCH",
              "the first output must be float logits [rows, vocabulary], found " + ToString(desc));
}

void Copy(std::span<const std::string> names, std::span<const Tensor> tensors, TensorBundle& to) {
  for (size_t i = 0; i < names.size(); ++i) {
    if (tensors[i].desc.layout != Layout::kRowMajor)
      throw Error("NATIVE_OUTPUT_INVALID",
                  '"' + names[i] + "\" is " + ToString(tensors[i].desc) + " and stays in the engine");
    to.Add(names[i], tensors[i].desc);
  }
  to.Allocate();
  for (size_t i = 0; i < names.size(); ++i) {
    if (tensors[i].desc.Bytes() > 0) std::memcpy(to[i].data, tensors[i].data, tensors[i].desc.Bytes());
  }
}

}  // namespace

Engine::Engine(int threads, std::string_view isa, EngineShared& shared)
    : shared_(shared),
      kernels_(kernels::Select(isa)),
      pool_(threads),
      arena_(std::make_shared<Arena>(&shared.arenas)),
      scratch_(static_cast<size_t>(threads), SamplerScratch{{kernels_}}),
      shared_scratch_{{kernels_, &pool_}},
      rows_(static_cast<size_t>(threads)) {}

std::vector<LoadedWeight> Engine::Load(std::span<const WeightLoad> loads, const PackedFile* packed,
                                       const std::function<void(uint64_t, uint64_t)>& progress,
                                       const std::atomic<bool>& cancelled) {
  std::vector<LoadedWeight> loaded =
      LoadWeights(loads, {pool_, kernels_, &shared_.weights, cancelled, progress, packed});
  for (const LoadedWeight& weight : loaded) Put(weight.name, OwnedTensor(weight.stored));
  return loaded;
}

void Engine::Put(const std::string& name, const OwnedTensor& tensor) {
  tensors_[name] = tensor;
  for (auto& [id, entry] : graphs_) {
    const auto input = entry.inputs.find(name);
    if (input == entry.inputs.end()) continue;
    OwnedTensor& bound = entry.bound[static_cast<size_t>(input->second)];
    if (!bound.owner) continue;
    entry.graph->Bind(input->second, tensor.tensor);
    bound = tensor;
  }
}

TensorBundle Engine::Export(const std::string& name) {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) throw Error("NATIVE_TENSOR_UNKNOWN", "the engine has no tensor \"" + name + '"');
  const Tensor& tensor = found->second.tensor;
  TensorBundle copy;
  copy.Add(name, RowMajorDesc(tensor.desc));
  copy.Allocate();
  CopyRowMajor(tensor, copy[0].data, pool_);
  return copy;
}

void Engine::PutCache(const std::shared_ptr<const KvCache>& cache) {
  for (const std::string& name : cache_names_) tensors_.erase(name);
  cache_names_.clear();
  const std::vector<KvCacheDesc>& caches = cache->options().caches;
  for (size_t i = 0; i < caches.size(); ++i) {
    Put(cache_names_.emplace_back(caches[i].key), {cache->Keys(i), cache});
    if (caches[i].value) Put(cache_names_.emplace_back(*caches[i].value), {cache->Values(i), cache});
  }
  const std::vector<StateDesc>& states = cache->options().states;
  for (size_t i = 0; i < states.size(); ++i) Put(cache_names_.emplace_back(states[i].name), {cache->State(i), cache});
  cache_ = cache;
}

void Engine::CopyBlocks(std::span<const int32_t> pairs) {
  const int64_t blocks = cache_ ? cache_->options().num_blocks : 0;
  for (int32_t block : pairs)
    if (block < 0 || block >= blocks || pairs.size() % 2 != 0)
      throw Error("NATIVE_VALUE_OUT_OF_RANGE",
                  "block " + std::to_string(block) + " is not one of pairs of " + std::to_string(blocks) + " blocks");
  for (size_t i = 0; i < pairs.size(); i += 2) cache_->CopyBlock(pairs[i], pairs[i + 1]);
}

void Engine::AddGraph(int id, std::shared_ptr<Graph> graph) {
  Entry entry;
  entry.graph = std::move(graph);
  entry.graph->SetStop(&shared_.stop);
  entry.graph->SetArena(arena_);
  const std::vector<std::string>& names = entry.graph->Inputs();
  entry.bound.resize(names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    entry.inputs.emplace(names[i], static_cast<int>(i));
    const auto tensor = tensors_.find(names[i]);
    if (tensor == tensors_.end()) continue;
    entry.graph->Bind(static_cast<int>(i), tensor->second.tensor);
    entry.bound[i] = tensor->second;
  }
  const std::lock_guard lock(stats_mutex_);
  graphs_.insert_or_assign(id, std::move(entry));
}

void Engine::RemoveGraph(int id) {
  std::map<int, Entry>::node_type removed;  // Declared before the lock, so that it is freed after it is released.
  const std::lock_guard lock(stats_mutex_);
  removed = graphs_.extract(id);
  if (graphs_.empty()) arena_->Free();
}

void Engine::Reserve(int graph, std::span<const NamedTensor> inputs) {
  Entry& entry = GraphOf(graph);
  entry.graph->Reserve(Match(entry, inputs), kernels_, pool_.threads());
  UpdateStats(entry, 0);
}

GraphStats Engine::Stats(int graph) const {
  const std::lock_guard lock(stats_mutex_);
  const auto entry = graphs_.find(graph);
  return entry == graphs_.end() ? GraphStats{} : entry->second.stats;
}

void Engine::UpdateStats(Entry& entry, uint64_t barriers) {
  const std::lock_guard lock(stats_mutex_);
  const GraphCounters& now = entry.graph->counters();
  // The text changes only together with the number of plans. So a step that needs no new plan copies numbers only.
  if (entry.stats.counters.plans != now.plans) entry.stats.counters.last_plan_reason = now.last_plan_reason;
  entry.stats.counters.runs = now.runs;
  entry.stats.counters.plans = now.plans;
  entry.stats.counters.arena_bytes = now.arena_bytes;
  entry.stats.barriers = barriers;
}

void Engine::AddSampler(int id, Sampler sampler) { samplers_.insert_or_assign(id, std::move(sampler)); }

void Engine::RemoveSampler(int id) { samplers_.erase(id); }

void Engine::AppendTokens(int sampler, std::span<const int32_t> tokens) {
  Sampler& target = SamplerOf(sampler);
  for (int32_t token : tokens) target.Append(token);
}

void Engine::RetractTokens(int sampler, std::span<const int32_t> tokens) {
  Sampler& target = SamplerOf(sampler);
  for (size_t i = tokens.size(); i > 0; --i) target.Retract(tokens[i - 1]);
}

Engine::Entry& Engine::GraphOf(int id) {
  const auto entry = graphs_.find(id);
  if (entry == graphs_.end()) throw Error("NATIVE_GRAPH_UNKNOWN", "there is no graph " + std::to_string(id));
  return entry->second;
}

Sampler& Engine::SamplerOf(int id) {
  const auto sampler = samplers_.find(id);
  if (sampler == samplers_.end()) throw Error("NATIVE_SAMPLER_UNKNOWN", "there is no sampler " + std::to_string(id));
  return sampler->second;
}

std::vector<BoundTensor> Engine::Match(const Entry& entry, std::span<const NamedTensor> inputs) const {
  std::vector<BoundTensor> matched;
  matched.reserve(inputs.size());
  for (const NamedTensor& input : inputs) {
    const auto found = entry.inputs.find(input.name);
    if (found == entry.inputs.end())
      throw Error("NATIVE_INPUT_INVALID", "the graph has no input \"" + input.name + '"');
    if (entry.bound[static_cast<size_t>(found->second)].owner)
      throw Error("NATIVE_INPUT_INVALID", "input \"" + input.name + "\" is bound to a tensor of the engine");
    matched.push_back({found->second, input.tensor});
  }
  return matched;
}

/// Runs before the graph does, so that a wrong id changes nothing. A sampler may have several rows only where each but
/// the last is followed by the next, since its tokens follow one another.
void Engine::CheckSamplers(const StepRequest& request) {
  const std::vector<int32_t>& ids = request.samplers;
  const std::vector<int32_t>& drafts = request.drafts;
  if (!drafts.empty() && drafts.size() != ids.size())
    throw Error("NATIVE_SHAPE_MISMATCH",
                std::to_string(drafts.size()) + " drafts are given for " + std::to_string(ids.size()) + " samplers");
  for (size_t row = 0; row < drafts.size(); ++row) {
    if (drafts[row] == kUnsampled) continue;
    if (ids[row] == kUnsampled || row + 1 == ids.size() || ids[row + 1] != ids[row])
      throw Error("NATIVE_VALUE_OUT_OF_RANGE", "row " + std::to_string(row) + " has a draft, and no row after it");
  }
  std::vector<int32_t> used;
  for (size_t row = 0; row < ids.size(); ++row) {
    if (ids[row] == kUnsampled) continue;
    SamplerOf(ids[row]);
    const bool goes_on = row > 0 && !drafts.empty() && drafts[row - 1] != kUnsampled;
    if (!goes_on) used.push_back(ids[row]);
  }
  std::sort(used.begin(), used.end());
  const auto twice = std::adjacent_find(used.begin(), used.end());
  if (twice != used.end())
    throw Error("NATIVE_VALUE_OUT_OF_RANGE", "sampler " + std::to_string(*twice) + " is given for two rows");
}

StepResult Engine::Run(const StepRequest& request) {
  Entry& entry = GraphOf(request.graph);
  CheckSamplers(request);
  const std::vector<BoundTensor> inputs = Match(entry, request.inputs.tensors());
  const uint64_t barriers = pool_.barriers();
  const uint64_t plans = entry.graph->counters().plans;
  entry.graph->SetProfiling(request.profile);
  entry.graph->Run(inputs, {}, {}, kernels_, pool_);
  UpdateStats(entry, pool_.barriers() - barriers);

  StepResult result;
  if (entry.graph->counters().plans != plans) result.plan_reason = entry.graph->counters().last_plan_reason;
  for (const NodeTiming& timing : entry.graph->Timings()) {
    const auto node = static_cast<size_t>(timing.node);
    result.timings.push_back(
        {entry.graph->NodeNames()[node], entry.graph->NodeTypes()[node], timing.start_ns, timing.duration_ns});
  }
  if (request.samplers.empty() && !request.logits) return result;
  if (entry.graph->Outputs().empty()) throw Error("NATIVE_OUTPUT_INVALID", "the graph has no outputs");
  const Tensor& logits = entry.graph->Output(0);
  CheckLogits(logits);
  if (!request.samplers.empty()) Sample(logits, request, result);
  if (request.logits) {
    TensorDesc desc = logits.desc;
    desc.dtype = DType::kF32;
    result.logits.Add("logits", desc);
    result.logits.Allocate();
    kernels_.to_f32(logits.data, logits.desc.dtype, result.logits[0].As<float>(), desc.Elements());
  }
  return result;
}

void Engine::Sample(const Tensor& logits, const StepRequest& request, StepResult& result) {
  const std::vector<int32_t>& ids = request.samplers;
  const std::vector<int32_t>& drafts = request.drafts;
  const int64_t vocabulary = logits.desc.dim(1);
  if (static_cast<int64_t>(ids.size()) != logits.desc.dim(0))
    throw Error("NATIVE_SHAPE_MISMATCH",
                std::to_string(ids.size()) + " samplers are given for logits " + ToString(logits.desc));
  for (int32_t id : ids)
    if (id != kUnsampled) SamplerOf(id).CheckVocabulary(vocabulary);
  result.tokens.assign(ids.size(), kUnsampled);
  result.logprobs.resize(ids.size());

  const auto sample = [&](size_t row, std::vector<float>& widened, SamplerScratch& scratch) {
    if (ids[row] == kUnsampled) return;
    const size_t offset = row * static_cast<size_t>(vocabulary);
    const float* values = logits.As<float>() + offset;
    if (logits.desc.dtype != DType::kF32) {
      widened.resize(static_cast<size_t>(vocabulary));
      kernels_.to_f32(logits.As<uint16_t>() + offset, logits.desc.dtype, widened.data(), vocabulary);
      values = widened.data();
    }
    Sampled sampled = samplers_.find(ids[row])->second.Sample({values, static_cast<size_t>(vocabulary)}, scratch);
    result.tokens[row] = sampled.token;
    result.logprobs[row] = std::move(sampled.logprobs);
  };
  const auto has_draft = [&](size_t row) { return !drafts.empty() && drafts[row] != kUnsampled; };
  // One row, and those after it as long as each gives what the next takes for granted.
  const auto sample_from = [&](size_t first, std::vector<float>& widened, SamplerScratch& scratch) {
    if (first > 0 && has_draft(first - 1)) return;
    for (size_t row = first;; ++row) {
      sample(row, widened, scratch);
      if (!has_draft(row) || result.tokens[row] != drafts[row]) return;
    }
  };
  // With fewer rows than threads, all threads work on one row after another.
  if (ids.size() < static_cast<size_t>(pool_.threads())) {
    for (size_t row = 0; row < ids.size(); ++row) sample_from(row, rows_[0], shared_scratch_);
    return;
  }
  std::mutex mutex;
  std::exception_ptr error;
  pool_.ParallelFor(static_cast<int64_t>(ids.size()), [&](int64_t row, int worker) {
    const auto own = static_cast<size_t>(worker);
    try {
      sample_from(static_cast<size_t>(row), rows_[own], scratch_[own]);
    } catch (...) {
      const std::lock_guard lock(mutex);
      error = std::current_exception();
    }
  });
  if (error) std::rethrow_exception(error);
}

ForwardResult Engine::Forward(const ForwardRequest& request) {
  Graph graph(request.spec);
  graph.SetStop(&shared_.stop);
  const std::vector<std::string>& names = graph.Inputs();
  std::vector<BoundTensor> inputs;
  for (size_t i = 0; i < names.size(); ++i) {
    if (const NamedTensor* given = request.inputs.Find(names[i])) {
      inputs.push_back({static_cast<int>(i), given->tensor});
    } else if (const auto own = tensors_.find(names[i]); own != tensors_.end()) {
      graph.Bind(static_cast<int>(i), own->second.tensor);
    }
  }
  for (const NamedTensor& input : request.inputs.tensors()) {
    if (std::find(names.begin(), names.end(), input.name) == names.end())
      throw Error("NATIVE_INPUT_INVALID", "the graph has no input \"" + input.name + '"');
  }
  graph.Run(inputs, {}, request.intermediates, kernels_, pool_);

  ForwardResult result;
  std::vector<Tensor> outputs;
  for (size_t i = 0; i < graph.Outputs().size(); ++i) outputs.push_back(graph.Output(static_cast<int>(i)));
  std::vector<Tensor> intermediates;
  for (const std::string& name : request.intermediates) intermediates.push_back(graph.Kept(name));
  Copy(graph.Outputs(), outputs, result.outputs);
  Copy(request.intermediates, intermediates, result.intermediates);
  return result;
}

}  // namespace atb
