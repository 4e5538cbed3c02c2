#include "ops/attention/attention.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <new>
#include <string>

#include "base/align.h"
#include "kernels/kv_pack.h"
#include "ops/check.h"
#include "ops/rows.h"

namespace atb {
namespace {

using kernels::AttendCall;
using kernels::AttendPartial;
using kernels::kAttendChunk;
using kernels::kAttendRows;
using kernels::kAttendTile;

/// With fewer tiles per thread than this, rows go to more tiles, and then tiles are split into pieces of their keys.
constexpr int64_t kTilesPerThread = 4;
/// Rows of results that are fetched ahead of the one that is written.
constexpr int64_t kRowsAhead = 16;
/// Partials of split tiles take no more than this, unless those of one tile do.
constexpr int64_t kSplitBytes = int64_t{64} << 20;

/// How heads and tokens make tiles of at most kAttendRows rows. The more rows, the fewer times keys and values are
/// read.
struct Tiling {
  int64_t heads;   ///< Query heads of a tile; a larger group takes several tiles for the same tokens.
  int64_t splits;  ///< Tiles with the same tokens that a group takes.
  int64_t tokens;  ///< Query tokens of a tile.

  Tiling(const AttentionParam& param, const AttentionExtents& e, int threads)
      : heads(std::min(param.group(), kAttendRows)), splits(CeilDiv(param.group(), kAttendRows)), tokens(1) {
    if (e.decode) return;
    // A mask that is converted takes memory for each token of a tile. Where values are parts of keys, they are staged
    // for each tile anew.
    int64_t rows = e.mask_columns > 0 ? kAttendTile : kAttendRows;
    const auto tiles = [&] { return HeadTiles(param) * CeilDiv(e.tokens, std::max<int64_t>(1, rows / heads)); };
    while (rows > kAttendTile && param.latent == 0 && tiles() < kTilesPerThread * threads) rows /= 2;
    tokens = std::max<int64_t>(1, rows / heads);
  }
  int64_t rows() const { return heads * tokens; }
  /// Tiles with the same tokens.
  int64_t HeadTiles(const AttentionParam& param) const { return param.kv_heads * splits; }
};

/// How many floats a partial takes, in whole cache lines.
int64_t PartialFloats(int64_t rows, int64_t value_dim) {
  return static_cast<int64_t>(Align(static_cast<size_t>(rows * (value_dim + 2)) * sizeof(float)) / sizeof(float));
}

AttendPartial PartialAt(float* base, int64_t rows, int64_t value_dim) {
  float* max = base + rows * value_dim;
  return {max, max + rows, base};
}

/// The sequence of a tile. A sequence without tiles has the same first_tile as the next one, which comes after it.
const AttentionSequence* FindSequence(const AttentionSequence* sequences, int64_t count, int64_t tile) {
  const auto after = [](int64_t i, const AttentionSequence& s) { return i < s.first_tile; };
  return std::upper_bound(sequences, sequences + count, tile, after) - 1;
}

/// Bytes that the values of a piece of keys take beside them.
size_t StagedBytes(const AttentionParam& param, DType cache_dtype) {
  const kernels::KvStore store{nullptr, cache_dtype, true, 1, kAttendChunk, 1, param.latent};
  return param.latent > 0 ? Align(static_cast<size_t>(store.HeadBytes())) : 0;
}

/// Where things lie in the workspace of Attend.
struct WorkLayout {
  Tiling tiling;
  int64_t partial;    ///< Floats.
  int64_t mask_row;   ///< Floats of one converted row; 0 when none is converted.
  bool mask_by_head;  ///< Then heads of a tile have rows of their own.
  size_t staged_bytes;
  size_t thread_bytes;  ///< Scratch of the kernel, staged values, a partial, mask rows.
  int64_t split_tiles;  ///< The most tiles that are split; there is room for their pieces.
  int64_t max_chunks;
  size_t scratch_at, counters_at, pieces_at, bytes;

