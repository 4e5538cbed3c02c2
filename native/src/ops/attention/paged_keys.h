#pragma once
#include <cstdint>

#include "kernels/kernel_table.h"
#include "kernels/kv_pack.h"
#include "tensor/tensor.h"

namespace atb {

/// The keys of one sequence, one head of them, in a paged cache: in the layout of kernels/kv_layout.h, or row-major.
class PagedKeys {
 public:
  PagedKeys(const Tensor& cache, const int32_t* table) : PagedKeys(cache, table, 1, cache.desc.dim(1)) {}
  /// Keys that stand for `stride` tokens each, in blocks of so many tokens: that at place i is the row of the token at
  /// position (i + 1) * stride - 1, the last of its own, in a block which has a row for every `stride` tokens.
  PagedKeys(const Tensor& cache, const int32_t* table, int64_t stride, int64_t block_tokens);

  /// Writes sixteen keys from `position` on, a multiple of 16, as f32 [head_dim][16]. Those from `end` on may be
  /// anything.
  void Widen(int64_t position, int64_t end, const kernels::KernelTable& kernels, float* out) const;

  /// Makes a block of `to` out of the keys at `count` positions, and of zeros behind them; no other key is read. `to`
  /// has one head of keys of the cache's dtype and head size.
  void Gather(const int32_t* positions, int64_t count, const kernels::KvStore& to, int64_t block) const {
    Gather(positions, count, to, block, *this, count);
  }
  /// The same of two caches alike: positions from number `split` on, which may be below 0, are those of `others`.
  void Gather(const int32_t* positions, int64_t count, const kernels::KvStore& to, int64_t block,
              const PagedKeys& others, int64_t split) const;

 private:
  int64_t SlotOf(int64_t place) const {
    const int64_t position = (place + 1) * stride_ - 1;
    return table_[position / block_tokens_] * store_.block_size + position % block_tokens_ / stride_;
  }
  const std::byte* RowOf(int64_t position) const;

  kernels::KvStore store_;
  bool is_packed_;
  const int32_t* table_;
  int64_t stride_;
  int64_t block_tokens_;
};

}  // namespace atb
