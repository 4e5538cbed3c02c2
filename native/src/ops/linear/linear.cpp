#include <algorithm>

#include "base/checked.h"
#include "kernels/pack.h"
#include "ops/check.h"
#include "ops/elementwise/cast.h"
#include "ops/factories.h"
#include "ops/linear/gemm.h"
#include "ops/linear/int8_linear.h"
#include "ops/linear/pack_panels.h"
#include "ops/rows.h"

namespace atb {
namespace {

using kernels::PackedWeight;

/// Depth up to which row-major weights of batches are not packed.
constexpr int64_t kSmallDepth = 16;

struct LinearParam {
  bool transpose_a;  ///< x is [k, m] or [b, k, m].
  bool transpose_b;  ///< The weight is [n, k], else [k, n]; a packed one is [n, k] whatever this says.
  bool has_bias;
  bool accumulate;  ///< in2 is f32 [m, n]; out = in2 + x w, f32.
  bool f32_out;     ///< Our extension for f16 and bf16: logits are not rounded.
  bool einsum;      ///< x is [m, b, k], a packed weight [b, n, k], out [m, b, n].
};

/// out[b] = x[b] w + bias. x [m, k] or [b, m, k] (or transposed), w [n, k] (or transposed) for all b, or [b, n, k] one
/// each. With MATMUL_EIN_SUM batches are x's axis 1. f32, f16 or bf16, all alike but for an f32 bias. Sums are f32, the
/// result is rounded once.
class Linear : public Operation {
 public:
  static constexpr const char* kOp = "Linear";

