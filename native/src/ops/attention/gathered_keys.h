#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/align.h"
#include "kernels/kv_pack.h"
#include "ops/attention/attention.h"

namespace atb {

/// Room for keys that are copied side by side, those of some queries at a time: each query attends to its own as to a
/// sequence of one head of keys.
struct GatheredKeys {
  /// They take no more memory than this, unless those of one query do.
  static constexpr int64_t kMostBytes = int64_t{64} << 20;

  int64_t row_blocks;  ///< Blocks of one query's keys.
  int64_t rows;        ///< Queries whose keys are copied at a time.
  int64_t bytes;

  /// For so many queries in all, each with at most `most` keys.
  GatheredKeys(DType dtype, int64_t head_dim, int64_t most, int64_t queries)
      : row_blocks(std::max<int64_t>(1, CeilDiv(most, KvPacker::kBlock))) {
    const int64_t row_bytes = row_blocks * StoreFor(dtype, head_dim, 1).HeadBytes();
    rows = std::min(std::max<int64_t>(queries, 1), std::max<int64_t>(1, kMostBytes / row_bytes));
    bytes = rows * row_bytes;
  }

  /// Attention of `count` queries, at most `rows`. `queries` have a `token` and a `count` of keys each; gather(query,
  /// begin, n, store, block) makes a block of a store out of n of a query's keys. The work has all but its sequences.
  template <typename Query, typename Gather>
  void Attend(AttentionWork work, const AttentionExtents& extents, const Query* queries, int64_t count,
              std::byte* memory, std::byte* workspace, const Context& ctx, Gather&& gather) const {
    if (count == 0) return;
    work.block_size = KvPacker::kBlock;
    work.blocks = rows * row_blocks;
    work.count = count;
    kernels::KvStore store = StoreFor(work.cache_dtype, work.head_dim, work.blocks);
    store.data = memory;
    ctx.pool.ParallelFor(count * row_blocks, [&](int64_t block, int) {
      const Query& query = queries[block / row_blocks];
      const int64_t begin = block % row_blocks * KvPacker::kBlock;
      const int64_t n = std::min(KvPacker::kBlock, query.count - begin);
      if (n > 0) gather(query, begin, n, store, block);
    });
    for (int64_t i = 0; i < count; ++i) {
      const std::byte* keys = memory + i * row_blocks * store.HeadBytes();
      work.sequences[i] = {queries[i].token, 1, queries[i].count, nullptr, keys, nullptr, 0, 0};
    }
    atb::Attend(work, extents, ctx, workspace);
  }

 private:
  static kernels::KvStore StoreFor(DType dtype, int64_t head_dim, int64_t blocks) {
    return {nullptr, dtype, false, blocks, KvPacker::kBlock, 1, head_dim};
  }
};

}  // namespace atb
