#pragma once
#include <span>
#include <string>

#include "base/error.h"
#include "tensor/tensor.h"

namespace atb {

/// Says what an operation refuses about one of its inputs. The graph adds the names of the node and of the tensor.
class InputError : public Error {
 public:
  InputError(const char* code, const char* op, int input, const std::string& expected, const std::string& found)
      : Error(code, std::string(op) + ": in" + std::to_string(input) + " must be " + expected + ", found " + found),
        input_(input) {}
  int input() const noexcept { return input_; }

 private:
  int input_;
};

[[noreturn]] void FailShape(const char* op, int input, const std::string& expected, const TensorDesc& found);
[[noreturn]] void FailDType(const char* op, int input, const std::string& expected, const TensorDesc& found);
[[noreturn]] void FailValue(const char* op, int input, const std::string& expected, const std::string& found);

// Each of these functions throws unless an input is as it says. None allocates unless it throws.

/// Row-major. Throws NATIVE_LAYOUT_MISMATCH.
void RequireDense(const char* op, int input, const TensorDesc& desc);
/// Dense, and f32, f16 or bf16.
void RequireFloat(const char* op, int input, const TensorDesc& desc);
/// Dense, and i32 or i64.
void RequireIndex(const char* op, int input, const TensorDesc& desc);
void RequireDType(const char* op, int input, const TensorDesc& desc, DType dtype);
void RequireRank(const char* op, int input, const TensorDesc& desc, int min, int max);
/// Same shape and dtype as `expected`, dense.
void RequireSame(const char* op, int input, const TensorDesc& desc, const TensorDesc& expected);
/// [size] or [1, size], of `dtype`, dense: a norm's weight, a bias.
void RequireVector(const char* op, int input, const TensorDesc& desc, DType dtype, int64_t size);
/// An axis in [-rank, rank), counted from the front.
int RequireAxis(const char* op, int64_t axis, const TensorDesc& desc, int input = 0);

/// Product of dims [begin, end).
int64_t Extent(const TensorDesc& desc, int begin, int end);

}  // namespace atb
