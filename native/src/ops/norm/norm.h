#pragma once
#include "ops/check.h"
#include "ops/rows.h"

namespace atb {

/// What a norm reads and gives back: norm(x); norm(s) and s, the sum of x and a residual; norm(s).
enum class NormForm { kNorm, kPreNorm, kPostNorm };

/// Reads what the blocks of both norms have: epsilon, and the one value of quantType that runs.
inline float ReadEpsilon(ParamReader& block) {
  block.Require("quantType", "QUANT_UNDEFINED");
  const auto epsilon = static_cast<float>(block.Number("epsilon", 1e-5));
  if (epsilon < 0.0f) block.Fail("epsilon", "at least 0");
  return epsilon;
}

/// The factors of an RmsNorm or LayerNorm: gamma, or gamma + 1. `buffer` has `size` elements.
inline const float* LoadGamma(const kernels::KernelTable& kernels, const Tensor& gamma, int64_t size, bool plus_one,
                              float* buffer) {
  const float* factors = LoadFloats(kernels, gamma, 0, size, buffer);
  if (!plus_one) return factors;
  for (int64_t i = 0; i < size; ++i) buffer[i] = factors[i] + 1.0f;
  return buffer;
}

/// Rows of working memory that a thread takes.
constexpr int kNormBuffers = 3;

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

/// Calls norm(s, y) for each row s [size] of the sum, and stores y in the first output, s in the second where there is
/// one. Rows of `added`, unless it is null, are added to y before it is rounded. `workspace` has kNormBuffers rows for
/// each thread.
template <typename Norm>
void NormRows(const NormSum& sum, int64_t size, std::span<const Tensor> out, const Context& ctx, std::byte* workspace,
              const Norm& norm, const Tensor* added = nullptr) {
  const kernels::KernelTable& kernels = ctx.kernels;
  const RowBuffers buffers(workspace, kNormBuffers, size);
  ForRows(ctx.pool, sum.x->desc.Elements() / size, size, [&](int64_t row, int worker) {
    const float* s = sum.Row(kernels, row, size, buffers(worker, 0), buffers(worker, 1));
    float* y = FloatTarget(out[0], row * size, buffers(worker, 2));
    norm(s, y);
    if (added) {
      const float* r = LoadFloats(kernels, *added, row * size, size, buffers(worker, 1));
      kernels.binary(kernels::BinaryOp::kAdd, y, r, y, size);
    }
    StoreFloats(kernels, out[0], row * size, size, y);
    if (out.size() > 1) StoreFloats(kernels, out[1], row * size, size, s);
  });
}

}  // namespace atb
