// Entries of several tokens, and streams of hidden states, against their definitions in double.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "attention_layer.h"
#include "base/align.h"
#include "op_runner.h"
#include "random.h"

namespace atb::test {
namespace {

using Numbers = std::vector<double>;

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// Tokens of a cache's blocks, of which a step stores a state for each last one.
constexpr int64_t kBlock = 4;

struct Pooling {
  int64_t rate, channels;
  bool overlaps;
  int64_t series() const { return overlaps ? 2 : 1; }
  int64_t width() const { return 2 * series() * channels; }
};

/// The entries of a whole sequence: of each token that ends one, zeros for the others.
Numbers EntriesByDefinition(const Pooling& p, const Numbers& rows, const Numbers& bias) {
  const auto tokens = static_cast<int64_t>(rows.size()) / p.width();
  Numbers out(static_cast<size_t>(tokens * p.channels), 0);
  for (int64_t end = p.rate; end <= tokens; end += p.rate) {
    for (int64_t c = 0; c < p.channels; ++c) {
      double sum = 0, weighted = 0;
      for (int64_t token = std::max<int64_t>(0, end - p.rate * p.series()); token < end; ++token) {
        // The series for a token's own window is the last one.
        const int64_t series = token >= end - p.rate ? p.series() - 1 : 0, at = series * p.channels + c;
        const double* row = rows.data() + token * p.width();
        const double weight =
            std::exp(row[p.series() * p.channels + at] + bias[static_cast<size_t>(at * p.rate + token % p.rate)]);
        sum += weight;
        weighted += weight * row[at];
      }
      out[static_cast<size_t>((end - 1) * p.channels + c)] = weighted / sum;
    }
  }
  return out;
}

std::vector<Value> Pool(const Pooling& p, DType dtype, const Numbers& rows, const Value& bias, const Value& states,
                        int64_t done, const KernelTable& table) {
  const auto tokens = static_cast<int64_t>(rows.size()) / p.width();
  Numbers to;
  // Blocks of the sequence from the last one on.
  const auto block_of = [&](int64_t place) { return static_cast<double>(states.desc.dim(0) - 1 - place / kBlock); };
  for (int64_t place = done; place < done + tokens; ++place)
    to.push_back(place + 1 == done + tokens || (place + 1) % kBlock == 0 ? block_of(place) : -1);
  ParamObject param{{"tokensPerEntry", static_cast<double>(p.rate)}};
  if (p.overlaps) param.emplace("overlaps", true);
  return RunOp("WindowPool", param,
               {Value(dtype, {tokens, p.width()}, rows), bias, Value(DType::kI32, {1}, {double(done + tokens)}), states,
                Value(DType::kI32, {1}, {done == 0 ? -1 : block_of(done - 1)}), Value(DType::kI32, {tokens}, to),
                Value(DType::kI32, {1}, {double(tokens)})},
               table);
}

void PoolsByDefinitionHoweverStepsAreCut() {
  for (const Pooling& p : {Pooling{4, 24, true}, Pooling{6, 150, false}, Pooling{1, 8, true}}) {
    constexpr int64_t kTokens = 23;
    ForEachTable([&](const KernelTable& table) {
      for (DType dtype : kFloats) {
        Random random(5);
        const Numbers rows = Rounded(random.Normal<double>(kTokens * p.width(), 2), dtype);
        const Numbers biases = Rounded(random.Normal<double>(p.series() * p.channels * p.rate, 1), DType::kF32);
        const Value bias(DType::kF32, {p.series() * p.channels, p.rate}, biases);
        Value states(TensorDesc(DType::kF32, {6, 3 * p.series() * p.channels}));
        const std::vector<Value> whole = Pool(p, dtype, rows, bias, states, 0, table);
        CHECK(Distance(whole[0].Numbers(), EntriesByDefinition(p, rows, biases)) <= Tolerance(dtype));
        std::vector<std::byte> bytes;
        int64_t done = 0;
        for (const int64_t count : {3, 1, 1, 9, 2, 7}) {
          const Numbers own(rows.begin() + done * p.width(), rows.begin() + (done + count) * p.width());
          const std::vector<Value> part = Pool(p, dtype, own, bias, states, done, table);
          bytes.insert(bytes.end(), part[0].bytes.begin(), part[0].bytes.end());
          states = part[1];
          done += count;
        }
        CHECK(bytes == whole[0].bytes);
      }
    });
  }
}

/// Keys and entries of one sequence in caches, whose blocks lie from the last one on.
class Caches {
 public:
  static constexpr int64_t kTokens = 96, kBlocks = 6;

