#include <algorithm>
#include <bit>
#include <limits>
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
///
/// With blockSize each head chooses for itself, and blocks of so many positions (MiniMax-M3, transformers 5.24): the
/// localBlocks last ones up to the query's own, then those in which a key up to its own has the largest q k^T. There
/// are no weights then, and numbers of blocks come out, i32 [tokens, heads * topK].
///
/// With givesTokens, which needs tokensPerKey, positions of tokens come out: those of the keys that are chosen, and
/// those behind the last key that has ended, i32 [tokens, (topK + 1) * tokensPerKey - 1] (GLM-5.3, transformers 5.24).
class LightningIndexer : public Operation {
 public:
  static constexpr const char* kOp = "LightningIndexer";
  static constexpr int kQuery = 0, kWeights = 1;

  /// What is chosen.
  struct Choice {
    int64_t top;
    int64_t stride;  ///< Tokens of a key.
    int64_t block;   ///< Keys that are chosen together, by each head for itself; 0: keys are chosen one by one.
    int64_t local;   ///< Of the last blocks, those that are chosen in any case.
    bool gives_tokens;  ///< Whether tokens of keys come out instead of keys, and those that have no key yet.
  };

  LightningIndexer(int64_t heads, const Choice& choice)
      : heads_(heads),
        choice_(choice),
        keys_(choice.block > 0 ? kWeights : kWeights + 1),
        paged_{kOp, keys_ + 1, keys_ + 3},
        block_tokens_(keys_ + 4) {}
  int NumInputs() const override { return block_tokens_ + (choice_.stride > 1); }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const int64_t head_dim = RequireQuery(kOp, kQuery, in[kQuery], heads_);
    const int64_t tokens = in[kQuery].dim(0);
    if (choice_.block == 0) CheckWeights(in[kWeights], tokens);
    const TensorDesc& keys = Keys(in);
    RequireKvCache(kOp, keys_, keys, false, in[kQuery]);
    RequireHeads(kOp, keys_, keys, 1, head_dim);
    paged_.Check(in, keys, kQuery);
    if (choice_.stride > 1) RequireVector(kOp, block_tokens_, in.back(), DType::kI32, 1);
    out[0] = TensorDesc(DType::kI32, {tokens, Choosers() * Width()});
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads, const kernels::KernelTable&) const override {
    return Space(*this, in, threads).bytes;
  }

  void Validate(std::span<const Tensor> in) const override {
    TensorDesc keys = Keys(in).desc;
    const int64_t rows = keys.dim(1), block = BlockTokens(in), stride = choice_.stride;
    if (block < 1 || CeilDiv(block, stride) > rows)
      FailValue(kOp, block_tokens_, "from 1 to " + std::to_string(rows * stride), std::to_string(block));
    keys.dims[1] = block;
    paged_.Validate(in, keys, kQuery);
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const InputDescs descs(in);
    const Space space(*this, descs, ctx.pool.threads());
    auto* tiles = reinterpret_cast<Tile*>(ctx.workspace + space.tiles_at);
    int64_t sequence = 0, query = 0, token = 0;
    while (token < in[kQuery].desc.dim(0)) {
      int64_t count = 0, rows = 0, longest = 0;
      // As many tiles as scores have room for.
      while (sequence < paged_.Batch(in) && rows < space.rows) {
        const int64_t queries = paged_.Queries(in, sequence);
        const int64_t size = std::min({kTileTokens, queries - query, space.rows - rows});
        if (size > 0) {
          const int64_t seen = paged_.Context(in, sequence) - queries + query + 1;
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
      const int64_t pieces = Chooses(longest) ? CeilDiv(longest, kTaskKeys) : 0;
      ctx.pool.ParallelFor(count * pieces, [&](int64_t task, int worker) {
        Score(in, tiles[task / pieces], task % pieces * kTaskKeys, space, worker, ctx);
      });
      const int64_t choosers = Choosers(), most = kTileTokens * choosers;
      ctx.pool.ParallelFor(count * most, [&](int64_t task, int) {
        const Tile& tile = tiles[task / most];
        const int64_t own = task % most;
        if (own >= tile.count * choosers) return;
        const int64_t seen = SeenBy(tile, own / choosers);
        int32_t* chosen = out[0].As<int32_t>() + (tile.token * choosers + own) * Width();
        Choose(seen, space.Scores(ctx.workspace, tile.row * choosers + own), chosen);
        if (choice_.gives_tokens) Spread(tile.seen + own, chosen);
      });
    }
  }

 private:
  struct Tile {
    int64_t sequence;
    int64_t token;  ///< The first query, among all of them.
    int64_t count;
    int64_t row;   ///< Of scores, those of the first query; in units of a query's rows.
    int64_t seen;  ///< Tokens that the first query sees; those behind it see one more each. Below 1 in padding.
  };

  /// Where things lie in the workspace.
  struct Space {
    int64_t stride;  ///< Floats of a row of scores.
    int64_t rows;    ///< Queries for whose scores there is room.
    int64_t worker;  ///< Floats of a worker: queries of a tile, widened keys, weights.
    int64_t keys;    ///< Floats before the widened keys.
    size_t tiles_at, workers_at, bytes;

    Space(const LightningIndexer& op, std::span<const TensorDesc> in, int threads) {
      const TensorDesc& cache = op.Keys(in);
      const int64_t tokens = in[kQuery].dim(0), head_dim = cache.dim(3);
      stride = RoundUp(At(in, op.paged_.tables).dim(1) * cache.dim(1), kWidened);
      const int64_t row_bytes = op.Choosers() * std::max<int64_t>(stride, 1) * static_cast<int64_t>(sizeof(float));
      const int64_t score_bytes = std::min(tokens * row_bytes, std::max(kScoreBytes, kTileTokens * row_bytes));
      rows = score_bytes / row_bytes;
      keys = RoundUp(kTileTokens * op.heads_ * head_dim, kernels::kKeyPanel);
      worker = keys + kWidened * head_dim + RoundUp(kTileTokens * op.heads_, kernels::kKeyPanel);
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

  template <class T>
  const T& Keys(std::span<const T> in) const {
    return At(in, keys_);
  }
  void CheckWeights(const TensorDesc& weights, int64_t tokens) const {
    RequireDType(kOp, kWeights, weights, DType::kF32);
    if (weights.rank != 2 || weights.dim(0) != tokens || weights.dim(1) != heads_)
      FailShape(kOp, kWeights, "[" + std::to_string(tokens) + "," + std::to_string(heads_) + "]", weights);
  }
  int64_t BlockTokens(std::span<const Tensor> in) const {
    return choice_.stride > 1 ? *in.back().As<int32_t>() : Keys(in).desc.dim(1);
  }
  /// How many choices a query makes.
  int64_t Choosers() const { return choice_.block > 0 ? heads_ : 1; }
  /// Numbers that come out for a choice.
  int64_t Width() const { return choice_.gives_tokens ? (choice_.top + 1) * choice_.stride - 1 : choice_.top; }
  /// Whether of so many keys some are not chosen.
  bool Chooses(int64_t keys) const { return keys > choice_.top * std::max<int64_t>(choice_.block, 1); }
  /// Keys that the tile's query `own` sees.
  int64_t SeenBy(const Tile& tile, int64_t own) const { return (tile.seen + own) / choice_.stride; }

  /// The scores of a tile's queries and keys from `begin` on.
  void Score(std::span<const Tensor> in, const Tile& tile, int64_t begin, const Space& space, int worker,
             const Context& ctx) const {
    const int64_t seen = SeenBy(tile, tile.count - 1);
    const int64_t end = std::min(seen, begin + kTaskKeys);
    if (!Chooses(seen) || begin >= end) return;
    const int64_t head_dim = Keys(in).desc.dim(3), width = heads_ * head_dim;
    float* own = space.Worker(ctx.workspace, worker);
    kernels::IndexCall call{};
    call.q = LoadFloats(ctx.kernels, in[kQuery], tile.token * width, tile.count * width, own);
    call.keys = own + space.keys;
    call.tokens = tile.count * Choosers();
    call.heads = heads_ / Choosers();
    call.head_dim = head_dim;
    call.score_stride = space.stride;
    if (choice_.block > 0) {
      float* ones = own + space.keys + kWidened * head_dim;
      std::fill_n(ones, call.tokens, 1.0f);
      call.weights = ones;
      call.least = -std::numeric_limits<float>::infinity();
    } else {
      call.weights = in[kWeights].As<float>() + tile.token * heads_;
    }
    const PagedKeys keys(Keys(in), paged_.Table(in, tile.sequence), choice_.stride, BlockTokens(in));
    for (int64_t at = begin; at < end; at += kWidened) {
      call.panels = at + kernels::kKeyPanel < end ? 2 : 1;
      for (int64_t panel = 0; panel < call.panels; ++panel) {
        const int64_t first = panel * kernels::kKeyPanel;
        keys.Widen(at + first, end, ctx.kernels, own + space.keys + first * head_dim);
      }
      call.scores = space.Scores(ctx.workspace, tile.row * Choosers()) + at;
      ctx.kernels.index_scores(call);
    }
  }

  /// Writes what is chosen of `seen` keys, whose scores become those of blocks.
  void Choose(int64_t seen, float* scores, int32_t* chosen) const {
    const bool all = !Chooses(seen);
    const int64_t block = choice_.block, count = block > 0 ? CeilDiv(std::max<int64_t>(seen, 0), block) : seen;
    if (all) {
      for (int64_t i = 0; i < choice_.top; ++i) chosen[i] = i < count ? static_cast<int32_t>(i) : -1;
      return;
    }
    for (int64_t i = 0; i < count && block > 0; ++i) {
      const float* own = scores + i * block;
      const float largest = *std::max_element(own, own + std::min(block, seen - i * block));
      scores[i] = count - i <= choice_.local ? std::numeric_limits<float>::infinity() : largest;
    }
    ChooseLargest(scores, count, choice_.top, chosen);
  }

  /// Puts tokens in the place of the chosen keys, of a query that sees so many of them.
  void Spread(int64_t seen, int32_t* chosen) const {
    const int64_t stride = choice_.stride, ended = std::max<int64_t>(seen, 0) / stride * stride;
    int64_t count = std::find(chosen, chosen + choice_.top, -1) - chosen;
    // From behind, so that no key is written over that is still to be read.
    for (int64_t i = count - 1; i >= 0; --i) {
      const int64_t first = chosen[i] * stride;
      for (int64_t token = 0; token < stride; ++token) chosen[i * stride + token] = static_cast<int32_t>(first + token);
    }
    count *= stride;
    for (int64_t token = ended; token < seen; ++token) chosen[count++] = static_cast<int32_t>(token);
    std::fill(chosen + count, chosen + Width(), -1);
  }

  int64_t heads_;
  Choice choice_;
  int keys_;  ///< Number of that input; those of sequences are behind it.
  PagedSequences paged_;
  int block_tokens_;
};

}  // namespace

std::unique_ptr<Operation> CreateLightningIndexer(const ParamObject& param) {
  ParamReader reader(LightningIndexer::kOp, param);
  const int64_t heads = reader.RequiredInt("headNum", 1, kMostHeads);
  const int64_t top = reader.RequiredInt("topK", 1, 1 << 20);
  const int64_t stride = reader.Int("tokensPerKey", 1, 1, 1 << 20);
  const int64_t block = reader.Int("blockSize", 0, 0, 1 << 20);
  if (block > 0 && stride > 1) reader.Fail("blockSize", "0 with tokensPerKey");
  const int64_t local = reader.Int("localBlocks", 0, 0, 1 << 20);
  if (local > top || (local > 0 && block == 0)) reader.Fail("localBlocks", "at most topK, and 0 without blockSize");
  const bool gives_tokens = reader.Bool("givesTokens", false);
  if (gives_tokens && stride == 1) reader.Fail("givesTokens", "false without tokensPerKey");
  // As far as positions of tokens go.
  if (gives_tokens && top > (1 << 24) / stride) reader.Fail("topK", "at most 2^24 tokens");
  reader.Done();
  return std::make_unique<LightningIndexer>(heads, LightningIndexer::Choice{top, stride, block, local, gives_tokens});
}

}  // namespace atb
