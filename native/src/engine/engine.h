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
  std::vector<int32_t> samplers;  ///< Per row of the first output, kUnsampled where none; empty: nothing is sampled.
  bool logits = false;            ///< Copy the first output, as f32.
  bool profile = false;           ///< Time each operation.
};

/// One operation of a profiled step.
struct StepTiming {
  std::string name;
  std::string type;
  uint64_t start_ns;  ///< On the steady clock.
  uint64_t duration_ns;
};

/// Instead of a sampler: the row is left alone; and instead of its token.
constexpr int32_t kUnsampled = -1;

struct StepResult {
  std::vector<int32_t> tokens;  ///< kUnsampled, or kNotFinite, or the token.
  std::vector<std::optional<TokenLogprobs>> logprobs;
  TensorBundle logits;  ///< One tensor when asked for.
  std::vector<StepTiming> timings;
  std::string plan_reason;  ///< Why memory was planned anew; empty where it was not.
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

/// What an engine shares with other threads, at any time.
struct EngineShared {
  // Bytes held. Buffers count themselves in and out.
  std::atomic<int64_t> weights{0};
  std::atomic<int64_t> caches{0};
  std::atomic<int64_t> arenas{0};
  /// Set to end a run between two operations.
  std::atomic<bool> stop{false};
};

/// Tensors by name, graphs bound to them, samplers, and the threads that compute. Everything but isa, threads and
/// Stats belongs to one thread at a time. Failures are atb::Error; after one the engine is as before the call, except
/// that caches may hold what the graph wrote before it failed.
class Engine {
 public:
  /// The best kernels when `isa` is empty. `shared` must live longer. Throws NATIVE_ISA_UNSUPPORTED,
  /// NATIVE_THREADS_INVALID.
  Engine(int threads, std::string_view isa, EngineShared& shared);

  const char* isa() const { return kernels_.isa; }
  int threads() const { return pool_.threads(); }

  /// See weights/load.h; the tensors replace those of the same names.
  void Load(std::span<const WeightLoad> loads, const std::function<void(uint64_t, uint64_t)>& progress,
            const std::atomic<bool>& cancelled);
  /// Makes a tensor known by name. Graphs that are bound to an earlier tensor of that name are bound to this one.
  void Put(const std::string& name, const OwnedTensor& tensor);
  /// A row-major copy of a tensor: of a packed weight its rows, int4 two to a byte, of packed scales [n, groups]. Throws
  /// NATIVE_TENSOR_UNKNOWN, NATIVE_LAYOUT_MISMATCH for a cache, NATIVE_OUT_OF_MEMORY.
  TensorBundle Export(const std::string& name);
  /// Puts the tensors of the caches under their own names, and forgets those of an earlier call.
  void PutCache(const std::shared_ptr<const KvCache>& cache);

  /// Inputs that are tensors of the engine now are bound to them; the others come with each run.
  void AddGraph(int id, std::shared_ptr<Graph> graph);
  void RemoveGraph(int id);
  /// Any thread. Zeros for a graph that is not there.
  GraphStats Stats(int graph) const;

  void AddSampler(int id, Sampler sampler);
  void RemoveSampler(int id);
  /// Records tokens that were generated elsewhere. Throws NATIVE_SAMPLER_UNKNOWN.
  void AppendTokens(int sampler, std::span<const int32_t> tokens);

  /// One step of a graph. Throws NATIVE_GRAPH_UNKNOWN, NATIVE_SAMPLER_UNKNOWN, NATIVE_INPUT_INVALID, and what graphs
  /// and samplers throw.
  StepResult Run(const StepRequest& request);
  /// Runs a graph once. Inputs that are not given are the engine's tensors. Caches are given and returned row-major,
  /// [blocks, block_size, kv_heads, head_dim].
  ForwardResult Forward(const ForwardRequest& request);
  /// Of this engine's threads and kernels. Throws NATIVE_OUT_OF_MEMORY.
  MachineLimits Limits() { return MeasureLimits(pool_, kernels_); }

 private:
  struct Entry {
    std::shared_ptr<Graph> graph;
    std::unordered_map<std::string, int> inputs;
    std::vector<OwnedTensor> bound;  ///< Per input; without owner where it comes with each run.
    GraphStats stats;                ///< Guarded by stats_mutex_.
  };

  Entry& GraphOf(int id);
  Sampler& SamplerOf(int id);
  void UpdateStats(Entry& entry, uint64_t barriers);
  std::vector<BoundTensor> Match(const Entry& entry, const TensorBundle& inputs) const;
  void CheckSamplers(const std::vector<int32_t>& ids);
  void Sample(const Tensor& logits, const std::vector<int32_t>& ids, StepResult& result);

  EngineShared& shared_;
  const kernels::KernelTable& kernels_;
  ThreadPool pool_;
  std::unordered_map<std::string, OwnedTensor> tensors_;
  std::vector<std::string> cache_names_;
  std::map<int, Entry> graphs_;
  mutable std::mutex stats_mutex_;
  std::unordered_map<int, Sampler> samplers_;
  std::vector<SamplerScratch> scratch_;   ///< Per thread.
  SamplerScratch shared_scratch_;         ///< Of all threads, for rows one after another.
  std::vector<std::vector<float>> rows_;  ///< Per thread: a row of logits as f32.
};

}  // namespace atb