  Caches(int64_t head_dim, int64_t rate, DType dtype, DType cache_dtype, const KernelTable& kernels, ThreadPool& pool)
      : head_dim_(head_dim), rate_(rate), dtype_(dtype), kernels_(kernels), pool_(pool), cache_(Options(cache_dtype)) {
    // What earlier sequences may have left: NaN, also as scales.
    std::memset(cache_.Keys(0).data, 0xFF, cache_.bytes());
  }

  void Write(Array keys, Array entries) {
    WriteRows(cache_.Keys(0), keys, 1);
    WriteRows(cache_.Keys(1), entries, rate_);
  }

  Array Attend(int64_t heads, int64_t window, Array q, Array sinks, std::vector<int32_t> contexts,
               std::vector<int32_t> queries, std::vector<int32_t> chosen) {
    ParamObject param{{"headNum", double(heads)},
                      {"qkScale", 0.3},
                      {"windowSize", double(window)},
                      {"tokensPerEntry", double(rate_)}};
    if (!chosen.empty()) param.emplace("hasChosen", true);
    const auto op = CreateOperation("CompressedAttention", param);
    const int64_t tokens = q.size() / (heads * head_dim_);
    Array out(dtype_, q.size());
    std::vector<int32_t> tables = Tables(contexts.size());
    std::vector<Tensor> in = {Floats(q, {tokens, heads, head_dim_}),
                              cache_.Keys(0),
                              Ints(tables, {static_cast<int64_t>(contexts.size()), kBlocks}),
                              Ints(contexts),
                              Ints(queries),
                              Floats(sinks, {heads}),
                              cache_.Keys(1)};
    if (!chosen.empty()) in.push_back(Ints(chosen, {tokens, static_cast<int64_t>(chosen.size()) / tokens}));
    Run(*op, in, {Floats(out, {tokens, heads, head_dim_})}, kernels_, pool_);
    return out;
  }

  std::vector<int32_t> Choose(int64_t heads, int64_t top, Array q, Array weights, std::vector<int32_t> contexts,
                              std::vector<int32_t> queries, bool gives_tokens = false) {
    const auto op = CreateOperation("LightningIndexer", {{"headNum", double(heads)},
                                                         {"topK", double(top)},
                                                         {"tokensPerKey", double(rate_)},
                                                         {"givesTokens", gives_tokens}});
    const int64_t tokens = q.size() / (heads * head_dim_), width = gives_tokens ? (top + 1) * rate_ - 1 : top;
    std::vector<int32_t> chosen(static_cast<size_t>(tokens * width), -7), block{static_cast<int32_t>(kTokens)};
    std::vector<int32_t> tables = Tables(contexts.size());
    Run(*op,
        {Floats(q, {tokens, heads, head_dim_}), Floats(weights, {tokens, heads}), cache_.Keys(1),
         Ints(tables, {static_cast<int64_t>(contexts.size()), kBlocks}), Ints(contexts), Ints(queries), Ints(block)},
        {Ints(chosen, {tokens, width})}, kernels_, pool_);
    return chosen;
  }

 private:
  KvCacheOptions Options(DType dtype) const {
    KvCacheOptions options = SameCaches(2, kBlocks, kTokens, 1, head_dim_, dtype);
    for (auto& cache : options.caches) cache.value.reset();
    options.caches[1].tokens_per_row = rate_;
    return options;
  }
  static std::vector<int32_t> Tables(size_t sequences) {
    std::vector<int32_t> tables;
    for (size_t i = 0; i < sequences; ++i)
      for (int32_t block = kBlocks; block > 0; --block) tables.push_back(block - 1);
    return tables;
  }
  /// Row i stands for `rate` tokens and goes where the last of them is.
  void WriteRows(const Tensor& cache, Array& rows, int64_t rate) {
    const int64_t count = rows.size() / head_dim_;
    std::vector<int32_t> slots;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t place = (i + 1) * rate - 1;
      slots.push_back(
          static_cast<int32_t>((kBlocks - 1 - place / kTokens) * cache.desc.dim(1) + place % kTokens / rate));
    }
    const auto write = CreateOperation("ReshapeAndCache", {{"kvCacheCfg", "K_CACHE_V_BYPASS"}});
    Run(*write, {Floats(rows, {count, 1, head_dim_}), cache, Ints(slots)}, {cache}, kernels_, pool_);
  }

