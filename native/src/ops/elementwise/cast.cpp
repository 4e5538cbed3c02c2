#include "ops/elementwise/cast.h"

#include <cmath>
#include <limits>
#include <type_traits>

#include "base/align.h"
#include "ops/check.h"
#include "ops/factories.h"
#include "ops/rows.h"

namespace atb {
namespace {

template <typename To, typename From>
To Convert(From value) {
  if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    if (std::isnan(value)) return 0;
    // These are the bounds as From. The upper bound rounds up to a power of two, which does not fit any more.
    if (value >= static_cast<From>(std::numeric_limits<To>::max())) return std::numeric_limits<To>::max();
    if (value <= static_cast<From>(std::numeric_limits<To>::min())) return std::numeric_limits<To>::min();
  }
  return static_cast<To>(value);
}

/// Calls f with a null pointer of the integer type.
template <typename F>
void WithInteger(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kI8:
      return f(static_cast<int8_t*>(nullptr));
    case DType::kU8:
      return f(static_cast<uint8_t*>(nullptr));
    case DType::kI32:
      return f(static_cast<int32_t*>(nullptr));
    case DType::kI64:
      return f(static_cast<int64_t*>(nullptr));
    default:
      return;
  }
}

template <typename To, typename From>
void ConvertAll(const From* from, To* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = Convert<To>(from[i]);
}

void CastBlock(const kernels::KernelTable& kernels, const Tensor& in, const Tensor& out, int64_t first, int64_t n) {
  float buffer[kBlockElements];
  void* target = ElementAt(out, first);
  if (IsFloat(in.desc.dtype)) {
    const float* values = LoadFloats(kernels, in, first, n, buffer);
    if (IsFloat(out.desc.dtype)) return StoreFloats(kernels, out, first, n, values);
    return WithInteger(out.desc.dtype, [&]<typename To>(To*) { ConvertAll(values, static_cast<To*>(target), n); });
  }
  WithInteger(in.desc.dtype, [&]<typename From>(From*) {
    const auto* source = reinterpret_cast<const From*>(ElementAt(in, first));
    if (IsFloat(out.desc.dtype)) {
      ConvertAll(source, buffer, n);
      StoreFloats(kernels, out, first, n, buffer);
    } else {
      WithInteger(out.desc.dtype, [&]<typename To>(To*) { ConvertAll(source, static_cast<To*>(target), n); });
    }
  });
}

class Cast : public Operation {
 public:
  static constexpr const char* kOp = "Cast";

  explicit Cast(DType dtype) : dtype_(dtype) {}
  int NumInputs() const override { return 1; }
  int NumOutputs() const override { return 1; }

  void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    RequireDense(kOp, 0, in[0]);
    out[0] = in[0];
    out[0].dtype = dtype_;
  }

  void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept override {
    CastTensor(in[0], out[0], ctx);
  }

 private:
  DType dtype_;
};

}  // namespace

std::optional<DType> ReadDType(ParamReader& reader, std::string_view key) {
  switch (reader.Enum(
      key,
      {"ACL_DT_UNDEFINED", "ACL_FLOAT", "ACL_FLOAT16", "ACL_BF16", "ACL_INT8", "ACL_UINT8", "ACL_INT32", "ACL_INT64"},
      0)) {
    case 1:
      return DType::kF32;
    case 2:
      return DType::kF16;
    case 3:
      return DType::kBF16;
    case 4:
      return DType::kI8;
    case 5:
      return DType::kU8;
    case 6:
      return DType::kI32;
    case 7:
      return DType::kI64;
    default:
      return std::nullopt;
  }
}

void CastTensor(const Tensor& in, const Tensor& out, const Context& ctx) {
  const int64_t n = in.desc.Elements();
  ForRows(ctx.pool, CeilDiv(n, kBlockElements), kBlockElements, [&](int64_t block, int) {
    const int64_t first = block * kBlockElements;
    CastBlock(ctx.kernels, in, out, first, std::min(kBlockElements, n - first));
  });
}

std::unique_ptr<Operation> CreateCast(const ParamObject& param) {
  ParamReader reader(Cast::kOp, param);
  const std::optional<DType> dtype = ReadDType(reader, "dtype");
  if (!dtype) reader.Fail("dtype", "an aclDataType other than ACL_DT_UNDEFINED");
  reader.Done();
  return std::make_unique<Cast>(*dtype);
}

}  // namespace atb
