#include <algorithm>

#include "base/align.h"
#include "ops/attention/attention.h"
#include "ops/check.h"
#include "ops/factories.h"

namespace atb {
namespace {

constexpr const char* kOp = "SelfAttention";

/// What ATB's kernels multiply a mask by: those of bf16 and of high precision take masks of 0 and 1, the others add a
/// mask as it is (unpad_flashattention_bf16_mix.cce).
float MaskFactor(DType dtype, bool high_precision) { return dtype == DType::kBF16 || high_precision ? -3e38f : 1.0f; }

/// Prefill (PA_ENCODER): q [tokens, heads, D] of packed sequences over their own k, v [tokens, kvHeads, D]; each may
/// also be [tokens, heads * D]. Without a mask every token of a sequence sees every other. Inputs: q, k, v, mask when
/// maskType is MASK_TYPE_NORM, seqLen i32 [batch].
class SelfAttention : public Operation {
 public:
  SelfAttention(const AttentionParam& param, bool masked, bool triangle, bool high_precision)
      : param_(param), masked_(masked), triangle_(triangle), high_precision_(high_precision) {}
  int NumInputs() const override { return masked_ ? 5 : 4; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const int64_t head_dim = RequireQuery(kOp, 0, in[0], param_.heads);
    for (int i = 1; i < 3; ++i) {
      const TensorDesc& rows = in[static_cast<size_t>(i)];
      const int64_t found = RequireQuery(kOp, i, rows, param_.kv_heads);
      if (rows.dtype != in[0].dtype) FailDType(kOp, i, "of in0's dtype " + ToString(in[0]), rows);
      if (rows.dim(0) != in[0].dim(0) || found != head_dim)
        FailShape(kOp, i, "of the tokens and the head size of in0 " + ToString(in[0]), rows);
    }
    if (masked_) CheckMask(in[3], in[0], in[4]);
    RequireDType(kOp, Lengths(), in[static_cast<size_t>(Lengths())], DType::kI32);
    RequireRank(kOp, Lengths(), in[static_cast<size_t>(Lengths())], 1, 1);
    out[0] = in[0];
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads,
                        const kernels::KernelTable& kernels) const override {
    const Space s(*this, in);
    return s.attend_at + AttendWorkspaceBytes(Param(), s.extents, threads, kernels);
  }

  void Validate(std::span<const Tensor> in) const override {
    const Tensor& lengths = in[static_cast<size_t>(Lengths())];
    int64_t sum = 0;
    int64_t longest = 0;
    for (int64_t i = 0; i < lengths.desc.dim(0); ++i) {
      const int64_t n = lengths.As<int32_t>()[i];
      if (n < 0) FailValue(kOp, Lengths(), "lengths of at least 0", std::to_string(n));
      sum += n;
      longest = std::max(longest, n);
    }
    if (sum != in[0].desc.dim(0))
      FailValue(kOp, Lengths(), "lengths that add up to " + std::to_string(in[0].desc.dim(0)), std::to_string(sum));
    if (masked_ && !triangle_ && longest > in[3].desc.dim(-1))
      FailValue(kOp, Lengths(), "lengths within the mask " + ToString(in[3].desc), std::to_string(longest));
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const TensorDesc descs[] = {in[0].desc, in[1].desc, in[2].desc, in[3].desc,
                                in[static_cast<size_t>(Lengths())].desc};
    const Space s(*this, {descs, static_cast<size_t>(NumInputs())});
    const Tensor& lengths = in[static_cast<size_t>(Lengths())];
    auto* sequences = reinterpret_cast<AttentionSequence*>(ctx.workspace);
    auto* rows = reinterpret_cast<KvRows*>(ctx.workspace + s.rows_at);
    const int64_t batch = lengths.desc.dim(0);
    const int64_t kv_row = param_.kv_heads * s.extents.head_dim * static_cast<int64_t>(SizeOf(in[0].desc.dtype));
    int64_t begin = 0;
    for (int64_t i = 0; i < batch; ++i) {
      const int64_t n = lengths.As<int32_t>()[i];
      const int64_t mask_rows = masked_ && in[3].desc.rank == 3 ? i * in[3].desc.dim(1) : 0;
      sequences[i] = {begin, n, n, nullptr, nullptr, nullptr, mask_rows, 0};
      rows[i] = {in[1].As<std::byte>() + begin * kv_row, in[2].As<std::byte>() + begin * kv_row, nullptr, 0};
      begin += n;
    }
    AttentionWork work = {};
    work.blocks = KvPacker(in[0].desc.dtype, param_.kv_heads, s.extents.head_dim)
                      .Pack(sequences, rows, batch, ctx.pool, ctx.workspace + s.packed_at);
    work.param = Param();
    work.q = in[0].data;
    work.out = out[0].data;
    work.dtype = work.cache_dtype = in[0].desc.dtype;
    work.head_dim = s.extents.head_dim;
    work.block_size = KvPacker::kBlock;
    if (masked_ && !triangle_)
      work.mask = {in[3].data, in[3].desc.dim(-1), MaskFactor(in[0].desc.dtype, high_precision_)};
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
      const int64_t batch = in[static_cast<size_t>(op.Lengths())].dim(0);
      const bool converts = op.masked_ && !op.triangle_ && (q.dtype != DType::kF32 || op.high_precision_);
      extents = {
          q.dim(0), batch, q.rank == 3 ? q.dim(2) : q.dim(1) / op.param_.heads, q.dim(0), converts ? in[3].dim(-1) : 0,
          false};
      rows_at = Align(static_cast<size_t>(batch) * sizeof(AttentionSequence));
      packed_at = rows_at + Align(static_cast<size_t>(batch) * sizeof(KvRows));
      attend_at = packed_at + KvPacker::Bytes(q.dtype, q.dim(0), batch, op.param_.kv_heads, extents.head_dim);
    }
  };

