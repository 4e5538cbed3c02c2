#include "ops/check.h"

namespace atb {

void FailShape(const char* op, int input, const std::string& expected, const TensorDesc& found) {
  throw InputError("NATIVE_SHAPE_MISMATCH", op, input, expected, ToString(found));
}

void FailDType(const char* op, int input, const std::string& expected, const TensorDesc& found) {
  throw InputError("NATIVE_DTYPE_MISMATCH", op, input, expected, ToString(found));
}

void FailValue(const char* op, int input, const std::string& expected, const std::string& found) {
  throw InputError("NATIVE_VALUE_OUT_OF_RANGE", op, input, expected, found);
}

void RequireDense(const char* op, int input, const TensorDesc& desc) {
  if (desc.layout != Layout::kRowMajor)
    throw InputError("NATIVE_LAYOUT_MISMATCH", op, input, "a row-major tensor", ToString(desc));
}

void RequireFloat(const char* op, int input, const TensorDesc& desc) {
  RequireDense(op, input, desc);
  if (!IsFloat(desc.dtype)) FailDType(op, input, "f32, f16 or bf16", desc);
}

void RequireIndex(const char* op, int input, const TensorDesc& desc) {
  RequireDense(op, input, desc);
  if (desc.dtype != DType::kI32 && desc.dtype != DType::kI64) FailDType(op, input, "i32 or i64", desc);
}

void RequireDType(const char* op, int input, const TensorDesc& desc, DType dtype) {
  RequireDense(op, input, desc);
  if (desc.dtype != dtype) FailDType(op, input, ToString(dtype), desc);
}

void RequireRank(const char* op, int input, const TensorDesc& desc, int min, int max) {
  if (desc.rank >= min && desc.rank <= max) return;
  const std::string upto = min == max ? "" : " to " + std::to_string(max);
  FailShape(op, input, "of rank " + std::to_string(min) + upto, desc);
}

void RequireSame(const char* op, int input, const TensorDesc& desc, const TensorDesc& expected) {
  RequireDense(op, input, desc);
  if (desc.dtype != expected.dtype) FailDType(op, input, ToString(expected), desc);
  if (!desc.SameShape(expected)) FailShape(op, input, ToString(expected), desc);
}

void RequireVector(const char* op, int input, const TensorDesc& desc, DType dtype, int64_t size) {
  RequireDense(op, input, desc);
  const bool fits =
      (desc.rank == 1 && desc.dim(0) == size) || (desc.rank == 2 && desc.dim(0) == 1 && desc.dim(1) == size);
  if (fits && desc.dtype == dtype) return;
  const std::string expected = ToString(TensorDesc(dtype, {size}));
  if (!fits) FailShape(op, input, expected, desc);
  FailDType(op, input, expected, desc);
}

int RequireAxis(const char* op, int64_t axis, const TensorDesc& desc, int input) {
  if (axis < -desc.rank || axis >= desc.rank) FailShape(op, input, "a tensor with axis " + std::to_string(axis), desc);
  return static_cast<int>(axis < 0 ? axis + desc.rank : axis);
}

int64_t Extent(const TensorDesc& desc, int begin, int end) {
  int64_t n = 1;
  for (int i = begin; i < end; ++i) n *= desc.dim(i);
  return n;
}

}  // namespace atb
