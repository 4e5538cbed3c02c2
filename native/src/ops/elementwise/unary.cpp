#include "ops/elementwise/unary.h"

#include "ops/check.h"
#include "ops/rows.h"

namespace atb {

void Unary::InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const {
  RequireFloat(op_, 0, in[0]);
  out[0] = in[0];
}

void Unary::Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept {
  // The kernel is called for each row, so that an element's place in a call, and with it its rounding, does not depend
  // on the number of rows.
  const TensorDesc& desc = in[0].desc;
  const int64_t size = desc.rank == 0 ? 1 : desc.dim(-1);
  ForRows(ctx.pool, Extent(desc, 0, desc.rank - 1), size, [&](int64_t row, int) {
    ForBlocks(size, [&](int64_t start, int64_t n) {
      float buffer[kBlockElements], result[kBlockElements];
      const int64_t first = row * size + start;
      const float* x = LoadFloats(ctx.kernels, in[0], first, n, buffer);
      float* y = FloatTarget(out[0], first, result);
      ctx.kernels.unary(function_, x, y, n, arg_);
      StoreFloats(ctx.kernels, out[0], first, n, y);
    });
  });
}

}  // namespace atb
