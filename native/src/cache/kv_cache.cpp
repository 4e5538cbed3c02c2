#include "cache/kv_cache.h"

#include <string>

#include "base/checked.h"
#include "base/error.h"
#include "kernels/kv_layout.h"
#include "kernels/kv_pack.h"

namespace atb {
namespace {

/// No option alone is larger than this, so that the arithmetic inside a block cannot overflow; products of options are
/// checked one by one.
constexpr int64_t kMaxOption = int64_t{1} << 30;

void Require(const char* name, int64_t value, int64_t multiple, int64_t max) {
  if (value >= multiple && value <= max && value % multiple == 0) return;
  throw Error("NATIVE_PARAM_INVALID", "KV cache: " + std::string(name) + " must be a multiple of " +
                                          std::to_string(multiple) + " from " + std::to_string(multiple) + " to " +
                                          std::to_string(max) + ", found " + std::to_string(value));
}

/// Bytes of one layer's keys or values, up to a whole number of cache lines.
int64_t LayerBytes(const KvCacheOptions& o, bool values) {
  const kernels::KvStore head{nullptr, o.dtype, values, 1, o.block_size, 1, o.head_dim};
  const int64_t bytes = CheckedMul(CheckedMul(head.BlockBytes(), o.kv_heads), o.num_blocks);
  constexpr int64_t kAlignment = kBufferAlignment;
  return CheckedAdd(bytes, kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

KvCache::KvCache(const KvCacheOptions& options, std::atomic<int64_t>* meter) : options_(options) {
  Require("layers", options.layers, 1, kMaxOption);
  Require("numBlocks", options.num_blocks, 1, kMaxOption);
  Require("blockSize", options.block_size, kernels::kMinBlockSize, kMaxOption);
  Require("kvHeads", options.kv_heads, 1, kMaxOption);
  Require("headDim", options.head_dim, 8, kernels::kMaxHeadDim);
  if (options.dtype != DType::kF32 && options.dtype != DType::kF16 && options.dtype != DType::kBF16 &&
      options.dtype != DType::kI8) {
    throw Error("NATIVE_PARAM_INVALID",
                "KV cache: dtype must be f32, f16, bf16 or i8, found " + std::string(ToString(options.dtype)));
  }
  key_bytes_ = LayerBytes(options, false);
  value_bytes_ = LayerBytes(options, true);
  const int64_t total = CheckedMul(CheckedAdd(key_bytes_, value_bytes_), options.layers);
  buffer_ = Buffer(static_cast<size_t>(total), meter);
}

Tensor KvCache::At(int64_t layer, Layout layout) const {
  Tensor tensor;
  tensor.desc =
      TensorDesc(options_.dtype, {options_.num_blocks, options_.block_size, options_.kv_heads, options_.head_dim});
  tensor.desc.layout = layout;
  tensor.data = buffer_.data() + layer * (key_bytes_ + value_bytes_) + (layout == Layout::kValueCache ? key_bytes_ : 0);
  return tensor;
}

}  // namespace atb
