#pragma once
// Files compiled for one ISA include this: C headers and plain data only, no inline functions (docs/architecture.md
// says why).
#include <stdint.h>

#include "kernels/kv_layout.h"
#include "kernels/packed_weight.h"
#include "tensor/dtype.h"

namespace atb::kernels {

enum class BinaryOp : uint8_t { kAdd, kSub, kMul, kDiv };

enum class UnaryOp : uint8_t {
  kNone, kRelu, kRelu2, kGeluTanh, kGeluErf, kFastGelu, kSwish, kSigmoid, kLog, kMuls, kCos, kSin, kNeg, kTanh,
  kExp, kSoftplus,
};

/// Activations [m, k] as kernels multiply them with weights of integers; `quantize` makes them. Row r is scales[r]
/// times k whole numbers. Each number is written to base 256 with digits from -128 to 127, one digit in each plane, the
/// highest one in plane 0.
///
/// The rows are cut into blocks of kBlockRows[planes] rows; the last block has the rows that are left. A block of R
/// rows is int8 [k / 64][planes][R][64], with k padded by zeros to a multiple of 64. So all digits of a block for 64
/// channels lie together, and each [64] is a row of an AMX tile.
struct DigitMatrix {
  const int8_t* blocks = nullptr;
  int planes = 0;                 ///< 1, 2 or 3.
  const float* scales = nullptr;  ///< [m]
  /// [m, groups of the weight], or null where the weight is no int8 with offsets and has no minimums: the sums of a
  /// row's whole numbers over groups.
  const float* sums = nullptr;
};

/// Activation rows of a block, by the number of planes: the digits of all planes are the rows of at most two AMX tiles.
constexpr int64_t kBlockRows[] = {0, 32, 16, 8};

/// What a clamped SwiGLU makes of gates g and of u, which they gate and which is brought within [-limit, limit] first.
/// swish(x) is x * sigmoid(scale * x).
enum class ClampForm : uint8_t {
  kPlusOne,    ///< swish(min(g, limit)) * (u + 1): gpt-oss's.
  kGates,      ///< swish(min(g, limit)) * u
  kActivated,  ///< min(swish(g), limit) * u
};

struct GateClamp {
  float limit = 0;  ///< 0: nothing is clamped, 1 is not added, and scale is 1.
  float scale = 1;
  ClampForm form = ClampForm::kPlusOne;
};

/// What a gemm kernel computes: out = epilogue(x * weight^T). The epilogue, in f32, adds the bias, applies the
/// activation, multiplies gates with what they gate and adds the residual, in this order; then the result is rounded to
/// out_dtype. (Operations ask for a product by a MultiplyCall, ops/linear/gemm.h.)
struct GemmCall {
  const PackedWeight* weight;  ///< [n, k]
  /// [m, k] of x_dtype, rows x_stride elements apart. Null for a weight of integers, which `digits` are multiplied
  /// with.
  const void* x;
  int64_t m;
  int64_t x_stride;
  const void* bias;  ///< [n] in the order of the weight's rows, or null.
  DType bias_dtype;
  /// None, ReLU, a GELU or Swish of scale 1.
  UnaryOp activation = UnaryOp::kNone;
  bool gated = false;    ///< weight->interleaved: out[:, j] = activation(gate_j) * up_j, n/2 columns.
  GateClamp clamp{};     ///< Where gates pass through Swish.
  const void* residual;  ///< [m, columns of out] of out_dtype, rows out_stride apart, or null. May be `out` itself.
  void* out;  ///< [m, n] (n/2 when gated) in the order of the weight's rows, rows out_stride elements apart.
  DType out_dtype;
  int64_t out_stride;
  DigitMatrix digits{};  ///< [m, k], for a weight of integers.
  /// Of x: bf16, f32 or f16. For kE4M3 any of them; else that of the format, whatever this says.
  DType x_dtype = DType::kF32;
};

/// Attention of some query rows: `q_tokens` consecutive query tokens of a sequence and the `group` query heads that
/// share one kv head. It has q_tokens * group rows, at most kAttendRows; row r is token r / group and head kv_head *
/// group + r % group.
struct AttendCall {
  const void* q;  ///< From the tile's first token and head 0 on: [q_tokens, q_heads, head_dim], tokens q_stride apart.
  DType dtype;    ///< Of q; q_stride counts its elements.
  int64_t q_tokens;
  int64_t q_stride;
  int64_t group;
  int64_t kv_head;
  int64_t blocks;  ///< Blocks of the whole cache; those of one kv head lie together.
  int64_t head_dim;   ///< Of queries and keys.
  int64_t value_dim;  ///< Of values and of what comes out.
  /// Position of the first query token. A query at position p sees key j when p - window < j, and when causal j <= p,
  /// or j < seen[t] of the call's token t where there is such a list.
  int64_t q_position;
  int64_t window;      ///< Keys visible to a query, itself included; 0: no limit.
  int64_t chunk;       ///< A query sees none before the last multiple of `chunk` up to its position; 0: no limit.
  bool causal;
  const int32_t* seen;  ///< [q_tokens], never falling from one to the next; or null.
  int64_t context_len;  ///< Keys of the sequence.
  float scale;
  float softcap;        ///< Scaled scores s become softcap * tanh(s / softcap); 0: they stay.
  const float* slopes;  ///< [group], added then: slope * (j - p) for a query at position p and key j; or null.
  DType cache_dtype;    ///< dtype or i8.
  const void* k_cache;  ///< In the layout of kv_layout.h.
  const void* v_cache;  ///< The same; null where values are the first value_dim numbers of each key (MLA).
  void* values;  ///< Without a v_cache: room for the values of kAttendChunk keys. There is one kv head then.
  const int32_t* block_table;  ///< Block of keys [i * block_size, ...); null: block i is i.
  int64_t block_size;
  const float* mask;  ///< Added last: [q_tokens, context_len] rows mask_stride apart, or null. A key is not seen where
                      ///< the sum is below kLeastScore.
  int64_t mask_stride;
  int64_t mask_head_stride;  ///< From a mask of one of the call's heads to that of the next; 0: they share one.
};

/// Attention of some rows over some keys before it is normalised: a key with score s has the weight exp(s - max). When
/// the partial results of all keys have been merged, attention is out / sum. A row that sees no key holds
/// (-inf, 0, zeros).
struct AttendPartial {
  float* max;  ///< [rows], -inf where no key is visible.
  float* sum;  ///< [rows]
  float* out;  ///< [rows, value_dim]
};

/// What a recurrent state decays by: a number for each token, one for each of its rows too (arXiv:2510.26692, equation
/// 1), or one for each of its numbers.
enum class Decays { kOfHead, kByKey, kByRate };

/// Some columns of one head's recurrent state, token by token. With the state S [key_size, columns]:
///   S = decay * S;  d = beta * (v - S^T k), or v where there is no beta;  S = S + k d^T;  out = S^T q
/// which is the gated delta rule (arXiv:2412.06464, equation 10), and without beta Mamba-2 (arXiv:2405.21060).
struct RecurrentCall {
  const float* q;      ///< [tokens, key_size]
  const float* k;      ///< [tokens, key_size]
  const float* v;      ///< [tokens, columns]
  const float* decay;  ///< [tokens], by key [tokens, key_size], by rate [tokens, columns] of steps
  const float* beta;   ///< [tokens], or null
  float* state;        ///< [key_size, columns], rows state_stride apart
  float* out;          ///< [tokens, columns]
  int64_t tokens;
  int64_t key_size;
  int64_t columns;  ///< A multiple of 16.
  int64_t state_stride;
  Decays decays = Decays::kOfHead;
  /// [key_size, columns], read by rate, which goes without beta: each number of the state decays by e^(its rate * its
  /// column's step), as in Mamba (arXiv:2312.00752, equation 4).
  const float* rates = nullptr;
};

/// Each column's convolution with the values before it: out[t] = sum over i of weight[i] * rows[t + i], plus the bias.
struct ConvCall {
  const float* rows;    ///< [taps - 1 + tokens, columns]: those of the tokens before, and the tokens' own.
  const float* weight;  ///< [taps, columns], rows weight_stride apart.
  const float* bias;    ///< [columns], or null.
  float* out;           ///< [tokens, columns]
  int64_t tokens;
  int64_t columns;
  int64_t taps;
  int64_t weight_stride;
  bool swish;  ///< Of what comes out.
};

/// How well keys answer queries, by which those that are attended to are chosen (DeepSeek Sparse Attention): for each
/// query and key the sum over heads of weight * max(q k^T, least), heads in ascending order.
struct IndexCall {
  const float* q;        ///< [tokens, heads, head_dim]
  const float* weights;  ///< [tokens, heads]
  const float* keys;     ///< [panels][head_dim][16 keys]
  float* scores;         ///< [tokens, panels * 16], rows score_stride apart.
  int64_t tokens;
  int64_t heads;
  int64_t head_dim;
  int64_t panels;
  int64_t score_stride;
  float least;  ///< 0; or -infinity, and products stay as they are.
};

/// One pointer for every hot loop, one table for every ISA. Kernels take pointers and extents; they allocate nothing,
/// start no threads and cannot fail. The result of one element never depends on how many rows share the call.
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
  /// out[i] = the sum over j < count of weights[j] * rows[j * stride + i], in ascending order of j.
  void (*mix)(const float* rows, int64_t stride, const float* weights, int64_t count, float* out, int64_t n);
  /// `arg`: the factor of kMuls, the scale of kSwish.
  void (*unary)(UnaryOp op, const float* x, float* out, int64_t n, float arg);
  /// out[i] = silu(gate[i]) * up[i].
  void (*swiglu)(const float* gate, const float* up, float* out, int64_t n);
  /// Rotates one head by halves: out[i] = x[i] * cos[i] + rotated[i] * sin[i], rotated = (-x2, x1). `size` is even.
  void (*rope)(const float* x, const float* cos, const float* sin, float* out, int64_t size);
  void (*softmax)(const float* x, float* out, int64_t n);
  /// maxima[b] = the largest of x[b * kMaximaBlock ...], of n in all; NaN where one of them is NaN or +inf.
  void (*block_maxima)(const float* x, int64_t n, float* maxima);

