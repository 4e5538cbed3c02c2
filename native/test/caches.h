#pragma once
#include <string>

#include "cache/kv_cache.h"

namespace atb {

/// Caches of layers that are all alike: `layer_0_k_cache`, `layer_0_v_cache`, ...
inline KvCacheOptions SameCaches(int64_t layers, int64_t num_blocks, int64_t block_size, int64_t heads,
                                 int64_t head_dim, DType dtype) {
  KvCacheOptions options{.num_blocks = num_blocks, .block_size = block_size, .dtype = dtype, .caches = {}};
  for (int64_t i = 0; i < layers; ++i) {
    const std::string layer = "layer_" + std::to_string(i);
    options.caches.push_back({layer + "_k_cache", layer + "_v_cache", heads, head_dim, head_dim});
  }
  return options;
}

}  // namespace atb
