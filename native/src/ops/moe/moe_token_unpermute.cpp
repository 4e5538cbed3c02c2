#include "ops/check.h"
#include "ops/factories.h"
#include "ops/moe/routing.h"

namespace atb {
namespace {

/// rows [tokens * chosen, n], places i32 [tokens * chosen], probs [tokens, chosen] -> the weighted sum of each token's
/// rows [tokens, n], added in the order in which the rows lie: see CombineRows.
class MoeTokenUnpermute : public Operation {
 public:
  static constexpr const char* kOp = "MoeTokenUnpermute";

  int NumInputs() const override { return 3; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    RequireFloat(kOp, 0, in[0]);
    RequireRank(kOp, 0, in[0], 2, 2);
    RequireVector(kOp, 1, in[1], DType::kI32, in[0].dim(0));
    RequireFloat(kOp, 2, in[2]);
    RequireRank(kOp, 2, in[2], 2, 2);
    if (in[2].Elements() != in[0].dim(0))
      FailShape(kOp, 2, std::to_string(in[0].dim(0)) + " numbers, one for each row of in0", in[2]);
    out[0] = in[0];
    out[0].dims[0] = in[2].dim(0);
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads, const kernels::KernelTable&) const override {
    return CombineBytes(threads, in[0].dim(1), in[2].dim(1));
  }

  void Validate(std::span<const Tensor> in) const override { ValidateChoices(kOp, 1, in[1], in[0].desc.dim(0)); }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    CombineRows(in[0], in[1].As<const int32_t>(), in[2], out[0], ctx, ctx.workspace);
  }
};

}  // namespace

std::unique_ptr<Operation> CreateMoeTokenUnpermute(const ParamObject& param) {
  ParamReader reader(MoeTokenUnpermute::kOp, param);
  reader.Done();
  return std::make_unique<MoeTokenUnpermute>();
}

}  // namespace atb
