#pragma once
#include "kernels/kv_pack.h"
#include "tensor/tensor.h"

namespace atb {

/// A cache of keys or values [blocks, block_size, kv_heads, head_dim]: row-major, as ATB has it, or in the layout of
/// kernels/kv_layout.h. Throws NATIVE_SHAPE_MISMATCH, NATIVE_DTYPE_MISMATCH, NATIVE_LAYOUT_MISMATCH.
void RequireKvCache(const char* op, int input, const TensorDesc& desc, bool values);
/// Of a cache in our layout.
kernels::KvStore StoreOf(const Tensor& cache);
/// Of a cache in either form.
size_t KvCacheBytes(const TensorDesc& desc);

}  // namespace atb