  int64_t head_dim_, rate_;
  DType dtype_;
  const KernelTable& kernels_;
  ThreadPool& pool_;
  KvCache cache_;
};

/// Rates that divide a block, that a block divides, and that do neither.
constexpr int64_t kRates[] = {4, 7, 128, 192};
constexpr int64_t kContext = 500;

void AttendsToAWindowAndToEntries() {
  ThreadPool one(1), many(5);
  constexpr int64_t kHeads = 5, kHeadDim = 40, kWindow = 70, kChosen = 9;
  const std::vector<int32_t> contexts = {kContext, 30, 0}, queries = {40, 30, 2};
  for (const int64_t rate : kRates) {
    for (DType dtype : kFloats) {
      Random random(8);
      Array keys = Normal(random, dtype, kContext * kHeadDim),
            entries = Normal(random, dtype, kContext / rate * kHeadDim);
      Array q = Normal(random, dtype, 72 * kHeads * kHeadDim), sinks = Normal(random, DType::kF32, kHeads);
      for (const bool chooses : {false, true}) {
        std::vector<int32_t> chosen;
        Numbers expected;
        int64_t token = 0;
        for (size_t s = 0; s < contexts.size(); ++s) {
          for (int64_t i = 0; i < queries[s]; ++i, ++token) {
            const int64_t seen = std::max<int64_t>(contexts[s] - queries[s] + i + 1, 0);
            std::vector<std::pair<const Array*, int64_t>> rows;
            for (int64_t j = std::max<int64_t>(0, seen - kWindow); j < seen; ++j) rows.push_back({&keys, j});
            int64_t left = kChosen;
            for (int64_t e = 0; e < seen / rate; ++e) {
              if (chooses && ((e + token) % 3 == 0 || left == 0)) continue;
              rows.push_back({&entries, e});
              if (chooses) --left, chosen.push_back(static_cast<int32_t>(e));
            }
            if (chooses) chosen.resize(static_cast<size_t>((token + 1) * kChosen), -1);
            for (int64_t h = 0; h < kHeads; ++h) {
              double sum = std::exp(double(sinks[h]));
              Numbers own(kHeadDim, 0);
              for (const auto& [of, row] : rows) {
                double score = 0;
                for (int64_t d = 0; d < kHeadDim; ++d)
                  score += double(q[(token * kHeads + h) * kHeadDim + d]) * double((*of)[row * kHeadDim + d]);
                const double weight = std::exp(0.3 * score);
                sum += weight;
                for (int64_t d = 0; d < kHeadDim; ++d)
                  own[static_cast<size_t>(d)] += weight * double((*of)[row * kHeadDim + d]);
              }
              for (const double number : own) expected.push_back(rows.empty() ? 0 : number / sum);
            }
          }
        }
        const double tolerance = dtype == DType::kF32 ? 2e-5 : dtype == DType::kF16 ? 4e-3 : 3e-2;
        ForEachTable([&](const KernelTable& table) {
          for (ThreadPool* pool : {&one, &many}) {
            Caches caches(kHeadDim, rate, dtype, dtype, table, *pool);
            caches.Write(keys, entries);
            const Array out = caches.Attend(kHeads, kWindow, q, sinks, contexts, queries, chosen);
            for (size_t i = 0; i < expected.size(); ++i)
              CHECK(std::abs(double(out[static_cast<int64_t>(i)]) - expected[i]) <= tolerance);
            // A query alone has the same bits.
            const int64_t row = kHeads * kHeadDim;
            const Array last = caches.Attend(
                kHeads, kWindow, q.Slice(39 * row, 40 * row), sinks, {kContext}, {1},
                chooses ? std::vector<int32_t>(chosen.begin() + 39 * kChosen, chosen.begin() + 40 * kChosen) : chosen);
            CHECK(SameBits(last, out.Slice(39 * row, 40 * row)));
          }
        });
      }
    }
  }
}

void IndexersChooseEntriesByDefinition() {
  ThreadPool pool(3);
  constexpr int64_t kHeads = 3, kHeadDim = 24, kTop = 5;
  const std::vector<int32_t> contexts = {kContext, 30}, queries = {21, 30};
  for (const int64_t rate : kRates) {
    for (DType dtype : kFloats) {
      Random random(2);
      // Small whole numbers, whose sums are exact, also as integers with a scale.
      const auto whole = [&](DType of, int64_t n) {
        Array a = Normal(random, of, n);
        for (int64_t i = 0; i < n; ++i) a.Set(i, std::clamp(std::round(float(a[i])), -1.0f, 1.0f));
        return a;
      };
      Array keys = whole(dtype, kContext * kHeadDim), entries = whole(dtype, kContext / rate * kHeadDim);
      Array q = whole(dtype, 51 * kHeads * kHeadDim), weights = whole(DType::kF32, 51 * kHeads);
      std::vector<int32_t> expected, expected_tokens;
      int64_t token = 0;
      for (size_t s = 0; s < contexts.size(); ++s) {
        for (int64_t i = 0; i < queries[s]; ++i, ++token) {
          const int64_t seen = contexts[s] - queries[s] + i + 1, ended = seen / rate;
          Numbers scores(static_cast<size_t>(ended), 0);
          for (int64_t e = 0; e < ended; ++e) {
            for (int64_t h = 0; h < kHeads; ++h) {
              double product = 0;
              for (int64_t d = 0; d < kHeadDim; ++d)
                product += double(q[(token * kHeads + h) * kHeadDim + d]) * double(entries[e * kHeadDim + d]);
              scores[static_cast<size_t>(e)] += double(weights[token * kHeads + h]) * std::max(product, 0.0);
            }
          }
          std::vector<int32_t> order(static_cast<size_t>(ended));
          std::iota(order.begin(), order.end(), 0);
          std::ranges::stable_sort(order, [&](int32_t a, int32_t b) {
            return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)];
          });
          order.resize(static_cast<size_t>(std::min(ended, kTop)));
          std::ranges::sort(order);
          const size_t end = expected_tokens.size() + static_cast<size_t>((kTop + 1) * rate - 1);
          for (const int32_t key : order)
            for (int64_t j = 0; j < rate; ++j) expected_tokens.push_back(static_cast<int32_t>(key * rate + j));
          for (int64_t j = ended * rate; j < seen; ++j) expected_tokens.push_back(static_cast<int32_t>(j));
          expected_tokens.resize(end, -1);
          order.resize(kTop, -1);
          expected.insert(expected.end(), order.begin(), order.end());
        }
      }
      ForEachTable([&](const KernelTable& table) {
        for (DType cache_dtype : {dtype, DType::kI8}) {
          Caches caches(kHeadDim, rate, dtype, cache_dtype, table, pool);
          caches.Write(keys, entries);
          CHECK(caches.Choose(kHeads, kTop, q, weights, contexts, queries) == expected);
          CHECK(caches.Choose(kHeads, kTop, q, weights, contexts, queries, true) == expected_tokens);
        }
      });
    }
  }
}

