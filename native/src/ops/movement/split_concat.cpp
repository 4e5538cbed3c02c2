#include <numeric>

#include "base/checked.h"
#include "ops/check.h"
#include "ops/factories.h"
#include "ops/movement/strided_copy.h"
#include "ops/rows.h"

namespace atb {
namespace {

/// Copies the slab of `whole` that starts at `start` along an axis to or from `part`.
void CopySlab(const Tensor& whole, const Tensor& part, int axis, int64_t start, bool to_part, ThreadPool& pool) {
  const auto whole_strides = StridesOf(whole.desc), part_strides = StridesOf(part.desc);
  StridedCopy copy;
  for (int i = 0; i < part.desc.rank; ++i) {
    const auto at = static_cast<size_t>(i);
    if (to_part) {
      copy.Axis(part.desc.dim(i), whole_strides[at], part_strides[at]);
    } else {
      copy.Axis(part.desc.dim(i), part_strides[at], whole_strides[at]);
    }
  }
  std::byte* slab = ElementAt(whole, start * whole_strides[static_cast<size_t>(axis)]);
  std::byte* own = part.As<std::byte>();
  copy.Run(pool, SizeOf(whole.desc.dtype), to_part ? slab : own, to_part ? own : slab);
}

/// x -> 2 or 3 parts along one axis, equal or of the given sizes.
class Split : public Operation {
 public:
  static constexpr const char* kOp = "Split";

  Split(int64_t dim, int64_t parts, std::vector<int64_t> sizes) : dim_(dim), parts_(parts), sizes_(std::move(sizes)) {}
  int NumInputs() const override { return 1; }
  int NumOutputs() const override { return static_cast<int>(parts_); }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    RequireDense(kOp, 0, in[0]);
    const int axis = RequireAxis(kOp, dim_, in[0]);
    const int64_t size = in[0].dim(axis);
    const int64_t sum = std::accumulate(sizes_.begin(), sizes_.end(), int64_t{0});
    if (sizes_.empty() ? size % parts_ != 0 : size != sum) {
      const std::string wanted = sizes_.empty() ? "a multiple of " + std::to_string(parts_) : std::to_string(sum);
      FailShape(kOp, 0, wanted + " long along axis " + std::to_string(axis), in[0]);
    }
    for (size_t i = 0; i < out.size(); ++i) {
      out[i] = in[0];
      out[i].dims[static_cast<size_t>(axis)] = sizes_.empty() ? size / parts_ : sizes_[i];
    }
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const int axis = RequireAxis(kOp, dim_, in[0].desc);
    int64_t start = 0;
    for (const Tensor& part : out) {
      CopySlab(in[0], part, axis, start, true, ctx.pool);
      start += part.desc.dim(axis);
    }
  }

 private:
  int64_t dim_;
  int64_t parts_;
  std::vector<int64_t> sizes_;
};

/// x, y -> both along one axis.
class Concat : public Operation {
 public:
  static constexpr const char* kOp = "Concat";

  explicit Concat(int64_t dim) : dim_(dim) {}
  int NumInputs() const override { return 2; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    RequireDense(kOp, 0, in[0]);
    const auto axis = static_cast<size_t>(RequireAxis(kOp, dim_, in[0]));
    TensorDesc expected = in[0];
    if (in[1].rank == in[0].rank) expected.dims[axis] = in[1].dims[axis];
    RequireSame(kOp, 1, in[1], expected);
    out[0] = in[0];
    out[0].dims[axis] = CheckedAdd(in[0].dims[axis], in[1].dims[axis]);
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const int axis = RequireAxis(kOp, dim_, in[0].desc);
    CopySlab(out[0], in[0], axis, 0, false, ctx.pool);
    CopySlab(out[0], in[1], axis, in[0].desc.dim(axis), false, ctx.pool);
  }

 private:
  int64_t dim_;
};

}  // namespace

std::unique_ptr<Operation> CreateSplit(const ParamObject& param) {
  ParamReader reader(Split::kOp, param);
  const int64_t dim = reader.Int("splitDim", 0, -kMaxRank, kMaxRank - 1);
  const int64_t parts = reader.Int("splitNum", 2, 2, 3);
  std::vector<int64_t> sizes = reader.Ints("splitSizes");
  reader.Done();
  if (!sizes.empty() && static_cast<int64_t>(sizes.size()) != parts)
    reader.Fail("splitSizes", "a list of " + std::to_string(parts) + " sizes");
  for (int64_t size : sizes)
    if (size < 0 || size > INT32_MAX) reader.Fail("splitSizes", "a list of sizes from 0 to 2147483647");
  if (!sizes.empty() && dim < 0) reader.Fail("splitDim", "at least 0 when splitSizes is given");
  return std::make_unique<Split>(dim, parts, std::move(sizes));
}

std::unique_ptr<Operation> CreateConcat(const ParamObject& param) {
  ParamReader reader(Concat::kOp, param);
  const int64_t dim = reader.Int("concatDim", 0, -kMaxRank, kMaxRank - 1);
  reader.Done();
  return std::make_unique<Concat>(dim);
}

}  // namespace atb
