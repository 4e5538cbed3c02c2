#include <cmath>

#include "ops/check.h"
#include "ops/factories.h"
#include "ops/recurrent/recurrent_heads.h"

namespace atb {
namespace {

/// How fast a channel forgets at most: what its decay's gate is multiplied by (arXiv:2402.19427, equation 4).
constexpr float kMostDecay = 8;

/// The real-gated linear recurrent unit (arXiv:2402.19427, section 2.4): x [tokens, heads * headSize]; gates before
/// their sigmoids, [tokens, heads * 2 * headSize], of each head those of its input, then those of its decay; f32
/// [heads, headSize] of what either is biased by; f32 [heads * headSize] of decays before their softplus; and a state
/// (state.h) of a number for each channel -> [tokens, heads * headSize] of x's dtype, and the state in place. With a =
/// exp(-8 * softplus(decay) * decay gate) a channel's state h becomes a * h + sqrt(1 - a^2) * input gate * x, and at
/// the beginning of a sequence input gate * x.
class RealGatedLru : public Operation {
 public:
  static constexpr const char* kOp = "RealGatedLru";
  enum Input { kRows, kGates, kInputBias, kDecayBias, kDecays, kState };

  explicit RealGatedLru(HeadSizes sizes) : sizes_(sizes), heads_(sizes, Decays::kByRate), state_{kOp, kState} {}
  int NumInputs() const override { return state_.count(); }
  int NumOutputs() const override { return 2; }
  bool InPlace(int input, int output) const override { return input == kState && output == 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const TensorDesc& rows = in[kRows];
    RequireFloat(kOp, kRows, rows);
    RequireRank(kOp, kRows, rows, 2, 2);
    if (rows.dim(1) != sizes_.state()) FailShape(kOp, kRows, "[tokens," + std::to_string(sizes_.state()) + "]", rows);
    RequireRows(kOp, kGates, in[kGates], rows.dim(0), 2 * sizes_.state());
    for (int i : {kInputBias, kDecayBias}) {
      const TensorDesc& bias = At(in, i);
      RequireDType(kOp, i, bias, DType::kF32);
      RequireRows(kOp, i, bias, sizes_.heads, sizes_.value_size);
    }
    RequireVector(kOp, kDecays, in[kDecays], DType::kF32, sizes_.state());
    state_.Check(in, rows.dim(0), sizes_.state());
    out[0] = TensorDesc(rows.dtype, {rows.dim(0), sizes_.state()});
    out[1] = in[kState];
  }

  size_t WorkspaceBytes(std::span<const TensorDesc>, int threads, const kernels::KernelTable&) const override {
    return heads_.WorkspaceBytes(threads);
  }

  void Validate(std::span<const Tensor> in) const override { state_.Validate(in); }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    KeepState(in[kState], out[1]);
    heads_.Run(
        state_, in, out[0], out[1], false, ctx,
        [&](const HeadPiece& piece) {
          ctx.kernels.unary(kernels::UnaryOp::kSoftplus, in[kDecays].As<float>() + Channel(piece), piece.rates,
                            piece.wanted, 0);
          ctx.kernels.unary(kernels::UnaryOp::kMuls, piece.rates, piece.rates, piece.wanted, -kMostDecay);
        },
        [&](const HeadPiece& piece) {
          for (int64_t i = 0; i < piece.count; ++i) Make(in, piece, i, ctx.kernels);
        },
        [](const HeadPiece&) {});
  }

 private:
  /// The first of the piece's channels, counted over all heads.
  int64_t Channel(const HeadPiece& piece) const { return piece.head * sizes_.value_size + piece.column; }

  /// A sigmoid of each of the piece's channels for token `i` of it: of the input where `which` is 0, of the decay where
  /// 1.
  void Gate(std::span<const Tensor> in, const HeadPiece& piece, int64_t i, int which, float* gates,
            const kernels::KernelTable& kernels) const {
    const int64_t size = sizes_.value_size;
    const int64_t row = (piece.token + i) * 2 * sizes_.state() + (2 * piece.head + which) * size + piece.column;
    const auto bias = static_cast<size_t>(which == 0 ? kInputBias : kDecayBias);
    Load(kernels, in[kGates], row, piece.wanted, gates);
    kernels.binary(kernels::BinaryOp::kAdd, gates, in[bias].As<float>() + Channel(piece), gates, piece.wanted);
    kernels.unary(kernels::UnaryOp::kSigmoid, gates, gates, piece.wanted, 0);
  }

  void Make(std::span<const Tensor> in, const HeadPiece& piece, int64_t i, const kernels::KernelTable& kernels) const {
    // The only number of a key and of a query: what is added to a state, and what comes out of it, stay as they are.
    piece.k[i] = 1;
    piece.q[i] = 1;
    float* v = piece.v + i * piece.columns;
    float* steps = piece.decay + i * piece.columns;
    // Nothing has come out yet: there is room.
    float* gates = piece.out + i * piece.columns;
    Load(kernels, in[kRows], (piece.token + i) * sizes_.state() + Channel(piece), piece.wanted, v);
    Gate(in, piece, i, 0, gates, kernels);
    kernels.binary(kernels::BinaryOp::kMul, v, gates, v, piece.wanted);
    Gate(in, piece, i, 1, steps, kernels);
    if (piece.begins && i == 0) return;
    kernels.binary(kernels::BinaryOp::kMul, steps, piece.rates, gates, piece.wanted);
    kernels.unary(kernels::UnaryOp::kMuls, gates, gates, piece.wanted, 2);
    kernels.unary(kernels::UnaryOp::kExp, gates, gates, piece.wanted, 0);
    for (int64_t j = 0; j < piece.wanted; ++j) v[j] *= std::sqrt(1 - gates[j]);
  }

  HeadSizes sizes_;
  RecurrentHeads heads_;
  StateInputs state_;
};

}  // namespace

std::unique_ptr<Operation> CreateRealGatedLru(const ParamObject& param) {
  ParamReader reader(RealGatedLru::kOp, param);
  const HeadSizes sizes{reader.RequiredInt("heads", 1, kMostHeads), 1, reader.RequiredInt("headSize", 1, kMostHeads)};
  reader.Done();
  return std::make_unique<RealGatedLru>(sizes);
}

}  // namespace atb
