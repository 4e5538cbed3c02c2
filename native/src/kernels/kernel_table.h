#pragma once
// Included by files compiled for one ISA: C headers and plain data only, no inline functions (see docs/architecture.md).
#include <stdint.h>

#include "kernels/kv_layout.h"
#include "kernels/packed_weight.h"
#include "tensor/dtype.h"

namespace atb::kernels {

enum class BinaryOp : uint8_t { kAdd, kSub, kMul, kDiv };

enum class UnaryOp : uint8_t {
  kRelu, kGeluTanh, kGeluErf, kFastGelu, kSwish, kSigmoid, kLog, kMuls, kCos, kSin, kNeg, kTanh,
};

/// What happens to a product before it is rounded to `out`, in this order: + bias, SwiGLU, + residual. All in f32.
struct GemmCall {
  const PackedWeight* weight;
  const void* x;  ///< [m, k] of the dtype that the format multiplies (bf16, f32, f16); rows x_stride elements apart.
  int64_t m;
  int64_t x_stride;
  const void* bias;  ///< [n] in the order of the weight's rows, or null.
  DType bias_dtype;
  bool swiglu;           ///< weight->interleaved: out[:, j] = silu(gate_j) * up_j, n/2 columns.
  const void* residual;  ///< [m, columns of out] of out_dtype, rows out_stride apart, or null. May be `out` itself.
  void* out;             ///< [m, n] (n/2 with swiglu) in the order of the weight's rows, rows out_stride elements apart.
  DType out_dtype;
  int64_t out_stride;
  // For weights of integers. Multiply (ops/linear/gemm.h) takes rows of x_dtype; kernels take what `quantize` makes of them:
  // x is blocks of kBlockRows[planes] rows, the last one shorter, a block of R rows int8 [k / 64][planes][R][64] with k
  // padded by zeros to whole 64s. A row is x_scales[row] times the whole numbers whose digits to base 256, each from
  // -128 to 127, the planes hold.
  DType x_dtype = DType::kF32;      ///< f32, f16, bf16, or i8 with one plane and x_scales (null: all 1).
  int planes = 0;                   ///< 1, 2 or 3.
  const float* x_scales = nullptr;  ///< [m]
};

/// Rows of a block of integer activations by planes: all planes of a block fit two AMX tiles.
constexpr int64_t kBlockRows[] = {0, 32, 16, 8};

/// One (sequence, kv head, query tile): `q_tokens` consecutive query tokens and the `group` query heads that share the
/// kv head, so q_tokens * group rows; row r is token r / group, head kv_head * group + r % group.
struct AttendCall {
  const void* q;  ///< First query token of the tile, head 0: [q_tokens, q_heads, head_dim], tokens q_stride elements apart.
  DType dtype;    ///< Of q.
  int64_t q_tokens;
  int64_t q_stride;
  int64_t group;
  int64_t kv_head;
  int64_t blocks;  ///< Of the cache: one kv head's blocks lie together.
  int64_t head_dim;
  int64_t q_position;  ///< Position of the first query token; key j is visible to a query at p when p - window < j <= p.
  int64_t window;      ///< Keys visible to a query, itself included; 0: no limit.
  bool causal;
  int64_t context_len;  ///< Keys of the sequence.
  float scale;
  DType cache_dtype;    ///< dtype or i8.
  const void* k_cache;  ///< Layout of kv_layout.h.
  const void* v_cache;
  const int32_t* block_table;  ///< Block of keys [i * block_size, ...); null: block i is i.
  int64_t block_size;
  const float* mask;  ///< Added to the scaled scores: [q_tokens, context_len] rows mask_stride apart, or null. A key is
                      ///< not seen where the sum is below kLeastScore.
  int64_t mask_stride;
};

/// Unnormalised attention of some rows over some keys, relative to the rows' largest scores; attention is out / sum
/// once all keys are merged. Rows that see no key hold (-inf, 0, zeros).
struct AttendPartial {
  float* max;  ///< [rows], -inf where no key is visible.
  float* sum;  ///< [rows]
  float* out;  ///< [rows, head_dim]
};

/// Every hot loop, one pointer each, one table per ISA. Kernels take pointers and extents; they allocate nothing,
/// start no threads and cannot fail. One element's result never depends on how many rows share the call.
struct KernelTable {
  const char* isa;

  /// dst[i] = f32(src[i]) for f32, f16, bf16.
  void (*to_f32)(const void* src, DType dtype, float* dst, int64_t n);
  /// dst[i] = src[i] rounded to nearest even.
  void (*from_f32)(const float* src, void* dst, DType dtype, int64_t n);

