#include <cmath>

#include "ops/check.h"
#include "ops/factories.h"
#include "ops/rows.h"

namespace atb {
namespace {

/// x [.., n] -> the sum of the absolute values of each row, [.., 1], computed in f32 from front to back.
class VectorNorm : public Operation {
 public:
  static constexpr const char* kOp = "VectorNorm";

  int NumInputs() const override { return 1; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    RequireFloat(kOp, 0, in[0]);
    RequireRank(kOp, 0, in[0], 1, kMaxRank);
    out[0] = in[0];
    out[0].dims[in[0].rank - 1u] = 1;
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads, const kernels::KernelTable&) const override {
    return RowBuffers::Bytes(threads, 1, in[0].dim(-1));
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const int64_t size = in[0].desc.dim(-1);
    const RowBuffers buffers(ctx.workspace, 1, size);
    ForRows(ctx.pool, out[0].desc.Elements(), size, [&](int64_t row, int worker) {
      const float* x = LoadFloats(ctx.kernels, in[0], row * size, size, buffers(worker, 0));
      float sum = 0;
      for (int64_t i = 0; i < size; ++i) sum += std::fabs(x[i]);
      StoreFloats(ctx.kernels, out[0], row, 1, &sum);
    });
  }
};

}  // namespace

std::unique_ptr<Operation> CreateVectorNorm(const ParamObject& param) {
  ParamReader reader(VectorNorm::kOp, param);
  reader.Done();
  return std::make_unique<VectorNorm>();
}

}  // namespace atb
