#include "ops/check.h"
#include "ops/factories.h"
#include "ops/norm/norm.h"
#include "ops/rows.h"

namespace atb {
namespace {

struct LayerNormParam {
  NormForm form = NormForm::kNorm;
  float epsilon = 1e-5f;
  int64_t begin_axis = -1;  ///< First of the axes normalised together.
  float zoom = 1.0f;        ///< Factor of the residual.
};

/// kNorm:     x, gamma, beta -> norm(x)
/// kPreNorm:  x, residual, gamma, beta -> norm(s), s     with s = x + zoom * residual
/// kPostNorm: x, residual, gamma, beta -> norm(s)
/// norm(s) = (s - mean) / sqrt(var + epsilon) * gamma + beta, var the biased variance, over the axes from begin_axis
/// on; gamma and beta have the shape of those axes, or one axis of as many elements.
class LayerNorm : public Operation {
 public:
  static constexpr const char* kOp = "LayerNorm";

  explicit LayerNorm(const LayerNormParam& param) : param_(param) {}
  int NumInputs() const override { return param_.form == NormForm::kNorm ? 3 : 4; }
  int NumOutputs() const override { return param_.form == NormForm::kPreNorm ? 2 : 1; }
  /// In place is allowed, because a row of x and of the residual is read as a whole before anything is written.
  bool InPlace(int input, int) const override { return param_.form != NormForm::kNorm && input <= 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const TensorDesc& x = in[0];
    RequireFloat(kOp, 0, x);
    const int axis = RequireAxis(kOp, param_.begin_axis, x);
    if (Extent(x, axis, x.rank) == 0) FailShape(kOp, 0, "of at least one element to normalise", x);
    if (param_.form != NormForm::kNorm) RequireSame(kOp, 1, in[1], x);
    RequireWeight(NumInputs() - 2, in, axis);
    RequireWeight(NumInputs() - 1, in, axis);
    for (TensorDesc& desc : out) desc = x;
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads, const kernels::KernelTable&) const override {
    return RowBuffers::Bytes(2 + threads * kNormBuffers, 1, RowSize(in[0]));
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const kernels::KernelTable& kernels = ctx.kernels;
    const TensorDesc& x = in[0].desc;
    const int64_t size = RowSize(x);
    const RowBuffers weights(ctx.workspace, 2, size);
    const float* gamma = LoadFloats(kernels, in[in.size() - 2], 0, size, weights(0, 0));
    const float* beta = LoadFloats(kernels, in[in.size() - 1], 0, size, weights(0, 1));
    const NormSum sum{.x = &in[0],
                      .bias = nullptr,
                      .residual = param_.form == NormForm::kNorm ? nullptr : &in[1],
                      .scale = param_.zoom};
    NormRows(sum, size, out, ctx, ctx.workspace + RowBuffers::Bytes(1, 2, size),
             [&](const float* s, float* y) { kernels.layer_norm(s, gamma, beta, y, size, param_.epsilon); });
  }

 private:
  int64_t RowSize(const TensorDesc& x) const { return Extent(x, RequireAxis(kOp, param_.begin_axis, x), x.rank); }

  static void RequireWeight(int input, std::span<const TensorDesc> in, int axis) {
    const TensorDesc& x = in[0];
    const TensorDesc& weight = At(in, input);
    TensorDesc trailing = x;
    trailing.rank = static_cast<uint8_t>(x.rank - axis);
    for (int i = axis; i < x.rank; ++i) trailing.dims[static_cast<size_t>(i - axis)] = x.dim(i);
    if (trailing.rank > 1 && weight.SameShape(trailing)) return RequireDType(kOp, input, weight, x.dtype);
    RequireVector(kOp, input, weight, x.dtype, trailing.Elements());
  }

  LayerNormParam param_;
};

}  // namespace

std::unique_ptr<Operation> CreateLayerNorm(const ParamObject& param) {
  ParamReader reader(LayerNorm::kOp, param);
  LayerNormParam p;
  const auto read_residual = [&](ParamReader block) {
    p.epsilon = ReadEpsilon(block);
    block.Require("opMode", 0);
    p.zoom = static_cast<float>(block.Number("zoomScaleValue", 1.0));
    block.Done();
  };
  switch (reader.Enum("layerType",
                      {"LAYER_NORM_UNDEFINED", "LAYER_NORM_NORM", "LAYER_NORM_PRENORM", "LAYER_NORM_POSTNORM"}, 0)) {
    case 0:
      reader.Fail("layerType", "one of LAYER_NORM_NORM, LAYER_NORM_PRENORM, LAYER_NORM_POSTNORM");
    case 1: {
      ParamReader block = reader.Object("normParam");
      p.epsilon = ReadEpsilon(block);
      p.begin_axis = block.Int("beginNormAxis", 0, -kMaxRank, kMaxRank - 1);
      // Gamma and beta always belong to the normalised axes; the device ignores this one.
      block.Int("beginParamsAxis", 0, -kMaxRank, kMaxRank - 1);
      block.Require("dynamicQuantType", "DYNAMIC_QUANT_UNDEFINED");
      block.Done();
      break;
    }
    case 2:
      p.form = NormForm::kPreNorm;
      read_residual(reader.Object("preNormParam"));
      break;
    default:
      p.form = NormForm::kPostNorm;
      read_residual(reader.Object("postNormParam"));
  }
  reader.Done();
  return std::make_unique<LayerNorm>(p);
}

}  // namespace atb
