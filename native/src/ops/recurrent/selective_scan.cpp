#include <algorithm>
#include <cmath>

#include "ops/check.h"
#include "ops/factories.h"
#include "ops/recurrent/recurrent_heads.h"

namespace atb {
namespace {

struct SelectiveScanParam {
  HeadSizes sizes;  ///< key_size is that of a state, value_size that of a head.
  int64_t groups = 1;
  float least_step = 0;
  float most_step = 0;
};

/// Mamba-2's state space (arXiv:2405.21060): rows [tokens, heads * headSize + 2 * groups * stateSize], which are x, B and C
/// side by side, steps [tokens, heads], f32 [heads] of log decay, of what steps are biased by, and of D, by which x is added
/// to what comes out, and a state (state.h) of `heads` matrices [stateSize, headSize] -> [tokens, heads * headSize] of the
/// rows' dtype, and the state in place. As many neighbouring heads share each group of B and C.
class SelectiveScan : public Operation {
 public:
  static constexpr const char* kOp = "SelectiveScan";
  enum Input { kRows, kSteps, kLogDecay, kStepBias, kSkip, kState };

  explicit SelectiveScan(const SelectiveScanParam& param) : param_(param), heads_(param.sizes), state_{kOp, kState} {}
  int NumInputs() const override { return state_.count(); }
  int NumOutputs() const override { return 2; }
  bool InPlace(int input, int output) const override { return input == kState && output == 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const TensorDesc& rows = in[kRows];
    RequireFloat(kOp, kRows, rows);
    RequireRank(kOp, kRows, rows, 2, 2);
    if (rows.dim(1) != Width()) FailShape(kOp, kRows, "[tokens," + std::to_string(Width()) + "]", rows);
    RequireRows(kOp, kSteps, in[kSteps], rows.dim(0), param_.sizes.heads);
    for (int i : {kLogDecay, kStepBias, kSkip})
      RequireVector(kOp, i, in[static_cast<size_t>(i)], DType::kF32, param_.sizes.heads);
    state_.Check(in, rows.dim(0), param_.sizes.state());
    out[0] = TensorDesc(rows.dtype, {rows.dim(0), Values()});
    out[1] = in[kState];
  }

  size_t WorkspaceBytes(std::span<const TensorDesc>, int threads, const kernels::KernelTable&) const override {
    return heads_.WorkspaceBytes(threads);
  }

  void Validate(std::span<const Tensor> in) const override { state_.Validate(in); }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    KeepState(in[kState], out[1]);
    heads_.Run(
        state_, in, out[0], out[1], false, ctx,
        [&](const HeadPiece& piece) {
          for (int64_t i = 0; i < piece.count; ++i) Make(in, piece, i, ctx.kernels);
        },
        [&](const HeadPiece& piece) { AddSkipped(in, piece, ctx.kernels); });
  }

 private:
  int64_t Values() const { return param_.sizes.heads * param_.sizes.value_size; }
  int64_t Width() const { return Values() + 2 * param_.groups * param_.sizes.key_size; }

  void Make(std::span<const Tensor> in, const HeadPiece& piece, int64_t i, const kernels::KernelTable& kernels) const {
    const auto& [heads, size, head_size] = param_.sizes;
    const int64_t row = (piece.token + i) * Width();
    const int64_t group = piece.head / (heads / param_.groups) * size;
    Load(kernels, in[kRows], row + Values() + group, size, piece.k + i * size);
    Load(kernels, in[kRows], row + Values() + param_.groups * size + group, size, piece.q + i * size);
    float* v = piece.v + i * piece.columns;
    Load(kernels, in[kRows], row + piece.head * head_size + piece.column, piece.wanted, v);
    float step = 0;
    Load(kernels, in[kSteps], (piece.token + i) * heads + piece.head, 1, &step);
    step = std::clamp(Softplus(step + in[kStepBias].As<float>()[piece.head]), param_.least_step, param_.most_step);
    piece.decay[i] = std::exp(-std::exp(in[kLogDecay].As<float>()[piece.head]) * step);
    kernels.unary(kernels::UnaryOp::kMuls, v, v, piece.wanted, step);
  }

  void AddSkipped(std::span<const Tensor> in, const HeadPiece& piece, const kernels::KernelTable& kernels) const {
    const float skip = in[kSkip].As<float>()[piece.head];
    for (int64_t i = 0; i < piece.count; ++i) {
      float *x = piece.v + i * piece.columns, *out = piece.out + i * piece.columns;
      Load(kernels, in[kRows], (piece.token + i) * Width() + piece.head * param_.sizes.value_size + piece.column,
           piece.wanted, x);
      kernels.unary(kernels::UnaryOp::kMuls, x, x, piece.wanted, skip);
      kernels.binary(kernels::BinaryOp::kAdd, out, x, out, piece.wanted);
    }
  }

  SelectiveScanParam param_;
  RecurrentHeads heads_;
  StateInputs state_;
};

}  // namespace

std::unique_ptr<Operation> CreateSelectiveScan(const ParamObject& param) {
  ParamReader reader(SelectiveScan::kOp, param);
  SelectiveScanParam p;
  p.sizes = {RequiredSize(reader, "heads", kMostHeads), RequiredSize(reader, "stateSize", kMostHeadSize),
             RequiredSize(reader, "headSize", kMostHeadSize)};
  p.groups = reader.Int("groups", 1, 1, kMostHeads);
  if (p.sizes.heads % p.groups != 0) reader.Fail("heads", "a multiple of groups");
  p.least_step = static_cast<float>(reader.Number("leastStep", 0));
  p.most_step = static_cast<float>(reader.Number("mostStep", 3e38));
  if (p.least_step > p.most_step) reader.Fail("leastStep", "at most mostStep");
  reader.Done();
  return std::make_unique<SelectiveScan>(p);
}

}  // namespace atb
