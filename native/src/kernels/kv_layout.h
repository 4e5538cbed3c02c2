#pragma once
#include <stdint.h>

namespace atb::kernels {

/// A KV cache is stored head by head, [kv_heads][blocks]. When the blocks of a sequence follow one another, the scan of
/// a head is one stream, which memory delivers a third faster than pieces of 16 KB. Inside a (kv head, block):
///
/// bf16 keys    [block_size/16][ceil(head_dim/32)][16 d-pairs][16 keys][2]   tiles of Q K^T: 16 keys are the columns
/// bf16 values  [block_size/32][ceil(head_dim/16)][16 key-pairs][16 d][2]    tiles of P V: 32 keys are the depth
/// other keys   [block_size/16][head_dim][16 keys]
/// other values [block_size][head_dim]
///
/// Zeros pad head_dim as shown. Block sizes are multiples of 32.
///
/// A cache of int8 holds integers, and a scale for each token and kv head; a number is scale * integer. The slots form
/// groups of G = 64, or of 32 where the block size is no multiple of 64. The scales of a group follow its integers, so
/// that a scan stays one stream:
///
/// int8 keys    [block_size/G] { [G/16][head_dim/4][16 keys][4 d], f32 scales [G] }
/// int8 values  [block_size/G] { [ceil(head_dim/16)][G/4][16 d][4 keys], f32 scales [G] }
constexpr int64_t kIntegerGroup = 64;  ///< G.
constexpr int64_t kKeyPanel = 16;      ///< Keys side by side.
constexpr int64_t kValueDepth = 32;    ///< Values of a tile, and the slots of a group in a cache of floats.
constexpr int64_t kMinBlockSize = 32;

/// Keys whose attention is computed as one piece. Pieces are merged in the order of positions. Prefill and decode cut
/// at the same places, so that a query's result does not depend on how its prompt was chunked or on who shares its
/// batch.
constexpr int64_t kAttendChunk = 256;

/// Head dimensions are multiples of 8 up to this: MLA's latent vector of 512 numbers with 64 rotated ones behind it.
constexpr int64_t kMaxHeadDim = 576;

/// A key whose score is below this counts as masked by -infinity: ATB's SelfAttention forbids a key with -3e38 in bf16.
constexpr float kLeastScore = -1e38f;

/// The most query rows of a call of attention. A piece of keys is read from memory once for all of them.
constexpr int64_t kAttendRows = 128;

/// Query rows that kernels compute together: one AMX tile of rows.
constexpr int64_t kAttendTile = 16;

}  // namespace atb::kernels
