#pragma once
#include <cstdint>

#include "kernels/kv_layout.h"
#include "tensor/dtype.h"

namespace atb::kernels {

/// The keys or the values of one layer in the layout of kv_layout.h, written and read in portable code.
/// A slot is block * block_size + offset, as in ATB.
struct KvStore {
  void* data;
  DType dtype;  ///< f32, f16, bf16, or i8 with a scale for each token and kv head.
  bool values;  ///< Values; else keys.
  int64_t blocks;
  int64_t block_size;
  int64_t kv_heads;
  int64_t head_dim;

  /// Bytes of one (kv head, block), with padding and scales.
  int64_t HeadBytes() const;
  /// Bytes of one block of all kv heads.
  int64_t BlockBytes() const { return HeadBytes() * kv_heads; }
};

/// Writes `count` consecutive slots of one block for one kv head. Row i begins at rows + i * row_stride elements and
/// has head_dim elements.
void WriteSlots(const KvStore& store, int64_t slot, int64_t head, const void* rows, int64_t row_stride, int64_t count);

/// Reads `count` consecutive slots of one block for one kv head: the inverse of WriteSlots.
void ReadSlots(const KvStore& store, int64_t slot, int64_t head, void* rows, int64_t row_stride, int64_t count);

/// Like WriteSlots, for a store of integers: row i is scales[i] times the integers at rows + i * row_stride.
void WriteIntegers(const KvStore& store, int64_t slot, int64_t head, const int8_t* rows, int64_t row_stride,
                   const float* scales, int64_t count);

/// The inverse of WriteIntegers.
void ReadIntegers(const KvStore& store, int64_t slot, int64_t head, int8_t* rows, int64_t row_stride, float* scales,
                  int64_t count);

/// Zeroes one (block, kv head). What an earlier owner left there may be NaN, and 0 * NaN would reach every row that
/// shares a tile with it.
void ZeroHead(const KvStore& store, int64_t block, int64_t head);

/// Fills the first `count` slots of one (block, kv head) whose bytes are undefined, and zeroes what a kernel may read
/// beside them.
void PackHead(const KvStore& store, int64_t block, int64_t head, const void* rows, int64_t row_stride, int64_t count);

}  // namespace atb::kernels