  WorkLayout(const AttentionParam& param, const AttentionExtents& e, int threads, const kernels::KernelTable& kernels)
      : tiling(param, e, threads),
        partial(PartialFloats(tiling.rows(), e.value_dim)),
        mask_row(RoundUp(e.mask_columns, 16)),
        mask_by_head(e.mask_by_head),
        staged_bytes(StagedBytes(param, e.cache_dtype)),
        max_chunks(CeilDiv(e.max_context, kAttendChunk)) {
    const int64_t mask_rows = tiling.tokens * (mask_by_head ? tiling.heads : 1);
    thread_bytes = Align(static_cast<size_t>(kernels.attend_scratch_bytes)) + staged_bytes +
                   Align(static_cast<size_t>(partial + mask_row * mask_rows) * sizeof(float));
    // Every token alone in a tile is the worst case.
    const int64_t tiles = tiling.HeadTiles(param) * (e.decode ? e.sequences : e.tokens);
    const auto tile_bytes = std::max<int64_t>(1, max_chunks * partial * static_cast<int64_t>(sizeof(float)));
    const int64_t most = std::min(kTilesPerThread * threads - 1, std::max<int64_t>(1, kSplitBytes / tile_bytes));
    split_tiles = threads > 1 && max_chunks > 1 ? std::min(tiles, most) : 0;
    scratch_at = 0;
    counters_at = scratch_at + thread_bytes * static_cast<size_t>(threads);
    pieces_at = counters_at + Align(static_cast<size_t>(split_tiles) * sizeof(std::atomic<int64_t>));
    bytes = pieces_at + static_cast<size_t>(split_tiles * max_chunks * partial) * sizeof(float);
  }
};

/// One (sequence, kv head, tokens) and the pieces of keys that some of its rows see.
struct Tile {
  AttendCall call;
  const AttentionSequence* sequence;
  int64_t first_head;   ///< Query head of row 0.
  int64_t first_token;  ///< Of the tile, within the sequence.
  int64_t first_chunk;
  int64_t end_chunk;
  int64_t end_key;

  int64_t chunks() const { return std::max<int64_t>(end_chunk - first_chunk, 0); }
  int64_t rows() const { return call.q_tokens * call.group; }
};

class Runner {
 public:
  Runner(const AttentionWork& work, const WorkLayout& layout, const Context& ctx, std::byte* workspace)
      : work_(work),
        layout_(layout),
        tiling_(layout.tiling),
        value_dim_(work.value_dim),
        ctx_(ctx),
        workspace_(workspace) {}

  void Run() {
    int64_t tiles = 0;
    for (int64_t i = 0; i < work_.count; ++i) {
      work_.sequences[i].first_tile = tiles;
      tiles += CeilDiv(work_.sequences[i].q_tokens, tiling_.tokens) * tiling_.HeadTiles(work_.param);
    }
    if (tiles <= layout_.split_tiles) return RunSplit(tiles);
    ctx_.pool.ParallelFor(tiles, [&](int64_t i, int worker) { RunWhole(MakeTile(i, worker), worker); });
  }

