#include "base/checked.h"
#include "ops/check.h"
#include "ops/factories.h"
#include "ops/movement/strided_copy.h"
#include "ops/rows.h"

namespace atb {
namespace {

/// out axis i is x's axis perm[i].
class Transpose : public Operation {
 public:
  static constexpr const char* kOp = "Transpose";

  explicit Transpose(std::vector<int64_t> perm) : perm_(std::move(perm)) {}
  int NumInputs() const override { return 1; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    RequireDense(kOp, 0, in[0]);
    const int rank = static_cast<int>(perm_.size());
    RequireRank(kOp, 0, in[0], rank, rank);
    out[0] = in[0];
    for (size_t i = 0; i < perm_.size(); ++i) out[0].dims[i] = in[0].dims[static_cast<size_t>(perm_[i])];
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const auto from = StridesOf(in[0].desc), to = StridesOf(out[0].desc);
    StridedCopy copy;
    for (size_t i = 0; i < perm_.size(); ++i)
      copy.Axis(out[0].desc.dims[i], from[static_cast<size_t>(perm_[i])], to[i]);
    copy.Run(ctx.pool, SizeOf(in[0].desc.dtype), in[0].As<std::byte>(), out[0].As<std::byte>());
  }

 private:
  std::vector<int64_t> perm_;
};

/// x tiled multiples[i] times along axis i; more multiples than axes give x leading axes of 1.
class Repeat : public Operation {
 public:
  static constexpr const char* kOp = "Repeat";

  explicit Repeat(std::vector<int64_t> multiples) : multiples_(std::move(multiples)) {}
  int NumInputs() const override { return 1; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    RequireDense(kOp, 0, in[0]);
    const int rank = static_cast<int>(multiples_.size());
    RequireRank(kOp, 0, in[0], 0, rank);
    out[0] = in[0];
    out[0].rank = static_cast<uint8_t>(rank);
    for (int i = 0; i < rank; ++i)
      out[0].dims[static_cast<size_t>(i)] = CheckedMul(Size(in[0], i), multiples_[static_cast<size_t>(i)]);
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const auto to = StridesOf(out[0].desc);
    const auto own = StridesOf(in[0].desc);
    StridedCopy copy;
    for (int i = 0; i < out[0].desc.rank; ++i) {
      const auto at = static_cast<size_t>(i);
      const int axis = i - (out[0].desc.rank - in[0].desc.rank);
      copy.Axis(multiples_[at], 0, to[at] * Size(in[0].desc, i));
      copy.Axis(Size(in[0].desc, i), axis < 0 ? 0 : own[static_cast<size_t>(axis)], to[at]);
    }
    copy.Run(ctx.pool, SizeOf(in[0].desc.dtype), in[0].As<std::byte>(), out[0].As<std::byte>());
  }

 private:
  /// x's size along axis i of the result.
  int64_t Size(const TensorDesc& x, int i) const {
    const int axis = i - (static_cast<int>(multiples_.size()) - x.rank);
    return axis < 0 ? 1 : x.dim(axis);
  }

  std::vector<int64_t> multiples_;
};

}  // namespace

std::unique_ptr<Operation> CreateTranspose(const ParamObject& param) {
  ParamReader reader(Transpose::kOp, param);
  std::vector<int64_t> perm = reader.Ints("perm");
  reader.Done();
  std::array<bool, kMaxRank> seen{};
  bool valid = !perm.empty() && perm.size() <= kMaxRank;
  for (int64_t axis : perm) {
    valid = valid && axis >= 0 && axis < static_cast<int64_t>(perm.size()) && !seen[static_cast<size_t>(axis)];
    if (valid) seen[static_cast<size_t>(axis)] = true;
  }
  if (!valid) reader.Fail("perm", "a permutation of the axes 0 ..");
  return std::make_unique<Transpose>(std::move(perm));
}

std::unique_ptr<Operation> CreateRepeat(const ParamObject& param) {
  ParamReader reader(Repeat::kOp, param);
  std::vector<int64_t> multiples = reader.Ints("multiples");
  reader.Done();
  bool valid = !multiples.empty() && multiples.size() <= kMaxRank;
  for (int64_t m : multiples) valid = valid && m >= 1 && m <= INT32_MAX;
  if (!valid) reader.Fail("multiples", "a list of 1 to 8 counts of at least 1");
  return std::make_unique<Repeat>(std::move(multiples));
}

}  // namespace atb
