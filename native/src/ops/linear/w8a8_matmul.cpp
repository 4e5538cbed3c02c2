#include <algorithm>

#include "base/align.h"
#include "base/checked.h"
#include "ops/check.h"
#include "ops/elementwise/cast.h"
#include "ops/factories.h"
#include "ops/linear/gemm.h"
#include "ops/linear/int8_linear.h"
#include "ops/linear/integer_weight.h"
#include "ops/rows.h"

namespace atb {
namespace {

using kernels::PackedWeight;

/// Inputs that there are not are 0.
struct W8A8Param {
  DType out;
  int row_scale = 0;
  int bias = 0;
};

/// out = (x w) * scale * perTokenScale + bias: x int8 [.., m, k], w int8, scale [n] of floats, perTokenScale f32 [m],
/// bias [n]: f32 or of the output's dtype, or without perTokenScale i32, which is added to the sums before they are
/// scaled. The Linear of int8 is the same without perTokenScale, and has its bias before its scale.
class W8A8MatMul : public Operation {
 public:
  static constexpr const char* kOp = "W8A8MatMul";
  enum Input { kX, kWeight };

  W8A8MatMul(const IntegerWeight& weight, const W8A8Param& param) : weight_(weight), param_(param) {}
  int NumInputs() const override { return 3 + (param_.row_scale != 0) + (param_.bias != 0); }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const TensorDesc& x = in[kX];
    RequireDType(weight_.op, kX, x, DType::kI8);
    RequireRank(weight_.op, kX, x, 2, 3);
    const IntegerWeight::Sizes sizes = weight_.Check(in, x.dim(-1));
    const int64_t m = Extent(x, 0, x.rank - 1);
    if (param_.row_scale != 0) {
      const TensorDesc& scales = At(in, param_.row_scale);
      RequireDType(weight_.op, param_.row_scale, scales, DType::kF32);
      if (scales.Elements() != m)
        FailShape(weight_.op, param_.row_scale, std::to_string(m) + " numbers, one per row of in0", scales);
    }
    if (param_.bias != 0) {
      const TensorDesc& bias = At(in, param_.bias);
      const bool integers = bias.dtype == DType::kI32 && param_.row_scale == 0;
      const DType wanted = integers || bias.dtype == DType::kF32 ? bias.dtype : param_.out;
      RequireVector(weight_.op, param_.bias, bias, wanted, sizes.n);
    }
    out[0] = x;
    out[0].dtype = param_.out;
    out[0].dims[static_cast<size_t>(x.rank - 1)] = sizes.n;
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads,
                        const kernels::KernelTable& kernels) const override {
    const int64_t m = Extent(in[kX], 0, in[kX].rank - 1), k = in[kX].dim(-1);
    const auto multiply = static_cast<int64_t>(MultiplyBytes(threads, kernels, m, k, 1));
    const int64_t bias = Align(CheckedMul(weight_.SizesOf(in[kWeight]).n, static_cast<int64_t>(sizeof(float))));
    return static_cast<size_t>(CheckedAdd(CheckedAdd(multiply, bias), weight_.Bytes(in, threads)));
  }

  void Validate(std::span<const Tensor> in) const override { weight_.Validate(in); }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    if (out[0].desc.Elements() == 0) return;
    const int64_t m = Extent(in[kX].desc, 0, in[kX].desc.rank - 1), k = in[kX].desc.dim(-1);
    const int64_t n = out[0].desc.dim(-1);
    std::byte* rest = ctx.workspace + MultiplyBytes(ctx.pool.threads(), ctx.kernels, m, k, 1);
    auto* const scaled_bias = reinterpret_cast<float*>(rest);
    rest += Align(n * static_cast<int64_t>(sizeof(float)));
    const PackedWeight weight = weight_.Resolve(in, ctx, rest);
    MultiplyCall call{
        .weight = &weight,
        .x = in[kX].data,
        .m = m,
        .x_stride = k,
        .bias = param_.bias ? At(in, param_.bias).data : nullptr,
        .bias_dtype = param_.bias ? At(in, param_.bias).desc.dtype : DType::kF32,
        .residual = nullptr,
        .out = out[0].data,
        .out_dtype = out[0].desc.dtype,
        .out_stride = n,
        .x_dtype = DType::kI8,
        .planes = 1,
        .x_scales = param_.row_scale ? At(in, param_.row_scale).As<float>() : nullptr,
    };
    if (call.bias_dtype == DType::kI32) {
      const auto* integers = static_cast<const int32_t*>(call.bias);
      for (int64_t i = 0; i < n; ++i) scaled_bias[i] = static_cast<float>(integers[i]) * weight.scales[i];
      call.bias = scaled_bias;
      call.bias_dtype = DType::kF32;
    }
    Multiply(call, ctx.kernels, ctx.pool, ctx.workspace);
  }

 private:
  IntegerWeight weight_;
  W8A8Param param_;
};

}  // namespace

std::unique_ptr<Operation> CreateW8A8MatMul(const ParamObject& object) {
  ParamReader reader(W8A8MatMul::kOp, object);
  const IntegerWeight weight{W8A8MatMul::kOp, 8, reader.Bool("transposeB", false), 0};
  W8A8Param param{};
  param.row_scale = reader.Bool("hasPerTokenScale", false) ? 3 : 0;
  if (reader.Bool("hasBias", false)) param.bias = param.row_scale == 0 ? 3 : 4;
  param.out = reader.Bool("isBF16", true) ? DType::kBF16 : DType::kF16;
  // Our extension, for f32 models and for logits.
  const std::optional<DType> out = ReadDType(reader, "outDataType");
  if (out && out != DType::kF32) reader.Fail("outDataType", "ACL_DT_UNDEFINED or ACL_FLOAT");
  if (out) param.out = DType::kF32;
  reader.Done();
  return std::make_unique<W8A8MatMul>(weight, param);
}

std::unique_ptr<Operation> MakeInt8Linear(const char* op, bool transpose_b, bool has_bias, DType out) {
  const int scale = has_bias ? 3 : 2;
  const IntegerWeight weight{.op = op, .bits = 8, .transpose_b = transpose_b, .group = 0, .scale_input = scale};
  return std::make_unique<W8A8MatMul>(weight, W8A8Param{.out = out, .bias = has_bias ? 2 : 0});
}

}  // namespace atb
