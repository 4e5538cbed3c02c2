#include "sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"
#include "sampling/random.h"

namespace atb {
namespace {

void Require(bool holds, const char* option, const char* expected, double found) {
  if (holds) return;
  throw Error("NATIVE_OPTION_INVALID",
              std::string(option) + " must be " + expected + ", found " + std::to_string(found));
}

}  // namespace

Sampler::Sampler(SamplerOptions options) : options_(std::move(options)) {
  const SamplerOptions& o = options_;
  Require(std::isfinite(o.temperature) && o.temperature >= 0, "temperature", "finite and at least 0", o.temperature);
  Require(o.top_k >= 0, "topK", "at least 0", static_cast<double>(o.top_k));
  Require(o.top_p >= 0 && o.top_p <= 1, "topP", "in [0, 1]", o.top_p);
  Require(o.min_p >= 0 && o.min_p <= 1, "minP", "in [0, 1]", o.min_p);
  Require(std::isfinite(o.repetition_penalty) && o.repetition_penalty > 0, "repetitionPenalty", "finite and above 0",
          o.repetition_penalty);
  Require(std::isfinite(o.frequency_penalty), "frequencyPenalty", "finite", o.frequency_penalty);
  Require(std::isfinite(o.presence_penalty), "presencePenalty", "finite", o.presence_penalty);
  Require(o.top_logprobs >= -1, "topLogprobs", "at least -1", o.top_logprobs);
  for (const auto& [token, bias] : o.logit_bias) {
    Require(token >= 0, "logitBias token", "at least 0", token);
    Require(bias < INFINITY, "logitBias", "a number below infinity", bias);
  }
  Require(o.min_tokens >= 0, "minTokens", "at least 0", static_cast<double>(o.min_tokens));
  for (int32_t token : o.end_tokens) Require(token >= 0, "endTokens", "at least 0", token);
  o.rules.Check();
  has_rules_ = !o.grammar && !o.rules.IsEmpty();
  if (has_rules_ && o.rules.NeedsHistory()) history_ = o.prompt_tokens;
  penalizes_ = o.repetition_penalty != 1 || o.frequency_penalty != 0 || o.presence_penalty != 0;
  for (int32_t token : o.prompt_tokens) {
    Require(token >= 0, "promptTokens", "at least 0", token);
    if (o.repetition_penalty != 1) Find(token).is_prompt = true;
  }
  options_.prompt_tokens = {};
  if (o.grammar) guide_.emplace(std::exchange(options_.grammar, {}), o.max_tokens);
}

Sampler::Seen& Sampler::Find(int32_t token) {
  const auto found = index_.find(token);
  if (found != index_.end()) return seen_[found->second];
  seen_.push_back({token});
  try {
    index_.emplace(token, seen_.size() - 1);
  } catch (...) {
    seen_.pop_back();
    throw;
  }
  return seen_.back();
}

void Sampler::Append(int32_t token) {
  if (penalizes_) ++Find(token).generated;
  if (guide_) guide_->Append(token);
  if (has_rules_ && options_.rules.NeedsHistory()) history_.push_back(token);
  ++generated_;
}

void Sampler::Retract(int32_t token) {
  const bool may = generated_ > 0 && !guide_ && (!penalizes_ || Find(token).generated > 0);
  Require(may, "token", "generated, without a grammar", token);
  if (penalizes_) --Find(token).generated;
  if (has_rules_ && options_.rules.NeedsHistory()) history_.pop_back();
  --generated_;
}

void Sampler::CheckVocabulary(int64_t vocabulary) const {
  for (const auto& [token, bias] : options_.logit_bias)
    Require(token < vocabulary, "logitBias token", "below the number of logits", token);
  for (int32_t token : options_.end_tokens)
    Require(token < vocabulary, "endTokens", "below the number of logits", token);
}

Sampled Sampler::Sample(std::span<const float> logits, SamplerScratch& scratch) {
  const float raw_max = Maxima(scratch.work, logits, scratch.block_max);
  if (!std::isfinite(raw_max)) return {kNotFinite, {}};

  std::span<const float> adjusted = logits;
  if (AdjustsLogits()) {
    scratch.adjusted.assign(logits.begin(), logits.end());
    Adjust(scratch.adjusted);
    adjusted = scratch.adjusted;
  }
  if (guide_) {
    guide_->Restrict(adjusted, scratch.allowed, scratch.allowed_tokens);
    if (scratch.allowed.empty()) return {kNoneAllowed, {}};
    adjusted = scratch.allowed;
  }
  float max = raw_max;
  const bool is_changed = adjusted.data() != logits.data();
  if (is_changed) {
    max = Maxima(scratch.work, adjusted, scratch.block_max);
    if (!std::isfinite(max)) return {guide_ && max < 0 ? kNoneAllowed : kNotFinite, {}};
  }
  Sampled sampled{Choose(adjusted, max, scratch), {}};
  if (guide_ && !scratch.allowed_tokens.empty())
    sampled.token = scratch.allowed_tokens[static_cast<size_t>(sampled.token)];
  if (options_.top_logprobs >= 0) {
    if (is_changed) Maxima(scratch.work, logits, scratch.block_max);
    sampled.logprobs = Logprobs(logits, raw_max, sampled.token, scratch);
  }
  Append(sampled.token);
  return sampled;
}

void Sampler::Adjust(std::span<float> logits) const {
  for (const auto& [token, bias] : options_.logit_bias) logits[static_cast<size_t>(token)] += bias;
  if (ForbidsEnds()) {
    for (int32_t token : options_.end_tokens) logits[static_cast<size_t>(token)] = -INFINITY;
  }
  if (has_rules_) options_.rules.BeforePenalties(logits, history_);
  if (penalizes_) Penalize(logits);
  if (has_rules_) options_.rules.BehindPenalties(logits, history_, generated_);
}

void Sampler::Penalize(std::span<float> logits) const {
  for (const Seen& seen : seen_) {
    // A prompt may hold tokens that the model embeds but never predicts; others were taken back.
    if (seen.token >= static_cast<int64_t>(logits.size()) || (seen.generated == 0 && !seen.is_prompt)) continue;
    float& logit = logits[static_cast<size_t>(seen.token)];
    logit = logit < 0 ? logit * options_.repetition_penalty : logit / options_.repetition_penalty;
    if (seen.generated == 0) continue;
    logit -= options_.frequency_penalty * static_cast<float>(seen.generated) + options_.presence_penalty;
  }
}

int32_t Sampler::Choose(std::span<const float> logits, float max, SamplerScratch& scratch) const {
  if (options_.temperature == 0) {
    const auto block = std::find(scratch.block_max.begin(), scratch.block_max.end(), max) - scratch.block_max.begin();
    const auto found = std::find(logits.begin() + block * kRowBlock, logits.end(), max);
    return static_cast<int32_t>(found - logits.begin());
  }
  if (options_.top_k > 0 && options_.top_k < static_cast<int64_t>(logits.size()))
    return ChooseAmongTop(logits, scratch);

  scratch.mass.resize(logits.size());
  const double total = Masses(scratch.work, logits, max, options_.temperature, scratch.mass.data(), scratch.block_sums);
  Cut cut;
  if (options_.top_p < 1) cut = CutAtMass(scratch.mass, options_.top_p * total, scratch.candidates);
  if (options_.min_p > cut.value) cut = {options_.min_p, std::numeric_limits<int32_t>::max()};
  return Draw(scratch.mass, cut, Uniform(options_.seed, generated_), scratch.block_sums);
}

int32_t Sampler::ChooseAmongTop(std::span<const float> logits, SamplerScratch& scratch) const {
  std::vector<Candidate>& top = scratch.candidates;
  TopK(logits, scratch.block_max, options_.top_k, top);
  const float max = top.front().value;
  double total = 0;
  for (Candidate& c : top) {
    c.value = ExpNonPositive((c.value - max) / options_.temperature);
    total += c.value;
  }
  size_t kept = 0;
  double kept_mass = 0;
  const double needed = options_.top_p * total;
  do {
    kept_mass += top[kept++].value;
  } while (kept < top.size() && (options_.top_p >= 1 || kept_mass < needed) && top[kept].value >= options_.min_p);

  const double target = Uniform(options_.seed, generated_) * kept_mass;
  double sum = 0;
  size_t chosen = 0;
  for (size_t i = 0; i < kept && sum <= target; ++i) {
    if (top[i].value > 0) chosen = i;
    sum += top[i].value;
  }
  return top[chosen].token;
}

TokenLogprobs Sampler::Logprobs(std::span<const float> logits, float max, int32_t token,
                                SamplerScratch& scratch) const {
  scratch.mass.resize(logits.size());
  const double log_sum = max + std::log(Masses(scratch.work, logits, max, 1, scratch.mass.data(), scratch.block_sums));
  TokenLogprobs result;
  result.logprob = static_cast<float>(logits[static_cast<size_t>(token)] - log_sum);
  TopK(logits, scratch.block_max, options_.top_logprobs, scratch.candidates);
  result.top.reserve(scratch.candidates.size());
  for (const Candidate& c : scratch.candidates) {
    result.top.push_back({static_cast<float>(c.value - log_sum), c.token});
  }
  return result;
}

}  // namespace atb
