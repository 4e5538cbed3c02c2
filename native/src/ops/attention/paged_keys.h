#pragma once
#include <cstdint>

#include "kernels/kernel_table.h"
#include "kernels/kv_pack.h"
#include "tensor/tensor.h"

namespace atb {

/// The keys of one sequence, one head of them, in a paged cache: in the layout of kernels/kv_layout.h, or row-major.
class PagedKeys {
 public:
  PagedKeys(const Tensor& cache, const int32_t* table);

  /// Writes sixteen keys from `position` on, a multiple of 16, as f32 [head_dim][16]. Those from `end` on may be
  /// anything.
  void Widen(int64_t position, int64_t end, const kernels::KernelTable& kernels, float* out) const;

  /// Makes a block of `to` out of the keys at `count` positions, and of zeros behind them; no other key is read. `to`
  /// has one head of keys of the cache's dtype and head size.
  void Gather(const int32_t* positions, int64_t count, const kernels::KvStore& to, int64_t block) const;

 private:
  int64_t SlotOf(int64_t position) const {
    return table_[position / store_.block_size] * store_.block_size + position % store_.block_size;
  }
  const std::byte* RowOf(int64_t position) const;

  kernels::KvStore store_;
  bool is_packed_;
  const int32_t* table_;
};

}  // namespace atb
