#include <cstring>

#include "ops/check.h"
#include "ops/factories.h"
#include "ops/moe/routing.h"
#include "ops/rows.h"

namespace atb {
namespace {

/// x [tokens, k], chosen i32 [tokens, topkNum] -> the rows of x sorted by their experts [tokens * topkNum, k], the
/// sorted row of each choice i32 [tokens * topkNum], and how many rows the experts up to each one have, i32
/// [expertNum].
class MoeInitRouting : public Operation {
 public:
  static constexpr const char* kOp = "MoeInitRouting";

  MoeInitRouting(int64_t top_k, int64_t experts) : top_k_(top_k), experts_(experts) {}
  int NumInputs() const override { return 2; }
  int NumOutputs() const override { return 3; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    RequireDense(kOp, 0, in[0]);
    RequireRank(kOp, 0, in[0], 2, 2);
    RequireChoices(kOp, 1, in[1], in[0].dim(0));
    if (in[1].dim(1) != top_k_) FailShape(kOp, 1, "[tokens," + std::to_string(top_k_) + "]", in[1]);
    out[0] = in[0];
    out[0].dims[0] = in[1].Elements();
    out[1] = TensorDesc(DType::kI32, {in[1].Elements()});
    out[2] = TensorDesc(DType::kI32, {experts_});
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int, const kernels::KernelTable&) const override {
    return Routing::Bytes(in[0].dim(0), top_k_, experts_);
  }

  void Validate(std::span<const Tensor> in) const override { ValidateChoices(kOp, 1, in[1], experts_); }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const Routing routing = Routing::Sort(in[1], experts_, ctx.workspace);
    const int64_t columns = in[0].desc.dim(1);
    const size_t row_bytes = static_cast<size_t>(columns) * SizeOf(in[0].desc.dtype);
    ForRows(ctx.pool, out[0].desc.dim(0), columns, [&](int64_t row, int) {
      std::memcpy(ElementAt(out[0], row * columns), ElementAt(in[0], routing.tokens[row] * columns), row_bytes);
    });
    std::copy_n(routing.places, out[1].desc.Elements(), out[1].As<int32_t>());
    auto* ends = out[2].As<int32_t>();
    int64_t expert = 0;
    for (const ExpertRows& group : routing.groups) {
      for (; expert < group.expert; ++expert) ends[expert] = static_cast<int32_t>(group.first);
      ends[expert++] = static_cast<int32_t>(group.first + group.count);
    }
    for (; expert < experts_; ++expert) ends[expert] = static_cast<int32_t>(out[0].desc.dim(0));
  }

 private:
  int64_t top_k_;
  int64_t experts_;
};

}  // namespace

std::unique_ptr<Operation> CreateMoeInitRouting(const ParamObject& param) {
  ParamReader reader(MoeInitRouting::kOp, param);
  const int64_t top_k = reader.Int("topkNum", 2, 1, INT16_MAX);
  const int64_t experts = reader.Int("expertNum", 8, 1, INT16_MAX);
  reader.Done();
  return std::make_unique<MoeInitRouting>(top_k, experts);
}

}  // namespace atb
