#include "sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "check.h"
#include "kernels/dispatch.h"
#include "random.h"
#include "sampling/random.h"

namespace atb {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
using test::Normal;

const RowWork kWork{kernels::Select()};

/// The formulas, one after another, in double: the probability of each token.
std::vector<double> NaiveProbabilities(std::vector<float> row, const SamplerOptions& o,
                                       const std::vector<int32_t>& generated) {
  const size_t n = row.size();
  std::vector<double> y(row.begin(), row.end());
  for (const auto& [token, bias] : o.logit_bias) y[static_cast<size_t>(token)] += bias;
  std::set<int32_t> seen(o.prompt_tokens.begin(), o.prompt_tokens.end());
  std::map<int32_t, int> counts;
  for (int32_t t : generated) {
    seen.insert(t);
    ++counts[t];
  }
  for (int32_t t : seen) {
    double& v = y[static_cast<size_t>(t)];
    v = v < 0 ? v * o.repetition_penalty : v / o.repetition_penalty;
  }
  for (const auto& [t, count] : counts) y[static_cast<size_t>(t)] -= count * o.frequency_penalty + o.presence_penalty;

  std::vector<size_t> order(n);
  for (size_t i = 0; i < n; ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return y[a] > y[b]; });
  std::vector<double> p(n, 0);
  if (o.temperature == 0) {
    p[order[0]] = 1;
    return p;
  }
  const size_t k = o.top_k > 0 ? std::min(n, static_cast<size_t>(o.top_k)) : n;
  double total = 0;
  for (size_t r = 0; r < k; ++r) total += p[order[r]] = std::exp((y[order[r]] - y[order[0]]) / o.temperature);
  double before = 0;
  double kept = 0;
  for (size_t r = 0; r < k; ++r) {
    double& mass = p[order[r]];
    const bool keep = (r == 0 || before < o.top_p * total) && mass >= o.min_p;
    before += mass;
    if (!keep) mass = 0;
    kept += mass;
  }
  for (double& mass : p) mass /= kept;
  return p;
}

/// Frequencies of many draws (the seed is the only thing that changes) against the naive probabilities.
void CheckDistribution(const std::vector<float>& row, SamplerOptions options, const std::vector<int32_t>& generated) {
  const std::vector<double> expected = NaiveProbabilities(row, options, generated);
  constexpr int kDraws = 20000;
  std::vector<int> counts(row.size());
  SamplerScratch scratch{kWork};
  for (int draw = 0; draw < kDraws; ++draw) {
    options.seed = static_cast<uint64_t>(draw) * 7919 + 13;
    Sampler sampler(options);
    for (int32_t t : generated) sampler.Append(t);
    const Sampled sampled = sampler.Sample(row, scratch);
    CHECK(sampled.token >= 0 && static_cast<size_t>(sampled.token) < row.size());
    ++counts[static_cast<size_t>(sampled.token)];
  }
  // Pearson's chi-square over tokens expected at least five times, the rest pooled. 6 standard deviations.
  double chi = 0;
  int degrees = -1;
  double pooled_expected = 0;
  int pooled = 0;
  for (size_t i = 0; i < row.size(); ++i) {
    const double e = expected[i] * kDraws;
    if (e == 0) CHECK(counts[i] == 0);
    if (e < 5) {
      pooled_expected += e;
      pooled += counts[i];
    } else {
      chi += (counts[i] - e) * (counts[i] - e) / e;
      ++degrees;
    }
  }
  if (pooled_expected >= 5) {
    chi += (pooled - pooled_expected) * (pooled - pooled_expected) / pooled_expected;
    ++degrees;
  }
  CHECK(chi <= degrees + 6 * std::sqrt(2.0 * std::max(degrees, 1)) + 6);
}

