#include <algorithm>

#include "base/align.h"
#include "ops/attention/attention.h"
#include "ops/attention/kv_tensor.h"
#include "ops/attention/paged_sequences.h"
#include "ops/check.h"
#include "ops/factories.h"

namespace atb {
namespace {

/// Queries [tokens, heads, D] over the paged cache, whose values may have a head size of their own. Inputs: query,
/// keyCache, valueCache unless mlaVHeadSize says which part of a key its value is, blockTables i32 [batch, W],
/// contextLens i32 [batch], mask unless maskType is MASK_TYPE_UNDEFINED, qLens i32 [batch] with CALC_TYPE_SPEC,
/// i32 [tokens] with hasSeen, f32 [heads] with hasSinks; without qLens each sequence has one query. Queries are the
/// last tokens of their context, whose keys the cache holds already.
class PagedAttention : public Operation {
 public:
  static constexpr const char* kOp = "PagedAttention";
  enum Input { kQuery, kKeys, kValues };
  enum class MaskType { kNone, kNorm, kAlibi, kSpec };

  PagedAttention(AttentionParam param, MaskType mask, bool spec) : param_(std::move(param)), mask_(mask), spec_(spec) {}
  int NumInputs() const override { return Seen() + param_.has_seen + param_.has_sinks; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const TensorDesc& q = in[kQuery];
    const int64_t head_dim = RequireQuery(kOp, kQuery, q, param_.heads);
    const TensorDesc& keys = in[kKeys];
    RequireKvCache(kOp, kKeys, keys, false, q);
    RequireHeads(kOp, kKeys, keys, param_.kv_heads, head_dim);
    if (param_.latent == 0) {
      RequireKvCache(kOp, kValues, in[kValues], true, q);
      RequireValuesLike(kOp, kValues, in[kValues], keys);
    }
    Paged().Check(in, keys, kQuery);
    const int64_t batch = At(in, Tables()).dim(0);
    if (mask_ != MaskType::kNone) CheckMask(At(in, FirstOptional()), q, batch);
    if (param_.has_seen) RequireVector(kOp, Seen(), At(in, Seen()), DType::kI32, q.dim(0));
    if (param_.has_sinks) RequireVector(kOp, NumInputs() - 1, in.back(), DType::kF32, param_.heads);
    out[0] = AttentionResult(kOp, kQuery, param_, q, head_dim, ValueDim(in));
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads,
                        const kernels::KernelTable& kernels) const override {
    const Space s(*this, in);
    return s.attend_at + AttendWorkspaceBytes(param_, s.extents, threads, kernels);
  }

