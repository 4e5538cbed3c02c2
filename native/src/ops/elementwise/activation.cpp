#include <algorithm>
#include <cmath>

#include "ops/check.h"
#include "ops/elementwise/gate_clamp.h"
#include "ops/elementwise/unary.h"
#include "ops/factories.h"
#include "ops/rows.h"

namespace atb {
namespace {

using kernels::UnaryOp;

constexpr const char* kOp = "Activation";

/// x is cut in two halves along an axis, a and b: it is `rows` rows, each of `half` elements of a, then as many of b.
struct Halves {
  int64_t rows;
  int64_t half;

  Halves(const TensorDesc& x, int axis)
      : rows(Extent(x, 0, axis)), half(x.dim(axis) / 2 * Extent(x, axis + 1, x.rank)) {}
};

/// Of gates a, and of b which they gate, all of one block.
void ClampedSwiglu(const kernels::KernelTable& kernels, const kernels::GateClamp& clamp, const float* a, const float* b,
                   float* y, int64_t n) {
  const float limit = clamp.limit;
  const auto at_most = [limit](float x) { return limit < x ? limit : x; };  // A NaN stays.
  const bool clamps_last = clamp.form == kernels::ClampForm::kActivated;
  const float added = clamp.form == kernels::ClampForm::kPlusOne ? 1 : 0;
  float gate[kBlockElements], up[kBlockElements];
  for (int64_t i = 0; i < n; ++i) {
    gate[i] = clamps_last ? a[i] : at_most(a[i]);
    up[i] = (b[i] < -limit ? -limit : at_most(b[i])) + added;
  }
  kernels.unary(UnaryOp::kSwish, gate, gate, n, clamp.scale);
  if (clamps_last) std::transform(gate, gate + n, gate, at_most);
  kernels.binary(kernels::BinaryOp::kMul, gate, up, y, n);
}

/// silu(a) * b; or clamped, which is our extension.
class SwigluForward : public Operation {
 public:
  SwigluForward(int64_t dim, kernels::GateClamp clamp) : dim_(dim), clamp_(clamp) {}
  int NumInputs() const override { return 1; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    RequireFloat(kOp, 0, in[0]);
    const int axis = RequireAxis(kOp, dim_, in[0]);
    if (in[0].dim(axis) % 2 != 0) FailShape(kOp, 0, "even along axis " + std::to_string(axis), in[0]);
    out[0] = in[0];
    out[0].dims[static_cast<size_t>(axis)] /= 2;
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const Halves x(in[0].desc, RequireAxis(kOp, dim_, in[0].desc));
    ForRows(ctx.pool, x.rows, x.half, [&](int64_t row, int) {
      ForBlocks(x.half, [&](int64_t start, int64_t n) {
        float a_buffer[kBlockElements], b_buffer[kBlockElements], result[kBlockElements];
        const int64_t first = row * 2 * x.half + start;
        const float* a = LoadFloats(ctx.kernels, in[0], first, n, a_buffer);
        const float* b = LoadFloats(ctx.kernels, in[0], first + x.half, n, b_buffer);
        float* y = FloatTarget(out[0], row * x.half + start, result);
        clamp_.limit > 0 ? ClampedSwiglu(ctx.kernels, clamp_, a, b, y, n) : ctx.kernels.swiglu(a, b, y, n);
        StoreFloats(ctx.kernels, out[0], row * x.half + start, n, y);
      });
    });
  }

