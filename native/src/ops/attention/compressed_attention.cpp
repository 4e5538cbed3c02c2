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

/// Attention of each query to the last `windowSize` keys up to its own, and to entries that stand for `tokensPerEntry`
/// tokens each (DeepSeek-V4, transformers 5.24): q [tokens, heads, D], a cache of one head of keys, which are their own
/// values, block tables i32 [batch, W], keys and queries of each sequence i32 [batch], f32 [heads] of sinks; with
/// tokensPerEntry a cache with a row for every so many tokens of a block, where an entry is that of its last token;
/// with hasChosen i32 [tokens, K], the entries that a query attends to, as LightningIndexer gives them; all that ended
/// up to its own token without -> [tokens, heads, D].
///
/// What a query attends to is copied side by side, and attended to as a sequence of its own.
class CompressedAttention : public Operation {
 public:
  static constexpr const char* kOp = "CompressedAttention";
  enum Input { kQuery, kKeys, kTables, kContexts, kLengths, kSinks, kEntries, kChosen };
  static constexpr PagedSequences kPaged{kOp, kTables, kLengths};
  static constexpr ChosenKeys kChoice{kOp, kChosen};

  CompressedAttention(AttentionParam param, int64_t window, int64_t rate, bool has_chosen)
      : param_(std::move(param)), window_(window), rate_(rate), has_chosen_(has_chosen) {}
  int NumInputs() const override { return kEntries + (rate_ > 0) + has_chosen_; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const int64_t head_dim = RequireQuery(kOp, kQuery, in[kQuery], param_.heads);
    for (const int cache : {kKeys, kEntries}) {
      if (cache == kEntries && rate_ == 0) continue;
      const TensorDesc& desc = At(in, cache);
      RequireKvCache(kOp, cache, desc, false, in[kQuery]);
      RequireHeads(kOp, cache, desc, 1, head_dim);
    }
    if (rate_ > 0 &&
        (in[kEntries].dim(0) != in[kKeys].dim(0) || in[kEntries].dim(1) < CeilDiv(in[kKeys].dim(1), rate_) ||
         in[kEntries].dtype != in[kKeys].dtype || in[kEntries].layout != in[kKeys].layout))
      FailShape(kOp, kEntries, "a cache like that of keys, with rows for the entries of a block", in[kEntries]);
    kPaged.Check(in, in[kKeys], kQuery);
    RequireVector(kOp, kSinks, in[kSinks], DType::kF32, param_.heads);
    if (has_chosen_) kChoice.Check(in, in[kQuery].dim(0));
    out[0] = TensorDesc(in[kQuery].dtype, {in[kQuery].dim(0), param_.heads, head_dim});
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads,
                        const kernels::KernelTable& kernels) const override {
    const Space s(*this, in);
    AttentionParam own = param_;
    own.latent = s.gathered.head_dim;
    return s.attend_at + AttendWorkspaceBytes(own, s.gathered, threads, kernels);
  }

  void Validate(std::span<const Tensor> in) const override {
    kPaged.Validate(in, in[kKeys].desc, kQuery);
    if (!has_chosen_) return;
    int64_t token = 0;
    for (int64_t i = 0; i < kPaged.Batch(in); ++i)
      for (int64_t query = 0; query < kPaged.Queries(in, i); ++query)
        kChoice.Validate(in, token++, kPaged.SeenBy(in, i, query) / rate_, "entries");
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const InputDescs descs(in);
    const Space s(*this, descs);
    AttentionParam own = param_;
    own.latent = s.gathered.head_dim;
    AttentionWork work{own};
    work.q = in[kQuery].data;
    work.out = out[0].data;
    work.dtype = in[kQuery].desc.dtype;
    work.cache_dtype = in[kKeys].desc.dtype;
    work.head_dim = work.value_dim = s.gathered.head_dim;
    work.sequences = reinterpret_cast<AttentionSequence*>(ctx.workspace);
    work.sinks = in[kSinks].As<const float>();
    auto* seen = reinterpret_cast<Seen*>(ctx.workspace + s.seen_at);
    int64_t rows = 0, token = 0;
    for (int64_t i = 0; i < kPaged.Batch(in); ++i) {
      for (int64_t query = 0; query < kPaged.Queries(in, i); ++query, ++token) {
        const int64_t keys = kPaged.SeenBy(in, i, query);
        const int64_t window = std::min(keys, window_);
        seen[rows++] = {token, kPaged.Table(in, i), keys, window, window + EntriesOf(in, token, keys)};
        if (rows == s.keys.rows) AttendGathered(in, s, work, seen, std::exchange(rows, 0), ctx);
      }
    }
    AttendGathered(in, s, work, seen, rows, ctx);
  }

