// Attention to chosen blocks against its definition: which blocks each head chooses, and attention to those alone.
#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "floats.h"
#include "shared_keys.h"

namespace atb::test {
namespace {

using Numbers = std::vector<int32_t>;

/// Keys and values in the layout of the engine, or row-major, and the operations over them. All sequences share them.
class Caches {
 public:
  Caches(const Heads& heads, DType dtype, DType cache_dtype, const KernelTable& kernels, ThreadPool& pool)
      : heads_(heads),
        dtype_(dtype),
        kernels_(kernels),
        pool_(pool),
        cache_(CacheOf(heads, cache_dtype, kBlocks, kBlockSize)),
        keys_(cache_.Keys(0)) {
    if (heads.latent == 0) values_ = cache_.Values(0);
    // What earlier sequences may have left: NaN, also as scales.
    std::memset(keys_.data, 0xFF, cache_.bytes());
  }

  void Write(Array keys, Array values) {
    const int64_t n = keys.size() / (heads_.kv_heads * heads_.head_dim);
    Numbers slots = SlotsOf(n);
    const auto write = CreateOperation("ReshapeAndCache", {});
    Run(*write,
        {Floats(keys, {n, heads_.kv_heads, heads_.head_dim}), Floats(values, {n, heads_.kv_heads, heads_.value_dim()}),
         keys_, values_, Ints(slots)},
        {keys_, values_}, kernels_, pool_);
  }
  void WriteKeys(Array keys) {
    const int64_t n = keys.size() / heads_.head_dim;
    Numbers slots = SlotsOf(n);
    const auto write = CreateOperation("ReshapeAndCache", {{"kvCacheCfg", "K_CACHE_V_BYPASS"}});
    Run(*write, {Floats(keys, {n, 1, heads_.head_dim}), keys_, Ints(slots)}, {keys_}, kernels_, pool_);
  }
  /// The same in row-major caches, as ATB has them.
  void WriteRows(const Array& keys, const Array& values) {
    const auto rows = [&](const Array& of, int64_t size, Array& to) {
      const int64_t row = heads_.kv_heads * size;
      to = Array(dtype_, kBlocks * kBlockSize * row);
      for (int64_t i = 0; i < to.size(); ++i) to.Set(i, NAN);
      for (int64_t i = 0; i < of.size(); ++i) to.Set(SlotOf(i / row) * row + i % row, of[i]);
      return Floats(to, {kBlocks, kBlockSize, heads_.kv_heads, size});
    };
    keys_ = rows(keys, heads_.head_dim, key_rows_);
    values_ = rows(values, heads_.value_dim(), value_rows_);
  }

  Numbers Choose(int64_t heads, int64_t top, int64_t block, int64_t local, Array q,
                 const std::vector<Sequence>& sequences, int64_t width = kBlocks) {
    const auto op = CreateOperation("LightningIndexer", {{"headNum", double(heads)},
                                                         {"topK", double(top)},
                                                         {"blockSize", double(block)},
                                                         {"localBlocks", double(local)}});
    const int64_t tokens = q.size() / (heads * heads_.head_dim);
    Numbers chosen(static_cast<size_t>(tokens * heads * top), -7);
    std::vector<Tensor> in = {Floats(q, {tokens, heads, heads_.head_dim}), keys_};
    sequences_.AddTo(in, sequences, width);
    Run(*op, in, {Ints(chosen, {tokens, heads * top})}, kernels_, pool_);
    return chosen;
  }

  Array Attend(Array q, int64_t block, const std::vector<Sequence>& sequences, Numbers chosen) {
    ParamObject param = Param();
    param.emplace("blockSize", double(block));
    const int64_t tokens = Tokens(q), size = static_cast<int64_t>(chosen.size());
    return RunOver("BlockAttention", param, q, sequences, {Ints(chosen, {tokens, size / tokens})});
  }
  Array AttendAll(Array q, const std::vector<Sequence>& sequences) {
    ParamObject param = Param();
    param.emplace("calcType", "CALC_TYPE_SPEC");
    param.emplace("causal", true);
    return RunOver("PagedAttention", param, q, sequences, {});
  }