  int Lengths() const { return masked_ ? 4 : 3; }
  AttentionParam Param() const {
    AttentionParam param = param_;
    if (triangle_) param.causal = true;
    return param;
  }

  /// [S, S] or [batch, S, S]: rows are queries, columns keys.
  void CheckMask(const TensorDesc& mask, const TensorDesc& q, const TensorDesc& lengths) const {
    RequireDType(kOp, 3, mask, q.dtype);
    RequireRank(kOp, 3, mask, 2, 3);
    if (triangle_) {
      if (mask.rank != 2 || mask.dim(0) != 128 || mask.dim(1) != 128)
        FailShape(kOp, 3, "[128,128], as isTriuMask is 1", mask);
    } else if (mask.dim(-1) != mask.dim(-2) || (mask.rank == 3 && mask.dim(0) != lengths.dim(0))) {
      FailShape(kOp, 3, "[S,S] or [batch,S,S]", mask);
    }
  }

  AttentionParam param_;
  bool masked_;
  bool triangle_;  ///< The mask means "causal", so its values are not read.
  bool high_precision_;
};

}  // namespace

std::unique_ptr<Operation> CreateSelfAttention(const ParamObject& param) {
  ParamReader reader(kOp, param);
  const AttentionParam common = AttentionParam::Read(reader);
  // ENCODER and DECODER attend over a contiguous cache, which MindIE's paged models do not have.
  if (reader.Enum("calcType", {"UNDEFINED", "PA_ENCODER"}, 0) != 1) reader.Fail("calcType", "PA_ENCODER");
  const bool masked = reader.Enum("maskType", {"MASK_TYPE_UNDEFINED", "MASK_TYPE_NORM"}, 0) == 1;
  const bool triangle = reader.Int("isTriuMask", 0, 0, 1) == 1;
  if (triangle && !masked) reader.Fail("isTriuMask", "0 unless maskType is MASK_TYPE_NORM");
  const bool precise = reader.Enum("kernelType", {"KERNELTYPE_DEFAULT", "KERNELTYPE_HIGH_PRECISION"}, 0) == 1;
  // These keys belong to the calculations with a contiguous cache.
  reader.Require("qScale", 1);
  reader.Require("clampType", "CLAMP_TYPE_UNDEFINED");
  reader.Require("clampMin", 0);
  reader.Require("clampMax", 0);
  reader.Require("kvcacheCfg", "K_CACHE_V_CACHE");
  reader.Done();
  return std::make_unique<SelfAttention>(common, masked, triangle, precise);
}

}  // namespace atb
