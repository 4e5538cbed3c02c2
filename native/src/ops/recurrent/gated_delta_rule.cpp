#include <cmath>

#include "ops/check.h"
#include "ops/factories.h"
#include "ops/recurrent/recurrent_heads.h"

namespace atb {
namespace {

/// What is added to a square of lengths.
constexpr float kLengthEpsilon = 1e-6f;

/// Linear attention by the gated delta rule (arXiv:2412.06464): qkv [tokens, 2 * keyHeads * keySize + valueHeads *
/// valueSize], gates [tokens, 2 * valueHeads] (betas before their sigmoid, then steps), f32 [valueHeads] of log decay
/// and of what steps are biased by, and a state (state.h) of valueHeads matrices [keySize, valueSize] -> [tokens,
/// valueHeads * valueSize] of qkv's dtype, and the state in place. Queries and keys are divided by their lengths,
/// queries by sqrt(keySize), too; each serves valueHeads / keyHeads neighbouring heads. Sigmoids of betas are
/// multiplied by mostBeta. With decaysByKey (arXiv:2510.26692) steps are [tokens, valueHeads * keySize] and so are
/// their biases: each row of a state has a decay of its own. With lowerBound, below 0, the logarithm of a decay is
/// lowerBound * sigmoid(exp(log decay) * biased step), and not -exp(log decay) * softplus(biased step): no decay is
/// below exp(lowerBound) then.
class GatedDeltaRule : public Operation {
 public:
  static constexpr const char* kOp = "GatedDeltaRule";
  enum Input { kQkv, kGates, kLogDecay, kStepBias, kState };

  GatedDeltaRule(int64_t key_heads, HeadSizes sizes, float most_beta, bool decays_by_key, float lower_bound)
      : key_heads_(key_heads),
        sizes_(sizes),
        most_beta_(most_beta),
        decays_by_key_(decays_by_key),
        lower_bound_(lower_bound),
        heads_(sizes, decays_by_key ? Decays::kByKey : Decays::kOfHead),
        state_{kOp, kState} {}
  int NumInputs() const override { return state_.count(); }
  int NumOutputs() const override { return 2; }
  bool InPlace(int input, int output) const override { return input == kState && output == 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const TensorDesc& qkv = in[kQkv];
    RequireFloat(kOp, kQkv, qkv);
    RequireRank(kOp, kQkv, qkv, 2, 2);
    const int64_t width = 2 * key_heads_ * sizes_.key_size + Values();
    if (qkv.dim(1) != width) FailShape(kOp, kQkv, "[tokens," + std::to_string(width) + "]", qkv);
    RequireRows(kOp, kGates, in[kGates], qkv.dim(0), sizes_.heads + Steps());
    RequireVector(kOp, kLogDecay, in[kLogDecay], DType::kF32, sizes_.heads);
    RequireVector(kOp, kStepBias, in[kStepBias], DType::kF32, Steps());
    state_.Check(in, qkv.dim(0), sizes_.state());
    out[0] = TensorDesc(qkv.dtype, {qkv.dim(0), Values()});
    out[1] = in[kState];
  }

  size_t WorkspaceBytes(std::span<const TensorDesc>, int threads, const kernels::KernelTable&) const override {
    return LengthsBytes() + heads_.WorkspaceBytes(threads);
  }

  void Validate(std::span<const Tensor> in) const override { state_.Validate(in); }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    KeepState(in[kState], out[1]);
    // A row divided by its length is normed, times 1 / sqrt(its size).
    auto* of_key = reinterpret_cast<float*>(ctx.workspace);
    float* of_query = of_key + sizes_.key_size;
    const auto size = static_cast<float>(sizes_.key_size);
    std::fill_n(of_key, sizes_.key_size, 1 / std::sqrt(size));
    std::fill_n(of_query, sizes_.key_size, 1 / size);
    const Context own{ctx.kernels, ctx.pool, ctx.workspace + LengthsBytes()};
    heads_.Run(
        state_, in, out[0], out[1], true, own, [](const HeadPiece&) {},
        [&](const HeadPiece& piece) {
          LoadValues(in, piece, ctx.kernels);
          if (piece.is_made) return;
          for (int64_t i = 0; i < piece.count; ++i) Make(in, piece, i, of_key, of_query, ctx.kernels);
          MakeGates(in, piece, ctx.kernels);
        },
        [](const HeadPiece&) {});
  }

 private:
  int64_t StepsOfHead() const { return decays_by_key_ ? sizes_.key_size : 1; }
  int64_t Steps() const { return sizes_.heads * StepsOfHead(); }
  int64_t Values() const { return sizes_.heads * sizes_.value_size; }
  size_t LengthsBytes() const { return Align(static_cast<size_t>(2 * sizes_.key_size) * sizeof(float)); }