 private:
  int64_t Tokens(const Array& q) const { return q.size() / (heads_.q_heads() * heads_.head_dim); }
  ParamObject Param() const {
    return {{"headNum", double(heads_.q_heads())},
            {"kvHeadNum", double(heads_.kv_heads)},
            {"qkScale", double(heads_.scale())}};
  }
  Array RunOver(const char* type, const ParamObject& param, Array& q, const std::vector<Sequence>& sequences,
                const std::vector<Tensor>& more) {
    const auto op = CreateOperation(type, param);
    const int64_t tokens = Tokens(q), heads = heads_.q_heads();
    Array out(dtype_, tokens * heads * heads_.value_dim());
    std::vector<Tensor> in = {Floats(q, {tokens, heads, heads_.head_dim}), keys_, values_};
    sequences_.AddTo(in, sequences, kBlocks);
    in.insert(in.end(), more.begin(), more.end());
    Run(*op, in, {Floats(out, {tokens, heads, heads_.value_dim()})}, kernels_, pool_);
    return out;
  }
  Heads heads_;
  DType dtype_;
  const KernelTable& kernels_;
  ThreadPool& pool_;
  KvCache cache_;
  Array key_rows_{DType::kF32, 0}, value_rows_{DType::kF32, 0};
  Tensor keys_, values_;
  SequenceInputs sequences_;
};

/// What each query sees of its sequence.
std::vector<int64_t> Seen(const std::vector<Sequence>& sequences) {
  std::vector<int64_t> seen;
  for (const Sequence& s : sequences)
    for (int64_t i = 0; i < s.queries; ++i) seen.push_back(std::max<int64_t>(s.context - s.queries + i + 1, 0));
  return seen;
}

/// The definition, for numbers so small and whole that every product is exact.
Numbers Definition(int64_t heads, int64_t head_dim, int64_t top, int64_t block, int64_t local, const Array& q,
                   const Array& keys, const std::vector<int64_t>& seen) {
  Numbers all;
  for (size_t token = 0; token < seen.size(); ++token) {
    for (int64_t h = 0; h < heads; ++h) {
      const int64_t count = CeilDiv(seen[token], block);
      std::vector<double> scores(static_cast<size_t>(count), -INFINITY);
      for (int64_t j = 0; j < seen[token]; ++j) {
        double product = 0;
        for (int64_t d = 0; d < head_dim; ++d)
          product += q[(static_cast<int64_t>(token) * heads + h) * head_dim + d] * keys[j * head_dim + d];
        double& own = scores[static_cast<size_t>(j / block)];
        own = std::max(own, product);
      }
      for (int64_t b = std::max<int64_t>(count - local, 0); b < count; ++b) scores[static_cast<size_t>(b)] = INFINITY;
      Numbers order(static_cast<size_t>(count));
      std::iota(order.begin(), order.end(), 0);
      std::ranges::stable_sort(
          order, [&](int32_t a, int32_t b) { return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)]; });
      order.resize(static_cast<size_t>(std::min(count, top)));
      std::ranges::sort(order);
      order.resize(static_cast<size_t>(top), -1);
      all.insert(all.end(), order.begin(), order.end());
    }
  }
  return all;
}

/// Small whole numbers have the same scores again and again: of these the first ones are chosen. Scores below zero
/// count as such.
void HeadsChooseBlocksByDefinition() {
  ThreadPool one(1), many(5);
  struct Sizes {
    int64_t heads, head_dim, top, block, local, context;
  };
  const std::vector<Sizes> all = {
      {1, 8, 1, 7, 0, 60}, {4, 24, 3, 32, 1, 300}, {2, 128, 5, 16, 2, 400}, {3, 40, 2, 64, 2, 300}};
  for (DType dtype : kFloats) {
    for (const auto& [heads, head_dim, top, block, local, context] : all) {
      Random random(11);
      const Array keys = Whole(random, dtype, context * head_dim, 1);
      // A whole prompt, a piece, a token, padding, and a sequence without queries.
      const std::vector<Sequence> sequences = {{context, context}, {context - 3, 11}, {context, 1}, {0, 2}, {30, 0}};
      Array q = Whole(random, dtype, (context + 14) * heads * head_dim, 3);
      // The last token's are all below zero.
      for (int64_t i = (context + 11) * heads * head_dim; i < (context + 12) * heads * head_dim; ++i)
        q.Set(i, -std::abs(q[i]));
      const Numbers expected = Definition(heads, head_dim, top, block, local, q, keys, Seen(sequences));
      for (const KernelTable* table : kernels::Available()) {
        for (ThreadPool* pool : {&one, &many}) {
          for (DType cache_dtype : {dtype, DType::kI8}) {
            Caches cache({1, 1, head_dim, 8}, dtype, cache_dtype, *table, *pool);
            cache.WriteKeys(keys);
            CHECK(cache.Choose(heads, top, block, local, q, sequences) == expected);
            if (heads != 3) continue;
            // Scores of megabytes for each query: few queries at a time.
            const Array last = q.Slice((context - 20) * heads * head_dim, context * heads * head_dim);
            const auto from = expected.begin() + (context - 20) * heads * top;
            const Numbers few(from, from + 20 * heads * top);
            CHECK(cache.Choose(heads, top, block, local, last, {{context, 20}}, 1500) == few);
          }
        }
      }
    }
  }
}

