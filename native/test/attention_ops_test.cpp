// SelfAttention and PagedAttention: what they compute, what they refuse, and that a token's bits depend neither on its
// company, nor on the chunks of its prompt, nor on threads.
#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "attention_layer.h"
#include "floats.h"

namespace atb::test {
namespace {

/// One prompt of 330 tokens: alone through SelfAttention, in chunks and token by token through PagedAttention.
void PromptsMayBeCutAnywhere() {
  ThreadPool one(1), two(2);
  for (DType dtype : kFloats) {
    for (const Heads heads : {Heads{2, 1, 32}, Heads{2, 4, 64}, Heads{1, 7, 80}, Heads{1, 20, 16}, Heads{1, 5, 40, 24},
                              Heads{1, 20, 48, 32}, Heads{2, 4, 48, 0, 32}, Heads{1, 3, 24, 0, 40}}) {
      for (const Sight& sight : {Sight{}, Sight{.window = 70}, Sight{.chunk = 70}, Sight{.chunk = 300},
                                 Sight{.softcap = 3, .slopes = Slopes(heads)}}) {
        // What is hidden does not depend on the dtype: of the two that tables compute alike, one is enough.
        if (dtype == DType::kF16 && (sight.window > 0 || sight.chunk > 0)) continue;
        const ParamObject keys = KeysOf(sight);
        Prompt p(heads, dtype, 330, 7);
        const std::vector<int32_t> table = {40, 3, 17, 63, 0, 9};
        for (const KernelTable* t : kernels::Available()) {
          // The reference computes row by row and is slow: one shape is enough.
          if (t == &kernels::Select("reference") && heads.head_dim != 32) continue;
          Layer layer(heads, dtype, *t, one, keys);
          const Array whole = layer.Prefill({&p});
          Layer threaded(heads, dtype, *t, two, keys);
          CHECK(SameBits(whole, threaded.Prefill({&p})));

          Array chunked(dtype, 0);
          int64_t begin = 0;
          for (int64_t end : {1, 30, 65, 200, 256, 257, 330}) {
            threaded.Write(p, table, begin, end);
            Array q = p.q.Slice(begin * layer.QRow(), end * layer.QRow());
            const Array out = threaded.Paged(q, {table}, {int32_t(end)}, {int32_t(end - begin)}, true);
            chunked.bytes.insert(chunked.bytes.end(), out.bytes.begin(), out.bytes.end());
            begin = end;
          }
          CHECK(SameBits(whole, chunked));

          Array decoded(dtype, 0);
          for (int64_t i = 0; i < p.tokens; ++i) {
            layer.Write(p, table, i, i + 1);
            Array q = p.q.Slice(i * layer.QRow(), (i + 1) * layer.QRow());
            const Array out = layer.Paged(q, {table}, {int32_t(i + 1)}, {}, false);
            decoded.bytes.insert(decoded.bytes.end(), out.bytes.begin(), out.bytes.end());
          }
          CHECK(SameBits(whole, decoded));
        }
      }
    }
  }
}

void BatchesEqualTheirSequencesAlone(const Heads& heads) {
  ThreadPool one(1), three(3);
  for (DType dtype : kFloats) {
    for (const KernelTable* t : kernels::Available()) {
      // The reference computes row by row and is slow: one shape is enough.
      if (t == &kernels::Select("reference") && heads.head_dim != 32) continue;
      std::vector<Prompt> prompts;
      for (int64_t n : {1, 300, 33, 64, 600}) prompts.emplace_back(heads, dtype, n, static_cast<uint64_t>(n));
      std::vector<std::vector<int32_t>> tables = {
          {5}, {1, 2, 3, 4, 6}, {7}, {60}, {20, 19, 18, 17, 16, 15, 14, 13, 12, 11}};
      Layer alone(heads, dtype, *t, one), together(heads, dtype, *t, three);
      std::vector<Prompt*> all;
      Array packed(dtype, 0), last(dtype, 0), expected_last(dtype, 0);
      std::vector<int32_t> contexts;
      for (size_t i = 0; i < prompts.size(); ++i) {
        all.push_back(&prompts[i]);
        const Array out = alone.Prefill({&prompts[i]});
        packed.bytes.insert(packed.bytes.end(), out.bytes.begin(), out.bytes.end());
        together.Write(prompts[i], tables[i], 0, prompts[i].tokens);
        alone.Write(prompts[i], tables[i], 0, prompts[i].tokens);
        Array q = prompts[i].q.Slice((prompts[i].tokens - 1) * alone.QRow(), prompts[i].tokens * alone.QRow());
        last.bytes.insert(last.bytes.end(), q.bytes.begin(), q.bytes.end());
        contexts.push_back(static_cast<int32_t>(prompts[i].tokens));
        const Array decoded = alone.Paged(q, {tables[i]}, {contexts.back()}, {}, false);
        expected_last.bytes.insert(expected_last.bytes.end(), decoded.bytes.begin(), decoded.bytes.end());
      }
      CHECK(SameBits(packed, together.Prefill(all)));
      CHECK(SameBits(expected_last, together.Paged(last, tables, contexts, {}, false)));
    }
  }
}

void BatchesEqualTheirSequencesAlone() {
  BatchesEqualTheirSequencesAlone({2, 2, 32});
  BatchesEqualTheirSequencesAlone({1, 18, 48, 32});
}

/// Batch 1 with more threads than heads: pieces of the keys go to several threads.
void SplittingKeysOverThreadsChangesNoBit(const Heads& heads) {
  ThreadPool one(1), two(2), many(7);
  for (DType dtype : kFloats) {
    for (const KernelTable* t : kernels::Available()) {
      for (const ParamObject& keys : {ParamObject{}, KeysOf({.window = 700}), KeysOf({.chunk = 700}),
                                      KeysOf({.softcap = 3, .slopes = Slopes(heads)})}) {
        for (int64_t n : {1, 255, 257, 2000, 2049}) {
          // The reference is slow: two pieces of keys are enough.
          if (t == &kernels::Select("reference") && n > 1000) continue;
          Prompt p(heads, dtype, n, 11);
          std::vector<int32_t> table(static_cast<size_t>((n + 63) / 64));
          std::iota(table.rbegin(), table.rend(), 0);
          Array q = p.q.Slice((n - 1) * heads.q_heads() * heads.head_dim, n * heads.q_heads() * heads.head_dim);
          Layer first(heads, dtype, *t, one, keys), second(heads, dtype, *t, two, keys),
              third(heads, dtype, *t, many, keys);
          for (Layer* layer : {&first, &second, &third}) layer->Write(p, table, 0, n);
          const Array expected = first.Paged(q, {table}, {int32_t(n)}, {}, false);
          CHECK(SameBits(expected, second.Paged(q, {table}, {int32_t(n)}, {}, false)));
          CHECK(SameBits(expected, third.Paged(q, {table}, {int32_t(n)}, {}, false)));
        }
      }
    }
  }
}

void SplittingKeysOverThreadsChangesNoBit() {
  SplittingKeysOverThreadsChangesNoBit({1, 3, 64});
  SplittingKeysOverThreadsChangesNoBit({1, 18, 24, 16});
}

void PaddedSequencesGiveZeros() {
  ThreadPool pool(2);
  const Heads heads{2, 2, 16};
  for (const KernelTable* t : kernels::Available()) {
    Layer layer(heads, DType::kBF16, *t, pool);
    Prompt p(heads, DType::kBF16, 3, 1);
    layer.Write(p, {4}, 0, 3);
    const Array out = layer.Paged(p.q, {{}, {4}, {}}, {0, 3, 0}, {}, false);
    for (int64_t i = 0; i < out.size(); ++i) CHECK(i / layer.QRow() == 1 ? out[i] != 0 : out[i] == 0);
  }
}

/// A head's sink is in the softmax of each of its queries, whichever tile, piece of keys or thread these belong to.
void SinksTakePartInEverySoftmax() {
  ThreadPool one(1), many(7);
  const int64_t n = 270;  // More than one piece.
  const std::vector<int32_t> table = {40, 3, 17, 63, 0};
  for (const Heads heads :
       {Heads{2, 2, 32}, Heads{1, 20, 16}, Heads{1, 18, 48, 32}, Heads{2, 9, 48, 0, 24}, Heads{1, 2, 32, 0, 56}}) {
    Random random(5);
    Array sinks = Normal(random, DType::kF32, heads.q_heads(), 3);
    sinks.Set(0, 60);      // Far above every score: next to nothing comes out.
    sinks.Set(1, -1e30f);  // No sink at all.
    for (DType dtype : kFloats) {
      const double tolerance = dtype == DType::kF32 ? 4e-6 : dtype == DType::kF16 ? 2e-3 : 2e-2;
      Prompt p(heads, dtype, n, 8);
      for (int64_t window : {0, 70}) {
        Sight sight{.causal = true, .window = window};
        for (int64_t i = 0; i < sinks.size(); ++i) sight.sinks.push_back(sinks[i]);
        Array v = p.v;
        if (heads.latent > 0) {
          v = Array(dtype, n * heads.latent);
          for (int64_t i = 0; i < v.size(); ++i) v.Set(i, p.k[i / heads.latent * heads.head_dim + i % heads.latent]);
        }
        const auto expected = Textbook(heads, p.q, p.k, v, n, n, 0, sight);
        const auto check = [&](const Array& out, int64_t first) {
          for (int64_t i = 0; i < out.size(); ++i)
            CHECK(std::abs(out[i] - expected[static_cast<size_t>(first * heads.q_heads() * heads.value_dim() + i)]) <=
                  tolerance);
        };
        for (const KernelTable* t : kernels::Available()) {
          if (t == &kernels::Select("reference") && heads.head_dim != 32) continue;
          Layer layer(heads, dtype, *t, one, KeysOf(sight)), threaded(heads, dtype, *t, many, KeysOf(sight));
          for (Layer* own : {&layer, &threaded}) {
            own->sinks = sinks;
            own->Write(p, table, 0, n);
            check(own->Prefill({&p}), 0);
            Array piece = p.q.Slice((n - 20) * own->QRow(), n * own->QRow());
            check(own->Paged(piece, {table}, {int32_t(n)}, {20}, true), n - 20);
            Array last = p.q.Slice((n - 1) * own->QRow(), n * own->QRow());
            check(own->Paged(last, {table}, {int32_t(n)}, {}, false), n - 1);
          }
          Array last = p.q.Slice(0, layer.QRow());
          const Array unseen = layer.Paged(last, {{}}, {0}, {}, false);
          for (int64_t i = 0; i < unseen.size(); ++i) CHECK(unseen[i] == 0);
        }
      }
    }
  }
}

/// Tokens of a picture see all of it, whichever tile, piece of keys or thread these belong to, windows included.
void QueriesMaySeeLaterKeys() {
  ThreadPool one(1), many(7);
  const int64_t n = 290, begin = 9, end = 275;  // More than one piece.
  const std::vector<int32_t> table = {40, 3, 17, 63, 0};
  std::vector<int32_t> seen;
  for (int64_t t = 0; t < n; ++t) seen.push_back(static_cast<int32_t>(t >= begin && t < end ? end : t + 1));
  for (const Heads heads : {Heads{2, 2, 32}, Heads{1, 20, 16}}) {
    for (DType dtype : kFloats) {
      const double tolerance = dtype == DType::kF32 ? 4e-6 : dtype == DType::kF16 ? 2e-3 : 2e-2;
      Prompt p(heads, dtype, n, 8);
      for (int64_t window : {0, 70}) {
        const Sight sight{.causal = true, .window = window, .seen = seen};
        const auto expected = Textbook(heads, p.q, p.k, p.v, n, n, 0, sight);
        const auto check = [&](const Array& out, int64_t first) {
          for (int64_t i = 0; i < out.size(); ++i)
            CHECK(std::abs(out[i] - expected[static_cast<size_t>(first * heads.q_heads() * heads.head_dim + i)]) <=
                  tolerance);
        };
        for (const KernelTable* t : kernels::Available()) {
          if (t == &kernels::Select("reference") && heads.head_dim != 32) continue;
          Layer layer(heads, dtype, *t, one, KeysOf(sight)), threaded(heads, dtype, *t, many, KeysOf(sight));
          for (Layer* own : {&layer, &threaded}) {
            own->seen = seen;
            own->Write(p, table, 0, n);
            check(own->Prefill({&p}), 0);
            // A piece that begins within the picture.
            Array piece = p.q.Slice((n - 50) * own->QRow(), n * own->QRow());
            own->seen.assign(seen.end() - 50, seen.end());
            check(own->Paged(piece, {table}, {int32_t(n)}, {50}, true), n - 50);
          }
          const auto refused = [&](int32_t last, int32_t before) {
            layer.seen = {before, last};
            Array two = p.q.Slice(0, 2 * layer.QRow());
            return CodeOf([&] { layer.Paged(two, {table}, {int32_t(n)}, {2}, true); });
          };
          CHECK(refused(int32_t(n), int32_t(n - 1)) == "nothing");
          CHECK(refused(int32_t(n - 1), int32_t(n - 1)) == "NATIVE_VALUE_OUT_OF_RANGE");
          CHECK(refused(int32_t(n + 1), int32_t(n - 1)) == "NATIVE_VALUE_OUT_OF_RANGE");
          CHECK(refused(int32_t(n), int32_t(n - 2)) == "NATIVE_VALUE_OUT_OF_RANGE");
        }
      }
    }
  }
}

void BadParamsAreRefused() {
  const auto code = [](const char* op, ParamObject param) { return CodeOf([&] { CreateOperation(op, param); }); };
  using Keys = std::vector<std::pair<const char*, Param>>;
  const ParamObject paged = {{"headNum", 4}, {"kvHeadNum", 2}};
  const ParamObject self = {{"headNum", 4}, {"calcType", "PA_ENCODER"}};
  const auto with = [](ParamObject param, const char* key, Param value) {
    param[key] = value;
    return param;
  };
  CHECK(code("PagedAttention", paged) == "nothing");
  CHECK(code("SelfAttention", self) == "nothing");
  CHECK(code("PagedAttention", {}) == "NATIVE_PARAM_INVALID");
  for (const auto& [key, value] : Keys{{"kvHeadNum", 3},
                                       {"headNum", 0},
                                       {"maskType", "MASK_TYPE_SPEC"},
                                       {"calcType", "CALC_TYPE_SPEC"},
                                       {"quantType", "TYPE_DEQUANT_FUSION"},
                                       {"scaleType", "SCALE_TYPE_LOGN"},
                                       {"mlaVHeadSize", 512},
                                       {"compressType", "COMPRESS_TYPE_KVHEAD"},
                                       {"hasQuantOffset", true},
                                       {"batchRunStatusEnable", true},
                                       {"inputLayout", "TYPE_BNSD"},
                                       {"windowSize", -1},
                                       {"chunkSize", -1},
                                       {"softcap", -1},
                                       {"slopes", std::vector<double>{1, 0.5, 0.25}},
                                       {"surprise", 1}}) {
    CHECK(code("PagedAttention", with(paged, key, value)) == "NATIVE_PARAM_INVALID");
  }
  // The masks of CALC_TYPE_SPEC are of all heads.
  CHECK(code("PagedAttention", with(with(paged, "calcType", "CALC_TYPE_SPEC"), "maskType", "MASK_TYPE_ALIBI")) ==
        "NATIVE_PARAM_INVALID");
  for (const auto& [key, value] : Keys{{"calcType", "DECODER"},
                                       {"maskType", "MASK_TYPE_ALIBI_COMPRESS"},
                                       {"isTriuMask", 1},
                                       {"qScale", 2},
                                       {"clampType", "CLAMP_TYPE_MIN_MAX"},
                                       {"kvcacheCfg", "K_BYPASS_V_BYPASS"},
                                       {"kernelType", 1}}) {
    CHECK(code("SelfAttention", with(self, key, value)) == "NATIVE_PARAM_INVALID");
  }
  CHECK(code("PagedAttention", with(with(paged, "kvHeadNum", 1), "mlaVHeadSize", 512)) == "nothing");
  CHECK(code("PagedAttention", with(with(paged, "kvHeadNum", 1), "mlaVHeadSize", 12)) == "NATIVE_PARAM_INVALID");
  CHECK(code("ReshapeAndCache", {{"kvCacheCfg", "K_CACHE_V_OTHER"}}) == "NATIVE_PARAM_INVALID");
}

void BadDataIsRefused() {
  ThreadPool pool(1);
  const Heads heads{2, 2, 16};
  Layer layer(heads, DType::kF32, kernels::Select(), pool);
  Prompt p(heads, DType::kF32, 4, 1);
  const auto paged = [&](std::vector<int32_t> table, int32_t context, int32_t queries) {
    return CodeOf([&] { layer.Paged(p.q, {table}, {context}, {queries}, true); });
  };
  layer.Write(p, {0, 1}, 0, 4);
  CHECK(paged({0, 1}, 4, 4) == "nothing");
  CHECK(paged({0, 1}, 129, 4) == "NATIVE_VALUE_OUT_OF_RANGE");  // Beyond the table.
  CHECK(paged({0, 1}, -1, 4) == "NATIVE_VALUE_OUT_OF_RANGE");
  CHECK(paged({64, 1}, 4, 4) == "NATIVE_VALUE_OUT_OF_RANGE");
  CHECK(paged({0, -1}, 65, 4) == "NATIVE_VALUE_OUT_OF_RANGE");
  CHECK(paged({0, -1}, 64, 4) == "nothing");                  // What is not used is not read.
  CHECK(paged({0, 1}, 3, 4) == "NATIVE_VALUE_OUT_OF_RANGE");  // More queries than keys.
  CHECK(paged({0, 1}, 4, 3) == "NATIVE_VALUE_OUT_OF_RANGE");  // A query of no sequence.
  CHECK(paged({0, 1}, 4, -4) == "NATIVE_VALUE_OUT_OF_RANGE");
  CHECK(CodeOf([&] { layer.Write(p, {64}, 0, 1); }) == "NATIVE_VALUE_OUT_OF_RANGE");
  Layer sunk(heads, DType::kF32, kernels::Select(), pool, KeysOf({.sinks = {1, 2, 3, 4}}));
  const auto with_sinks = [&](DType dtype, int64_t count) {
    sunk.sinks = Array(dtype, count);
    return CodeOf([&] { sunk.Prefill({&p}); });
  };
  CHECK(with_sinks(DType::kF32, 4) == "nothing");
  CHECK(with_sinks(DType::kF32, 2) == "NATIVE_SHAPE_MISMATCH");
  CHECK(with_sinks(DType::kBF16, 4) == "NATIVE_DTYPE_MISMATCH");

  const auto self = CreateOperation("SelfAttention", {{"headNum", 4}, {"kvHeadNum", 2}, {"calcType", "PA_ENCODER"}});
  const auto attend = [&](const Tensor& lengths, std::initializer_list<int64_t> q, std::initializer_list<int64_t> k) {
    Array out(DType::kF32, p.q.size());
    return CodeOf([&] {
      Run(*self, {Floats(p.q, q), Floats(p.k, k), Floats(p.v, {4, 2, 16}), lengths}, {Floats(out, q)},
          kernels::Select(), pool);
    });
  };
  const auto prefill = [&](std::vector<int32_t> lengths, std::initializer_list<int64_t> q,
                           std::initializer_list<int64_t> k) { return attend(Ints(lengths), q, k); };
  // Queries of each sequence, then keys.
  const auto cross = [&](std::vector<int32_t> lengths, int64_t rows, int64_t queries) {
    return attend(Ints(lengths, {rows, static_cast<int64_t>(lengths.size()) / rows}), {queries, 4, 16}, {4, 2, 16});
  };
  CHECK(prefill({4}, {4, 4, 16}, {4, 2, 16}) == "nothing");
  CHECK(prefill({1, 0, 3}, {4, 64}, {4, 32}) == "nothing");
  CHECK(prefill({3}, {4, 4, 16}, {4, 2, 16}) == "NATIVE_VALUE_OUT_OF_RANGE");
  CHECK(prefill({5}, {4, 4, 16}, {4, 2, 16}) == "NATIVE_VALUE_OUT_OF_RANGE");
  CHECK(prefill({5, -1}, {4, 4, 16}, {4, 2, 16}) == "NATIVE_VALUE_OUT_OF_RANGE");
  CHECK(prefill({4}, {4, 8, 8}, {4, 2, 16}) == "NATIVE_SHAPE_MISMATCH");
  CHECK(prefill({4}, {4, 4, 16}, {8, 2, 8}) == "NATIVE_SHAPE_MISMATCH");
  CHECK(prefill({4}, {4, 4, 16}, {2, 2, 32}) == "NATIVE_SHAPE_MISMATCH");
  CHECK(cross({1, 1, 4, 0}, 2, 2) == "nothing");
  CHECK(cross({1, 1, 4, 0}, 2, 3) == "NATIVE_VALUE_OUT_OF_RANGE");
  CHECK(cross({1, 1, 3, 0}, 2, 2) == "NATIVE_VALUE_OUT_OF_RANGE");
  CHECK(cross({1, 1, 5, -1}, 2, 2) == "NATIVE_VALUE_OUT_OF_RANGE");
  CHECK(cross({2, 4, 1}, 3, 2) == "NATIVE_SHAPE_MISMATCH");
  CHECK(prefill({2}, {2, 4, 16}, {4, 2, 16}) == "NATIVE_SHAPE_MISMATCH");
}

/// Sequences whose queries attend to other tokens, with more keys than a piece has: each as if it were alone.
void QueriesMayAttendToOtherTokens() {
  ThreadPool one(1), two(2);
  const Heads heads{2, 1, 72};
  for (DType dtype : kFloats) {
    const double tolerance = dtype == DType::kF32 ? 4e-6 : dtype == DType::kF16 ? 2e-3 : 2e-2;
    Prompt p(heads, dtype, 330, 3);
    const auto rows = [](Array& of, int64_t begin, int64_t end) { return of.Slice(begin * 144, end * 144); };
    const std::vector<std::array<int32_t, 2>> sizes = {{64, 270}, {9, 1}, {40, 59}};
    const ParamObject param = {
        {"headNum", 2}, {"kvHeadNum", 2}, {"qkScale", double(heads.scale())}, {"calcType", "PA_ENCODER"}};
    const auto self = CreateOperation("SelfAttention", param);
    for (const KernelTable* t : kernels::Available()) {
      Array together(dtype, 113 * 144), q = rows(p.q, 0, 113);
      std::vector<int32_t> lengths = {64, 9, 40, 270, 1, 59};
      Run(*self, {Floats(q, {113, 2, 72}), Floats(p.k, {330, 2, 72}), Floats(p.v, {330, 2, 72}), Ints(lengths, {2, 3})},
          {Floats(together, {113, 2, 72})}, *t, two);
      int64_t q_begin = 0, kv_begin = 0;
      for (const auto& [queries, keys] : sizes) {
        Array part = rows(p.q, q_begin, q_begin + queries), k = rows(p.k, kv_begin, kv_begin + keys),
              v = rows(p.v, kv_begin, kv_begin + keys), alone(dtype, part.size());
        std::vector<int32_t> own = {queries, keys};
        Run(*self,
            {Floats(part, {queries, 2, 72}), Floats(k, {keys, 2, 72}), Floats(v, {keys, 2, 72}), Ints(own, {2, 1})},
            {Floats(alone, {queries, 2, 72})}, *t, one);
        CHECK(SameBits(alone, rows(together, q_begin, q_begin + queries)));
        const auto expected = Textbook(heads, part, k, v, queries, keys, 0, {.causal = false});
        for (int64_t i = 0; i < alone.size(); ++i)
          CHECK(std::abs(alone[i] - expected[static_cast<size_t>(i)]) <= tolerance);
        q_begin += queries;
        kv_begin += keys;
      }
    }
  }
}

}  // namespace
}  // namespace atb::test

int main() {
  using namespace atb::test;
  RUN(PromptsMayBeCutAnywhere);
  RUN(BatchesEqualTheirSequencesAlone);
  RUN(SplittingKeysOverThreadsChangesNoBit);
  RUN(PaddedSequencesGiveZeros);
  RUN(SinksTakePartInEverySoftmax);
  RUN(QueriesMaySeeLaterKeys);
  RUN(BadParamsAreRefused);
  RUN(BadDataIsRefused);
  RUN(QueriesMayAttendToOtherTokens);
  return 0;
}
