#pragma once
#include <memory>
#include <string>

#include "base/buffer.h"
#include "kernels/packed_weight.h"
#include "tensor/tensor.h"

namespace atb {

/// A tensor with the bytes that it owns. It stays where it is: `tensor.data` may point into it.
struct StoredTensor {
  Buffer bytes;
  kernels::PackedWeight packed{};  ///< What `tensor.data` points to when the layout is kPackedLinear.
  Tensor tensor;

  StoredTensor() = default;
  StoredTensor(const StoredTensor&) = delete;
  StoredTensor& operator=(const StoredTensor&) = delete;
};

using StoredTensorPtr = std::shared_ptr<const StoredTensor>;

struct NamedStoredTensor {
  std::string name;
  StoredTensorPtr stored;
};

}  // namespace atb
