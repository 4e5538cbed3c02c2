#include "graph/plan_cache.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "base/align.h"

namespace atb {
namespace {

/// Plans that are kept; beyond it the oldest is dropped. Only sizes that grow in turns make as many.
constexpr size_t kMaxPlans = 32;

bool Fits(const BucketPlan& plan, std::span<const Lifetime> tensors, size_t workspace_bytes) {
  if (workspace_bytes > plan.workspace_capacity) return false;
  for (size_t i = 0; i < tensors.size(); ++i)
    if (tensors[i].bytes > plan.capacity[i]) return false;
  return true;
}

bool Covers(const BucketPlan& larger, const BucketPlan& smaller) {
  return larger.workspace_capacity >= smaller.workspace_capacity &&
         std::ranges::equal(larger.capacity, smaller.capacity, std::greater_equal{});
}

/// A factor for sizes: to / from, which is at least 1 and below 2.
struct Growth {
  int64_t to = 1;
  int64_t from = 1;

  double factor() const { return static_cast<double>(to) / static_cast<double>(from); }
  size_t operator()(size_t bytes) const {
    const auto unit = static_cast<size_t>(from);
    return (bytes + unit - 1) / unit * static_cast<size_t>(to);
  }
};

/// The largest factor by which any of the dimensions that grew is rounded up.
Growth GrowthOf(std::span<const TensorDesc> before, std::span<const TensorDesc> now) {
  Growth most;
  for (size_t i = 0; i < now.size(); ++i)
    for (int axis = 0; now[i].rank == before[i].rank && axis < now[i].rank; ++axis) {
      const int64_t size = now[i].dim(axis);
      if (size <= before[i].dim(axis)) continue;
      const Growth own{static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(size))), size};
      if (own.factor() > most.factor()) most = own;
    }
  return most;
}

}  // namespace

const BucketPlan& PlanCache::Fit(std::span<const Lifetime> tensors, size_t workspace_bytes,
                                 std::span<const TensorDesc> inputs, std::span<const std::string> names) {
  if (!plans_.empty() && Fits(plans_[current_], tensors, workspace_bytes)) return plans_[current_];
  for (size_t i = 0; i < plans_.size(); ++i)
    if (Fits(plans_[i], tensors, workspace_bytes)) return plans_[current_ = i];
  BucketPlan plan = Make(tensors, workspace_bytes, inputs);
  std::string reason = Reason(inputs, names);
  // From here on nothing may fail, or the current plan would be one that is not there.
  plans_.reserve(kMaxPlans);
  reason_ = std::move(reason);
  ++made_;
  // Plans that the new one covers are not needed any more, and looking through them would take time.
  std::erase_if(plans_, [&](const BucketPlan& old) { return Covers(plan, old); });
  if (plans_.size() == kMaxPlans) plans_.erase(plans_.begin());
  plans_.push_back(std::move(plan));
  current_ = plans_.size() - 1;
  return plans_[current_];
}

BucketPlan PlanCache::Make(std::span<const Lifetime> tensors, size_t workspace_bytes,
                           std::span<const TensorDesc> inputs) const {
  const BucketPlan* before = plans_.empty() ? nullptr : &plans_.back();
  const Growth grown = before ? GrowthOf(before->inputs, inputs) : Growth{};
  BucketPlan plan;
  plan.workspace_bytes = workspace_bytes;
  plan.inputs.assign(inputs.begin(), inputs.end());
  std::vector<Lifetime> lifetimes(tensors.begin(), tensors.end());
  for (size_t i = 0; i < lifetimes.size(); ++i) {
    const size_t bytes = tensors[i].bytes;
    plan.bytes.push_back(bytes);
    lifetimes[i].bytes = before && before->bytes[i] != bytes ? grown(bytes) : bytes;
    plan.capacity.push_back(lifetimes[i].bytes);
  }
  plan.workspace_capacity =
      before && before->workspace_bytes != workspace_bytes ? grown(workspace_bytes) : workspace_bytes;
  MemoryPlan memory = PlanMemory(lifetimes);
  plan.offsets = std::move(memory.offsets);
  plan.workspace_offset = memory.arena_bytes;
  // At least one cache line, so that tensors without elements have an address.
  plan.arena_bytes = memory.arena_bytes + std::max(plan.workspace_capacity, kAlignment);
  return plan;
}

std::string PlanCache::Reason(std::span<const TensorDesc> inputs, std::span<const std::string> names) const {
  if (plans_.empty()) return "first run";
  const std::vector<TensorDesc>& before = plans_.back().inputs;
  std::string changed;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (SameDesc(inputs[i], before[i])) continue;
    const bool grew = inputs[i].Bytes() > before[i].Bytes();
    if (!grew && !changed.empty()) continue;
    changed = names[i] + (grew ? " grew from " : " changed from ") + ToString(before[i]) + " to " + ToString(inputs[i]);
    if (grew) return changed;
  }
  return changed.empty() ? "other kernels or threads need more workspace" : changed;
}

}  // namespace atb