/// What HyperWeights makes of one token.
Numbers WeightsByDefinition(int64_t n, int64_t iterations, const Numbers& streams, const Numbers& mixes,
                            const Numbers& bias, const Numbers& scale) {
  double square = 0;
  for (const double x : streams) square += x * x;
  const double norm = 1 / std::sqrt(square / static_cast<double>(streams.size()) + 1e-6);
  Numbers y(mixes.size());
  for (size_t i = 0; i < mixes.size(); ++i) {
    const size_t part = std::min<size_t>(i / static_cast<size_t>(n), 2);
    const double x = mixes[i] * norm * scale[part] + bias[i];
    y[i] = part == 0 ? Sigmoid(x) + 1e-3 : part == 1 ? 2 * Sigmoid(x) : std::exp(x);
  }
  const auto at = [&](int64_t row, int64_t column) -> double& {
    return y[static_cast<size_t>((2 + row) * n + column)];
  };
  const auto divide = [&](bool rows, double epsilon) {
    for (int64_t i = 0; i < n; ++i) {
      double sum = epsilon;
      for (int64_t j = 0; j < n; ++j) sum += rows ? at(i, j) : at(j, i);
      for (int64_t j = 0; j < n; ++j) (rows ? at(i, j) : at(j, i)) /= sum;
    }
  };
  divide(true, 0);
  for (size_t i = static_cast<size_t>(2 * n); i < y.size(); ++i) y[i] += 1e-3;
  divide(false, 1e-3);
  for (int64_t i = 1; i < iterations; ++i) divide(true, 1e-3), divide(false, 1e-3);
  return y;
}

