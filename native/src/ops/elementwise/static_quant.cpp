#include "ops/elementwise/static_quant.h"

#include "kernels/convert.h"
#include "ops/check.h"
#include "ops/elementwise/cast.h"
#include "ops/rows.h"

namespace atb {
namespace {

constexpr const char* kQuantOp = "Elewise";
enum Input { kX, kScale, kOffset };

float NumberAt(const Tensor& numbers, int64_t column) {
  return QuantNumber(numbers, numbers.desc.Elements() == 1 ? 0 : column);
}

}  // namespace

float QuantNumber(const Tensor& numbers, int64_t at) {
  return numbers.desc.dtype == DType::kI8 ? static_cast<float>(numbers.As<int8_t>()[at])
                                          : kernels::LoadFloat(numbers.data, numbers.desc.dtype, at);
}

void StaticQuant::InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const {
  RequireFloat(kQuantOp, kX, in[kX]);
  RequireRank(kQuantOp, kX, in[kX], 1, kMaxRank);
  RequireFloat(kQuantOp, kScale, in[kScale]);
  if (in[kOffset].dtype != DType::kI8) RequireFloat(kQuantOp, kOffset, in[kOffset]);
  const int64_t k = in[kX].dim(-1);
  for (const int i : {kScale, kOffset}) {
    const TensorDesc& numbers = At(in, i);
    RequireDense(kQuantOp, i, numbers);
    if (numbers.Elements() != 1 && numbers.Elements() != k)
      FailShape(kQuantOp, i, "one number or " + std::to_string(k) + ", as in0 has channels", numbers);
  }
  out[0] = in[kX];
  out[0].dtype = DType::kI8;
}

void StaticQuant::Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept {
  const int64_t k = in[kX].desc.dim(-1);
  ForRows(ctx.pool, Extent(in[kX].desc, 0, in[kX].desc.rank - 1), k, [&](int64_t row, int) {
    ForBlocks(k, [&](int64_t start, int64_t n) {
      float buffer[kBlockElements], scales[kBlockElements], offsets[kBlockElements];
      const float* x = LoadFloats(ctx.kernels, in[kX], row * k + start, n, buffer);
      for (int64_t i = 0; i < n; ++i) {
        scales[i] = NumberAt(in[kScale], start + i);
        offsets[i] = NumberAt(in[kOffset], start + i);
      }
      int8_t* const to = out[0].As<int8_t>() + row * k + start;
      for (int64_t i = 0; i < n; ++i) to[i] = QuantizeStatically(x[i], scales[i], offsets[i]);
    });
  });
}

}  // namespace atb
