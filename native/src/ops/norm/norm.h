#pragma once
#include "ops/rows.h"

namespace atb {

/// The sum x + bias + scale * residual, which is computed row by row in f32. Bias and residual may be null.
struct NormSum {
  const Tensor* x;
  const Tensor* bias;
  const Tensor* residual;
  float scale;

  /// One row of the sum: the bytes of x itself when it is f32 and nothing is added, else `sum`. `buffer` is working
  /// memory.
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
