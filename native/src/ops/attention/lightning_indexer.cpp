#include <algorithm>
#include <bit>
#include <string>

#include "base/align.h"
#include "ops/attention/attention.h"
#include "ops/attention/kv_tensor.h"
#include "ops/attention/paged_keys.h"
#include "ops/attention/paged_sequences.h"
#include "ops/check.h"
#include "ops/factories.h"
#include "ops/rows.h"

namespace atb {
namespace {

/// Queries of one sequence that meet keys together.
constexpr int64_t kTileTokens = 8;
/// Keys of a piece of parallel work, and those that are widened at a time.
constexpr int64_t kTaskKeys = 512;
constexpr int64_t kWidened = 2 * kernels::kKeyPanel;
/// Scores take no more memory than this, unless those of one tile do.
constexpr int64_t kScoreBytes = int64_t{32} << 20;

/// A whole number that is larger where the score is larger, and the same for both zeros.
uint32_t RankOf(float score) {
  const auto bits = std::bit_cast<uint32_t>(score + 0.0f);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}

/// Writes the places of the `top` largest of n scores in ascending order, top < n. Of equal scores those before count
/// more. It finds the rank of the last one digit by digit, and then takes what is at least that.
void ChooseLargest(const float* scores, int64_t n, int64_t top, int32_t* out) {
  uint32_t rank = 0, mask = 0;
  auto left = static_cast<uint32_t>(top);  // Those to choose among the scores whose rank begins with the same digits.
  for (const int shift : {21, 10, 0}) {
    constexpr uint32_t kDigits = 2048;
    const uint32_t last = shift == 0 ? kDigits / 2 - 1 : kDigits - 1;
    uint32_t counts[kDigits] = {};
    for (int64_t i = 0; i < n; ++i) {
      const uint32_t own = RankOf(scores[i]);
      if ((own & mask) == rank) ++counts[own >> shift & last];
    }
    uint32_t digit = last;
    while (counts[digit] < left) left -= counts[digit--];
    rank |= digit << shift;
    mask |= last << shift;
  }
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t own = RankOf(scores[i]);
    if (own < rank || (own == rank && left == 0)) continue;
    if (own == rank) --left;
    *out++ = static_cast<int32_t>(i);
  }
}

/// The keys that each query attends to (DeepSeek Sparse Attention, arXiv:2512.02556): the topK of those up to its own
/// with the largest sums over heads of weight * relu(q k^T); of equal ones those before. With tokensPerKey a key stands
/// for so many tokens: a block has a row for every so many, a key is that of the last of its own, a query sees keys
/// that ended up to its own token, positions are numbers of keys, and a last input i32 [1] has the tokens of a block.
/// Inputs: q [tokens, heads, D], weights f32 [tokens, heads], a cache of one head of keys, block tables i32 [batch, W],
/// keys and queries of each sequence i32 [batch] -> i32 [tokens, topK]: positions in ascending order, and -1 behind
/// them where a query sees fewer keys.
class LightningIndexer : public Operation {
 public:
  static constexpr const char* kOp = "LightningIndexer";
  enum Input { kQuery, kWeights, kKeys, kTables, kContexts, kLengths, kBlockTokens };
  static constexpr PagedSequences kPaged{kOp, kTables, kLengths};

  LightningIndexer(int64_t heads, int64_t top, int64_t stride) : heads_(heads), top_(top), stride_(stride) {}
  int NumInputs() const override { return kLengths + 1 + (stride_ > 1); }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const int64_t head_dim = RequireQuery(kOp, kQuery, in[kQuery], heads_);
    const int64_t tokens = in[kQuery].dim(0);
    RequireDense(kOp, kWeights, in[kWeights]);
    RequireDType(kOp, kWeights, in[kWeights], DType::kF32);
    if (in[kWeights].rank != 2 || in[kWeights].dim(0) != tokens || in[kWeights].dim(1) != heads_)
      FailShape(kOp, kWeights, "[" + std::to_string(tokens) + "," + std::to_string(heads_) + "]", in[kWeights]);
    RequireKvCache(kOp, kKeys, in[kKeys], false, in[kQuery]);
    if (in[kKeys].dim(2) != 1 || in[kKeys].dim(3) != head_dim)
      FailShape(kOp, kKeys, "[blocks,block_size,1," + std::to_string(head_dim) + "]", in[kKeys]);
    kPaged.Check(in, kQuery);
    if (stride_ > 1) RequireVector(kOp, kBlockTokens, in[kBlockTokens], DType::kI32, 1);
    out[0] = TensorDesc(DType::kI32, {tokens, top_});
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads, const kernels::KernelTable&) const override {
    return Space(*this, in, threads).bytes;
  }

