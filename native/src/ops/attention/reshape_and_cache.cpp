#include <algorithm>
#include <cstring>

#include "kernels/kv_pack.h"
#include "ops/attention/kv_tensor.h"
#include "ops/check.h"
#include "ops/factories.h"
#include "ops/rows.h"

namespace atb {
namespace {

/// key [tokens, heads, D], value [tokens, heads, Dv] go to the slots of two caches, in place; with K_CACHE_V_BYPASS
/// there is only the key and its cache. Inputs: rows, caches, slots. Token t goes to offset slots[t] % block_size of
/// block slots[t] / block_size, as integers with a scale where the cache holds those. Negative slots are skipped; of
/// equal ones the last wins. Writing the first slot of a block in our own layout zeroes the rest of the block: see
/// kernels/kv_pack.h.
class ReshapeAndCache : public Operation {
 public:
  static constexpr const char* kOp = "ReshapeAndCache";

  explicit ReshapeAndCache(int caches) : caches_(caches) {}
  int NumInputs() const override { return 2 * caches_ + 1; }
  int NumOutputs() const override { return caches_; }
  bool InPlace(int input, int output) const override { return input == caches_ + output; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    for (int i = 0; i < caches_; ++i) {
      const TensorDesc& rows = At(in, i);
      const TensorDesc& cache = At(in, caches_ + i);
      RequireFloat(kOp, i, rows);
      RequireRank(kOp, i, rows, 3, 3);
      RequireKvCache(kOp, caches_ + i, cache, i == 1, rows);
      if (cache.dim(2) != rows.dim(1) || cache.dim(3) != rows.dim(2))
        FailShape(kOp, caches_ + i, "[blocks, block_size, heads, head_dim] for rows " + ToString(rows), cache);
      if (rows.dim(0) != in[0].dim(0)) FailShape(kOp, i, "of as many tokens as in0", rows);
      out[static_cast<size_t>(i)] = cache;
    }
    RequireVector(kOp, 2 * caches_, in.back(), DType::kI32, in[0].dim(0));
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads, const kernels::KernelTable&) const override {
    return static_cast<size_t>(threads) * BufferBytes(in[Cache(0)], in[LastCache()]);
  }

  void Validate(std::span<const Tensor> in) const override {
    ValidateSlots(kOp, 2 * caches_, in.back(), in[Cache(0)].desc, in[LastCache()].desc);
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const int64_t tokens = in[0].desc.dim(0);
    const int32_t* slots = in.back().As<int32_t>();
    const int64_t key_heads = in[0].desc.dim(1);
    const int64_t value_heads = caches_ == 2 ? in[1].desc.dim(1) : 0;
    for (size_t i = 0; i < out.size(); ++i) {
      const Tensor& cache = in[Cache(i)];
      if (out[i].data != cache.data) std::memcpy(out[i].data, cache.data, KvCacheBytes(cache.desc));
    }
    const size_t buffer = BufferBytes(out.front().desc, out.back().desc);
    ForRows(ctx.pool, key_heads + value_heads, tokens * in[0].desc.dim(2), [&](int64_t head, int worker) {
      std::byte* own = ctx.workspace + static_cast<size_t>(worker) * buffer;
      if (head < key_heads) {
        WriteHead(in[0], out[0], head, slots, tokens, ctx.kernels, own);
      } else {
        WriteHead(in[1], out[1], head - key_heads, slots, tokens, ctx.kernels, own);
      }
    });
  }

 private:
  /// The input that is cache i.
  size_t Cache(size_t i) const { return static_cast<size_t>(caches_) + i; }
  size_t LastCache() const { return Cache(static_cast<size_t>(caches_) - 1); }

  static size_t BufferBytes(const TensorDesc& keys, const TensorDesc& values) {
    return std::max(SlotBufferBytes(keys), SlotBufferBytes(values));
  }

  static void WriteHead(const Tensor& rows, const Tensor& cache, int64_t head, const int32_t* slots, int64_t tokens,
                        const kernels::KernelTable& kernels, std::byte* buffer) {
    if (tokens == 0) return;  // Rows without elements may have no address.
    const int64_t heads = rows.desc.dim(1);
    const int64_t head_dim = rows.desc.dim(2);
    const int64_t block_size = cache.desc.dim(1);
    const int64_t stride = heads * head_dim;
    const auto bytes = static_cast<int64_t>(SizeOf(rows.desc.dtype));
    const std::byte* from = rows.As<std::byte>() + head * head_dim * bytes;
    if (cache.desc.layout == Layout::kRowMajor) {
      std::byte* to = cache.As<std::byte>() + head * head_dim * bytes;
      for (int64_t t = 0; t < tokens; ++t) {
        if (slots[t] < 0) continue;
        std::memcpy(to + slots[t] * stride * bytes, from + t * stride * bytes, static_cast<size_t>(head_dim * bytes));
      }
      return;
    }
    const kernels::KvStore store = StoreOf(cache);
    // All blocks are zeroed before the first write, because a later token may belong to an earlier slot.
    for (int64_t t = 0; t < tokens; ++t) {
      if (slots[t] >= 0 && slots[t] % block_size == 0) ZeroHead(store, slots[t] / block_size, head);
    }
    for (int64_t t = 0; t < tokens;) {
      int64_t n = 1;
      while (t + n < tokens && slots[t + n] == slots[t] + n && slots[t + n] % block_size != 0) ++n;
      if (slots[t] >= 0)
        WriteRows(store, kernels, slots[t], head, from + t * stride * bytes, rows.desc.dtype, stride, n, buffer);
      t += n;
    }
  }

  int caches_;  ///< 2: keys and values; 1: keys.
};

}  // namespace

std::unique_ptr<Operation> CreateReshapeAndCache(const ParamObject& param) {
  ParamReader reader(ReshapeAndCache::kOp, param);
  reader.Require("compressType", "COMPRESS_TYPE_UNDEFINED");
  const bool bypass = reader.Enum("kvCacheCfg", {"K_CACHE_V_CACHE", "K_CACHE_V_BYPASS"}, 0) == 1;
  reader.Done();
  return std::make_unique<ReshapeAndCache>(bypass ? 1 : 2);
}

}  // namespace atb
