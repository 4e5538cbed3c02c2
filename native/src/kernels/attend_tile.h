#pragma once
// Which keys a piece of attention touches: at most kAttendChunk keys of one sequence. For files compiled for one ISA,
// so that everything has internal linkage.
#include "base/align.h"
#include "kernels/kernel_table.h"

namespace atb::kernels {
namespace {

/// Rows of a call that are computed together, at most kAttendTile.
struct Rows {
  int64_t first;
  int64_t count;
};

/// Keys [begin, end), counted from the piece's key_begin; empty when end <= begin.
struct Span {
  int64_t begin;
  int64_t end;
};

inline int64_t Min(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t Max(int64_t a, int64_t b) { return a > b ? a : b; }

/// Keys that the rows of query token `token` may see.
inline Span VisibleKeys(const AttendCall& c, int64_t token, int64_t key_begin, int64_t key_end) {
  const int64_t query = c.q_position + token;
  int64_t end = Min(key_end, c.context_len);
  if (c.causal) end = Min(end, c.seen ? c.seen[token] : query + 1);
  int64_t begin = c.window ? Max(key_begin, query - c.window + 1) : key_begin;
  if (c.chunk) begin = Max(begin, query - query % c.chunk);
  return {begin - key_begin, end - key_begin};
}

/// Slots that the layout of the cache keeps together: a group. Products cover whole groups.
inline int64_t GroupKeys(const AttendCall& c) {
  if (c.cache_dtype != DType::kI8) return kValueDepth;
  return c.block_size % kIntegerGroup == 0 ? kIntegerGroup : kIntegerGroup / 2;
}

/// The whole groups with keys that some of the rows may see: what the products of a tile cover.
inline Span TileKeys(const AttendCall& c, const Rows& rows, int64_t key_begin, int64_t key_end) {
  const Span first = VisibleKeys(c, rows.first / c.group, key_begin, key_end);
  const Span last = VisibleKeys(c, (rows.first + rows.count - 1) / c.group, key_begin, key_end);
  if (first.begin >= last.end) return {0, 0};
  const int64_t group = GroupKeys(c);
  return {first.begin / group * group, RoundUp(last.end, group)};
}

/// Where the values of a piece's group lie behind call.values: groups follow one another from the piece's first key on.
/// `bytes`: of a group of the cache.
inline int64_t StagedAt(int64_t position, int64_t group, int64_t bytes) {
  return position % kAttendChunk / group * bytes;
}

/// Walks over the groups of slots that hold one kv head's keys, position after position. Blocks hold whole groups.
class SlotGroups {
 public:
  SlotGroups(const AttendCall& c, int64_t position)
      : c_(&c),
        size_(GroupKeys(c)),
        position_(position),
        block_(position / c.block_size),
        offset_(position % c.block_size) {}

  int64_t position() const { return position_; }
  /// The group's first slot, counted over all kv heads: in a cache of floats its key and its value begin
  /// slot * (head_dim as stored) elements behind the caches' beginnings.
  int64_t slot() const {
    const int64_t block = c_->block_table ? c_->block_table[block_] : block_;
    return (c_->kv_head * c_->blocks + block) * c_->block_size + offset_;
  }
  void Next() {
    position_ += size_;
    offset_ += size_;
    if (offset_ < c_->block_size) return;
    offset_ = 0;
    ++block_;
  }

 private:
  const AttendCall* c_;
  int64_t size_;
  int64_t position_;
  int64_t block_;
  int64_t offset_;
};

/// Where the groups of a piece of keys lie, found once for all tiles of rows. P is a Piece or an IntegerPiece.
struct GroupPlaces {
  int64_t piece = -1;
  const char* keys[kAttendChunk / kMinBlockSize];
  const char* values[kAttendChunk / kMinBlockSize];

  template <class P>
  void Find(const P& p, int64_t key_begin, int64_t key_end) {
    if (piece == key_begin) return;
    piece = key_begin;
    SlotGroups at(p.call, key_begin);
    for (int64_t i = 0; at.position() < key_end; ++i, at.Next()) {
      keys[i] = p.Keys(at);
      values[i] = p.Values(at);
    }
  }
};

}  // namespace
}  // namespace atb::kernels
