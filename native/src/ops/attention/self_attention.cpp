#include <algorithm>

#include "base/align.h"
#include "ops/attention/attention.h"
#include "ops/check.h"
#include "ops/factories.h"

namespace atb {
namespace {

/// Prefill (PA_ENCODER): q [tokens, heads, D] of packed sequences over their own k [tokens, kvHeads, D] and v [tokens,
/// kvHeads, Dv]; each may also be [tokens, heads * D]. Without a mask every token of a sequence sees every other.
/// Inputs: q, k, v unless mlaVHeadSize says which part of a key its value is, mask unless maskType is
/// MASK_TYPE_UNDEFINED, seqLen i32 [batch], with hasSeen i32 [tokens], with hasSinks f32 [heads]. Without a mask seqLen
/// may be [2, batch]: queries of each sequence, then keys.
class SelfAttention : public Operation {
 public:
  static constexpr const char* kOp = "SelfAttention";
  enum class MaskType { kNone, kNorm, kAlibi };

  SelfAttention(AttentionParam param, MaskType mask, bool triangle, bool high_precision)
      : param_(std::move(param)), mask_(mask), triangle_(triangle), high_precision_(high_precision) {
    if (triangle_) param_.causal = true;
  }
  int NumInputs() const override { return Lengths() + 1 + param_.has_seen + param_.has_sinks; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const int64_t head_dim = RequireQuery(kOp, 0, in[0], param_.heads);
    const TensorDesc& lengths = At(in, Lengths());
    for (int i = 1; i < Mask(); ++i) {
      const TensorDesc& rows = At(in, i);
      const int64_t found = RequireQuery(kOp, i, rows, param_.kv_heads);
      if (rows.dtype != in[0].dtype) FailDType(kOp, i, "of in0's dtype " + ToString(in[0]), rows);
      const TensorDesc& as_long = lengths.rank == 2 ? in[1] : in[0];
      if (rows.dim(0) != as_long.dim(0) || (i == 1 && found != head_dim))
        FailShape(kOp, i, "of the tokens of " + ToString(as_long) + " and the head size of in0 " + ToString(in[0]),
                  rows);
    }
    if (Masked()) CheckMask(MaskOf(in), in[0], lengths);
    RequireDType(kOp, Lengths(), lengths, DType::kI32);
    RequireRank(kOp, Lengths(), lengths, 1, Masked() || param_.causal ? 1 : 2);
    if (lengths.rank == 2 && lengths.dim(0) != 2) FailShape(kOp, Lengths(), "[batch] or [2,batch]", lengths);
    if (param_.has_seen) RequireVector(kOp, Seen(), At(in, Seen()), DType::kI32, in[0].dim(0));
    if (param_.has_sinks) RequireVector(kOp, NumInputs() - 1, in.back(), DType::kF32, param_.heads);
    out[0] = AttentionResult(kOp, 0, param_, in[0], head_dim, ValueDim(in));
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads,
                        const kernels::KernelTable& kernels) const override {
    const Space s(*this, in);
    return s.attend_at + AttendWorkspaceBytes(param_, s.extents, threads, kernels);
  }