void StreamsMixByDefinition() {
  constexpr int64_t kTokens = 5, kHidden = 1100, kIterations = 4;
  for (const int64_t n : {2, 4}) {
    {
      for (DType dtype : kFloats) {
        Random random(4);
        const int64_t columns = n * (2 + n);
        const Numbers streams = Rounded(random.Normal<double>(kTokens * n * kHidden, 1.5), dtype);
        const Numbers step = Rounded(random.Normal<double>(kTokens * kHidden, 1), dtype);
        const Numbers mixes = Rounded(random.Normal<double>(kTokens * columns, 2), DType::kF32);
        const Numbers bias = Rounded(random.Normal<double>(columns, 1), DType::kF32);
        const Numbers scale = Rounded(random.Normal<double>(3, 1), DType::kF32);
        Numbers weights, collapsed, expanded;
        for (int64_t t = 0; t < kTokens; ++t) {
          const auto row = [&](const Numbers& of, int64_t width) {
            return Numbers(of.begin() + t * width, of.begin() + (t + 1) * width);
          };
          const Numbers own = row(streams, n * kHidden), result = row(step, kHidden);
          const Numbers w = WeightsByDefinition(n, kIterations, own, row(mixes, columns), bias, scale);
          weights.insert(weights.end(), w.begin(), w.end());
          for (int64_t k = -1; k < n; ++k) {
            for (int64_t d = 0; d < kHidden; ++d) {
              double sum = k < 0 ? 0 : w[static_cast<size_t>(n + k)] * result[static_cast<size_t>(d)];
              for (int64_t j = 0; j < n; ++j) {
                const int64_t by = k < 0 ? j : (2 + j) * n + k;
                sum += w[static_cast<size_t>(by)] * own[static_cast<size_t>(j * kHidden + d)];
              }
              (k < 0 ? collapsed : expanded).push_back(sum);
            }
          }
        }
        ForEachTable([&](const KernelTable& table) {
          const Value x(dtype, {kTokens, n, kHidden}, streams);
          const ParamObject param{{"iterations", double(kIterations)}, {"epsilon", 1e-3}, {"normEpsilon", 1e-6}};
          const std::vector<Value> found = RunOp("HyperWeights", param,
                                                 {x, Value(DType::kF32, {kTokens, columns}, mixes),
                                                  Value(DType::kF32, {columns}, bias), Value(DType::kF32, {3}, scale)},
                                                 table);
          CHECK(Distance(found[0].Numbers(), weights) <= 2e-6);
          const double tolerance = Tolerance(dtype) + 4e-6;
          CHECK(Distance(RunOp("MixStreams", {{"mix", "collapse"}}, {x, found[0]}, table)[0].Numbers(), collapsed) <=
                tolerance);
          const Value y(dtype, {kTokens, kHidden}, step);
          CHECK(Distance(RunOp("MixStreams", {{"mix", "expand"}}, {x, found[0], y}, table)[0].Numbers(), expanded) <=
                tolerance);
        });
      }
    }
  }
}

