#include <algorithm>

#include "base/align.h"
#include "base/checked.h"
#include "kernels/pack.h"
#include "ops/check.h"
#include "ops/factories.h"
#include "ops/linear/gemm.h"
#include "ops/linear/integer_weight.h"
#include "ops/linear/pack_panels.h"
#include "ops/norm/norm.h"
#include "ops/rows.h"

namespace atb {
namespace {

using kernels::PackedWeight;

/// Up to this many rows, every thread normalises all of them for itself, about 0.2 microseconds for a row of 2048. That
/// saves a barrier, and such a product is bound by reading its weights anyway.
constexpr int64_t kRowsOfEach = 32;

/// What normalises the rows: nothing, RmsNorm, RmsNorm with gamma + 1, or LayerNorm.
enum class RowNorm { kNone, kRms, kRmsPlusOne, kLayer };

struct FusedLinearParam {
  RowNorm norm;
  float epsilon;
  bool has_bias;
  kernels::UnaryOp activation;
  bool gated;  ///< The weight is gate over up.
  bool has_residual;
  bool f32_out;
  int weight_bits;  ///< 0: floats.
  int64_t group;    ///< Of integers: channels that share a scale, or 0.
  bool has_offset;  ///< Integers have offsets.
  kernels::WeightNumbers numbers;
  bool int8_activations;  ///< Rows become int8 with a scale each, as DynamicQuant makes them.

  /// Inputs between x and the weight: gamma, and LayerNorm's beta.
  int NormInputs() const { return norm == RowNorm::kNone ? 0 : norm == RowNorm::kLayer ? 2 : 1; }
};

/// Our extension: out = act(norm(x) w + bias) + residual, what RmsNorm or LayerNorm, Linear, Activation and Elewise
/// (add) compute one after another, rounded only where a product reads its rows and at the end. With the activations
/// "swiglu", "geglu" and "geglu-tanh" the weight is gate over up, and act(x) is act(gate(x)) * up(x). Inputs:
/// x [.., m, k], gamma [k] with normEpsilon, beta [k] with normType "layer", w [n, k], bias [n] with hasBias, residual
/// like out with hasResidual. out: [.., m, n], or n / 2 columns where they are gated. With weightBits w is integers and
/// its scales follow it, and with hasOffset its offsets, packed with it, as in W8A16MatMul and W4A16MatMul, and
/// weightNumbers says what they hold; with int8Activations rows become int8 before, as DynamicQuant makes them.
class FusedLinear : public Operation {
 public:
  static constexpr const char* kOp = "FusedLinear";

  explicit FusedLinear(const FusedLinearParam& param)
      : param_(param),
        integers_{kOp,
                  param.weight_bits,
                  true,
                  param.group,
                  1 + param.NormInputs(),
                  2 + param.NormInputs(),
                  param.has_offset ? 3 + param.NormInputs() : 0,
                  param.gated,
                  param.numbers} {}
  int NumInputs() const override { return Residual() + param_.has_residual; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const TensorDesc& x = in[0];
    const TensorDesc& weight = At(in, Weight());
    RequireFloat(kOp, 0, x);
    RequireRank(kOp, 0, x, 2, 3);
    if (param_.weight_bits) {
      integers_.Check(in, x.dim(-1));
    } else {
      if (weight.layout != Layout::kPackedLinear) RequireDense(kOp, Weight(), weight);
      if (weight.dtype != x.dtype) FailDType(kOp, Weight(), std::string(ToString(x.dtype)) + ", as in0 is", weight);
      RequireRank(kOp, Weight(), weight, 2, 2);
    }
    const int64_t n = weight.dim(0);
    const int64_t k = param_.weight_bits ? integers_.SizesOf(weight).k : weight.dim(1);
    if (k != x.dim(-1) || k < 1 || n < 1 || (param_.gated && n % 2 != 0)) {
      const char* halves = param_.gated ? "[n, k] with an even n and k " : "[n, k] with k ";
      FailShape(kOp, Weight(), halves + std::to_string(x.dim(-1)) + ", as in0 " + ToString(x) + " has", weight);
    }
    out[0] = x;
    out[0].dims[static_cast<size_t>(x.rank - 1)] = param_.gated ? n / 2 : n;
    if (param_.f32_out) out[0].dtype = DType::kF32;
    for (int i = 1; i < Weight(); ++i) RequireVector(kOp, i, At(in, i), x.dtype, k);
    if (param_.has_bias) {
      const TensorDesc& bias = At(in, Bias());
      RequireVector(kOp, Bias(), bias, bias.dtype == DType::kF32 ? DType::kF32 : x.dtype, n);
    }
    if (param_.has_residual) RequireSame(kOp, Residual(), At(in, Residual()), out[0]);
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads,
                        const kernels::KernelTable& kernels) const override {
    return Space(*this, in, threads, kernels).bytes;
  }

