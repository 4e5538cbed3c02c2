// ReshapeAndCache, SelfAttention and PagedAttention: what they compute, what they refuse, and that a token's bits depend
// neither on its company, nor on the chunks of its prompt, nor on threads.
#include <algorithm>
#include <functional>
#include <string>

#include "attention_fixture.h"
#include "base/error.h"
#include "cache/kv_cache.h"
#include "check.h"
#include "ops/operation.h"

namespace atb::test {
namespace {

using kernels::KernelTable;

constexpr DType kDTypes[] = {DType::kF32, DType::kF16, DType::kBF16};

/// Runs one operation as an engine does, on a workspace full of NaN.
void Run(const Operation& op, std::vector<Tensor> in, std::vector<Tensor> out, const KernelTable& kernels, ThreadPool& pool) {
  std::vector<TensorDesc> descs, results(out.size());
  for (const Tensor& t : in) descs.push_back(t.desc);
  CHECK(op.NumInputs() == static_cast<int>(in.size()) && op.NumOutputs() == static_cast<int>(out.size()));
  op.InferShape(descs, results);
  for (size_t i = 0; i < out.size(); ++i) {
    CHECK(results[i].SameShape(out[i].desc) && results[i].dtype == out[i].desc.dtype);
    CHECK(results[i].layout == out[i].desc.layout);
  }
  const size_t bytes = op.WorkspaceBytes(descs, pool.threads(), kernels);
  std::vector<std::byte> workspace(bytes + 128, std::byte{0xFF});
  std::byte* aligned = workspace.data() + (64 - reinterpret_cast<uintptr_t>(workspace.data()) % 64) % 64;
  std::fill_n(aligned + bytes, 64, std::byte{0xA5});
  op.Validate(in);
  op.Execute(in, out, {kernels, pool, aligned});
  for (size_t i = 0; i < 64; ++i) CHECK(aligned[bytes + i] == std::byte{0xA5});  // It stayed inside its workspace.
}

std::string CodeOf(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.code();
  }
  return "nothing thrown";
}

Tensor Floats(Array& a, std::initializer_list<int64_t> shape) { return {TensorDesc(a.dtype, shape), a.data()}; }
Tensor Ints(std::vector<int32_t>& v, std::initializer_list<int64_t> shape) { return {TensorDesc(DType::kI32, shape), v.data()}; }
Tensor Ints(std::vector<int32_t>& v) { return Ints(v, {static_cast<int64_t>(v.size())}); }

/// A whole prompt's queries, keys and values.
struct Prompt {
  int64_t tokens;
  Array q, k, v;
  Prompt(const Heads& h, DType dtype, int64_t n, uint64_t seed)
      : tokens(n), q(dtype, 0), k(dtype, 0), v(dtype, 0) {
    Random random(seed);
    q = Normal(random, dtype, n * h.q_heads() * h.head_dim, 1.5f);
    k = Normal(random, dtype, n * h.kv_heads * h.head_dim, 1.2f);
    v = Normal(random, dtype, n * h.kv_heads * h.head_dim);
  }
};

/// A model's attention layer: a cache, and the two phases over it.
class Layer {
 public:
  Layer(const Heads& heads, DType dtype, const KernelTable& kernels, ThreadPool& pool, int64_t window = 0)
      : heads_(heads), dtype_(dtype), kernels_(kernels), pool_(pool), cache_({1, kBlocks, kBlockSize, heads.kv_heads, heads.head_dim, dtype}) {
    // What earlier sequences may have left.
    for (const Tensor& t : {cache_.Keys(0), cache_.Values(0)}) {
      std::memset(t.data, 0xFF, static_cast<size_t>(kBlocks * kBlockSize * heads.kv_heads * heads.head_dim) * SizeOf(dtype));
    }
    ParamObject param = {{"headNum", double(heads.q_heads())}, {"kvHeadNum", double(heads.kv_heads)},
                         {"qkScale", double(heads.scale())}, {"causal", true}, {"windowSize", double(window)}};
    decode_ = CreateOperation("PagedAttention", param);
    ParamObject spec = param;
    spec["calcType"] = "CALC_TYPE_SPEC";
    split_fuse_ = CreateOperation("PagedAttention", spec);
    ParamObject prefill = param;
    prefill["calcType"] = "PA_ENCODER";
    prefill_ = CreateOperation("SelfAttention", prefill);
    write_ = CreateOperation("ReshapeAndCache", {});
  }