  /// Makes a row of a DigitMatrix from k numbers (f32, f16 or bf16), and returns its scale. With one plane the scale is
  /// max |x| / 127, and the whole numbers are x / scale rounded to nearest even. With two or three planes the scale is
  /// the smallest power of two, at least 2^-126, for which all round(x / scale) fit 2 or 3 digits. The
  /// 64 channels from 64 i on go to out + i * step + plane * plane_stride, with zeros behind channel k. A row with an
  /// infinity or a NaN has the scale NaN, a row of zeros the scale 0; both get zeros for digits.
  float (*quantize)(const void* x, DType dtype, int64_t k, int planes, int8_t* out, int64_t step, int64_t plane_stride);
  /// The sum of `count` digits, a multiple of 32.
  int32_t (*sum_digits)(const int8_t* digits, int64_t count);
  /// Quantises a row of k weights, and returns its scale: x[i] becomes out[i] * multipliers[i / group] * scale, where
  /// out holds int4 from -8 to 7 and the multipliers go from -15 to 15. Of three multipliers for a group the one with
  /// the least square error is taken. The products of scale and multipliers are exact in f32. `out` has room for k
  /// rounded up to a multiple of 16. All tables give the same numbers. A row with an infinity or a NaN has the scale
  /// NaN, a row of zeros the scale 0.
  float (*quantize_int4)(const float* x, int64_t k, int64_t group, int8_t* out, int8_t* multipliers);
  /// Puts sixteen rows side by side, in units of four bytes: unit i of row r, at rows + r * row_stride + i * 4, goes to
  /// out + (i * 16 + r) * 4, for i < units. Rows may have any alignment, `out` is 64-byte aligned.
  void (*pack_lines)(const void* rows, int64_t row_stride, int64_t units, void* out);
  /// Makes a panel of floats (f32, f16 or bf16, in the format of these) out of a panel of k e2m1 numbers, times the
  /// scales of their groups, [groups][16], of kWidenedGroup. All are rounded to bf16 first.
  void (*widen_e2m1)(const void* panel, const float* scales, int64_t k, DType dtype, void* out);
  /// Computes the columns of panels [panel_begin, panel_end) of the call; when gated both are even. Each thread has
  /// its own `scratch` of gemm_scratch_bytes, 64-byte aligned.
  void (*gemm)(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* scratch);
  int64_t gemm_scratch_bytes;
  /// For each WeightFormat, the panels that gemm reads side by side when rows are few. A thread should get no fewer.
  int64_t gemm_streams[kWeightFormats];

