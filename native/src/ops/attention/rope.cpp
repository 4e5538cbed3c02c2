#include "ops/check.h"
#include "ops/factories.h"
#include "ops/rows.h"

namespace atb {
namespace {

/// q [T, Nq * D], k [T, Nk * D] (or [B, S, N, D] with B * S tokens), cos and sin [T, D], lengths [B] -> rotated q and
/// k. A head of D elements is cut into rotaryCoeff / 2 groups; each is rotated half against half with its own part of
/// cos and sin: coefficient 2 is LLaMA's (one group), 4 ChatGLM's (two), D is the interleaved form (pairs).
class Rope : public Operation {
 public:
  static constexpr const char* kOp = "Rope";

  explicit Rope(int64_t coefficient) : coefficient_(coefficient) {}
  int NumInputs() const override { return 5; }
  int NumOutputs() const override { return 2; }
  /// In place is allowed, because a head is rotated in a buffer, or by a kernel that may write over its input.
  bool InPlace(int input, int output) const override { return input == output; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const TensorDesc& cos = in[2];
    RequireFloat(kOp, 2, cos);
    RequireRank(kOp, 2, cos, 2, 2);
    RequireSame(kOp, 3, in[3], cos);
    const int64_t width = cos.dim(1);
    if (width == 0 || width * 2 % coefficient_ != 0 || Group(width) % 2 != 0)
      FailShape(kOp, 2, "of a width that rotaryCoeff " + std::to_string(coefficient_) + " divides into even groups",
                cos);
    for (int i = 0; i < 2; ++i) {
      const TensorDesc& x = At(in, i);
      RequireFloat(kOp, i, x);
      if (x.rank != 2 && x.rank != 4) FailShape(kOp, i, "of rank 2 or 4", x);
      if (Tokens(x) != cos.dim(0))
        FailShape(kOp, i, "of " + std::to_string(cos.dim(0)) + " tokens, as cos " + ToString(cos) + " has", x);
      if (Hidden(x) % width != 0) FailShape(kOp, i, "of heads of " + std::to_string(width) + " elements", x);
      if (x.rank == 4 && x.dim(3) != width) FailShape(kOp, i, "of heads of " + std::to_string(width) + " elements", x);
      out[static_cast<size_t>(i)] = x;
    }
    if (in[1].dtype != in[0].dtype) FailDType(kOp, 1, std::string("of q's type ") + ToString(in[0].dtype), in[1]);
    // ATB's device needs the lengths to divide its work. The rotation depends on cos and sin alone.
    RequireDType(kOp, 4, in[4], DType::kI32);
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads, const kernels::KernelTable&) const override {
    return RowBuffers::Bytes(threads, kBuffers, Widest(in[0], in[1], in[2]));
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const kernels::KernelTable& kernels = ctx.kernels;
    const int64_t width = in[2].desc.dim(1);
    const int64_t hidden[] = {Hidden(in[0].desc), Hidden(in[1].desc)};
    const RowBuffers buffers(ctx.workspace, kBuffers, Widest(in[0].desc, in[1].desc, in[2].desc));
    ForRows(ctx.pool, in[2].desc.dim(0), hidden[0] + hidden[1], [&](int64_t token, int worker) {
      const float* cos = LoadFloats(kernels, in[2], token * width, width, buffers(worker, 0));
      const float* sin = LoadFloats(kernels, in[3], token * width, width, buffers(worker, 1));
      for (size_t i = 0; i < 2; ++i) {
        const int64_t first = token * hidden[i];
        const float* x = LoadFloats(kernels, in[i], first, hidden[i], buffers(worker, 2));
        float* y = FloatTarget(out[i], first, buffers(worker, 2));
        const int64_t group = Group(width);
        for (int64_t at = 0; at < hidden[i]; at += group)
          kernels.rope(x + at, cos + at % width, sin + at % width, y + at, group);
        StoreFloats(kernels, out[i], first, hidden[i], y);
      }
    });
  }

 private:
  static constexpr int kBuffers = 3;

  int64_t Group(int64_t width) const { return width * 2 / coefficient_; }
  static int64_t Tokens(const TensorDesc& x) { return Extent(x, 0, x.rank / 2); }
  static int64_t Hidden(const TensorDesc& x) { return Extent(x, x.rank / 2, x.rank); }
  static int64_t Widest(const TensorDesc& q, const TensorDesc& k, const TensorDesc& cos) {
    return std::max({Hidden(q), Hidden(k), cos.dim(1)});
  }

  int64_t coefficient_;
};

}  // namespace

std::unique_ptr<Operation> CreateRope(const ParamObject& param) {
  ParamReader reader(Rope::kOp, param);
  const int64_t coefficient = reader.Int("rotaryCoeff", 4, 2, 1 << 16);
  if (coefficient % 2 != 0) reader.Fail("rotaryCoeff", "even");
  reader.Require("cosFormat", 0);
  reader.Done();
  return std::make_unique<Rope>(coefficient);
}

}  // namespace atb
