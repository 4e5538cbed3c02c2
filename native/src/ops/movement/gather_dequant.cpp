#include <algorithm>

#include "base/align.h"
#include "ops/check.h"
#include "ops/elementwise/cast.h"
#include "ops/factories.h"
#include "ops/linear/integer_weight.h"
#include "ops/movement/indices.h"
#include "ops/rows.h"

namespace atb {
namespace {

/// Our extension: rows of a weight [n, k] of integers as floats, integer * scale, for an embedding that is the
/// lm_head's weight. Inputs: weight, indices i32 or i64 [..], scales as W8A16MatMul takes them. out: [.., k].
class GatherDequant : public Operation {
 public:
  static constexpr const char* kOp = "GatherDequant";
  enum Input { kWeight, kIndices, kScale };

  GatherDequant(const IntegerWeight& weight, DType out) : weight_(weight), out_(out) {}
  int NumInputs() const override { return 3; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const IntegerWeight::Sizes sizes = weight_.Check(in, std::nullopt);
    RequireIndex(kOp, kIndices, in[kIndices]);
    RequireRank(kOp, kIndices, in[kIndices], 0, kMaxRank - 1);
    out[0] = in[kIndices];
    out[0].dtype = out_;
    out[0].dims[out[0].rank++] = sizes.k;
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads, const kernels::KernelTable&) const override {
    return static_cast<size_t>(threads) * RowBytes(weight_.SizesOf(in[kWeight]).k);
  }

  void Validate(std::span<const Tensor> in) const override {
    weight_.Validate(in);
    ValidateIndices(kOp, kIndices, in[kIndices], weight_.SizesOf(in[kWeight].desc).n);
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const IntegerWeight::Sizes sizes = weight_.SizesOf(in[kWeight].desc);
    const int64_t k = sizes.k, channels = weight_.group ? weight_.group : k;
    ForRows(ctx.pool, in[kIndices].desc.Elements(), k, [&](int64_t i, int worker) {
      auto* integers = reinterpret_cast<int8_t*>(ctx.workspace + static_cast<size_t>(worker) * RowBytes(k));
      auto* floats = reinterpret_cast<float*>(integers + Align(k));
      const int64_t row = IndexAt(in[kIndices], i);
      weight_.Row(in[kWeight], sizes, row, integers);
      float* values = FloatTarget(out[0], i * k, floats);
      for (int64_t g = 0; g < sizes.groups; ++g) {
        const float scale = IntegerWeight::ScaleAt(in[kScale], sizes, row, g);
        const int64_t end = std::min(k, (g + 1) * channels);
        for (int64_t j = g * channels; j < end; ++j) values[j] = weight_.NumberOf(integers[j]) * scale;
      }
      StoreFloats(ctx.kernels, out[0], i * k, k, values);
    });
  }

 private:
  static size_t RowBytes(int64_t k) {
    return static_cast<size_t>(Align(k) + Align(k * static_cast<int64_t>(sizeof(float))));
  }

  IntegerWeight weight_;
  DType out_;
};

}  // namespace

std::unique_ptr<Operation> CreateGatherDequant(const ParamObject& object) {
  ParamReader reader(GatherDequant::kOp, object);
  const auto bits = static_cast<int>(reader.Int("weightBits", 8, 4, 8));
  if (bits != 4 && bits != 8) reader.Fail("weightBits", "4 or 8");
  const kernels::WeightNumbers numbers = IntegerWeight::ReadNumbers(reader);
  const int64_t group = IntegerWeight::ReadGroup(reader, bits, numbers);
  IntegerWeight weight{GatherDequant::kOp, bits, true, group, GatherDequant::kWeight, GatherDequant::kScale};
  weight.numbers = numbers;
  const std::optional<DType> out = ReadDType(reader, "outDataType");
  if (!out || !IsFloat(*out)) reader.Fail("outDataType", "ACL_FLOAT, ACL_FLOAT16 or ACL_BF16");
  reader.Done();
  return std::make_unique<GatherDequant>(weight, *out);
}

}  // namespace atb
