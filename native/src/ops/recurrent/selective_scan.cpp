#include <algorithm>
#include <cmath>

#include "ops/check.h"
#include "ops/factories.h"
#include "ops/recurrent/recurrent_heads.h"

namespace atb {
namespace {

/// No step is bounded by it.
constexpr float kMostStep = 3e38f;

struct SelectiveScanParam {
  HeadSizes sizes;  ///< key_size is that of a state, value_size that of a head.
  int64_t groups = 1;
  float least_step = 0;
  float most_step = 0;
  bool by_channel = false;

  int64_t values() const { return sizes.heads * sizes.value_size; }
  /// Steps are never below 0.
  bool bounds_steps() const { return least_step > 0 || most_step < kMostStep; }
  /// How many steps a token has, and as many biases of steps and Ds there are.
  int64_t steps() const { return by_channel ? values() : sizes.heads; }
};

/// Mamba-2's state space (arXiv:2405.21060): rows [tokens, heads * headSize + 2 * groups * stateSize], which are x, B
/// and C side by side, steps [tokens, heads], f32 [heads] of log decay, of what steps are biased by, and of D, by which
/// x is added to what comes out, and a state (state.h) of `heads` matrices [stateSize, headSize] -> [tokens, heads *
/// headSize] of the rows' dtype, and the state in place. As many neighbouring heads share each group of B and C. With
/// byChannel it is Mamba's (arXiv:2312.00752): each number of a head has a step, a bias of it and a D of its own, of
/// which there are heads * headSize, and log decays are [stateSize, heads * headSize], one for each number of the
/// state.
class SelectiveScan : public Operation {
 public:
  static constexpr const char* kOp = "SelectiveScan";
  enum Input { kRows, kSteps, kLogDecay, kStepBias, kSkip, kState };

  explicit SelectiveScan(const SelectiveScanParam& param)
      : param_(param), heads_(param.sizes, param.by_channel ? Decays::kByRate : Decays::kOfHead), state_{kOp, kState} {}
  int NumInputs() const override { return state_.count(); }
  int NumOutputs() const override { return 2; }
  bool InPlace(int input, int output) const override { return input == kState && output == 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const TensorDesc& rows = in[kRows];
    RequireFloat(kOp, kRows, rows);
    RequireRank(kOp, kRows, rows, 2, 2);
    if (rows.dim(1) != Width()) FailShape(kOp, kRows, "[tokens," + std::to_string(Width()) + "]", rows);
    RequireRows(kOp, kSteps, in[kSteps], rows.dim(0), param_.steps());
    if (param_.by_channel) {
      RequireDType(kOp, kLogDecay, in[kLogDecay], DType::kF32);
      RequireRows(kOp, kLogDecay, in[kLogDecay], param_.sizes.key_size, param_.values());
    } else {
      RequireVector(kOp, kLogDecay, in[kLogDecay], DType::kF32, param_.sizes.heads);
    }
    for (int i : {kStepBias, kSkip}) RequireVector(kOp, i, At(in, i), DType::kF32, param_.steps());
    state_.Check(in, rows.dim(0), param_.sizes.state());
    out[0] = TensorDesc(rows.dtype, {rows.dim(0), param_.values()});
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
          if (param_.by_channel) MakeRates(in, piece, ctx.kernels);
        },
        [&](const HeadPiece& piece) {
          for (int64_t i = 0; i < piece.count; ++i) Make(in, piece, i, ctx.kernels);
          if (!param_.by_channel) MakeDecays(in, piece, ctx.kernels);
        },
        [&](const HeadPiece& piece) { AddSkipped(in, piece, ctx.kernels); });
  }

 private:
  int64_t Width() const { return param_.values() + 2 * param_.groups * param_.sizes.key_size; }
  /// The first of the piece's channels, counted over all heads.
  int64_t Channel(const HeadPiece& piece) const { return piece.head * param_.sizes.value_size + piece.column; }

  void MakeRates(std::span<const Tensor> in, const HeadPiece& piece, const kernels::KernelTable& kernels) const {
    for (int64_t j = 0; j < param_.sizes.key_size; ++j) {
      float* rates = piece.rates + j * piece.columns;
      const float* logs = in[kLogDecay].As<float>() + j * param_.values() + Channel(piece);
      kernels.unary(kernels::UnaryOp::kExp, logs, rates, piece.wanted, 0);
      kernels.unary(kernels::UnaryOp::kNeg, rates, rates, piece.wanted, 0);
    }
  }

