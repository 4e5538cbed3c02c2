#include "ops/attention/attention.h"

#include <algorithm>
#include <atomic>
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

/// With fewer items per thread than this, items are split into pieces of their keys.
constexpr int64_t kItemsPerThread = 4;

/// How heads and tokens make tiles of at most kAttendRows rows.
struct Tiling {
  int64_t heads;   ///< Query heads of a tile; a larger group takes several tiles for the same tokens.
  int64_t splits;  ///< Tiles with the same tokens that a group takes.
  int64_t tokens;  ///< Query tokens of a tile.

  Tiling(int64_t group, bool decode)
      : heads(std::min(group, kAttendRows)),
        splits(CeilDiv(group, kAttendRows)),
        tokens(decode ? 1 : kAttendRows / heads) {}
  int64_t rows() const { return heads * tokens; }
};

/// How many floats a partial takes, in whole cache lines.
int64_t PartialFloats(int64_t rows, int64_t head_dim) {
  return static_cast<int64_t>(Align(static_cast<size_t>(rows * (head_dim + 2)) * sizeof(float)) / sizeof(float));
}

AttendPartial PartialAt(float* base, int64_t rows) { return {base, base + rows, base + 2 * rows}; }

/// The sequence of an item. A sequence without items has the same first_item as the next one, which comes after it.
const AttentionSequence* FindSequence(const AttentionSequence* sequences, int64_t count, int64_t item) {
  const auto after = [](int64_t i, const AttentionSequence& s) { return i < s.first_item; };
  return std::upper_bound(sequences, sequences + count, item, after) - 1;
}

/// Where things lie in the workspace of Attend.
struct WorkLayout {
  Tiling tiling;
  int64_t partial;      ///< Floats.
  int64_t mask_row;     ///< Floats of one converted row; 0 when none is converted.
  bool mask_by_head;    ///< Then heads of a tile have rows of their own.
  size_t thread_bytes;  ///< Scratch of the kernel, two partials, mask rows.
  int64_t split_items;  ///< The most items that are split; there is room for their pieces.
  int64_t max_chunks;
  size_t scratch_at, counters_at, pieces_at, bytes;

  WorkLayout(const AttentionParam& param, const AttentionExtents& e, int threads, const kernels::KernelTable& kernels)
      : tiling(param.group(), e.decode),
        partial(PartialFloats(tiling.rows(), e.head_dim)),
        mask_row(RoundUp(e.mask_columns, 16)),
        mask_by_head(e.mask_by_head),
        max_chunks(CeilDiv(e.max_context, kAttendChunk)) {
    thread_bytes = Align(static_cast<size_t>(kernels.attend_scratch_bytes)) +
                   Align(static_cast<size_t>(2 * partial + mask_row * MaskRows()) * sizeof(float));
    // Every token alone in a tile is the worst case.
    const int64_t items = param.kv_heads * tiling.splits * (e.decode ? e.sequences : e.tokens);
    split_items = threads > 1 && max_chunks > 1 ? std::min(items, kItemsPerThread * threads - 1) : 0;
    scratch_at = 0;
    counters_at = scratch_at + thread_bytes * static_cast<size_t>(threads);
    pieces_at = counters_at + Align(static_cast<size_t>(split_items) * sizeof(std::atomic<int64_t>));
    bytes = pieces_at + static_cast<size_t>(split_items * max_chunks * partial) * sizeof(float);
  }
  int64_t MaskRows() const { return tiling.tokens * (mask_by_head ? tiling.heads : 1); }
};

/// One (sequence, kv head, tile) and the pieces of keys that some of its rows see.
struct Item {
  const AttentionSequence* sequence;
  AttendCall call;
  int64_t first_head;   ///< Query head of row 0.
  int64_t first_token;  ///< Of the tile, within the sequence.
  int64_t first_chunk;
  int64_t end_chunk;
  int64_t end_key;

  int64_t chunks() const { return std::max<int64_t>(end_chunk - first_chunk, 0); }
};

