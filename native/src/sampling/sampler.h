#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "guided/guide.h"
#include "sampling/row.h"
#include "sampling/token_rules.h"

namespace atb {

/// How one sequence chooses its tokens. Steps in order: logit bias, biases of sequences, repetition penalty (prompt and
/// output tokens), frequency and presence penalty (output tokens), further rules, grammar, temperature, top-k, top-p,
/// min-p, draw.
struct SamplerOptions {
  float temperature = 1;  ///< 0 chooses the largest logit, and the first token among equals.
  int64_t top_k = 0;      ///< Keeps exactly this many tokens, the lower ones among equals; 0: off.
  float top_p = 1;        ///< Keeps the smallest set that has this share of what top-k left.
  float min_p = 0;        ///< Keeps tokens whose probability is at least this share of the largest.
  float repetition_penalty = 1;
  float frequency_penalty = 0;
  float presence_penalty = 0;
  std::vector<std::pair<int32_t, float>> logit_bias = {};  ///< Finite, or -inf, which forbids the token.
  std::vector<int32_t> end_tokens = {};  ///< Forbidden before `min_tokens` were generated, if there is no grammar.
  int64_t min_tokens = 0;
  uint64_t seed = 0;
  int32_t top_logprobs = -1;  ///< Log-probs of the sampled token and of this many best; -1: none.
  std::vector<int32_t> prompt_tokens = {};
  std::shared_ptr<guided::TokenMasks> grammar = {};  ///< What the generated text must obey; null: nothing.
  int64_t max_tokens = 0;                            ///< With a grammar: the most tokens that are generated.
  TokenRules rules = {};                             ///< Of no effect with a grammar, which could not be obeyed else.
};

/// Log-softmax of the logits as the model made them, before bias, penalties and temperature (as vLLM reports by
/// default, and OpenAI).
struct TokenLogprobs {
  float logprob = 0;           ///< Of the sampled token.
  std::vector<Candidate> top;  ///< Log-prob and token, best first.
};

struct Sampled {
  int32_t token = 0;
  std::optional<TokenLogprobs> logprobs;
};

/// Stands for a token where the row has a NaN or +inf, or nothing but -inf.
constexpr int32_t kNotFinite = -2;
/// Stands for a token where the grammar leaves none.
constexpr int32_t kNoneAllowed = -3;

/// What samples a row, and the working memory for it, which grows to the size of a row and is kept.
struct SamplerScratch {
  RowWork work;
  std::vector<float> adjusted = {};
  std::vector<float> allowed = {};
  std::vector<int32_t> allowed_tokens = {};
  std::vector<float> mass = {};
  std::vector<float> block_max = {};
  std::vector<double> block_sums = {};
  std::vector<Candidate> candidates = {};
};

/// The sampling of one sequence: its options and the tokens that it has seen. What it draws depends only on these, on
/// the logits, and on how many tokens were generated before.
class Sampler {
 public:
  /// Throws NATIVE_OPTION_INVALID, NATIVE_GRAMMAR_NO_ROOM.
  explicit Sampler(SamplerOptions options);

  /// Throws NATIVE_OPTION_INVALID when the bias names a token beyond the logits.
  void CheckVocabulary(int64_t vocabulary) const;
  /// Chooses from one row of logits and records the choice, unless there is none. CheckVocabulary must have
  /// accepted the size of the row.
  Sampled Sample(std::span<const float> logits, SamplerScratch& scratch);
  /// Records a token as generated.
  void Append(int32_t token);
  /// Takes the token back that was generated last. Throws NATIVE_OPTION_INVALID where there is none, and where a
  /// grammar has gone on with it.
  void Retract(int32_t token);
  /// Tokens generated so far. It is also the counter of the random numbers.
  uint64_t generated() const { return generated_; }

 private:
  struct Seen {
    int32_t token;
    int32_t generated = 0;  ///< How often it was generated.
    bool is_prompt = false;
  };

  bool AdjustsLogits() const {
    return !options_.logit_bias.empty() || (penalizes_ && !seen_.empty()) || ForbidsEnds() || has_rules_;
  }
  bool ForbidsEnds() const {
    return !guide_ && !options_.end_tokens.empty() && generated_ < static_cast<uint64_t>(options_.min_tokens);
  }
  void Adjust(std::span<float> logits) const;
  void Penalize(std::span<float> logits) const;
  int32_t Choose(std::span<const float> logits, float max, SamplerScratch& scratch) const;
  int32_t ChooseAmongTop(std::span<const float> logits, SamplerScratch& scratch) const;
  TokenLogprobs Logprobs(std::span<const float> logits, float max, int32_t token, SamplerScratch& scratch) const;
  Seen& Find(int32_t token);

  SamplerOptions options_;
  bool penalizes_;
  bool has_rules_;
  uint64_t generated_ = 0;
  std::optional<guided::Guide> guide_;
  std::vector<Seen> seen_;
  std::vector<int32_t> history_;  ///< Prompt and text, where rules need it.
  std::unordered_map<int32_t, size_t> index_;
};

}  // namespace atb
