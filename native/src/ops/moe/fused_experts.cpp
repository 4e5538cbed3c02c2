#include <algorithm>
#include <array>

#include "base/align.h"
#include "base/checked.h"
#include "ops/check.h"
#include "ops/elementwise/gate_clamp.h"
#include "ops/factories.h"
#include "ops/moe/expert_inputs.h"
#include "ops/moe/routing.h"

namespace atb {
namespace {

struct FusedExpertsParam {
  kernels::UnaryOp activation;
  kernels::GateClamp clamp;
  bool has_bias;
  std::array<int, 2> bits;      ///< Of gate and up, and of down; 0: floats.
  std::array<bool, 2> offsets;  ///< Whether integers have offsets.
  bool int8_activations;
  bool static_activations;  ///< By a scale and an offset of each expert.
  bool gate_up_channels;
};

/// Our extension: what MoeInitRouting, GroupedMatmul, Activation, GroupedMatmul and MoeTokenUnpermute compute one after
/// another, the last product and its sums not rounded before the end. x [tokens, k], chosen i32 [tokens, top_k], probs
/// [tokens, top_k], gate over up [experts, 2 i, k], down [experts, k', i], each followed by its scales where it is
/// integers, by its offsets where these are not symmetric, and with hasBias by its biases [experts, rows] -> [tokens,
/// k']. With staticActivations scales of inputs and their offsets follow the scales, and biases are i32, as in
/// GroupedMatmul; with gateUpChannels an order of channels stands before the bias of gate and up. Only the matrices of
/// chosen experts are read, each once however many tokens chose it.
class FusedExperts : public Operation {
 public:
  static constexpr const char* kOp = "FusedExperts";
  enum Input { kX, kChosen, kProbs, kGateUp };

  explicit FusedExperts(const FusedExpertsParam& param)
      : param_(param),
        gate_up_{kOp, kGateUp, param.bits[0], kGateUp + 1, true, HasInt8Rows(), param.offsets[0] ? kGateUp + 2 : 0},
        down_{kOp, Down(), param.bits[1], Down() + 1, false, HasInt8Rows(), param.offsets[1] ? Down() + 2 : 0},
        gate_up_rows_(RowsOf(kGateUp, Down())),
        down_rows_(RowsOf(Down(), NumInputs())) {
    if (param.gate_up_channels) gate_up_rows_.channels = Down() - 1 - param.has_bias;
  }
  int NumInputs() const override { return Down() + InputsOf(1); }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const TensorDesc& x = in[kX];
    RequireFloat(kOp, kX, x);
    RequireRank(kOp, kX, x, 2, 2);
    RequireChoices(kOp, kChosen, in[kChosen], x.dim(0));
    RequireFloat(kOp, kProbs, in[kProbs]);
    if (!in[kProbs].SameShape(in[kChosen])) FailShape(kOp, kProbs, "like in1, " + ToString(in[kChosen]), in[kProbs]);
    const ExpertWeight::Sizes gate_up = gate_up_.Check(in, x.dtype, x.dim(1));
    const ExpertWeight::Sizes down = down_.Check(in, x.dtype, gate_up.n / 2);
    if (down.experts != gate_up.experts)
      FailShape(kOp, Down(), "of " + std::to_string(gate_up.experts) + " experts", At(in, Down()));
    gate_up_rows_.Check(in, gate_up);
    down_rows_.Check(in, down);
    if (HasFloatBias()) {
      gate_up_.CheckBias(in, Down() - 1, gate_up);
      down_.CheckBias(in, NumInputs() - 1, down);
    }
    out[0] = x;
    out[0].dims[1] = down.n;
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads,
                        const kernels::KernelTable& kernels) const override {
    return Space(*this, in, threads, kernels).bytes;
  }