class Runner {
 public:
  Runner(const AttentionWork& work, const WorkLayout& layout, const Context& ctx, std::byte* workspace)
      : work_(work), layout_(layout), ctx_(ctx), workspace_(workspace) {}

  void Run() {
    int64_t items = 0;
    for (int64_t i = 0; i < work_.count; ++i) {
      work_.sequences[i].first_item = items;
      items += TilesOf(work_.sequences[i]) * HeadTiles();
    }
    if (items <= layout_.split_items) return RunSplit(items);
    ctx_.pool.ParallelFor(items, [&](int64_t i, int worker) { RunWhole(MakeItem(i), worker); });
  }

 private:
  int64_t TilesOf(const AttentionSequence& s) const { return CeilDiv(s.q_tokens, layout_.tiling.tokens); }
  /// Tiles of the same tokens.
  int64_t HeadTiles() const { return work_.param.kv_heads * layout_.tiling.splits; }

  Item MakeItem(int64_t index) const {
    const AttentionSequence* s = FindSequence(work_.sequences, work_.count, index);
    const int64_t tiles = TilesOf(*s);
    const int64_t head_tile = (index - s->first_item) / tiles;
    // Later tiles of a prompt see more keys. The longest come first, so that short ones fill up the end.
    const int64_t tile = tiles - 1 - (index - s->first_item) % tiles;
    const int64_t kv_head = head_tile / layout_.tiling.splits;
    const int64_t split = head_tile % layout_.tiling.splits;

    Item item = {};
    item.sequence = s;
    item.first_token = tile * layout_.tiling.tokens;
    item.first_head = kv_head * work_.param.group() + split * layout_.tiling.heads;
    AttendCall& c = item.call;
    c.dtype = work_.dtype;
    c.cache_dtype = work_.cache_dtype;
    c.q_tokens = std::min(layout_.tiling.tokens, s->q_tokens - item.first_token);
    c.q_stride = work_.param.heads * work_.head_dim;
    c.group = std::min(layout_.tiling.heads, work_.param.group() - split * layout_.tiling.heads);
    c.kv_head = kv_head;
    c.blocks = work_.blocks;
    c.head_dim = work_.head_dim;
    // The kernel takes q for that of head 0 and skips kv_head * group heads. Where a tile is a part of a group, q is
    // moved, so that the tile's own first head lies there.
    const int64_t q_element =
        (s->q_begin + item.first_token) * c.q_stride + (item.first_head - kv_head * c.group) * work_.head_dim;
    c.q = static_cast<const std::byte*>(work_.q) + q_element * static_cast<int64_t>(SizeOf(work_.dtype));
    c.q_position = s->context_len - s->q_tokens + item.first_token;
    c.window = work_.param.window;
    c.causal = work_.param.causal;
    c.context_len = s->context_len;
    c.scale = work_.param.scale;
    c.softcap = work_.param.softcap;
    c.slopes = work_.param.slopes.empty() ? nullptr : work_.param.slopes.data() + item.first_head;
    c.k_cache = s->k_cache;
    c.v_cache = s->v_cache;
    c.block_table = s->block_table;
    c.block_size = work_.block_size;

    const int64_t first_key = c.window > 0 ? std::max<int64_t>(0, c.q_position - c.window + 1) : 0;
    item.end_key = c.causal ? std::min(c.context_len, c.q_position + c.q_tokens) : c.context_len;
    item.first_chunk = first_key / kAttendChunk;
    item.end_chunk = CeilDiv(std::max<int64_t>(item.end_key, 0), kAttendChunk);
    return item;
  }

  std::byte* Scratch(int worker) const {
    return workspace_ + layout_.scratch_at + layout_.thread_bytes * static_cast<size_t>(worker);
  }
  /// The floats of a worker: two partials, then rows of the mask.
  float* Floats(int worker) const {
    return reinterpret_cast<float*>(Scratch(worker) + Align(static_cast<size_t>(ctx_.kernels.attend_scratch_bytes)));
  }

