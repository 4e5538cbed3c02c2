#include <algorithm>

#include "base/align.h"
#include "base/checked.h"
#include "kernels/convert.h"
#include "kernels/pack.h"
#include "ops/check.h"
#include "ops/elementwise/cast.h"
#include "ops/factories.h"
#include "ops/linear/gemm.h"
#include "ops/linear/integer_weight.h"
#include "ops/rows.h"

namespace atb {
namespace {

using kernels::PackedWeight;

/// out = x ((w + offset) * scale) + bias: x [.., m, k] of floats, w int8 or int4 (or, our extension, e4m3 or e2m1) with
/// a scale and an offset for each output or for each group of its channels, bias [n] of x's dtype or f32. With offsets
/// of 0 the products are those of integers (see MultiplyCall), x being taken as 16 bits (24 when it is f32) relative to
/// a row's largest number; so they are with offsets that the engine packed with the weight. Other offsets are for
/// row-major weights only, which are then multiplied in f32. With int8Activations, our extension, each row of x becomes
/// int8 first, as DynamicQuant makes it.
class WeightQuantMatMul : public Operation {
 public:
  enum Input { kX, kWeight, kScale, kOffset, kBias };

  WeightQuantMatMul(const IntegerWeight& weight, bool has_bias, bool f32_out, bool int8_rows)
      : op_(weight.op), weight_(weight), has_bias_(has_bias), f32_out_(f32_out), int8_rows_(int8_rows) {}
  int NumInputs() const override { return has_bias_ ? 5 : 4; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const TensorDesc& x = in[kX];
    RequireFloat(op_, kX, x);
    RequireRank(op_, kX, x, 2, 3);
    const IntegerWeight::Sizes sizes = WeightOf(in[kOffset]).Check(in, x.dim(-1));
    if (!ArePacked(in[kOffset])) RequireFloat(op_, kOffset, in[kOffset]);
    if (!IsOne(in[kOffset])) weight_.CheckLikeScales(kOffset, in[kOffset], sizes);
    if (has_bias_)
      RequireVector(op_, kBias, in[kBias], in[kBias].dtype == DType::kF32 ? DType::kF32 : x.dtype, sizes.n);
    out[0] = x;
    out[0].dims[static_cast<size_t>(x.rank - 1)] = sizes.n;
    if (f32_out_) out[0].dtype = DType::kF32;
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads,
                        const kernels::KernelTable& kernels) const override {
    const int64_t m = Extent(in[kX], 0, in[kX].rank - 1), k = in[kX].dim(-1);
    const auto multiply = static_cast<int64_t>(MultiplyBytes(threads, kernels, m, k, Planes(in[kX]), Widens()));
    int64_t bytes = CheckedAdd(multiply, weight_.Bytes(in, threads));
    if (in[kWeight].layout == Layout::kRowMajor) bytes = std::max(bytes, FloatBytes(in, threads, multiply));
    return static_cast<size_t>(bytes);
  }

  void Validate(std::span<const Tensor> in) const override {
    WeightOf(in[kOffset].desc).Validate(in);
    const bool in_floats = in[kWeight].desc.layout == Layout::kRowMajor && !int8_rows_;
    if (in_floats || ArePacked(in[kOffset].desc) || IsZero(in[kOffset])) return;
    throw InputError("NATIVE_VALUE_OUT_OF_RANGE", op_, kOffset, "all zeros, or packed with their weight",
                     "other offsets");
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    if (out[0].desc.Elements() == 0) return;
    const int64_t m = Extent(in[kX].desc, 0, in[kX].desc.rank - 1), k = in[kX].desc.dim(-1);
    MultiplyCall call{
        .weight = nullptr,
        .x = in[kX].data,
        .m = m,
        .x_stride = k,
        .bias = has_bias_ ? in[kBias].data : nullptr,
        .bias_dtype = has_bias_ ? in[kBias].desc.dtype : DType::kF32,
        .residual = nullptr,
        .out = out[0].data,
        .out_dtype = out[0].desc.dtype,
        .out_stride = out[0].desc.dim(-1),
        .x_dtype = in[kX].desc.dtype,
        .planes = Planes(in[kX].desc),
    };
    std::byte* const rest = ctx.workspace + MultiplyBytes(ctx.pool.threads(), ctx.kernels, m, k, call.planes, Widens());
    if (in[kWeight].desc.layout == Layout::kRowMajor && !IsZero(in[kOffset]))
      return MultiplyFloats(in, call, ctx, rest);
    const PackedWeight weight = WeightOf(in[kOffset].desc).Resolve(in, ctx, rest);
    call.weight = &weight;
    Multiply(call, ctx.kernels, ctx.pool, ctx.workspace);
  }

 private:
  bool Widens() const { return weight_.group == kernels::kWidenedGroup; }
  int Planes(const TensorDesc& x) const { return int8_rows_ ? 1 : PlanesOf(x.dtype); }

  static bool ArePacked(const TensorDesc& desc) { return desc.layout == Layout::kPackedScales; }

  /// The weight, with its offsets where these are packed.
  IntegerWeight WeightOf(const TensorDesc& offsets) const {
    IntegerWeight weight = weight_;
    if (ArePacked(offsets)) weight.offset_input = kOffset;
    return weight;
  }

