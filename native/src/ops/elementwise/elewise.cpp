#include <optional>
#include <type_traits>

#include "ops/check.h"
#include "ops/elementwise/broadcast.h"
#include "ops/elementwise/cast.h"
#include "ops/elementwise/static_quant.h"
#include "ops/elementwise/unary.h"
#include "ops/factories.h"
#include "ops/rows.h"

namespace atb {
namespace {

using kernels::BinaryOp;
using kernels::UnaryOp;

constexpr const char* kElewiseOp = "Elewise";

/// i8 -> 1 where it is 0, else 0.
class LogicalNot : public Operation {
 public:
  int NumInputs() const override { return 1; }
  int NumOutputs() const override { return 1; }
  bool InPlace(int, int) const override { return true; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    RequireDType(kElewiseOp, 0, in[0], DType::kI8);
    out[0] = in[0];
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context&) const noexcept override {
    const int8_t* x = in[0].As<int8_t>();
    for (int64_t i = 0; i < in[0].desc.Elements(); ++i) out[0].As<int8_t>()[i] = x[i] == 0;
  }
};

class ElewiseCast : public Operation {
 public:
  explicit ElewiseCast(std::optional<DType> dtype) : dtype_(dtype) {}
  int NumInputs() const override { return 1; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    RequireDense(kElewiseOp, 0, in[0]);
    const DType from = in[0].dtype;
    const DType to = dtype_.value_or(from == DType::kF32 ? DType::kF16 : DType::kF32);
    const bool integers = (from == DType::kI32 && to == DType::kI64) || (from == DType::kI64 && to == DType::kI32);
    if (!integers && !(IsFloat(from) && IsFloat(to)))
      FailDType(kElewiseOp, 0,
                std::string("a type that casts to ") + ToString(to) + " (float to float, or i32 and i64)", in[0]);
    out[0] = in[0];
    out[0].dtype = to;
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    CastTensor(in[0], out[0], ctx);
  }

 private:
  std::optional<DType> dtype_;
};

enum class Pair { kAdd, kSub, kMul, kDiv, kAnd, kOr, kLess, kGreater, kEqual };

bool IsLogical(Pair op) { return op == Pair::kAnd || op == Pair::kOr; }
bool IsCompare(Pair op) { return op == Pair::kLess || op == Pair::kGreater || op == Pair::kEqual; }

template <typename T>
bool Compare(Pair op, T a, T b) {
  return op == Pair::kLess ? a < b : op == Pair::kGreater ? a > b : a == b;
}

/// Integers wrap around, as on the device.
template <typename T>
T Arithmetic(Pair op, T a, T b) {
  using U = std::make_unsigned_t<T>;
  const U x = static_cast<U>(a), y = static_cast<U>(b);
  return static_cast<T>(op == Pair::kAdd ? x + y : op == Pair::kSub ? x - y : x * y);
}

/// Two inputs of one dtype that broadcast.
class ElewiseBinary : public Operation {
 public:
  ElewiseBinary(Pair op, std::optional<DType> out_dtype) : op_(op), out_dtype_(out_dtype) {}
  int NumInputs() const override { return 2; }
  int NumOutputs() const override { return 1; }
  /// In place is allowed: each element is read before it is written, and an input whose elements repeat cannot be the
  /// output, since it has another shape.
  bool InPlace(int, int) const override { return !IsCompare(op_); }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    for (int i = 0; i < 2; ++i) RequireDense(kElewiseOp, i, At(in, i));
    const DType dtype = in[0].dtype;
    const bool integer = dtype == DType::kI32 || dtype == DType::kI64;
    if (IsLogical(op_)) {
      RequireDType(kElewiseOp, 0, in[0], DType::kI8);
    } else if (!IsFloat(dtype) && !(integer && op_ != Pair::kDiv)) {
      FailDType(kElewiseOp, 0, op_ == Pair::kDiv ? "f32, f16 or bf16" : "f32, f16, bf16, i32 or i64", in[0]);
    }
    if (in[1].dtype != dtype) FailDType(kElewiseOp, 1, std::string("of in0's type ") + ToString(dtype), in[1]);
    out[0].layout = Layout::kRowMajor;
    out[0].dtype = IsCompare(op_) ? DType::kI8 : dtype;
    if (out_dtype_ && *out_dtype_ != out[0].dtype)
      throw Error("NATIVE_DTYPE_MISMATCH", std::string(kElewiseOp) + ": outTensorType must be " +
                                               ToString(out[0].dtype) + " here, found " + ToString(*out_dtype_));
    Broadcast(kElewiseOp, in).SetShape(out[0]);
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    const Broadcast shape(kElewiseOp, InputDescs(in));
    ForRows(ctx.pool, shape.rows(), shape.row_size(), [&](int64_t row, int) {
      const Operand a{in[0], shape.Offset(0, row), shape.Step(0)};
      const Operand b{in[1], shape.Offset(1, row), shape.Step(1)};
      ForBlocks(shape.row_size(), [&](int64_t start, int64_t n) {
        const int64_t first = row * shape.row_size() + start;
        switch (in[0].desc.dtype) {
          case DType::kI8:
            return Integers<int8_t>(a, b, start, out[0], first, n);
          case DType::kI32:
            return Integers<int32_t>(a, b, start, out[0], first, n);
          case DType::kI64:
            return Integers<int64_t>(a, b, start, out[0], first, n);
          default:
            return Floats(a, b, start, out[0], first, n, ctx.kernels);
        }
      });
    });
  }