  void Validate(std::span<const Tensor> in) const override {
    const Tensor& lengths = At(in, Lengths());
    const int32_t* begin = lengths.As<int32_t>();
    const int64_t batch = lengths.desc.dim(-1);
    const int64_t longest = CheckLengths(begin, batch, in[0].desc.dim(0));
    if (lengths.desc.rank == 2) CheckLengths(begin + batch, batch, in[1].desc.dim(0));
    if (Masked() && !triangle_ && longest > MaskOf(in).desc.dim(-1))
      FailValue(kOp, Lengths(), "lengths within the mask " + ToString(MaskOf(in).desc), std::to_string(longest));
    if (!param_.has_seen) return;
    const int32_t* seen = At(in, Seen()).As<int32_t>();
    for (int64_t i = 0; i < batch; seen += begin[i++]) CheckSeen(kOp, Seen(), seen, begin[i], begin[i]);
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const InputDescs descs(in);
    const Space s(*this, descs);
    const Tensor& lengths = At(in, Lengths());
    auto* sequences = reinterpret_cast<AttentionSequence*>(ctx.workspace);
    auto* rows = reinterpret_cast<KvRows*>(ctx.workspace + s.rows_at);
    const int64_t batch = lengths.desc.dim(-1);
    const int32_t* queries = lengths.As<int32_t>();
    const int32_t* keys = lengths.desc.rank == 2 ? queries + batch : queries;
    const int64_t kv_bytes = param_.kv_heads * static_cast<int64_t>(SizeOf(in[0].desc.dtype));
    const int64_t key_row = kv_bytes * s.extents.head_dim, value_row = kv_bytes * s.extents.value_dim;
    int64_t q_begin = 0;
    int64_t kv_begin = 0;
    for (int64_t i = 0; i < batch; ++i) {
      const int64_t mask_row = Masked() ? i * RowsOfSequence(MaskOf(in).desc) : 0;
      sequences[i] = {q_begin, queries[i], keys[i], nullptr, nullptr, nullptr, mask_row, 0};
      const std::byte* values = param_.latent > 0 ? nullptr : in[2].As<std::byte>() + kv_begin * value_row;
      rows[i] = {in[1].As<std::byte>() + kv_begin * key_row, values, nullptr, 0};
      q_begin += queries[i];
      kv_begin += keys[i];
    }
    AttentionWork work{param_};
    work.blocks = KvPacker(in[0].desc.dtype, param_, s.extents.head_dim, s.extents.value_dim)
                      .Pack(sequences, rows, batch, ctx.pool, ctx.workspace + s.packed_at);
    work.q = in[0].data;
    work.out = out[0].data;
    work.dtype = work.cache_dtype = in[0].desc.dtype;
    work.head_dim = s.extents.head_dim;
    work.value_dim = s.extents.value_dim;
    work.block_size = KvPacker::kBlock;
    if (Masked() && !triangle_) {
      const Tensor& mask = MaskOf(in);
      work.mask = {mask.data, mask.desc.dim(-1), Factor(in[0].desc.dtype),
                   mask_ == MaskType::kAlibi ? mask.desc.dim(-2) : 0};
    }
    work.sinks = param_.has_sinks ? in.back().As<const float>() : nullptr;
    work.seen = param_.has_seen ? At(in, Seen()).As<const int32_t>() : nullptr;
    work.sequences = sequences;
    work.count = batch;
    Attend(work, s.extents, ctx, ctx.workspace + s.attend_at);
  }

 private:
  /// Where things lie in the workspace.
  struct Space {
    AttentionExtents extents;
    size_t rows_at, packed_at, attend_at;

    Space(const SelfAttention& op, std::span<const TensorDesc> in) {
      const TensorDesc& q = in[0];
      const int64_t batch = At(in, op.Lengths()).dim(-1);
      const int64_t keys = in[1].dim(0);
      const bool converts = op.Masked() && !op.triangle_ && (q.dtype != DType::kF32 || op.Factor(q.dtype) != 1);
      extents = {q.dim(0), batch, SizeOfHeads(q, op.param_.heads),      op.ValueDim(in),
                 q.dtype,  keys,  converts ? op.MaskOf(in).dim(-1) : 0, op.mask_ == MaskType::kAlibi,
                 false};
      rows_at = Align(static_cast<size_t>(batch) * sizeof(AttentionSequence));
      packed_at = rows_at + Align(static_cast<size_t>(batch) * sizeof(KvRows));
      attend_at = packed_at + KvPacker::Bytes(q.dtype, keys, batch, op.param_, extents.head_dim, extents.value_dim);
    }
  };

  static int64_t SizeOfHeads(const TensorDesc& rows, int64_t heads) {
    return rows.rank == 3 ? rows.dim(2) : rows.dim(1) / heads;
  }
  int64_t ValueDim(std::span<const TensorDesc> in) const {
    return param_.latent > 0 ? param_.latent : SizeOfHeads(in[2], param_.kv_heads);
  }
  bool Masked() const { return mask_ != MaskType::kNone; }
  int Mask() const { return param_.latent > 0 ? 2 : 3; }
  int Lengths() const { return Mask() + Masked(); }
  int Seen() const { return Lengths() + 1; }
  template <typename T>
  const T& MaskOf(std::span<const T> in) const {
    return At(in, Mask());
  }
  /// Masks of ALiBi are added as they are.
  float Factor(DType dtype) const { return mask_ == MaskType::kNorm ? MaskFactor(dtype, high_precision_) : 1; }
  /// Rows of a mask from one sequence to the next; 0: they share them.
  int64_t RowsOfSequence(const TensorDesc& mask) const {
    if (mask_ == MaskType::kAlibi) return mask.rank == 4 ? mask.dim(1) * mask.dim(2) : 0;
    return mask.rank == 3 ? mask.dim(1) : 0;
  }

