// Attention to chosen keys against its definition: which keys an indexer chooses, and attention to those alone.
#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "floats.h"
#include "shared_keys.h"

namespace atb::test {
namespace {

using Positions = std::vector<int32_t>;

/// A cache of one head of keys, and the two operations over it.
class Cache {
 public:
  Cache(int64_t head_dim, DType dtype, DType cache_dtype, const KernelTable& kernels, ThreadPool& pool)
      : head_dim_(head_dim),
        dtype_(dtype),
        kernels_(kernels),
        pool_(pool),
        cache_(CacheOf({1, 1, head_dim, 8}, cache_dtype, kBlocks, kBlockSize)),
        keys_(cache_.Keys(0)) {
    // What earlier sequences may have left: NaN, also as scales.
    std::memset(keys_.data, 0xFF, cache_.bytes());
  }

  void Write(Array keys) {
    const int64_t n = keys.size() / head_dim_;
    Positions slots = SlotsOf(n);
    const auto write = CreateOperation("ReshapeAndCache", {{"kvCacheCfg", "K_CACHE_V_BYPASS"}});
    Run(*write, {Floats(keys, {n, 1, head_dim_}), keys_, Ints(slots)}, {keys_}, kernels_, pool_);
  }
  /// The same keys in a row-major cache, as ATB has it.
  void WriteRows(const Array& keys) {
    rows_ = Array(dtype_, kBlocks * kBlockSize * head_dim_);
    for (int64_t i = 0; i < rows_.size(); ++i) rows_.Set(i, NAN);
    for (int64_t i = 0; i < keys.size(); ++i) rows_.Set(SlotOf(i / head_dim_) * head_dim_ + i % head_dim_, keys[i]);
    keys_ = Floats(rows_, {kBlocks, kBlockSize, 1, head_dim_});
  }
  /// All sequences have the same keys. `width`: columns of the block tables.
  Positions Choose(int64_t heads, int64_t top, Array q, Array weights, const std::vector<Sequence>& sequences,
                   int64_t width = kBlocks) {
    const auto op = CreateOperation("LightningIndexer", {{"headNum", double(heads)}, {"topK", double(top)}});
    const int64_t tokens = q.size() / (heads * head_dim_);
    Positions chosen(static_cast<size_t>(tokens * top), -7);
    std::vector<Tensor> in = {Floats(q, {tokens, heads, head_dim_}), Floats(weights, {tokens, heads}), keys_};
    sequences_.AddTo(in, sequences, width);
    Run(*op, in, {Ints(chosen, {tokens, top})}, kernels_, pool_);
    return chosen;
  }

  /// `sinks` [heads], or none.
  Array Attend(const Heads& h, Array q, const std::vector<Sequence>& sequences, Positions chosen,
               Array sinks = {DType::kF32, 0}) {
    const bool has_sinks = sinks.size() > 0;
    const auto op = CreateOperation("SparseAttention", {{"headNum", double(h.group)},
                                                        {"qkScale", double(h.scale())},
                                                        {"mlaVHeadSize", double(h.latent)},
                                                        {"hasSinks", has_sinks}});
    const int64_t tokens = q.size() / (h.group * head_dim_);
    Array out(dtype_, tokens * h.group * h.latent);
    std::vector<Tensor> in = {Floats(q, {tokens, h.group, head_dim_}), keys_};
    sequences_.AddTo(in, sequences, kBlocks);
    in.push_back(Ints(chosen, {tokens, static_cast<int64_t>(chosen.size()) / tokens}));
    if (has_sinks) in.push_back(Floats(sinks, {sinks.size()}));
    Run(*op, in, {Floats(out, {tokens, h.group, h.latent})}, kernels_, pool_);
    return out;
  }

  /// PagedAttention of the same.
  Array AttendAll(const Heads& h, Array q, const std::vector<Sequence>& sequences) {
    const auto op = CreateOperation("PagedAttention", {{"headNum", double(h.group)},
                                                       {"kvHeadNum", 1},
                                                       {"qkScale", double(h.scale())},
                                                       {"mlaVHeadSize", double(h.latent)},
                                                       {"calcType", "CALC_TYPE_SPEC"},
                                                       {"causal", true}});
    const int64_t tokens = q.size() / (h.group * head_dim_);
    Array out(dtype_, tokens * h.group * h.latent);
    std::vector<Tensor> in = {Floats(q, {tokens, h.group, head_dim_}), keys_};
    sequences_.AddTo(in, sequences, kBlocks);
    Run(*op, in, {Floats(out, {tokens, h.group, h.latent})}, kernels_, pool_);
    return out;
  }

