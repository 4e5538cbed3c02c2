#pragma once
#include <span>

#include "tensor/tensor.h"

namespace atb {

/// numpy's broadcasting of up to three tensors: shapes aligned at their last axes, axes of length 1 repeat. The result
/// is walked row by row, a row being its last axis.
class Broadcast {
 public:
  static constexpr int kMaxInputs = 3;

  /// Throws NATIVE_SHAPE_MISMATCH.
  Broadcast(const char* op, std::span<const TensorDesc> in);

  /// Gives `out` the common shape.
  void SetShape(TensorDesc& out) const;
  int64_t rows() const { return rows_; }
  int64_t row_size() const { return rank_ == 0 ? 1 : dims_[static_cast<size_t>(rank_ - 1)]; }
  /// Element of the input where row `row` of the result begins.
  int64_t Offset(int input, int64_t row) const;
  /// 1, or 0 when one element of the input serves the whole row.
  int64_t Step(int input) const {
    return rank_ == 0 ? 0 : strides_[static_cast<size_t>(input)][static_cast<size_t>(rank_ - 1)];
  }

 private:
  int rank_ = 0;
  int64_t rows_ = 1;
  std::array<int64_t, kMaxRank> dims_{};
  std::array<std::array<int64_t, kMaxRank>, kMaxInputs> strides_{};
};

}  // namespace atb
