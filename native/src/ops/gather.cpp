#include <cstring>

#include "kernels/packed_weight.h"
#include "ops/check.h"
#include "ops/factories.h"
#include "ops/rows.h"

namespace atb {
namespace {

using kernels::PackedWeight;
using kernels::WeightFormat;

constexpr const char* kOp = "Gather";

int64_t IndexAt(const Tensor& indices, int64_t i) {
  return indices.desc.dtype == DType::kI64 ? indices.As<int64_t>()[i] : indices.As<int32_t>()[i];
}

DType DTypeOf(WeightFormat format) {
  switch (format) {
    case WeightFormat::kBF16:
      return DType::kBF16;
    case WeightFormat::kF16:
      return DType::kF16;
    default:
      return DType::kF32;
  }
}

/// Copies n elements that lie kPanelColumns apart.
template <typename T>
void CopyColumn(const std::byte* panel, int64_t column, int64_t n, T* row) {
  const T* from = reinterpret_cast<const T*>(panel) + column;
  for (int64_t i = 0; i < n; ++i) row[i] = from[i * kernels::kPanelColumns];
}

/// Row `index` of a packed weight [n, k]: a column of one panel.
void UnpackRow(const PackedWeight& weight, int64_t index, std::byte* row) {
  const std::byte* panel =
      static_cast<const std::byte*>(weight.data) + index / kernels::kPanelColumns * weight.panel_stride;
  const int64_t column = index % kernels::kPanelColumns;
  switch (weight.format) {
    case WeightFormat::kBF16: {
      // Two input channels side by side per column; k is padded to whole tiles, so the last pair of an odd k is there.
      const auto* pairs = reinterpret_cast<const uint32_t*>(panel) + column;
      for (int64_t i = 0; i < weight.k / 2; ++i) std::memcpy(row + i * 4, pairs + i * kernels::kPanelColumns, 4);
      if (weight.k % 2 != 0) std::memcpy(row + (weight.k - 1) * 2, pairs + weight.k / 2 * kernels::kPanelColumns, 2);
      return;
    }
    case WeightFormat::kF16:
      return CopyColumn(panel, column, weight.k, reinterpret_cast<uint16_t*>(row));
    default:
      return CopyColumn(panel, column, weight.k, reinterpret_cast<uint32_t*>(row));
  }
}

/// x[.., n, ..], indices -> x with the axis replaced by the indices' axes. With one batch axis, row b of the indices
/// gathers from x[b]. x may be a packed weight [n, k] along axis 0: a tied embedding is stored once.
class Gather : public Operation {
 public:
  Gather(int64_t axis, int batch_dims) : axis_(axis), batch_dims_(batch_dims) {}
  int NumInputs() const override { return 2; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const TensorDesc& x = in[0];
    const TensorDesc& indices = in[1];
    const int axis = RequireAxis(kOp, axis_, x);
    if (axis < batch_dims_) FailShape(kOp, 0, "gathered along an axis after its batch axes", x);
    if (x.layout == Layout::kPackedLinear) {
      if (axis != 0) FailShape(kOp, 0, "gathered along axis 0, being packed", x);
      RequireRank(kOp, 0, x, 2, 2);
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
      if (weight.interleaved || weight.n != x.desc.dim(0) || weight.k != x.desc.dim(1) ||
          DTypeOf(weight.format) != x.desc.dtype)
        throw InputError("NATIVE_LAYOUT_MISMATCH", kOp, 0, "packed from one matrix of its own shape and dtype",
                         ToString(x.desc) + (weight.interleaved ? ", interleaved" : ", another weight"));
    }
    const int64_t n = x.desc.dim(RequireAxis(kOp, axis_, x.desc));
    const int64_t count = in[1].desc.Elements();
    for (int64_t i = 0; i < count; ++i) {
      const int64_t index = IndexAt(in[1], i);
      if (index < 0 || index >= n)
        FailValue(kOp, 1, "indices from 0 to " + std::to_string(n - 1),
                  std::to_string(index) + " at " + std::to_string(i));
    }
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
    ForRows(ctx.pool, batch * outer * count, inner, [&](int64_t row, int) {
      const int64_t i = row % count, block = row / count;
      const int64_t index = IndexAt(in[1], block / outer * count + i);
      std::byte* target = ElementAt(out[0], row * inner);
      if (x.desc.layout == Layout::kPackedLinear) {
        UnpackRow(*x.As<PackedWeight>(), index, target);
      } else if (row_bytes > 0) {
        std::memcpy(target, ElementAt(x, (block * n + index) * inner), row_bytes);
      }
    });
  }

 private:
  int64_t axis_;
  int batch_dims_;
};

}  // namespace

std::unique_ptr<Operation> CreateGather(const ParamObject& param) {
  ParamReader reader(kOp, param);
  const int64_t axis = reader.Int("axis", 0, -kMaxRank, kMaxRank - 1);
  const auto batch_dims = static_cast<int>(reader.Int("batchDims", 0, 0, 1));
  reader.Done();
  return std::make_unique<Gather>(axis, batch_dims);
}

}  // namespace atb