  static constexpr int64_t kBlockSize = 64;
  static constexpr int64_t kBlocks = 64;

  /// Writes keys and values of positions [begin, end) of a prompt through its table.
  void Write(Prompt& p, const std::vector<int32_t>& table, int64_t begin, int64_t end) {
    std::vector<int32_t> slots;
    for (int64_t j = begin; j < end; ++j)
      slots.push_back(static_cast<int32_t>(table[static_cast<size_t>(j / kBlockSize)] * kBlockSize + j % kBlockSize));
    Array k = p.k.Slice(begin * KvRow(), end * KvRow());
    Array v = p.v.Slice(begin * KvRow(), end * KvRow());
    const std::initializer_list<int64_t> shape = {end - begin, heads_.kv_heads, heads_.head_dim};
    Run(*write_, {Floats(k, shape), Floats(v, shape), cache_.Keys(0), cache_.Values(0), Ints(slots)},
        {cache_.Keys(0), cache_.Values(0)}, kernels_, pool_);
  }

  /// Queries [q_len of each, packed] against the cache; all of them the last tokens of their contexts.
  Array Paged(Array& q, std::vector<std::vector<int32_t>> tables, std::vector<int32_t> contexts, std::vector<int32_t> q_lens,
              bool spec) {
    size_t width = 1;
    for (const auto& t : tables) width = std::max(width, t.size());
    std::vector<int32_t> flat;
    for (auto& t : tables) {
      t.resize(width, -1);
      flat.insert(flat.end(), t.begin(), t.end());
    }
    const int64_t tokens = q.size() / (heads_.q_heads() * heads_.head_dim);
    Array out(dtype_, q.size());
    const auto shape = {tokens, heads_.q_heads(), heads_.head_dim};
    std::vector<Tensor> in = {Floats(q, shape), cache_.Keys(0), cache_.Values(0),
                              Ints(flat, {static_cast<int64_t>(tables.size()), static_cast<int64_t>(width)}), Ints(contexts)};
    if (spec) in.push_back(Ints(q_lens));
    Run(spec ? *split_fuse_ : *decode_, in, {Floats(out, shape)}, kernels_, pool_);
    return out;
  }

  /// Packed prompts against themselves.
  Array Prefill(std::vector<Prompt*> prompts) {
    Array q(dtype_, 0), k(dtype_, 0), v(dtype_, 0);
    std::vector<int32_t> lengths;
    for (Prompt* p : prompts) {
      q.bytes.insert(q.bytes.end(), p->q.bytes.begin(), p->q.bytes.end());
      k.bytes.insert(k.bytes.end(), p->k.bytes.begin(), p->k.bytes.end());
      v.bytes.insert(v.bytes.end(), p->v.bytes.begin(), p->v.bytes.end());
      lengths.push_back(static_cast<int32_t>(p->tokens));
    }
    const int64_t tokens = k.size() / KvRow();
    Array out(dtype_, q.size());
    const int64_t row = heads_.q_heads() * heads_.head_dim;
    Run(*prefill_, {Floats(q, {tokens, row}), Floats(k, {tokens, KvRow()}), Floats(v, {tokens, KvRow()}), Ints(lengths)},
        {Floats(out, {tokens, row})}, kernels_, pool_);
    return out;
  }

  int64_t KvRow() const { return heads_.kv_heads * heads_.head_dim; }
  int64_t QRow() const { return heads_.q_heads() * heads_.head_dim; }

