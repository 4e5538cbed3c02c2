#include <algorithm>
#include <string>
#include <utility>

#include "base/align.h"
#include "ops/attention/attention.h"
#include "ops/attention/chosen_keys.h"
#include "ops/attention/kv_tensor.h"
#include "ops/attention/paged_sequences.h"
#include "ops/check.h"
#include "ops/factories.h"

namespace atb {
namespace {

/// Attention of each query to some blocks of `blockSize` positions of its sequence alone, others for each head of keys
/// (MiniMax-M3, transformers 5.24). Inputs: q [tokens, headNum, D], caches of keys and values with kvHeadNum heads,
/// block tables i32 [batch, W], keys and queries of each sequence i32 [batch], and i32 [tokens, kvHeadNum * K] for each
/// head of keys the numbers of blocks: ascending, up to that of the query's own position, with numbers below 0 behind
/// them -> of q's shape, with heads as long as values are. Of its own block a query sees the keys up to its own;
/// queries without any key get zeros.
///
/// No key is copied. Inside a head, a block of the cache is a row of groups of 32 slots (kernels/kv_layout.h), so the
/// same memory is also a cache of one head with blocks of that size. A query's group of heads is a sequence of its own
/// over it, whose table names the groups of the chosen blocks. Queries that attend to all keys up to their own, of
/// which a sequence brings the first ones, go as in PagedAttention: the result has the same bits. Row-major caches are
/// packed first.
class BlockAttention : public Operation {
 public:
  static constexpr const char* kOp = "BlockAttention";
  enum Input { kQuery, kKeys, kValues, kTables, kContexts, kLengths, kChosen };
  static constexpr PagedSequences kPaged{kOp, kTables, kLengths};

  BlockAttention(const AttentionParam& param, int64_t block) : param_(param), own_(param), block_(block) {
    own_.heads = param.group();
    own_.kv_heads = 1;
  }
  int NumInputs() const override { return kChosen + 1; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const TensorDesc &q = in[kQuery], &keys = in[kKeys], &values = in[kValues];
    const int64_t head_dim = RequireQuery(kOp, kQuery, q, param_.heads);
    RequireKvCache(kOp, kKeys, keys, false, q);
    RequireKvCache(kOp, kValues, values, true, q);
    RequireHeads(kOp, kKeys, keys, param_.kv_heads, head_dim);
    RequireValuesLike(kOp, kValues, values, keys);
    if (block_ % SlotsOf(keys) != 0)
      FailShape(kOp, kKeys, "one whose groups of slots make blocks of " + std::to_string(block_), keys);
    kPaged.Check(in, in[kKeys], kQuery);
    Choice().Check(in, q.dim(0));
    out[0] = AttentionResult(kOp, kQuery, param_, q, head_dim, values.dim(3));
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads,
                        const kernels::KernelTable& kernels) const override {
    const Space s(*this, in);
    return s.attend_at + std::max(AttendWorkspaceBytes(param_, s.whole, threads, kernels),
                                  AttendWorkspaceBytes(own_, s.chosen, threads, kernels));
  }

  void Validate(std::span<const Tensor> in) const override {
    kPaged.Validate(in, in[kKeys].desc, kQuery);
    int64_t row = 0;
    for (int64_t i = 0; i < kPaged.Batch(in); ++i)
      for (int64_t query = 0; query < kPaged.Queries(in, i); ++query)
        for (int64_t head = 0; head < param_.kv_heads; ++head)
          Choice().Validate(in, row++, CeilDiv(kPaged.SeenBy(in, i, query), block_), "blocks");
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const InputDescs descs(in);
    const Space s(*this, descs);
    const int64_t batch = kPaged.Batch(in);
    auto* sequences = reinterpret_cast<AttentionSequence*>(ctx.workspace);
    // Where each sequence's keys lie: in the cache, or in packed copies.
    auto* stores = reinterpret_cast<AttentionSequence*>(ctx.workspace + s.stores_at);
    for (int64_t i = 0; i < batch; ++i)
      stores[i] = {0, 0, kPaged.Context(in, i), kPaged.Table(in, i), in[kKeys].data, in[kValues].data, 0, 0};
    AttentionWork work{param_};
    work.blocks = in[kKeys].desc.dim(0);
    work.block_size = in[kKeys].desc.dim(1);
    if (s.packs) work.blocks = Pack(in, s, stores, ctx);
    if (s.packs) work.block_size = KvPacker::kBlock;
    work.q = in[kQuery].data;
    work.out = out[0].data;
    work.dtype = in[kQuery].desc.dtype;
    work.cache_dtype = in[kKeys].desc.dtype;
    work.head_dim = s.whole.head_dim;
    work.value_dim = s.whole.value_dim;
    work.sequences = sequences;
    work.count = batch;
    for (int64_t i = 0, token = 0; i < batch; token += kPaged.Queries(in, i++)) {
      const int64_t whole = WholeQueries(in, i, token);
      sequences[i] = stores[i];
      sequences[i].q_begin = token;
      sequences[i].q_tokens = whole;
      sequences[i].context_len = whole == 0 ? 0 : kPaged.SeenBy(in, i, whole - 1);
    }
    Attend(work, s.whole, ctx, ctx.workspace + s.attend_at);
    AttendChosen(in, s, work, stores, ctx);
  }