 private:
  /// A query with what it attends to.
  struct Seen {
    int64_t token;
    const int32_t* table;
    int64_t keys;    ///< Up to its own.
    int64_t window;  ///< Of these, the last ones that it attends to.
    int64_t count;   ///< Those, and entries behind them.
  };

  /// Where things lie in the workspace.
  struct Space {
    int64_t most;  ///< Keys and entries of one query.
    GatheredKeys keys;
    AttentionExtents gathered;
    size_t seen_at, gathered_at, attend_at;

    Space(const CompressedAttention& op, std::span<const TensorDesc> in)
        : most(op.Most(in)), keys(in[kKeys].dtype, in[kKeys].dim(3), most, in[kQuery].dim(0)) {
      const int64_t head_dim = in[kKeys].dim(3), rows = keys.rows;
      gathered = {rows, rows, head_dim, head_dim, in[kKeys].dtype, most, 0, false, true};
      seen_at = Align(static_cast<size_t>(rows) * sizeof(AttentionSequence));
      gathered_at = seen_at + Align(static_cast<size_t>(rows) * sizeof(Seen));
      attend_at = gathered_at + Align(static_cast<size_t>(keys.bytes));
    }
  };

  int64_t Most(std::span<const TensorDesc> in) const {
    const int64_t context = in[kTables].dim(1) * in[kKeys].dim(1);
    const int64_t entries = rate_ == 0 ? 0 : context / rate_;
    return std::min(window_, context) + (has_chosen_ ? std::min(entries, in[kChosen].dim(1)) : entries);
  }
  int64_t EntriesOf(std::span<const Tensor> in, int64_t token, int64_t keys) const {
    if (!has_chosen_) return rate_ == 0 ? 0 : keys / rate_;
    return kChoice.Count(in, token);
  }

  /// Copies keys and entries [begin, begin + count) of those that a query attends to into a block.
  void Gather(std::span<const Tensor> in, const Seen& row, int64_t begin, int64_t count, const kernels::KvStore& to,
              int64_t block) const {
    int32_t positions[KvPacker::kBlock];
    const int32_t* chosen = has_chosen_ ? kChoice.Of(in, row.token) : nullptr;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t at = begin + i, entry = at - row.window;
      positions[i] = static_cast<int32_t>(entry < 0 ? row.keys - row.window + at : chosen ? chosen[entry] : entry);
    }
    const PagedKeys keys(in[kKeys], row.table);
    if (rate_ == 0) return keys.Gather(positions, count, to, block);
    const PagedKeys entries(in[kEntries], row.table, rate_, in[kKeys].desc.dim(1));
    keys.Gather(positions, count, to, block, entries, row.window - begin);
  }

  void AttendGathered(std::span<const Tensor> in, const Space& s, const AttentionWork& work, const Seen* seen,
                      int64_t rows, const Context& ctx) const {
    s.keys.Attend(work, s.gathered, seen, rows, ctx.workspace + s.gathered_at, ctx.workspace + s.attend_at, ctx,
                  [&](const Seen& row, int64_t begin, int64_t count, const kernels::KvStore& to, int64_t block) {
                    Gather(in, row, begin, count, to, block);
                  });
  }

  AttentionParam param_;
  int64_t window_;
  int64_t rate_;
  bool has_chosen_;
};

}  // namespace

std::unique_ptr<Operation> CreateCompressedAttention(const ParamObject& param) {
  ParamReader reader(CompressedAttention::kOp, param);
  AttentionParam own;
  own.heads = reader.RequiredInt("headNum", 1, kMostHeads);
  own.kv_heads = 1;
  own.causal = true;
  own.has_sinks = true;
  own.scale = static_cast<float>(reader.Number("qkScale", 1));
  const int64_t window = reader.RequiredInt("windowSize", 1, int64_t{1} << 30);
  const int64_t rate = reader.Int("tokensPerEntry", 0, 0, 1 << 20);
  const bool has_chosen = reader.Bool("hasChosen", false);
  if (has_chosen && rate == 0) reader.Fail("hasChosen", "false without tokensPerEntry");
  reader.Done();
  return std::make_unique<CompressedAttention>(std::move(own), window, rate, has_chosen);
}

}  // namespace atb