  void LoadValues(std::span<const Tensor> in, const HeadPiece& piece, const kernels::KernelTable& kernels) const {
    const int64_t keys = 2 * key_heads_ * sizes_.key_size;
    const int64_t first = keys + piece.head * sizes_.value_size + piece.column;
    for (int64_t i = 0; i < piece.count; ++i)
      Load(kernels, in[kQkv], (piece.token + i) * (keys + Values()) + first, piece.wanted, piece.v + i * piece.columns);
  }

  /// Keys and queries of token `i`, betas and steps as they come.
  void Make(std::span<const Tensor> in, const HeadPiece& piece, int64_t i, const float* of_key, const float* of_query,
            const kernels::KernelTable& kernels) const {
    const int64_t size = sizes_.key_size, keys = key_heads_ * size, token = piece.token + i;
    const int64_t row = token * (2 * keys + Values());
    const int64_t head = piece.head / (sizes_.heads / key_heads_) * size;
    const auto unit = [&](int64_t column, const float* factors, float* to) {
      Load(kernels, in[kQkv], row + column + head, size, to);
      kernels.rms_norm(to, factors, to, size, kLengthEpsilon / static_cast<float>(size));
    };
    unit(0, of_query, piece.q + i * size);
    unit(keys, of_key, piece.k + i * size);
    const int64_t gates = token * (sizes_.heads + Steps());
    Load(kernels, in[kGates], gates + piece.head, 1, piece.beta + i);
    Load(kernels, in[kGates], gates + sizes_.heads + piece.head * StepsOfHead(), StepsOfHead(),
         piece.decay + i * StepsOfHead());
  }

  /// Betas and decays of what Make has loaded.
  void MakeGates(std::span<const Tensor> in, const HeadPiece& piece, const kernels::KernelTable& kernels) const {
    const int64_t betas = FillUp(piece.beta, piece.count);
    kernels.unary(kernels::UnaryOp::kSigmoid, piece.beta, piece.beta, betas, 0);
    if (most_beta_ != 1) kernels.unary(kernels::UnaryOp::kMuls, piece.beta, piece.beta, betas, most_beta_);
    const float* bias = in[kStepBias].As<float>() + piece.head * StepsOfHead();
    const float rate = std::exp(in[kLogDecay].As<float>()[piece.head]);
    if (!decays_by_key_) {
      for (int64_t i = 0; i < piece.count; ++i) piece.decay[i] += *bias;
      return Decay(piece.decay, FillUp(piece.decay, piece.count), rate, kernels);
    }
    for (int64_t i = 0; i < piece.count; ++i) {
      float* decays = piece.decay + i * sizes_.key_size;
      kernels.binary(kernels::BinaryOp::kAdd, decays, bias, decays, sizes_.key_size);
      Decay(decays, sizes_.key_size, rate, kernels);
    }
  }

  /// n decays in place of biased steps.
  void Decay(float* x, int64_t n, float rate, const kernels::KernelTable& kernels) const {
    using kernels::UnaryOp;
    if (lower_bound_ < 0) kernels.unary(UnaryOp::kMuls, x, x, n, rate);
    kernels.unary(lower_bound_ < 0 ? UnaryOp::kSigmoid : UnaryOp::kSoftplus, x, x, n, 0);
    kernels.unary(UnaryOp::kMuls, x, x, n, lower_bound_ < 0 ? lower_bound_ : -rate);
    kernels.unary(UnaryOp::kExp, x, x, n, 0);
  }

  int64_t key_heads_;
  HeadSizes sizes_;
  float most_beta_;
  bool decays_by_key_;
  /// 0 where decays have none.
  float lower_bound_;
  RecurrentHeads heads_;
  StateInputs state_;
};

}  // namespace

std::unique_ptr<Operation> CreateGatedDeltaRule(const ParamObject& param) {
  ParamReader reader(GatedDeltaRule::kOp, param);
  const int64_t key_heads = reader.RequiredInt("keyHeads", 1, kMostHeads);
  const HeadSizes sizes{reader.RequiredInt("valueHeads", 1, kMostHeads),
                        reader.RequiredInt("keySize", 1, kMostHeadSize),
                        reader.RequiredInt("valueSize", 1, kMostHeadSize)};
  if (sizes.heads % key_heads != 0) reader.Fail("valueHeads", "a multiple of keyHeads");
  const auto most_beta = static_cast<float>(reader.Number("mostBeta", 1));
  const bool decays_by_key = reader.Bool("decaysByKey", false);
  const auto lower_bound = static_cast<float>(reader.Number("lowerBound", 0));
  if (lower_bound > 0) reader.Fail("lowerBound", "a number below 0");
  reader.Done();
  return std::make_unique<GatedDeltaRule>(key_heads, sizes, most_beta, decays_by_key, lower_bound);
}

}  // namespace atb
