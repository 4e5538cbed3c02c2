#pragma once
#include <atomic>
#include <cstdint>
#include <vector>

#include "base/buffer.h"
#include "tensor/tensor.h"

namespace atb {

struct KvCacheOptions {
  int64_t layers = 0;
  int64_t num_blocks = 0;
  int64_t block_size = 0;  ///< Tokens; a multiple of 32.
  int64_t kv_heads = 0;
  int64_t head_dim = 0;        ///< A multiple of 8, at most 256.
  DType dtype = DType::kBF16;  ///< f32, f16, bf16; i8: integers with a scale per token and kv head.
};

/// The keys and values of every layer, [num_blocks, block_size, kv_heads, head_dim] each, in the layout of
/// kernels/kv_layout.h, zeroed, from one allocation.
class KvCache {
 public:
  /// Throws NATIVE_PARAM_INVALID naming the option, NATIVE_SIZE_OVERFLOW, NATIVE_OUT_OF_MEMORY. `meter` as for Buffer.
  explicit KvCache(const KvCacheOptions& options, std::atomic<int64_t>* meter = nullptr);

  const KvCacheOptions& options() const { return options_; }
  size_t bytes() const { return buffer_.size(); }
  /// Layers count from 0.
  Tensor Keys(int64_t layer) const { return At(layer, Layout::kKeyCache); }
  Tensor Values(int64_t layer) const { return At(layer, Layout::kValueCache); }

 private:
  Tensor At(int64_t layer, Layout layout) const;

  KvCacheOptions options_;
  int64_t key_bytes_ = 0;  ///< Of one layer, a multiple of the buffer's alignment.
  int64_t value_bytes_ = 0;
  Buffer buffer_;
};

}  // namespace atb
