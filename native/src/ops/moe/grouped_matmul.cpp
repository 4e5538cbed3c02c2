#include "base/align.h"
#include "kernels/convert.h"
#include "ops/check.h"
#include "ops/elementwise/cast.h"
#include "ops/factories.h"
#include "ops/linear/integer_weight.h"
#include "ops/moe/expert_inputs.h"

namespace atb {
namespace {

/// ATB's GmmQuantType, as far as it is built.
enum QuantType { kNone = 0, kW8A8 = 1, kW8A16 = 2, kW4A16 = 3, kW8A8Token = 4 };

struct GroupedMatmulParam {
  QuantType quant;
  bool has_bias;
  DType out;
  bool int8_rows;     ///< Rows of floats become int8 with a scale each, as DynamicQuant makes them.
  bool has_channels;  ///< Each expert reads the channels of its rows in an order of its own.

  bool IsStatic() const { return quant == kW8A8; }
  int Bits() const { return quant == kNone ? 0 : quant == kW4A16 ? 4 : 8; }
};

/// Each row of x times the matrix of its expert: x [m, k] sorted by expert, w packed [experts, n, k], bias [experts, n]
/// with hasBias, for integers their scales and offsets (zeros, or packed with them) or the scales of int8 rows, and how
/// many rows the experts up to each one have, i64 [experts] -> [m, n]. Our extensions: with W8A8_CHANNEL rows of floats
/// become int8 by the scale and the offset of their expert, which follow the scales of the weight, and the bias is i32,
/// added to sums before these are scaled; with hasChannels the last but one input is the order in which experts read
/// channels, i32 [experts, k].
class GroupedMatmul : public Operation {
 public:
  static constexpr const char* kOp = "GroupedMatmul";

  explicit GroupedMatmul(const GroupedMatmulParam& param)
      : param_(param), weight_{kOp,          1,
                               param.Bits(), 2 + param.has_bias,
                               false,        param.quant == kW8A8Token || param.int8_rows || param.IsStatic()} {
    rows_.channels = param.has_channels ? Ends() - 1 : 0;
    rows_.scale = param.IsStatic() ? 3 + param.has_bias : 0;
    rows_.sum_bias = param.IsStatic() && param.has_bias ? 2 : 0;
  }
  int NumInputs() const override { return Ends() + 1; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const TensorDesc& x = in[0];
    if (param_.quant == kW8A8Token) {
      RequireDType(kOp, 0, x, DType::kI8);
    } else {
      RequireFloat(kOp, 0, x);
    }
    RequireRank(kOp, 0, x, 2, 2);
    const ExpertWeight weight = WeightOf(in);
    const ExpertWeight::Sizes sizes = weight.Check(in, x.dtype, x.dim(1));
    if (param_.has_bias && !param_.IsStatic()) weight.CheckBias(in, 2, sizes);
    rows_.Check(in, sizes);
    const auto extra = static_cast<size_t>(Extra());
    if (param_.quant == kW8A8Token) {
      RequireDType(kOp, Extra(), in[extra], DType::kF32);
      if (in[extra].Elements() != x.dim(0)) FailShape(kOp, Extra(), "one number for each row of in0", in[extra]);
    } else if (HasOffsets() && weight.offset_input == 0) {
      RequireFloat(kOp, Extra(), in[extra]);
    }
    RequireVector(kOp, Ends(), At(in, Ends()), DType::kI64, sizes.experts);
    out[0] = TensorDesc(param_.out, {x.dim(0), sizes.n});
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads,
                        const kernels::KernelTable& kernels) const override {
    const ExpertWeight::Sizes sizes = weight_.SizesOf(in[1]);
    const DType x = in[0].dtype;
    const bool has_sum_bias = rows_.sum_bias != 0, widens = weight_.MayWiden(in);
    return GroupsBytes(sizes.experts) +
           GroupedBytes(threads, kernels, {in[0].dim(0), sizes, Planes(x), SizeOf(x), has_sum_bias, widens});
  }

