#pragma once
#include <stdint.h>

namespace atb::kernels {

/// A KV cache is stored head by head, [kv_heads][blocks]: the scan of a head over blocks that follow one another is one
/// stream, which memory delivers a third faster than pieces of 16 KB. Inside a (kv head, block):
///
/// bf16 keys    [block_size/16][ceil(head_dim/32)][16 d-pairs][16 keys][2]   tiles of Q K^T: 16 keys are the columns
/// bf16 values  [block_size/32][ceil(head_dim/16)][16 key-pairs][16 d][2]    tiles of P V: 32 keys are the depth
/// other keys   [block_size/16][head_dim][16 keys]
/// other values [block_size][head_dim]
///
/// head_dim is padded as shown, with zeros. Block sizes are multiples of 32.
///
/// A cache of int8 holds integers and a scale per token and kv head; a number is scale * integer. Groups of G slots, G =
/// 64, or 32 where the block size is no multiple of 64, have their scales behind them, so that a scan stays one stream:
///
/// int8 keys    [block_size/G] { [G/16][head_dim/4][16 keys][4 d], f32 scales [G] }
/// int8 values  [block_size/G] { [ceil(head_dim/16)][G/4][16 d][4 keys], f32 scales [G] }
constexpr int64_t kIntegerGroup = 64;
constexpr int64_t kKeyPanel = 16;
constexpr int64_t kValueDepth = 32;
constexpr int64_t kMinBlockSize = 32;

/// Keys whose attention is computed as one piece; pieces merge in order of position. Every phase cuts at the same
/// places, so a query's result does not depend on how its prompt was chunked or on who shares its batch.
constexpr int64_t kAttendChunk = 256;

/// Head dimensions are multiples of 8 up to this.
constexpr int64_t kMaxHeadDim = 256;

/// A key whose score is below this is not seen, as if its mask were -infinity: ATB's bf16 masks forbid with -3e38.
constexpr float kLeastScore = -1e38f;

/// Query rows that share one piece of work: one AMX tile of rows.
constexpr int64_t kAttendRows = 16;

}  // namespace atb::kernels
