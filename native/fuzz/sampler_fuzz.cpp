// Sampler: any options, any logits. What it draws must be a token of a finite logit, and its log-probs numbers.
#include <cmath>
#include <cstdlib>
#include <vector>

#include "base/error.h"
#include "bytes.h"
#include "kernels/dispatch.h"
#include "sampling/sampler.h"

using namespace atb;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Bytes bytes(data, size);
  const auto& tables = kernels::Available();
  const kernels::KernelTable& kernels =
      *tables[static_cast<size_t>(bytes.Int(0, static_cast<int64_t>(tables.size()) - 1))];
  SamplerScratch scratch{{kernels}};
  const auto share = [&]() -> float {
    return bytes.Flag() ? bytes.Float() : static_cast<float>(bytes.Int(0, 255)) / 255;
  };
  SamplerOptions options;
  if (bytes.Flag()) options.temperature = bytes.Float();
  if (bytes.Flag()) options.top_k = bytes.Int(-1, 300);
  if (bytes.Flag()) options.top_p = share();
  if (bytes.Flag()) options.min_p = share();
  if (bytes.Flag()) options.repetition_penalty = bytes.Float();
  if (bytes.Flag()) options.frequency_penalty = bytes.Float();
  if (bytes.Flag()) options.presence_penalty = bytes.Float();
  options.seed = bytes.Raw<uint64_t>();
  if (bytes.Flag()) options.top_logprobs = static_cast<int32_t>(bytes.Int(-2, 400));
  for (int64_t i = bytes.Int(0, 3); i > 0; --i)
    options.logit_bias.emplace_back(static_cast<int32_t>(bytes.Int(-1, 300)), bytes.Float());
  if (bytes.Flag()) {
    options.min_tokens = bytes.Int(-1, 4);
    options.end_tokens.push_back(static_cast<int32_t>(bytes.Int(-1, 300)));
  }
  const auto tokens = [&] {
    std::vector<int32_t> some(static_cast<size_t>(bytes.Int(0, 3)));
    for (int32_t& token : some) token = static_cast<int32_t>(bytes.Int(-1, 400));
    return some;
  };
  if (bytes.Flag()) {
    TokenRules& rules = options.rules;
    for (int64_t i = bytes.Int(0, 2); i > 0; --i) rules.sequence_bias.push_back({tokens(), bytes.Float()});
    rules.no_repeat_ngram = bytes.Int(-1, 4);
    rules.forced_last = tokens();
    rules.last_at = bytes.Int(-1, 3);
    rules.growing = tokens();
    rules.growth_start = bytes.Int(-1, 3);
    rules.growth = static_cast<double>(bytes.Float());
    rules.not_first = tokens();
  }
  for (int64_t i = bytes.Int(0, 3); i > 0; --i)
    options.prompt_tokens.push_back(static_cast<int32_t>(bytes.Int(-1, 400)));

  std::vector<float> logits(static_cast<size_t>(bytes.Int(1, 400)));
  const bool ramp = bytes.OneIn(3);
  float values[8];
  for (float& value : values) value = bytes.Float();
  for (size_t i = 0; i < logits.size(); ++i)
    logits[i] = ramp ? static_cast<float>(i) * values[0] : values[(i * 7 + i / 8) % 8];
  try {
    Sampler sampler(options);
    sampler.CheckVocabulary(static_cast<int64_t>(logits.size()));
    for (int step = 0; step < 3; ++step) {
      const Sampled sampled = sampler.Sample(logits, scratch);
      if (sampled.token == kNotFinite) continue;
      if (sampled.token < 0 || static_cast<size_t>(sampled.token) >= logits.size()) std::abort();
      // A forced token comes whatever its logit is.
      if (options.rules.forced_last.empty() && !std::isfinite(logits[static_cast<size_t>(sampled.token)])) std::abort();
      if (!sampled.logprobs) continue;
      if (std::isnan(sampled.logprobs->logprob) || sampled.logprobs->top.size() > logits.size()) std::abort();
    }
  } catch (const Error&) {
    // Options that are none are refused.
  }
  return 0;
}
