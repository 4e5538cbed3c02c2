#pragma once
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/align.h"
#include "base/buffer.h"
#include "base/checked.h"
#include "tensor/tensor.h"

namespace atb {

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

/// Row-major tensors by name, with one buffer for all of their bytes. This is what one thread hands to another. Add
/// describes the tensors, then Allocate gives them their bytes, then the caller fills these.
class TensorBundle {
 public:
  void Add(std::string name, const TensorDesc& desc) {
    offsets_.push_back(bytes_);
    bytes_ = CheckedAdd(bytes_, CheckedAlign(static_cast<int64_t>(desc.Bytes())));
    tensors_.push_back({std::move(name), {desc, nullptr}});
  }

  /// Gives every tensor its bytes, aligned to kAlignment. Throws NATIVE_OUT_OF_MEMORY.
  void Allocate() {
    // At least one cache line, so that tensors without elements have an address.
    buffer_ = Buffer(static_cast<size_t>(bytes_) + kAlignment);
    for (size_t i = 0; i < tensors_.size(); ++i) tensors_[i].tensor.data = buffer_.data() + offsets_[i];
  }

  std::span<const NamedTensor> tensors() const { return tensors_; }
  const Tensor& operator[](size_t index) const { return tensors_[index].tensor; }
  size_t size() const { return tensors_.size(); }
  const NamedTensor* Find(std::string_view name) const {
    for (const NamedTensor& tensor : tensors_)
      if (tensor.name == name) return &tensor;
    return nullptr;
  }

 private:
  std::vector<NamedTensor> tensors_;
  std::vector<int64_t> offsets_;
  int64_t bytes_ = 0;
  Buffer buffer_;
};

}  // namespace atb