 private:
  int64_t head_dim_;
  DType dtype_;
  const KernelTable& kernels_;
  ThreadPool& pool_;
  KvCache cache_;
  Array rows_{DType::kF32, 0};
  Tensor keys_;
  SequenceInputs sequences_;
};

/// The definition, for numbers so small and whole that every sum of products is exact.
Positions Definition(int64_t heads, int64_t head_dim, int64_t top, const Array& q, const Array& weights,
                     const Array& keys, const std::vector<Sequence>& sequences) {
  Positions chosen;
  int64_t token = 0;
  const std::vector<double> wide_q = q.Wide(), wide_keys = keys.Wide();
  for (const Sequence& s : sequences) {
    for (int64_t i = 0; i < s.queries; ++i, ++token) {
      const int64_t seen = std::max<int64_t>(s.context - s.queries + i + 1, 0);
      std::vector<double> scores(static_cast<size_t>(seen));
      for (int64_t j = 0; j < seen; ++j) {
        for (int64_t h = 0; h < heads; ++h) {
          const double* const query = &wide_q[static_cast<size_t>((token * heads + h) * head_dim)];
          const double* const key = &wide_keys[static_cast<size_t>(j * head_dim)];
          double product = 0;
          for (int64_t d = 0; d < head_dim; ++d) product += query[d] * key[d];
          scores[static_cast<size_t>(j)] += weights[token * heads + h] * std::max(product, 0.0);
        }
      }
      Positions order(static_cast<size_t>(seen));
      std::iota(order.begin(), order.end(), 0);
      std::ranges::stable_sort(
          order, [&](int32_t a, int32_t b) { return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)]; });
      order.resize(static_cast<size_t>(std::min(seen, top)));
      std::ranges::sort(order);
      order.resize(static_cast<size_t>(top), -1);
      chosen.insert(chosen.end(), order.begin(), order.end());
    }
  }
  return chosen;
}

/// Small whole numbers have the same scores again and again: of these the first ones are chosen.
void IndexersChooseByDefinition() {
  ThreadPool one(1), many(5);
  struct Sizes {
    int64_t heads, head_dim, top, context;
  };
  const std::vector<Sizes> all = {
      {1, 8, 1, 40}, {5, 24, 20, 150}, {8, 128, 33, 400}, {17, 40, 64, 70}, {3, 576, 5, 33}};
  for (DType dtype : kFloats) {
    for (const auto& [heads, head_dim, top, context] : all) {
      Random random(11);
      const Array keys = Whole(random, dtype, context * head_dim, 1);
      // A whole prompt, a piece, a token, padding, and a sequence without queries.
      const std::vector<Sequence> sequences = {{context, context}, {context - 3, 11}, {context, 1}, {0, 2}, {30, 0}};
      const int64_t tokens = context + 14;
      const Array q = Whole(random, dtype, tokens * heads * head_dim, 3);
      const Array weights = Whole(random, DType::kF32, tokens * heads, 2, 0.5f);
      const Positions expected = Definition(heads, head_dim, top, q, weights, keys, sequences);
      for (const KernelTable* table : kernels::Available()) {
        // The reference computes row by row and is slow: some sizes are enough.
        if (head_dim > 100 && table == &kernels::Select("reference")) continue;
        for (ThreadPool* pool : {&one, &many}) {
          for (DType cache_dtype : {dtype, DType::kI8}) {
            Cache cache(head_dim, dtype, cache_dtype, *table, *pool);
            cache.Write(keys);
            CHECK(cache.Choose(heads, top, q, weights, sequences) == expected);
          }
          Cache cache(head_dim, dtype, dtype, *table, *pool);
          cache.WriteRows(keys);
          CHECK(cache.Choose(heads, top, q, weights, sequences) == expected);
        }
      }
    }
  }
}

/// Whether queries come one by one, in pieces or together, also where scores have room for a few of them at a time.
void ChoicesDoNotDependOnCompany() {
  ThreadPool pool(3);
  const int64_t heads = 6, head_dim = 64, top = 25, context = 300;
  for (const KernelTable* table : kernels::Available()) {
    for (DType dtype : kFloats) {
      Random random(3);
      Array keys = Normal(random, dtype, context * head_dim);
      Array q = Normal(random, dtype, context * heads * head_dim);
      Array weights = Normal(random, DType::kF32, context * heads);
      for (DType cache_dtype : {dtype, DType::kI8}) {
        Cache cache(head_dim, dtype, cache_dtype, *table, pool);
        cache.Write(keys);
        const Positions whole = cache.Choose(heads, top, q, weights, {{context, context}});
        const auto piece = [&](int64_t begin, int64_t end, int64_t width) {
          return cache.Choose(heads, top, q.Slice(begin * heads * head_dim, end * heads * head_dim),
                              weights.Slice(begin * heads, end * heads), {{end, end - begin}}, width);
        };
        const auto expected = [&](int64_t begin, int64_t end) {
          return Positions(whole.begin() + begin * top, whole.begin() + end * top);
        };
        const std::vector<std::pair<int64_t, int64_t>> pieces = {{0, 7}, {7, 101}, {101, 102}, {280, 300}};
        for (const auto& [begin, end] : pieces) CHECK(piece(begin, end, kBlocks) == expected(begin, end));
        // Rows of scores of four megabytes.
        CHECK(piece(277, 300, 11000) == expected(277, 300));
      }
    }
  }
}