  /// Lengths must add up to the tokens that there are. Returns the longest.
  int64_t CheckLengths(const int32_t* lengths, int64_t batch, int64_t tokens) const {
    int64_t sum = 0;
    int64_t longest = 0;
    for (int64_t i = 0; i < batch; ++i) {
      const int64_t n = lengths[i];
      if (n < 0) FailValue(kOp, Lengths(), "lengths of at least 0", std::to_string(n));
      sum += n;
      longest = std::max(longest, n);
    }
    if (sum != tokens)
      FailValue(kOp, Lengths(), "lengths that add up to " + std::to_string(tokens), std::to_string(sum));
    return longest;
  }

  /// [S, S] or [batch, S, S], of ALiBi [heads, S, S] or [batch, heads, S, S]: rows are queries, columns keys.
  void CheckMask(const TensorDesc& mask, const TensorDesc& q, const TensorDesc& lengths) const {
    RequireDType(kOp, Mask(), mask, q.dtype);
    const int least = mask_ == MaskType::kAlibi ? 3 : 2;
    RequireRank(kOp, Mask(), mask, least, least + 1);
    if (mask_ == MaskType::kAlibi) {
      const bool batched = mask.rank == 3 || mask.dim(0) == lengths.dim(0);
      if (!batched || mask.dim(-1) != mask.dim(-2) || mask.dim(-3) != param_.heads)
        FailShape(kOp, Mask(), "[heads,S,S] or [batch,heads,S,S], heads " + std::to_string(param_.heads), mask);
    } else if (triangle_) {
      if (mask.rank != 2 || mask.dim(0) != 128 || mask.dim(1) != 128)
        FailShape(kOp, Mask(), "[128,128], as isTriuMask is 1", mask);
    } else if (mask.dim(-1) != mask.dim(-2) || (mask.rank == 3 && mask.dim(0) != lengths.dim(0))) {
      FailShape(kOp, Mask(), "[S,S] or [batch,S,S]", mask);
    }
  }

  AttentionParam param_;
  MaskType mask_;
  bool triangle_;  ///< The mask means "causal", so its values are not read.
  bool high_precision_;
};

}  // namespace

std::unique_ptr<Operation> CreateSelfAttention(const ParamObject& param) {
  using MaskType = SelfAttention::MaskType;
  ParamReader reader(SelfAttention::kOp, param);
  AttentionParam common = AttentionParam::Read(reader);
  // ENCODER and DECODER attend over a contiguous cache, which MindIE's paged models do not have.
  if (reader.Enum("calcType", {"UNDEFINED", "PA_ENCODER"}, 0) != 1) reader.Fail("calcType", "PA_ENCODER");
  const auto mask =
      static_cast<MaskType>(reader.Enum("maskType", {"MASK_TYPE_UNDEFINED", "MASK_TYPE_NORM", "MASK_TYPE_ALIBI"}, 0));
  const bool triangle = reader.Int("isTriuMask", 0, 0, 1) == 1;
  if (triangle && mask != MaskType::kNorm) reader.Fail("isTriuMask", "0 unless maskType is MASK_TYPE_NORM");
  const bool precise = reader.Enum("kernelType", {"KERNELTYPE_DEFAULT", "KERNELTYPE_HIGH_PRECISION"}, 0) == 1;
  // These keys belong to the calculations with a contiguous cache.
  reader.Require("qScale", 1);
  reader.Require("clampType", "CLAMP_TYPE_UNDEFINED");
  reader.Require("clampMin", 0);
  reader.Require("clampMax", 0);
  reader.Require("kvcacheCfg", "K_CACHE_V_CACHE");
  reader.Done();
  return std::make_unique<SelfAttention>(std::move(common), mask, triangle, precise);
}

}  // namespace atb
