#pragma once
#include <memory>
#include <utility>

#include "base/buffer.h"
#include "kernels/packed_weight.h"
#include "tensor/tensor.h"

namespace atb {

/// A tensor with the bytes that it owns. It cannot be copied or moved, because `tensor.data` may point into it.
struct StoredTensor {
  Buffer bytes;
  kernels::PackedWeight packed{};  ///< What `tensor.data` points to when the layout is kPackedLinear.
  kernels::PackedScales scales{};  ///< Likewise kPackedScales.
  Tensor tensor;

  StoredTensor() = default;
  StoredTensor(const StoredTensor&) = delete;
  StoredTensor& operator=(const StoredTensor&) = delete;
};

/// A tensor and what keeps its bytes.
struct OwnedTensor {
  Tensor tensor;
  std::shared_ptr<const void> owner;

  OwnedTensor() = default;
  OwnedTensor(const Tensor& t, std::shared_ptr<const void> o) : tensor(t), owner(std::move(o)) {}
  explicit OwnedTensor(const std::shared_ptr<const StoredTensor>& stored) : tensor(stored->tensor), owner(stored) {}
};

}  // namespace atb