  /// Gives the call the mask of its rows: the mask itself, or a copy for keys [begin, end) that is converted to f32.
  void SetMask(Item& item, int64_t begin, int64_t end, int worker) const {
    const AttentionMask& mask = work_.mask;
    if (mask.data == nullptr) return;
    const int64_t row = item.sequence->mask_row + item.first_token + item.first_head * mask.head_rows;
    if (layout_.mask_row == 0) {
      item.call.mask = static_cast<const float*>(mask.data) + row * mask.columns;
      item.call.mask_stride = mask.columns;
      item.call.mask_head_stride = mask.head_rows * mask.columns;
      return;
    }
    float* rows = Floats(worker) + 2 * layout_.partial;
    item.call.mask = rows;
    item.call.mask_stride = layout_.mask_row;
    item.call.mask_head_stride = mask.head_rows == 0 ? 0 : layout_.mask_row * item.call.q_tokens;
    const int64_t heads = mask.head_rows == 0 ? 1 : item.call.group;
    for (int64_t i = 0; i < heads * item.call.q_tokens; ++i) {
      const int64_t from_row = row + i / item.call.q_tokens * mask.head_rows + i % item.call.q_tokens;
      const int64_t from = (from_row * mask.columns + begin) * static_cast<int64_t>(SizeOf(work_.dtype));
      float* to = rows + i * layout_.mask_row + begin;
      ctx_.kernels.to_f32(static_cast<const std::byte*>(mask.data) + from, work_.dtype, to, end - begin);
      for (int64_t j = 0; j < end - begin; ++j) to[j] *= mask.factor;
    }
  }

  void Piece(const Item& item, int64_t chunk, const AttendPartial& out, int worker) const {
    const int64_t begin = chunk * kAttendChunk;
    ctx_.kernels.attend(item.call, begin, std::min(begin + kAttendChunk, item.end_key), out, Scratch(worker));
  }

  /// Computes all pieces in the order of their positions, then the result.
  void RunWhole(Item item, int worker) const {
    const int64_t rows = item.call.q_tokens * item.call.group;
    const AttendPartial acc = PartialAt(Floats(worker), rows);
    const AttendPartial part = PartialAt(Floats(worker) + layout_.partial, rows);
    if (item.chunks() == 0) return Finish(item, nullptr, worker);
    SetMask(item, item.first_chunk * kAttendChunk, item.end_key, worker);
    Piece(item, item.first_chunk, acc, worker);
    for (int64_t chunk = item.first_chunk + 1; chunk < item.end_chunk; ++chunk) {
      Piece(item, chunk, part, worker);
      ctx_.kernels.merge(acc, part, rows, work_.head_dim);
    }
    Finish(item, &acc, worker);
  }

  /// For few items and many threads. An item's pieces are cut into runs, which any thread may take, and each piece
  /// keeps a partial of its own. The thread that finishes the last run of an item merges them in the order of RunWhole.
  void RunSplit(int64_t items) const {
    if (items == 0) return;
    auto* left = reinterpret_cast<std::atomic<int64_t>*>(workspace_ + layout_.counters_at);
    auto* pieces = reinterpret_cast<float*>(workspace_ + layout_.pieces_at);
    const int64_t runs = CeilDiv(kItemsPerThread * ctx_.pool.threads(), items);
    for (int64_t i = 0; i < items; ++i) new (left + i) std::atomic<int64_t>(runs);
    ctx_.pool.ParallelFor(items * runs, [&](int64_t index, int worker) {
      Item item = MakeItem(index / runs);
      const int64_t rows = item.call.q_tokens * item.call.group;
      float* own = pieces + index / runs * layout_.max_chunks * layout_.partial;
      const auto piece = [&](int64_t i) { return PartialAt(own + i * layout_.partial, rows); };
      const int64_t length = CeilDiv(item.chunks(), runs);
      const int64_t begin = std::min(index % runs * length, item.chunks());
      const int64_t end = std::min(begin + length, item.chunks());
      if (begin < end) {
        const int64_t first_key = (item.first_chunk + begin) * kAttendChunk;
        SetMask(item, first_key, std::min((item.first_chunk + end) * kAttendChunk, item.end_key), worker);
      }
      for (int64_t i = begin; i < end; ++i) Piece(item, item.first_chunk + i, piece(i), worker);
      if (left[index / runs].fetch_sub(1, std::memory_order_acq_rel) != 1) return;
      const AttendPartial acc = piece(0);
      for (int64_t i = 1; i < item.chunks(); ++i) ctx_.kernels.merge(acc, piece(i), rows, work_.head_dim);
      Finish(item, item.chunks() > 0 ? &acc : nullptr, worker);
    });
  }

