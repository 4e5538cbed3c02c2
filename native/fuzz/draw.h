#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "case.h"

namespace atb::fuzz {

using Strings = std::vector<std::string>;
using Sizes = std::vector<int64_t>;
using Numbers = std::vector<double>;

constexpr DType kFloats[] = {DType::kF32, DType::kBF16, DType::kF16};
constexpr DType kIndices[] = {DType::kI32, DType::kI64};
constexpr DType kMasks[] = {DType::kI8, DType::kU8};
constexpr DType kAll[] = {DType::kF32, DType::kBF16, DType::kF16, DType::kI8, DType::kU8, DType::kI32, DType::kI64};
constexpr int64_t kDims[] = {1, 2, 3, 4, 5, 8, 16, 17, 32, 33, 64, 65};

inline const char* AclOf(DType dtype) {
  return dtype == DType::kF32    ? "ACL_FLOAT"
         : dtype == DType::kF16  ? "ACL_FLOAT16"
         : dtype == DType::kBF16 ? "ACL_BF16"
         : dtype == DType::kI8   ? "ACL_INT8"
         : dtype == DType::kU8   ? "ACL_UINT8"
         : dtype == DType::kI32  ? "ACL_INT32"
                                 : "ACL_INT64";
}
inline double Num(int64_t number) { return static_cast<double>(number); }

/// Draws that recipes share.
struct Draw {
  Case& c;
  int64_t Int(int64_t low, int64_t high) { return c.bytes.Int(low, high); }
  bool Flag() { return c.bytes.Flag(); }
  DType Float() { return c.bytes.Of(kFloats); }
  int64_t Dim() { return c.bytes.Of(kDims); }
  /// A shape of this rank whose last axis is the longest, so that nothing takes long.
  Sizes Shape(int64_t rank) {
    Sizes shape;
    for (int64_t i = 0; i + 1 < rank; ++i) shape.push_back(Int(1, 4));
    if (rank > 0) shape.push_back(Dim());
    return shape;
  }
  std::string Vector(DType dtype, int64_t size) { return c.Input(dtype, Flag() ? Sizes{1, size} : Sizes{size}); }
  DType BiasDType(DType dtype) { return Flag() ? DType::kF32 : dtype; }
};

}  // namespace atb::fuzz
