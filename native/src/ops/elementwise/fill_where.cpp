#include <cmath>
#include <cstring>

#include "ops/check.h"
#include "ops/elementwise/broadcast.h"
#include "ops/factories.h"
#include "ops/rows.h"

namespace atb {
namespace {

/// Calls f with a null pointer of an unsigned integer as wide as the dtype: for code that only moves elements.
template <typename F>
void WithWidth(DType dtype, F&& f) {
  switch (SizeOf(dtype)) {
    case 1:
      return f(static_cast<uint8_t*>(nullptr));
    case 2:
      return f(static_cast<uint16_t*>(nullptr));
    case 4:
      return f(static_cast<uint32_t*>(nullptr));
    default:
      return f(static_cast<uint64_t*>(nullptr));
  }
}

void RequireMask(const char* op, int input, const TensorDesc& desc) {
  RequireDense(op, input, desc);
  if (desc.dtype != DType::kI8 && desc.dtype != DType::kU8) FailDType(op, input, "i8 or u8", desc);
}

/// condition, x, y -> x where the condition is not 0, else y; all broadcast.
class Where : public Operation {
 public:
  static constexpr const char* kOp = "Where";

  int NumInputs() const override { return 3; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    RequireMask(kOp, 0, in[0]);
    RequireDense(kOp, 1, in[1]);
    RequireDType(kOp, 2, in[2], in[1].dtype);
    out[0] = in[1];
    Broadcast(kOp, in).SetShape(out[0]);
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const Broadcast shape(kOp, InputDescs(in));
    WithWidth(in[1].desc.dtype, [&]<typename T>(T*) {
      ForRows(ctx.pool, shape.rows(), shape.row_size(), [&](int64_t row, int) {
        const uint8_t* condition = in[0].As<uint8_t>() + shape.Offset(0, row);
        const T* x = in[1].As<T>() + shape.Offset(1, row);
        const T* y = in[2].As<T>() + shape.Offset(2, row);
        T* z = out[0].As<T>() + row * shape.row_size();
        for (int64_t i = 0; i < shape.row_size(); ++i)
          z[i] = condition[i * shape.Step(0)] != 0 ? x[i * shape.Step(1)] : y[i * shape.Step(2)];
      });
    });
  }
};

/// x, mask -> x with the value where the mask, which broadcasts to x, is not 0.
class MaskedFill : public Operation {
 public:
  static constexpr const char* kOp = "Fill";

  explicit MaskedFill(float value) : value_(value) {}
  int NumInputs() const override { return 2; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    RequireDense(kOp, 0, in[0]);
    if (in[0].dtype == DType::kI32) {
      if (value_ != std::floor(value_) || std::fabs(value_) >= 2147483648.0f)
        FailDType(kOp, 0, "of a type that holds " + std::to_string(value_), in[0]);
    } else {
      RequireFloat(kOp, 0, in[0]);
    }
    RequireMask(kOp, 1, in[1]);
    out[0] = in[0];
    Broadcast(kOp, in).SetShape(out[0]);
    if (!out[0].SameShape(in[0])) FailShape(kOp, 1, "a shape that broadcasts to " + ToString(in[0]), in[1]);
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const Broadcast shape(kOp, InputDescs(in));
    std::byte pattern[sizeof(float)];
    if (in[0].desc.dtype == DType::kI32) {
      const auto integer = static_cast<int32_t>(value_);
      std::memcpy(pattern, &integer, sizeof integer);
    } else {
      ctx.kernels.from_f32(&value_, pattern, in[0].desc.dtype, 1);
    }
    WithWidth(in[0].desc.dtype, [&]<typename T>(T*) {
      T value;
      std::memcpy(&value, pattern, std::min(sizeof value, sizeof pattern));
      ForRows(ctx.pool, shape.rows(), shape.row_size(), [&](int64_t row, int) {
        const T* x = in[0].As<T>() + row * shape.row_size();
        const uint8_t* mask = in[1].As<uint8_t>() + shape.Offset(1, row);
        T* y = out[0].As<T>() + row * shape.row_size();
        for (int64_t i = 0; i < shape.row_size(); ++i) y[i] = mask[i * shape.Step(1)] != 0 ? value : x[i];
      });
    });
  }

 private:
  float value_;
};

/// Nothing -> f16 of the given shape, every element the value.
class ConstantFill : public Operation {
 public:
  ConstantFill(float value, const std::vector<int64_t>& dims) : value_(value) {
    desc_.dtype = DType::kF16;
    for (int64_t d : dims) desc_.dims[desc_.rank++] = d;
  }
  int NumInputs() const override { return 0; }
  int NumOutputs() const override { return 1; }
  void InferShape(std::span<const TensorDesc>, std::span<TensorDesc> out) const override { out[0] = desc_; }

  void Execute(std::span<const Tensor>, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    uint16_t value;
    ctx.kernels.from_f32(&value_, &value, DType::kF16, 1);
    std::fill_n(out[0].As<uint16_t>(), desc_.Elements(), value);
  }

 private:
  float value_;
  TensorDesc desc_;
};

}  // namespace

std::unique_ptr<Operation> CreateWhere(const ParamObject& param) {
  ParamReader(Where::kOp, param).Done();
  return std::make_unique<Where>();
}

std::unique_ptr<Operation> CreateFill(const ParamObject& param) {
  ParamReader reader(MaskedFill::kOp, param);
  const bool with_mask = reader.Bool("withMask", false);
  const std::vector<double> value = reader.Numbers("value");
  const std::vector<int64_t> dims = reader.Ints("outDim");
  reader.Done();
  if (value.size() != 1) reader.Fail("value", "a list of one number");
  if (with_mask) {
    if (!dims.empty()) reader.Fail("outDim", "absent when withMask is true");
    return std::make_unique<MaskedFill>(static_cast<float>(value[0]));
  }
  bool valid = !dims.empty() && dims.size() <= kMaxRank;
  for (int64_t d : dims) valid = valid && d >= 1 && d <= INT32_MAX;
  if (!valid) reader.Fail("outDim", "a list of 1 to 8 sizes of at least 1");
  return std::make_unique<ConstantFill>(static_cast<float>(value[0]), dims);
}

}  // namespace atb