void PhiloxMatchesItsPublishedAnswers() {
  const auto zeros = Philox({0, 0, 0, 0}, {0, 0});
  CHECK((zeros == std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const auto ones = Philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u});
  CHECK((ones == std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

void UniformNumbersLieInZeroToOneAndDependOnSeedAndStep() {
  std::set<double> seen;
  double sum = 0;
  for (uint64_t i = 0; i < 1000; ++i) {
    const double u = Uniform(42, i);
    CHECK(u >= 0 && u < 1);
    seen.insert(u);
    sum += u;
    CHECK(Uniform(i, 3) != Uniform(i + 1, 3));
  }
  CHECK(seen.size() == 1000);
  CHECK(std::abs(sum / 1000 - 0.5) < 0.05);
  CHECK(Uniform(uint64_t{1} << 52, 0) != Uniform(0, 0));
}

void ExpIsWithinTwoUlp() {
  for (double x = 0; x > -87; x -= 0.00137) {
    const auto f = static_cast<float>(x);
    const double exact = std::exp(static_cast<double>(f));
    CHECK(std::abs(ExpNonPositive(f) - exact) <= exact * 2.4e-7);
  }
  CHECK(ExpNonPositive(0) == 1);
  CHECK(ExpNonPositive(-88) == 0);
  CHECK(ExpNonPositive(-kInf) == 0);
}

void GreedyTakesTheFirstOfEqualLogits() {
  SamplerScratch scratch{kWork};
  for (size_t size : {1, 2, 15, 16, 17, 63, 64, 65, 130, 1000}) {
    std::vector<float> row(size, -3);
    for (size_t at : {size_t{0}, size / 2, size - 1}) {
      std::vector<float> one = row;
      one[at] = 2;
      CHECK(Sampler({.temperature = 0}).Sample(one, scratch).token == static_cast<int32_t>(at));
      one[size - 1] = 2;
      CHECK(Sampler({.temperature = 0}).Sample(one, scratch).token == static_cast<int32_t>(at));
    }
    CHECK(Sampler({.temperature = 0}).Sample(row, scratch).token == 0);
  }
}

void TopKIsTheStableSortOfTheRow() {
  std::vector<float> block_max;
  std::vector<Candidate> top;
  for (uint32_t seed = 0; seed < 40; ++seed) {
    std::vector<float> row = Normal<float>(1 + seed * 97, 3, seed);
    if (seed % 3 == 0) {
      for (float& x : row) x = std::round(x);  // Many ties.
    }
    if (seed % 4 == 0) row[seed % row.size()] = -kInf;
    std::vector<Candidate> sorted;
    for (size_t i = 0; i < row.size(); ++i) sorted.push_back({row[i], static_cast<int32_t>(i)});
    std::stable_sort(sorted.begin(), sorted.end(), [](auto a, auto b) { return a.value > b.value; });
    for (int64_t k : {0, 1, 2, 7, 40, 64, 300, 100000}) {
      Maxima(kWork, row, block_max);
      TopK(row, block_max, k, top);
      CHECK(top.size() == std::min(row.size(), static_cast<size_t>(k)));
      for (size_t i = 0; i < top.size(); ++i) CHECK(top[i].token == sorted[i].token && top[i].value == sorted[i].value);
    }
  }
}

void TheCutHoldsTheSmallestSetOfTheNeededMass() {
  std::vector<Candidate> scratch;
  for (uint32_t seed = 0; seed < 60; ++seed) {
    std::vector<float> row = Normal<float>(1 + seed * 131, seed % 2 == 0 ? 0.01f : 4.0f, seed);
    if (seed % 5 == 0) std::fill(row.begin(), row.end(), 1.0f);
    std::vector<float> mass(row.size());
    std::vector<double> block_sums;
    const double total = Masses(kWork, row, *std::max_element(row.begin(), row.end()), 1, mass.data(), block_sums);
    std::vector<Candidate> sorted;
    for (size_t i = 0; i < mass.size(); ++i) sorted.push_back({mass[i], static_cast<int32_t>(i)});
    std::stable_sort(sorted.begin(), sorted.end(), Before);
    for (double p : {0.0, 0.1, 0.5, 0.9, 0.99}) {
      const Cut cut = CutAtMass(mass, p * total, scratch);
      double kept = 0;
      double last = 0;
      size_t count = 0;
      for (const Candidate& c : sorted) {
        if (!cut.Keeps(c.value, c.token)) continue;
        CHECK(sorted[count++].token == c.token);  // A prefix.
        kept += c.value;
        last = c.value;
      }
      CHECK(count > 0);
      CHECK(kept >= p * total * (1 - 1e-6));
      CHECK(count == 1 || kept - last <= p * total * (1 + 1e-6));
    }
  }
}

void FrequenciesFollowTheFormulas() {
  const std::vector<float> small = {1.0f, 0.2f, -0.5f, 2.0f, 1.9f, -1.0f, 0.0f, 2.0f};
  const std::vector<float> row = Normal<float>(300, 2, 5);
  const std::vector<int32_t> generated = {3, 3, 7, 1};
  CheckDistribution(small, {}, {});
  CheckDistribution(small, {.temperature = 0.6f}, {});
  CheckDistribution(small, {.temperature = 1.7f, .top_k = 3}, {});
  CheckDistribution(small, {.top_p = 0.7f}, {});
  CheckDistribution(small, {.min_p = 0.3f}, {});
  CheckDistribution(small, {.top_k = 6, .top_p = 0.9f, .min_p = 0.15f}, {});
  CheckDistribution(small, {.repetition_penalty = 1.8f, .prompt_tokens = {0, 5}}, generated);
  CheckDistribution(small, {.frequency_penalty = 0.4f, .presence_penalty = 0.3f, .prompt_tokens = {4}}, generated);
  CheckDistribution(small, {.logit_bias = {{2, 3.0f}, {3, -kInf}}}, {});
  CheckDistribution(row, {}, {});
  CheckDistribution(row, {.temperature = 0.8f, .top_p = 0.95f}, {});
  CheckDistribution(row,
                    {.temperature = 1.2f,
                     .top_k = 40,
                     .top_p = 0.9f,
                     .min_p = 0.02f,
                     .repetition_penalty = 1.3f,
                     .frequency_penalty = 0.2f,
                     .presence_penalty = -0.5f,
                     .logit_bias = {{9, 2.5f}},
                     .prompt_tokens = {9, 10, 250}},
                    {9, 9, 77});
}

void ALargeVocabularyFollowsTheFormulasToo() {
  const std::vector<float> row = Normal<float>(4000, 2.5f, 11);
  CheckDistribution(row, {.temperature = 0.5f}, {});
  CheckDistribution(row, {.temperature = 0.7f, .top_p = 0.5f}, {});
  CheckDistribution(row, {.temperature = 0.4f, .min_p = 0.05f}, {});
  CheckDistribution(row, {.temperature = 0.9f, .top_k = 50}, {});
}

void GreedyAppliesBiasAndPenaltiesInOrder() {
  SamplerScratch scratch{kWork};
  const std::vector<float> row = {2.0f, 1.9f, -1.0f, 0.5f};
  CHECK(Sampler({.temperature = 0, .repetition_penalty = 2, .prompt_tokens = {0}}).Sample(row, scratch).token == 1);
  CHECK(Sampler({.temperature = 0, .logit_bias = {{3, 5.0f}}}).Sample(row, scratch).token == 3);
  // The bias is added first, so that the penalty divides what the bias made: (0.5 + 2.5) / 2 < 1.9.
  CHECK(Sampler({.temperature = 0, .repetition_penalty = 2, .logit_bias = {{3, 2.5f}}, .prompt_tokens = {0, 3}})
            .Sample(row, scratch)
            .token == 1);
  Sampler frequency({.temperature = 0, .frequency_penalty = 0.06f});
  CHECK(frequency.Sample(row, scratch).token == 0);
  CHECK(frequency.Sample(row, scratch).token == 0);
  CHECK(frequency.Sample(row, scratch).token == 1);
  Sampler presence({.temperature = 0, .presence_penalty = 0.3f});
  CHECK(presence.Sample(row, scratch).token == 0);
  CHECK(presence.Sample(row, scratch).token == 1);
  CHECK(presence.Sample(row, scratch).token == 0);  // 1.7 against 1.6; presence does not add up.
}

void LogProbsAreThoseOfTheRawLogits() {
  const std::vector<float> row = Normal<float>(5000, 3, 3);
  double sum = 0;
  for (float x : row) sum += std::exp(static_cast<double>(x));
  const double log_sum = std::log(sum);
  std::vector<Candidate> sorted;
  for (size_t i = 0; i < row.size(); ++i) sorted.push_back({row[i], static_cast<int32_t>(i)});
  std::sort(sorted.begin(), sorted.end(), Before);
  SamplerScratch scratch{kWork};
  Sampler sampler({.temperature = 0.3f,
                   .repetition_penalty = 4,
                   .logit_bias = {{17, 100.0f}},
                   .top_logprobs = 5,
                   .prompt_tokens = {sorted[0].token}});
  const Sampled sampled = sampler.Sample(row, scratch);
  CHECK(sampled.token == 17);
  CHECK(std::abs(sampled.logprobs->logprob - (row[17] - log_sum)) < 2e-5);
  CHECK(sampled.logprobs->top.size() == 5);
  for (size_t i = 0; i < 5; ++i) {
    CHECK(sampled.logprobs->top[i].token == sorted[i].token);
    CHECK(std::abs(sampled.logprobs->top[i].value - (sorted[i].value - log_sum)) < 2e-5);
  }
  CHECK(Sampler({.top_logprobs = 0}).Sample(row, scratch).logprobs->top.empty());
  CHECK(!Sampler({}).Sample(row, scratch).logprobs.has_value());
}

void RowsThatAreNotFiniteAreReported() {
  SamplerScratch scratch{kWork};
  for (size_t size : {1, 16, 17, 64, 100, 1000}) {
    for (float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::quiet_NaN(), kInf}) {
      for (size_t at : {size_t{0}, size / 2, size - 1}) {
        std::vector<float> row = Normal<float>(size, 1, 1);
        row[at] = bad;
        for (float temperature : {0.0f, 1.0f}) {
          Sampler sampler({.temperature = temperature, .top_logprobs = 2});
          CHECK(sampler.Sample(row, scratch).token == kNotFinite);
          CHECK(sampler.generated() == 0);
        }
      }
    }
    CHECK(Sampler({}).Sample(std::vector<float>(size, -kInf), scratch).token == kNotFinite);
  }
  // -inf alone is a mask.
  const std::vector<float> masked = {-kInf, 1.0f, -kInf};
  CHECK(Sampler({}).Sample(masked, scratch).token == 1);
  CHECK(Sampler({.logit_bias = {{1, -kInf}}}).Sample(masked, scratch).token == kNotFinite);
  // The best token may not end the text before the third.
  Sampler patient({.temperature = 0, .end_tokens = {3}, .min_tokens = 2});
  const std::vector<float> ends = {0, 1, 2, 3};
  for (const int32_t token : {2, 2, 3}) CHECK(patient.Sample(ends, scratch).token == token);
  CHECK(Sampler({.top_k = 2}).Sample(masked, scratch).token == 1);
}

void RulesLookAtPromptAndText() {
  SamplerScratch scratch{kWork};
  const std::vector<float> row = {0, 1, 2, 3};
  // No pair comes twice; 9 is no logit. What was taken back counts no more.
  Sampler once({.temperature = 0, .prompt_tokens = {3, 9}, .rules = {.no_repeat_ngram = 2}});
  for (const int32_t token : {3, 3, 2, 3, 1}) CHECK(once.Sample(row, scratch).token == token);
  once.Retract(1);
  CHECK(once.Sample(row, scratch).token == 1);
  // A sequence is forbidden where its beginning stands in the prompt, and where it has been generated.
  Sampler words({.temperature = 0, .prompt_tokens = {1}, .rules = {.sequence_bias = {{{1, 3}, -kInf}, {{2, 3}, -2}}}});
  for (const int32_t token : {2, 2, 2}) CHECK(words.Sample(row, scratch).token == token);
  // The last token, the first one, and one that grows.
  Sampler last({.temperature = 0, .rules = {.forced_last = {0}, .last_at = 2, .not_first = {3, 9}}});
  for (const int32_t token : {2, 3, 0, 3}) CHECK(last.Sample(row, scratch).token == token);
  Sampler grown({.temperature = 0, .rules = {.growing = {1}, .growth_start = 1, .growth = 2}});
  for (const int32_t token : {3, 3, 3, 1}) CHECK(grown.Sample(row, scratch).token == token);
}

void ExtremeTemperaturesAreFinite() {
  SamplerScratch scratch{kWork};
  const std::vector<float> row = {-3e38f, 1.0f, 3e38f, 2.0f, -kInf};
  for (float temperature : {1e-45f, 1e-30f, 1e-3f, 1.0f, 1e30f}) {
    const int32_t token = Sampler({.temperature = temperature, .seed = 9}).Sample(row, scratch).token;
    CHECK(token >= 0 && token < 4);
    if (temperature <= 1) CHECK(token == 2);
    CHECK(Sampler({.temperature = temperature, .top_k = 2, .top_p = 0}).Sample(row, scratch).token == 2);
    CHECK(Sampler({.temperature = temperature, .top_p = 0}).Sample(row, scratch).token == 2);
  }
}

/// What a sequence draws over several steps.
/// Logits that all threads share.
constexpr size_t kSeveralPieces = 20000;

std::vector<int32_t> Generate(Sampler sampler, SamplerScratch& scratch, uint32_t logits_seed) {
  std::vector<int32_t> tokens;
  for (uint32_t step = 0; step < 20; ++step) {
    tokens.push_back(sampler.Sample(Normal<float>(kSeveralPieces, 2, logits_seed + step), scratch).token);
  }
  return tokens;
}

void TheCompanyOfASequenceDoesNotChangeItsTokens() {
  std::vector<SamplerOptions> options = {
      {.seed = 1},
      {.temperature = 0.7f, .top_k = 20, .seed = 2},
      {.temperature = 1.3f, .top_p = 0.8f, .repetition_penalty = 1.2f, .seed = 3, .prompt_tokens = {4, 5}},
      {.min_p = 0.1f, .frequency_penalty = 0.5f, .logit_bias = {{3, 4.0f}}, .seed = 4},
  };
  std::vector<std::vector<int32_t>> alone;
  for (uint32_t i = 0; i < options.size(); ++i) {
    SamplerScratch fresh{kWork};
    alone.push_back(Generate(Sampler(options[i]), fresh, i * 1000));
  }
  ThreadPool pool(3);
  SamplerScratch shared{{kernels::Select(), &pool}};
  std::vector<Sampler> samplers(options.begin(), options.end());
  std::vector<uint32_t> order = {2, 0, 3, 1};
  for (uint32_t step = 0; step < 20; ++step) {
    std::next_permutation(order.begin(), order.end());
    for (uint32_t i : order) {
      CHECK(samplers[i].Sample(Normal<float>(kSeveralPieces, 2, i * 1000 + step), shared).token == alone[i][step]);
    }
  }
}

void AppendedTokensCountLikeSampledOnes() {
  SamplerScratch scratch{kWork};
  const SamplerOptions options = {
      .temperature = 0.9f, .repetition_penalty = 1.4f, .frequency_penalty = 0.3f, .seed = 77};
  Sampler drawn(options);
  Sampler told(options);
  for (uint32_t step = 0; step < 30; ++step) {
    const std::vector<float> row = Normal<float>(90, 1.5f, step);
    const int32_t token = drawn.Sample(row, scratch).token;
    if (step % 3 == 0) {
      CHECK(told.Sample(row, scratch).token == token);
    } else {
      told.Append(token);
    }
  }
  CHECK(told.generated() == 30);
}

/// A guess that was wrong leaves no trace: neither in the penalties nor in the random numbers.
void TokensTakenBackAreForgotten() {
  SamplerScratch scratch{kWork};
  const SamplerOptions options = {.temperature = 0.9f,
                                  .repetition_penalty = 1.4f,
                                  .frequency_penalty = 0.3f,
                                  .presence_penalty = 0.2f,
                                  .seed = 78,
                                  .prompt_tokens = {3, 5}};
  Sampler plain(options);
  Sampler guessing(options);
  for (uint32_t step = 0; step < 40; ++step) {
    const std::vector<float> row = Normal<float>(12, 1.0f, step);
    // Tokens of the prompt, others that come again, and the very same twice.
    const int32_t wrong[] = {3, static_cast<int32_t>(step % 12), 7, 7};
    for (int32_t token : wrong) guessing.Append(token);
    for (size_t i = 4; i > 0; --i) guessing.Retract(wrong[i - 1]);
    CHECK(guessing.generated() == step);
    CHECK(guessing.Sample(row, scratch).token == plain.Sample(row, scratch).token);
  }
}

template <typename F>
void CheckRefused(F&& make) {
  try {
    make();
  } catch (const Error& error) {
    CHECK(std::string(error.code()) == "NATIVE_OPTION_INVALID");
    return;
  }
  CHECK(!"refused");
}

void BadOptionsAreRefused() {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CheckRefused([] { Sampler({.temperature = -1}); });
  CheckRefused([&] { Sampler({.temperature = nan}); });
  CheckRefused([] { Sampler({.temperature = kInf}); });
  CheckRefused([] { Sampler({.top_k = -1}); });
  CheckRefused([&] { Sampler({.top_p = nan}); });
  CheckRefused([] { Sampler({.top_p = 1.1f}); });
  CheckRefused([] { Sampler({.min_p = -0.1f}); });
  CheckRefused([] { Sampler({.repetition_penalty = 0}); });
  CheckRefused([] { Sampler({.rules = {.sequence_bias = {{{}, 1}}}}); });
  CheckRefused([] { Sampler({.rules = {.sequence_bias = {{{1, -1}, 1}}}}); });
  CheckRefused([] { Sampler({.rules = {.no_repeat_ngram = -1}}); });
  CheckRefused([] { Sampler({.rules = {.growth = 0}}); });
  CheckRefused([&] { Sampler({.frequency_penalty = nan}); });
  CheckRefused([] { Sampler({.presence_penalty = kInf}); });
  CheckRefused([] { Sampler({.logit_bias = {{-1, 1.0f}}}); });
  CheckRefused([&] { Sampler({.logit_bias = {{1, nan}}}); });
  CheckRefused([] { Sampler({.logit_bias = {{1, kInf}}}); });
  CheckRefused([] { Sampler({.top_logprobs = -2}); });
  CheckRefused([] { Sampler({.prompt_tokens = {-5}}); });
  CheckRefused([] { Sampler({}).Retract(1); });
  CheckRefused([] {
    Sampler sampler({.presence_penalty = 1});
    sampler.Append(1);
    sampler.Retract(2);
  });
  Sampler({.logit_bias = {{3, 1.0f}}}).CheckVocabulary(4);
  CheckRefused([] { Sampler({.logit_bias = {{4, 1.0f}}}).CheckVocabulary(4); });
}

}  // namespace
}  // namespace atb

int main() {
  using namespace atb;
  RUN(PhiloxMatchesItsPublishedAnswers);
  RUN(UniformNumbersLieInZeroToOneAndDependOnSeedAndStep);
  RUN(ExpIsWithinTwoUlp);
  RUN(GreedyTakesTheFirstOfEqualLogits);
  RUN(TopKIsTheStableSortOfTheRow);
  RUN(TheCutHoldsTheSmallestSetOfTheNeededMass);
  RUN(FrequenciesFollowTheFormulas);
  RUN(ALargeVocabularyFollowsTheFormulasToo);
  RUN(GreedyAppliesBiasAndPenaltiesInOrder);
  RUN(LogProbsAreThoseOfTheRawLogits);
  RUN(RowsThatAreNotFiniteAreReported);
  RUN(RulesLookAtPromptAndText);
  RUN(ExtremeTemperaturesAreFinite);
  RUN(TheCompanyOfASequenceDoesNotChangeItsTokens);
  RUN(AppendedTokensCountLikeSampledOnes);
  RUN(TokensTakenBackAreForgotten);
  RUN(BadOptionsAreRefused);
  return 0;
}