  /// Attention of the call's rows over keys [key_begin, key_end), key_begin < key_end. Pieces begin at multiples of
  /// kAttendChunk, as key_begin is one, and are merged in their order. Each thread has its own `scratch` of
  /// attend_scratch_bytes.
  void (*attend)(const AttendCall& call, int64_t key_begin, int64_t key_end, const AttendPartial& out, void* scratch);
  /// Merges the partial results of `part` into `acc`, whose keys come before. A part without visible keys changes
  /// nothing; an acc of (-inf, 0, zeros) becomes part.
  void (*merge)(const AttendPartial& acc, const AttendPartial& part, int64_t rows, int64_t value_dim);
  int64_t attend_scratch_bytes;

  /// A product that is NaN counts as `least`.
  void (*index_scores)(const IndexCall& call);

  void (*recur)(const RecurrentCall& call);
  void (*conv)(const ConvCall& call);

  /// Multiplies as fast as the table can, to measure what the machine allows: products of bf16, or of f32 where the ISA
  /// has none of bf16. The operands are `memory`, kYardstickBytes of ordinary bf16 numbers, so they come out of L2.
  /// Returns the number of floating point operations.
  int64_t (*yardstick)(const void* memory);
};

constexpr int64_t kYardstickBytes = 1 << 20;
/// Numbers of which block_maxima gives the largest.
constexpr int64_t kMaximaBlock = 64;

}  // namespace atb::kernels
