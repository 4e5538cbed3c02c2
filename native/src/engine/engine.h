#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/thread_pool.h"
#include "cache/kv_cache.h"
#include "engine/machine_limits.h"
#include "engine/tensor_bundle.h"
#include "graph/graph.h"
#include "kernels/kernel_table.h"
#include "sampling/sampler.h"
#include "weights/load.h"
#include "weights/stored_tensor.h"

namespace atb {

struct StepRequest {
  int graph = 0;
  TensorBundle inputs;
  std::vector<int32_t> samplers;  ///< For each row of the first output, or kUnsampled. Empty: nothing is sampled.
  /// For each row the token that the next row's logits take for granted, or kUnsampled. Then both rows have the same
  /// sampler, and the next is sampled only when this one gives that token. Empty: no row depends on another.
  std::vector<int32_t> drafts;
  bool logits = false;   ///< Copy the first output, as f32.
  bool profile = false;  ///< Time each operation.
};

/// One operation of a profiled step.
struct StepTiming {
  std::string name;
  std::string type;
  uint64_t start_ns;  ///< On the steady clock.
  uint64_t duration_ns;
};

/// Stands for a sampler where a row is not sampled, and for the token of that row.
constexpr int32_t kUnsampled = -1;

struct StepResult {
  std::vector<int32_t> tokens;  ///< One for each row: the token, kUnsampled, or kNotFinite.
  std::vector<std::optional<TokenLogprobs>> logprobs;
  TensorBundle logits;  ///< One tensor when it was asked for, else none.
  std::vector<StepTiming> timings;
  std::string plan_reason;  ///< Why memory was planned anew; empty when it was not.
};

struct ForwardRequest {
  GraphSpec spec;
  TensorBundle inputs;
  std::vector<std::string> intermediates;
};

struct ForwardResult {
  TensorBundle outputs;
  TensorBundle intermediates;
};

struct GraphStats {
  GraphCounters counters;
  uint64_t barriers = 0;  ///< Of the latest run.
};

/// The part of an engine that other threads may read and write at any time.
struct EngineShared {
  // Bytes held. Each buffer adds its own while it lives.
  std::atomic<int64_t> weights{0};
  std::atomic<int64_t> caches{0};
  std::atomic<int64_t> arenas{0};
  /// True ends a run before its next operation.
  std::atomic<bool> stop{false};
};

/// Tensors by name, graphs bound to them, samplers, and the threads that compute. Only one thread at a time may call
/// its methods, isa, threads and Stats excepted. Failures are atb::Error. After a failure the engine is as it was
/// before the call, except that caches may hold what the graph wrote before it failed.
class Engine {
 public:
  /// An empty `isa` chooses the best kernels that the machine can run. `shared` must live longer than the engine.
  /// Throws NATIVE_ISA_UNSUPPORTED, NATIVE_THREADS_INVALID.
  Engine(int threads, std::string_view isa, EngineShared& shared);

  const char* isa() const { return kernels_.isa; }
  int threads() const { return pool_.threads(); }

  /// Loads weights as weights/load.h says, those of a file of packed weights where one is given. The tensors replace
  /// those of the same names; they are returned, too.
  std::vector<LoadedWeight> Load(std::span<const WeightLoad> loads, const PackedFile* packed,
                                 const std::function<void(uint64_t, uint64_t)>& progress,
                                 const std::atomic<bool>& cancelled);
  /// Makes a tensor known by name. Graphs that are bound to an earlier tensor of that name are bound to this one.
  void Put(const std::string& name, const OwnedTensor& tensor);
  /// A row-major copy of a tensor. A packed weight becomes its rows, with two int4 to a byte; packed scales become
  /// [n, groups]. Throws NATIVE_TENSOR_UNKNOWN, NATIVE_LAYOUT_MISMATCH for a cache, NATIVE_OUT_OF_MEMORY.
  TensorBundle Export(const std::string& name);
  /// Puts the tensors of the caches under their own names, and forgets those of an earlier call.
  void PutCache(const std::shared_ptr<const KvCache>& cache);
  /// Copies whole blocks of all caches: each pair of numbers is a block and the one that becomes like it, one pair
  /// after another. Throws NATIVE_VALUE_OUT_OF_RANGE, and then copies nothing.
  void CopyBlocks(std::span<const int32_t> pairs);

  /// Binds the inputs whose names are tensors of the engine now. The other inputs come with each run.
  void AddGraph(int id, std::shared_ptr<Graph> graph);
  void RemoveGraph(int id);
  /// Makes room for steps of a graph up to this one; `inputs` have no data. Throws what Run throws for their shapes.
  void Reserve(int graph, std::span<const NamedTensor> inputs);
  /// May be called on any thread. Returns zeros when there is no such graph.
  GraphStats Stats(int graph) const;

  void AddSampler(int id, Sampler sampler);
  void RemoveSampler(int id);
  /// Records tokens that were generated elsewhere. Throws NATIVE_SAMPLER_UNKNOWN.
  void AppendTokens(int sampler, std::span<const int32_t> tokens);
  /// Takes back the tokens that were recorded last, in their order. Throws NATIVE_SAMPLER_UNKNOWN,
  /// NATIVE_OPTION_INVALID.
  void RetractTokens(int sampler, std::span<const int32_t> tokens);

  /// One step of a graph. Throws NATIVE_GRAPH_UNKNOWN, NATIVE_SAMPLER_UNKNOWN, NATIVE_INPUT_INVALID, and what graphs
  /// and samplers throw.
  StepResult Run(const StepRequest& request);
  /// Runs a graph once. Inputs that are not given are the engine's tensors. Caches are given and returned row-major,
  /// [blocks, block_size, kv_heads, head_dim].
  ForwardResult Forward(const ForwardRequest& request);
  /// Measures what the machine gives to this engine's threads and kernels. Throws NATIVE_OUT_OF_MEMORY.
  MachineLimits Limits() { return MeasureLimits(pool_, kernels_); }

 private:
  struct Entry {
    std::shared_ptr<Graph> graph;
    std::unordered_map<std::string, int> inputs;
    std::vector<OwnedTensor> bound;  ///< One for each input; it has no owner where the input comes with each run.
    GraphStats stats;                ///< Guarded by stats_mutex_.
  };

  Entry& GraphOf(int id);
  Sampler& SamplerOf(int id);
  void UpdateStats(Entry& entry, uint64_t barriers);
  std::vector<BoundTensor> Match(const Entry& entry, std::span<const NamedTensor> inputs) const;
  void CheckSamplers(const StepRequest& request);
  void Sample(const Tensor& logits, const StepRequest& request, StepResult& result);

  EngineShared& shared_;
  const kernels::KernelTable& kernels_;
  ThreadPool pool_;
  std::unordered_map<std::string, OwnedTensor> tensors_;
  std::shared_ptr<const KvCache> cache_;
  std::shared_ptr<Arena> arena_;  ///< Of all graphs: they run one after another.
  std::vector<std::string> cache_names_;
  std::map<int, Entry> graphs_;
  mutable std::mutex stats_mutex_;
  std::unordered_map<int, Sampler> samplers_;
  std::vector<SamplerScratch> scratch_;   ///< Per thread.
  SamplerScratch shared_scratch_;         ///< For all threads, when they work on one row after another.
  std::vector<std::vector<float>> rows_;  ///< Per thread: a row of logits as f32.
};

}  // namespace atb
