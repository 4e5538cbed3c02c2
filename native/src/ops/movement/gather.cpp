#include <algorithm>
#include <cstring>

#include "kernels/pack.h"
#include "ops/check.h"
#include "ops/factories.h"
#include "ops/movement/indices.h"
#include "ops/rows.h"

namespace atb {
namespace {

using kernels::PackedWeight;

/// x[.., n, ..], indices -> x with the axis replaced by the indices' axes. With one batch axis, row b of the indices
/// gathers from x[b]. x may be a packed weight [n, k] along axis 0: a tied embedding is stored once.
class Gather : public Operation {
 public:
  static constexpr const char* kOp = "Gather";

  Gather(int64_t axis, int batch_dims) : axis_(axis), batch_dims_(batch_dims) {}
  int NumInputs() const override { return 2; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const TensorDesc& x = in[0];
    const TensorDesc& indices = in[1];
    const int axis = RequireAxis(kOp, axis_, x);
    if (axis < batch_dims_) FailShape(kOp, 0, "gathered along an axis after its batch axes", x);
    if (x.layout == Layout::kPackedLinear) {
      if (!IsFloat(x.dtype)) FailDType(kOp, 0, "f32, f16 or bf16, being packed", x);
      RequireRank(kOp, 0, x, 2, 2);
      if (axis != 0) FailShape(kOp, 0, "gathered along axis 0, being packed", x);
    } else {
      RequireDense(kOp, 0, x);
    }
    RequireIndex(kOp, 1, indices);
    RequireRank(kOp, 1, indices, batch_dims_, kMaxRank + 1 - x.rank + batch_dims_);
    if (batch_dims_ == 1 && indices.dim(0) != x.dim(0))
      FailShape(kOp, 1, "of batch size " + std::to_string(x.dim(0)), indices);
    TensorDesc& y = out[0];
    y.dtype = x.dtype;
    y.layout = Layout::kRowMajor;
    y.rank = 0;
    const auto append = [&y](int64_t size) { y.dims[y.rank++] = size; };
    for (int i = 0; i < axis; ++i) append(x.dim(i));
    for (int i = batch_dims_; i < indices.rank; ++i) append(indices.dim(i));
    for (int i = axis + 1; i < x.rank; ++i) append(x.dim(i));
  }

  void Validate(std::span<const Tensor> in) const override {
    const Tensor& x = in[0];
    if (x.desc.layout == Layout::kPackedLinear) {
      const PackedWeight& weight = *x.As<PackedWeight>();
      if (weight.n != x.desc.dim(0) || weight.k != x.desc.dim(1))
        throw InputError(
            "NATIVE_LAYOUT_MISMATCH", kOp, 0, "packed from a matrix of its own shape",
            ToString(x.desc) + " with panels of [" + std::to_string(weight.n) + "," + std::to_string(weight.k) + "]");
    }
    ValidateIndices(kOp, 1, in[1], x.desc.dim(RequireAxis(kOp, axis_, x.desc)));
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const Tensor& x = in[0];
    const int axis = RequireAxis(kOp, axis_, x.desc);
    const int64_t batch = Extent(x.desc, 0, batch_dims_);
    const int64_t outer = Extent(x.desc, batch_dims_, axis);
    const int64_t n = x.desc.dim(axis);
    const int64_t inner = Extent(x.desc, axis + 1, x.desc.rank);
    const int64_t count = batch == 0 ? 0 : in[1].desc.Elements() / batch;
    const size_t row_bytes = static_cast<size_t>(inner) * SizeOf(x.desc.dtype);
    if (x.desc.layout != Layout::kPackedLinear && inner == 1 && outer > 0) {
      const Numbers numbers{batch * outer, outer, n, count};
      if (row_bytes == sizeof(uint32_t)) return GatherNumbers<uint32_t>(in, out[0], numbers, ctx.pool);
      if (row_bytes == sizeof(uint16_t)) return GatherNumbers<uint16_t>(in, out[0], numbers, ctx.pool);
    }
    ForRows(ctx.pool, batch * outer * count, inner, [&](int64_t row, int) {
      const int64_t i = row % count, block = row / count;
      const int64_t index = IndexAt(in[1], block / outer * count + i);
      std::byte* target = ElementAt(out[0], row * inner);
      if (x.desc.layout == Layout::kPackedLinear) {
        kernels::UnpackRow(*x.As<PackedWeight>(), index, x.desc.dtype, target);
      } else if (row_bytes > 0) {
        std::memcpy(target, ElementAt(x, (block * n + index) * inner), row_bytes);
      }
    });
  }

 private:
  /// What is gathered along the last axis: rows of n numbers, so many of which share their indices, of which there are
  /// `count`.
  struct Numbers {
    int64_t rows, sharing, n, count;
  };

  /// Single numbers, whatever they mean: pieces of rows, since there may be few rows.
  template <typename T>
  static void GatherNumbers(std::span<const Tensor> in, const Tensor& out, const Numbers& numbers, ThreadPool& pool) {
    constexpr int64_t kPiece = 4096;
    const int64_t pieces = CeilDiv(numbers.count, kPiece);
    ForRows(pool, numbers.rows * pieces, kPiece, [&](int64_t piece, int) {
      const int64_t row = piece / pieces;
      const int64_t begin = piece % pieces * kPiece;
      const int64_t end = std::min(begin + kPiece, numbers.count);
      const T* from = in[0].As<T>() + row * numbers.n;
      T* to = out.As<T>() + row * numbers.count;
      const int64_t first = row / numbers.sharing * numbers.count;
      for (int64_t i = begin; i < end; ++i) to[i] = from[IndexAt(in[1], first + i)];
    });
  }

  int64_t axis_;
  int batch_dims_;
};

}  // namespace

std::unique_ptr<Operation> CreateGather(const ParamObject& param) {
  ParamReader reader(Gather::kOp, param);
  const int64_t axis = reader.Int("axis", 0, -kMaxRank, kMaxRank - 1);
  const auto batch_dims = static_cast<int>(reader.Int("batchDims", 0, 0, 1));
  reader.Done();
  return std::make_unique<Gather>(axis, batch_dims);
}

}  // namespace atb
