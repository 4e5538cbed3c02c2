#include <algorithm>
#include <string>
#include <utility>

#include "base/align.h"
#include "ops/attention/attention.h"
#include "ops/attention/chosen_keys.h"
#include "ops/attention/gathered_keys.h"
#include "ops/attention/kv_tensor.h"
#include "ops/attention/paged_keys.h"
#include "ops/attention/paged_sequences.h"
#include "ops/check.h"
#include "ops/factories.h"

namespace atb {
namespace {

/// Latent attention of each query to some keys of its sequence alone. Inputs: q [tokens, heads, D], a cache of one head
/// of keys, whose values are the first mlaVHeadSize numbers of each, block tables i32 [batch, W], keys and queries of
/// each sequence i32 [batch], and i32 [tokens, K] the positions of the keys that a query attends to: ascending, up to
/// its own, with numbers below 0 behind them; with hasSinks f32 [heads], a number of each head that takes part in its
/// softmax as the score of a key whose value is zero -> [tokens, heads, mlaVHeadSize]. Queries without any key get
/// zeros.
///
/// The chosen keys are copied side by side, and attended to as a sequence of their own. Queries that attend to all keys
/// up to their own, of which a sequence brings the first ones, go without copies: the result has the same bits.
class SparseAttention : public Operation {
 public:
  static constexpr const char* kOp = "SparseAttention";
  enum Input { kQuery, kKeys, kTables, kContexts, kLengths, kChosen, kSinks };
  static constexpr PagedSequences kPaged{kOp, kTables, kLengths};
  static constexpr ChosenKeys kChoice{kOp, kChosen};

  explicit SparseAttention(AttentionParam param) : param_(std::move(param)) {}
  int NumInputs() const override { return kChosen + 1 + param_.has_sinks; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const int64_t head_dim = RequireQuery(kOp, kQuery, in[kQuery], param_.heads);
    RequireKvCache(kOp, kKeys, in[kKeys], false, in[kQuery]);
    RequireHeads(kOp, kKeys, in[kKeys], 1, head_dim);
    kPaged.Check(in, in[kKeys], kQuery);
    kChoice.Check(in, in[kQuery].dim(0));
    if (param_.has_sinks) RequireVector(kOp, kSinks, in[kSinks], DType::kF32, param_.heads);
    out[0] = AttentionResult(kOp, kQuery, param_, in[kQuery], head_dim, param_.latent);
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads,
                        const kernels::KernelTable& kernels) const override {
    const Space s(in, param_.latent);
    return s.attend_at + std::max(AttendWorkspaceBytes(param_, s.whole, threads, kernels),
                                  AttendWorkspaceBytes(param_, s.gathered, threads, kernels));
  }

  void Validate(std::span<const Tensor> in) const override {
    kPaged.Validate(in, in[kKeys].desc, kQuery);
    int64_t token = 0;
    for (int64_t i = 0; i < kPaged.Batch(in); ++i)
      for (int64_t query = 0; query < kPaged.Queries(in, i); ++query)
        kChoice.Validate(in, token++, kPaged.SeenBy(in, i, query), "positions");
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const InputDescs descs(in);
    const Space s(descs, param_.latent);
    AttentionWork work{param_};
    work.q = in[kQuery].data;
    work.out = out[0].data;
    work.sinks = param_.has_sinks ? in[kSinks].As<const float>() : nullptr;
    work.dtype = in[kQuery].desc.dtype;
    work.cache_dtype = in[kKeys].desc.dtype;
    work.head_dim = s.whole.head_dim;
    work.value_dim = param_.latent;
    work.sequences = reinterpret_cast<AttentionSequence*>(ctx.workspace);
    AttendWhole(in, s, work, ctx);

    auto* chosen = reinterpret_cast<Chosen*>(ctx.workspace + s.chosen_at);
    int64_t rows = 0, token = 0;
    for (int64_t i = 0; i < kPaged.Batch(in); ++i) {
      const int64_t queries = kPaged.Queries(in, i), whole = WholeQueries(in, i, token);
      for (int64_t query = whole; query < queries; ++query) {
        const int64_t own = token + query;
        chosen[rows++] = {own, kChoice.Of(in, own), kChoice.Count(in, own), kPaged.Table(in, i)};
        if (rows == s.keys.rows) AttendGathered(in, s, work, chosen, std::exchange(rows, 0), ctx);
      }
      token += queries;
    }
    AttendGathered(in, s, work, chosen, rows, ctx);
  }

