#include "base/align.h"
#include "ops/check.h"
#include "ops/factories.h"
#include "ops/movement/strided_copy.h"
#include "ops/rows.h"

namespace atb {
namespace {

/// x -> x[offset : offset + size] on every axis. A negative offset counts from the end; size -1 goes to the end.
class Slice : public Operation {
 public:
  static constexpr const char* kOp = "Slice";

  Slice(std::vector<int64_t> offsets, std::vector<int64_t> sizes)
      : offsets_(std::move(offsets)), sizes_(std::move(sizes)) {}
  int NumInputs() const override { return 1; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const TensorDesc& x = in[0];
    RequireDense(kOp, 0, x);
    const int rank = static_cast<int>(offsets_.size());
    RequireRank(kOp, 0, x, rank, rank);
    out[0] = x;
    for (int i = 0; i < rank; ++i) {
      const auto at = static_cast<size_t>(i);
      const int64_t offset = Offset(x, i);
      const int64_t size = sizes_[at] == -1 ? x.dim(i) - offset : sizes_[at];
      if (offset < 0 || size < 0 || offset > x.dim(i) || size > x.dim(i) - offset)
        FailShape(kOp, 0,
                  "large enough along axis " + std::to_string(i) + " for offset " + std::to_string(offsets_[at]) +
                      " and size " + std::to_string(sizes_[at]),
                  x);
      out[0].dims[at] = size;
    }
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const auto from = StridesOf(in[0].desc), to = StridesOf(out[0].desc);
    int64_t first = 0;
    StridedCopy copy;
    for (int i = 0; i < out[0].desc.rank; ++i) {
      const auto at = static_cast<size_t>(i);
      first += Offset(in[0].desc, i) * from[at];
      copy.Axis(out[0].desc.dim(i), from[at], to[at]);
    }
    if (out[0].desc.Elements() == 0) return;  // `first` may be past the end.
    copy.Run(ctx.pool, SizeOf(in[0].desc.dtype), ElementAt(in[0], first), out[0].As<std::byte>());
  }

 private:
  int64_t Offset(const TensorDesc& x, int axis) const {
    const int64_t offset = offsets_[static_cast<size_t>(axis)];
    return offset < 0 ? offset + x.dim(axis) : offset;
  }

  std::vector<int64_t> offsets_;
  std::vector<int64_t> sizes_;
};

/// target[starts : ends : strides] = source, in place; no output.
class SetValue : public Operation {
 public:
  static constexpr const char* kOp = "SetValue";

  SetValue(std::vector<int64_t> starts, std::vector<int64_t> ends, std::vector<int64_t> strides)
      : starts_(std::move(starts)), ends_(std::move(ends)), strides_(std::move(strides)) {}
  int NumInputs() const override { return 2; }
  int NumOutputs() const override { return 0; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc>) const override {
    const TensorDesc& target = in[0];
    RequireDense(kOp, 0, target);
    const int rank = static_cast<int>(starts_.size());
    RequireRank(kOp, 0, target, rank, rank);
    TensorDesc box = target;
    for (int i = 0; i < rank; ++i) {
      const auto at = static_cast<size_t>(i);
      if (ends_[at] > target.dim(i))
        FailShape(kOp, 0, "at least " + std::to_string(ends_[at]) + " long along axis " + std::to_string(i), target);
      box.dims[at] = CeilDiv(ends_[at] - starts_[at], strides_[at]);
    }
    RequireSame(kOp, 1, in[1], box);
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor>, const Context& ctx) const noexcept override {
    const auto from = StridesOf(in[1].desc), to = StridesOf(in[0].desc);
    int64_t first = 0;
    StridedCopy copy;
    for (int i = 0; i < in[1].desc.rank; ++i) {
      const auto at = static_cast<size_t>(i);
      first += starts_[at] * to[at];
      copy.Axis(in[1].desc.dim(i), from[at], to[at] * strides_[at]);
    }
    if (in[1].desc.Elements() == 0) return;  // `first` may be past the end.
    copy.Run(ctx.pool, SizeOf(in[0].desc.dtype), in[1].As<std::byte>(), ElementAt(in[0], first));
  }

 private:
  std::vector<int64_t> starts_;
  std::vector<int64_t> ends_;
  std::vector<int64_t> strides_;
};

}  // namespace

std::unique_ptr<Operation> CreateSlice(const ParamObject& param) {
  ParamReader reader(Slice::kOp, param);
  std::vector<int64_t> offsets = reader.Ints("offsets");
  std::vector<int64_t> sizes = reader.Ints("size");
  reader.Done();
  if (offsets.empty() || offsets.size() > kMaxRank) reader.Fail("offsets", "a list of 1 to 8 numbers, one per axis");
  if (sizes.size() != offsets.size()) reader.Fail("size", "as long as offsets");
  for (int64_t size : sizes)
    if (size < -1) reader.Fail("size", "a list of sizes, -1 for the rest");
  return std::make_unique<Slice>(std::move(offsets), std::move(sizes));
}

std::unique_ptr<Operation> CreateSetValue(const ParamObject& param) {
  ParamReader reader(SetValue::kOp, param);
  std::vector<int64_t> starts = reader.Ints("starts");
  std::vector<int64_t> ends = reader.Ints("ends");
  std::vector<int64_t> strides = reader.Ints("strides");
  reader.Done();
  if (starts.empty() || starts.size() > kMaxRank) reader.Fail("starts", "a list of 1 to 8 numbers, one per axis");
  if (ends.size() != starts.size()) reader.Fail("ends", "as long as starts");
  if (strides.size() != starts.size()) reader.Fail("strides", "as long as starts");
  for (size_t i = 0; i < starts.size(); ++i) {
    if (starts[i] < 0) reader.Fail("starts", "at least 0");
    if (ends[i] < starts[i]) reader.Fail("ends", "at least starts");
    if (strides[i] < 1 || strides[i] > INT32_MAX) reader.Fail("strides", "from 1 to 2147483647");
  }
  return std::make_unique<SetValue>(std::move(starts), std::move(ends), std::move(strides));
}

}  // namespace atb
