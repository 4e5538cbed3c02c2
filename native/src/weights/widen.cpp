#include "weights/widen.h"

#include <cmath>
#include <limits>

#include "kernels/pack_integers.h"
#include "ops/check.h"

namespace atb {
namespace {

template <typename T>
void WidenIntegers(const std::byte* from, float* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<float>(reinterpret_cast<const T*>(from)[i]);
}

/// Floats that only files have.
void WidenCodes(const std::byte* from, DType dtype, float* to, int64_t count) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  for (int64_t i = 0; i < count; ++i) {
    const auto code = static_cast<uint8_t>(from[i]);
    if (dtype == DType::kE8M0) {
      to[i] = code == 0xFF ? kNan : std::ldexp(1.0f, code - 127);
    } else {
      to[i] = (code & 0x7F) == 0x7F ? kNan : kernels::E4M3ToF32(code);
    }
  }
}

}  // namespace

void Widen(const kernels::KernelTable& kernels, const std::byte* from, DType dtype, float* to, int64_t count) {
  if (IsFloat(dtype)) return kernels.to_f32(from, dtype, to, count);
  if (dtype == DType::kE4M3 || dtype == DType::kE8M0) return WidenCodes(from, dtype, to, count);
  const auto widen = dtype == DType::kI8    ? WidenIntegers<int8_t>
                     : dtype == DType::kU8  ? WidenIntegers<uint8_t>
                     : dtype == DType::kI32 ? WidenIntegers<int32_t>
                                            : WidenIntegers<int64_t>;
  widen(from, to, count);
}

}  // namespace atb
