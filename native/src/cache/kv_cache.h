#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "tensor/tensor.h"

namespace atb {

/// The keys and values of one attention layer, or of several layers that share them.
struct KvCacheDesc {
  std::string key;                   ///< Name of the keys, [num_blocks, block_size, heads, key_size].
  std::optional<std::string> value;  ///< Name of the values, [num_blocks, block_size, heads, value_size]. Absent where
                                     ///< the values are the first value_size numbers of each key, as in MLA.
  int64_t heads = 0;
  int64_t key_size = 0;    ///< A multiple of 8 up to kMaxHeadDim.
  int64_t value_size = 0;  ///< The same, and at most key_size where the values are a part of the keys.
  int64_t num_blocks = 0;  ///< Blocks of its own, which belong to no sequence; those of all caches where it is 0.
  /// A block has a row for every so many of its tokens, and block_size in the shapes above is how many these are, up to
  /// a multiple of 32.
  int64_t tokens_per_row = 1;
};

/// What a layer keeps of a sequence beside keys and values, however long that is: each block has the state behind the
/// last of its tokens that were computed.
struct StateDesc {
  std::string name;  ///< f32 [num_blocks, size], row-major.
  int64_t size = 0;
};

struct KvCacheOptions {
  int64_t num_blocks = 0;
  int64_t block_size = 0;      ///< Tokens; a multiple of 32.
  DType dtype = DType::kBF16;  ///< f32, f16, bf16; i8: integers with a scale per token and kv head.
  std::vector<KvCacheDesc> caches;
  std::vector<StateDesc> states;
};

/// The caches of a model, zeroed, in the layout of kernels/kv_layout.h, and its states, from one allocation. A model
/// may have none.
class KvCache {
 public:
  /// Throws NATIVE_PARAM_INVALID naming the option, also when two tensors have one name, NATIVE_SIZE_OVERFLOW,
  /// NATIVE_OUT_OF_MEMORY. `meter` as for Buffer.
  explicit KvCache(KvCacheOptions options, std::atomic<int64_t>* meter = nullptr);

  const KvCacheOptions& options() const { return options_; }
  size_t bytes() const { return buffer_.size(); }
  /// The keys of options().caches[cache].
  const Tensor& Keys(size_t cache) const { return keys_[cache]; }
  /// Its values. They have no data where they are a part of the keys.
  const Tensor& Values(size_t cache) const { return values_[cache]; }
  /// options().states[state].
  const Tensor& State(size_t state) const { return states_[state]; }
  /// Makes block `to` of every cache without blocks of its own like block `from`. Both are below options().num_blocks.
  void CopyBlock(int64_t from, int64_t to) const;

 private:
  KvCacheOptions options_;
  std::vector<Tensor> keys_;
  std::vector<Tensor> values_;
  std::vector<Tensor> states_;
  Buffer buffer_;
};

}  // namespace atb
