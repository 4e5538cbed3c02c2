#pragma once
// Attention operations run as an engine runs them, for their tests.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "attention_fixture.h"
#include "caches.h"
#include "check.h"
#include "run_operation.h"
#include "throws.h"

namespace atb::test {

using kernels::KernelTable;

inline Tensor Floats(Array& a, std::initializer_list<int64_t> shape) { return {TensorDesc(a.dtype, shape), a.data()}; }
inline Tensor Ints(std::vector<int32_t>& v, std::initializer_list<int64_t> shape) {
  return {TensorDesc(DType::kI32, shape), v.data()};
}
inline Tensor Ints(std::vector<int32_t>& v) { return Ints(v, {static_cast<int64_t>(v.size())}); }

/// A whole prompt's queries, keys and values.
struct Prompt {
  int64_t tokens;
  Array q, k, v;
  Prompt(const Heads& h, DType dtype, int64_t n, uint64_t seed) : tokens(n), q(dtype, 0), k(dtype, 0), v(dtype, 0) {
    Random random(seed);
    q = Normal(random, dtype, n * h.q_heads() * h.head_dim, 1.5f);
    k = Normal(random, dtype, n * h.kv_heads * h.head_dim, 1.2f);
    v = Normal(random, dtype, n * h.kv_heads * (h.values > 0 ? h.values : h.head_dim));
  }
};

/// Keys and values of one layer, or keys alone.
inline KvCache CacheOf(const Heads& h, DType dtype, int64_t blocks, int64_t block_size) {
  KvCacheOptions options = SameCaches(1, blocks, block_size, h.kv_heads, h.head_dim, dtype);
  options.caches[0].value_size = h.value_dim();
  if (h.latent > 0) options.caches[0].value.reset();
  return KvCache(options);
}

/// The keys of what a sight says beside `causal`.
inline ParamObject KeysOf(const Sight& sight) {
  return {
      {"windowSize", double(sight.window)}, {"chunkSize", double(sight.chunk)},
      {"softcap", double(sight.softcap)},   {"slopes", std::vector<double>(sight.slopes.begin(), sight.slopes.end())},
      {"hasSinks", !sight.sinks.empty()},   {"hasSeen", !sight.seen.empty()}};
}

/// A model's attention layer: a cache, and the two phases over it.
class Layer {
 public:
  /// `more`: keys of both attentions.
  Layer(const Heads& heads, DType dtype, const KernelTable& kernels, ThreadPool& pool, const ParamObject& more = {})
      : Layer(heads, dtype, dtype, kernels, pool, more) {}
  Layer(const Heads& heads, DType dtype, DType cache_dtype, const KernelTable& kernels, ThreadPool& pool,
        const ParamObject& more = {})
      : heads_(heads),
        dtype_(dtype),
        kernels_(kernels),
        pool_(pool),
        cache_(CacheOf(heads, cache_dtype, kBlocks, kBlockSize)) {
    // What earlier sequences may have left: NaN, also as scales.
    std::memset(cache_.Keys(0).data, 0xFF, cache_.bytes());
    ParamObject param = {{"headNum", double(heads.q_heads())},
                         {"kvHeadNum", double(heads.kv_heads)},
                         {"qkScale", double(heads.scale())},
                         {"mlaVHeadSize", double(heads.latent)},
                         {"causal", true}};
    for (const auto& [key, value] : more) param.insert_or_assign(key, value);
    ParamObject spec = param;
    param.erase("maskType");
    decode_ = CreateOperation("PagedAttention", param);
    spec["calcType"] = "CALC_TYPE_SPEC";
    split_fuse_ = CreateOperation("PagedAttention", spec);
    ParamObject prefill = param;
    prefill["calcType"] = "PA_ENCODER";
    prefill_ = CreateOperation("SelfAttention", prefill);
    write_ = CreateOperation("ReshapeAndCache", {{"kvCacheCfg", HasValues() ? "K_CACHE_V_CACHE" : "K_CACHE_V_BYPASS"}});
  }

  static constexpr int64_t kBlockSize = 64;
  static constexpr int64_t kBlocks = 64;
  /// [tokens, context], where the keys say that several tokens of a sequence have one.
  Array* mask = nullptr;
  /// [q_heads], where the keys say that there are some.
  Array sinks{DType::kF32, 0};
  /// [tokens] of the next call, where the keys say that there are some.
  std::vector<int32_t> seen;

