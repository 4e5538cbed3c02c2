#pragma once
#include <cstdint>

#include "base/align.h"
#include "base/error.h"

namespace atb {

// Arithmetic with sizes and offsets that come from input. Overflow and negative values throw NATIVE_SIZE_OVERFLOW.

inline int64_t CheckedMul(int64_t a, int64_t b) {
  int64_t r = 0;
  if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &r)) throw Error("NATIVE_SIZE_OVERFLOW", "a size overflows");
  return r;
}

inline int64_t CheckedAdd(int64_t a, int64_t b) {
  int64_t r = 0;
  if (a < 0 || b < 0 || __builtin_add_overflow(a, b, &r)) throw Error("NATIVE_SIZE_OVERFLOW", "a size overflows");
  return r;
}

/// Bytes rounded up to whole cache lines.
inline int64_t CheckedAlign(int64_t bytes) {
  constexpr auto kLine = static_cast<int64_t>(kAlignment);
  return CheckedAdd(bytes, kLine - 1) / kLine * kLine;
}

}  // namespace atb