void RefusesWhatDoesNotFit() {
  const auto created = [](const char* type, const ParamObject& param) {
    return CodeOf([&] { CreateOperation(type, param); });
  };
  CHECK(created("WindowPool", {}) == "NATIVE_PARAM_INVALID");
  CHECK(created("HyperWeights", {{"iterations", 0}}) == "NATIVE_PARAM_INVALID");
  CHECK(created("MixStreams", {{"mix", "both"}}) == "NATIVE_PARAM_INVALID");
  CHECK(created("CompressedAttention", {{"headNum", 2}}) == "NATIVE_PARAM_INVALID");
  CHECK(created("CompressedAttention", {{"headNum", 2}, {"windowSize", 4}, {"hasChosen", true}}) ==
        "NATIVE_PARAM_INVALID");
  ThreadPool pool(1);
  const KernelTable& table = kernels::Select("reference");
  const auto refused = [&](const char* type, const ParamObject& param, const std::vector<Value>& inputs) {
    return CodeOf([&] { RunOp(type, param, inputs, table); });
  };
  // Also of no tokens: weights of more streams than these would be more columns than numbers count.
  for (const int64_t streams : {int64_t{0}, int64_t{17}, int64_t{1} << 40}) {
    const Value x(TensorDesc(DType::kF32, {0, streams, 8})), mixes(TensorDesc(DType::kF32, {0, 17 * 19}));
    CHECK(refused("MixStreams", {{"mix", "collapse"}}, {x, mixes}) == "NATIVE_SHAPE_MISMATCH");
    CHECK(refused("HyperWeights", {}, {x, mixes, mixes, mixes}) == "NATIVE_SHAPE_MISMATCH");
  }
  // Tables of more keys than lengths can say.
  const int64_t many = int64_t{1} << 31;
  const auto floats = [](std::initializer_list<int64_t> shape) { return Value(TensorDesc(DType::kF32, shape)); };
  const auto whole = [](std::initializer_list<int64_t> shape) { return Value(TensorDesc(DType::kI32, shape)); };
  const Value keys = floats({0, 32, 1, 8}), query = floats({0, 2, 8}), none = whole({0}), tables = whole({0, many});
  const ParamObject latent{{"headNum", 2}, {"mlaVHeadSize", 8}};
  ParamObject of_one_head = latent;
  of_one_head.emplace("kvHeadNum", 1);
  CHECK(refused("PagedAttention", of_one_head, {query, keys, tables, none}) == "NATIVE_SHAPE_MISMATCH");
  CHECK(refused("SparseAttention", latent, {query, keys, tables, none, none, whole({0, 4})}) ==
        "NATIVE_SHAPE_MISMATCH");
  CHECK(refused("LightningIndexer", {{"headNum", 2}, {"topK", 4}}, {query, floats({0, 2}), keys, tables, none, none}) ==
        "NATIVE_SHAPE_MISMATCH");
  CHECK(refused("CompressedAttention", {{"headNum", 2}, {"windowSize", 4}},
                {query, keys, tables, none, none, floats({2})}) == "NATIVE_SHAPE_MISMATCH");
  // Two sequences, and the context of one: what the other gives would never be written.
  const Value lengths(DType::kI32, {1, 2}, {1, 1}), blocks(DType::kI32, {2}, {-1, -1});
  const auto pool_of = [&](const Value& contexts) {
    return refused("WindowPool", {{"tokensPerEntry", 2}},
                   {Value(DType::kF32, {2, 4}, Numbers(8, 1)), Value(DType::kF32, {2, 2}, Numbers(4, 0)), contexts,
                    Value(DType::kF32, {1, 6}, Numbers(6, 0)), blocks, blocks, lengths});
  };
  CHECK(pool_of(Value(DType::kI32, {1}, {1})) == "NATIVE_SHAPE_MISMATCH");
  CHECK(pool_of(Value(DType::kI32, {2}, {1, 1})) == "nothing");
  Random random(1);
  Caches caches(16, 4, DType::kF32, DType::kF32, table, pool);
  caches.Write(Normal(random, DType::kF32, 40 * 16), Normal(random, DType::kF32, 10 * 16));
  const Array q = Normal(random, DType::kF32, 32), sinks = Normal(random, DType::kF32, 2);
  const auto found = [&](const std::vector<int32_t>& chosen) {
    return CodeOf([&] { caches.Attend(2, 8, q, sinks, {39}, {1}, chosen); });
  };
  CHECK(found({0, 5, 8}) == "nothing");
  for (const std::vector<int32_t>& wrong : std::vector<std::vector<int32_t>>{{0, 5, 9}, {5, 5, -1}, {-1, 5, -1}})
    CHECK(found(wrong) == "NATIVE_VALUE_OUT_OF_RANGE");
}

}  // namespace
}  // namespace atb::test

int main() {
  using namespace atb::test;
  RUN(PoolsByDefinitionHoweverStepsAreCut);
  RUN(AttendsToAWindowAndToEntries);
  RUN(IndexersChooseEntriesByDefinition);
  RUN(StreamsMixByDefinition);
  RUN(RefusesWhatDoesNotFit);
}