 private:
  Tile MakeTile(int64_t index, int worker) const {
    const AttentionSequence* s = FindSequence(work_.sequences, work_.count, index);
    const int64_t token_tiles = CeilDiv(s->q_tokens, tiling_.tokens);
    const int64_t head_tile = (index - s->first_tile) / token_tiles;
    const int64_t kv_head = head_tile / tiling_.splits;
    const int64_t split = head_tile % tiling_.splits;

    Tile tile = {};
    tile.sequence = s;
    // Later tiles of a prompt see more keys. The longest come first, so that short ones fill up the end.
    tile.first_token = (token_tiles - 1 - (index - s->first_tile) % token_tiles) * tiling_.tokens;
    tile.first_head = kv_head * work_.param.group() + split * tiling_.heads;
    AttendCall& c = tile.call;
    c.dtype = work_.dtype;
    c.cache_dtype = work_.cache_dtype;
    c.q_tokens = std::min(tiling_.tokens, s->q_tokens - tile.first_token);
    c.q_stride = work_.param.heads * work_.head_dim;
    c.group = std::min(tiling_.heads, work_.param.group() - split * tiling_.heads);
    c.kv_head = kv_head;
    c.blocks = work_.blocks;
    c.head_dim = work_.head_dim;
    c.value_dim = value_dim_;
    // The kernel takes q for that of head 0 and skips kv_head * group heads. Where a tile is a part of a group, q is
    // moved, so that the tile's own first head lies there.
    const int64_t q_element =
        (s->q_begin + tile.first_token) * c.q_stride + (tile.first_head - kv_head * c.group) * work_.head_dim;
    c.q = static_cast<const std::byte*>(work_.q) + q_element * static_cast<int64_t>(SizeOf(work_.dtype));
    c.q_position = s->context_len - s->q_tokens + tile.first_token;
    c.window = work_.param.window;
    c.chunk = work_.param.chunk;
    c.causal = work_.param.causal;
    c.seen = work_.seen == nullptr ? nullptr : work_.seen + s->q_begin + tile.first_token;
    c.context_len = s->context_len;
    c.scale = work_.param.scale;
    c.softcap = work_.param.softcap;
    c.slopes = work_.param.slopes.empty() ? nullptr : work_.param.slopes.data() + tile.first_head;
    c.k_cache = s->k_cache;
    c.v_cache = s->v_cache;
    c.values = Staged(worker);
    c.block_table = s->block_table;
    c.block_size = work_.block_size;

    int64_t first_key = c.window > 0 ? std::max<int64_t>(0, c.q_position - c.window + 1) : 0;
    if (c.chunk > 0) first_key = std::max(first_key, c.q_position - c.q_position % c.chunk);
    const int64_t seen = c.seen == nullptr ? c.q_position + c.q_tokens : c.seen[c.q_tokens - 1];
    tile.end_key = c.causal ? std::min(c.context_len, seen) : c.context_len;
    tile.first_chunk = first_key / kAttendChunk;
    tile.end_chunk = CeilDiv(std::max<int64_t>(tile.end_key, 0), kAttendChunk);
    return tile;
  }

  std::byte* Scratch(int worker) const {
    return workspace_ + layout_.scratch_at + layout_.thread_bytes * static_cast<size_t>(worker);
  }
  std::byte* Staged(int worker) const {
    return Scratch(worker) + Align(static_cast<size_t>(ctx_.kernels.attend_scratch_bytes));
  }
  /// The floats of a worker: a partial, then rows of the mask.
  float* Floats(int worker) const { return reinterpret_cast<float*>(Staged(worker) + layout_.staged_bytes); }

  /// Gives the tile the mask of its rows: the mask itself, or a copy for keys [begin, end) that is converted to f32.
  void SetMask(Tile& tile, int64_t begin, int64_t end, int worker) const {
    const AttentionMask& mask = work_.mask;
    if (mask.data == nullptr) return;
    AttendCall& c = tile.call;
    const int64_t row = tile.sequence->mask_row + tile.first_token + tile.first_head * mask.head_rows;
    if (layout_.mask_row == 0) {
      c.mask = static_cast<const float*>(mask.data) + row * mask.columns;
      c.mask_stride = mask.columns;
      c.mask_head_stride = mask.head_rows * mask.columns;
      return;
    }
    float* rows = Floats(worker) + layout_.partial;
    c.mask = rows;
    c.mask_stride = layout_.mask_row;
    c.mask_head_stride = mask.head_rows == 0 ? 0 : layout_.mask_row * c.q_tokens;
    const int64_t heads = mask.head_rows == 0 ? 1 : c.group;
    for (int64_t i = 0; i < heads * c.q_tokens; ++i) {
      const int64_t from_row = row + i / c.q_tokens * mask.head_rows + i % c.q_tokens;
      const int64_t from = (from_row * mask.columns + begin) * static_cast<int64_t>(SizeOf(work_.dtype));
      float* to = rows + i * layout_.mask_row + begin;
      ctx_.kernels.to_f32(static_cast<const std::byte*>(mask.data) + from, work_.dtype, to, end - begin);
      for (int64_t j = 0; j < end - begin; ++j) to[j] *= mask.factor;
    }
  }

