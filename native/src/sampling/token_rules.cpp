#include "sampling/token_rules.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"

namespace atb {
namespace {

void Require(bool holds, const char* option, const char* expected) {
  if (!holds) throw Error("NATIVE_OPTION_INVALID", std::string(option) + " must be " + expected);
}

void RequireTokens(std::span<const int32_t> tokens, const char* option) {
  for (int32_t token : tokens) Require(token >= 0, option, "token ids of at least 0");
}

/// The logit of a token; null for one that has none.
float* LogitOf(std::span<float> logits, int32_t token) {
  return static_cast<size_t>(token) < logits.size() ? &logits[static_cast<size_t>(token)] : nullptr;
}

void Forbid(std::span<float> logits, int32_t token) {
  if (float* logit = LogitOf(logits, token)) *logit = -INFINITY;
}

/// Forbids each token that would end a row of `length` tokens which the text has already.
void ForbidRepeated(std::span<float> logits, std::span<const int32_t> history, size_t length) {
  if (history.size() < length) return;
  const std::span<const int32_t> begun = history.last(length - 1);
  for (size_t at = 0; at + length <= history.size(); ++at) {
    if (std::equal(begun.begin(), begun.end(), history.begin() + static_cast<std::ptrdiff_t>(at)))
      Forbid(logits, history[at + length - 1]);
  }
}

}  // namespace

void TokenRules::Check() const {
  for (const SequenceBias& sequence : sequence_bias) {
    Require(!sequence.tokens.empty(), "sequenceBias", "of at least one token each");
    RequireTokens(sequence.tokens, "sequenceBias");
    Require(sequence.bias < INFINITY, "sequenceBias", "numbers below infinity");
  }
  Require(no_repeat_ngram >= 0, "noRepeatNgram", "at least 0");
  Require(last_at >= 0, "lastAt", "at least 0");
  RequireTokens(forced_last, "forcedLast");
  RequireTokens(growing, "growing");
  Require(growth_start >= 0, "growthStart", "at least 0");
  Require(std::isfinite(growth) && growth > 0, "growth", "finite and above 0");
  RequireTokens(not_first, "notFirst");
}

void TokenRules::BeforePenalties(std::span<float> logits, std::span<const int32_t> history) const {
  for (const auto& [tokens, bias] : sequence_bias) {
    const std::span<const int32_t> before(tokens.data(), tokens.size() - 1);
    if (before.size() > history.size()) continue;
    float* logit = LogitOf(logits, tokens.back());
    if (logit != nullptr && std::ranges::equal(before, history.last(before.size()))) *logit += bias;
  }
}

void TokenRules::BehindPenalties(std::span<float> logits, std::span<const int32_t> history, uint64_t generated) const {
  if (no_repeat_ngram > 0) ForbidRepeated(logits, history, static_cast<size_t>(no_repeat_ngram));
  if (!forced_last.empty() && generated == static_cast<uint64_t>(last_at)) {
    std::ranges::fill(logits, -INFINITY);
    for (int32_t token : forced_last) {
      if (float* logit = LogitOf(logits, token)) *logit = 0;
    }
  }
  if (generated > static_cast<uint64_t>(growth_start)) {
    const auto steps = static_cast<double>(generated - static_cast<uint64_t>(growth_start));
    // Added to the logit by its size, so that it grows where it is negative, too; more than all is all.
    const float share = static_cast<float>(std::min(std::pow(growth, steps) - 1, 1e30));
    for (int32_t token : growing) {
      float* logit = LogitOf(logits, token);
      if (logit != nullptr && std::isfinite(*logit)) *logit = std::min(*logit + std::abs(*logit) * share, 1e30F);
    }
  }
  if (generated == 0) {
    for (int32_t token : not_first) Forbid(logits, token);
  }
}

}  // namespace atb