  /// Writes keys and values of positions [begin, end) of a prompt through its table.
  void Write(Prompt& p, const std::vector<int32_t>& table, int64_t begin, int64_t end) {
    std::vector<int32_t> slots;
    for (int64_t j = begin; j < end; ++j)
      slots.push_back(static_cast<int32_t>(table[static_cast<size_t>(j / kBlockSize)] * kBlockSize + j % kBlockSize));
    Array k = p.k.Slice(begin * KvRow(), end * KvRow());
    const std::initializer_list<int64_t> shape = {end - begin, heads_.kv_heads, heads_.head_dim};
    if (!HasValues())
      return Run(*write_, {Floats(k, shape), cache_.Keys(0), Ints(slots)}, {cache_.Keys(0)}, kernels_, pool_);
    Array v = p.v.Slice(begin * ValueRow(), end * ValueRow());
    const std::initializer_list<int64_t> value_shape = {end - begin, heads_.kv_heads, heads_.value_dim()};
    Run(*write_, {Floats(k, shape), Floats(v, value_shape), cache_.Keys(0), cache_.Values(0), Ints(slots)},
        {cache_.Keys(0), cache_.Values(0)}, kernels_, pool_);
  }

  /// Queries [q_len of each, packed] against the cache; all of them the last tokens of their contexts.
  Array Paged(Array& q, std::vector<std::vector<int32_t>> tables, std::vector<int32_t> contexts,
              std::vector<int32_t> q_lens, bool spec) {
    size_t width = 1;
    for (const auto& t : tables) width = std::max(width, t.size());
    std::vector<int32_t> flat;
    for (auto& t : tables) {
      t.resize(width, -1);
      flat.insert(flat.end(), t.begin(), t.end());
    }
    const int64_t tokens = q.size() / (heads_.q_heads() * heads_.head_dim);
    Array out(dtype_, tokens * heads_.q_heads() * heads_.value_dim());
    std::vector<Tensor> in = {Floats(q, {tokens, heads_.q_heads(), heads_.head_dim}), cache_.Keys(0)};
    if (HasValues()) in.push_back(cache_.Values(0));
    in.push_back(Ints(flat, {static_cast<int64_t>(tables.size()), static_cast<int64_t>(width)}));
    in.push_back(Ints(contexts));
    if (spec && mask) in.push_back(Floats(*mask, {tokens, mask->size() / tokens}));
    if (spec) in.push_back(Ints(q_lens));
    AddOthers(in);
    Run(spec ? *split_fuse_ : *decode_, in, {Floats(out, {tokens, heads_.q_heads(), heads_.value_dim()})}, kernels_,
        pool_);
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
    const int64_t out_row = heads_.q_heads() * heads_.value_dim();
    Array out(dtype_, tokens * out_row);
    std::vector<Tensor> in = {Floats(q, {tokens, QRow()}), Floats(k, {tokens, KvRow()})};
    if (HasValues()) in.push_back(Floats(v, {tokens, ValueRow()}));
    in.push_back(Ints(lengths));
    AddOthers(in);
    Run(*prefill_, in, {Floats(out, {tokens, out_row})}, kernels_, pool_);
    return out;
  }

  int64_t KvRow() const { return heads_.kv_heads * heads_.head_dim; }
  int64_t ValueRow() const { return heads_.kv_heads * heads_.value_dim(); }
  int64_t QRow() const { return heads_.q_heads() * heads_.head_dim; }

 private:
  bool HasValues() const { return heads_.latent == 0; }
  void AddOthers(std::vector<Tensor>& in) {
    if (!seen.empty()) in.push_back(Ints(seen));
    if (sinks.size() > 0) in.push_back(Floats(sinks, {sinks.size()}));
  }

  Heads heads_;
  DType dtype_;
  const KernelTable& kernels_;
  ThreadPool& pool_;
  KvCache cache_;
  std::unique_ptr<Operation> decode_, split_fuse_, prefill_, write_;
};

inline bool SameBits(const Array& a, const Array& b) { return a.bytes == b.bytes; }

}  // namespace atb::test
