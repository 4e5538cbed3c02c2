#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_pool.h"
#include "graph/graph_spec.h"
#include "kernels/kernel_table.h"
#include "tensor/tensor.h"

namespace atb {

/// A tensor for one input or output of a graph, by its index among them.
struct BoundTensor {
  int index;
  Tensor tensor;
};

struct GraphCounters {
  uint64_t runs = 0;
  uint64_t plans = 0;            ///< Memory plans made; a warm decode makes none.
  std::string last_plan_reason;  ///< Why the latest was made ("input_ids grew from i32[8] to i32[9]").
  uint64_t arena_bytes = 0;
};

/// One operation's time in one run, when profiling.
struct NodeTiming {
  int node;           ///< Index among Graph::NodeNames().
  uint64_t start_ns;  ///< Of std::chrono::steady_clock, so that runs and graphs share one time axis.
  uint64_t duration_ns;
};

/// An executable graph: sub-graphs inlined, operations made, memory planned per shape bucket.
/// Not thread-safe: one run at a time.
class Graph {
 public:
  /// Throws NATIVE_GRAPH_INVALID, NATIVE_OP_UNKNOWN, NATIVE_PARAM_INVALID.
  explicit Graph(const GraphSpec& spec);
  ~Graph();

  const std::vector<std::string>& Inputs() const;
  const std::vector<std::string>& Outputs() const;
  /// Path of each operation, "layer_3/attn_out", in order of execution.
  const std::vector<std::string>& NodeNames() const;
  const std::vector<std::string>& NodeTypes() const;

  /// Binds an input that stays the same from run to run: a weight, a cache, a table. The bytes stay the caller's.
  /// Throws NATIVE_INPUT_INVALID.
  void Bind(int input, const Tensor& tensor);

  /// Runs once. `inputs` are the inputs that are not bound; one that is bound too counts for this run. `outputs` may
  /// give destinations; other outputs stay in the arena until the next run (see Output). `keep` names tensors to copy:
  /// a node's path (as in NodeNames), "/" and one of its outputs, as that node left it; or a sub-graph's path, "/" and
  /// a tensor in it (at the top just the tensor), as its last writer left it.
  /// Throws before or between operations, never inside one; the graph stays usable: NATIVE_INPUT_INVALID naming the
  /// input that is missing or does not fit, NATIVE_OUTPUT_INVALID, NATIVE_SHAPE_MISMATCH, NATIVE_DTYPE_MISMATCH,
  /// NATIVE_LAYOUT_MISMATCH, NATIVE_SIZE_OVERFLOW, NATIVE_OUT_OF_MEMORY, NATIVE_VALUE_OUT_OF_RANGE.
  /// A run whose sizes fit a plan that exists allocates nothing (unless it keeps tensors).
  void Run(std::span<const BoundTensor> inputs, std::span<const BoundTensor> outputs, std::span<const std::string> keep,
           const kernels::KernelTable& kernels, ThreadPool& pool);

  /// A flag of the caller's that ends a run between two operations once it is true: Run then throws NATIVE_DISPOSED.
  void SetStop(const std::atomic<bool>* stop);

  /// Output i, or a kept tensor, of the latest run, valid until the next. Throws NATIVE_GRAPH_NOT_RUN when that run
  /// failed or there was none, NATIVE_OUTPUT_INVALID when there is no such tensor.
  const Tensor& Output(int index) const;
  const Tensor& Kept(std::string_view name) const;

  const GraphCounters& counters() const;
  /// Times of the latest run's operations; empty unless profiling.
  void SetProfiling(bool on);
  std::span<const NodeTiming> Timings() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace atb