  /// Attention of a tile over chunks [begin, end) of its keys, of which there are some.
  void AttendChunks(Tile& tile, int64_t begin, int64_t end, const AttendPartial& to, int worker) const {
    const int64_t first_key = begin * kAttendChunk;
    const int64_t end_key = std::min(end * kAttendChunk, tile.end_key);
    SetMask(tile, first_key, end_key, worker);
    ctx_.kernels.attend(tile.call, first_key, end_key, to, Scratch(worker));
  }

  void RunWhole(Tile tile, int worker) const {
    const AttendPartial to = PartialAt(Floats(worker), tile.rows(), value_dim_);
    if (tile.chunks() > 0) AttendChunks(tile, tile.first_chunk, tile.end_chunk, to, worker);
    Finish(tile, to);
  }

  /// For few tiles and many threads. A tile's pieces are cut into runs, which any thread may take, and each piece keeps
  /// a partial of its own. The thread that finishes the last run of a tile merges them in the order of RunWhole.
  void RunSplit(int64_t tiles) const {
    if (tiles == 0) return;
    auto* left = reinterpret_cast<std::atomic<int64_t>*>(workspace_ + layout_.counters_at);
    auto* pieces = reinterpret_cast<float*>(workspace_ + layout_.pieces_at);
    const int64_t runs = CeilDiv(kTilesPerThread * ctx_.pool.threads(), tiles);
    for (int64_t i = 0; i < tiles; ++i) new (left + i) std::atomic<int64_t>(runs);
    ctx_.pool.ParallelFor(tiles * runs, [&](int64_t index, int worker) {
      Tile tile = MakeTile(index / runs, worker);
      const auto piece = [&](int64_t chunk) {
        const int64_t at = index / runs * layout_.max_chunks + chunk - tile.first_chunk;
        return PartialAt(pieces + at * layout_.partial, tile.rows(), value_dim_);
      };
      const int64_t length = CeilDiv(tile.chunks(), runs);
      const int64_t begin = tile.first_chunk + std::min(index % runs * length, tile.chunks());
      const int64_t end = std::min(begin + length, tile.end_chunk);
      for (int64_t chunk = begin; chunk < end; ++chunk) AttendChunks(tile, chunk, chunk + 1, piece(chunk), worker);
      if (left[index / runs].fetch_sub(1, std::memory_order_acq_rel) != 1) return;
      const AttendPartial acc = piece(tile.first_chunk);
      for (int64_t chunk = tile.first_chunk + 1; chunk < tile.end_chunk; ++chunk)
        ctx_.kernels.merge(acc, piece(chunk), tile.rows(), value_dim_);
      Finish(tile, acc);
    });
  }

  /// Brings a row of results that is written soon into the cache: tokens lie apart, and stores would wait for each.
  void FetchRow(const std::byte* row) const {
    for (int64_t i = 0; i < value_dim_ * static_cast<int64_t>(SizeOf(work_.dtype)); i += 64)
      __builtin_prefetch(row + i, 1);
  }

  /// Normalises, rounds and writes a tile's rows; zeros where no key was seen.
  void Finish(const Tile& tile, const AttendPartial& acc) const {
    const auto out = [&](int64_t r) {
      const int64_t token = tile.sequence->q_begin + tile.first_token + r / tile.call.group;
      const int64_t element = (token * work_.param.heads + tile.first_head + r % tile.call.group) * value_dim_;
      return static_cast<std::byte*>(work_.out) + element * static_cast<int64_t>(SizeOf(work_.dtype));
    };
    for (int64_t r = 0; r < tile.rows(); ++r) {
      FetchRow(out(std::min(r + kRowsAhead, tile.rows() - 1)));
      float* row = acc.out + r * value_dim_;
      float sum = tile.chunks() > 0 ? acc.sum[r] : 0.0f;
      // A sink far above all scores makes the sum infinite, and the result what it is then: zeros.
      if (work_.sinks && sum != 0) sum += std::exp(work_.sinks[tile.first_head + r % tile.call.group] - acc.max[r]);
      if (sum == 0) {
        std::fill_n(row, value_dim_, 0.0f);
      } else {
        // A product that underflows may be -0, where a kernel that skips it leaves +0. Adding 0 makes both +0.
        const float inverse = 1 / sum;
        for (int64_t d = 0; d < value_dim_; ++d) row[d] = row[d] * inverse + 0.0f;
      }
      ctx_.kernels.from_f32(row, out(r), work_.dtype, value_dim_);
    }
  }