/// Of each head of keys and each query some blocks, up to the query's own; `all` of them where they are few.
Numbers SomeBlocks(Random& random, int64_t heads, const std::vector<int64_t>& seen, int64_t block, int64_t width,
                   bool all) {
  Numbers chosen;
  for (const int64_t keys : seen) {
    for (int64_t head = 0; head < heads; ++head) {
      const int64_t count = CeilDiv(keys, block);
      Numbers row;
      for (int64_t j = 0; j < count && static_cast<int64_t>(row.size()) < width; ++j)
        if ((all && count <= width) || random.Normal<float>(1, 1)[0] > 0.2f) row.push_back(static_cast<int32_t>(j));
      row.resize(static_cast<size_t>(width), -1);
      chosen.insert(chosen.end(), row.begin(), row.end());
    }
  }
  return chosen;
}

/// What each head of each token gets from the blocks that it chose.
std::vector<double> OfChosen(const Heads& h, const Array& q, const Array& keys, const Array& values,
                             const Numbers& chosen, int64_t block, const std::vector<int64_t>& seen) {
  const int64_t width = static_cast<int64_t>(chosen.size() / seen.size()) / h.kv_heads;
  const Heads own{1, h.group, h.head_dim, 0, h.values};
  std::vector<double> results;
  for (size_t token = 0; token < seen.size(); ++token) {
    for (int64_t head = 0; head < h.kv_heads; ++head) {
      const int64_t row = static_cast<int64_t>(token) * h.kv_heads + head;
      Array k(keys.dtype, 0), v(keys.dtype, 0);
      int64_t n = 0;
      for (int64_t j = 0; j < width && chosen[static_cast<size_t>(row * width + j)] >= 0; ++j) {
        const int64_t begin = chosen[static_cast<size_t>(row * width + j)] * block;
        for (int64_t at = begin; at < std::min(begin + block, seen[token]); ++at, ++n) {
          const int64_t own_row = at * h.kv_heads + head, dv = h.value_dim();
          const Array key = keys.Slice(own_row * h.head_dim, (own_row + 1) * h.head_dim);
          const Array value = values.Slice(own_row * dv, (own_row + 1) * dv);
          k.bytes.insert(k.bytes.end(), key.bytes.begin(), key.bytes.end());
          v.bytes.insert(v.bytes.end(), value.bytes.begin(), value.bytes.end());
        }
      }
      const int64_t size = h.group * h.head_dim;
      const auto expected = n == 0 ? std::vector<double>(static_cast<size_t>(h.group * h.value_dim()))
                                   : Textbook(own, q.Slice(row * size, (row + 1) * size), k, v, 1, n, n - 1, {});
      results.insert(results.end(), expected.begin(), expected.end());
    }
  }
  return results;
}

void AttendsToChosenBlocksAlone() {
  ThreadPool one(1), many(5);
  const int64_t context = 700;
  for (const Heads h : {Heads{2, 3, 24}, Heads{3, 1, 64, 0, 40}}) {
    for (DType dtype : kFloats) {
      const double tolerance = dtype == DType::kF32 ? 2e-5 : dtype == DType::kF16 ? 4e-3 : 3e-2;
      Random random(9);
      const Array keys = Normal(random, dtype, context * h.kv_heads * h.head_dim);
      const Array values = Normal(random, dtype, context * h.kv_heads * h.value_dim());
      const std::vector<Sequence> sequences = {{context, 3}, {70, 70}, {0, 2}, {context - 1, 1}};
      const std::vector<int64_t> seen = Seen(sequences);
      const Array q = Normal(random, dtype, static_cast<int64_t>(seen.size()) * h.q_heads() * h.head_dim, 1.5f);
      for (const auto& [block, width] : std::vector<std::pair<int64_t, int64_t>>{{32, 9}, {64, 2}, {160, 40}}) {
        const Numbers chosen = SomeBlocks(random, h.kv_heads, seen, block, width, width != 2);
        const std::vector<double> expected = OfChosen(h, q, keys, values, chosen, block, seen);
        for (const KernelTable* table : kernels::Available()) {
          for (ThreadPool* pool : {&one, &many}) {
            Caches cache(h, dtype, dtype, *table, *pool), rows(h, dtype, dtype, *table, *pool);
            cache.Write(keys, values);
            rows.WriteRows(keys, values);
            const Array out = cache.Attend(q, block, sequences, chosen);
            CHECK(SameBits(rows.Attend(q, block, sequences, chosen), out));
            for (size_t i = 0; i < expected.size(); ++i)
              CHECK(std::abs(out[static_cast<int64_t>(i)] - expected[i]) <= tolerance);
          }
        }
      }
    }
  }
}