 private:
  int64_t dim_;
  kernels::GateClamp clamp_;
};

/// Gradient of SwigluForward: (dy, x) -> dx, dx = (dy * b * silu'(a), dy * silu(a)).
class SwigluBackward : public Operation {
 public:
  explicit SwigluBackward(int64_t dim) : dim_(dim) {}
  int NumInputs() const override { return 2; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    RequireFloat(kOp, 1, in[1]);
    const int axis = RequireAxis(kOp, dim_, in[1], 1);
    if (in[1].dim(axis) % 2 != 0) FailShape(kOp, 1, "even along axis " + std::to_string(axis), in[1]);
    out[0] = in[1];
    TensorDesc half = in[1];
    half.dims[static_cast<size_t>(axis)] /= 2;
    RequireSame(kOp, 0, in[0], half);
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const Halves x(in[1].desc, RequireAxis(kOp, dim_, in[1].desc));
    ForRows(ctx.pool, x.rows, x.half, [&](int64_t row, int) {
      ForBlocks(x.half, [&](int64_t start, int64_t n) {
        float dy_buffer[kBlockElements], a_buffer[kBlockElements], b_buffer[kBlockElements];
        float da[kBlockElements], db[kBlockElements];
        const int64_t first = row * 2 * x.half + start;
        const float* dy = LoadFloats(ctx.kernels, in[0], row * x.half + start, n, dy_buffer);
        const float* a = LoadFloats(ctx.kernels, in[1], first, n, a_buffer);
        const float* b = LoadFloats(ctx.kernels, in[1], first + x.half, n, b_buffer);
        for (int64_t i = 0; i < n; ++i) {
          const float sigmoid = 1.0f / (1.0f + std::exp(-a[i]));
          da[i] = dy[i] * b[i] * sigmoid * (1.0f + a[i] * (1.0f - sigmoid));
          db[i] = dy[i] * a[i] * sigmoid;
        }
        StoreFloats(ctx.kernels, out[0], first, n, da);
        StoreFloats(ctx.kernels, out[0], first + x.half, n, db);
      });
    });
  }

 private:
  int64_t dim_;
};

}  // namespace

std::unique_ptr<Operation> CreateActivation(const ParamObject& param) {
  ParamReader reader(kOp, param);
  enum Type { kUndefined, kRelu, kGelu, kFastGelu, kSwish, kLog, kSwiglu, kSwigluBackward, kSigmoid };
  const int type = reader.Enum(
      "activationType",
      {"ACTIVATION_UNDEFINED", "ACTIVATION_RELU", "ACTIVATION_GELU", "ACTIVATION_FAST_GELU", "ACTIVATION_SWISH",
       "ACTIVATION_LOG", "ACTIVATION_SWIGLU_FORWARD", "ACTIVATION_SWIGLU_BACKWARD", "ACTIVATION_SIGMOID"},
      kUndefined);
  const auto scale = static_cast<float>(reader.Number("scale", 1.0));
  const int64_t dim = reader.Int("dim", -1, -kMaxRank, kMaxRank - 1);
  const kernels::GateClamp clamp = ReadGateClamp(reader, type == kSwiglu);
  const bool tanh = reader.Enum("geluMode", {"TANH_MODE", "NONE_MODE"}, 0) == 0;
  reader.Done();
  if (type == kUndefined) reader.Fail("activationType", "a function");
  if (scale != 1.0f && type != kSwish) reader.Fail("scale", "1 unless activationType is ACTIVATION_SWISH");
  if (dim != -1 && type != kSwiglu && type != kSwigluBackward)
    reader.Fail("dim", "-1 for functions of single elements");
  if (!tanh && type != kGelu) reader.Fail("geluMode", "TANH_MODE unless activationType is ACTIVATION_GELU");
  const auto unary = [](UnaryOp function, float arg = 0.0f) { return std::make_unique<Unary>(kOp, function, arg); };
  switch (type) {
    case kRelu:
      return unary(UnaryOp::kRelu);
    case kGelu:
      return unary(tanh ? UnaryOp::kGeluTanh : UnaryOp::kGeluErf);
    case kFastGelu:
      return unary(UnaryOp::kFastGelu);
    case kSwish:
      return unary(UnaryOp::kSwish, scale);
    case kLog:
      return unary(UnaryOp::kLog);
    case kSwiglu:
      return std::make_unique<SwigluForward>(dim, clamp);
    case kSwigluBackward:
      return std::make_unique<SwigluBackward>(dim);
    default:
      return unary(UnaryOp::kSigmoid);
  }
}

std::unique_ptr<Operation> CreateSigmoid(const ParamObject& param) {
  ParamReader("Sigmoid", param).Done();
  return std::make_unique<Unary>("Sigmoid", UnaryOp::kSigmoid);
}

}  // namespace atb