 private:
  /// Where things lie in the workspace.
  struct Space {
    AttentionExtents whole, chosen;
    bool packs;
    int64_t groups;  ///< Of slots, those of the blocks that a query's head chooses.
    int64_t rows;    ///< Heads of queries that are attended to at a time.
    size_t stores_at, rows_at, packed_at, tables_at, attend_at;

    Space(const BlockAttention& op, std::span<const TensorDesc> in) {
      const TensorDesc &q = in[kQuery], &keys = in[kKeys];
      const int64_t batch = in[kTables].dim(0), context = in[kTables].dim(1) * keys.dim(1);
      const int64_t values = in[kValues].dim(3), heads = op.param_.kv_heads;
      packs = keys.layout == Layout::kRowMajor;
      const int64_t most = std::min(in[kChosen].dim(1) / heads * op.block_, RoundUp(context, op.block_));
      groups = std::max<int64_t>(1, most / SlotsOf(keys));
      rows = std::min(std::max<int64_t>(q.dim(0) * heads, 1), kRows);
      whole = {q.dim(0), batch, keys.dim(3), values, keys.dtype, std::min(most, context), 0, false, false};
      chosen = {rows, rows, keys.dim(3), values, keys.dtype, most, 0, false, true};
      stores_at = Align(static_cast<size_t>(std::max(batch, rows)) * sizeof(AttentionSequence));
      rows_at = stores_at + Align(static_cast<size_t>(batch) * sizeof(AttentionSequence));
      packed_at = rows_at + (packs ? Align(static_cast<size_t>(batch) * sizeof(KvRows)) : 0);
      tables_at = packed_at;
      if (packs) tables_at += KvPacker::Bytes(q.dtype, batch * context, batch, op.param_, keys.dim(3), values);
      attend_at = tables_at + Align(static_cast<size_t>(rows * groups) * sizeof(int32_t));
    }
  };

  /// Heads of queries whose tables are made at a time.
  static constexpr int64_t kRows = 4096;

  /// Slots of the smallest blocks that a cache, or a packed copy of one, is made of.
  static int64_t SlotsOf(const TensorDesc& keys) {
    const bool wide = keys.dtype == DType::kI8 && keys.dim(1) % kernels::kIntegerGroup == 0;
    return wide ? kernels::kIntegerGroup : kernels::kMinBlockSize;
  }
  ChosenKeys Choice() const { return {kOp, kChosen, param_.kv_heads}; }

  int64_t Pack(std::span<const Tensor> in, const Space& s, AttentionSequence* stores, const Context& ctx) const {
    auto* rows = reinterpret_cast<KvRows*>(ctx.workspace + s.rows_at);
    const int64_t batch = kPaged.Batch(in);
    for (int64_t i = 0; i < batch; ++i)
      rows[i] = {in[kKeys].data, in[kValues].data, kPaged.Table(in, i), in[kKeys].desc.dim(1)};
    return KvPacker(in[kQuery].desc.dtype, param_, s.whole.head_dim, s.whole.value_dim)
        .Pack(stores, rows, batch, ctx.pool, ctx.workspace + s.packed_at);
  }

