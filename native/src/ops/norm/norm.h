#pragma once
#include "ops/rows.h"

namespace atb {

/// x + bias + scale * residual, one row in f32; bias and residual may be null.
struct NormSum {
  const Tensor* x;
  const Tensor* bias;
  const Tensor* residual;
  float scale;

  /// The row's own f32 bytes when nothing is added, else `sum`. `buffer` is scratch.
  const float* Row(const kernels::KernelTable& kernels, int64_t row, int64_t size, float* sum, float* buffer) const {
    const float* s = LoadFloats(kernels, *x, row * size, size, sum);
    if (bias) {
      kernels.binary(kernels::BinaryOp::kAdd, s, LoadFloats(kernels, *bias, 0, size, buffer), sum, size);
      s = sum;
    }
    if (residual) {
      const float* r = LoadFloats(kernels, *residual, row * size, size, buffer);
      if (scale != 1.0f) {
        kernels.unary(kernels::UnaryOp::kMuls, r, buffer, size, scale);
        r = buffer;
      }
      kernels.binary(kernels::BinaryOp::kAdd, s, r, sum, size);
      s = sum;
    }
    return s;
  }
};

}  // namespace atb
