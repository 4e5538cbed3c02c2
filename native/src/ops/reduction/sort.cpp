#include <algorithm>
#include <cmath>

#include "ops/check.h"
#include "ops/factories.h"
#include "ops/rows.h"

namespace atb {
namespace {

/// x [.., n] -> the largest `num` of each row in descending order, and their i32 indices. Equal values keep their
/// order; NaN counts as larger than all.
class Sort : public Operation {
 public:
  static constexpr const char* kOp = "Sort";

  explicit Sort(int64_t num) : num_(num) {}
  int NumInputs() const override { return 1; }
  int NumOutputs() const override { return 2; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    RequireFloat(kOp, 0, in[0]);
    RequireRank(kOp, 0, in[0], 1, kMaxRank);
    const int64_t size = in[0].dim(-1);
    if (size < num_ || size > INT32_MAX)
      FailShape(kOp, 0, "of " + std::to_string(num_) + " to 2147483647 elements along its last axis", in[0]);
    out[0] = in[0];
    out[0].dims[in[0].rank - 1u] = num_;
    out[1] = out[0];
    out[1].dtype = DType::kI32;
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads, const kernels::KernelTable&) const override {
    return RowBuffers::Bytes(threads, 2, in[0].dim(-1));
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const int64_t size = in[0].desc.dim(-1);
    const RowBuffers buffers(ctx.workspace, 2, size);
    ForRows(ctx.pool, Extent(in[0].desc, 0, in[0].desc.rank - 1), size, [&](int64_t row, int worker) {
      const float* x = LoadFloats(ctx.kernels, in[0], row * size, size, buffers(worker, 0));
      auto* order = reinterpret_cast<int32_t*>(buffers(worker, 1));
      for (int64_t i = 0; i < size; ++i) order[i] = static_cast<int32_t>(i);
      // Equal values are ordered by their index. So an unstable sort, which works in place, gives the stable result.
      std::partial_sort(order, order + num_, order + size, [x](int32_t a, int32_t b) {
        const bool nan_a = std::isnan(x[a]), nan_b = std::isnan(x[b]);
        if (nan_a != nan_b) return nan_a;
        if (!nan_a && x[a] != x[b]) return x[a] > x[b];
        return a < b;
      });
      const size_t bytes = SizeOf(in[0].desc.dtype);
      for (int64_t i = 0; i < num_; ++i) {
        std::copy_n(ElementAt(in[0], row * size + order[i]), bytes, ElementAt(out[0], row * num_ + i));
        out[1].As<int32_t>()[row * num_ + i] = order[i];
      }
    });
  }

 private:
  int64_t num_;
};

}  // namespace

std::unique_ptr<Operation> CreateSort(const ParamObject& param) {
  ParamReader reader(Sort::kOp, param);
  const std::vector<int64_t> num = reader.Ints("num");
  reader.Done();
  if (num.size() != 1 || num[0] < 1 || num[0] > INT32_MAX) reader.Fail("num", "a list of one count of at least 1");
  return std::make_unique<Sort>(num[0]);
}

}  // namespace atb