  void Validate(std::span<const Tensor> in) const override {
    const PagedSequences paged = Paged();
    paged.Validate(in, in[kKeys].desc, kQuery);
    for (int64_t i = 0; i < paged.Batch(in) && mask_ != MaskType::kNone; ++i) {
      const TensorDesc& mask = At(in, FirstOptional()).desc;
      if (paged.Context(in, i) > mask.dim(-1)) {
        FailValue(kOp, Contexts(), "lengths within the mask " + ToString(mask), std::to_string(paged.Context(in, i)));
      }
    }
    if (!param_.has_seen) return;
    const int32_t* seen = At(in, Seen()).As<int32_t>();
    for (int64_t i = 0; i < paged.Batch(in); seen += paged.Queries(in, i++))
      CheckSeen(kOp, Seen(), seen, paged.Queries(in, i), paged.Context(in, i));
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const InputDescs descs(in);
    const Space s(*this, descs);
    const PagedSequences paged = Paged();
    const int64_t batch = paged.Batch(in);
    const bool packs = in[kKeys].desc.layout == Layout::kRowMajor;
    const int64_t block_size = in[kKeys].desc.dim(1);
    auto* sequences = reinterpret_cast<AttentionSequence*>(ctx.workspace);
    auto* rows = reinterpret_cast<KvRows*>(ctx.workspace + s.rows_at);
    const void* values = param_.latent > 0 ? nullptr : in[kValues].data;
    int64_t begin = 0;
    for (int64_t i = 0; i < batch; ++i) {
      const int32_t* table = paged.Table(in, i);
      const int64_t queries = paged.Queries(in, i), context = paged.Context(in, i);
      const int64_t mask_row = MaskRow(in, i, begin, context - queries);
      sequences[i] = {begin, queries, context, table, in[kKeys].data, values, mask_row, 0};
      if (packs) rows[i] = {in[kKeys].data, values, table, block_size};
      begin += queries;
    }
    AttentionWork work{param_};
    work.blocks = in[kKeys].desc.dim(0);
    if (packs) {
      work.blocks = KvPacker(in[kQuery].desc.dtype, param_, s.extents.head_dim, s.extents.value_dim)
                        .Pack(sequences, rows, batch, ctx.pool, ctx.workspace + s.packed_at);
    }
    work.q = in[kQuery].data;
    work.out = out[0].data;
    work.dtype = in[kQuery].desc.dtype;
    work.cache_dtype = in[kKeys].desc.dtype;
    work.head_dim = s.extents.head_dim;
    work.value_dim = s.extents.value_dim;
    work.block_size = packs ? KvPacker::kBlock : block_size;
    if (mask_ != MaskType::kNone) {
      const Tensor& mask = At(in, FirstOptional());
      // Unlike SelfAttention, ATB adds this mask as it is in every dtype (paged_attention_decoder_nd_common.cce).
      const float factor = param_.latent > 0 && mask_ != MaskType::kAlibi ? MaskFactor(work.dtype) : 1;
      work.mask = {mask.data, mask.desc.dim(-1), factor, mask_ == MaskType::kAlibi};
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

    Space(const PagedAttention& op, std::span<const TensorDesc> in) {
      const TensorDesc& q = in[kQuery];
      const TensorDesc& keys = in[kKeys];
      const int64_t batch = At(in, op.Tables()).dim(0);
      const int64_t max_context = At(in, op.Tables()).dim(1) * keys.dim(1);
      const bool converts = op.mask_ != MaskType::kNone && q.dtype != DType::kF32;
      extents = {q.dim(0),
                 batch,
                 keys.dim(3),
                 op.ValueDim(in),
                 keys.dtype,
                 max_context,
                 converts ? At(in, op.FirstOptional()).dim(-1) : 0,
                 op.mask_ == MaskType::kAlibi,
                 !op.spec_};
      const bool packs = keys.layout == Layout::kRowMajor;
      rows_at = Align(static_cast<size_t>(batch) * sizeof(AttentionSequence));
      packed_at = rows_at + (packs ? Align(static_cast<size_t>(batch) * sizeof(KvRows)) : 0);
      attend_at = packed_at;
      if (packs)
        attend_at += KvPacker::Bytes(q.dtype, batch * max_context, batch, op.param_, keys.dim(3), extents.value_dim);
    }
  };

  int64_t ValueDim(std::span<const TensorDesc> in) const {
    return param_.latent > 0 ? param_.latent : in[kValues].dim(3);
  }
  int Tables() const { return param_.latent > 0 ? kValues : kValues + 1; }
  int Contexts() const { return Tables() + 1; }
  int FirstOptional() const { return Contexts() + 1; }
  int QueryLengths() const { return FirstOptional() + (mask_ != MaskType::kNone); }
  int Seen() const { return QueryLengths() + spec_; }
  PagedSequences Paged() const { return {kOp, Tables(), spec_ ? QueryLengths() : -1}; }

  /// The row of the mask for the first query of a sequence. That is token `token` of the batch, and has this position.
  int64_t MaskRow(std::span<const Tensor> in, int64_t sequence, int64_t token, int64_t position) const {
    if (mask_ == MaskType::kNone) return 0;
    if (mask_ == MaskType::kSpec) return token;
    const TensorDesc& mask = At(in, FirstOptional()).desc;
    if (mask_ == MaskType::kAlibi) return mask.rank == 4 && mask.dim(0) > 1 ? sequence * param_.heads : 0;
    const int64_t own = mask.rank == 3 && mask.dim(0) > 1 ? sequence * mask.dim(1) : 0;
    // Padding has no context and reads no mask.
    return own + (spec_ ? std::max<int64_t>(position, 0) : 0);
  }

  void CheckMask(const TensorDesc& mask, const TensorDesc& q, int64_t batch) const {
    RequireDType(kOp, FirstOptional(), mask, q.dtype);
    const int least = mask_ == MaskType::kAlibi ? 3 : 2;
    RequireRank(kOp, FirstOptional(), mask, least, least + 1);
    const bool batched = mask.rank == least || mask.dim(0) == 1 || mask.dim(0) == batch;
    if (mask_ == MaskType::kAlibi) {
      const std::string heads = std::to_string(param_.heads);
      if (!batched || mask.dim(-3) != param_.heads || mask.dim(-2) != 1)
        FailShape(kOp, FirstOptional(), "[" + heads + ",1,S] or [batch," + heads + ",1,S]", mask);
    } else if (mask_ == MaskType::kSpec) {
      if (mask.rank != 2 || mask.dim(0) != q.dim(0)) FailShape(kOp, FirstOptional(), "[tokens,S]", mask);
    } else if (spec_) {
      if (!batched || mask.dim(-2) != mask.dim(-1)) FailShape(kOp, FirstOptional(), "[S,S] or [batch,S,S]", mask);
    } else if (!batched || mask.dim(-2) != 1) {
      FailShape(kOp, FirstOptional(), "[1,S] or [batch,1,S]", mask);
    }
  }

  AttentionParam param_;
  MaskType mask_;
  bool spec_;
};

}  // namespace

std::unique_ptr<Operation> CreatePagedAttention(const ParamObject& param) {
  using MaskType = PagedAttention::MaskType;
  ParamReader reader(PagedAttention::kOp, param);
  AttentionParam common = AttentionParam::Read(reader);
  const auto mask = static_cast<MaskType>(
      reader.Enum("maskType", {"MASK_TYPE_UNDEFINED", "MASK_TYPE_NORM", "MASK_TYPE_ALIBI", "MASK_TYPE_SPEC"}, 0));
  const bool spec = reader.Enum("calcType", {"CALC_TYPE_UNDEFINED", "CALC_TYPE_SPEC"}, 0) == 1;
  if (mask == MaskType::kSpec && !spec) reader.Fail("maskType", "another one unless calcType is CALC_TYPE_SPEC");
  if (mask == MaskType::kAlibi && spec)
    reader.Fail("maskType", "MASK_TYPE_NORM or MASK_TYPE_SPEC with CALC_TYPE_SPEC, whose masks are of all heads");
  // It is a mistake if several queries of one sequence all see each other's keys. ATB asks for a mask as well.
  if (mask == MaskType::kNone && spec && !common.causal)
    reader.Fail("maskType", "MASK_TYPE_NORM or MASK_TYPE_SPEC with CALC_TYPE_SPEC, unless `causal` is true");
  reader.Require("hasQuantOffset", false);
  reader.Require("compressType", "COMPRESS_TYPE_UNDEFINED");
  reader.Done();
  return std::make_unique<PagedAttention>(std::move(common), mask, spec);
}

}  // namespace atb
