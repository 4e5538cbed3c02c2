#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/check.h"
#include "ops/factories.h"
#include "ops/movement/strided_copy.h"
#include "ops/rows.h"

namespace atb {
namespace {

/// Softmax over some neighbouring axes taken together.
class Softmax : public Operation {
 public:
  static constexpr const char* kOp = "Softmax";

  explicit Softmax(std::vector<int64_t> axes) : axes_(std::move(axes)) {}
  int NumInputs() const override { return 1; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    RequireFloat(kOp, 0, in[0]);
    Axes(in[0]);
    out[0] = in[0];
  }

  size_t WorkspaceBytes(std::span<const TensorDesc> in, int threads, const kernels::KernelTable&) const override {
    return RowBuffers::Bytes(threads, 2, Axes(in[0]).size);
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const Box box = Axes(in[0].desc);
    if (box.size == 0) return;
    const RowBuffers buffers(ctx.workspace, 2, box.size);
    ForRows(ctx.pool, box.outer * box.inner, box.size, [&](int64_t row, int worker) {
      float* x = buffers(worker, 0);
      float* y = buffers(worker, 1);
      const int64_t first = row / box.inner * box.size * box.inner + row % box.inner;
      if (box.inner == 1) {
        const float* values = LoadFloats(ctx.kernels, in[0], first, box.size, x);
        float* target = FloatTarget(out[0], first, y);
        ctx.kernels.softmax(values, target, box.size);
        StoreFloats(ctx.kernels, out[0], first, box.size, target);
        return;
      }
      for (int64_t i = 0; i < box.size; ++i) x[i] = *LoadFloats(ctx.kernels, in[0], first + i * box.inner, 1, x + i);
      ctx.kernels.softmax(x, y, box.size);
      for (int64_t i = 0; i < box.size; ++i) StoreFloats(ctx.kernels, out[0], first + i * box.inner, 1, y + i);
    });
  }

 private:
  struct Box {
    int64_t outer, size, inner;
  };

  Box Axes(const TensorDesc& x) const {
    int first = kMaxRank, last = -1;
    for (int64_t a : axes_) {
      const int axis = RequireAxis(kOp, a, x);
      first = std::min(first, axis);
      last = std::max(last, axis);
    }
    if (last - first + 1 != static_cast<int>(axes_.size()))
      FailShape(kOp, 0, "of a rank at which the axes are neighbours, each named once", x);
    return {Extent(x, 0, first), Extent(x, first, last + 1), Extent(x, last + 1, x.rank)};
  }

  std::vector<int64_t> axes_;
};

enum class Reduction { kMax, kMin, kSum };

/// The maximum, minimum or sum over some axes, which are removed. A maximum or minimum over a NaN is NaN.
class Reduce : public Operation {
 public:
  static constexpr const char* kOp = "Reduce";

  Reduce(Reduction kind, std::vector<int64_t> axes) : kind_(kind), axes_(std::move(axes)) {}
  int NumInputs() const override { return 1; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const TensorDesc& x = in[0];
    RequireDense(kOp, 0, x);
    if (x.dtype != DType::kI32 || kind_ == Reduction::kSum) RequireFloat(kOp, 0, x);
    const auto reduced = Reduced(x);
    out[0] = x;
    out[0].rank = 0;
    for (int i = 0; i < x.rank; ++i) {
      if (!reduced[static_cast<size_t>(i)]) {
        out[0].dims[out[0].rank++] = x.dim(i);
      } else if (x.dim(i) == 0 && kind_ != Reduction::kSum) {
        FailShape(kOp, 0, "of at least one element along axis " + std::to_string(i), x);
      }
    }
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const Tensor& x = in[0];
    const auto reduced = Reduced(x.desc);
    const auto strides = StridesOf(x.desc);
    Walk kept, gone;
    for (int i = 0; i < x.desc.rank; ++i)
      (reduced[static_cast<size_t>(i)] ? gone : kept).Axis(x.desc.dim(i), strides[static_cast<size_t>(i)]);
    if (const int64_t width = kept.InnerRun(); width > 1 && x.desc.dtype != DType::kI32)
      return kind_ == Reduction::kSum   ? ReduceColumns<Reduction::kSum>(x, out[0], {kept, gone}, width, ctx)
             : kind_ == Reduction::kMax ? ReduceColumns<Reduction::kMax>(x, out[0], {kept, gone}, width, ctx)
                                        : ReduceColumns<Reduction::kMin>(x, out[0], {kept, gone}, width, ctx);
    ForRows(ctx.pool, kept.count, gone.count, [&](int64_t row, int) {
      const int64_t first = kept.Offset(row);
      if (x.desc.dtype == DType::kI32) {
        int32_t all = x.As<int32_t>()[first];
        for (int64_t i = 1; i < gone.count; ++i) all = Join(all, x.As<int32_t>()[first + gone.Offset(i)]);
        out[0].As<int32_t>()[row] = all;
        return;
      }
      double all = Start();
      const int64_t run = gone.InnerRun();
      for (int64_t at = 0; at < gone.count; at += run)
        ForBlocks(run, [&](int64_t start, int64_t n) {
          float buffer[kBlockElements];
          const float* values = LoadFloats(ctx.kernels, x, first + gone.Offset(at) + start, n, buffer);
          for (int64_t i = 0; i < n; ++i) all = Join(all, static_cast<double>(values[i]));
        });
      const auto rounded = static_cast<float>(all);
      StoreFloats(ctx.kernels, out[0], row, 1, &rounded);
    });
  }

