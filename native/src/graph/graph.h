#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "graph/arena.h"
#include "graph/flatten.h"
#include "graph/graph_spec.h"
#include "graph/plan_cache.h"
#include "kernels/kernel_table.h"
#include "tensor/tensor.h"

namespace atb {

/// A tensor for the input, or the output, with this index.
struct BoundTensor {
  int index;
  Tensor tensor;
};

struct GraphCounters {
  uint64_t runs = 0;
  uint64_t plans = 0;            ///< Memory plans made so far. A decode step whose sizes were seen before makes none.
  std::string last_plan_reason;  ///< Why the latest plan was made ("input_ids grew from i32[8] to i32[9]").
  uint64_t arena_bytes = 0;      ///< Of the arena, for its largest plan so far.
};

/// One operation's time in one run, when profiling.
struct NodeTiming {
  int node;           ///< Index among Graph::NodeNames().
  uint64_t start_ns;  ///< Of std::chrono::steady_clock, so that runs and graphs share one time axis.
  uint64_t duration_ns;
};

/// An executable graph: its sub-graphs are inlined, its operations are made, and its memory is planned once for each
/// bucket of sizes. Not thread-safe: there may be one run at a time.
class Graph {
 public:
  /// Throws NATIVE_GRAPH_INVALID, NATIVE_OP_UNKNOWN, NATIVE_PARAM_INVALID.
  explicit Graph(const GraphSpec& spec);

  const std::vector<std::string>& Inputs() const { return flat_.inputs; }
  const std::vector<std::string>& Outputs() const { return flat_.outputs; }
  /// Path of each operation, "layer_3/attn_out", in order of execution.
  const std::vector<std::string>& NodeNames() const { return node_names_; }
  const std::vector<std::string>& NodeTypes() const { return node_types_; }

  /// Binds an input that stays the same from run to run: a weight, a cache, a table. The bytes stay the caller's.
  /// Throws NATIVE_INPUT_INVALID.
  void Bind(int input, const Tensor& tensor);

  /// Puts intermediates into an arena that other graphs use, too: none of them runs at the same time. A graph that was
  /// given none has its own.
  void SetArena(std::shared_ptr<Arena> arena) { arena_ = std::move(arena); }

  /// Runs once. `inputs` are the inputs that are not bound; a bound one that is given as well counts for this run only.
  /// `outputs` may give destinations; other outputs stay in the arena until its next run (see Output). `keep` names
  /// tensors to copy: "layer_3/rope/q" is the output q of a node, as that node left it (for the paths see NodeNames),
  /// and "layer_3/q" is the tensor q of a sub-graph, as its last writer left it; tensors of the outermost graph have no
  /// path.
  ///
  /// Throws before or between operations, never inside one, and the graph stays usable: NATIVE_INPUT_INVALID naming the
  /// input that is missing or does not fit, NATIVE_OUTPUT_INVALID, NATIVE_SHAPE_MISMATCH, NATIVE_DTYPE_MISMATCH,
  /// NATIVE_LAYOUT_MISMATCH, NATIVE_SIZE_OVERFLOW, NATIVE_OUT_OF_MEMORY, NATIVE_VALUE_OUT_OF_RANGE.
  /// A run whose sizes fit an existing plan allocates nothing, unless it keeps tensors.
  void Run(std::span<const BoundTensor> inputs, std::span<const BoundTensor> outputs, std::span<const std::string> keep,
           const kernels::KernelTable& kernels, ThreadPool& pool);

  /// Bytes of memory that a run with such inputs takes beside them, one description for each input: nothing is bound,
  /// allocated or run. Throws NATIVE_INPUT_INVALID for another number of inputs, and what Run throws for their shapes.
  size_t PlannedBytes(std::span<const TensorDesc> inputs, const kernels::KernelTable& kernels, int threads);

  /// Makes room for a run whose inputs, bound ones excepted, have these descriptions; their data is of no account.
  /// Smaller runs make no plan then. Throws what Run throws for the inputs and their shapes.
  void Reserve(std::span<const BoundTensor> inputs, const kernels::KernelTable& kernels, int threads);

  /// Once the flag, which is the caller's, is true, a run ends before its next operation: Run throws NATIVE_DISPOSED.
  void SetStop(const std::atomic<bool>* stop) { stop_ = stop; }

  /// Output i, or a kept tensor, of the latest run, valid until the next in the same arena. Throws NATIVE_GRAPH_NOT_RUN
  /// when that run failed or there was none, NATIVE_OUTPUT_INVALID when there is no such tensor.
  const Tensor& Output(int index) const;
  const Tensor& Kept(std::string_view name) const;

  const GraphCounters& counters() const { return counters_; }
  /// Times of the latest run's operations; empty unless profiling.
  void SetProfiling(bool on);
  std::span<const NodeTiming> Timings() const { return timings_; }

 private:
  struct KeptTensor {
    std::string name;
    int node;
    Tensor tensor;
    Buffer bytes;
  };

  void CheckTensor(const std::string& what, const Tensor& tensor) const;
  bool TakeInputs(std::span<const BoundTensor> inputs);
  bool InputsChanged() const;
  const BucketPlan& Plan();
  void RefreshShapes(const kernels::KernelTable& kernels, int threads);
  void RefreshView(int slot);
  void RefreshNode(size_t index, const kernels::KernelTable& kernels, int threads);
  void Place(const BucketPlan& plan);
  void TakeOutputs(std::span<const BoundTensor> destinations);
  void TakeKeep(std::span<const std::string> keep);
  void Execute(const Context& ctx);
  void Keep(int node);
  [[noreturn]] void Rethrow(const Error& error, const FlatNode& node, bool shapes) const;

  TensorDesc& DescOf(int slot) { return descs_[static_cast<size_t>(slot)]; }
  const Storage& StorageOf(int slot) const {
    return flat_.storages[static_cast<size_t>(flat_.slots[static_cast<size_t>(slot)].storage)];
  }
  Tensor TensorOf(int slot) const {
    const auto i = static_cast<size_t>(slot);
    return {descs_[i], data_[static_cast<size_t>(flat_.slots[i].storage)]};
  }

  FlatGraph flat_;
  std::vector<std::string> node_names_;
  std::vector<std::string> node_types_;
  std::vector<int> intermediates_;  ///< Storages that live in the arena.

  std::vector<Tensor> bound_;  ///< Per input; data is null where nothing is bound.
  std::vector<bool> is_bound_;
  std::vector<Tensor> given_;  ///< Per input, for this run.
  std::vector<bool> is_given_;

  // Of the latest shapes: descriptions by slot, and what the intermediates need.
  bool shapes_valid_ = false;
  const kernels::KernelTable* shapes_kernels_ = nullptr;
  int shapes_threads_ = 0;
  std::vector<TensorDesc> descs_;
  std::vector<Lifetime> lifetimes_;
  size_t workspace_bytes_ = 0;

  PlanCache plans_;
  std::shared_ptr<Arena> arena_ = std::make_shared<Arena>();
  std::vector<void*> data_;  ///< Per storage, for this run.

  std::vector<TensorDesc> node_descs_;  ///< Working memory: inputs, then outputs of one node.
  std::vector<Tensor> node_tensors_;

  bool outputs_valid_ = false;
  std::vector<Tensor> outputs_;
  std::vector<const Tensor*> copy_to_;  ///< Per output: where it must be copied to, or null.
  std::vector<KeptTensor> kept_;

  const std::atomic<bool>* stop_ = nullptr;
  GraphCounters counters_;
  bool profiling_ = false;
  std::vector<NodeTiming> timings_;
};

}  // namespace atb