  void Validate(std::span<const Tensor> in) const override {
    TensorDesc keys = in[kKeys].desc;
    const int64_t rows = keys.dim(1), block = BlockTokens(in);
    if (block < 1 || CeilDiv(block, stride_) > rows)
      FailValue(kOp, kBlockTokens, "from 1 to " + std::to_string(rows * stride_), std::to_string(block));
    keys.dims[1] = block;
    kPaged.Validate(in, keys, kQuery);
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    TensorDesc descs[kBlockTokens + 1];
    for (size_t i = 0; i < in.size(); ++i) descs[i] = in[i].desc;
    const Space space(*this, descs, ctx.pool.threads());
    auto* tiles = reinterpret_cast<Tile*>(ctx.workspace + space.tiles_at);
    int64_t sequence = 0, query = 0, token = 0;
    while (token < in[kQuery].desc.dim(0)) {
      int64_t count = 0, rows = 0, longest = 0;
      // As many tiles as scores have room for.
      while (sequence < kPaged.Batch(in) && rows < space.rows) {
        const int64_t queries = kPaged.Queries(in, sequence);
        const int64_t size = std::min({kTileTokens, queries - query, space.rows - rows});
        if (size > 0) {
          const int64_t seen = kPaged.Context(in, sequence) - queries + query + 1;
          tiles[count++] = {sequence, token, size, rows, seen};
          longest = std::max(longest, SeenBy(tiles[count - 1], size - 1));
        }
        token += size;
        rows += size;
        query += size;
        if (query < queries) continue;
        query = 0;
        ++sequence;
      }
      const int64_t pieces = longest > top_ ? CeilDiv(longest, kTaskKeys) : 0;
      ctx.pool.ParallelFor(count * pieces, [&](int64_t task, int worker) {
        Score(in, tiles[task / pieces], task % pieces * kTaskKeys, space, worker, ctx);
      });
      ctx.pool.ParallelFor(count * kTileTokens, [&](int64_t task, int) {
        const Tile& tile = tiles[task / kTileTokens];
        const int64_t own = task % kTileTokens;
        if (own < tile.count) Choose(tile, own, space.Scores(ctx.workspace, tile.row + own), out[0]);
      });
    }
  }

 private:
  struct Tile {
    int64_t sequence;
    int64_t token;  ///< The first query, among all of them.
    int64_t count;
    int64_t row;   ///< Of scores, those of the first query.
    int64_t seen;  ///< Tokens that the first query sees; those behind it see one more each. Below 1 in padding.
  };

  /// Where things lie in the workspace.
  struct Space {
    int64_t stride;  ///< Floats of a row of scores.
    int64_t rows;    ///< Of scores, for which there is room.
    int64_t worker;  ///< Floats of a worker: queries of a tile, widened keys.
    int64_t keys;    ///< Floats before the latter.
    size_t tiles_at, workers_at, bytes;