  void Validate(std::span<const Tensor> in) const override {
    WeightOf(in).Validate(in);
    const Tensor& ends = At(in, Ends());
    int64_t last = 0;
    for (int64_t e = 0; e < ends.desc.dim(0); ++e) {
      const int64_t end = ends.As<const int64_t>()[e];
      if (end < last || end > in[0].desc.dim(0))
        FailValue(kOp, Ends(), "ascending up to " + std::to_string(in[0].desc.dim(0)), std::to_string(end));
      last = end;
    }
    if (last != in[0].desc.dim(0))
      FailValue(kOp, Ends(), "ending with " + std::to_string(in[0].desc.dim(0)), std::to_string(last));
    if (!HasOffsets() || WeightOf(in).offset_input != 0) return;
    const Tensor& offset = At(in, Extra());
    for (int64_t i = 0; i < offset.desc.Elements(); ++i) {
      if (kernels::LoadFloat(offset.data, offset.desc.dtype, i) != 0)
        FailValue(kOp, Extra(), "all zeros, or packed with their weight", "other offsets");
    }
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const ExpertWeight::Sizes sizes = weight_.SizesOf(in[1].desc);
    auto* const groups = reinterpret_cast<ExpertRows*>(ctx.workspace);
    const auto* ends = At(in, Ends()).As<const int64_t>();
    size_t count = 0;
    for (int64_t e = 0; e < sizes.experts; ++e) {
      const int64_t first = e == 0 ? 0 : ends[e - 1];
      if (ends[e] > first) groups[count++] = {e, first, ends[e] - first};
    }
    const Experts experts = WeightOf(in).Resolve(in);
    const bool has_bias = param_.has_bias && !param_.IsStatic();
    const GroupedCall call{
        .each =
            {
                .weight = nullptr,
                .x = in[0].data,
                .m = in[0].desc.dim(0),
                .x_stride = sizes.k,
                .bias = has_bias ? in[2].data : nullptr,
                .bias_dtype = has_bias ? in[2].desc.dtype : DType::kF32,
                .residual = nullptr,
                .out = out[0].data,
                .out_dtype = param_.out,
                .out_stride = sizes.n,
                .x_dtype = in[0].desc.dtype,
                .planes = Planes(in[0].desc.dtype),
                .x_scales = param_.quant == kW8A8Token ? At(in, Extra()).As<float>() : nullptr,
            },
        .experts = &experts,
        .groups = {groups, count},
        .inputs = rows_.Resolve(in),
    };
    MultiplyGroups(call, ctx.kernels, ctx.pool, ctx.workspace + GroupsBytes(sizes.experts));
  }

 private:
  static const TensorDesc& DescOf(const TensorDesc& desc) { return desc; }
  static const TensorDesc& DescOf(const Tensor& tensor) { return tensor.desc; }

  /// The weight, with its offsets where these are packed.
  template <class Input>
  ExpertWeight WeightOf(std::span<const Input> in) const {
    ExpertWeight weight = weight_;
    if (HasOffsets() && DescOf(At(in, Extra())).layout == Layout::kPackedScales) weight.offset_input = Extra();
    return weight;
  }

  /// The last input: where the rows of each expert end.
  int Ends() const { return Extra() + (param_.quant != kNone) + param_.IsStatic() + param_.has_channels; }
  /// Of integers: the offsets, or the scales of rows.
  int Extra() const { return 2 + param_.has_bias + (param_.quant == kNone ? 0 : 1); }
  bool HasOffsets() const { return param_.quant == kW8A16 || param_.quant == kW4A16; }
  int Planes(DType x) const {
    return param_.quant == kNone ? 0 : param_.int8_rows || param_.IsStatic() ? 1 : PlanesOf(x);
  }
  static size_t GroupsBytes(int64_t experts) { return Align(static_cast<size_t>(experts) * sizeof(ExpertRows)); }

  GroupedMatmulParam param_;
  ExpertWeight weight_;
  ExpertInputPlaces rows_{kOp};
};

}  // namespace

std::unique_ptr<Operation> CreateGroupedMatmul(const ParamObject& object) {
  ParamReader reader(GroupedMatmul::kOp, object);
  reader.Require("transposeB", true);
  GroupedMatmulParam param{};
  param.quant = static_cast<QuantType>(reader.Int("quantType", kNone, kNone, kW8A8Token));
  param.has_bias = reader.Bool("hasBias", false);
  param.out = ReadDType(reader, "outDataType").value_or(DType::kF16);
  if (!IsFloat(param.out)) reader.Fail("outDataType", "ACL_FLOAT, ACL_FLOAT16 or ACL_BF16");
  IntegerWeight::ReadNumbers(reader);  // What the bytes hold is known from how they were packed.
  param.int8_rows = reader.Bool("int8Activations", false);
  if (param.int8_rows && param.quant != kW8A16 && param.quant != kW4A16)
    reader.Fail("int8Activations", "false but with quantType 2 or 3");
  if (reader.Bool("staticActivations", false) != param.IsStatic())
    reader.Fail("staticActivations", "true with quantType 1 and false without");
  param.has_channels = reader.Bool("hasChannels", false);
  if (param.has_channels && param.quant == kW8A8Token) reader.Fail("hasChannels", "false with quantType 4");
  reader.Done();
  return std::make_unique<GroupedMatmul>(param);
}

}  // namespace atb