/// Of each query some keys, up to its own; `all` of them where they are few.
Positions SomeKeys(Random& random, const std::vector<Sequence>& sequences, int64_t width, bool all) {
  Positions chosen;
  for (const Sequence& s : sequences) {
    for (int64_t i = 0; i < s.queries; ++i) {
      const int64_t seen = s.context - s.queries + i + 1;
      Positions row;
      for (int64_t j = 0; j < seen && static_cast<int64_t>(row.size()) < width; ++j)
        if ((all && seen <= width) || random.Normal<float>(1, 1)[0] > 0.3f) row.push_back(static_cast<int32_t>(j));
      row.resize(static_cast<size_t>(width), -1);
      chosen.insert(chosen.end(), row.begin(), row.end());
    }
  }
  return chosen;
}

/// What each head of each token of `sequences` gets from the keys that it chose, of which only the first numbers are
/// values.
std::vector<double> OfChosen(const Heads& h, const Array& q, const Array& keys, const Positions& chosen, int64_t width,
                             int64_t tokens, const Sight& sight = {}) {
  const int64_t out_row = h.group * h.latent;
  std::vector<double> results;
  for (int64_t token = 0; token < tokens; ++token) {
    const auto row = chosen.begin() + token * width;
    const Positions own(row, std::find(row, row + width, -1));
    const auto n = static_cast<int64_t>(own.size());
    Array k(keys.dtype, 0), v(keys.dtype, n * h.latent);
    const Array query = q.Slice(token * h.group * h.head_dim, (token + 1) * h.group * h.head_dim);
    for (size_t j = 0; j < own.size(); ++j) {
      const Array key = keys.Slice(own[j] * h.head_dim, (own[j] + 1) * h.head_dim);
      k.bytes.insert(k.bytes.end(), key.bytes.begin(), key.bytes.end());
      for (int64_t d = 0; d < h.latent; ++d) v.Set(static_cast<int64_t>(j) * h.latent + d, key[d]);
    }
    const auto expected =
        n == 0 ? std::vector<double>(static_cast<size_t>(out_row)) : Textbook(h, query, k, v, 1, n, n - 1, sight);
    results.insert(results.end(), expected.begin(), expected.begin() + out_row);
  }
  return results;
}

void AttendsToChosenKeysAlone() {
  ThreadPool one(1), many(5);
  const int64_t context = 700;
  for (const Heads h : {Heads{1, 4, 24, 16}, Heads{1, 20, 576, 512}}) {
    for (DType dtype : kFloats) {
      const double tolerance = dtype == DType::kF32 ? 2e-5 : dtype == DType::kF16 ? 4e-3 : 3e-2;
      Random random(9);
      const Array keys = Normal(random, dtype, context * h.head_dim);
      const std::vector<Sequence> sequences = {{context, 3}, {40, 40}, {context - 1, 1}};
      const int64_t tokens = 44;
      const Array q = Normal(random, dtype, tokens * h.group * h.head_dim, 1.5f);
      // 4096 columns leave room for a few queries at a time.
      for (int64_t width : {400, 30, 4096}) {
        const Positions chosen = SomeKeys(random, sequences, width, width != 30);
        // Heads have sinks where copies are made and where they are not.
        Array sinks = width == 400 ? Normal(random, DType::kF32, h.group, 3) : Array{DType::kF32, 0};
        Sight sight;
        for (int64_t i = 0; i < sinks.size(); ++i) sight.sinks.push_back(sinks[i]);
        const std::vector<double> expected = OfChosen(h, q, keys, chosen, width, tokens, sight);
        for (const KernelTable* table : kernels::Available()) {
          if (h.head_dim > 100 && table == &kernels::Select("reference")) continue;
          for (ThreadPool* pool : {&one, &many}) {
            if (pool == &one && width != 400) continue;
            Cache cache(h.head_dim, dtype, dtype, *table, *pool), rows(h.head_dim, dtype, dtype, *table, *pool);
            cache.Write(keys);
            rows.WriteRows(keys);
            const Array out = cache.Attend(h, q, sequences, chosen, sinks);
            CHECK(SameBits(rows.Attend(h, q, sequences, chosen, sinks), out));
            for (size_t i = 0; i < expected.size(); ++i)
              CHECK(std::abs(out[static_cast<int64_t>(i)] - expected[i]) <= tolerance);
          }
        }
      }
    }
  }
}