 private:
  /// A row of an input, or one element of it for the whole row (step 0).
  struct Operand {
    const Tensor& tensor;
    int64_t offset;
    int64_t step;

    const float* Load(const kernels::KernelTable& kernels, int64_t start, int64_t n, float* buffer) const {
      if (step == 1) return LoadFloats(kernels, tensor, offset + start, n, buffer);
      float one;
      one = *LoadFloats(kernels, tensor, offset, 1, &one);
      std::fill_n(buffer, n, one);
      return buffer;
    }
  };

  void Floats(const Operand& a, const Operand& b, int64_t start, const Tensor& out, int64_t first, int64_t n,
              const kernels::KernelTable& kernels) const {
    float a_buffer[kBlockElements], b_buffer[kBlockElements], result[kBlockElements];
    const float* x = a.Load(kernels, start, n, a_buffer);
    const float* y = b.Load(kernels, start, n, b_buffer);
    if (IsCompare(op_)) {
      int8_t* z = out.As<int8_t>() + first;
      for (int64_t i = 0; i < n; ++i) z[i] = Compare(op_, x[i], y[i]);
      return;
    }
    float* z = FloatTarget(out, first, result);
    kernels.binary(static_cast<BinaryOp>(op_), x, y, z, n);
    StoreFloats(kernels, out, first, n, z);
  }

  template <typename T>
  void Integers(const Operand& a, const Operand& b, int64_t start, const Tensor& out, int64_t first, int64_t n) const {
    const T* x = a.tensor.As<T>() + a.offset + start * a.step;
    const T* y = b.tensor.As<T>() + b.offset + start * b.step;
    for (int64_t i = 0; i < n; ++i) {
      const T left = x[i * a.step], right = y[i * b.step];
      if (op_ == Pair::kAnd) {
        out.As<int8_t>()[first + i] = left != 0 && right != 0;
      } else if (op_ == Pair::kOr) {
        out.As<int8_t>()[first + i] = left != 0 || right != 0;
      } else if (IsCompare(op_)) {
        out.As<int8_t>()[first + i] = Compare(op_, left, right);
      } else {
        out.As<T>()[first + i] = Arithmetic(op_, left, right);
      }
    }
  }

  static_assert(static_cast<int>(BinaryOp::kAdd) == static_cast<int>(Pair::kAdd) &&
                static_cast<int>(BinaryOp::kSub) == static_cast<int>(Pair::kSub) &&
                static_cast<int>(BinaryOp::kMul) == static_cast<int>(Pair::kMul) &&
                static_cast<int>(BinaryOp::kDiv) == static_cast<int>(Pair::kDiv));

  Pair op_;
  std::optional<DType> out_dtype_;
};

}  // namespace

std::unique_ptr<Operation> CreateElewise(const ParamObject& param) {
  ParamReader reader(kElewiseOp, param);
  enum Type { kUndefined, kCast, kMuls, kCos, kSin, kNeg, kTanh, kNot, kQuant, kFirstPair };
  const int type = reader.Enum("elewiseType",
                               {"ELEWISE_UNDEFINED", "ELEWISE_CAST", "ELEWISE_MULS", "ELEWISE_COS", "ELEWISE_SIN",
                                "ELEWISE_NEG", "ELEWISE_TANH", "ELEWISE_LOGICAL_NOT", "ELEWISE_QUANT_PER_CHANNEL",
                                "ELEWISE_ADD", "ELEWISE_SUB", "ELEWISE_MUL", "ELEWISE_REALDIV", "ELEWISE_LOGICAL_AND",
                                "ELEWISE_LOGICAL_OR", "ELEWISE_LESS", "ELEWISE_GREATER", "ELEWISE_EQUAL"},
                               kUndefined);
  if (type == kUndefined) reader.Fail("elewiseType", "an operation");
  // The blocks of keys that belong to other types of Elewise may be present, with their defaults.
  ParamReader quant = reader.Object("quantParam");
  quant.Require("inputScale", 1);
  quant.Require("asymmetric", false);
  quant.Require("inputOffset", 0);
  quant.Done();
  ParamReader muls = reader.Object("mulsParam");
  const auto factor = static_cast<float>(muls.Number("varAttr", 0.0));
  if (type != kMuls && factor != 0.0f) muls.Fail("varAttr", "0 unless elewiseType is ELEWISE_MULS");
  muls.Done();
  const std::optional<DType> out_dtype = ReadDType(reader, "outTensorType");
  reader.Done();
  if (type >= kFirstPair) return std::make_unique<ElewiseBinary>(static_cast<Pair>(type - kFirstPair), out_dtype);
  if (type == kCast) return std::make_unique<ElewiseCast>(out_dtype);
  if (out_dtype) reader.Fail("outTensorType", "absent, except for ELEWISE_CAST and operations on two inputs");
  switch (type) {
    case kMuls:
      return std::make_unique<Unary>(kElewiseOp, UnaryOp::kMuls, factor);
    case kCos:
      return std::make_unique<Unary>(kElewiseOp, UnaryOp::kCos);
    case kSin:
      return std::make_unique<Unary>(kElewiseOp, UnaryOp::kSin);
    case kNeg:
      return std::make_unique<Unary>(kElewiseOp, UnaryOp::kNeg);
    case kQuant:
      return std::make_unique<StaticQuant>();
    case kTanh:
      return std::make_unique<Unary>(kElewiseOp, UnaryOp::kTanh);
    default:
      return std::make_unique<LogicalNot>();
  }
}

}  // namespace atb
