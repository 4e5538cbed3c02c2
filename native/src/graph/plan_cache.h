#pragma once
#include <span>
#include <string>
#include <vector>

#include "graph/memory_planner.h"
#include "tensor/tensor.h"

namespace atb {

/// Where the intermediates of one bucket of sizes lie.
struct BucketPlan {
  std::vector<size_t> capacity;  ///< Bytes per intermediate.
  std::vector<size_t> offsets;
  size_t workspace_capacity = 0;
  size_t workspace_offset = 0;
  size_t arena_bytes = 0;
  // The sizes for which the plan was made.
  std::vector<size_t> bytes;
  size_t workspace_bytes = 0;
  std::vector<TensorDesc> inputs;
};

/// The memory plans of one graph. A run whose sizes fit an existing plan makes no new one and allocates nothing.
///
/// The first plan is for the sizes as they are. A later plan is for a bucket of sizes: an input's dimension that grew
/// is rounded up to the next power of two, and every tensor whose size changed is enlarged by the same factor (by the
/// largest one, when several dimensions grew). So tensors that grow with the same dimension outgrow their plan
/// together, and a dimension that grows step by step needs one plan each time it doubles.
class PlanCache {
 public:
  /// A plan with room for these tensors (in the same order each time) and this workspace. `inputs` and `names` are the
  /// graph's inputs, from which all sizes follow.
  const BucketPlan& Fit(std::span<const Lifetime> tensors, size_t workspace_bytes, std::span<const TensorDesc> inputs,
                        std::span<const std::string> names);

  uint64_t made() const { return made_; }
  /// Why the latest plan was made.
  const std::string& reason() const { return reason_; }

 private:
  BucketPlan Make(std::span<const Lifetime> tensors, size_t workspace_bytes, std::span<const TensorDesc> inputs) const;
  std::string Reason(std::span<const TensorDesc> inputs, std::span<const std::string> names) const;

  std::vector<BucketPlan> plans_;  ///< The latest made is the last.
  size_t current_ = 0;
  uint64_t made_ = 0;
  std::string reason_;
};

}  // namespace atb