    Space(const LightningIndexer& op, std::span<const TensorDesc> in, int threads) {
      const int64_t tokens = in[kQuery].dim(0), head_dim = in[kKeys].dim(3);
      stride = RoundUp(in[kTables].dim(1) * in[kKeys].dim(1), kWidened);
      const int64_t row_bytes = std::max<int64_t>(stride, 1) * static_cast<int64_t>(sizeof(float));
      const int64_t score_bytes = std::min(tokens * row_bytes, std::max(kScoreBytes, kTileTokens * row_bytes));
      rows = score_bytes / row_bytes;
      keys = RoundUp(kTileTokens * op.heads_ * head_dim, kernels::kKeyPanel);
      worker = keys + kWidened * head_dim;
      tiles_at = Align(static_cast<size_t>(score_bytes));
      workers_at = tiles_at + Align(static_cast<size_t>(tokens) * sizeof(Tile));
      bytes = workers_at + static_cast<size_t>(threads * worker) * sizeof(float);
    }
    float* Scores(std::byte* workspace, int64_t row) const {
      return reinterpret_cast<float*>(workspace) + row * stride;
    }
    float* Worker(std::byte* workspace, int index) const {
      return reinterpret_cast<float*>(workspace + workers_at) + index * worker;
    }
  };

  int64_t BlockTokens(std::span<const Tensor> in) const {
    return stride_ > 1 ? *in[kBlockTokens].As<int32_t>() : in[kKeys].desc.dim(1);
  }
  /// Keys that the tile's query `own` sees.
  int64_t SeenBy(const Tile& tile, int64_t own) const { return (tile.seen + own) / stride_; }

  /// The scores of a tile's queries and keys from `begin` on.
  void Score(std::span<const Tensor> in, const Tile& tile, int64_t begin, const Space& space, int worker,
             const Context& ctx) const {
    const int64_t seen = SeenBy(tile, tile.count - 1);
    const int64_t end = std::min(seen, begin + kTaskKeys);
    if (seen <= top_ || begin >= end) return;
    const int64_t head_dim = in[kKeys].desc.dim(3), width = heads_ * head_dim;
    float* own = space.Worker(ctx.workspace, worker);
    kernels::IndexCall call{};
    call.q = LoadFloats(ctx.kernels, in[kQuery], tile.token * width, tile.count * width, own);
    call.weights = in[kWeights].As<float>() + tile.token * heads_;
    call.keys = own + space.keys;
    call.tokens = tile.count;
    call.heads = heads_;
    call.head_dim = head_dim;
    call.score_stride = space.stride;
    const PagedKeys keys(in[kKeys], kPaged.Table(in, tile.sequence), stride_, BlockTokens(in));
    for (int64_t at = begin; at < end; at += kWidened) {
      call.panels = at + kernels::kKeyPanel < end ? 2 : 1;
      for (int64_t panel = 0; panel < call.panels; ++panel) {
        const int64_t first = panel * kernels::kKeyPanel;
        keys.Widen(at + first, end, ctx.kernels, own + space.keys + first * head_dim);
      }
      call.scores = space.Scores(ctx.workspace, tile.row) + at;
      ctx.kernels.index_scores(call);
    }
  }

  void Choose(const Tile& tile, int64_t own, const float* scores, const Tensor& out) const {
    const int64_t seen = SeenBy(tile, own);
    int32_t* chosen = out.As<int32_t>() + (tile.token + own) * top_;
    if (seen > top_) return ChooseLargest(scores, seen, top_, chosen);
    for (int64_t i = 0; i < top_; ++i) chosen[i] = i < seen ? static_cast<int32_t>(i) : -1;
  }

  int64_t heads_;
  int64_t top_;
  int64_t stride_;  ///< Tokens of a key.
};

}  // namespace

std::unique_ptr<Operation> CreateLightningIndexer(const ParamObject& param) {
  ParamReader reader(LightningIndexer::kOp, param);
  const int64_t heads = reader.Int("headNum", 0, 1, 1 << 16);
  if (heads == 0) reader.Fail("headNum", "given");
  const int64_t top = reader.Int("topK", 0, 1, 1 << 20);
  if (top == 0) reader.Fail("topK", "given");
  const int64_t stride = reader.Int("tokensPerKey", 1, 1, 1 << 20);
  reader.Done();
  return std::make_unique<LightningIndexer>(heads, top, stride);
}

}  // namespace atb