 private:
  Heads heads_;
  DType dtype_;
  const KernelTable& kernels_;
  ThreadPool& pool_;
  KvCache cache_;
  std::unique_ptr<Operation> decode_, split_fuse_, prefill_, write_;
};

std::vector<int32_t> TableFrom(std::initializer_list<int32_t> blocks) { return blocks; }
bool SameBits(const Array& a, const Array& b) { return a.bytes == b.bytes; }

/// One prompt of 330 tokens: alone through SelfAttention, in chunks and token by token through PagedAttention.
void PromptsMayBeCutAnywhere() {
  ThreadPool one(1), two(2);
  for (DType dtype : kDTypes) {
    for (const Heads heads : {Heads{2, 1, 32}, Heads{2, 4, 64}, Heads{1, 7, 80}, Heads{1, 20, 16}}) {
      for (int64_t window : {0, 70}) {
        Prompt p(heads, dtype, 330, 7);
        const auto table = TableFrom({40, 3, 17, 63, 0, 9});
        for (const KernelTable* t : kernels::Available()) {
          // The reference computes row by row and is slow: one shape is enough.
          if (t == &kernels::Select("reference") && heads.head_dim != 32) continue;
          Layer layer(heads, dtype, *t, one, window);
          const Array whole = layer.Prefill({&p});
          Layer threaded(heads, dtype, *t, two, window);
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

void BatchesEqualTheirSequencesAlone() {
  ThreadPool one(1), three(3);
  const Heads heads{2, 2, 32};
  for (DType dtype : kDTypes) {
    for (const KernelTable* t : kernels::Available()) {
      std::vector<Prompt> prompts;
      for (int64_t n : {1, 300, 33, 64, 600}) prompts.emplace_back(heads, dtype, n, static_cast<uint64_t>(n));
      std::vector<std::vector<int32_t>> tables = {{5}, {1, 2, 3, 4, 6}, {7}, {60}, {20, 19, 18, 17, 16, 15, 14, 13, 12, 11}};
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

/// Batch 1 with more threads than heads: pieces of the keys go to several threads.
void SplittingKeysOverThreadsChangesNoBit() {
  ThreadPool one(1), two(2), many(7);
  const Heads heads{1, 3, 64};
  for (DType dtype : kDTypes) {
    for (const KernelTable* t : kernels::Available()) {
      for (int64_t window : {0, 700}) {
        for (int64_t n : {1, 255, 257, 2000, 2049}) {
          Prompt p(heads, dtype, n, 11);
          std::vector<int32_t> table(static_cast<size_t>((n + 63) / 64));
          std::iota(table.rbegin(), table.rend(), 0);
          Array q = p.q.Slice((n - 1) * 3 * 64, n * 3 * 64);
          Layer first(heads, dtype, *t, one, window), second(heads, dtype, *t, two, window), third(heads, dtype, *t, many, window);
          for (Layer* layer : {&first, &second, &third}) layer->Write(p, table, 0, n);
          const Array expected = first.Paged(q, {table}, {int32_t(n)}, {}, false);
          CHECK(SameBits(expected, second.Paged(q, {table}, {int32_t(n)}, {}, false)));
          CHECK(SameBits(expected, third.Paged(q, {table}, {int32_t(n)}, {}, false)));
        }
      }
    }
  }
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

/// SelfAttention and PagedAttention against the textbook, with every kind of mask that they take.
void MasksMeanWhatAtbSays() {
  ThreadPool pool(2);
  const Heads heads{2, 2, 32};
  const int64_t n = 40, window = 9;
  for (DType dtype : kDTypes) {
    const double tolerance = dtype == DType::kF32 ? 4e-6 : dtype == DType::kF16 ? 2e-3 : 2e-2;
    Prompt p(heads, dtype, n, 3);
    // 1 or -inf where attention is forbidden: what the kernels of the dtype take.
    Array mask(dtype, 2 * n * n);
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        const bool hidden = j > i || j <= i - window;
        mask.Set(i * n + j, !hidden ? 0.0f : dtype == DType::kBF16 ? 1.0f : -INFINITY);
        mask.Set((n + i) * n + j, mask[i * n + j]);
      }
    }
    const auto expected = Textbook(heads, p.q, p.k, p.v, n, n, 0, {.causal = true, .window = window});
    const auto check = [&](const Array& out, int64_t first) {
      for (int64_t i = 0; i < out.size(); ++i)
        CHECK(std::abs(out[i] - expected[static_cast<size_t>(first * heads.q_heads() * heads.head_dim + i)]) <= tolerance);
    };
    ParamObject param = {{"headNum", 4}, {"kvHeadNum", 2}, {"qkScale", double(heads.scale())}, {"maskType", "MASK_TYPE_NORM"}};
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
      for (int32_t j = 0; j < n; ++j) slots.push_back(table[static_cast<size_t>(j / block)] * int32_t(block) + j % int32_t(block));
      Run(*CreateOperation("ReshapeAndCache", {}), {k, v, kc, vc, Ints(slots)}, {kc, vc}, *t, pool);
      const Tensor tables = Ints(table, {1, 6});

      for (int64_t queries : {n, n - 3, int64_t{5}}) {
        std::vector<int32_t> q_lens = {int32_t(queries)};
        Array part = p.q.Slice((n - queries) * 4 * 32, n * 4 * 32), part_out(dtype, part.size());
        const Tensor pq = Floats(part, {queries, 4, 32}), pout = Floats(part_out, {queries, 4, 32});
        ParamObject spec = param;
        spec["calcType"] = "CALC_TYPE_SPEC";
        Run(*CreateOperation("PagedAttention", spec), {pq, kc, vc, tables, Ints(lengths), Floats(mask, {n, n}), Ints(q_lens)},
            {pout}, *t, pool);
        check(part_out, n - queries);
        spec["maskType"] = "MASK_TYPE_SPEC";
        Array rows = mask.Slice((n - queries) * n, n * n);
        Run(*CreateOperation("PagedAttention", spec),
            {pq, kc, vc, tables, Ints(lengths), Floats(rows, {queries, n}), Ints(q_lens)}, {pout}, *t, pool);
        check(part_out, n - queries);
      }
      // Decode: one row of the mask, for all or for each.
      Array last = p.q.Slice((n - 1) * 4 * 32, n * 4 * 32), last_out(dtype, 4 * 32);
      Array row = mask.Slice((n - 1) * n, n * n);
      for (const Tensor& m : {Floats(row, {1, n}), Floats(row, {1, 1, n})}) {
        Run(*CreateOperation("PagedAttention", param), {Floats(last, {1, 4, 32}), kc, vc, tables, Ints(lengths), m},
            {Floats(last_out, {1, 4, 32})}, *t, pool);
        check(last_out, n - 1);
      }
    }
  }
}

void TriangleMeansCausalAtAnyLength() {
  ThreadPool pool(1);
  const Heads heads{1, 2, 16};
  Prompt p(heads, DType::kBF16, 150, 3);
  Array triangle(DType::kBF16, 128 * 128);
  std::vector<int32_t> lengths = {150};
  const auto op = CreateOperation("SelfAttention", {{"headNum", 2}, {"kvHeadNum", 1}, {"qkScale", 0.25}, {"calcType", "PA_ENCODER"},
                                                    {"maskType", "MASK_TYPE_NORM"}, {"isTriuMask", 1}});
  for (const KernelTable* t : kernels::Available()) {
    Array out(DType::kBF16, p.q.size());
    Run(*op, {Floats(p.q, {150, 32}), Floats(p.k, {150, 16}), Floats(p.v, {150, 16}), Floats(triangle, {128, 128}), Ints(lengths)},
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
        {Floats(p.q, {2, 1, 16}), Floats(p.k, {2, 1, 16}), Floats(p.v, {2, 1, 16}), Floats(mask, {2, 2}), Ints(lengths)},
        {Floats(out, {2, 1, 16})}, kernels::Select(), pool);
    const bool first_only = std::memcmp(out.data(), p.v.data(), 32) == 0;
    CHECK(first_only == (param["kernelType"].value() == Param("KERNELTYPE_HIGH_PRECISION").value()));
  }
}

void WritesOutOfOrderKeepTheirSlots() {
  ThreadPool pool(2);
  for (DType dtype : kDTypes) {
    const Heads heads{2, 1, 24};
    KvCache cache({1, 3, 32, 2, 24, dtype});
    for (const Tensor& t : {cache.Keys(0), cache.Values(0)}) std::memset(t.data, 0xFF, 3 * 32 * 2 * 24 * SizeOf(dtype));
    Prompt p(heads, dtype, 6, 5);
    // Offset 3 of block 1 before its offset 0, a token that is not cached, and a slot written twice.
    std::vector<int32_t> slots = {35, 32, -1, 33, 34, 34};
    Run(*CreateOperation("ReshapeAndCache", {}),
        {Floats(p.k, {6, 2, 24}), Floats(p.v, {6, 2, 24}), cache.Keys(0), cache.Values(0), Ints(slots)},
        {cache.Keys(0), cache.Values(0)}, kernels::Select(), pool);
    const int64_t token_of[] = {1, 3, 5, 0};
    for (bool values : {false, true}) {
      const kernels::KvStore store{(values ? cache.Values(0) : cache.Keys(0)).data, dtype, values, 3, 32, 2, 24};
      Array& rows = values ? p.v : p.k;
      for (int64_t head = 0; head < 2; ++head) {
        Array back(dtype, 32 * 24);
        kernels::ReadSlots(store, 32, head, back.data(), 24, 32);
        for (int64_t i = 0; i < 32 * 24; ++i) {
          const int64_t slot = i / 24;
          CHECK(back[i] == (slot < 4 ? rows[(token_of[slot] * 2 + head) * 24 + i % 24] : 0));
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
  CHECK(code("PagedAttention", paged) == "nothing thrown");
  CHECK(code("SelfAttention", self) == "nothing thrown");
  CHECK(code("PagedAttention", {}) == "NATIVE_PARAM_INVALID");
  for (const auto& [key, value] : Keys{{"kvHeadNum", 3}, {"headNum", 0}, {"maskType", "MASK_TYPE_ALIBI"}, {"maskType", "MASK_TYPE_SPEC"},
                                             {"calcType", "CALC_TYPE_SPEC"}, {"quantType", "TYPE_DEQUANT_FUSION"}, {"scaleType", "SCALE_TYPE_LOGN"},
                                             {"mlaVHeadSize", 512}, {"compressType", "COMPRESS_TYPE_KVHEAD"}, {"hasQuantOffset", true},
                                             {"batchRunStatusEnable", true}, {"inputLayout", "TYPE_BNSD"}, {"windowSize", -1}, {"surprise", 1}}) {
    CHECK(code("PagedAttention", with(paged, key, value)) == "NATIVE_PARAM_INVALID");
  }
  for (const auto& [key, value] : Keys{{"calcType", "DECODER"}, {"maskType", "MASK_TYPE_ALIBI"}, {"isTriuMask", 1}, {"qScale", 2},
                                             {"clampType", "CLAMP_TYPE_MIN_MAX"}, {"kvcacheCfg", "K_BYPASS_V_BYPASS"}, {"kernelType", 1}}) {
    CHECK(code("SelfAttention", with(self, key, value)) == "NATIVE_PARAM_INVALID");
  }
  CHECK(code("ReshapeAndCache", {{"kvCacheCfg", "K_CACHE_V_BYPASS"}}) == "NATIVE_PARAM_INVALID");
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
  CHECK(paged({0, -1}, 64, 4) == "nothing thrown");  // What is not used is not read.
  CHECK(paged({0, 1}, 3, 4) == "NATIVE_VALUE_OUT_OF_RANGE");  // More queries than keys.
  CHECK(paged({0, 1}, 4, 3) == "NATIVE_VALUE_OUT_OF_RANGE");  // A query of no sequence.
  CHECK(paged({0, 1}, 4, -4) == "NATIVE_VALUE_OUT_OF_RANGE");
  CHECK(CodeOf([&] { layer.Write(p, {64}, 0, 1); }) == "NATIVE_VALUE_OUT_OF_RANGE");

  const auto self = CreateOperation("SelfAttention", {{"headNum", 4}, {"kvHeadNum", 2}, {"calcType", "PA_ENCODER"}});
  const auto prefill = [&](std::vector<int32_t> lengths, std::initializer_list<int64_t> q, std::initializer_list<int64_t> k) {
    Array out(DType::kF32, p.q.size());
    return CodeOf([&] {
      Run(*self, {Floats(p.q, q), Floats(p.k, k), Floats(p.v, {4, 2, 16}), Ints(lengths)}, {Floats(out, q)}, kernels::Select(), pool);
    });
  };
  CHECK(prefill({4}, {4, 4, 16}, {4, 2, 16}) == "nothing thrown");
  CHECK(prefill({1, 0, 3}, {4, 64}, {4, 32}) == "nothing thrown");
  CHECK(prefill({3}, {4, 4, 16}, {4, 2, 16}) == "NATIVE_VALUE_OUT_OF_RANGE");
  CHECK(prefill({5}, {4, 4, 16}, {4, 2, 16}) == "NATIVE_VALUE_OUT_OF_RANGE");
  CHECK(prefill({5, -1}, {4, 4, 16}, {4, 2, 16}) == "NATIVE_VALUE_OUT_OF_RANGE");
  CHECK(prefill({4}, {4, 8, 8}, {4, 2, 16}) == "NATIVE_SHAPE_MISMATCH");
  CHECK(prefill({4}, {4, 4, 16}, {8, 2, 8}) == "NATIVE_SHAPE_MISMATCH");
  CHECK(prefill({4}, {4, 4, 16}, {2, 2, 32}) == "NATIVE_SHAPE_MISMATCH");
}

void CachesAreSizedByTheirOptions() {
  std::atomic<int64_t> meter = 0;
  {
    KvCache cache({3, 10, 128, 4, 80, DType::kBF16}, &meter);
    // Keys are padded to 96, values not.
    CHECK(cache.bytes() == 3 * 10 * 128 * 4 * (96 + 80) * 2 && meter == static_cast<int64_t>(cache.bytes()));
    CHECK(cache.Keys(2).desc.SameShape(TensorDesc(DType::kBF16, {10, 128, 4, 80})));
    CHECK(cache.Keys(0).desc.layout == Layout::kKeyCache && cache.Values(0).desc.layout == Layout::kValueCache);
    for (int64_t i = 0; i < 3; ++i) {
      CHECK(reinterpret_cast<uintptr_t>(cache.Keys(i).data) % 64 == 0 && reinterpret_cast<uintptr_t>(cache.Values(i).data) % 64 == 0);
    }
    const auto* last = cache.Values(2).As<std::byte>() + 10 * 128 * 4 * 80 * 2 - 1;
    CHECK(last - cache.Keys(0).As<std::byte>() + 1 == static_cast<int64_t>(cache.bytes()) && *last == std::byte{0});
  }
  CHECK(meter == 0);
  const auto code = [](KvCacheOptions o) { return CodeOf([&] { KvCache cache(o); }); };
  CHECK(code({0, 1, 32, 1, 8, DType::kF32}) == "NATIVE_PARAM_INVALID");
  CHECK(code({1, -1, 32, 1, 8, DType::kF32}) == "NATIVE_PARAM_INVALID");
  CHECK(code({1, 1, 48, 1, 8, DType::kF32}) == "NATIVE_PARAM_INVALID");
  CHECK(code({1, 1, 32, 1, 12, DType::kF32}) == "NATIVE_PARAM_INVALID");
  CHECK(code({1, 1, 32, 1, 264, DType::kF32}) == "NATIVE_PARAM_INVALID");
  CHECK(code({1, 1, 32, 1, 8, DType::kI8}) == "NATIVE_PARAM_INVALID");
  CHECK(code({1 << 30, 1 << 30, 1 << 30, 1 << 30, 256, DType::kF32}) == "NATIVE_SIZE_OVERFLOW");
  CHECK(code({1 << 20, 1 << 10, 1 << 10, 8, 128, DType::kF32}) == "NATIVE_OUT_OF_MEMORY");
}

}  // namespace
}  // namespace atb::test

int main() {
  using namespace atb::test;
  RUN(PromptsMayBeCutAnywhere);
  RUN(BatchesEqualTheirSequencesAlone);
  RUN(SplittingKeysOverThreadsChangesNoBit);
  RUN(PaddedSequencesGiveZeros);
  RUN(MasksMeanWhatAtbSays);
  RUN(TriangleMeansCausalAtAnyLength);
  RUN(HighPrecisionScalesF16Masks);
  RUN(WritesOutOfOrderKeepTheirSlots);
  RUN(BadParamsAreRefused);
  RUN(BadDataIsRefused);
  RUN(CachesAreSizedByTheirOptions);
  return 0;
}
