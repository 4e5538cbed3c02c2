#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace atb {

/// What checkpoints ask of the tokens of their texts beyond penalties, in the order in which transformers applies it
/// (5.24, generation/logits_process.py): biases of sequences come before the penalties, all else behind these.
struct TokenRules {
  /// The bias of a sequence's last token where the others stand at the end of the text.
  struct SequenceBias {
    std::vector<int32_t> tokens;
    float bias = 0;  ///< Finite, or -inf, which forbids the sequence.
  };

  std::vector<SequenceBias> sequence_bias = {};
  int64_t no_repeat_ngram = 0;            ///< Tokens of a row that comes once; 0: off.
  std::vector<int32_t> forced_last = {};  ///< One of them is the last token that may be generated.
  int64_t last_at = 0;                    ///< With `forced_last`: how many tokens were generated before.
  std::vector<int32_t> growing = {};      ///< Become likelier with each token behind `growth_start`.
  int64_t growth_start = 0;
  double growth = 1;
  std::vector<int32_t> not_first = {};  ///< Never the first token that is generated.

  /// Whether it depends on the text, which then must be known.
  bool NeedsHistory() const { return !sequence_bias.empty() || no_repeat_ngram > 0; }
  bool IsEmpty() const { return !NeedsHistory() && forced_last.empty() && growing.empty() && not_first.empty(); }
  /// Throws NATIVE_OPTION_INVALID.
  void Check() const;
  /// `history`: prompt and text. Tokens beyond the logits are never generated.
  void BeforePenalties(std::span<float> logits, std::span<const int32_t> history) const;
  void BehindPenalties(std::span<float> logits, std::span<const int32_t> history, uint64_t generated) const;
};

}  // namespace atb