/// Keys that nobody chose may be anything; and whoever attends to all that it sees gets the bits of PagedAttention,
/// whether its keys are copied or not.
void ReadsNoOtherKeyAndKeepsTheBitsOfAll() {
  ThreadPool pool(3);
  const int64_t context = 530;
  for (const Heads h : {Heads{1, 3, 40, 32}, Heads{1, 20, 576, 512}}) {
    for (const KernelTable* table : kernels::Available()) {
      if (h.head_dim > 100 && table == &kernels::Select("reference")) continue;
      for (DType dtype : kFloats) {
        Random random(4);
        const Array keys = Normal(random, dtype, context * h.head_dim);
        Array q = Normal(random, dtype, 4 * h.group * h.head_dim, 1.5f);
        for (DType cache_dtype : {dtype, DType::kI8}) {
          Cache cache(h.head_dim, dtype, cache_dtype, *table, pool);
          cache.Write(keys);
          const std::vector<Sequence> last = {{context, 4}};
          const Positions all = SomeKeys(random, last, context, true);
          const Array expected = cache.AttendAll(h, q, last);
          CHECK(SameBits(cache.Attend(h, q, last, all), expected));
          // Of a longer sequence whose later keys are not chosen: copied, and the same.
          const Positions some = SomeKeys(random, {{context - 150, 4}}, context, true);
          CHECK(SameBits(cache.Attend(h, q, last, some), [&] {
            Array rows(dtype, 0);
            for (int64_t i = 0; i < 4; ++i) {
              const Array own = cache.AttendAll(h, q.Slice(i * h.group * h.head_dim, (i + 1) * h.group * h.head_dim),
                                                {{context - 153 + i, 1}});
              rows.bytes.insert(rows.bytes.end(), own.bytes.begin(), own.bytes.end());
            }
            return rows;
          }()));

          const Positions few = {3, 17, 64, 200, 201, 202, 510, -1};
          const Array one = q.Slice(0, h.group * h.head_dim);
          const Array before = cache.Attend(h, one, {{context, 1}}, few);
          for (int64_t i = 0; i < before.size(); ++i) CHECK(std::isfinite(before[i]));
          Array others(dtype, keys.size());
          for (int64_t i = 0; i < keys.size(); ++i)
            others.Set(i, std::ranges::find(few, i / h.head_dim) == few.end() ? NAN : keys[i]);
          cache.Write(others);
          CHECK(SameBits(cache.Attend(h, one, {{context, 1}}, few), before));
        }
      }
    }
  }
}

void RefusesPositionsThatAreNotThere() {
  ThreadPool pool(1);
  const Heads h{1, 2, 16, 8};
  const KernelTable& table = kernels::Select("reference");
  Random random(1);
  Cache cache(h.head_dim, DType::kF32, DType::kF32, table, pool);
  cache.Write(Normal(random, DType::kF32, 40 * h.head_dim));
  const Array q = Normal(random, DType::kF32, h.group * h.head_dim);
  const auto found = [&](const Positions& chosen) { return CodeOf([&] { cache.Attend(h, q, {{40, 1}}, chosen); }); };
  CHECK(found({0, 5, 39}) == "nothing");
  CHECK(found({0, 5, -1}) == "nothing");
  for (const Positions& wrong : std::vector<Positions>{{0, 5, 40}, {5, 5, -1}, {5, 4, -1}, {-1, 5, -1}})
    CHECK(found(wrong) == "NATIVE_VALUE_OUT_OF_RANGE");
  const auto created = [](const char* type, const ParamObject& param) {
    return CodeOf([&] { CreateOperation(type, param); });
  };
  CHECK(created("LightningIndexer", {{"headNum", 2}}) == "NATIVE_PARAM_INVALID");
  CHECK(created("LightningIndexer", {{"topK", 2}}) == "NATIVE_PARAM_INVALID");
  CHECK(created("SparseAttention", {{"headNum", 2}, {"mlaVHeadSize", 12}}) == "NATIVE_PARAM_INVALID");
  CHECK(created("SparseAttention", {{"mlaVHeadSize", 8}}) == "NATIVE_PARAM_INVALID");
}

}  // namespace
}  // namespace atb::test

int main() {
  using namespace atb::test;
  RUN(IndexersChooseByDefinition);
  RUN(ChoicesDoNotDependOnCompany);
  RUN(AttendsToChosenKeysAlone);
  RUN(ReadsNoOtherKeyAndKeepsTheBitsOfAll);
  RUN(RefusesPositionsThatAreNotThere);
}
