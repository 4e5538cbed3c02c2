#include <algorithm>
#include <cstring>

#include "base/align.h"
#include "kernels/kv_pack.h"
#include "ops/attention/kv_tensor.h"
#include "ops/check.h"
#include "ops/factories.h"
#include "ops/norm/norm.h"
#include "ops/rows.h"

namespace atb {
namespace {

/// How many keys are rotated before they are written together: whole panels of the cache's layout.
constexpr int64_t kRun = 32;

struct QkvRopeCacheParam {
  int64_t heads;
  int64_t kv_heads;
  int64_t head_dim;
  bool rotate;
  bool norm;
  bool plus_one;  ///< The norms multiply with gamma + 1.
  float epsilon;
};

/// Our extension: what Split, RmsNorm of each head (Qwen3), Rope and ReshapeAndCache compute one after another, without
/// rounding in between. Inputs: qkv [T, (heads + 2 kv_heads) D], the two caches [blocks, block_size, kv_heads, D],
/// slots i32 [T], unless rotaryCoeff is 0 cos and sin [T, D], with normEpsilon also the gammas [D] of queries and keys.
/// Outputs: rotated queries [T, heads D]; the caches, in place, as ReshapeAndCache leaves them.
class QkvRopeCache : public Operation {
 public:
  static constexpr const char* kOp = "QkvRopeCache";
  enum Input { kQkv, kKeyCache, kValueCache, kSlots, kCos, kSin };

  explicit QkvRopeCache(const QkvRopeCacheParam& param) : param_(param) {}
  int NumInputs() const override { return GammaOf(param_) + (param_.norm ? 2 : 0); }
  int NumOutputs() const override { return 3; }
  bool InPlace(int input, int output) const override { return output > 0 && input == kKeyCache + output - 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const TensorDesc& qkv = in[kQkv];
    RequireFloat(kOp, kQkv, qkv);
    RequireRank(kOp, kQkv, qkv, 2, 2);
    if (qkv.dim(1) != Width()) FailShape(kOp, kQkv, "[tokens," + std::to_string(Width()) + "]", qkv);
    for (int i = kCos; i < GammaOf(param_); ++i) {
      const TensorDesc& table = At(in, i);
      RequireFloat(kOp, i, table);
      RequireRank(kOp, i, table, 2, 2);
      if (table.dim(0) != qkv.dim(0) || table.dim(1) != param_.head_dim) {
        const std::string expected = std::to_string(qkv.dim(0)) + "," + std::to_string(param_.head_dim);
        FailShape(kOp, i, "[" + expected + "]", table);
      }
    }
    for (int i = kKeyCache; i <= kValueCache; ++i) {
      const TensorDesc& cache = At(in, i);
      RequireKvCache(kOp, i, cache, i == kValueCache, qkv);
      RequireHeads(kOp, i, cache, param_.kv_heads, param_.head_dim);
      out[static_cast<size_t>(i - kKeyCache + 1)] = cache;
    }
    RequireVector(kOp, kSlots, in[kSlots], DType::kI32, qkv.dim(0));
    for (int i = GammaOf(param_); i < NumInputs(); ++i) RequireVector(kOp, i, At(in, i), qkv.dtype, param_.head_dim);
    out[0] = qkv;
    out[0].dims[1] = param_.heads * param_.head_dim;
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads, const kernels::KernelTable&) const override {
    return SlotBuffersAt(threads) +
           static_cast<size_t>(threads) * std::max(SlotBufferBytes(in[kKeyCache]), SlotBufferBytes(in[kValueCache]));
  }

  void Validate(std::span<const Tensor> in) const override {
    ValidateSlots(kOp, kSlots, in[kSlots], in[kKeyCache].desc, in[kValueCache].desc);
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    for (size_t i = 0; i < 2; ++i) {
      const Tensor& cache = in[kKeyCache + i];
      if (out[1 + i].data != cache.data) std::memcpy(out[1 + i].data, cache.data, KvCacheBytes(cache.desc));
    }
    const Work work(*this, in, out, ctx);
    const int64_t tokens = in[kQkv].desc.dim(0);
    // One thread writes the keys, or the values, of a head for all tokens, so that blocks are zeroed before they are
    // filled.
    const int64_t per_head = std::max<int64_t>(1, tokens * param_.head_dim);
    const int64_t heads = std::clamp<int64_t>(kPieceElements / per_head, 1, 2 * param_.kv_heads);
    const int64_t per_token = param_.heads * param_.head_dim;
    const int64_t rows = std::max<int64_t>(1, kPieceElements / per_token);
    const int64_t head_pieces = CeilDiv(2 * param_.kv_heads, heads);
    const int64_t row_pieces = CeilDiv(tokens, rows);
    const auto piece = [&](int64_t i, int worker) {
      if (i < head_pieces) {
        const int64_t end = std::min(2 * param_.kv_heads, (i + 1) * heads);
        for (int64_t head = i * heads; head < end; ++head) work.CacheHead(head, worker);
      } else {
        const int64_t end = std::min(tokens, (i - head_pieces + 1) * rows);
        for (int64_t t = (i - head_pieces) * rows; t < end; ++t) work.Query(t, worker);
      }
    };
    const int64_t pieces = head_pieces + row_pieces;
    if (tokens * Width() > kPieceElements) return ctx.pool.ParallelFor(pieces, piece);
    for (int64_t i = 0; i < pieces; ++i) piece(i, 0);
  }