  void Make(std::span<const Tensor> in, const HeadPiece& piece, int64_t i, const kernels::KernelTable& kernels) const {
    const int64_t heads = param_.sizes.heads, size = param_.sizes.key_size;
    const int64_t row = (piece.token + i) * Width();
    const int64_t group = piece.head / (heads / param_.groups) * size;
    Load(kernels, in[kRows], row + param_.values() + group, size, piece.k + i * size);
    Load(kernels, in[kRows], row + param_.values() + param_.groups * size + group, size, piece.q + i * size);
    float* v = piece.v + i * piece.columns;
    Load(kernels, in[kRows], row + Channel(piece), piece.wanted, v);
    if (param_.by_channel) {
      float* steps = piece.decay + i * piece.columns;
      Load(kernels, in[kSteps], (piece.token + i) * param_.values() + Channel(piece), piece.wanted, steps);
      kernels.binary(kernels::BinaryOp::kAdd, steps, in[kStepBias].As<float>() + Channel(piece), steps, piece.wanted);
      kernels.unary(kernels::UnaryOp::kSoftplus, steps, steps, piece.wanted, 0);
      if (param_.bounds_steps())
        for (int64_t j = 0; j < piece.wanted; ++j) steps[j] = std::clamp(steps[j], param_.least_step, param_.most_step);
      kernels.binary(kernels::BinaryOp::kMul, v, steps, v, piece.wanted);
      return;
    }
    Load(kernels, in[kSteps], (piece.token + i) * heads + piece.head, 1, piece.decay + i);
  }

  /// A head's steps, by which values are multiplied, and decays in their place.
  void MakeDecays(std::span<const Tensor> in, const HeadPiece& piece, const kernels::KernelTable& kernels) const {
    using kernels::UnaryOp;
    float* steps = piece.decay;
    for (int64_t i = 0; i < piece.count; ++i) steps[i] += in[kStepBias].As<float>()[piece.head];
    const int64_t n = FillUp(steps, piece.count);
    kernels.unary(UnaryOp::kSoftplus, steps, steps, n, 0);
    for (int64_t i = 0; i < piece.count; ++i) {
      steps[i] = std::clamp(steps[i], param_.least_step, param_.most_step);
      float* v = piece.v + i * piece.columns;
      kernels.unary(UnaryOp::kMuls, v, v, piece.wanted, steps[i]);
    }
    kernels.unary(UnaryOp::kMuls, steps, steps, n, -std::exp(in[kLogDecay].As<float>()[piece.head]));
    kernels.unary(UnaryOp::kExp, steps, steps, n, 0);
  }

  void AddSkipped(std::span<const Tensor> in, const HeadPiece& piece, const kernels::KernelTable& kernels) const {
    const float* skips = in[kSkip].As<float>() + (param_.by_channel ? Channel(piece) : piece.head);
    for (int64_t i = 0; i < piece.count; ++i) {
      float *x = piece.v + i * piece.columns, *out = piece.out + i * piece.columns;
      Load(kernels, in[kRows], (piece.token + i) * Width() + Channel(piece), piece.wanted, x);
      if (param_.by_channel)
        kernels.binary(kernels::BinaryOp::kMul, x, skips, x, piece.wanted);
      else
        kernels.unary(kernels::UnaryOp::kMuls, x, x, piece.wanted, *skips);
      kernels.binary(kernels::BinaryOp::kAdd, out, x, out, piece.wanted);
    }
  }

  SelectiveScanParam param_;
  RecurrentHeads heads_;
  StateInputs state_;
};

}  // namespace

std::unique_ptr<Operation> CreateSelectiveScan(const ParamObject& param) {
  ParamReader reader(SelectiveScan::kOp, param);
  SelectiveScanParam p;
  p.sizes = {reader.RequiredInt("heads", 1, kMostHeads), reader.RequiredInt("stateSize", 1, kMostHeadSize),
             reader.RequiredInt("headSize", 1, kMostHeads)};
  p.groups = reader.Int("groups", 1, 1, kMostHeads);
  if (p.sizes.heads % p.groups != 0) reader.Fail("heads", "a multiple of groups");
  p.least_step = static_cast<float>(reader.Number("leastStep", 0));
  p.most_step = static_cast<float>(reader.Number("mostStep", kMostStep));
  if (p.least_step > p.most_step) reader.Fail("leastStep", "at most mostStep");
  p.by_channel = reader.Bool("byChannel", false);
  reader.Done();
  return std::make_unique<SelectiveScan>(p);
}

}  // namespace atb