 private:
  /// Of what is reduced. With a double, only the last rounding of a sum of floats matters.
  double Start() const {
    return kind_ == Reduction::kSum   ? 0.0
           : kind_ == Reduction::kMax ? -std::numeric_limits<double>::infinity()
                                      : std::numeric_limits<double>::infinity();
  }

  /// Some axes of a tensor, walked in row-major order.
  struct Walk {
    int axes = 0;
    int64_t count = 1;
    std::array<int64_t, kMaxRank> sizes{}, strides{};

    void Axis(int64_t size, int64_t stride) {
      sizes[static_cast<size_t>(axes)] = size;
      strides[static_cast<size_t>(axes++)] = stride;
      count *= size;
    }
    int64_t Offset(int64_t i) const {
      int64_t offset = 0;
      for (int axis = axes - 1; axis >= 0; --axis) {
        offset += i % sizes[static_cast<size_t>(axis)] * strides[static_cast<size_t>(axis)];
        i /= sizes[static_cast<size_t>(axis)];
      }
      return offset;
    }
    /// Elements that lie side by side: the last axis when it is the tensor's last, else 1.
    int64_t InnerRun() const {
      return axes > 0 && strides[static_cast<size_t>(axes - 1)] == 1 ? sizes[static_cast<size_t>(axes - 1)] : 1;
    }
  };

  struct Walks {
    Walk kept, gone;
  };

  /// Floats of which `width` that stay lie side by side: blocks of them are reduced together, each in the same order
  /// as alone. Which reduction it is the loops know, so that they are of vectors.
  template <Reduction kKind>
  void ReduceColumns(const Tensor& x, const Tensor& out, const Walks& walks, int64_t width, const Context& ctx) const {
    ForRows(ctx.pool, walks.kept.count / width, walks.gone.count * width, [&](int64_t row, int) {
      const int64_t first = walks.kept.Offset(row * width);
      ForBlocks(width, [&](int64_t start, int64_t n) {
        double all[kBlockElements];
        float buffer[kBlockElements];
        std::fill_n(all, n, Start());
        for (int64_t at = 0; at < walks.gone.count; ++at) {
          const float* values = LoadFloats(ctx.kernels, x, first + walks.gone.Offset(at) + start, n, buffer);
          for (int64_t i = 0; i < n; ++i) all[i] = JoinAs<kKind>(all[i], static_cast<double>(values[i]));
        }
        float* target = FloatTarget(out, row * width + start, buffer);
        for (int64_t i = 0; i < n; ++i) target[i] = static_cast<float>(all[i]);
        StoreFloats(ctx.kernels, out, row * width + start, n, target);
      });
    });
  }

  std::array<bool, kMaxRank> Reduced(const TensorDesc& x) const {
    std::array<bool, kMaxRank> reduced{};
    for (int64_t a : axes_) {
      bool& axis = reduced[static_cast<size_t>(RequireAxis(kOp, a, x))];
      if (axis) FailShape(kOp, 0, "of a rank at which each axis is named once", x);
      axis = true;
    }
    return reduced;
  }