 private:
  /// The gamma of queries, which that of keys follows.
  static int GammaOf(const QkvRopeCacheParam& param) { return param.rotate ? kSin + 1 : kSlots + 1; }

  static constexpr int kBuffers = 4;

  int64_t Width() const { return (param_.heads + 2 * param_.kv_heads) * param_.head_dim; }
  size_t SlotBuffersAt(int threads) const {
    return RowBuffers::Bytes(2, 1, param_.head_dim) + RowBuffers::Bytes(threads, kBuffers, BufferFloats());
  }
  /// Room for the queries of a token, or for a run of keys of one head.
  int64_t BufferFloats() const { return std::max(param_.heads, kRun) * param_.head_dim; }

  class Work {
   public:
    Work(const QkvRopeCache& op, std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx)
        : op_(op),
          p_(op.param_),
          in_(in),
          out_(out),
          kernels_(ctx.kernels),
          buffers_(ctx.workspace + RowBuffers::Bytes(2, 1, p_.head_dim), kBuffers, op.BufferFloats()),
          slot_buffers_(ctx.workspace + op.SlotBuffersAt(ctx.pool.threads())) {
      const RowBuffers gammas(ctx.workspace, 1, p_.head_dim);
      for (int i = 0; p_.norm && i < 2; ++i)
        gamma_[i] = LoadGamma(kernels_, At(in, GammaOf(p_) + i), p_.head_dim, p_.plus_one, gammas(i, 0));
    }

    void Query(int64_t token, int worker) const {
      const int64_t size = p_.heads * p_.head_dim;
      if (!p_.rotate && !p_.norm) {
        const size_t bytes = static_cast<size_t>(size) * SizeOf(in_[kQkv].desc.dtype);
        std::memcpy(ElementAt(out_[0], token * size), ElementAt(in_[kQkv], token * op_.Width()), bytes);
        return;
      }
      const float* x = LoadFloats(kernels_, in_[kQkv], token * op_.Width(), size, buffers_(worker, 0));
      float* y = FloatTarget(out_[0], token * size, buffers_(worker, 1));
      Rotate(x, y, p_.heads, token, gamma_[0], worker);
      StoreFloats(kernels_, out_[0], token * size, size, y);
    }

    /// Writes all tokens of one head. Heads of values are counted behind those of keys.
    void CacheHead(int64_t head, int worker) const {
      const bool values = head >= p_.kv_heads;
      const Tensor& cache = out_[values ? 2 : 1];
      const int64_t kv_head = values ? head - p_.kv_heads : head;
      const int32_t* slots = in_[kSlots].As<int32_t>();
      const int64_t tokens = in_[kQkv].desc.dim(0);
      const int64_t block_size = cache.desc.dim(1);
      const bool own_layout = cache.desc.layout != Layout::kRowMajor;
      // All blocks are zeroed before the first write, because a later token may belong to an earlier slot.
      for (int64_t t = 0; own_layout && t < tokens; ++t) {
        if (slots[t] >= 0 && slots[t] % block_size == 0) ZeroHead(StoreOf(cache), slots[t] / block_size, kv_head);
      }
      for (int64_t t = 0; t < tokens;) {
        int64_t n = 1;
        const auto follows = [&] { return slots[t + n] == slots[t] + n && slots[t + n] % block_size != 0; };
        while (n < kRun && t + n < tokens && follows()) ++n;
        if (slots[t] >= 0) WriteRun(cache, kv_head, slots[t], t, n, head, worker);
        t += n;
      }
    }

