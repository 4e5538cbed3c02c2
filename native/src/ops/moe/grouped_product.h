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

/// What becomes of rows before they meet the matrix of their expert, and of the sums that this gives.
struct ExpertInputs {
  /// i32 [experts, k]: channel i is channel channels[i] of x, or 0 where x has no such channel; null: as they lie.
  const int32_t* channels = nullptr;
  /// [experts] both: numbers become int8, as QuantizeStatically has it; null: they become what the call's planes say.
  const Tensor* scales = nullptr;
  const Tensor* offsets = nullptr;
  /// i32 [experts, n]: what is added to sums of integers before they are scaled, in place of the call's bias; or null.
  const int32_t* sum_bias = nullptr;
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
  ExpertInputs inputs = {};
};

/// What a call asks of memory.
struct GroupedSizes {
  int64_t m;  ///< Sorted rows.
  ExpertWeight::Sizes weight;
  int planes;
  size_t element;  ///< Bytes of an element of x.
  bool has_sum_bias = false;
  bool widens = false;  ///< The weight may be widened (kernels::IsWidened).
};

/// Bytes of the workspace of MultiplyGroups.
size_t GroupedBytes(int threads, const kernels::KernelTable& kernels, const GroupedSizes& sizes);

/// Computes all the products. Pieces of all experts are handed out to the pool as one product's are, so that threads
/// stay busy where experts are small. How they are cut changes no bit of a row's result.
void MultiplyGroups(const GroupedCall& call, const kernels::KernelTable& kernels, ThreadPool& pool,
                    std::byte* workspace) noexcept;

}  // namespace atb