  /// Our extension: one offset for all, so that a symmetric model needs a single zero instead of a table of zeros.
  static bool IsOne(const TensorDesc& desc) { return desc.rank == 1 && desc.dim(0) == 1; }

  static bool IsZero(const Tensor& offsets) {
    for (int64_t i = 0; i < offsets.desc.Elements(); ++i)
      if (kernels::LoadFloat(offsets.data, offsets.desc.dtype, i) != 0) return false;
    return true;
  }

  int64_t FloatBytes(std::span<const TensorDesc> in, int threads, int64_t multiply) const {
    const IntegerWeight::Sizes s = weight_.SizesOf(in[kWeight]);
    const int64_t m = Extent(in[kX], 0, in[kX].rank - 1);
    const int64_t panels = kernels::PackedBytes(kernels::PackedGeometry(kernels::WeightFormat::kF32, s.n, s.k));
    const int64_t rows = Align(CheckedMul(CheckedMul(m, s.k), static_cast<int64_t>(sizeof(float))));
    const int64_t row = CheckedMul(s.k, 1 + static_cast<int64_t>(sizeof(float)));
    return CheckedAdd(CheckedAdd(multiply, Align(panels)), CheckedAdd(rows, CheckedMul(threads, Align(row))));
  }

  /// The product of a weight with offsets. It is computed in f32, which is exact and slow.
  void MultiplyFloats(std::span<const Tensor> in, MultiplyCall call, const Context& ctx, std::byte* workspace) const {
    const IntegerWeight::Sizes s = weight_.SizesOf(in[kWeight].desc);
    PackedWeight weight = kernels::PackedGeometry(kernels::WeightFormat::kF32, s.n, s.k);
    std::byte* const panels = workspace;
    auto* const rows = reinterpret_cast<float*>(panels + Align(kernels::PackedBytes(weight)));
    std::byte* const buffers =
        reinterpret_cast<std::byte*>(rows) + Align(call.m * s.k * static_cast<int64_t>(sizeof(float)));
    const int64_t row_bytes = Align(s.k * (1 + static_cast<int64_t>(sizeof(float))));
    ctx.pool.ParallelFor(s.n, [&](int64_t row, int worker) {
      auto* values = reinterpret_cast<float*>(buffers + worker * row_bytes);
      auto* integers = reinterpret_cast<int8_t*>(values + s.k);
      weight_.Row(in[kWeight], s, row, integers);
      for (int64_t i = 0; i < s.k; ++i) {
        const int64_t g = weight_.group ? i / weight_.group : 0;
        const float offset = IsOne(in[kOffset].desc) ? kernels::LoadFloat(in[kOffset].data, in[kOffset].desc.dtype, 0)
                                                     : IntegerWeight::ScaleAt(in[kOffset], s, row, g);
        values[i] = (weight_.NumberOf(integers[i]) + offset) * IntegerWeight::ScaleAt(in[kScale], s, row, g);
      }
      kernels::PackRows(weight, panels, row, row + 1, {values, DType::kF32, s.k});
    });
    ForRows(ctx.pool, call.m, s.k, [&](int64_t row, int) {
      const Tensor target{TensorDesc(DType::kF32, {call.m, s.k}), rows};
      const float* from = LoadFloats(ctx.kernels, in[kX], row * s.k, s.k, rows + row * s.k);
      StoreFloats(ctx.kernels, target, row * s.k, s.k, from);
    });
    weight.data = panels;
    call.weight = &weight;
    call.x = rows;
    Multiply(call, ctx.kernels, ctx.pool, ctx.workspace);
  }

  const char* op_;
  IntegerWeight weight_;
  bool has_bias_;
  bool f32_out_;
  bool int8_rows_;
};

std::unique_ptr<Operation> Create(const char* op, int bits, const ParamObject& object) {
  ParamReader reader(op, object);
  const kernels::WeightNumbers numbers = IntegerWeight::ReadNumbers(reader);
  const bool transpose_b = reader.Bool("transposeB", false);
  IntegerWeight weight{op, bits, transpose_b, IntegerWeight::ReadGroup(reader, bits, numbers)};
  weight.numbers = numbers;
  const bool has_bias = reader.Bool("hasBias", false);
  // Our extension, as in Linear: logits are not rounded.
  const std::optional<DType> out = ReadDType(reader, "outDataType");
  if (out && out != DType::kF32) reader.Fail("outDataType", "ACL_DT_UNDEFINED or ACL_FLOAT");
  const bool int8_rows = reader.Bool("int8Activations", false);
  if (int8_rows && weight.numbers != kernels::WeightNumbers::kIntegers)
    reader.Fail("int8Activations", "false but with integers");
  reader.Done();
  return std::make_unique<WeightQuantMatMul>(weight, has_bias, out.has_value(), int8_rows);
}

}  // namespace

std::unique_ptr<Operation> CreateW8A16MatMul(const ParamObject& param) { return Create("W8A16MatMul", 8, param); }
std::unique_ptr<Operation> CreateW4A16MatMul(const ParamObject& param) { return Create("W4A16MatMul", 4, param); }

}  // namespace atb