   private:
    /// Tokens [token, token + n) of one head to consecutive slots of a block.
    void WriteRun(const Tensor& cache, int64_t kv_head, int64_t slot, int64_t token, int64_t n, int64_t head,
                  int worker) const {
      const int64_t first = token * op_.Width() + (p_.heads + head) * p_.head_dim;
      const void* rows = ElementAt(in_[kQkv], first);
      DType dtype = in_[kQkv].desc.dtype;
      int64_t stride = op_.Width();
      if (head < p_.kv_heads && (p_.rotate || p_.norm)) {
        // Keys that become integers are not rounded to the dtype of qkv first.
        if (cache.desc.dtype == DType::kI8) dtype = DType::kF32;
        const Tensor keys{TensorDesc(dtype, {n, p_.head_dim}), buffers_(worker, 1)};
        for (int64_t i = 0; i < n; ++i) {
          const float* x = LoadFloats(kernels_, in_[kQkv], first + i * op_.Width(), p_.head_dim, buffers_(worker, 0));
          float* y = FloatTarget(keys, i * p_.head_dim, buffers_(worker, 0));
          Rotate(x, y, 1, token + i, gamma_[1], worker);
          StoreFloats(kernels_, keys, i * p_.head_dim, p_.head_dim, y);
        }
        rows = keys.data;
        stride = p_.head_dim;
      }
      if (cache.desc.layout != Layout::kRowMajor) {
        std::byte* buffer = slot_buffers_ + static_cast<size_t>(worker) * SlotBufferBytes(cache.desc);
        return WriteRows(StoreOf(cache), kernels_, slot, kv_head, rows, dtype, stride, n, buffer);
      }
      const auto bytes = static_cast<int64_t>(SizeOf(cache.desc.dtype));
      for (int64_t i = 0; i < n; ++i) {
        std::memcpy(ElementAt(cache, ((slot + i) * p_.kv_heads + kv_head) * p_.head_dim),
                    static_cast<const std::byte*>(rows) + i * stride * bytes, static_cast<size_t>(p_.head_dim * bytes));
      }
    }

    /// Normalises heads of one token where there is a gamma, and rotates them. `y` may be `x`.
    void Rotate(const float* x, float* y, int64_t heads, int64_t token, const float* gamma, int worker) const {
      const int64_t d = p_.head_dim;
      const float* cos = p_.rotate ? LoadFloats(kernels_, in_[kCos], token * d, d, buffers_(worker, 2)) : nullptr;
      const float* sin = p_.rotate ? LoadFloats(kernels_, in_[kSin], token * d, d, buffers_(worker, 3)) : nullptr;
      for (int64_t at = 0; at < heads * d; at += d) {
        const float* head = x + at;
        if (gamma) {
          kernels_.rms_norm(head, gamma, y + at, d, p_.epsilon);
          head = y + at;
        }
        if (p_.rotate) kernels_.rope(head, cos, sin, y + at, d);
      }
    }

    const QkvRopeCache& op_;
    const QkvRopeCacheParam& p_;
    std::span<const Tensor> in_;
    std::span<const Tensor> out_;
    const kernels::KernelTable& kernels_;
    RowBuffers buffers_;
    std::byte* slot_buffers_;
    const float* gamma_[2] = {nullptr, nullptr};
  };

  QkvRopeCacheParam param_;
};

}  // namespace

std::unique_ptr<Operation> CreateQkvRopeCache(const ParamObject& object) {
  ParamReader reader(QkvRopeCache::kOp, object);
  QkvRopeCacheParam param{};
  param.heads = reader.RequiredInt("headNum", 1, kMostHeads);
  param.kv_heads = reader.RequiredInt("kvHeadNum", 1, kMostHeads);
  param.head_dim = reader.RequiredInt("headDim", 2, 1 << 16);
  if (param.head_dim % 2 != 0) reader.Fail("headDim", "even");
  const int64_t rotary = reader.Int("rotaryCoeff", 2, 0, 2);
  if (rotary == 1) reader.Fail("rotaryCoeff", "0 or 2");
  param.rotate = rotary == 2;
  param.norm = object.contains("normEpsilon");
  param.epsilon = static_cast<float>(reader.Number("normEpsilon", 0));
  if (param.epsilon < 0.0f) reader.Fail("normEpsilon", "at least 0");
  param.plus_one = reader.Enum("normType", {"rms", "rms-plus-one"}, 0) == 1;
  if (param.plus_one && !param.norm) reader.Fail("normType", "rms without normEpsilon");
  reader.Done();
  return std::make_unique<QkvRopeCache>(param);
}

}  // namespace atb