  void Validate(std::span<const Tensor> in) const override {
    gate_up_.Validate(in);
    down_.Validate(in);
    ValidateChoices(kOp, kChosen, in[kChosen], in[kGateUp].desc.dim(0));
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    if (out[0].desc.Elements() == 0) return;
    const InputDescs descs(in);
    const Space space(*this, descs, ctx.pool.threads(), ctx.kernels);
    const DType dtype = in[kX].desc.dtype;
    const Routing routing = Routing::Sort(in[kChosen], space.gate_up.experts, ctx.workspace);
    const auto multiply = [&](const ExpertWeight& weight, const ExpertWeight::Sizes& sizes, int bias,
                              GroupedCall call) {
      const Experts experts = weight.Resolve(in);
      call.each.m = space.rows;
      call.each.x_stride = sizes.k;
      call.each.x_dtype = dtype;
      call.each.planes = Planes(weight.bits, dtype);
      if (HasFloatBias()) {
        call.each.bias = At(in, bias).data;
        call.each.bias_dtype = At(in, bias).desc.dtype;
      }
      call.experts = &experts;
      call.groups = routing.groups;
      MultiplyGroups(call, ctx.kernels, ctx.pool, ctx.workspace + space.products_at);
    };
    std::byte* const mixed = ctx.workspace + space.mixed_at;
    const MultiplyCall gate_up{
        .weight = nullptr,
        .x = in[kX].data,
        .m = 0,
        .x_stride = 0,
        .bias = nullptr,
        .bias_dtype = DType::kF32,
        .activation = param_.activation,
        .gated = true,
        .clamp = param_.clamp,
        .residual = nullptr,
        .out = mixed,
        .out_dtype = dtype,
        .out_stride = space.down.k,
    };
    multiply(gate_up_, space.gate_up, Down() - 1,
             {.each = gate_up,
              .experts = nullptr,
              .groups = {},
              .x_rows = routing.tokens,
              .x_count = in[kX].desc.dim(0),
              .inputs = gate_up_rows_.Resolve(in)});
    const Tensor rows{TensorDesc(DType::kF32, {space.rows, space.down.n}), ctx.workspace + space.results_at};
    const MultiplyCall down{
        .weight = nullptr,
        .x = mixed,
        .m = 0,
        .x_stride = 0,
        .bias = nullptr,
        .bias_dtype = DType::kF32,
        .residual = nullptr,
        .out = rows.data,
        .out_dtype = DType::kF32,
        .out_stride = space.down.n,
    };
    multiply(down_, space.down, NumInputs() - 1,
             {.each = down, .experts = nullptr, .groups = {}, .inputs = down_rows_.Resolve(in)});
    CombineRows(rows, routing.places, in[kProbs], out[0], ctx, ctx.workspace + space.products_at);
  }

 private:
  /// Of gate and up (0), or of down (1): a matrix, its scales, its offsets, the scales and offsets of its inputs, the
  /// order of their channels, its bias.
  int InputsOf(size_t matrix) const {
    const int of_rows = (param_.static_activations ? 2 : 0) + (matrix == 0 && param_.gate_up_channels);
    return 1 + (param_.bits[matrix] != 0) + param_.offsets[matrix] + of_rows + param_.has_bias;
  }
  int Down() const { return kGateUp + InputsOf(0); }
  bool HasInt8Rows() const { return param_.int8_activations || param_.static_activations; }
  bool HasFloatBias() const { return param_.has_bias && !param_.static_activations; }
  int Planes(int bits, DType x) const { return bits == 0 ? 0 : HasInt8Rows() ? 1 : PlanesOf(x); }

  /// What becomes of the rows of a matrix whose inputs are [first, end).
  ExpertInputPlaces RowsOf(int first, int end) const {
    if (!param_.static_activations) return {kOp};
    return {.op = kOp, .scale = first + 2, .sum_bias = param_.has_bias ? end - 1 : 0};
  }

