#pragma once
#include <cstddef>
#include <cstdint>

#include "ops/operation.h"
#include "ops/param.h"

namespace atb {

/// What SelfAttention and PagedAttention have in common: the params, and the work over sequences.
struct AttentionParam {
  int64_t heads = 0;
  int64_t kv_heads = 0;
  float scale = 1;
  /// Extension keys, which stand for a mask: a key later than the query is not seen, nor one `window` or more before
  /// it.
  bool causal = false;
  int64_t window = 0;

  /// Reads headNum, kvHeadNum, qkScale, causal, windowSize, and the keys that must hold their defaults in both.
  static AttentionParam Read(ParamReader& reader);
  int64_t group() const { return heads / kv_heads; }
};

/// One sequence: its queries are the last of its keys.
struct AttentionSequence {
  int64_t q_begin;  ///< First query among all tokens.
  int64_t q_tokens;
  int64_t context_len;
  const int32_t* block_table;  ///< Null: block i is i.
  const void* k_cache;
  const void* v_cache;
  int64_t mask_row;    ///< The first query's row of the mask.
  int64_t first_item;  ///< Filled by Attend: (kv head, tile) pairs of the sequences before.
};

struct AttentionMask {
  const void* data = nullptr;  ///< Rows of `columns`, a row per query; null: no mask.
  int64_t columns = 0;
  float factor = 1;  ///< Multiplies the mask before it is added.
};

/// Queries [tokens, heads, head_dim] of sequences over caches in the layout of kernels/kv_layout.h.
struct AttentionWork {
  AttentionParam param;
  const void* q;
  void* out;  ///< Like q.
  DType dtype;
  DType cache_dtype;  ///< dtype or i8.
  int64_t tokens;
  int64_t head_dim;
  int64_t blocks;  ///< Of the caches.
  int64_t block_size;
  AttentionMask mask;
  AttentionSequence* sequences;
  int64_t count;
};

/// Upper bounds of a work's extents, for its workspace.
struct AttentionExtents {
  int64_t tokens;
  int64_t sequences;
  int64_t head_dim;
  int64_t max_context;
  int64_t mask_columns;  ///< 0: no mask, or one that is added as it lies.
  bool decode;           ///< One query per sequence.
};

/// Bytes of workspace that Attend needs.
size_t AttendWorkspaceBytes(const AttentionParam& param, const AttentionExtents& extents, int threads,
                            const kernels::KernelTable& kernels);

/// The work, in parallel. Results do not depend on the number of threads, nor on which sequences come together.
/// Queries that see no key get zeros.
void Attend(const AttentionWork& work, const AttentionExtents& extents, const Context& ctx, std::byte* workspace);

/// Rows of one sequence's keys and values, [context_len, kv_heads, head_dim], or such rows in the blocks of a table.
struct KvRows {
  const void* keys;
  const void* values;
  const int32_t* block_table;  ///< Null: position j is row j.
  int64_t block_size;
};

/// Packs row-major keys and values into the workspace, so that Attend can read them.
class KvPacker {
 public:
  /// Slots of a packed block.
  static constexpr int64_t kBlock = 64;

  /// Bytes for sequences of `keys` keys in all.
  static size_t Bytes(DType dtype, int64_t keys, int64_t sequences, int64_t kv_heads, int64_t head_dim);

  KvPacker(DType dtype, int64_t kv_heads, int64_t head_dim) : dtype_(dtype), kv_heads_(kv_heads), head_dim_(head_dim) {}
  /// Points the sequences at packed copies of `rows[i]`. Returns the blocks of the packed caches.
  int64_t Pack(AttentionSequence* sequences, const KvRows* rows, int64_t count, ThreadPool& pool,
               std::byte* workspace) const;

 private:
  DType dtype_;
  int64_t kv_heads_;
  int64_t head_dim_;
};

/// Input `input` must be [tokens, heads, D] or [tokens, heads * D] of floats, D a multiple of 8 up to 256. Returns D.
int64_t RequireQuery(const char* op, int input, const TensorDesc& desc, int64_t heads);
/// The factor that ATB's kernels apply to a mask of type NORM or SPEC: those of bf16 and of high precision take 0
/// and 1.
float MaskFactor(DType dtype, bool high_precision);

}  // namespace atb
