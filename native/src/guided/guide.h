#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "guided/token_masks.h"

namespace atb::guided {

/// Keeps one sequence to a grammar: the tokens that it generates write a text that the grammar allows, and that is
/// whole also when the sequence ends because it has `max_tokens`.
class Guide {
 public:
  /// `max_tokens`: the most that the sequence generates, by which it knows when to come to an end. Throws
  /// NATIVE_GRAMMAR_NO_ROOM when even the shortest text may need more: it counts a token for each byte.
  Guide(std::shared_ptr<TokenMasks> masks, int64_t max_tokens);

  /// The logits of the tokens that may follow: either `tokens` in rising order, with row[i] for tokens[i], where they
  /// are few; or a row of all tokens in which the others have -inf, and no `tokens`. Both are empty when none may
  /// follow: tokens were appended that the grammar does not allow, or the vocabulary cannot write what it wants.
  void Restrict(std::span<const float> logits, std::vector<float>& row, std::vector<int32_t>& tokens);
  /// Takes in a token that follows.
  void Append(int32_t token);

 private:
  std::shared_ptr<TokenMasks> masks_;
  int64_t tokens_left_;
  TokenMasks::Place place_;
  std::vector<uint8_t> text_;
  bool is_over_ = false;  ///< The text has ended, or is none that the grammar allows, or that it can say so of.
};

}  // namespace atb::guided