  /// Normalises, rounds and writes an item's rows; zeros where no key was seen.
  void Finish(const Item& item, const AttendPartial* acc, int worker) const {
    const int64_t head_dim = work_.head_dim;
    for (int64_t r = 0; r < item.call.q_tokens * item.call.group; ++r) {
      float* row = acc != nullptr ? acc->out + r * head_dim : Floats(worker);
      const float sum = acc != nullptr ? acc->sum[r] : 0.0f;
      if (sum == 0) {
        std::fill_n(row, head_dim, 0.0f);
      } else {
        // A product that underflows may be -0, where a kernel that skips it leaves +0. Adding 0 makes both +0.
        const float inverse = 1 / sum;
        for (int64_t d = 0; d < head_dim; ++d) row[d] = row[d] * inverse + 0.0f;
      }
      const int64_t token = item.sequence->q_begin + item.first_token + r / item.call.group;
      const int64_t head = item.first_head + r % item.call.group;
      const int64_t element = (token * work_.param.heads + head) * head_dim;
      ctx_.kernels.from_f32(row,
                            static_cast<std::byte*>(work_.out) + element * static_cast<int64_t>(SizeOf(work_.dtype)),
                            work_.dtype, head_dim);
    }
  }

  const AttentionWork& work_;
  const WorkLayout& layout_;
  const Context& ctx_;
  std::byte* workspace_;
};

kernels::KvStore PackedStore(DType dtype, bool values, int64_t blocks, int64_t kv_heads, int64_t head_dim) {
  return {nullptr, dtype, values, blocks, KvPacker::kBlock, kv_heads, head_dim};
}

}  // namespace

AttentionParam AttentionParam::Read(ParamReader& reader) {
  constexpr int64_t kMaxHeads = 1 << 16;
  AttentionParam p;
  p.heads = reader.Int("headNum", 0, 1, kMaxHeads);
  if (p.heads == 0) reader.Fail("headNum", "given");
  p.kv_heads = reader.Int("kvHeadNum", 0, 0, kMaxHeads);
  if (p.kv_heads == 0) p.kv_heads = p.heads;
  if (p.heads % p.kv_heads != 0) reader.Fail("kvHeadNum", "a divisor of headNum " + std::to_string(p.heads));
  p.scale = static_cast<float>(reader.Number("qkScale", 1));
  p.window = reader.Int("windowSize", 0, 0, int64_t{1} << 40);
  // A window ends at the query, so it implies a causal mask.
  p.causal = reader.Bool("causal", false) || p.window > 0;
  for (double slope : reader.Numbers("slopes")) p.slopes.push_back(static_cast<float>(slope));
  if (!p.slopes.empty() && p.slopes.size() != static_cast<size_t>(p.heads))
    reader.Fail("slopes", "one number for each of the " + std::to_string(p.heads) + " heads");
  p.softcap = static_cast<float>(reader.Number("softcap", 0));
  if (p.softcap < 0) reader.Fail("softcap", "at least 0");
  reader.Require("batchRunStatusEnable", false);
  reader.Require("quantType", "TYPE_QUANT_UNDEFINED");
  reader.Require("outDataType", "ACL_DT_UNDEFINED");
  reader.Require("scaleType", "SCALE_TYPE_TOR");
  reader.Require("inputLayout", "TYPE_BSND");
  reader.Require("mlaVHeadSize", 0);
  return p;
}

