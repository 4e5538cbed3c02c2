#include <algorithm>
#include <cmath>

#include "ops/check.h"
#include "ops/factories.h"
#include "ops/recurrent/recurrent_heads.h"

namespace atb {
namespace {

/// One entry of every `tokensPerEntry` tokens (DeepSeek-V4's compressors, transformers 5.24): of each channel the mean
/// of the window's values, weighted by the softmax of its gates, to which a bias of the token's place in its window is
/// added. With `overlaps` a token has two series of values and gates: the first counts for the next window's entry, the
/// second for its own's, so that an entry is made of two windows.
///
/// rows [tokens, 2 * series * channels]: values of the series, then gates of the series; f32 [series * channels,
/// tokensPerEntry] of biases; i32 [batch] tokens of each sequence, those of the step included; and a state (state.h) ->
/// [tokens, channels] of rows' dtype: the entry for a token that ends a window, zeros for the others; and the state in
/// place.
///
/// A state has of each channel a running softmax: the largest gate, the sum of exponentials, and that of weighted
/// values. With `overlaps` those of the next entry follow. Token follows token, so a result does not depend on how
/// steps are cut.
class WindowPool : public Operation {
 public:
  static constexpr const char* kOp = "WindowPool";
  enum Input { kRows, kBias, kContexts, kState };

  WindowPool(int64_t rate, bool overlaps) : rate_(rate), series_(1 + overlaps), state_{kOp, kState} {}
  int NumInputs() const override { return state_.count(); }
  int NumOutputs() const override { return 2; }
  bool InPlace(int input, int output) const override { return input == kState && output == 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const TensorDesc& rows = in[kRows];
    RequireFloat(kOp, kRows, rows);
    RequireRank(kOp, kRows, rows, 2, 2);
    const int64_t channels = Channels(rows);
    if (channels == 0 || rows.dim(1) != 2 * series_ * channels)
      FailShape(kOp, kRows, "of " + std::to_string(2 * series_) + " times as many columns as channels", rows);
    RequireDType(kOp, kBias, in[kBias], DType::kF32);
    RequireRows(kOp, kBias, in[kBias], series_ * channels, rate_);
    state_.Check(in, rows.dim(0), 3 * series_ * channels);
    RequireVector(kOp, kContexts, in[kContexts], DType::kI32, At(in, state_.from()).dim(0));
    out[0] = TensorDesc(rows.dtype, {rows.dim(0), channels});
    out[1] = in[kState];
  }

  size_t WorkspaceBytes(std::span<const TensorDesc>, int threads, const kernels::KernelTable&) const override {
    return RowBuffers::Bytes(threads, 1, kFloats);
  }

  void Validate(std::span<const Tensor> in) const override {
    state_.Validate(in);
    const int32_t* lengths = At(in, state_.lengths()).As<int32_t>();
    for (int64_t i = 0; i < in[kContexts].desc.dim(-1); ++i) {
      const int64_t context = in[kContexts].As<int32_t>()[i];
      // A sequence without context is padding.
      if (context < 0 || (context > 0 && context < lengths[i]))
        FailValue(kOp, kContexts, "at least the tokens of the step, or 0", std::to_string(context));
    }
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    KeepState(in[kState], out[1]);
    const int64_t channels = Channels(in[kRows].desc), pieces = CeilDiv(channels, kColumns);
    const RowBuffers buffers(ctx.workspace, 1, kFloats);
    const int64_t sequences = in[kContexts].desc.dim(-1);
    ctx.pool.ParallelFor(sequences * pieces, [&](int64_t task, int worker) {
      const int64_t first = task % pieces * kColumns;
      RunPiece(in, out, task / pieces, first, std::min(kColumns, channels - first), buffers(worker, 0), ctx.kernels);
    });
  }

 private:
  /// Channels of a piece of parallel work.
  static constexpr int64_t kColumns = 128;
  /// Of a worker: two running softmaxes, values and gates of a series, and what comes out.
  static constexpr int64_t kFloats = (2 * 3 + 3) * kColumns;

  /// The running softmax of some channels.
  struct Running {
    float* most;  ///< [kColumns] each.
    float* sum;
    float* weighted;

