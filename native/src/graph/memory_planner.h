#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "base/align.h"

namespace atb {

/// An intermediate tensor: alive from the node that writes it to the last node that reads it, inclusive.
struct Lifetime {
  size_t bytes;
  size_t first;
  size_t last;
};

struct MemoryPlan {
  std::vector<size_t> offsets;  ///< One per lifetime, in the order given; multiples of kAlignment.
  size_t arena_bytes = 0;
};

/// Packs tensors into one arena so that no two alive at the same node overlap. The largest first, each into the lowest
/// gap that fits: never worse than no sharing, and on chains of layers close to the most that is alive at once.
MemoryPlan PlanMemory(std::span<const Lifetime> tensors);

}  // namespace atb