  template <typename T>
  T Join(T all, T value) const {
    switch (kind_) {
      case Reduction::kMax:
        return JoinAs<Reduction::kMax>(all, value);
      case Reduction::kMin:
        return JoinAs<Reduction::kMin>(all, value);
      default:
        return JoinAs<Reduction::kSum>(all, value);
    }
  }

  template <Reduction kKind, typename T>
  static T JoinAs(T all, T value) {
    if constexpr (kKind == Reduction::kSum) return all + value;
    if (value != value) return value;
    return (kKind == Reduction::kMax ? value > all : value < all) ? value : all;
  }

  Reduction kind_;
  std::vector<int64_t> axes_;
};

/// Running sums along one axis. Exclusive sums do not include the element itself.
class Cumsum : public Operation {
 public:
  static constexpr const char* kOp = "Cumsum";

  Cumsum(int64_t axis, bool exclusive, bool reverse) : axis_(axis), exclusive_(exclusive), reverse_(reverse) {}
  int NumInputs() const override { return 1; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    RequireFloat(kOp, 0, in[0]);
    RequireAxis(kOp, axis_, in[0]);
    out[0] = in[0];
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const TensorDesc& x = in[0].desc;
    const int axis = RequireAxis(kOp, axis_, x);
    const int64_t size = x.dim(axis), inner = Extent(x, axis + 1, x.rank);
    ForRows(ctx.pool, Extent(x, 0, axis) * inner, size, [&](int64_t row, int) {
      const int64_t first = row / inner * size * inner + row % inner;
      double sum = 0.0;
      for (int64_t i = 0; i < size; ++i) {
        const int64_t at = first + (reverse_ ? size - 1 - i : i) * inner;
        float value;
        value = *LoadFloats(ctx.kernels, in[0], at, 1, &value);
        const auto before = static_cast<float>(sum);
        sum += static_cast<double>(value);
        const float result = exclusive_ ? before : static_cast<float>(sum);
        StoreFloats(ctx.kernels, out[0], at, 1, &result);
      }
    });
  }

 private:
  int64_t axis_;
  bool exclusive_;
  bool reverse_;
};

bool AreAxes(const std::vector<int64_t>& axes) {
  return !axes.empty() && axes.size() <= kMaxRank &&
         std::ranges::all_of(axes, [](int64_t a) { return a >= -kMaxRank && a < kMaxRank; });
}

}  // namespace

std::unique_ptr<Operation> CreateSoftmax(const ParamObject& param) {
  ParamReader reader(Softmax::kOp, param);
  std::vector<int64_t> axes = reader.Ints("axes");
  reader.Done();
  if (!AreAxes(axes)) reader.Fail("axes", "a list of 1 to 8 axes");
  return std::make_unique<Softmax>(std::move(axes));
}

std::unique_ptr<Operation> CreateReduce(const ParamObject& param) {
  ParamReader reader(Reduce::kOp, param);
  const int kind = reader.Enum("reduceType", {"REDUCE_UNDEFINED", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_SUM"}, 0);
  std::vector<int64_t> axes = reader.Ints("axis");
  reader.Done();
  if (kind == 0) reader.Fail("reduceType", "one of REDUCE_MAX, REDUCE_MIN, REDUCE_SUM");
  if (!AreAxes(axes)) reader.Fail("axis", "a list of 1 to 8 axes");
  return std::make_unique<Reduce>(static_cast<Reduction>(kind - 1), std::move(axes));
}

std::unique_ptr<Operation> CreateCumsum(const ParamObject& param) {
  ParamReader reader(Cumsum::kOp, param);
  const std::vector<int64_t> axes = reader.Ints("axes");
  const bool exclusive = reader.Bool("exclusive", false);
  const bool reverse = reader.Bool("reverse", false);
  reader.Done();
  if (!AreAxes(axes) || axes.size() != 1) reader.Fail("axes", "a list of one axis");
  return std::make_unique<Cumsum>(axes[0], exclusive, reverse);
}

}  // namespace atb
