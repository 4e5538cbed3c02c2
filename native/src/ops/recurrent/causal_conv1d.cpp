#include <algorithm>
#include <cstring>

#include "ops/check.h"
#include "ops/factories.h"
#include "ops/recurrent/state.h"
#include "ops/rows.h"

namespace atb {
namespace {

/// Columns and tokens of which a worker has its values at hand.
constexpr int64_t kColumns = 256;
constexpr int64_t kTokens = 64;

/// Each channel's convolution over a sequence's last `taps` tokens: x [tokens, at least channels], of which the first
/// channels are read, weight f32 [taps, channels], bias f32 [channels] with hasBias, and a state (state.h) of the
/// values of taps - 1 tokens -> [tokens, channels] of x's dtype, and the state in place.
class CausalConv1d : public Operation {
 public:
  static constexpr const char* kOp = "CausalConv1d";

  CausalConv1d(bool has_bias, bool swish) : has_bias_(has_bias), swish_(swish), state_{kOp, 2 + has_bias} {}
  int NumInputs() const override { return state_.count(); }
  int NumOutputs() const override { return 2; }
  bool InPlace(int input, int output) const override { return input == state_.state && output == 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const TensorDesc &x = in[0], &weight = in[1];
    RequireFloat(kOp, 0, x);
    RequireRank(kOp, 0, x, 2, 2);
    RequireRank(kOp, 1, weight, 2, 2);
    RequireDType(kOp, 1, weight, DType::kF32);
    if (weight.dim(0) < 2 || weight.dim(0) > kTokens || weight.dim(1) > x.dim(1))
      FailShape(kOp, 1, "[2 to 64 taps, channels up to " + std::to_string(x.dim(1)) + "]", weight);
    if (has_bias_) RequireVector(kOp, 2, in[2], DType::kF32, weight.dim(1));
    state_.Check(in, x.dim(0), (weight.dim(0) - 1) * weight.dim(1));
    out[0] = TensorDesc(x.dtype, {x.dim(0), weight.dim(1)});
    out[1] = At(in, state_.state);
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads, const kernels::KernelTable&) const override {
    return RowBuffers::Bytes(threads, 1, Rows(in[1].dim(0)) * kColumns);
  }

  void Validate(std::span<const Tensor> in) const override { state_.Validate(in); }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    KeepState(At(in, state_.state), out[1]);
    const int64_t channels = in[1].desc.dim(1);
    const int64_t blocks = CeilDiv(channels, kColumns);
    const RowBuffers buffers(ctx.workspace, 1, Rows(in[1].desc.dim(0)) * kColumns);
    const int64_t sequences = in.back().desc.dim(-1);
    ctx.pool.ParallelFor(sequences * blocks, [&](int64_t task, int worker) {
      const int64_t first = task % blocks * kColumns;
      Run(in, out, SequenceOf(state_, in, task / blocks), first, std::min(kColumns, channels - first),
          buffers(worker, 0), ctx.kernels);
    });
  }

 private:
  /// Of a worker's buffer: those before, a piece's own, and what comes out.
  static int64_t Rows(int64_t taps) { return taps - 1 + 2 * kTokens; }

  void Run(std::span<const Tensor> in, std::span<const Tensor> out, const StateSequence& sequence, int64_t first,
           int64_t columns, float* rows, const kernels::KernelTable& kernels) const {
    const int64_t taps = in[1].desc.dim(0), channels = in[1].desc.dim(1), kept = taps - 1;
    const auto row_bytes = static_cast<size_t>(columns) * sizeof(float);
    float* states = out[1].As<float>() + first;
    for (int64_t i = 0; i < kept; ++i) {
      if (sequence.from < 0) {
        std::memset(rows + i * columns, 0, row_bytes);
      } else {
        std::memcpy(rows + i * columns, states + (sequence.from * kept + i) * channels, row_bytes);
      }
    }
    float* results = rows + (kept + kTokens) * columns;
    ForStatePieces(sequence, kTokens, [&](int64_t token, int64_t count, int64_t block) {
      for (int64_t i = 0; i < count; ++i)
        kernels.to_f32(ElementAt(in[0], (token + i) * in[0].desc.dim(1) + first), in[0].desc.dtype,
                       rows + (kept + i) * columns, columns);
      kernels.conv({.rows = rows,
                    .weight = in[1].As<float>() + first,
                    .bias = has_bias_ ? in[2].As<float>() + first : nullptr,
                    .out = results,
                    .tokens = count,
                    .columns = columns,
                    .taps = taps,
                    .weight_stride = channels,
                    .swish = swish_});
      for (int64_t i = 0; i < count; ++i)
        StoreFloats(kernels, out[0], (token + i) * channels + first, columns, results + i * columns);
      std::memmove(rows, rows + count * columns, static_cast<size_t>(kept) * row_bytes);
      for (int64_t i = 0; i < kept && block >= 0; ++i)
        std::memcpy(states + (block * kept + i) * channels, rows + i * columns, row_bytes);
    });
  }

  bool has_bias_;
  bool swish_;
  StateInputs state_;
};

}  // namespace

std::unique_ptr<Operation> CreateCausalConv1d(const ParamObject& param) {
  ParamReader reader(CausalConv1d::kOp, param);
  const bool has_bias = reader.Bool("hasBias", false);
  const bool swish = reader.Enum("activation", {"none", "swish"}, 0) == 1;
  reader.Done();
  return std::make_unique<CausalConv1d>(has_bias, swish);
}

}  // namespace atb
