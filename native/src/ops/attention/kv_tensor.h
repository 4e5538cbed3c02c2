#pragma once
#include "kernels/kernel_table.h"
#include "kernels/kv_pack.h"
#include "tensor/tensor.h"

namespace atb {

/// A cache of keys or values [blocks, block_size, kv_heads, head_dim]: row-major, as ATB has it, or in the layout of
/// kernels/kv_layout.h. It has the dtype of `rows`, or in that layout it may have integers. Throws
/// NATIVE_SHAPE_MISMATCH, NATIVE_DTYPE_MISMATCH, NATIVE_LAYOUT_MISMATCH.
void RequireKvCache(const char* op, int input, const TensorDesc& desc, bool values, const TensorDesc& rows);
/// Throws NATIVE_SHAPE_MISMATCH unless a cache has so many heads of so many numbers.
void RequireHeads(const char* op, int input, const TensorDesc& cache, int64_t heads, int64_t head_dim);
/// Values beside a cache of keys: of its dtype, blocks and heads, in our layout or row-major as it is, with heads of a
/// size of their own, a multiple of 8 up to kMaxHeadDim. Throws as RequireKvCache does, which both have passed.
void RequireValuesLike(const char* op, int input, const TensorDesc& values, const TensorDesc& keys);
/// Throws NATIVE_VALUE_OUT_OF_RANGE for slots, i32 [tokens], that one of two caches does not have. Those below 0 are
/// passed over.
void ValidateSlots(const char* op, int input, const Tensor& slots, const TensorDesc& keys, const TensorDesc& values);
/// The store of a cache in our layout.
kernels::KvStore StoreOf(const Tensor& cache);
/// Bytes of a cache in our layout, or of a row-major one.
size_t KvCacheBytes(const TensorDesc& desc);

/// Writes rows into a cache in our layout, as kernels::WriteSlots does, or as integers: a row is then round(x / scale)
/// times scale = max |x| / 127. `buffer`: SlotBufferBytes, one per thread.
void WriteRows(const kernels::KvStore& store, const kernels::KernelTable& kernels, int64_t slot, int64_t head,
               const void* rows, DType dtype, int64_t row_stride, int64_t count, std::byte* buffer);
/// A multiple of 64; 0 where the cache does not hold integers.
size_t SlotBufferBytes(const TensorDesc& cache);

}  // namespace atb
