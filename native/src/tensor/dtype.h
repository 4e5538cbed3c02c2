#pragma once
#include <cstddef>
#include <cstdint>

namespace atb {

enum class DType : uint8_t {
  kF32, kF16, kBF16, kI8, kU8, kI32, kI64,
  // Only files have these: loading makes other floats of them, or packs them.
  kE4M3,  ///< 8 bits, as OCP's "8-bit floating point specification" has it.
  kE8M0,  ///< A power of two, 2^(byte - 127); 255 is NaN. From OCP's "Microscaling formats".
};

/// Whether operations compute with it: f32, f16 or bf16.
constexpr bool IsFloat(DType dtype) { return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16; }

constexpr size_t SizeOf(DType t) {
  switch (t) {
    case DType::kI64:
      return 8;
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kF16:
    case DType::kBF16:
      return 2;
    default:
      return 1;
  }
}

/// The name that TypeScript uses: "bf16".
const char* ToString(DType dtype);

}  // namespace atb
