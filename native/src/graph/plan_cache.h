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
  // What it was made for.
  std::vector<size_t> bytes;
  size_t workspace_bytes = 0;
  std::vector<TensorDesc> inputs;
};

/// The memory plans of one graph. A run whose sizes fit a plan that exists makes none and allocates nothing.
///
/// The first plan is for the sizes as they are. A later one is for a bucket: what changed is rounded up as far as the
/// inputs' dimensions that grew are, to the next power of two. So tensors that grow with the same dimension outgrow
/// their plan together, and a dimension that grows step by step is planned for once per doubling.
class PlanCache {
 public:
  /// A plan with room for these tensors (in the same order each time) and this workspace. `inputs` are the graph's,
  /// `names` theirs: what the sizes follow from.
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
