#include <cmath>
#include <string>

#include "ops/check.h"
#include "ops/factories.h"
#include "ops/rows.h"
#include "ops/streams/streams.h"

namespace atb {
namespace {

/// How streams of hidden states are collapsed and mixed (manifold-constrained hyper-connections, arXiv:2512.24880):
/// streams [tokens, n, hidden], mixes of them f32 [tokens, C], f32 [C] of biases, f32 [3] of scales -> f32 [tokens, C],
/// C = (2 + n) n. A mix is divided by the root of the streams' mean square + normEpsilon, as if they had been normed
/// first, multiplied by its scale, biased. Of the first n the sigmoids + epsilon, by which streams collapse; of the
/// next n twice the sigmoids, by which a result is added to each stream; then of the other n * n, row by row, the
/// softmaxes + epsilon, whose columns and rows are divided by their sums + epsilon in turn, `iterations` times the
/// columns.
class HyperWeights : public Operation {
 public:
  static constexpr const char* kOp = "HyperWeights";
  enum Input { kStreams, kMixes, kBias, kScale };

  HyperWeights(int64_t iterations, float epsilon, float norm_epsilon)
      : iterations_(iterations), epsilon_(epsilon), norm_epsilon_(norm_epsilon) {}
  int NumInputs() const override { return kScale + 1; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const int64_t columns = RequireStreams(kOp, in[kStreams]);
    RequireWeights(kOp, in[kMixes], in[kStreams].dim(0), columns);
    RequireVector(kOp, kBias, in[kBias], DType::kF32, columns);
    RequireVector(kOp, kScale, in[kScale], DType::kF32, 3);
    out[0] = in[kMixes];
  }

  size_t WorkspaceBytes(std::span<const TensorDesc>, int threads, const kernels::KernelTable&) const override {
    return RowBuffers::Bytes(threads, 1, kBlockElements);
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const int64_t n = in[kStreams].desc.dim(1), width = n * in[kStreams].desc.dim(2), columns = in[kMixes].desc.dim(1);
    const float *bias = in[kBias].As<float>(), *scale = in[kScale].As<float>();
    const RowBuffers buffers(ctx.workspace, 1, kBlockElements);
    // A division is as much work as a few products.
    ForRows(ctx.pool, in[kStreams].desc.dim(0), width + columns * iterations_ * 4, [&](int64_t token, int worker) {
      const float square = MeanSquare(in[kStreams], token * width, width, buffers(worker, 0), ctx.kernels);
      const float norm = 1 / std::sqrt(square + norm_epsilon_);
      const float* x = in[kMixes].As<float>() + token * columns;
      float* y = out[0].As<float>() + token * columns;
      const auto mix = [&](int64_t i, float by) { return x[i] * norm * by + bias[i]; };
      for (int64_t i = 0; i < n; ++i) y[i] = Sigmoid(mix(i, scale[0])) + epsilon_;
      for (int64_t i = n; i < 2 * n; ++i) y[i] = 2 * Sigmoid(mix(i, scale[1]));
      for (int64_t i = 2 * n; i < columns; ++i) y[i] = mix(i, scale[2]);
      Balance(y + 2 * n, n);
    });
  }

 private:
  static float Sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

  /// Of n numbers from `first` on. Sixteen sums side by side, which one instruction may add to.
  static float MeanSquare(const Tensor& x, int64_t first, int64_t n, float* buffer,
                          const kernels::KernelTable& kernels) {
    constexpr int64_t kLanes = 16;
    float sums[kLanes] = {};
    ForBlocks(n, [&](int64_t start, int64_t count) {
      const float* own = LoadFloats(kernels, x, first + start, count, buffer);
      int64_t i = 0;
      for (; i + kLanes <= count; i += kLanes)
        for (int64_t lane = 0; lane < kLanes; ++lane) sums[lane] += own[i + lane] * own[i + lane];
      for (; i < count; ++i) sums[0] += own[i] * own[i];
    });
    float sum = 0;
    for (const float part : sums) sum += part;
    return sum / static_cast<float>(n);
  }

  /// Divides n numbers, `step` apart, by their sum + epsilon.
  void Divide(float* line, int64_t n, int64_t step) const {
    float sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += line[i * step];
    for (int64_t i = 0; i < n; ++i) line[i * step] /= sum + epsilon_;
  }

  void Balance(float* matrix, int64_t n) const {
    for (int64_t row = 0; row < n; ++row) {
      float* line = matrix + row * n;
      float most = line[0], sum = 0;
      for (int64_t i = 1; i < n; ++i) most = std::fmax(most, line[i]);
      for (int64_t i = 0; i < n; ++i) sum += line[i] = std::exp(line[i] - most);
      for (int64_t i = 0; i < n; ++i) line[i] = line[i] / sum + epsilon_;
    }
    for (int64_t column = 0; column < n; ++column) Divide(matrix + column, n, n);
    for (int64_t i = 1; i < iterations_; ++i) {
      for (int64_t row = 0; row < n; ++row) Divide(matrix + row * n, n, 1);
      for (int64_t column = 0; column < n; ++column) Divide(matrix + column, n, n);
    }
  }

  int64_t iterations_;
  float epsilon_;
  float norm_epsilon_;
};

}  // namespace

std::unique_ptr<Operation> CreateHyperWeights(const ParamObject& param) {
  ParamReader reader(HyperWeights::kOp, param);
  const int64_t iterations = reader.Int("iterations", 1, 1, 1000);
  const auto epsilon = static_cast<float>(reader.Number("epsilon", 0));
  if (epsilon < 0) reader.Fail("epsilon", "at least 0");
  const auto norm_epsilon = static_cast<float>(reader.Number("normEpsilon", 0));
  if (norm_epsilon < 0) reader.Fail("normEpsilon", "at least 0");
  reader.Done();
  return std::make_unique<HyperWeights>(iterations, epsilon, norm_epsilon);
}

}  // namespace atb
