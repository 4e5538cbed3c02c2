#include <algorithm>
#include <cstring>

#include "ops/check.h"
#include "ops/factories.h"
#include "ops/rows.h"

namespace atb {
namespace {

/// Columns and results of a line of which a worker has its values at hand.
constexpr int64_t kColumns = 64;
constexpr int64_t kTokens = 32;

/// What a convolution takes of a square, whose rows lie line by line.
struct SquareWindow {
  int64_t side;      ///< Rows along a side of a square.
  int64_t kernel;    ///< Of them a result sees so many along each side.
  int64_t stride;    ///< Rows from the first that a result sees to the first of the next result.
  int64_t before;    ///< Zeros before the first row of a line, and before the first line.
  int64_t out_side;  ///< Results along a side.

  int64_t taps() const { return kernel * kernel; }
  /// Places along a line that so many results see.
  int64_t Span(int64_t results) const { return (results - 1) * stride + kernel; }
};

/// Each channel's convolution over squares of rows, beyond whose edges there are zeros: x [squares * side * side,
/// channels], weight f32 [kernel * kernel, channels], the taps of a column from its first line on, one column behind
/// the other, bias f32 [channels] with hasBias -> [squares * outSide * outSide, channels] of x's dtype.
///
/// Where some lines are laid column by column, the rows of a window lie one behind the other; so the kernel of
/// convolutions over tokens computes a result, as if a window's rows were tokens.
class DepthwiseConv : public Operation {
 public:
  static constexpr const char* kOp = "DepthwiseConv";

  DepthwiseConv(const SquareWindow& window, bool has_bias) : window_(window), has_bias_(has_bias) {}
  int NumInputs() const override { return 2 + has_bias_; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const TensorDesc& x = in[0];
    RequireFloat(kOp, 0, x);
    RequireRank(kOp, 0, x, 2, 2);
    const int64_t area = window_.side * window_.side;
    if (x.dim(0) % area != 0) FailShape(kOp, 0, "[a multiple of " + std::to_string(area) + ", channels]", x);
    RequireRank(kOp, 1, in[1], 2, 2);
    RequireDType(kOp, 1, in[1], DType::kF32);
    RequireDense(kOp, 1, in[1]);
    if (in[1].dim(0) != window_.taps() || in[1].dim(1) != x.dim(1))
      FailShape(kOp, 1, "[" + std::to_string(window_.taps()) + ", " + std::to_string(x.dim(1)) + "]", in[1]);
    if (has_bias_) RequireVector(kOp, 2, in[2], DType::kF32, x.dim(1));
    out[0] = TensorDesc(x.dtype, {x.dim(0) / area * window_.out_side * window_.out_side, x.dim(1)});
  }

  size_t WorkspaceBytes(std::span<const TensorDesc>, int threads, const kernels::KernelTable&) const override {
    return RowBuffers::Bytes(threads, 1, BufferRows() * kColumns);
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const int64_t channels = in[0].desc.dim(1), blocks = CeilDiv(channels, kColumns);
    const int64_t lines = out[0].desc.dim(0) / window_.out_side;
    const RowBuffers buffers(ctx.workspace, 1, BufferRows() * kColumns);
    ctx.pool.ParallelFor(lines * blocks, [&](int64_t task, int worker) {
      const int64_t first = task % blocks * kColumns;
      RunLine(in, out, task / blocks, first, std::min(kColumns, channels - first), buffers(worker, 0), ctx.kernels);
    });
  }

 private:
  /// Of a worker's buffer: what some results see, and these.
  int64_t BufferRows() const { return window_.Span(Results()) * window_.kernel + Results(); }
  int64_t Results() const { return std::min(kTokens, window_.out_side); }

  /// One line of results of some columns.
  void RunLine(std::span<const Tensor> in, std::span<const Tensor> out, int64_t line, int64_t first, int64_t columns,
               float* rows, const kernels::KernelTable& kernels) const {
    const int64_t channels = in[0].desc.dim(1), side = window_.side, kernel = window_.kernel;
    const int64_t square = line / window_.out_side * side * side;
    const int64_t top = line % window_.out_side * window_.stride - window_.before;
    float* results = rows + window_.Span(Results()) * kernel * columns;
    for (int64_t begin = 0; begin < window_.out_side; begin += kTokens) {
      const int64_t count = std::min(kTokens, window_.out_side - begin);
      const int64_t left = begin * window_.stride - window_.before;
      for (int64_t place = 0; place < window_.Span(count); ++place) {
        for (int64_t tap = 0; tap < kernel; ++tap) {
          const int64_t x = left + place, y = top + tap;
          float* row = rows + (place * kernel + tap) * columns;
          if (x < 0 || x >= side || y < 0 || y >= side) {
            std::memset(row, 0, static_cast<size_t>(columns) * sizeof(float));
          } else {
            kernels.to_f32(ElementAt(in[0], (square + y * side + x) * channels + first), in[0].desc.dtype, row, columns);
          }
        }
      }
      for (int64_t i = 0; i < count; ++i)
        kernels.conv({.rows = rows + i * window_.stride * kernel * columns,
                      .weight = in[1].As<float>() + first,
                      .bias = has_bias_ ? in[2].As<float>() + first : nullptr,
                      .out = results + i * columns,
                      .tokens = 1,
                      .columns = columns,
                      .taps = window_.taps(),
                      .weight_stride = channels,
                      .swish = false});
      for (int64_t i = 0; i < count; ++i)
        StoreFloats(kernels, out[0], (line * window_.out_side + begin + i) * channels + first, columns,
                    results + i * columns);
    }
  }

  SquareWindow window_;
  bool has_bias_;
};

constexpr int64_t kMostSide = 4096;
constexpr int64_t kMostKernel = 16;

}  // namespace

std::unique_ptr<Operation> CreateDepthwiseConv(const ParamObject& param) {
  ParamReader reader(DepthwiseConv::kOp, param);
  const auto size = [&](const char* key, int64_t most) {
    const int64_t found = reader.Int(key, 0, 1, most);
    if (found == 0) reader.Fail(key, "an integer from 1 to " + std::to_string(most));
    return found;
  };
  const SquareWindow window{.side = size("side", kMostSide),
                            .kernel = size("kernel", kMostKernel),
                            .stride = size("stride", kMostKernel),
                            .before = reader.Int("before", 0, 0, kMostKernel - 1),
                            .out_side = size("outSide", kMostSide)};
  const bool has_bias = reader.Bool("hasBias", false);
  reader.Done();
  // So that each result sees some row.
  if (window.before >= window.kernel) reader.Fail("before", "less than kernel");
  if ((window.out_side - 1) * window.stride - window.before >= window.side)
    reader.Fail("outSide", "so many results that the last one sees a row of the square");
  return std::make_unique<DepthwiseConv>(window, has_bias);
}

}  // namespace atb