size_t AttendWorkspaceBytes(const AttentionParam& param, const AttentionExtents& extents, int threads,
                            const kernels::KernelTable& kernels) {
  return WorkLayout(param, extents, threads, kernels).bytes;
}

void Attend(const AttentionWork& work, const AttentionExtents& extents, const Context& ctx, std::byte* workspace) {
  const WorkLayout layout(work.param, extents, ctx.pool.threads(), ctx.kernels);
  Runner(work, layout, ctx, workspace).Run();
}

size_t KvPacker::Bytes(DType dtype, int64_t keys, int64_t sequences, int64_t kv_heads, int64_t head_dim) {
  const int64_t blocks = CeilDiv(keys, kBlock) + sequences;
  const int64_t block = PackedStore(dtype, false, blocks, kv_heads, head_dim).BlockBytes() +
                        PackedStore(dtype, true, blocks, kv_heads, head_dim).BlockBytes();
  return Align(static_cast<size_t>(blocks * block));
}

int64_t KvPacker::Pack(AttentionSequence* sequences, const KvRows* rows, int64_t count, ThreadPool& pool,
                       std::byte* workspace) const {
  int64_t blocks = 0;
  for (int64_t i = 0; i < count; ++i) {
    sequences[i].first_item = blocks;  // Until Attend counts its own items.
    blocks += CeilDiv(sequences[i].context_len, kBlock);
  }
  kernels::KvStore keys = PackedStore(dtype_, false, blocks, kv_heads_, head_dim_);
  kernels::KvStore values = PackedStore(dtype_, true, blocks, kv_heads_, head_dim_);
  keys.data = workspace;
  values.data = workspace + blocks * keys.BlockBytes();
  for (int64_t i = 0; i < count; ++i) {
    sequences[i].block_table = nullptr;
    sequences[i].k_cache = static_cast<std::byte*>(keys.data) + sequences[i].first_item * keys.BlockBytes() / kv_heads_;
    sequences[i].v_cache =
        static_cast<std::byte*>(values.data) + sequences[i].first_item * values.BlockBytes() / kv_heads_;
  }
  const int64_t stride = kv_heads_ * head_dim_;
  pool.ParallelFor(blocks * kv_heads_, [&](int64_t index, int) {
    const int64_t block = index / kv_heads_;
    const int64_t head = index % kv_heads_;
    const AttentionSequence* s = FindSequence(sequences, count, block);
    const KvRows& from = rows[s - sequences];
    const int64_t begin = (block - s->first_item) * kBlock;
    const int64_t n = std::min(kBlock, s->context_len - begin);
    for (const kernels::KvStore& store : {keys, values}) {
      const auto* base = static_cast<const std::byte*>(store.values ? from.values : from.keys);
      ZeroHead(store, block, head);
      for (int64_t j = begin; j < begin + n;) {
        const int64_t offset = from.block_table ? j % from.block_size : 0;
        const int64_t row = from.block_table ? from.block_table[j / from.block_size] * from.block_size + offset : j;
        const int64_t run = from.block_table ? std::min(from.block_size - offset, begin + n - j) : n;
        WriteSlots(store, block * kBlock + j - begin, head,
                   base + (row * stride + head * head_dim_) * static_cast<int64_t>(SizeOf(dtype_)), stride, run);
        j += run;
      }
    }
  });
  return blocks;
}

int64_t RequireQuery(const char* op, int input, const TensorDesc& desc, int64_t heads) {
  RequireFloat(op, input, desc);
  RequireRank(op, input, desc, 2, 3);
  const bool split = desc.rank == 3;
  const int64_t head_dim = split ? desc.dim(2) : desc.dim(1) / heads;
  if ((split ? desc.dim(1) != heads : desc.dim(1) % heads != 0) || head_dim < 8 || head_dim % 8 != 0 ||
      head_dim > kernels::kMaxHeadDim) {
    const std::string n = std::to_string(heads);
    FailShape(op, input, "[tokens," + n + ",D] or [tokens," + n + "*D], D a multiple of 8 up to 256", desc);
  }
  return head_dim;
}

}  // namespace atb
