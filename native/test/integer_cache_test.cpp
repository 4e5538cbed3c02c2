// Operations over a KV cache of integers: what they write and read, and that a token's bits depend neither on its
// company, nor on the chunks of its prompt, nor on threads.
#include "attention_layer.h"
#include "floats.h"

namespace atb::test {
namespace {

const std::vector<int32_t> kTable = {40, 3, 17, 63, 0, 9};

/// The numbers that the integers of these rows stand for, row by row, in f32.
Array Rounded(const Array& rows, int64_t head_dim) {
  Array wide(DType::kF32, rows.size());
  for (int64_t i = 0; i < rows.size(); ++i) wide.Set(i, rows[i]);
  std::vector<int8_t> integers(static_cast<size_t>(head_dim));
  for (int64_t i = 0; i < rows.size(); i += head_dim) PagedCache::ToIntegers(wide, i, integers);
  return wide;
}

/// The values that are parts of keys.
Array Prefixes(const Array& keys, const Heads& heads) {
  Array values(keys.dtype, keys.size() / heads.head_dim * heads.latent);
  for (int64_t i = 0; i < values.size(); ++i) values.Set(i, keys[i / heads.latent * heads.head_dim + i % heads.latent]);
  return values;
}

void RowsBecomeIntegersTimesAScale() {
  ThreadPool pool(2);
  for (const KernelTable* t : kernels::Available()) {
    for (DType dtype : kFloats) {
      for (int64_t head_dim : {8, 24, 64, 80}) {
        for (int64_t block_size : {32, 64, 96}) {
          const Heads heads{2, 1, head_dim};
          KvCache cache(SameCaches(1, 3, block_size, 2, head_dim, DType::kI8));
          std::memset(cache.Keys(0).data, 0xFF, cache.bytes());
          Prompt p(heads, dtype, 6, 5);
          for (int64_t d = 0; d < head_dim; ++d) p.k.Set((4 * 2 + 1) * head_dim + d, 0);  // A row of zeros.
          // Offset 3 of block 1 before its offset 0, a token that is not cached, and a slot written twice.
          const auto b = static_cast<int32_t>(block_size);
          std::vector<int32_t> slots = {b + 3, b, -1, b + 1, b + 2, b + 2};
          const std::initializer_list<int64_t> shape = {6, 2, head_dim};
          Run(*CreateOperation("ReshapeAndCache", {}),
              {Floats(p.k, shape), Floats(p.v, shape), cache.Keys(0), cache.Values(0), Ints(slots)},
              {cache.Keys(0), cache.Values(0)}, *t, pool);
          const int64_t token_of[] = {1, 3, 5, 0};
          for (bool values : {false, true}) {
            const Tensor stored = values ? cache.Values(0) : cache.Keys(0);
            const kernels::KvStore store{stored.data, DType::kI8, values, 3, block_size, 2, head_dim};
            const Array expected = Rounded(values ? p.v : p.k, head_dim);
            for (int64_t head = 0; head < 2; ++head) {
              std::vector<int8_t> back(static_cast<size_t>(block_size * head_dim));
              std::vector<float> scales(static_cast<size_t>(block_size));
              ReadIntegers(store, block_size, head, back.data(), head_dim, scales.data(), block_size);
              for (int64_t i = 0; i < block_size * head_dim; ++i) {
                const int64_t slot = i / head_dim;
                const float x = scales[static_cast<size_t>(slot)] * back[static_cast<size_t>(i)];
                CHECK(x == (slot < 4 ? expected[(token_of[slot] * 2 + head) * head_dim + i % head_dim] : 0));
              }
            }
          }
        }
      }
    }
  }
}

/// One prompt of 330 tokens, whole, in chunks, and token by token; and what it means.
void PromptsMayBeCutAnywhere() {
  ThreadPool one(1), two(2);
  for (DType dtype : kFloats) {
    for (const Heads heads : {Heads{2, 1, 32}, Heads{2, 4, 64}, Heads{1, 7, 80}, Heads{1, 20, 16}, Heads{1, 2, 192},
                              Heads{1, 20, 72, 64}, Heads{2, 3, 64, 0, 40}}) {
      for (const Sight& sight :
           {Sight{.causal = true}, Sight{.causal = true, .window = 70}, Sight{.causal = true, .chunk = 70},
            Sight{.causal = true, .softcap = 3, .slopes = Slopes(heads)}}) {
        // What is hidden does not depend on the dtype.
        if (dtype != DType::kBF16 && (sight.window > 0 || sight.chunk > 0)) continue;
        Prompt p(heads, dtype, 330, 7);
        const Array keys = Rounded(p.k, heads.head_dim);
        const Array values = heads.latent > 0 ? Prefixes(keys, heads) : Rounded(p.v, heads.value_dim());
        // What it means is looked at where sequences begin, and from behind the first chunk of attention's keys on.
        const auto textbook = [&](int64_t first, int64_t end) {
          const int64_t queries = heads.q_heads() * heads.head_dim;
          const Array q = p.q.Slice(first * queries, end * queries);
          return Textbook(heads, q, keys, values, end - first, end, first, sight);
        };
        const std::vector<double> of_first = textbook(0, 80), of_later = textbook(250, 300);
        for (const KernelTable* t : kernels::Available()) {
          // The reference computes row by row and is slow: one shape is enough.
          if (t == &kernels::Select("reference") && heads.head_dim != 32) continue;
          Layer layer(heads, dtype, DType::kI8, *t, one, KeysOf(sight)),
              threaded(heads, dtype, DType::kI8, *t, two, KeysOf(sight));
          layer.Write(p, kTable, 0, 330);
          const Array whole = layer.Paged(p.q, {kTable}, {330}, {330}, true);
          const auto check = [&](const std::vector<double>& expected, int64_t first) {
            // The output's rounding, and that of queries and weights to 16 bits.
            const double tolerance = dtype == DType::kBF16 ? 1.2e-2 : 2e-3;
            for (size_t i = 0; i < expected.size(); ++i) {
              const double found = whole[first * heads.q_heads() * heads.value_dim() + static_cast<int64_t>(i)];
              CHECK(std::abs(found - expected[i]) <= tolerance * std::max(1.0, std::abs(expected[i])));
            }
          };
          check(of_first, 0);
          check(of_later, 250);

          Array chunked(dtype, 0), decoded(dtype, 0);
          int64_t begin = 0;
          for (int64_t end : {1, 30, 65, 200, 256, 257, 330}) {
            threaded.Write(p, kTable, begin, end);
            Array q = p.q.Slice(begin * layer.QRow(), end * layer.QRow());
            const Array out = threaded.Paged(q, {kTable}, {int32_t(end)}, {int32_t(end - begin)}, true);
            chunked.bytes.insert(chunked.bytes.end(), out.bytes.begin(), out.bytes.end());
            begin = end;
          }
          CHECK(SameBits(whole, chunked));
          Layer stepped(heads, dtype, DType::kI8, *t, two, KeysOf(sight));
          for (int64_t i = 0; i < p.tokens; ++i) {
            stepped.Write(p, kTable, i, i + 1);
            Array q = p.q.Slice(i * layer.QRow(), (i + 1) * layer.QRow());
            const Array out = stepped.Paged(q, {kTable}, {int32_t(i + 1)}, {}, false);
            decoded.bytes.insert(decoded.bytes.end(), out.bytes.begin(), out.bytes.end());
          }
          CHECK(SameBits(whole, decoded));
        }
      }
    }
  }
}

void BatchesEqualTheirSequencesAlone() {
  ThreadPool one(1), many(7);
  const Heads heads{2, 3, 64};
  for (const KernelTable* t : kernels::Available()) {
    Layer alone(heads, DType::kBF16, DType::kI8, *t, one), together(heads, DType::kBF16, DType::kI8, *t, many);
    const std::vector<std::vector<int32_t>> tables = {
        {5}, {1, 2, 3, 4, 6}, {7}, {20, 19, 18, 17, 16, 15, 14, 13, 12, 11}};
    std::vector<int32_t> contexts;
    Array last(DType::kBF16, 0), expected(DType::kBF16, 0);
    for (int64_t n : {1, 300, 33, 600}) {
      const auto& table = tables[contexts.size()];
      Prompt p(heads, DType::kBF16, n, static_cast<uint64_t>(n));
      for (Layer* layer : {&alone, &together}) layer->Write(p, table, 0, n);
      contexts.push_back(static_cast<int32_t>(n));
      Array q = p.q.Slice((n - 1) * alone.QRow(), n * alone.QRow());
      last.bytes.insert(last.bytes.end(), q.bytes.begin(), q.bytes.end());
      const Array out = alone.Paged(q, {table}, {contexts.back()}, {}, false);
      expected.bytes.insert(expected.bytes.end(), out.bytes.begin(), out.bytes.end());
    }
    CHECK(SameBits(expected, together.Paged(last, tables, contexts, {}, false)));
  }
}

/// A key that is no number makes no number of whoever sees it, and of nobody else.
void BrokenRowsReachThoseWhoSeeThem() {
  ThreadPool pool(2);
  const Heads heads{2, 2, 32};
  for (const KernelTable* t : kernels::Available()) {
    for (bool values : {false, true}) {
      Layer clean(heads, DType::kBF16, DType::kI8, *t, pool), broken(heads, DType::kBF16, DType::kI8, *t, pool);
      Prompt p(heads, DType::kBF16, 20, 3);
      clean.Write(p, kTable, 0, 20);
      (values ? p.v : p.k).Set((9 * 2 + 1) * 32 + 4, INFINITY);  // Token 9, head 1.
      broken.Write(p, kTable, 0, 20);
      const Array before = clean.Paged(p.q, {kTable}, {20}, {20}, true);
      const Array after = broken.Paged(p.q, {kTable}, {20}, {20}, true);
      for (int64_t i = 0; i < after.size(); ++i) {
        const bool sees = i / clean.QRow() >= 9 && i / (2 * 32) % 2 == 1;
        CHECK(sees ? std::isnan(after[i]) : after[i] == before[i]);
      }
    }
  }
}

void CachesThatDoNotFitAreRefused() {
  ThreadPool pool(1);
  const KernelTable& kernels = kernels::Select("reference");
  Array rows(DType::kBF16, 2 * 16), q(DType::kBF16, 16), out(DType::kBF16, 16);
  std::vector<int32_t> slots = {0, 1}, table = {0}, context = {1};
  const KvCache cache(SameCaches(1, 1, 32, 1, 16, DType::kI8));
  const KvCache floats(SameCaches(1, 1, 32, 1, 16, DType::kBF16));
  const KvCache wide(SameCaches(1, 1, 32, 1, 16, DType::kF32));
  std::vector<int8_t> bytes(32 * 16);
  const Tensor plain{TensorDesc(DType::kI8, {1, 32, 1, 16}), bytes.data()};
  const auto write = [&](const Tensor& keys, const Tensor& values) {
    return CodeOf([&] {
      Run(*CreateOperation("ReshapeAndCache", {}),
          {Floats(rows, {2, 1, 16}), Floats(rows, {2, 1, 16}), keys, values, Ints(slots)}, {keys, values}, kernels,
          pool);
    });
  };
  const auto read = [&](const Tensor& keys, const Tensor& values) {
    return CodeOf([&] {
      Run(*CreateOperation("PagedAttention", {{"headNum", 1}, {"kvHeadNum", 1}, {"qkScale", 1}}),
          {Floats(q, {1, 1, 16}), keys, values, Ints(table, {1, 1}), Ints(context)}, {Floats(out, {1, 1, 16})}, kernels,
          pool);
    });
  };
  CHECK(write(cache.Keys(0), cache.Values(0)) == "nothing");
  CHECK(read(cache.Keys(0), cache.Values(0)) == "nothing");
  // Row-major integers would have no scales.
  CHECK(write(plain, plain) == "NATIVE_DTYPE_MISMATCH" && read(plain, plain) == "NATIVE_DTYPE_MISMATCH");
  CHECK(write(wide.Keys(0), wide.Values(0)) == "NATIVE_DTYPE_MISMATCH");
  CHECK(read(wide.Keys(0), wide.Values(0)) == "NATIVE_DTYPE_MISMATCH");
  CHECK(read(cache.Keys(0), floats.Values(0)) == "NATIVE_SHAPE_MISMATCH");
}

}  // namespace
}  // namespace atb::test

int main() {
  using namespace atb::test;
  RUN(RowsBecomeIntegersTimesAScale);
  RUN(PromptsMayBeCutAnywhere);
  RUN(BatchesEqualTheirSequencesAlone);
  RUN(BrokenRowsReachThoseWhoSeeThem);
  RUN(CachesThatDoNotFitAreRefused);
  return 0;
}
