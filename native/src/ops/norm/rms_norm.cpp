#include "ops/check.h"
#include "ops/factories.h"
#include "ops/norm/norm.h"
#include "ops/rows.h"

namespace atb {
namespace {

struct RmsNormParam {
  NormForm form = NormForm::kNorm;
  float epsilon = 1e-5f;
  bool has_bias = false;
  bool gemma = false;          ///< The weight is gamma + 1.
  bool adds_residual = false;  ///< To what was normalised; only with kNorm. Our extension.
};

/// kNorm:     x, gamma, [residual] -> norm(x) + residual
/// kPreNorm:  x, [bias], residual, gamma -> norm(s), s     with s = x + bias + residual
/// kPostNorm: x, [bias], residual, gamma -> norm(s)
/// norm(s) = s / sqrt(mean(s^2) + epsilon) * gamma over the last axis; x [..., H], gamma and bias [H] or [1, H].
class RmsNorm : public Operation {
 public:
  static constexpr const char* kOp = "RmsNorm";

  explicit RmsNorm(const RmsNormParam& param) : param_(param) {}
  int NumInputs() const override { return 2 + param_.has_bias + HasResidual(); }
  int NumOutputs() const override { return param_.form == NormForm::kPreNorm ? 2 : 1; }
  /// In place is allowed, because a row of x and of the residual is read as a whole before anything is written.
  bool InPlace(int input, int) const override {
    return param_.form != NormForm::kNorm && (input == 0 || input == Residual());
  }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const TensorDesc& x = in[0];
    RequireFloat(kOp, 0, x);
    RequireRank(kOp, 0, x, 1, kMaxRank);
    if (x.dim(-1) == 0) FailShape(kOp, 0, "of at least one element along its last axis", x);
    if (param_.has_bias) RequireVector(kOp, 1, in[1], x.dtype, x.dim(-1));
    if (HasResidual()) RequireSame(kOp, Residual(), At(in, Residual()), x);
    RequireVector(kOp, Gamma(), At(in, Gamma()), x.dtype, x.dim(-1));
    for (TensorDesc& desc : out) desc = x;
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads, const kernels::KernelTable&) const override {
    return RowBuffers::Bytes(1 + threads * kNormBuffers, 1, in[0].dim(-1));
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const kernels::KernelTable& kernels = ctx.kernels;
    const TensorDesc& x = in[0].desc;
    const int64_t size = x.dim(-1);
    const float* weight =
        LoadGamma(kernels, At(in, Gamma()), size, param_.gemma, reinterpret_cast<float*>(ctx.workspace));
    const NormSum sum{.x = &in[0],
                      .bias = param_.has_bias ? &in[1] : nullptr,
                      .residual = param_.form == NormForm::kNorm ? nullptr : &At(in, Residual()),
                      .scale = 1.0f};
    NormRows(
        sum, size, out, ctx, ctx.workspace + RowBuffers::Bytes(1, 1, size),
        [&](const float* s, float* y) { kernels.rms_norm(s, weight, y, size, param_.epsilon); },
        param_.adds_residual ? &At(in, Residual()) : nullptr);
  }

 private:
  bool HasResidual() const { return param_.form != NormForm::kNorm || param_.adds_residual; }
  int Residual() const { return param_.form == NormForm::kNorm ? 2 : 1 + param_.has_bias; }
  int Gamma() const { return param_.form == NormForm::kNorm ? 1 : NumInputs() - 1; }

  RmsNormParam param_;
};

}  // namespace

std::unique_ptr<Operation> CreateRmsNorm(const ParamObject& param) {
  ParamReader reader(RmsNorm::kOp, param);
  RmsNormParam p;
  switch (
      reader.Enum("layerType", {"RMS_NORM_UNDEFINED", "RMS_NORM_NORM", "RMS_NORM_PRENORM", "RMS_NORM_POSTNORM"}, 0)) {
    case 0:
      reader.Fail("layerType", "one of RMS_NORM_NORM, RMS_NORM_PRENORM, RMS_NORM_POSTNORM");
    case 1: {
      ParamReader block = reader.Object("normParam");
      p.epsilon = ReadEpsilon(block);
      block.Number("layerNormEps", 1e-5);  // ATB reads it for training only.
      block.Require("rstd", false);
      block.Require("precisionMode", "HIGH_PRECISION_MODE");
      block.Require("dynamicQuantType", "DYNAMIC_QUANT_UNDEFINED");
      p.gemma = block.Enum("modelType", {"LLAMA_MODEL", "GEMMA_MODEL"}, 0) == 1;
      block.Done();
      break;
    }
    case 2: {
      p.form = NormForm::kPreNorm;
      ParamReader block = reader.Object("preNormParam");
      p.epsilon = ReadEpsilon(block);
      p.has_bias = block.Bool("hasBias", false);
      block.Done();
      break;
    }
    default: {
      p.form = NormForm::kPostNorm;
      ParamReader block = reader.Object("postNormParam");
      p.epsilon = ReadEpsilon(block);
      p.has_bias = block.Bool("hasBias", false);
      block.Done();
    }
  }
  p.adds_residual = reader.Bool("hasResidual", false);
  if (p.adds_residual && p.form != NormForm::kNorm)
    reader.Fail("hasResidual", "false unless layerType is RMS_NORM_NORM");
  reader.Done();
  return std::make_unique<RmsNorm>(p);
}

}  // namespace atb