  explicit Linear(const LinearParam& param) : param_(param) {}
  int NumInputs() const override { return param_.has_bias || param_.accumulate ? 3 : 2; }
  int NumOutputs() const override { return 1; }
  bool InPlace(int input, int) const override { return param_.accumulate && input == 2; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    RequireFloat(kOp, 0, in[0]);
    RequireRank(kOp, 0, in[0], 2, 3);
    const TensorDesc& weight = in[1];
    if (weight.layout != Layout::kPackedLinear) RequireDense(kOp, 1, weight);
    if (weight.dtype != in[0].dtype) FailDType(kOp, 1, std::string(ToString(in[0].dtype)) + ", as in0 is", weight);
    const bool batched = weight.rank == 3;
    RequireRank(kOp, 1, weight, param_.einsum ? 3 : 2, 3);
    if (param_.einsum) {
      RequireRank(kOp, 0, in[0], 3, 3);
      if (weight.layout != Layout::kPackedLinear)
        throw InputError("NATIVE_LAYOUT_MISMATCH", kOp, 1, "a packed weight with MATMUL_EIN_SUM", ToString(weight));
    }
    const Sizes s = SizesOf(in);
    if (s.weight_k != s.k || s.k < 1 || s.n < 1) {
      FailShape(kOp, 1, "a weight of " + std::to_string(s.k) + " input channels (in0 is " + ToString(in[0]) + ")",
                weight);
    }
    if (batched && (in[0].rank != 3 || s.batches != weight.dim(0))) {
      FailShape(kOp, 1, "one weight for all of in0 or one for each of its batches (in0 is " + ToString(in[0]) + ")",
                weight);
    }
    out[0] = in[0];
    if (!param_.einsum) out[0].dims[static_cast<size_t>(in[0].rank - 2)] = s.m;
    out[0].dims[static_cast<size_t>(in[0].rank - 1)] = s.n;
    if (param_.f32_out || param_.accumulate) out[0].dtype = DType::kF32;
    if (param_.accumulate) RequireSame(kOp, 2, in[2], out[0]);
    if (param_.has_bias) {
      if (batched) FailShape(kOp, 1, "[n, k] when there is a bias", weight);
      RequireVector(kOp, 2, in[2], in[2].dtype == DType::kF32 ? DType::kF32 : in[0].dtype, s.n);
    }
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads,
                        const kernels::KernelTable& kernels) const override {
    const Sizes s = SizesOf(in);
    int64_t bytes = static_cast<int64_t>(MultiplyBytes(threads, kernels));
    if (in[1].layout == Layout::kRowMajor) bytes = CheckedAdd(bytes, kernels::PackedBytes(Geometry(in, s)));
    if (param_.transpose_a) bytes = CheckedAdd(bytes, static_cast<int64_t>(in[0].Bytes()));
    return static_cast<size_t>(bytes);
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const InputDescs descs(in);
    const Sizes s = SizesOf(descs);
    if (out[0].desc.Elements() == 0) return;
    std::byte* workspace = ctx.workspace + MultiplyBytes(ctx.pool.threads(), ctx.kernels);

    const bool packed = in[1].desc.layout == Layout::kPackedLinear;
    if (IsSmall(descs, s)) return MultiplySmall(in, out[0], s, ctx);
    PackedWeight weight = packed ? *in[1].As<const PackedWeight>() : Geometry(descs, s);
    std::byte* const panels = workspace;
    if (!packed) {
      weight.data = panels;
      workspace += kernels::PackedBytes(weight);
    }
    const std::byte* x = in[0].As<std::byte>();
    if (param_.transpose_a) {
      Transpose(in[0], s, workspace, ctx.pool);
      x = workspace;
    }
    if (packed && in[1].desc.rank == 3) {
      const int64_t batches = s.batches;
      const BatchedCall call{
          .weight = &weight,
          .batches = batches,
          .x = x,
          .m = s.m,
          .x_stride = param_.einsum ? batches * s.k : s.k,
          .x_batch = param_.einsum ? s.k : s.m * s.k,
          .out = out[0].data,
          .out_dtype = out[0].desc.dtype,
          .out_stride = param_.einsum ? batches * s.n : s.n,
          .out_batch = param_.einsum ? s.n : s.m * s.n,
      };
      return MultiplyBatches(call, ctx.kernels, ctx.pool, ctx.workspace);
    }

    const auto element = static_cast<int64_t>(SizeOf(in[0].desc.dtype));
    const auto out_element = static_cast<int64_t>(SizeOf(out[0].desc.dtype));
    for (int64_t batch = 0; batch < s.weights; ++batch) {
      if (!packed) Pack(in[1], s, batch, weight, panels, ctx);
      const int64_t rows = s.batches / s.weights * s.m;
      const int64_t at = batch * rows * s.n * out_element;
      const MultiplyCall call{
          .weight = &weight,
          .x = x + batch * rows * s.k * element,
          .m = rows,
          .x_stride = s.k,
          .bias = param_.has_bias ? in[2].data : nullptr,
          .bias_dtype = param_.has_bias ? in[2].desc.dtype : DType::kF32,
          .residual = param_.accumulate ? in[2].As<std::byte>() + at : nullptr,
          .out = out[0].As<std::byte>() + at,
          .out_dtype = out[0].desc.dtype,
          .out_stride = s.n,
      };
      Multiply(call, ctx.kernels, ctx.pool, ctx.workspace);
    }
  }

 private:
  struct Sizes {
    int64_t batches, weights;  ///< Matrices in x, and in the weight, which has as many or one.
    int64_t m, k, n;
    int64_t weight_k;
    bool rows_are_outputs;  ///< The weight lies in memory as [n, k].
  };

  Sizes SizesOf(std::span<const TensorDesc> in) const {
    const TensorDesc& x = in[0];
    const TensorDesc& w = in[1];
    const bool rows_are_outputs = param_.transpose_b || w.layout == Layout::kPackedLinear;
    return {
        .batches = x.rank == 3 ? x.dim(param_.einsum ? 1 : 0) : 1,
        .weights = w.rank == 3 ? w.dim(0) : 1,
        .m = param_.einsum ? x.dim(0) : x.dim(param_.transpose_a ? -1 : -2),
        .k = x.dim(param_.transpose_a ? -2 : -1),
        .n = w.dim(rows_are_outputs ? -2 : -1),
        .weight_k = w.dim(rows_are_outputs ? -1 : -2),
        .rows_are_outputs = rows_are_outputs,
    };
  }

  /// Matrices of few rows, each with a weight of its own: to pack these would take longer than to multiply. That
  /// there is one alone changes nothing, for its sums must have the same bits.
  bool IsSmall(std::span<const TensorDesc> in, const Sizes& s) const {
    return in[1].layout == Layout::kRowMajor && in[1].rank == 3 && s.k <= kSmallDepth && !s.rows_are_outputs &&
           !param_.transpose_a && !param_.accumulate;
  }

