#include <algorithm>
#include <type_traits>

#include "ops/check.h"
#include "ops/elementwise/broadcast.h"
#include "ops/factories.h"
#include "ops/rows.h"

namespace atb {
namespace {

/// Our extension: what becomes of a product of two tensors that broadcast (Elewise, MUL) where nothing else reads it,
/// rounded once. With "add" x, y, z -> x * y + z (Elewise, ADD), all of which broadcast; with "sum" x, y -> the sums of
/// x * y, of three axes at least, along axis 1, which is removed (Reduce). All are f32, f16 or bf16; with "add" i32 or
/// i64, too, which wrap around.
class FusedMultiply : public Operation {
 public:
  static constexpr const char* kOp = "FusedMultiply";

  explicit FusedMultiply(bool sums) : sums_(sums) {}
  int NumInputs() const override { return sums_ ? 2 : 3; }
  int NumOutputs() const override { return 1; }
  /// As in Elewise: an element is read before it is written, and what repeats has another shape.
  bool InPlace(int, int) const override { return !sums_; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const DType dtype = in[0].dtype;
    if (sums_ || (dtype != DType::kI32 && dtype != DType::kI64)) RequireFloat(kOp, 0, in[0]);
    for (int i = 0; i < NumInputs(); ++i) {
      const TensorDesc& x = At(in, i);
      RequireDense(kOp, i, x);
      if (x.dtype != dtype) FailDType(kOp, i, std::string("of in0's type ") + ToString(dtype), x);
    }
    out[0].layout = Layout::kRowMajor;
    out[0].dtype = dtype;
    Broadcast(kOp, in).SetShape(out[0]);
    if (!sums_) return;
    if (out[0].rank < 3) FailShape(kOp, 0, "of three axes at least", out[0]);
    std::copy(out[0].dims.begin() + 2, out[0].dims.begin() + out[0].rank, out[0].dims.begin() + 1);
    out[0].dims[static_cast<size_t>(--out[0].rank)] = 0;
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const Broadcast shape(kOp, InputDescs(in));
    const int64_t size = shape.row_size();
    // Rows of the result; of products, so many become one, `step` apart.
    const int64_t rows = Extent(out[0].desc, 0, out[0].desc.rank - 1);
    const Joined joined{sums_ && rows > 0 ? shape.rows() / rows : 1, sums_ && rows > 0 ? rows / out[0].desc.dim(0) : 1};
    ForRows(ctx.pool, sums_ ? rows : shape.rows(), joined.count * size, [&](int64_t row, int) {
      ForBlocks(size, [&](int64_t start, int64_t n) {
        switch (in[0].desc.dtype) {
          case DType::kI32:
            return Integers<int32_t>(in, out[0], shape, row, start, n);
          case DType::kI64:
            return Integers<int64_t>(in, out[0], shape, row, start, n);
          default:
            return Floats(in, out[0], shape, row, joined, start, n, ctx.kernels);
        }
      });
    });
  }

 private:
  /// Rows of products that become one row of the result.
  struct Joined {
    int64_t count;
    int64_t step;

    int64_t Row(int64_t row, int64_t j) const { return (row / step * count + j) * step + row % step; }
  };

  /// Some elements of an input's row as f32; of one that repeats, that one.
  static const float* LoadRow(const kernels::KernelTable& kernels, const Tensor& tensor, int64_t offset, int64_t step,
                              int64_t start, int64_t n, float* buffer) {
    return LoadFloats(kernels, tensor, offset + start * step, step == 0 ? 1 : n, buffer);
  }

  void Floats(std::span<const Tensor> in, const Tensor& out, const Broadcast& shape, int64_t row, const Joined& joined,
              int64_t start, int64_t n, const kernels::KernelTable& kernels) const {
    using kernels::BinaryOp;
    float buffers[3][kBlockElements], products[kBlockElements], sums[kBlockElements];
    const int64_t first = row * shape.row_size() + start;
    float* target = FloatTarget(out, first, sums);
    const auto load = [&](int input, int64_t of_row) {
      const Tensor& tensor = At(in, input);
      return LoadRow(kernels, tensor, shape.Offset(input, of_row), shape.Step(input), start, n, buffers[input]);
    };
    if (joined.count == 0) std::fill_n(target, n, 0.0f);
    for (int64_t j = 0; j < joined.count; ++j) {
      const int64_t of_row = joined.Row(row, j);
      const float *x = load(0, of_row), *y = load(1, of_row);
      const bool x_repeats = shape.Step(0) == 0, y_repeats = shape.Step(1) == 0;
      float* product = j == 0 && sums_ ? target : products;
      if (x_repeats || y_repeats) {
        if (x_repeats && y_repeats) std::fill_n(buffers[0], n, *x);
        kernels.unary(kernels::UnaryOp::kMuls, y_repeats ? (x_repeats ? buffers[0] : x) : y, product, n,
                      y_repeats ? *y : *x);
      } else {
        kernels.binary(BinaryOp::kMul, x, y, product, n);
      }
      if (j > 0) kernels.binary(BinaryOp::kAdd, target, product, target, n);
    }
    if (!sums_) {
      const float* z = load(2, row);
      if (shape.Step(2) == 0) {
        const float one = *z;
        std::fill_n(buffers[2], n, one);
        z = buffers[2];
      }
      kernels.binary(BinaryOp::kAdd, products, z, target, n);
    }
    StoreFloats(kernels, out, first, n, target);
  }

  template <typename T>
  static void Integers(std::span<const Tensor> in, const Tensor& out, const Broadcast& shape, int64_t row,
                       int64_t start, int64_t n) {
    using U = std::make_unsigned_t<T>;
    const auto at = [&](int input, int64_t i) {
      const int64_t offset = shape.Offset(input, row) + (start + i) * shape.Step(input);
      return static_cast<U>(At(in, input).As<T>()[offset]);
    };
    T* to = out.As<T>() + row * shape.row_size() + start;
    for (int64_t i = 0; i < n; ++i) to[i] = static_cast<T>(at(0, i) * at(1, i) + at(2, i));
  }

  bool sums_;
};

}  // namespace

std::unique_ptr<Operation> CreateFusedMultiply(const ParamObject& param) {
  ParamReader reader(FusedMultiply::kOp, param);
  const int follow = reader.Enum("follow", {"undefined", "add", "sum"}, 0);
  reader.Done();
  if (follow == 0) reader.Fail("follow", "\"add\" or \"sum\"");
  return std::make_unique<FusedMultiply>(follow == 2);
}

}  // namespace atb
