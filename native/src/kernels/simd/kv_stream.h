#pragma once
// Fetching of a KV cache ahead of attention. Everything has internal linkage; vec.h says why.
#include "kernels/attend_tile.h"

namespace atb::kernels::simd {
namespace {

/// Bytes of a cache line.
constexpr int64_t kLine = 64;

/// Fetches a cache into L2 in the order in which decode reads it: the keys of a piece, its values, the keys of the next
/// piece. It begins P::kAhead cache lines ahead of the products. Of 32 lines that these read, P::kPart are fetched
/// meanwhile; the rest is fetched while probabilities are made, when memory would be idle. The first tile of rows
/// fetches for all. Prompts fetch nothing here (PieceAhead), and nobody where staging of values has read the piece. P
/// is a Piece or an IntegerPiece.
template <class P>
class KvStream {
 public:
  explicit KvStream(const P& p) : p_(p), at_(p.first) {
    if (p.call.q_tokens != 1 || p.rows.first != 0 || p.call.v_cache == nullptr || p.tile.begin >= p.tile.end) return;
    const int64_t groups = (p.tile.end - p.tile.begin) / GroupKeys(p.call);
    rest_ = groups * (p.KeyLines() + p.ValueLines()) * (32 - P::kPart) / 32 / (2 * p.rows.count);
    Enter(kKeys);
    Advance<false>(P::kAhead);
  }

  /// Tells that products read `lines` cache lines.
  void Step(int64_t lines) {
    part_ += lines * P::kPart;
    Advance<true>(part_ / 32);
    part_ %= 32;
  }
  /// Tells that half of a row's probabilities are made.
  void Rest() { Advance<true>(rest_); }

 private:
  enum Phase { kKeys, kValues, kNextKeys, kDone };

  template <bool kFetch>
  void Advance(int64_t lines) {
    while (phase_ != kDone) {
      const int64_t n = Min(lines, left_);
      if (kFetch) {
        for (int64_t i = 0; i < n; ++i) __builtin_prefetch(from_ + i * kLine, 0, 2);
      }
      from_ += n * kLine;
      left_ -= n;
      lines -= n;
      if (lines == 0) return;
      NextGroup();
    }
  }

  void NextGroup() {
    at_.Next();
    const int64_t end = p_.first.position() + p_.tile.end - p_.tile.begin;
    if (at_.position() < end || phase_ == kNextKeys) return Enter(phase_);
    // Behind the keys of a piece come its values, and behind these the keys of the next piece.
    if (phase_ == kKeys) at_ = p_.first;
    Enter(phase_ == kKeys ? kValues : kNextKeys);
  }

  void Enter(Phase phase) {
    phase_ = at_.position() < p_.call.context_len ? phase : kDone;
    if (phase_ == kDone) return;
    from_ = phase == kValues ? p_.Values(at_) : p_.Keys(at_);
    left_ = phase == kValues ? p_.ValueLines() : p_.KeyLines();
  }

  const P& p_;
  SlotGroups at_;
  Phase phase_ = kDone;
  const char* from_ = nullptr;
  int64_t left_ = 0;  ///< Lines of the group that are still to be fetched.
  int64_t part_ = 0;  ///< 32ths of a line that Step owes.
  int64_t rest_ = 0;  ///< Lines that Rest fetches.
};

/// Fetches the piece of keys and values that a prompt needs next into L2, while probabilities are made: each tile of
/// rows fetches a part. Has the Rest of a KvStream.
template <class P>
class PieceAhead {
 public:
  /// `key_end`: where the call's keys end.
  PieceAhead(const P& p, int64_t key_end) : p_(p), at_(p.call, 0) {
    const int64_t next = (p.first.position() / kAttendChunk + 1) * kAttendChunk;
    const int64_t groups = (Min(next + kAttendChunk, key_end) - next + GroupKeys(p.call) - 1) / GroupKeys(p.call);
    if (p.call.v_cache == nullptr || groups <= 0) return;
    const int64_t rows = p.call.q_tokens * p.call.group;
    const int64_t first = groups * p.rows.first / rows;
    groups_ = groups * (p.rows.first + p.rows.count) / rows - first;
    at_ = SlotGroups(p.call, next + first * GroupKeys(p.call));
    rest_ = (groups_ * (p.KeyLines() + p.ValueLines()) + 2 * p.rows.count - 1) / (2 * p.rows.count);
    Enter();
  }

  void Rest() {
    for (int64_t lines = rest_; groups_ > 0 && lines > 0;) {
      const int64_t n = Min(lines, left_);
      for (int64_t i = 0; i < n; ++i) __builtin_prefetch(from_ + i * kLine, 0, 2);
      from_ += n * kLine;
      left_ -= n;
      lines -= n;
      if (left_ == 0) Next();
    }
  }

 private:
  void Enter() {
    from_ = values_ ? p_.Values(at_) : p_.Keys(at_);
    left_ = values_ ? p_.ValueLines() : p_.KeyLines();
  }
  /// Behind the keys of a group come its values.
  void Next() {
    if (values_) {
      at_.Next();
      --groups_;
    }
    values_ = !values_;
    if (groups_ > 0) Enter();
  }

  const P& p_;
  SlotGroups at_;
  bool values_ = false;
  int64_t groups_ = 0;  ///< That are still to be fetched.
  const char* from_ = nullptr;
  int64_t left_ = 0;  ///< Lines of the group's keys or values.
  int64_t rest_ = 0;  ///< Lines that Rest fetches.
};

}  // namespace
}  // namespace atb::kernels::simd
