#include <algorithm>
#include <cmath>

#include "ops/check.h"
#include "ops/factories.h"
#include "ops/rows.h"

namespace atb {
namespace {

struct GroupTopkParam {
  int64_t groups;
  int64_t kept;
  int64_t scored;  ///< A group's score is the sum of so many of its largest numbers.
};

/// x [tokens, experts], of which groups of neighbours stay or become 0: the `k` groups of the highest scores stay, of
/// equal ones the first. A score is the largest number of a group, or with SUM_MULTI_MAX the sum of its n largest. The
/// second input, ATB's table of indices, is not read.
class GroupTopk : public Operation {
 public:
  static constexpr const char* kOp = "GroupTopk";

  explicit GroupTopk(const GroupTopkParam& param) : param_(param) {}
  int NumInputs() const override { return 2; }
  int NumOutputs() const override { return 1; }
  bool InPlace(int input, int) const override { return input == 0; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    RequireFloat(kOp, 0, in[0]);
    RequireRank(kOp, 0, in[0], 2, 2);
    if (in[0].dim(1) % param_.groups != 0 || in[0].dim(1) / param_.groups < param_.scored)
      FailShape(kOp, 0, "of " + std::to_string(param_.groups) + " groups of at least " + std::to_string(param_.scored),
                in[0]);
    RequireDType(kOp, 1, in[1], DType::kI32);
    out[0] = in[0];
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads, const kernels::KernelTable&) const override {
    return RowBuffers::Bytes(threads, 4, in[0].dim(1));
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const int64_t experts = in[0].desc.dim(1), size = experts / param_.groups;
    const RowBuffers buffers(ctx.workspace, 4, experts);
    ForRows(ctx.pool, in[0].desc.dim(0), experts, [&](int64_t row, int worker) {
      const float* x = LoadFloats(ctx.kernels, in[0], row * experts, experts, buffers(worker, 0));
      float* const sorted = buffers(worker, 1);
      float* const scores = buffers(worker, 2);
      auto* const order = reinterpret_cast<int32_t*>(buffers(worker, 3));
      for (int64_t g = 0; g < param_.groups; ++g) {
        std::partial_sort_copy(x + g * size, x + (g + 1) * size, sorted, sorted + param_.scored, After);
        scores[g] = 0;
        for (int64_t i = 0; i < param_.scored; ++i) scores[g] += sorted[i];
        order[g] = static_cast<int32_t>(g);
      }
      std::partial_sort(order, order + param_.kept, order + param_.groups, [scores](int32_t a, int32_t b) {
        return After(scores[a], scores[b]) || (!After(scores[b], scores[a]) && a < b);
      });
      float* const result = FloatTarget(out[0], row * experts, buffers(worker, 0));
      if (result != x) std::copy_n(x, experts, result);
      for (int64_t i = param_.kept; i < param_.groups; ++i) std::fill_n(result + order[i] * size, size, 0.0f);
      StoreFloats(ctx.kernels, out[0], row * experts, experts, result);
    });
  }

 private:
  /// Descending; NaN counts as larger than all.
  static bool After(float a, float b) { return std::isnan(a) ? !std::isnan(b) : !std::isnan(b) && a > b; }

  GroupTopkParam param_;
};

}  // namespace

std::unique_ptr<Operation> CreateGroupTopk(const ParamObject& object) {
  ParamReader reader(GroupTopk::kOp, object);
  GroupTopkParam param{};
  param.groups = reader.Int("groupNum", 1, 1, INT16_MAX);
  param.kept = reader.Int("k", 0, 1, param.groups);
  const int64_t n = reader.Int("n", 1, 1, INT16_MAX);
  // ATB's enum, as the integer that its parser wants.
  param.scored = reader.Int("groupMultiFlag", 0, 0, 1) == 1 ? n : 1;
  reader.Done();
  return std::make_unique<GroupTopk>(param);
}

}  // namespace atb