 private:
  /// A query with the keys that it attends to.
  struct Chosen {
    int64_t token;
    const int32_t* positions;
    int64_t count;
    const int32_t* table;
  };

  /// Where things lie in the workspace.
  struct Space {
    GatheredKeys keys;
    AttentionExtents whole, gathered;
    size_t chosen_at, gathered_at, attend_at;

    Space(std::span<const TensorDesc> in, int64_t latent)
        : keys(in[kKeys].dtype, in[kKeys].dim(3), in[kChosen].dim(1), in[kQuery].dim(0)) {
      const int64_t tokens = in[kQuery].dim(0), batch = in[kTables].dim(0), most = in[kChosen].dim(1);
      const int64_t head_dim = in[kKeys].dim(3), rows = keys.rows;
      const DType dtype = in[kKeys].dtype;
      const int64_t longest = std::min(most, in[kTables].dim(1) * in[kKeys].dim(1));
      whole = {tokens, batch, head_dim, latent, dtype, longest, 0, false, false};
      gathered = {rows, rows, head_dim, latent, dtype, most, 0, false, true};
      chosen_at = Align(static_cast<size_t>(std::max(batch, rows)) * sizeof(AttentionSequence));
      gathered_at = chosen_at + Align(static_cast<size_t>(rows) * sizeof(Chosen));
      attend_at = gathered_at + Align(static_cast<size_t>(keys.bytes));
    }
  };

  /// How many of a sequence's first queries attend to all that they see; `token` is the first one. A row-major cache is
  /// gathered in any case.
  static int64_t WholeQueries(std::span<const Tensor> in, int64_t sequence, int64_t token) {
    if (in[kKeys].desc.layout == Layout::kRowMajor) return 0;
    const int64_t queries = kPaged.Queries(in, sequence), most = in[kChosen].desc.dim(1);
    int64_t whole = 0;
    for (int64_t seen = kPaged.SeenBy(in, sequence, 0); whole < queries && seen <= most; ++whole, ++seen)
      if (kChoice.Count(in, token + whole) != seen) break;
    return whole;
  }

  /// Attention of the queries that attend to all that they see.
  void AttendWhole(std::span<const Tensor> in, const Space& s, AttentionWork& work, const Context& ctx) const {
    work.count = kPaged.Batch(in);
    int64_t token = 0;
    for (int64_t i = 0; i < work.count; ++i) {
      const int64_t queries = kPaged.Queries(in, i), whole = WholeQueries(in, i, token);
      const int64_t context = whole == 0 ? 0 : kPaged.SeenBy(in, i, whole - 1);
      work.sequences[i] = {token, whole, context, kPaged.Table(in, i), in[kKeys].data, nullptr, 0, 0};
      token += queries;
    }
    work.blocks = in[kKeys].desc.dim(0);
    work.block_size = in[kKeys].desc.dim(1);
    Attend(work, s.whole, ctx, ctx.workspace + s.attend_at);
  }

  void AttendGathered(std::span<const Tensor> in, const Space& s, const AttentionWork& work, const Chosen* chosen,
                      int64_t rows, const Context& ctx) const {
    s.keys.Attend(work, s.gathered, chosen, rows, ctx.workspace + s.gathered_at, ctx.workspace + s.attend_at, ctx,
                  [&](const Chosen& row, int64_t begin, int64_t count, const kernels::KvStore& to, int64_t block) {
                    PagedKeys(in[kKeys], row.table).Gather(row.positions + begin, count, to, block);
                  });
  }

  AttentionParam param_;
};

}  // namespace

std::unique_ptr<Operation> CreateSparseAttention(const ParamObject& param) {
  ParamReader reader(SparseAttention::kOp, param);
  AttentionParam own;
  own.heads = reader.RequiredInt("headNum", 1, kMostHeads);
  own.kv_heads = 1;
  own.causal = true;
  own.scale = static_cast<float>(reader.Number("qkScale", 1));
  own.latent = reader.RequiredInt("mlaVHeadSize", 8, kernels::kMaxHeadDim);
  if (own.latent % 8 != 0) reader.Fail("mlaVHeadSize", "a multiple of 8");
  own.has_sinks = reader.Bool("hasSinks", false);
  reader.Done();
  return std::make_unique<SparseAttention>(std::move(own));
}

}  // namespace atb