  const AttentionWork& work_;
  const WorkLayout& layout_;
  const Tiling& tiling_;
  const int64_t value_dim_;
  const Context& ctx_;
  std::byte* workspace_;
};

kernels::KvStore PackedStore(DType dtype, bool values, int64_t blocks, int64_t kv_heads, int64_t head_dim) {
  return {nullptr, dtype, values, blocks, KvPacker::kBlock, kv_heads, head_dim};
}

}  // namespace

AttentionParam AttentionParam::Read(ParamReader& reader) {
  AttentionParam p;
  p.heads = reader.RequiredInt("headNum", 1, kMostHeads);
  p.kv_heads = reader.Int("kvHeadNum", 0, 0, kMostHeads);
  if (p.kv_heads == 0) p.kv_heads = p.heads;
  if (p.heads % p.kv_heads != 0) reader.Fail("kvHeadNum", "a divisor of headNum " + std::to_string(p.heads));
  p.scale = static_cast<float>(reader.Number("qkScale", 1));
  p.window = reader.Int("windowSize", 0, 0, int64_t{1} << 40);
  p.chunk = reader.Int("chunkSize", 0, 0, int64_t{1} << 40);
  // A window ends at the query, and so does what is seen of a chunk: they imply a causal mask.
  p.causal = reader.Bool("causal", false) || p.window > 0 || p.chunk > 0;
  for (double slope : reader.Numbers("slopes")) p.slopes.push_back(static_cast<float>(slope));
  if (!p.slopes.empty() && p.slopes.size() != static_cast<size_t>(p.heads))
    reader.Fail("slopes", "one number for each of the " + std::to_string(p.heads) + " heads");
  p.softcap = static_cast<float>(reader.Number("softcap", 0));
  if (p.softcap < 0) reader.Fail("softcap", "at least 0");
  p.has_sinks = reader.Bool("hasSinks", false);
  p.has_seen = reader.Bool("hasSeen", false);
  if (p.has_seen && !p.causal) reader.Fail("hasSeen", "false unless `causal` is true");
  reader.Require("batchRunStatusEnable", false);
  reader.Require("quantType", "TYPE_QUANT_UNDEFINED");
  reader.Require("outDataType", "ACL_DT_UNDEFINED");
  reader.Require("scaleType", "SCALE_TYPE_TOR");
  reader.Require("inputLayout", "TYPE_BSND");
  p.latent = reader.Int("mlaVHeadSize", 0, 0, kernels::kMaxHeadDim);
  if (p.latent % 8 != 0) reader.Fail("mlaVHeadSize", "a multiple of 8");
  if (p.latent > 0 && p.kv_heads != 1) reader.Fail("kvHeadNum", "1 with mlaVHeadSize");
  return p;
}

TensorDesc AttentionResult(const char* op, int input, const AttentionParam& param, const TensorDesc& q,
                           int64_t head_dim, int64_t value_dim) {
  if (param.latent > head_dim)
    FailShape(op, input, "of heads of at least mlaVHeadSize " + std::to_string(param.latent), q);
  TensorDesc out = q;
  out.dims[q.rank - 1] = q.dim(-1) / head_dim * value_dim;
  return out;
}

size_t AttendWorkspaceBytes(const AttentionParam& param, const AttentionExtents& extents, int threads,
                            const kernels::KernelTable& kernels) {
  return WorkLayout(param, extents, threads, kernels).bytes;
}

void Attend(const AttentionWork& work, const AttentionExtents& extents, const Context& ctx, std::byte* workspace) {
  const WorkLayout layout(work.param, extents, ctx.pool.threads(), ctx.kernels);
  Runner(work, layout, ctx, workspace).Run();
}

size_t KvPacker::Bytes(DType dtype, int64_t keys, int64_t sequences, const AttentionParam& param, int64_t head_dim,
                       int64_t value_dim) {
  const int64_t blocks = CeilDiv(keys, kBlock) + sequences;
  int64_t block = PackedStore(dtype, false, blocks, param.kv_heads, head_dim).BlockBytes();
  if (param.latent == 0) block += PackedStore(dtype, true, blocks, param.kv_heads, value_dim).BlockBytes();
  return Align(static_cast<size_t>(blocks * block));
}

int64_t KvPacker::Pack(AttentionSequence* sequences, const KvRows* rows, int64_t count, ThreadPool& pool,
                       std::byte* workspace) const {
  int64_t blocks = 0;
  for (int64_t i = 0; i < count; ++i) {
    sequences[i].first_tile = blocks;  // Until Attend counts its tiles.
    blocks += CeilDiv(sequences[i].context_len, kBlock);
  }
  kernels::KvStore keys = PackedStore(dtype_, false, blocks, kv_heads_, head_dim_);
  kernels::KvStore values = PackedStore(dtype_, true, blocks, kv_heads_, value_dim_);
  keys.data = workspace;
  values.data = workspace + blocks * keys.BlockBytes();
  for (int64_t i = 0; i < count; ++i) {
    sequences[i].block_table = nullptr;
    sequences[i].k_cache = static_cast<std::byte*>(keys.data) + sequences[i].first_tile * keys.BlockBytes() / kv_heads_;
    if (!has_values_) continue;
    sequences[i].v_cache =
        static_cast<std::byte*>(values.data) + sequences[i].first_tile * values.BlockBytes() / kv_heads_;
  }
  pool.ParallelFor(blocks * kv_heads_, [&](int64_t index, int) {
    const int64_t block = index / kv_heads_;
    const int64_t head = index % kv_heads_;
    const AttentionSequence* s = FindSequence(sequences, count, block);
    const KvRows& from = rows[s - sequences];
    const int64_t begin = (block - s->first_tile) * kBlock;
    const int64_t n = std::min(kBlock, s->context_len - begin);
    for (const kernels::KvStore& store : {keys, values}) {
      if (store.values && !has_values_) continue;
      const auto* base = static_cast<const std::byte*>(store.values ? from.values : from.keys);
      const int64_t stride = kv_heads_ * store.head_dim;
      ZeroHead(store, block, head);
      for (int64_t j = begin; j < begin + n;) {
        const int64_t offset = from.block_table ? j % from.block_size : 0;
        const int64_t row = from.block_table ? from.block_table[j / from.block_size] * from.block_size + offset : j;
        const int64_t run = from.block_table ? std::min(from.block_size - offset, begin + n - j) : n;
        WriteSlots(store, block * kBlock + j - begin, head,
                   base + (row * stride + head * store.head_dim) * static_cast<int64_t>(SizeOf(dtype_)), stride, run);
        j += run;
      }
    }
  });
  return blocks;
}

void CheckSeen(const char* op, int input, const int32_t* seen, int64_t queries, int64_t context) {
  int64_t least = context - queries;
  for (int64_t i = 0; i < queries; ++i) {
    least = std::max(least, context - queries + i + 1);
    if (seen[i] < least || seen[i] > context) {
      FailValue(op, input, "numbers of keys from " + std::to_string(least) + " to " + std::to_string(context),
                std::to_string(seen[i]));
    }
    least = seen[i];
  }
}

int64_t RequireQuery(const char* op, int input, const TensorDesc& desc, int64_t heads) {
  RequireFloat(op, input, desc);
  RequireRank(op, input, desc, 2, 3);
  const bool split = desc.rank == 3;
  const int64_t head_dim = split ? desc.dim(2) : desc.dim(1) / heads;
  if ((split ? desc.dim(1) != heads : desc.dim(1) % heads != 0) || head_dim < 8 || head_dim % 8 != 0 ||
      head_dim > kernels::kMaxHeadDim) {
    const std::string n = std::to_string(heads);
    const std::string most = std::to_string(kernels::kMaxHeadDim);
    FailShape(op, input, "[tokens," + n + ",D] or [tokens," + n + "*D], D a multiple of 8 up to " + most, desc);
  }
  return head_dim;
}

}  // namespace atb