  /// How many of a sequence's first queries attend to all that they see, with all heads; `token` is the first one.
  int64_t WholeQueries(std::span<const Tensor> in, int64_t sequence, int64_t token) const {
    const ChosenKeys choice = Choice();
    const int64_t queries = kPaged.Queries(in, sequence), heads = param_.kv_heads;
    int64_t whole = 0;
    for (int64_t seen = kPaged.SeenBy(in, sequence, 0); whole < queries; ++whole, ++seen)
      for (int64_t head = 0; head < heads; ++head)
        if (choice.Count(in, (token + whole) * heads + head) != CeilDiv(seen, block_)) return whole;
    return whole;
  }

  /// Attention of the other queries: of each head of keys and the queries that share it.
  void AttendChosen(std::span<const Tensor> in, const Space& s, const AttentionWork& all,
                    const AttentionSequence* stores, const Context& ctx) const {
    AttentionWork work{own_};
    work.q = all.q;
    work.out = all.out;
    work.dtype = all.dtype;
    work.cache_dtype = all.cache_dtype;
    work.head_dim = all.head_dim;
    work.value_dim = all.value_dim;
    work.block_size = SlotsOf(in[kKeys].desc);
    work.blocks = all.blocks * param_.kv_heads * (all.block_size / work.block_size);
    work.sequences = all.sequences;
    auto* tables = reinterpret_cast<int32_t*>(ctx.workspace + s.tables_at);
    int64_t token = 0;
    for (int64_t i = 0; i < kPaged.Batch(in); token += kPaged.Queries(in, i++)) {
      for (int64_t query = WholeQueries(in, i, token); query < kPaged.Queries(in, i); ++query) {
        for (int64_t head = 0; head < param_.kv_heads; ++head) {
          int32_t* table = tables + work.count * s.groups;
          const int64_t row = (token + query) * param_.kv_heads + head;
          const int64_t count = MakeTable(in, row, kPaged.SeenBy(in, i, query), stores[i], all, head, table);
          work.sequences[work.count++] = {row, 1, count, table, stores[i].k_cache, stores[i].v_cache, 0, 0};
          if (work.count < s.rows) continue;
          Attend(work, s.chosen, ctx, ctx.workspace + s.attend_at);
          work.count = 0;
        }
      }
    }
    Attend(work, s.chosen, ctx, ctx.workspace + s.attend_at);
  }

  /// Names the groups of slots of the blocks that a head of a query chose. Returns how many keys it sees there.
  int64_t MakeTable(std::span<const Tensor> in, int64_t row, int64_t seen, const AttentionSequence& store,
                    const AttentionWork& all, int64_t head, int32_t* table) const {
    const int64_t slots = SlotsOf(in[kKeys].desc), in_block = all.block_size / slots;
    const int32_t* chosen = Choice().Of(in, row);
    int64_t keys = 0;
    for (int64_t j = 0; j < Choice().Count(in, row); ++j) {
      const int64_t begin = chosen[j] * block_, end = std::min(begin + block_, seen);
      keys += end - begin;
      for (int64_t position = begin; position < end; position += slots) {
        const int64_t place = position / all.block_size;
        const int64_t block = store.block_table ? store.block_table[place] : place;
        *table++ = static_cast<int32_t>((head * all.blocks + block) * in_block + position % all.block_size / slots);
      }
    }
    return keys;
  }

  AttentionParam param_;
  AttentionParam own_;  ///< Of one head of keys.
  int64_t block_;
};

}  // namespace

std::unique_ptr<Operation> CreateBlockAttention(const ParamObject& param) {
  ParamReader reader(BlockAttention::kOp, param);
  AttentionParam own;
  own.heads = reader.RequiredInt("headNum", 1, kMostHeads);
  own.kv_heads = reader.Int("kvHeadNum", own.heads, 1, kMostHeads);
  if (own.heads % own.kv_heads != 0) reader.Fail("kvHeadNum", "a divisor of headNum " + std::to_string(own.heads));
  own.causal = true;
  own.scale = static_cast<float>(reader.Number("qkScale", 1));
  const int64_t block = reader.RequiredInt("blockSize", 1, 1 << 20);
  if (block % kernels::kMinBlockSize != 0) reader.Fail("blockSize", "a multiple of 32");
  reader.Done();
  return std::make_unique<BlockAttention>(own, block);
}

}  // namespace atb
