#include "graph/memory_planner.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "base/align.h"

namespace atb {
namespace {

bool Meet(const Lifetime& a, const Lifetime& b) { return a.first <= b.last && b.first <= a.last; }

}  // namespace

MemoryPlan PlanMemory(std::span<const Lifetime> tensors) {
  std::vector<size_t> by_size(tensors.size());
  std::iota(by_size.begin(), by_size.end(), size_t{0});
  std::ranges::stable_sort(by_size, std::greater{}, [&](size_t id) { return tensors[id].bytes; });

  MemoryPlan plan;
  plan.offsets.resize(tensors.size());
  std::vector<size_t> placed;  // sorted by offset
  for (size_t id : by_size) {
    const size_t bytes = Align(tensors[id].bytes);
    size_t offset = 0;
    for (size_t other : placed) {
      if (!Meet(tensors[id], tensors[other])) continue;
      if (offset + bytes <= plan.offsets[other]) break;
      offset = std::max(offset, plan.offsets[other] + Align(tensors[other].bytes));
    }
    plan.offsets[id] = offset;
    plan.arena_bytes = std::max(plan.arena_bytes, offset + bytes);
    placed.insert(std::ranges::upper_bound(placed, offset, {}, [&](size_t other) { return plan.offsets[other]; }), id);
  }
  return plan;
}

}  // namespace atb
