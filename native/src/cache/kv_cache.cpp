#include "cache/kv_cache.h"

#include <cstring>
#include <set>
#include <string_view>
#include <utility>

#include "base/align.h"
#include "base/checked.h"
#include "base/error.h"
#include "kernels/kv_layout.h"
#include "kernels/kv_pack.h"

namespace atb {
namespace {

/// No option alone is larger than this, so that the arithmetic inside a block cannot overflow; products of options are
/// checked one by one.
constexpr int64_t kMaxOption = int64_t{1} << 30;

void Require(const std::string& name, int64_t value, int64_t multiple, int64_t max) {
  if (value >= multiple && value <= max && value % multiple == 0) return;
  throw Error("NATIVE_PARAM_INVALID", "KV cache: " + name + " must be a multiple of " + std::to_string(multiple) +
                                          " from " + std::to_string(multiple) + " to " + std::to_string(max) +
                                          ", found " + std::to_string(value));
}

void RequireNewName(const std::string& name, std::set<std::string_view>& names) {
  if (name.empty()) throw Error("NATIVE_PARAM_INVALID", "KV cache: a tensor must have a name");
  if (!names.insert(name).second)
    throw Error("NATIVE_PARAM_INVALID", "KV cache: two tensors have the name \"" + name + '"');
}

void Check(const KvCacheOptions& options) {
  Require("numBlocks", options.num_blocks, 1, kMaxOption);
  Require("blockSize", options.block_size, kernels::kMinBlockSize, kMaxOption);
  if (!IsFloat(options.dtype) && options.dtype != DType::kI8) {
    throw Error("NATIVE_PARAM_INVALID",
                "KV cache: dtype must be f32, f16, bf16 or i8, found " + std::string(ToString(options.dtype)));
  }
  std::set<std::string_view> names;
  for (const KvCacheDesc& cache : options.caches) {
    RequireNewName(cache.key, names);
    if (cache.value) RequireNewName(*cache.value, names);
    const std::string of = " of \"" + cache.key + '"';
    Require("heads" + of, cache.heads, 1, kMaxOption);
    Require("tokensPerRow" + of, cache.tokens_per_row, 1, kMaxOption);
    Require("keySize" + of, cache.key_size, 8, kernels::kMaxHeadDim);
    Require("valueSize" + of, cache.value_size, 8, cache.value ? kernels::kMaxHeadDim : cache.key_size);
    if (cache.num_blocks != 0) Require("numBlocks" + of, cache.num_blocks, 1, kMaxOption);
  }
  for (const StateDesc& state : options.states) {
    RequireNewName(state.name, names);
    Require("size of \"" + state.name + '"', state.size, 1, kMaxOption);
  }
}

/// Keys or values of one cache, still without their bytes.
Tensor Describe(const KvCacheOptions& options, const KvCacheDesc& cache, bool values) {
  Tensor tensor;
  const int64_t blocks = cache.num_blocks != 0 ? cache.num_blocks : options.num_blocks;
  const int64_t rows = cache.tokens_per_row == 1
                           ? options.block_size
                           : RoundUp(CeilDiv(options.block_size, cache.tokens_per_row), kernels::kMinBlockSize);
  tensor.desc = TensorDesc(options.dtype, {blocks, rows, cache.heads, values ? cache.value_size : cache.key_size});
  tensor.desc.layout = values ? Layout::kValueCache : Layout::kKeyCache;
  return tensor;
}

/// Still without its bytes.
Tensor Describe(const KvCacheOptions& options, const StateDesc& state) {
  Tensor tensor;
  tensor.desc = TensorDesc(DType::kF32, {options.num_blocks, state.size});
  return tensor;
}

/// Up to a whole number of cache lines.
int64_t StateBytes(const TensorDesc& desc) {
  return CheckedAlign(CheckedMul(CheckedMul(desc.dim(0), desc.dim(1)), sizeof(float)));
}

/// Bytes of one block of one head.
int64_t HeadBytes(const TensorDesc& desc) {
  const bool values = desc.layout == Layout::kValueCache;
  return kernels::KvStore{nullptr, desc.dtype, values, 1, desc.dim(1), 1, desc.dim(3)}.HeadBytes();
}

/// Bytes of a cache tensor, up to a whole number of cache lines.
int64_t StoredBytes(const TensorDesc& desc) {
  return CheckedAlign(CheckedMul(CheckedMul(HeadBytes(desc), desc.dim(2)), desc.dim(0)));
}

/// The blocks of a head follow one another (kernels/kv_layout.h).
void CopyBlockOf(const Tensor& tensor, int64_t from, int64_t to) {
  const auto bytes = static_cast<size_t>(HeadBytes(tensor.desc));
  auto* head = tensor.As<std::byte>();
  for (int64_t i = 0; i < tensor.desc.dim(2); ++i, head += bytes * static_cast<size_t>(tensor.desc.dim(0)))
    std::memmove(head + bytes * static_cast<size_t>(to), head + bytes * static_cast<size_t>(from), bytes);
}

}  // namespace

KvCache::KvCache(KvCacheOptions options, std::atomic<int64_t>* meter) : options_(std::move(options)) {
  Check(options_);
  int64_t total = 0;
  for (const KvCacheDesc& cache : options_.caches) {
    keys_.push_back(Describe(options_, cache, false));
    values_.push_back(Describe(options_, cache, true));
    total = CheckedAdd(total, StoredBytes(keys_.back().desc));
    if (cache.value) total = CheckedAdd(total, StoredBytes(values_.back().desc));
  }
  for (const StateDesc& state : options_.states) {
    states_.push_back(Describe(options_, state));
    total = CheckedAdd(total, StateBytes(states_.back().desc));
  }
  buffer_ = Buffer(static_cast<size_t>(total), meter);
  std::byte* next = buffer_.data();
  for (size_t i = 0; i < options_.caches.size(); ++i) {
    keys_[i].data = next;
    next += StoredBytes(keys_[i].desc);
    if (!options_.caches[i].value) continue;
    values_[i].data = next;
    next += StoredBytes(values_[i].desc);
  }
  for (Tensor& state : states_) {
    state.data = next;
    next += StateBytes(state.desc);
  }
}

void KvCache::CopyBlock(int64_t from, int64_t to) const {
  for (size_t i = 0; i < options_.caches.size(); ++i) {
    if (options_.caches[i].num_blocks != 0) continue;
    CopyBlockOf(keys_[i], from, to);
    if (options_.caches[i].value) CopyBlockOf(values_[i], from, to);
  }
  for (const Tensor& state : states_) {
    const int64_t size = state.desc.dim(1);
    const auto bytes = static_cast<size_t>(size) * sizeof(float);
    std::memmove(state.As<float>() + to * size, state.As<float>() + from * size, bytes);
  }
}

}  // namespace atb
