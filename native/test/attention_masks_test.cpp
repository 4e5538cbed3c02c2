// Masks that are added to scores, in both phases of attention: what ATB's types of them mean, and their shapes.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "attention_layer.h"
#include "floats.h"

namespace atb::test {
namespace {

/// SelfAttention and PagedAttention against the textbook, with every kind of mask that they take.
void MasksMeanWhatAtbSays() {
  ThreadPool pool(2);
  const Heads heads{2, 2, 32};
  const int64_t n = 40, window = 9;
  for (DType dtype : kFloats) {
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

/// Latent attention of several tokens takes a row for each, which ATB's kernel multiplies in bf16.
void MasksOfLatentAttentionHaveARowForEachToken() {
  ThreadPool pool(2);
  const Heads heads{1, 5, 40, 24};
  const int64_t n = 300, first = 280;
  const std::vector<int32_t> table = {40, 3, 17, 63, 0};
  for (DType dtype : kFloats) {
    Prompt p(heads, dtype, n, 9);
    Array mask(dtype, (n - first) * n);
    for (int64_t i = 0; i < mask.size(); ++i) {
      const bool hidden = i % n > first + i / n;
      mask.Set(i, !hidden ? 0.0f : dtype == DType::kBF16 ? 1.0f : -INFINITY);
    }
    for (const KernelTable* t : kernels::Available()) {
      Layer layer(heads, dtype, *t, pool),
          masked(heads, dtype, *t, pool, {{"causal", false}, {"maskType", "MASK_TYPE_SPEC"}});
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

/// Masks of ALiBi, which each head has one of, in prefill and in decode of several sequences.
void AlibiMasksAreOfEachHead() {
  ThreadPool pool(2);
  const Heads heads{2, 2, 32};
  const int64_t n = 40;
  for (DType dtype : kFloats) {
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

}  // namespace
}  // namespace atb::test

int main() {
  using namespace atb::test;
  RUN(MasksMeanWhatAtbSays);
  RUN(MasksOfLatentAttentionHaveARowForEachToken);
  RUN(AlibiMasksAreOfEachHead);
  RUN(TriangleMeansCausalAtAnyLength);
  RUN(HighPrecisionScalesF16Masks);
}