  void Validate(std::span<const Tensor> in) const override {
    const Tensor& weight = At(in, Weight());
    if (param_.weight_bits) integers_.Validate(in);
    if (!param_.gated || weight.desc.layout != Layout::kPackedLinear) return;
    if (!weight.As<const PackedWeight>()->interleaved) {
      throw InputError("NATIVE_LAYOUT_MISMATCH", kOp, Weight(), "a weight whose gate and up panels alternate",
                       "one packed as a single matrix");
    }
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    if (out[0].desc.Elements() == 0) return;
    const InputDescs descs(in);
    const Space space(*this, descs, ctx.pool.threads(), ctx.kernels);
    const Tensor& matrix = At(in, Weight());
    PackedWeight weight{};
    if (param_.weight_bits) {
      weight = integers_.Resolve(in, ctx, ctx.workspace + space.panels_at);
    } else if (matrix.desc.layout == Layout::kPackedLinear) {
      weight = *matrix.As<const PackedWeight>();
    } else {
      weight = Geometry(matrix.desc);
      weight.data = ctx.workspace + space.panels_at;
      // Models have packed weights; others are packed for each call, as in Linear.
      PackPanels(weight, ctx.workspace + space.panels_at, {matrix.data, matrix.desc.dtype, weight.k}, ctx);
    }

    const int64_t columns = out[0].desc.dim(-1);
    MultiplyCall call{
        .weight = &weight,
        .x = in[0].data,
        .m = space.m,
        .x_stride = space.k,
        .bias = param_.has_bias ? At(in, Bias()).data : nullptr,
        .bias_dtype = param_.has_bias ? At(in, Bias()).desc.dtype : DType::kF32,
        .activation = param_.activation,
        .gated = param_.gated,
        .residual = param_.has_residual ? At(in, Residual()).data : nullptr,
        .out = out[0].data,
        .out_dtype = out[0].desc.dtype,
        .out_stride = columns,
        .x_dtype = in[0].desc.dtype,
        .planes = Planes(in[0].desc),
    };
    if (param_.norm == RowNorm::kNone) return Multiply(call, ctx.kernels, ctx.pool, ctx.workspace);

    const Norm norm(in, param_, space, ctx);
    if (space.m > kRowsOfEach) {
      call.x = norm.rows;
      ForRows(ctx.pool, space.m, space.k, [&](int64_t row, int worker) { norm.Row(row, norm.rows, worker); });
      return Multiply(call, ctx.kernels, ctx.pool, ctx.workspace);
    }
    std::fill_n(norm.ready, ctx.pool.threads(), false);
    const auto rows_of = [](const void* context, int worker) {
      return static_cast<const Norm*>(context)->RowsOf(worker);
    };
    Multiply(call, ctx.kernels, ctx.pool, ctx.workspace, {rows_of, &norm});
  }

