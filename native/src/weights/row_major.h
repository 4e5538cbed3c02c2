#pragma once
#include "base/thread_pool.h"
#include "tensor/tensor.h"

namespace atb {

/// What a row-major copy of such a tensor is. Throws NATIVE_LAYOUT_MISMATCH for a layout that has none (a cache).
TensorDesc RowMajorDesc(const TensorDesc& desc);

/// Writes a tensor as RowMajorDesc says: a packed weight's rows (int4 two to a byte, the first in the lower half),
/// packed scales [n, groups].
void CopyRowMajor(const Tensor& tensor, void* to, ThreadPool& pool);

}  // namespace atb
