#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "ops/linear/gemm.h"
#include "ops/moe/expert_weight.h"

namespace atb {

/// Sorted rows [first, first + count), which belong to one expert. There is at least one.
struct ExpertRows {
  int64_t expert;
  int64_t first;
  int64_t count;
};

/// Products of rows that are sorted by their experts, each with the matrix of its own. Only the experts that have rows
/// are read.
struct GroupedCall {
  /// As of one product of all sorted rows: its m counts them, its weight is ignored, its bias is [experts, n], its
  /// planes are 0 where weights have no scales.
  MultiplyCall each;
  const Experts* experts;
  std::span<const ExpertRows> groups;
  /// Sorted row i is row x_rows[i] of the x_count rows of each.x; null: row i.
  const int32_t* x_rows = nullptr;
  int64_t x_count = 0;
};

/// Bytes of the workspace of MultiplyGroups for m sorted rows of k channels; `size` is the bytes of an element of x.
size_t GroupedBytes(int threads, const kernels::KernelTable& kernels, int64_t m, int64_t k, int planes, size_t size,
                    int64_t experts);

/// Computes all the products. Pieces of all experts are handed out to the pool as one product's are, so that threads
/// stay busy where experts are small. How they are cut changes no bit of a row's result.
void MultiplyGroups(const GroupedCall& call, const kernels::KernelTable& kernels, ThreadPool& pool,
                    std::byte* workspace) noexcept;

}  // namespace atb
