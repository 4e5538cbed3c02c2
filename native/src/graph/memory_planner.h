#pragma once
#include <cstddef>
#include <span>
#include <vector>

namespace atb {

/// An intermediate tensor. It lives from the node that writes it to the last node that reads it, both included.
struct Lifetime {
  size_t bytes;
  size_t first;
  size_t last;
};

struct MemoryPlan {
  std::vector<size_t> offsets;  ///< One per lifetime, in the order given; multiples of kAlignment.
  size_t arena_bytes = 0;
};

/// Packs tensors into one arena so that no two that live at the same node overlap. It places the largest tensor first,
/// and each into the lowest gap that fits. That never takes more than all tensors side by side, and for chains of
/// layers little more than what lives at the same time.
MemoryPlan PlanMemory(std::span<const Lifetime> tensors);

}  // namespace atb
