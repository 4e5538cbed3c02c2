// SelfAttention and PagedAttention: what they compute, what they refuse, and that a token's bits depend neither on its
// company, nor on the chunks of its prompt, nor on threads.
#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "attention_layer.h"

namespace atb::test {
namespace {

constexpr DType kDTypes[] = {DType::kF32, DType::kF16, DType::kBF16};

/// One prompt of 330 tokens: alone through SelfAttention, in chunks and token by token through PagedAttention.
void PromptsMayBeCutAnywhere() {
  ThreadPool one(1), two(2);
  for (DType dtype : kDTypes) {
    for (const Heads heads : {Heads{2, 1, 32}, Heads{2, 4, 64}, Heads{1, 7, 80}, Heads{1, 20, 16},
                              Heads{1, 5, 40, 24}, Heads{1, 20, 48, 32}, Heads{2, 4, 48, 0, 32},
                              Heads{1, 3, 24, 0, 40}}) {
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
  for (DType dtype : kDTypes) {
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
  for (DType dtype : kDTypes) {
    for (const KernelTable* t : kernels::Available()) {
      for (const ParamObject& keys :
           {ParamObject{}, KeysOf({.window = 700}), KeysOf({.chunk = 700}),
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
  for (const Heads heads : {Heads{2, 2, 32}, Heads{1, 20, 16}, Heads{1, 18, 48, 32},
                            Heads{2, 9, 48, 0, 24}, Heads{1, 2, 32, 0, 56}}) {
    Random random(5);
    Array sinks = Normal(random, DType::kF32, heads.q_heads(), 3);
    sinks.Set(0, 60);       // Far above every score: next to nothing comes out.
    sinks.Set(1, -1e30f);   // No sink at all.
    for (DType dtype : kDTypes) {
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
    for (DType dtype : kDTypes) {
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
          CHECK(refused(int32_t(n), int32_t(n - 1)) == "nothing thrown");
          CHECK(refused(int32_t(n - 1), int32_t(n - 1)) == "NATIVE_VALUE_OUT_OF_RANGE");
          CHECK(refused(int32_t(n + 1), int32_t(n - 1)) == "NATIVE_VALUE_OUT_OF_RANGE");
          CHECK(refused(int32_t(n), int32_t(n - 2)) == "NATIVE_VALUE_OUT_OF_RANGE");
        }
      }
    }
  }
}

/// SelfAttention and PagedAttention against the textbook, with every kind of mask that they take.
void MasksMeanWhatAtbSays() {
  ThreadPool pool(2);
  const Heads heads{2, 2, 32};
  const int64_t n = 40, window = 9;
  for (DType dtype : kDTypes) {
    const double tolerance = dtype == DType::kF32 ? 4e-6 : dtype == DType::kF16 ? 2e-3 : 2e-2;
    Prompt p(heads, dtype, n, 3);
    // What forbids attention to the kernels of the dtype: SelfAttention multiplies bf16 masks, PagedAttention adds any.
    Array mask(dtype, 2 * n * n), added(dtype, n * n);
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        const bool hidden = j > i || j <= i - window;
        mask.Set(i * n + j, !hidden ? 0.0f : dtype == DType::kBF16 ? 1.0f : -INFINITY);
        mask.Set((n + i) * n + j, mask[i * n + j]);
        added.Set(i * n + j, !hidden ? 0.0f : dtype == DType::kBF16 ? -10000.0f : -INFINITY);
      }
    }
    const auto expected = Textbook(heads, p.q, p.k, p.v, n, n, 0, {.causal = true, .window = window});
    const auto check = [&](const Array& out, int64_t first) {
      for (int64_t i = 0; i < out.size(); ++i)
        CHECK(std::abs(out[i] - expected[static_cast<size_t>(first * heads.q_heads() * heads.head_dim + i)]) <=
              tolerance);
    };
    ParamObject param = {
        {"headNum", 4}, {"kvHeadNum", 2}, {"qkScale", double(heads.scale())}, {"maskType", "MASK_TYPE_NORM"}};
    ParamObject encoder = param;
    encoder["calcType"] = "PA_ENCODER";
    const Tensor q = Floats(p.q, {n, 4, 32}), k = Floats(p.k, {n, 2, 32}), v = Floats(p.v, {n, 2, 32});
    std::vector<int32_t> lengths = {int32_t(n)};
    for (const KernelTable* t : kernels::Available()) {
      Array out(dtype, p.q.size());
      const Tensor result = Floats(out, {n, 4, 32});
      for (const Tensor& m : {Floats(mask, {n, n}), Floats(mask, {1, n, n})}) {
        Run(*CreateOperation("SelfAttention", encoder), {q, k, v, m, Ints(lengths)}, {result}, *t, pool);
        check(out, 0);
      }

      // Row-major caches of ATB's own layout, whose block size is anyone's choice.
      const int64_t block = 7;
      std::vector<int32_t> table = {6, 0, 5, 1, 4, 2};
      Array keys(dtype, 8 * block * 64), values(dtype, 8 * block * 64);
      std::memset(keys.data(), 0xFF, keys.bytes.size());
      std::memset(values.data(), 0xFF, values.bytes.size());
      const Tensor kc = Floats(keys, {8, block, 2, 32}), vc = Floats(values, {8, block, 2, 32});
      std::vector<int32_t> slots;
      for (int32_t j = 0; j < n; ++j)
        slots.push_back(table[static_cast<size_t>(j / block)] * int32_t(block) + j % int32_t(block));
      Run(*CreateOperation("ReshapeAndCache", {}), {k, v, kc, vc, Ints(slots)}, {kc, vc}, *t, pool);
      const Tensor tables = Ints(table, {1, 6});

      for (int64_t queries : {n, n - 3, int64_t{5}}) {
        std::vector<int32_t> q_lens = {int32_t(queries)};
        Array part = p.q.Slice((n - queries) * 4 * 32, n * 4 * 32), part_out(dtype, part.size());
        const Tensor pq = Floats(part, {queries, 4, 32}), pout = Floats(part_out, {queries, 4, 32});
        ParamObject spec = param;
        spec["calcType"] = "CALC_TYPE_SPEC";
        Run(*CreateOperation("PagedAttention", spec),
            {pq, kc, vc, tables, Ints(lengths), Floats(added, {n, n}), Ints(q_lens)}, {pout}, *t, pool);
        check(part_out, n - queries);
        spec["maskType"] = "MASK_TYPE_SPEC";
        Array rows = added.Slice((n - queries) * n, n * n);
        Run(*CreateOperation("PagedAttention", spec),
            {pq, kc, vc, tables, Ints(lengths), Floats(rows, {queries, n}), Ints(q_lens)}, {pout}, *t, pool);
        check(part_out, n - queries);
      }
      // Decode: one row of the mask, for all or for each.
      Array last = p.q.Slice((n - 1) * 4 * 32, n * 4 * 32), last_out(dtype, 4 * 32);
      Array row = added.Slice((n - 1) * n, n * n);
      for (const Tensor& m : {Floats(row, {1, n}), Floats(row, {1, 1, n})}) {
        Run(*CreateOperation("PagedAttention", param), {Floats(last, {1, 4, 32}), kc, vc, tables, Ints(lengths), m},
            {Floats(last_out, {1, 4, 32})}, *t, pool);
        check(last_out, n - 1);
      }
    }
  }
}

/// Masks of ALiBi, which each head has one of, in prefill and in decode of several sequences.
/// Latent attention of several tokens takes a row for each, which ATB's kernel multiplies in bf16.
void MasksOfLatentAttentionHaveARowForEachToken() {
  ThreadPool pool(2);
  const Heads heads{1, 5, 40, 24};
  const int64_t n = 300, first = 280;
  const std::vector<int32_t> table = {40, 3, 17, 63, 0};
  for (DType dtype : kDTypes) {
    Prompt p(heads, dtype, n, 9);
    Array mask(dtype, (n - first) * n);
    for (int64_t i = 0; i < mask.size(); ++i) {
      const bool hidden = i % n > first + i / n;
      mask.Set(i, !hidden ? 0.0f : dtype == DType::kBF16 ? 1.0f : -INFINITY);
    }
    for (const KernelTable* t : kernels::Available()) {
      Layer layer(heads, dtype, *t, pool), masked(heads, dtype, *t, pool, {{"causal", false}, {"maskType", "MASK_TYPE_SPEC"}});
      Array q = p.q.Slice(first * layer.QRow(), n * layer.QRow());
      masked.mask = &mask;
      for (Layer* own : {&layer, &masked}) own->Write(p, table, 0, n);
      const auto rows = [&](Layer& own) { return own.Paged(q, {table}, {int32_t(n)}, {int32_t(n - first)}, true); };
      const Array expected = rows(layer), found = rows(masked);
      // A mask that is added takes another rounding.
      const double tolerance = dtype == DType::kF32 ? 4e-6 : dtype == DType::kF16 ? 2e-3 : 2e-2;
      for (int64_t i = 0; i < found.size(); ++i) CHECK(std::abs(found[i] - expected[i]) <= tolerance);
    }
  }
}

void AlibiMasksAreOfEachHead() {
  ThreadPool pool(2);
  const Heads heads{2, 2, 32};
  const int64_t n = 40;
  for (DType dtype : kDTypes) {
    const double tolerance = dtype == DType::kF32 ? 4e-6 : dtype == DType::kF16 ? 2e-3 : 2e-2;
    Prompt p(heads, dtype, n, 3);
    // Numbers that every dtype has.
    const std::vector<float> slopes = {0.5f, 0.25f, 0.125f, 0.0625f};
    const auto expected = Textbook(heads, p.q, p.k, p.v, n, n, 0, {.causal = true, .slopes = slopes});
    Array mask(dtype, 4 * n * n);
    for (int64_t i = 0; i < 4 * n * n; ++i) {
      const int64_t query = i / n % n, key = i % n;
      mask.Set(i, key > query ? -10000.0f : slopes[static_cast<size_t>(i / (n * n))] * static_cast<float>(key - query));
    }
    const ParamObject param = {
        {"headNum", 4}, {"kvHeadNum", 2}, {"qkScale", double(heads.scale())}, {"maskType", "MASK_TYPE_ALIBI"}};
    ParamObject encoder = param;
    encoder["calcType"] = "PA_ENCODER";
    const Tensor q = Floats(p.q, {n, 4, 32}), k = Floats(p.k, {n, 2, 32}), v = Floats(p.v, {n, 2, 32});
    std::vector<int32_t> lengths = {int32_t(n)};
    for (const KernelTable* t : kernels::Available()) {
      const auto check = [&](const Array& out, std::vector<int64_t> tokens) {
        for (int64_t i = 0; i < out.size(); ++i) {
          const int64_t at = tokens[static_cast<size_t>(i / 128)] * 128 + i % 128;
          CHECK(std::abs(out[i] - expected[static_cast<size_t>(at)]) <= tolerance);
        }
      };
      std::vector<int64_t> all(static_cast<size_t>(n));
      std::iota(all.begin(), all.end(), 0);
      Array out(dtype, p.q.size());
      for (const Tensor& m : {Floats(mask, {4, n, n}), Floats(mask, {1, 4, n, n})}) {
        Run(*CreateOperation("SelfAttention", encoder), {q, k, v, m, Ints(lengths)}, {Floats(out, {n, 4, 32})}, *t,
            pool);
        check(out, all);
      }

      // Three contexts of the same tokens, the last of each being its query: one row of the mask for each and each
      // head.
      std::vector<int32_t> slots(static_cast<size_t>(n)), contexts = {7, 40, 33}, tables = {1, 1, 1};
      std::iota(slots.begin(), slots.end(), 48);
      Array keys(dtype, 2 * 48 * 64), values(dtype, 2 * 48 * 64);
      const Tensor kc = Floats(keys, {2, 48, 2, 32}), vc = Floats(values, {2, 48, 2, 32});
      Run(*CreateOperation("ReshapeAndCache", {}), {k, v, kc, vc, Ints(slots)}, {kc, vc}, *t, pool);
      Array last(dtype, 3 * 128), rows(dtype, 3 * 4 * n), last_out(dtype, 3 * 128);
      for (int64_t i = 0; i < 3; ++i) {
        const int64_t token = contexts[static_cast<size_t>(i)] - 1;
        for (int64_t d = 0; d < 128; ++d) last.Set(i * 128 + d, p.q[token * 128 + d]);
        for (int64_t j = 0; j < 4 * n; ++j) rows.Set(i * 4 * n + j, mask[(j / n * n + token) * n + j % n]);
      }
      Run(*CreateOperation("PagedAttention", param),
          {Floats(last, {3, 4, 32}), kc, vc, Ints(tables, {3, 1}), Ints(contexts), Floats(rows, {3, 4, 1, n})},
          {Floats(last_out, {3, 4, 32})}, *t, pool);
      check(last_out, {6, 39, 32});
      // One for all of the same length.
      Array second = last.Slice(128, 256), second_row = rows.Slice(4 * n, 8 * n), second_out(dtype, 128);
      std::vector<int32_t> one_table = {1};
      for (const Tensor& m : {Floats(second_row, {4, 1, n}), Floats(second_row, {1, 4, 1, n})}) {
        Run(*CreateOperation("PagedAttention", param),
            {Floats(second, {1, 4, 32}), kc, vc, Ints(one_table, {1, 1}), Ints(lengths), m},
            {Floats(second_out, {1, 4, 32})}, *t, pool);
        check(second_out, {39});
      }
      CHECK(CodeOf([&] {
              Run(*CreateOperation("PagedAttention", param),
                  {Floats(last, {3, 4, 32}), kc, vc, Ints(tables, {3, 1}), Ints(contexts), Floats(rows, {3, 2, 2, n})},
                  {Floats(last_out, {3, 4, 32})}, *t, pool);
            }) == "NATIVE_SHAPE_MISMATCH");
      CHECK(CodeOf([&] {
              Run(*CreateOperation("SelfAttention", encoder), {q, k, v, Floats(mask, {2, 2 * n, n}), Ints(lengths)},
                  {Floats(out, {n, 4, 32})}, *t, pool);
            }) == "NATIVE_SHAPE_MISMATCH");
    }
  }
}

void TriangleMeansCausalAtAnyLength() {
  ThreadPool pool(1);
  const Heads heads{1, 2, 16};
  Prompt p(heads, DType::kBF16, 150, 3);
  Array triangle(DType::kBF16, 128 * 128);
  std::vector<int32_t> lengths = {150};
  const auto op = CreateOperation("SelfAttention", {{"headNum", 2},
                                                    {"kvHeadNum", 1},
                                                    {"qkScale", 0.25},
                                                    {"calcType", "PA_ENCODER"},
                                                    {"maskType", "MASK_TYPE_NORM"},
                                                    {"isTriuMask", 1}});
  for (const KernelTable* t : kernels::Available()) {
    Array out(DType::kBF16, p.q.size());
    Run(*op,
        {Floats(p.q, {150, 32}), Floats(p.k, {150, 16}), Floats(p.v, {150, 16}), Floats(triangle, {128, 128}),
         Ints(lengths)},
        {Floats(out, {150, 32})}, *t, pool);
    Layer layer(heads, DType::kBF16, *t, pool);
    CHECK(SameBits(out, layer.Prefill({&p})));
  }
}

void HighPrecisionScalesF16Masks() {
  ThreadPool pool(1);
  const Heads heads{1, 1, 16};
  Prompt p(heads, DType::kF16, 2, 3);
  Array mask(DType::kF16, 4);
  mask.Set(1, 1.0f);
  std::vector<int32_t> lengths = {2};
  ParamObject param = {{"headNum", 1}, {"qkScale", 0.25}, {"calcType", "PA_ENCODER"}, {"maskType", "MASK_TYPE_NORM"}};
  for (const char* kernel : {"KERNELTYPE_DEFAULT", "KERNELTYPE_HIGH_PRECISION"}) {
    param["kernelType"] = kernel;
    Array out(DType::kF16, p.q.size());
    Run(*CreateOperation("SelfAttention", param),
        {Floats(p.q, {2, 1, 16}), Floats(p.k, {2, 1, 16}), Floats(p.v, {2, 1, 16}), Floats(mask, {2, 2}),
         Ints(lengths)},
        {Floats(out, {2, 1, 16})}, kernels::Select(), pool);
    const bool first_only = std::memcmp(out.data(), p.v.data(), 32) == 0;
    CHECK(first_only == (param["kernelType"].value() == Param("KERNELTYPE_HIGH_PRECISION").value()));
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
  CHECK(code("PagedAttention", paged) == "nothing thrown");
  CHECK(code("SelfAttention", self) == "nothing thrown");
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
  CHECK(code("PagedAttention", with(with(paged, "kvHeadNum", 1), "mlaVHeadSize", 512)) == "nothing thrown");
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
  CHECK(paged({0, 1}, 4, 4) == "nothing thrown");
  CHECK(paged({0, 1}, 129, 4) == "NATIVE_VALUE_OUT_OF_RANGE");  // Beyond the table.
  CHECK(paged({0, 1}, -1, 4) == "NATIVE_VALUE_OUT_OF_RANGE");
  CHECK(paged({64, 1}, 4, 4) == "NATIVE_VALUE_OUT_OF_RANGE");
  CHECK(paged({0, -1}, 65, 4) == "NATIVE_VALUE_OUT_OF_RANGE");
  CHECK(paged({0, -1}, 64, 4) == "nothing thrown");           // What is not used is not read.
  CHECK(paged({0, 1}, 3, 4) == "NATIVE_VALUE_OUT_OF_RANGE");  // More queries than keys.
  CHECK(paged({0, 1}, 4, 3) == "NATIVE_VALUE_OUT_OF_RANGE");  // A query of no sequence.
  CHECK(paged({0, 1}, 4, -4) == "NATIVE_VALUE_OUT_OF_RANGE");
  CHECK(CodeOf([&] { layer.Write(p, {64}, 0, 1); }) == "NATIVE_VALUE_OUT_OF_RANGE");
  Layer sunk(heads, DType::kF32, kernels::Select(), pool, KeysOf({.sinks = {1, 2, 3, 4}}));
  const auto with_sinks = [&](DType dtype, int64_t count) {
    sunk.sinks = Array(dtype, count);
    return CodeOf([&] { sunk.Prefill({&p}); });
  };
  CHECK(with_sinks(DType::kF32, 4) == "nothing thrown");
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
  CHECK(prefill({4}, {4, 4, 16}, {4, 2, 16}) == "nothing thrown");
  CHECK(prefill({1, 0, 3}, {4, 64}, {4, 32}) == "nothing thrown");
  CHECK(prefill({3}, {4, 4, 16}, {4, 2, 16}) == "NATIVE_VALUE_OUT_OF_RANGE");
  CHECK(prefill({5}, {4, 4, 16}, {4, 2, 16}) == "NATIVE_VALUE_OUT_OF_RANGE");
  CHECK(prefill({5, -1}, {4, 4, 16}, {4, 2, 16}) == "NATIVE_VALUE_OUT_OF_RANGE");
  CHECK(prefill({4}, {4, 8, 8}, {4, 2, 16}) == "NATIVE_SHAPE_MISMATCH");
  CHECK(prefill({4}, {4, 4, 16}, {8, 2, 8}) == "NATIVE_SHAPE_MISMATCH");
  CHECK(prefill({4}, {4, 4, 16}, {2, 2, 32}) == "NATIVE_SHAPE_MISMATCH");
  CHECK(cross({1, 1, 4, 0}, 2, 2) == "nothing thrown");
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
  for (DType dtype : kDTypes) {
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
  RUN(MasksMeanWhatAtbSays);
  RUN(MasksOfLatentAttentionHaveARowForEachToken);
  RUN(AlibiMasksAreOfEachHead);
  RUN(TriangleMeansCausalAtAnyLength);
  RUN(HighPrecisionScalesF16Masks);
  RUN(BadParamsAreRefused);
  RUN(BadDataIsRefused);
  RUN(QueriesMayAttendToOtherTokens);
  return 0;
}