/// Whoever attends to all that it sees gets the bits of PagedAttention, in a prompt and in a sequence that chooses the
/// first blocks alone; keys that nobody chose may be anything.
void KeepsTheBitsOfAllAndReadsNoOtherKey() {
  ThreadPool pool(3);
  const int64_t context = 530, block = 96, width = 6;
  const Heads h{2, 5, 40};
  for (const KernelTable* table : kernels::Available()) {
    for (DType dtype : kFloats) {
      Random random(4);
      const Array keys = Normal(random, dtype, context * h.kv_heads * h.head_dim);
      const Array values = Normal(random, dtype, context * h.kv_heads * h.head_dim);
      const Array q = Normal(random, dtype, 4 * h.q_heads() * h.head_dim, 1.5f);
      for (DType cache_dtype : {dtype, DType::kI8}) {
        Caches cache(h, dtype, cache_dtype, *table, pool);
        cache.Write(keys, values);
        const std::vector<Sequence> last = {{context, 4}}, first = {{4 * block, 1}};
        const Numbers all = SomeBlocks(random, h.kv_heads, Seen(last), block, width, true);
        CHECK(SameBits(cache.Attend(q, block, last, all), cache.AttendAll(q, last)));

        const Array one = q.Slice(0, h.q_heads() * h.head_dim);
        const Numbers begin = {0, 1, 2, 3, -1, -1, 0, 1, 2, 3, -1, -1};
        const Array before = cache.Attend(one, block, {{context, 1}}, begin);
        CHECK(SameBits(before, cache.AttendAll(one, first)));
        const auto others = [&](const Array& of) {
          Array changed = of;
          for (int64_t i = 4 * block * h.kv_heads * h.head_dim; i < of.size(); ++i) changed.Set(i, NAN);
          return changed;
        };
        cache.Write(others(keys), others(values));
        CHECK(SameBits(cache.Attend(one, block, {{context, 1}}, begin), before));
      }
    }
  }
}

void RefusesBlocksThatAreNotThere() {
  ThreadPool pool(1);
  const Heads h{2, 2, 16};
  Random random(1);
  Caches cache(h, DType::kF32, DType::kF32, kernels::Select("reference"), pool);
  const Array keys = Normal(random, DType::kF32, 70 * h.kv_heads * h.head_dim);
  cache.Write(keys, keys);
  const Array q = Normal(random, DType::kF32, h.q_heads() * h.head_dim);
  const auto found = [&](const Numbers& chosen) { return CodeOf([&] { cache.Attend(q, 32, {{70, 1}}, chosen); }); };
  CHECK(found({0, 2, 1, -1}) == "nothing");
  for (const Numbers& wrong : std::vector<Numbers>{{0, 3, 1, -1}, {0, 1, 1, 1}, {0, 1, -1, 1}})
    CHECK(found(wrong) == "NATIVE_VALUE_OUT_OF_RANGE");
  CHECK(found({0, 1, 2}) == "NATIVE_SHAPE_MISMATCH");
  // Groups of integers have 32 slots in blocks of 96, and 64 in others.
  CHECK(CodeOf([&] { cache.Attend(q, 48, {{70, 1}}, {0, 1}); }) == "NATIVE_PARAM_INVALID");
  const auto created = [](const char* type, const ParamObject& param) {
    return CodeOf([&] { CreateOperation(type, param); });
  };
  CHECK(created("BlockAttention", {{"headNum", 2}}) == "NATIVE_PARAM_INVALID");
  CHECK(created("BlockAttention", {{"headNum", 3}, {"kvHeadNum", 2}, {"blockSize", 32}}) == "NATIVE_PARAM_INVALID");
  CHECK(created("BlockAttention", {{"blockSize", 32}}) == "NATIVE_PARAM_INVALID");
  const ParamObject indexer = {{"headNum", 2}, {"topK", 2}};
  const auto with = [&](const ParamObject& more) {
    ParamObject param = indexer;
    param.insert(more.begin(), more.end());
    return created("LightningIndexer", param);
  };
  CHECK(with({{"blockSize", 8}, {"localBlocks", 2}}) == "nothing");
  CHECK(with({{"blockSize", 8}, {"localBlocks", 3}}) == "NATIVE_PARAM_INVALID");
  CHECK(with({{"localBlocks", 1}}) == "NATIVE_PARAM_INVALID");
  CHECK(with({{"blockSize", 8}, {"tokensPerKey", 2}}) == "NATIVE_PARAM_INVALID");
}

}  // namespace
}  // namespace atb::test

int main() {
  using namespace atb::test;
  RUN(HeadsChooseBlocksByDefinition);
  RUN(AttendsToChosenBlocksAlone);
  RUN(KeepsTheBitsOfAllAndReadsNoOtherKey);
  RUN(RefusesBlocksThatAreNotThere);
}
