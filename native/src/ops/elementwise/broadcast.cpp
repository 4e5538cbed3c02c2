#include "ops/elementwise/broadcast.h"

#include <algorithm>

#include "base/checked.h"
#include "ops/check.h"

namespace atb {

Broadcast::Broadcast(const char* op, std::span<const TensorDesc> in) {
  for (const TensorDesc& desc : in) rank_ = std::max<int>(rank_, desc.rank);
  std::fill_n(dims_.begin(), rank_, 1);
  for (size_t i = 0; i < in.size(); ++i) {
    const int missing = rank_ - in[i].rank;
    for (int axis = 0; axis < in[i].rank; ++axis) {
      int64_t& common = dims_[static_cast<size_t>(missing + axis)];
      const int64_t own = in[i].dim(axis);
      if (own == 1 || own == common) continue;
      if (common != 1) {
        TensorDesc expected = in[i];
        expected.dims[static_cast<size_t>(axis)] = common;
        FailShape(op, static_cast<int>(i), "a shape that broadcasts to " + ToString(expected), in[i]);
      }
      common = own;
    }
  }
  for (size_t i = 0; i < in.size(); ++i) {
    int64_t stride = 1;
    for (int axis = in[i].rank - 1; axis >= 0; --axis) {
      const auto common = static_cast<size_t>(rank_ - in[i].rank + axis);
      strides_[i][common] = in[i].dim(axis) == 1 ? 0 : stride;
      stride *= in[i].dim(axis);
    }
  }
  for (int axis = 0; axis + 1 < rank_; ++axis) rows_ = CheckedMul(rows_, dims_[static_cast<size_t>(axis)]);
}

void Broadcast::SetShape(TensorDesc& out) const {
  out.rank = static_cast<uint8_t>(rank_);
  out.dims = dims_;
}

int64_t Broadcast::Offset(int input, int64_t row) const {
  const auto& strides = strides_[static_cast<size_t>(input)];
  int64_t offset = 0;
  for (int axis = rank_ - 2; axis >= 0; --axis) {
    const int64_t size = dims_[static_cast<size_t>(axis)];
    offset += row % size * strides[static_cast<size_t>(axis)];
    row /= size;
  }
  return offset;
}

}  // namespace atb