  /// Where things lie in the workspace, after the routing.
  struct Space {
    ExpertWeight::Sizes gate_up, down;
    int64_t rows;        ///< Choices of all tokens.
    size_t mixed_at;     ///< What gates let through, [rows, i] of x's dtype.
    size_t results_at;   ///< f32 [rows, k'].
    size_t products_at;  ///< What a product or the sums need.
    size_t bytes;

    Space(const FusedExperts& op, std::span<const TensorDesc> in, int threads, const kernels::KernelTable& kernels)
        : gate_up(op.gate_up_.SizesOf(in[kGateUp])),
          down(op.down_.SizesOf(At(in, op.Down()))),
          rows(in[kChosen].Elements()),
          mixed_at(Routing::Bytes(in[kX].dim(0), in[kChosen].dim(1), gate_up.experts)) {
      const DType dtype = in[kX].dtype;
      const size_t size = SizeOf(dtype);
      const auto matrix = [&](int64_t columns, size_t element) {
        return Align(static_cast<size_t>(CheckedMul(CheckedMul(rows, columns), static_cast<int64_t>(element))));
      };
      results_at = mixed_at + matrix(down.k, size);
      products_at = results_at + matrix(down.n, sizeof(float));
      const auto product = [&](const ExpertWeight& weight, const ExpertWeight::Sizes& sizes) {
        const bool has_sum_bias = op.param_.static_activations && op.param_.has_bias;
        const int planes = op.Planes(weight.bits, dtype);
        return GroupedBytes(threads, kernels, {rows, sizes, planes, size, has_sum_bias, weight.MayWiden(in)});
      };
      bytes = products_at + std::max({product(op.gate_up_, gate_up), product(op.down_, down),
                                      CombineBytes(threads, down.n, in[kChosen].dim(1))});
    }
  };

  FusedExpertsParam param_;
  ExpertWeight gate_up_;
  ExpertWeight down_;
  ExpertInputPlaces gate_up_rows_;
  ExpertInputPlaces down_rows_;
};

}  // namespace

std::unique_ptr<Operation> CreateFusedExperts(const ParamObject& object) {
  ParamReader reader(FusedExperts::kOp, object);
  FusedExpertsParam param{};
  using kernels::UnaryOp;
  constexpr UnaryOp kActivations[] = {UnaryOp::kSwish, UnaryOp::kGeluErf, UnaryOp::kGeluTanh};
  param.activation = kActivations[reader.Enum("activation", {"swiglu", "geglu", "geglu-tanh"}, 0)];
  param.clamp = ReadGateClamp(reader, param.activation == UnaryOp::kSwish);
  param.has_bias = reader.Bool("hasBias", false);
  param.bits = {static_cast<int>(reader.Int("gateUpBits", 0, 0, 8)), static_cast<int>(reader.Int("downBits", 0, 0, 8))};
  if (param.bits[0] % 4 != 0) reader.Fail("gateUpBits", "0, 4 or 8");
  if (param.bits[1] % 4 != 0) reader.Fail("downBits", "0, 4 or 8");
  param.offsets = {reader.Bool("gateUpOffset", false), reader.Bool("downOffset", false)};
  if (param.offsets[0] && param.bits[0] == 0) reader.Fail("gateUpOffset", "false but with integers");
  if (param.offsets[1] && param.bits[1] == 0) reader.Fail("downOffset", "false but with integers");
  param.int8_activations = reader.Bool("int8Activations", false);
  if (param.int8_activations && (param.bits[0] == 0 || param.bits[1] == 0))
    reader.Fail("int8Activations", "false but with weights of integers");
  param.static_activations = reader.Bool("staticActivations", false);
  const bool are_int8 = param.bits[0] == 8 && param.bits[1] == 8 && !param.offsets[0] && !param.offsets[1];
  if (param.static_activations && (param.int8_activations || !are_int8))
    reader.Fail("staticActivations", "false but with symmetric weights of int8, and without int8Activations");
  param.gate_up_channels = reader.Bool("gateUpChannels", false);
  reader.Done();
  return std::make_unique<FusedExperts>(param);
}

}  // namespace atb
