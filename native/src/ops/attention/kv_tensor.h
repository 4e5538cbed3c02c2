#pragma once
#include "kernels/kernel_table.h"
#include "kernels/kv_pack.h"
#include "tensor/tensor.h"

namespace atb {

/// A cache of keys or values [blocks, block_size, kv_heads, head_dim]: row-major, as ATB has it, or in the layout of
/// kernels/kv_layout.h. It has the dtype of `rows`, or in that layout it may have integers. Throws
/// NATIVE_SHAPE_MISMATCH, NATIVE_DTYPE_MISMATCH, NATIVE_LAYOUT_MISMATCH.
void RequireKvCache(const char* op, int input, const TensorDesc& desc, bool values, const TensorDesc& rows);
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
