#include <cstring>

#include "base/align.h"
#include "ops/check.h"
#include "ops/factories.h"
#include "ops/rows.h"

namespace atb {
namespace {

/// x [.., k] -> int8 [.., k] and f32 scales [..], one per row: scale = max |x| / 127, out = x / scale rounded to
/// nearest even. A row that is not finite has the scale NaN and zeros.
class DynamicQuant : public Operation {
 public:
  static constexpr const char* kOp = "DynamicQuant";

  int NumInputs() const override { return 1; }
  int NumOutputs() const override { return 2; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    RequireFloat(kOp, 0, in[0]);
    RequireRank(kOp, 0, in[0], 1, kMaxRank);
    out[0] = in[0];
    out[0].dtype = DType::kI8;
    out[1] = in[0];
    out[1].dtype = DType::kF32;
    out[1].rank = static_cast<uint8_t>(in[0].rank - 1);
    out[1].dims[out[1].rank] = 0;
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads, const kernels::KernelTable&) const override {
    return static_cast<size_t>(threads) * RowBytes(in[0].dim(-1));
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const int64_t k = in[0].desc.dim(-1);
    const int64_t rows = Extent(in[0].desc, 0, in[0].desc.rank - 1);
    ForRows(ctx.pool, rows, k, [&](int64_t row, int worker) {
      // Kernels write whole tiles. So a row that does not end with a tile goes through a buffer.
      auto* to = out[0].As<int8_t>() + row * k;
      const bool whole = k % kernels::kIntegerTileK == 0;
      auto* buffer = reinterpret_cast<int8_t*>(ctx.workspace + static_cast<size_t>(worker) * RowBytes(k));
      out[1].As<float>()[row] = ctx.kernels.quantize(ElementAt(in[0], row * k), in[0].desc.dtype, k, 1,
                                                     whole ? to : buffer, kernels::kIntegerTileK, 0);
      if (!whole) std::memcpy(to, buffer, static_cast<size_t>(k));
    });
  }

 private:
  static size_t RowBytes(int64_t k) { return static_cast<size_t>(RoundUp(k, kernels::kIntegerTileK)); }
};

}  // namespace

std::unique_ptr<Operation> CreateDynamicQuant(const ParamObject& param) {
  ParamReader(DynamicQuant::kOp, param).Done();
  return std::make_unique<DynamicQuant>();
}

}  // namespace atb