  /// out[i] = x[i] / sqrt(mean(x^2) + epsilon) * weight[i]. Every row kernel may write over its input.
  void (*rms_norm)(const float* x, const float* weight, float* out, int64_t size, float epsilon);
  /// out[i] = (x[i] - mean) / sqrt(var + epsilon) * weight[i] + bias[i]; var is the biased one.
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float* out, int64_t size, float epsilon);
  void (*binary)(BinaryOp op, const float* a, const float* b, float* out, int64_t n);
  /// `arg`: the factor of kMuls, the scale of kSwish.
  void (*unary)(UnaryOp op, const float* x, float* out, int64_t n, float arg);
  /// out[i] = silu(gate[i]) * up[i].
  void (*swiglu)(const float* gate, const float* up, float* out, int64_t n);
  /// One head, rotate-half: out[i] = x[i] * cos[i] + rotated[i] * sin[i], rotated = (-x2, x1). `size` is even.
  void (*rope)(const float* x, const float* cos, const float* sin, float* out, int64_t size);
  void (*softmax)(const float* x, float* out, int64_t n);
  /// maxima[b] = the largest of x[b * kMaximaBlock ...], of n in all; NaN where one of them is NaN or +inf.
  void (*block_maxima)(const float* x, int64_t n, float* maxima);

  /// A row of k numbers (f32, f16 or bf16) as whole numbers times the scale that is returned. With one plane the scale
  /// is max |x| / 127 and a number x / scale rounded to nearest even. With two or three it is the smallest power of two
  /// (2^-126 at least) for which round(x / scale) fits the digits: 16 bits less a little, or 24. The i-th 64 channels of
  /// a plane go to out + i * step + plane * plane_stride, zeros behind the last. The scale of a row that is not finite
  /// is NaN, that of a zero row 0; both have zeros.
  float (*quantize)(const void* x, DType dtype, int64_t k, int planes, int8_t* out, int64_t step, int64_t plane_stride);
  /// A row of weights as out[i] * multiplier of i's group * the scale that is returned: int4 from -8 to 7, one multiplier
  /// from -15 to 15 for each `group` numbers, of a few the one with the least square error. The products of scale and
  /// multipliers are exact in f32. `out` has room for whole groups of 16. All tables give the same. The scale of a row
  /// that is not finite is NaN, that of a row of zeros 0.
  float (*quantize_int4)(const float* x, int64_t k, int64_t group, int8_t* out, int8_t* multipliers);
  /// Sixteen rows side by side: four bytes at `rows` + r * row_stride + i * 4 go to `out` + (i * 16 + r) * 4, for i below
  /// `units`. Rows may lie anywhere, `out` is 64-byte aligned.
  void (*pack_lines)(const void* rows, int64_t row_stride, int64_t units, void* out);
  /// Columns of panels [panel_begin, panel_end) of x * weight^T with its epilogue. With swiglu, panels come in pairs.
  /// `scratch`: gemm_scratch_bytes, 64-byte aligned, one per thread.
  void (*gemm)(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* scratch);
  int64_t gemm_scratch_bytes;
  /// By WeightFormat: panels that gemm reads side by side when rows are few, the least to hand to one thread at a time.
  int64_t gemm_streams[kWeightFormats];

  /// Attention of the tile's rows over keys [key_begin, key_end), key_begin a multiple of kAttendChunk and
  /// key_end - key_begin <= kAttendChunk. `scratch`: attend_scratch_bytes, one per thread.
  void (*attend)(const AttendCall& call, int64_t key_begin, int64_t key_end, const AttendPartial& out, void* scratch);
  /// acc = merge of acc and part, in this order, for `rows` rows. A part without visible keys changes nothing; an acc of
  /// (-inf, 0, zeros) becomes part.
  void (*merge)(const AttendPartial& acc, const AttendPartial& part, int64_t rows, int64_t head_dim);
  int64_t attend_scratch_bytes;

  /// Multiplies register blocks of the widest bf16 products that the table has (f32 where it has none), whose operands
  /// come from `memory`, kYardstickBytes of ordinary bf16 numbers, so out of L2. Returns the floating point operations.
  int64_t (*yardstick)(const void* memory);
};

constexpr int64_t kYardstickBytes = 1 << 20;
constexpr int64_t kMaximaBlock = 64;

}  // namespace atb::kernels
