#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "ops/operation.h"
#include "ops/param.h"

namespace atb {

// What SelfAttention and PagedAttention have in common: the params, and the work over sequences.

struct AttentionParam {
  int64_t heads = 0;
  int64_t kv_heads = 0;
  float scale = 1;
  /// MLA: values are the first so many numbers of each key, of which there is one head; 0: they lie apart.
  int64_t latent = 0;
  // Our extensions, the first four of which stand for a mask. With `causal` a query does not see later keys. With a
  // window it does not see keys that are `window` or more positions before it either, and with chunks of positions none
  // before its own chunk. Slopes, if there are any, are one for each head: times the distance from a query to an
  // earlier key it lowers that key's score (ALiBi).
  bool causal = false;
  int64_t window = 0;
  int64_t chunk = 0;
  std::vector<float> slopes;
  float softcap = 0;  ///< Scaled scores s become softcap * tanh(s / softcap); 0: they stay.
  /// The last input, f32 [heads], has a number for each head that takes part in its softmax as the score of a key whose
  /// value is zero (gpt-oss).
  bool has_sinks = false;
  /// With `causal`: an input behind the lengths, i32 [tokens], says how many keys of its sequence each query sees, in
  /// place of those up to its own: tokens of a picture may see all of it (Gemma 3).
  bool has_seen = false;

  /// Reads headNum, kvHeadNum, qkScale, mlaVHeadSize, causal, windowSize, chunkSize, slopes, softcap, hasSinks,
  /// hasSeen, and the keys that must hold their defaults in both.
  static AttentionParam Read(ParamReader& reader);
  int64_t group() const { return heads / kv_heads; }
};

/// What ATB's kernels multiply a mask by: those of bf16 and of high precision take masks of 0 and 1, the others add a
/// mask as it is (unpad_flashattention_bf16_mix.cce). Those of paged attention add masks of any dtype, but for latent
/// attention (paged_MLAttention_multi_token_prediction.cce).
inline float MaskFactor(DType dtype, bool high_precision = false) {
  return dtype == DType::kBF16 || high_precision ? -3e38f : 1.0f;
}

/// What queries of `q` give: of their shape, with heads as long as values are, which may differ from `head_dim`. Throws
/// NATIVE_SHAPE_MISMATCH where values are parts of keys and longer than these.
TensorDesc AttentionResult(const char* op, int input, const AttentionParam& param, const TensorDesc& q,
                           int64_t head_dim, int64_t value_dim);

/// One sequence. Its queries belong to the last of its keys.
struct AttentionSequence {
  int64_t q_begin;  ///< First query among all tokens.
  int64_t q_tokens;
  int64_t context_len;
  const int32_t* block_table;  ///< Null when block i of the sequence is block i of the cache.
  const void* k_cache;
  const void* v_cache;  ///< Null where values are parts of keys.
  int64_t mask_row;     ///< The first query's row of the mask.
  int64_t first_tile;   ///< Set by Attend: tiles of the sequences before this one.
};

struct AttentionMask {
  const void* data = nullptr;  ///< Rows of `columns`, a row per query; null: no mask.
  int64_t columns = 0;
  float factor = 1;       ///< Multiplies the mask before it is added.
  int64_t head_rows = 0;  ///< Rows from the mask of one head to that of the next; 0: all heads share one.
};

/// Queries [tokens, heads, head_dim] of sequences over caches in the layout of kernels/kv_layout.h.
struct AttentionWork {
  const AttentionParam& param;
  const void* q = nullptr;
  void* out = nullptr;  ///< [tokens, heads, value_dim]
  DType dtype{};
  DType cache_dtype{};    ///< dtype or i8.
  int64_t head_dim = 0;   ///< Of queries and keys.
  int64_t value_dim = 0;  ///< Of values and of what comes out.
  int64_t blocks = 0;     ///< Of the caches.
  int64_t block_size = 0;
  AttentionMask mask{};
  AttentionSequence* sequences = nullptr;
  int64_t count = 0;
  const float* sinks = nullptr;   ///< [heads], or null.
  const int32_t* seen = nullptr;  ///< [tokens], or null.
};

/// Upper bounds of a work's extents, for its workspace.
struct AttentionExtents {
  int64_t tokens;
  int64_t sequences;
  int64_t head_dim;   ///< Of queries and keys.
  int64_t value_dim;  ///< Of values and of what comes out.
  DType cache_dtype;
  int64_t max_context;
  int64_t mask_columns;  ///< 0 when there is no mask, or it needs no conversion.
  bool mask_by_head;     ///< Each head has a mask of its own.
  bool decode;           ///< One query per sequence.
};

/// Bytes of workspace that Attend needs.
size_t AttendWorkspaceBytes(const AttentionParam& param, const AttentionExtents& extents, int threads,
                            const kernels::KernelTable& kernels);

/// Does the work in parallel. A result depends neither on the number of threads, nor on which sequences share the call.
/// Queries that see no key get zeros.
void Attend(const AttentionWork& work, const AttentionExtents& extents, const Context& ctx, std::byte* workspace);

/// Row-major keys and values of one sequence: rows [kv_heads, head_dim] and [kv_heads, value_dim] one after another, or
/// in the blocks of a table.
struct KvRows {
  const void* keys;
  const void* values;          ///< Null where they are parts of the keys.
  const int32_t* block_table;  ///< Null: position j is row j.
  int64_t block_size;
};

/// Packs row-major keys and values into the workspace, so that Attend can read them.
class KvPacker {
 public:
  /// Tokens of a packed block.
  static constexpr int64_t kBlock = 64;

  /// Bytes of the workspace for sequences that have `keys` keys together.
  static size_t Bytes(DType dtype, int64_t keys, int64_t sequences, const AttentionParam& param, int64_t head_dim,
                      int64_t value_dim);

  KvPacker(DType dtype, const AttentionParam& param, int64_t head_dim, int64_t value_dim)
      : dtype_(dtype),
        kv_heads_(param.kv_heads),
        has_values_(param.latent == 0),
        head_dim_(head_dim),
        value_dim_(value_dim) {}
  /// Points the sequences at packed copies of `rows[i]`. Returns the blocks of the packed caches.
  int64_t Pack(AttentionSequence* sequences, const KvRows* rows, int64_t count, ThreadPool& pool,
               std::byte* workspace) const;

 private:
  DType dtype_;
  int64_t kv_heads_;
  bool has_values_;
  int64_t head_dim_;
  int64_t value_dim_;
};

/// Of a sequence that brings the last `queries` tokens of its context, `seen` must hold numbers of keys: of each query
/// its own at least and the context's at most, never falling. Throws NATIVE_VALUE_OUT_OF_RANGE.
void CheckSeen(const char* op, int input, const int32_t* seen, int64_t queries, int64_t context);

/// Input `input` must be [tokens, heads, D] or [tokens, heads * D] of floats, D a multiple of 8 up to kMaxHeadDim.
/// Returns D.
int64_t RequireQuery(const char* op, int input, const TensorDesc& desc, int64_t heads);

}  // namespace atb