    explicit Running(float* at) : most(at), sum(at + kColumns), weighted(at + 2 * kColumns) {}
    void Clear(int64_t n) const { std::fill_n(sum, n, 0.0f); }
    /// Biases lie `step` apart.
    void Add(const float* values, const float* gates, const float* bias, int64_t step, int64_t n) const {
      for (int64_t i = 0; i < n; ++i) {
        const float gate = gates[i] + bias[i * step];
        if (sum[i] == 0) {
          most[i] = gate;
          sum[i] = 1;
          weighted[i] = values[i];
        } else if (gate <= most[i]) {
          const float weight = std::exp(gate - most[i]);
          sum[i] += weight;
          weighted[i] += weight * values[i];
        } else {
          const float kept = std::exp(most[i] - gate);
          most[i] = gate;
          sum[i] = sum[i] * kept + 1;
          weighted[i] = weighted[i] * kept + values[i];
        }
      }
    }
  };

  int64_t Channels(const TensorDesc& rows) const { return rows.dim(1) / (2 * series_); }

  /// Copies the running softmaxes of channels from `first` on out of a block's state, or into it.
  template <typename F>
  void ForParts(float* state, float* own, int64_t channels, int64_t first, F&& copy) const {
    for (int64_t part = 0; part < 3 * series_; ++part) copy(state + part * channels + first, own + part * kColumns);
  }

  void RunPiece(std::span<const Tensor> in, std::span<const Tensor> out, int64_t index, int64_t first, int64_t n,
                float* memory, const kernels::KernelTable& kernels) const {
    const int64_t channels = Channels(in[kRows].desc), columns = in[kRows].desc.dim(1);
    const StateSequence sequence = SequenceOf(state_, in, index);
    const int64_t context = in[kContexts].As<int32_t>()[index];
    // Padding has no places; whatever it gives is read by nobody.
    const int64_t begin = std::max<int64_t>(context - (sequence.end - sequence.begin), 0);
    const Running entry(memory), next(memory + 3 * kColumns);
    float *values = memory + 6 * kColumns, *gates = values + kColumns, *result = gates + kColumns;
    float* states = out[1].As<float>();
    const int64_t size = out[1].desc.dim(1);
    std::fill_n(memory, 6 * kColumns, 0.0f);
    if (sequence.from >= 0)
      ForParts(states + sequence.from * size, memory, channels, first,
               [&](const float* from, float* to) { std::copy_n(from, n, to); });
    for (int64_t token = sequence.begin; token < sequence.end; ++token) {
      const int64_t place = (begin + token - sequence.begin) % rate_;
      const int64_t row = token * columns;
      const float* bias = in[kBias].As<float>() + first * rate_ + place;
      if (place == 0) {
        if (series_ == 2) std::copy_n(next.most, 3 * kColumns, entry.most);
        (series_ == 2 ? next : entry).Clear(n);
      }
      for (int64_t series = 0; series < series_; ++series) {
        Load(kernels, in[kRows], row + series * channels + first, n, values);
        Load(kernels, in[kRows], row + (series_ + series) * channels + first, n, gates);
        (series + 1 < series_ ? next : entry).Add(values, gates, bias + series * channels * rate_, rate_, n);
      }
      for (int64_t i = 0; i < n; ++i) result[i] = place + 1 == rate_ ? entry.weighted[i] / entry.sum[i] : 0.0f;
      StoreFloats(kernels, out[0], token * channels + first, n, result);
      if (sequence.to[token] >= 0)
        ForParts(states + sequence.to[token] * size, memory, channels, first,
                 [&](float* to, const float* from) { std::copy_n(from, n, to); });
    }
  }

  int64_t rate_;
  int64_t series_;
  StateInputs state_;
};

}  // namespace

std::unique_ptr<Operation> CreateWindowPool(const ParamObject& param) {
  ParamReader reader(WindowPool::kOp, param);
  const int64_t rate = reader.RequiredInt("tokensPerEntry", 1, 1 << 20);
  const bool overlaps = reader.Bool("overlaps", false);
  reader.Done();
  return std::make_unique<WindowPool>(rate, overlaps);
}

}  // namespace atb