  /// Row after row of x: sums of the weight's rows, in their order.
  static void MultiplySmall(std::span<const Tensor> in, const Tensor& out, const Sizes& s, const Context& ctx) {
    ForRows(ctx.pool, s.batches * s.m, s.k * s.n, [&](int64_t row, int) {
      float factor_buffer[kSmallDepth];
      const float* factors = LoadFloats(ctx.kernels, in[0], row * s.k, s.k, factor_buffer);
      const int64_t first = row / s.m * s.k * s.n;
      ForBlocks(s.n, [&](int64_t start, int64_t n) {
        float sums[kBlockElements]{}, buffer[kBlockElements];
        for (int64_t k = 0; k < s.k; ++k) {
          const float* values = LoadFloats(ctx.kernels, in[1], first + k * s.n + start, n, buffer);
          for (int64_t i = 0; i < n; ++i) sums[i] += factors[k] * values[i];
        }
        StoreFloats(ctx.kernels, out, row * s.n + start, n, sums);
      });
    });
  }

  static PackedWeight Geometry(std::span<const TensorDesc> in, const Sizes& s) {
    return kernels::PackedGeometry(kernels::FormatOf(in[1].dtype), s.n, s.k);
  }

  /// Models have packed weights, but for small ones of batches; others are packed for each call.
  static void Pack(const Tensor& source, const Sizes& s, int64_t batch, const PackedWeight& weight, std::byte* panels,
                   const Context& ctx) {
    const int64_t row_stride = s.rows_are_outputs ? s.k : 1, column_stride = s.rows_are_outputs ? 1 : s.n;
    PackPanels(weight, panels, {ElementAt(source, batch * s.n * s.k), source.desc.dtype, row_stride, column_stride},
               ctx);
  }

  /// [b, k, m] to [b, m, k].
  static void Transpose(const Tensor& x, const Sizes& s, std::byte* out, ThreadPool& pool) {
    const auto element = static_cast<int64_t>(SizeOf(x.desc.dtype));
    pool.ParallelFor(s.batches * s.m, [&](int64_t row, int) {
      const std::byte* from = x.As<std::byte>() + (row / s.m * s.m * s.k + row % s.m) * element;
      std::byte* to = out + row * s.k * element;
      for (int64_t i = 0; i < s.k; ++i) std::copy_n(from + i * s.m * element, element, to + i * element);
    });
  }

  LinearParam param_;
};

}  // namespace

std::unique_ptr<Operation> CreateLinear(const ParamObject& object) {
  ParamReader reader(Linear::kOp, object);
  LinearParam param{};
  param.transpose_a = reader.Bool("transposeA", false);
  param.transpose_b = reader.Bool("transposeB", true);
  param.has_bias = reader.Bool("hasBias", true);
  param.accumulate = reader.Bool("enAccum", false);
  const std::optional<DType> out = ReadDType(reader, "outDataType");
  if (out && !IsFloat(*out)) reader.Fail("outDataType", "ACL_DT_UNDEFINED, ACL_FLOAT, ACL_FLOAT16 or ACL_BF16");
  param.f32_out = out == DType::kF32;
  param.einsum = reader.Enum("matmulType", {"MATMUL_UNDEFINED", "MATMUL_EIN_SUM"}, 0) == 1;
  reader.Done();
  if (param.accumulate && param.has_bias) reader.Fail("hasBias", "false when enAccum is true");
  if (param.einsum && (param.transpose_a || !param.transpose_b || param.has_bias || param.accumulate))
    reader.Fail("matmulType", "MATMUL_UNDEFINED with transposeA, hasBias, enAccum, or without transposeB");
  // ATB's ACL_FLOAT16 and ACL_BF16 mean int8 inputs with scales.
  if (out && !param.f32_out) {
    if (param.transpose_a || param.accumulate || param.einsum)
      reader.Fail("outDataType", "ACL_DT_UNDEFINED or ACL_FLOAT with transposeA, enAccum or matmulType");
    return MakeInt8Linear(Linear::kOp, param.transpose_b, param.has_bias, *out);
  }
  return std::make_unique<Linear>(param);
}

}  // namespace atb
