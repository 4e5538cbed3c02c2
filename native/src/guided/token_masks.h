#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "guided/automaton.h"
#include "guided/vocabulary.h"

namespace atb::guided {

/// Which tokens may follow.
struct TokenMask {
  std::vector<int32_t> tokens;  ///< The allowed ones in rising order, where they are few.
  std::vector<uint64_t> bits;   ///< Bit t: token t is allowed. Empty where `tokens` says it.
  bool may_end = false;         ///< Tokens that end a text are allowed too; no bits say it.
  int64_t count = 0;            ///< Allowed tokens, without those that end a text.
  int64_t farthest = 0;         ///< The largest distance to the end of a text that an allowed token leaves.
};

/// The masks of a grammar over a vocabulary. Each is made when its state is first met, and kept while there is room.
/// Any number of threads may use it.
class TokenMasks {
 public:
  /// Memory that states and masks may take together; they are forgotten beyond it. More than one state and mask need is
  /// always there.
  static constexpr size_t kMaxBytes = 96 << 20;

  TokenMasks(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const Vocabulary> vocabulary,
             size_t max_bytes = kMaxBytes);

  const Vocabulary& vocabulary() const { return *vocabulary_; }

  /// Where one text stands. Whoever holds it keeps the text's bytes, too, because states may be forgotten.
  struct Place {
    uint64_t epoch = 0;
    Automaton::State state = 0;
  };

  /// Reads bytes that follow those `before`. False when no text goes on so: then the place stays. Throws
  /// NATIVE_GRAMMAR_TOO_LARGE.
  bool Read(Place& place, std::span<const uint8_t> before, std::span<const uint8_t> bytes);
  /// Calls f(mask) for the tokens that may follow and leave at most `within` bytes to the end of a text. The mask is
  /// valid during the call. Throws NATIVE_GRAMMAR_TOO_LARGE.
  template <typename F>
  void WithMask(Place& place, std::span<const uint8_t> before, int64_t within, F&& f) {
    const std::lock_guard lock(mutex_);
    Refresh(place, before);
    const TokenMask& kept = Kept(place.state);
    if (kept.farthest <= within) return f(kept);
    f(Make(place.state, within));
  }
  /// Bytes of the shortest text that the grammar allows.
  int64_t ShortestText();
  /// Whether the grammar allows the text.
  bool Allows(std::span<const uint8_t> text);

 private:
  void Refresh(Place& place, std::span<const uint8_t> before);
  const TokenMask& Kept(Automaton::State state);
  TokenMask Make(Automaton::State state, int64_t within);

  const std::shared_ptr<const Grammar> grammar_;
  const std::shared_ptr<const Vocabulary> vocabulary_;
  const size_t max_bytes_;
  std::mutex mutex_;
  std::unique_ptr<Automaton> automaton_;
  uint64_t epoch_ = 1;
  std::unordered_map<Automaton::State, TokenMask> masks_;
  size_t mask_bytes_ = 0;
  std::vector<Automaton::State> path_;
};

}  // namespace atb::guided