 private:
  int Weight() const { return 1 + param_.NormInputs(); }
  int Bias() const { return Weight() + 1 + (param_.weight_bits != 0) + param_.has_offset; }
  int Residual() const { return Bias() + param_.has_bias; }

  int Planes(const TensorDesc& x) const { return param_.int8_activations ? 1 : PlanesOf(x.dtype); }
  PackedWeight Geometry(const TensorDesc& weight) const {
    return kernels::PackedGeometry(kernels::FormatOf(weight.dtype), weight.dim(0), weight.dim(1), param_.gated);
  }

  /// Where things lie in the workspace, after what Multiply needs.
  struct Space {
    int64_t m, k;
    size_t rows_bytes;  ///< Of one thread's rows, where they are few.
    size_t gamma_at, buffers_at, ready_at, rows_at, panels_at, bytes;

    Space(const FusedLinear& op, std::span<const TensorDesc> in, int threads, const kernels::KernelTable& kernels)
        : m(Extent(in[0], 0, in[0].rank - 1)), k(in[0].dim(-1)) {
      const auto row = static_cast<size_t>(k) * SizeOf(in[0].dtype);
      rows_bytes = Align(static_cast<size_t>(std::min(m, kRowsOfEach)) * row);
      const bool integers = op.param_.weight_bits != 0;
      const bool widens = op.param_.group == kernels::kWidenedGroup;
      gamma_at =
          integers ? MultiplyBytes(threads, kernels, m, k, op.Planes(in[0]), widens) : MultiplyBytes(threads, kernels);
      buffers_at = rows_at = ready_at = panels_at = gamma_at;
      if (op.param_.norm != RowNorm::kNone) {
        buffers_at = gamma_at + RowBuffers::Bytes(1, 2, k);
        ready_at = buffers_at + RowBuffers::Bytes(threads, 2, k);
        rows_at = ready_at + Align(static_cast<size_t>(threads));
        // The larger of both forms. A copy of few rows for each thread may take more than a few more rows that are
        // shared, and more rows must not need less workspace.
        panels_at = rows_at + std::max(static_cast<size_t>(threads) * rows_bytes, Align(static_cast<size_t>(m) * row));
      }
      bytes = panels_at;
      const TensorDesc& weight = At(in, op.Weight());
      int64_t panels = 0;
      if (integers) {
        panels = op.integers_.Bytes(in, threads);
      } else if (weight.layout == Layout::kRowMajor) {
        panels = kernels::PackedBytes(op.Geometry(weight));
      }
      bytes = static_cast<size_t>(CheckedAdd(static_cast<int64_t>(bytes), panels));
    }
  };

  /// Normalises rows as RmsNorm and LayerNorm do: in f32, rounded once to the dtype of x.
  struct Norm {
    Norm(std::span<const Tensor> in, const FusedLinearParam& fused, const Space& layout, const Context& context)
        : x(in[0]),
          param(fused),
          space(layout),
          ctx(context),
          weights(ctx.workspace + space.gamma_at, 2, space.k),
          gamma(LoadGamma(ctx.kernels, in[1], space.k, param.norm == RowNorm::kRmsPlusOne, weights(0, 0))),
          beta(param.norm == RowNorm::kLayer ? LoadFloats(ctx.kernels, in[2], 0, space.k, weights(0, 1)) : nullptr),
          buffers(ctx.workspace + space.buffers_at, 2, space.k),
          ready(reinterpret_cast<bool*>(ctx.workspace + space.ready_at)),
          rows(ctx.workspace + space.rows_at) {}

    void Row(int64_t row, std::byte* to, int worker) const {
      const Tensor target{x.desc, to};
      const int64_t first = row * space.k;
      const float* values = LoadFloats(ctx.kernels, x, first, space.k, buffers(worker, 0));
      float* normed = FloatTarget(target, first, buffers(worker, 1));
      if (beta) {
        ctx.kernels.layer_norm(values, gamma, beta, normed, space.k, param.epsilon);
      } else {
        ctx.kernels.rms_norm(values, gamma, normed, space.k, param.epsilon);
      }
      StoreFloats(ctx.kernels, target, first, space.k, normed);
    }

