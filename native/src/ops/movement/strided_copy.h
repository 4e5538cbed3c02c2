#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/thread_pool.h"
#include "tensor/tensor.h"

namespace atb {

/// Copies a box of elements from one strided place to another. Split, Concat, Slice, Transpose and Repeat all do that.
class StridedCopy {
 public:
  /// Adds the next inner axis. Strides are in elements; a stride of 0 reads the same element again.
  void Axis(int64_t size, int64_t from_stride, int64_t to_stride);
  /// An element has `element` bytes: 1, 2, 4 or 8. The places must not overlap.
  void Run(ThreadPool& pool, size_t element, const std::byte* from, std::byte* to) const;

 private:
  struct Step {
    int64_t size, from, to;
  };
  int axes_ = 0;
  std::array<Step, 2 * kMaxRank> steps_{};
};

/// Row-major strides in elements.
std::array<int64_t, kMaxRank> StridesOf(const TensorDesc& desc);

}  // namespace atb
