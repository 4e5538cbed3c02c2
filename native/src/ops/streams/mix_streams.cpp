#include <algorithm>
#include <string>

#include "ops/check.h"
#include "ops/factories.h"
#include "ops/rows.h"
#include "ops/streams/streams.h"

namespace atb {
namespace {

/// Sums of streams by the weights that HyperWeights gives: streams [tokens, n, hidden], weights f32 [tokens, (2 + n) n]
/// -> with `collapse` their sum by the first n weights, [tokens, hidden]. With `expand` there is a result of a step,
/// [tokens, hidden], too: stream k becomes that times weight n + k, plus the sum of all streams j by the weight of row
/// j, column k of the matrix behind these: [tokens, n, hidden].
class MixStreams : public Operation {
 public:
  static constexpr const char* kOp = "MixStreams";

  explicit MixStreams(bool expands) : expands_(expands) {}
  int NumInputs() const override { return 2 + expands_; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const int64_t tokens = in[0].dim(0), columns = RequireStreams(kOp, in[0]);
    RequireWeights(kOp, in[1], tokens, columns);
    const TensorDesc row(in[0].dtype, {tokens, in[0].dim(2)});
    if (expands_) RequireSame(kOp, 2, in[2], row);
    out[0] = expands_ ? in[0] : row;
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads, const kernels::KernelTable&) const override {
    return RowBuffers::Bytes(threads, 1, (in[0].dim(1) + 2) * kBlockElements);
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const int64_t n = in[0].desc.dim(1), hidden = in[0].desc.dim(2), columns = in[1].desc.dim(1);
    const RowBuffers buffers(ctx.workspace, 1, (n + 2) * kBlockElements);
    ForRows(ctx.pool, in[0].desc.dim(0), n * hidden, [&](int64_t token, int worker) {
      const float* weights = in[1].As<float>() + token * columns;
      float *streams = buffers(worker, 0), *step = streams + n * kBlockElements, *sum = step + kBlockElements;
      ForBlocks(hidden, [&](int64_t start, int64_t count) {
        for (int64_t j = 0; j < n; ++j)
          ctx.kernels.to_f32(ElementAt(in[0], (token * n + j) * hidden + start), in[0].desc.dtype,
                             streams + j * kBlockElements, count);
        if (!expands_) {
          ctx.kernels.mix(streams, kBlockElements, weights, n, sum, count);
          return StoreFloats(ctx.kernels, out[0], token * hidden + start, count, sum);
        }
        ctx.kernels.to_f32(ElementAt(in[2], token * hidden + start), in[2].desc.dtype, step, count);
        const float* matrix = weights + 2 * n;
        for (int64_t k = 0; k < n; ++k) {
          float own[kMostStreams + 1];
          for (int64_t j = 0; j < n; ++j) own[j] = matrix[j * n + k];
          own[n] = weights[n + k];
          ctx.kernels.mix(streams, kBlockElements, own, n + 1, sum, count);
          StoreFloats(ctx.kernels, out[0], (token * n + k) * hidden + start, count, sum);
        }
      });
    });
  }

 private:
  bool expands_;
};

}  // namespace

std::unique_ptr<Operation> CreateMixStreams(const ParamObject& param) {
  ParamReader reader(MixStreams::kOp, param);
  const bool expands = reader.Enum("mix", {"collapse", "expand"}, 0) == 1;
  reader.Done();
  return std::make_unique<MixStreams>(expands);
}

}  // namespace atb