    /// All rows. A worker makes its own copy before its first piece.
    const void* RowsOf(int worker) const {
      std::byte* const own = rows + static_cast<size_t>(worker) * space.rows_bytes;
      for (int64_t row = 0; !ready[worker] && row < space.m; ++row) Row(row, own, worker);
      ready[worker] = true;
      return own;
    }

    const Tensor& x;
    const FusedLinearParam& param;
    const Space& space;
    const Context& ctx;
    RowBuffers weights;
    const float* gamma;
    const float* beta;  ///< Of LayerNorm, else null.
    RowBuffers buffers;
    bool* ready;  ///< Per worker.
    std::byte* rows;
  };

  FusedLinearParam param_;
  IntegerWeight integers_;
};

}  // namespace

std::unique_ptr<Operation> CreateFusedLinear(const ParamObject& object) {
  ParamReader reader(FusedLinear::kOp, object);
  FusedLinearParam param{};
  reader.Require("transposeB", true);
  param.has_bias = reader.Bool("hasBias", false);
  const bool has_norm = object.contains("normEpsilon");
  const int norm_type = reader.Enum("normType", {"rms", "rms-plus-one", "layer"}, 0);
  if (norm_type != 0 && !has_norm) reader.Fail("normType", "rms without normEpsilon");
  param.norm = has_norm ? static_cast<RowNorm>(1 + norm_type) : RowNorm::kNone;
  param.epsilon = static_cast<float>(reader.Number("normEpsilon", 0));
  if (param.epsilon < 0.0f) reader.Fail("normEpsilon", "at least 0");
  constexpr int kFirstGated = 7;
  using kernels::UnaryOp;
  constexpr UnaryOp kActivations[] = {UnaryOp::kNone,     UnaryOp::kRelu,     UnaryOp::kRelu2, UnaryOp::kGeluErf,
                                      UnaryOp::kGeluTanh, UnaryOp::kFastGelu, UnaryOp::kSwish, UnaryOp::kSwish,
                                      UnaryOp::kGeluErf,  UnaryOp::kGeluTanh};
  const int activation = reader.Enum(
      "activation",
      {"none", "relu", "relu2", "gelu", "gelu-tanh", "fast-gelu", "swish", "swiglu", "geglu", "geglu-tanh"}, 0);
  param.activation = kActivations[activation];
  param.gated = activation >= kFirstGated;
  param.has_residual = reader.Bool("hasResidual", false);
  param.f32_out = reader.Enum("outDataType", {"ACL_DT_UNDEFINED", "ACL_FLOAT"}, 0) == 1;
  param.weight_bits = static_cast<int>(reader.Int("weightBits", 0, 0, 8));
  if (param.weight_bits % 4 != 0) reader.Fail("weightBits", "0, 4 or 8");
  param.numbers = IntegerWeight::ReadNumbers(reader);
  param.group = IntegerWeight::ReadGroup(reader, param.weight_bits, param.numbers);
  if (param.group != 0 && param.weight_bits == 0) reader.Fail("quantGroupSize", "0 without weightBits");
  param.has_offset = reader.Bool("hasOffset", false);
  if (param.has_offset && param.weight_bits == 0) reader.Fail("hasOffset", "false without weightBits");
  if (param.numbers != kernels::WeightNumbers::kIntegers && param.weight_bits == 0)
    reader.Fail("weightNumbers", "integers without weightBits");
  param.int8_activations = reader.Bool("int8Activations", false);
  if (param.int8_activations && (param.weight_bits == 0 || param.numbers != kernels::WeightNumbers::kIntegers))
    reader.Fail("int8Activations", "false but with integers");
  reader.Done();
  return std::make_unique<FusedLinear>(param);
}

}  // namespace atb
