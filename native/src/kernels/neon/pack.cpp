#include "kernels/neon/kernels.h"
#include "kernels/neon/vec.h"

namespace atb::kernels::neon {
namespace {

constexpr int kUnits = 4;

/// Four units of four rows become quarters of four lines.
inline void TransposeQuarter(const char* from, int64_t row_stride, char* to) {
  uint32x4_t r[kUnits];
  for (int i = 0; i < kUnits; ++i)
    r[i] = vreinterpretq_u32_u8(vld1q_u8(reinterpret_cast<const uint8_t*>(from + i * row_stride)));
  const auto zip = [](uint32x4_t x, uint32x4_t y, bool upper) {
    const uint64x2_t p = vreinterpretq_u64_u32(x), q = vreinterpretq_u64_u32(y);
    return vreinterpretq_u8_u64(upper ? vzip2q_u64(p, q) : vzip1q_u64(p, q));
  };
  const uint32x4_t even01 = vtrn1q_u32(r[0], r[1]), odd01 = vtrn2q_u32(r[0], r[1]);
  const uint32x4_t even23 = vtrn1q_u32(r[2], r[3]), odd23 = vtrn2q_u32(r[2], r[3]);
  auto* const line = reinterpret_cast<uint8_t*>(to);
  vst1q_u8(line, zip(even01, even23, false));
  vst1q_u8(line + 64, zip(odd01, odd23, false));
  vst1q_u8(line + 128, zip(even01, even23, true));
  vst1q_u8(line + 192, zip(odd01, odd23, true));
}

}  // namespace

void PackLines(const void* rows, int64_t row_stride, int64_t units, void* out) {
  const char* from = static_cast<const char*>(rows);
  char* to = static_cast<char*>(out);
  for (; units >= kUnits; units -= kUnits, from += kUnits * 4, to += kUnits * 64) {
    for (int64_t row = 0; row < kPanelColumns; row += kUnits)
      TransposeQuarter(from + row * row_stride, row_stride, to + row * 4);
  }
  for (int64_t i = 0; i < units; ++i) {
    for (int64_t c = 0; c < kPanelColumns; ++c) memcpy(to + i * 64 + c * 4, from + c * row_stride + i * 4, 4);
  }
}

namespace {

/// Four numbers times their scales, rounded to bf16, as f32.
inline uint32x4_t Rounded(float32x4_t number, float32x4_t scale) {
  const uint32x4_t bits = vreinterpretq_u32_f32(vmulq_f32(number, scale));
  const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  return vandq_u32(vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7FFF))), vdupq_n_u32(0xFFFF0000u));
}

/// Sixteen numbers of a channel, whose codes are bytes below 16, times their scales, rounded to bf16, as f32.
inline Vec WidenChannel(uint8x16_t codes, const Vec& scales) {
  // All numbers are f16 whose lower halves are zeros.
  constexpr uint8_t kUpper[] = {0x00, 0x38, 0x3C, 0x3E, 0x40, 0x42, 0x44, 0x46,
                                0x80, 0xB8, 0xBC, 0xBE, 0xC0, 0xC2, 0xC4, 0xC6};
  const uint8x16_t upper = vqtbl1q_u8(vld1q_u8(kUpper), codes), none = vdupq_n_u8(0);
  const float16x8_t low = vreinterpretq_f16_u8(vzip1q_u8(none, upper));
  const float16x8_t high = vreinterpretq_f16_u8(vzip2q_u8(none, upper));
  const Vec numbers{vcvt_f32_f16(vget_low_f16(low)), vcvt_high_f32_f16(low), vcvt_f32_f16(vget_low_f16(high)),
                    vcvt_high_f32_f16(high)};
  return Each(numbers, scales, [](float32x4_t x, float32x4_t y) { return vreinterpretq_f32_u32(Rounded(x, y)); });
}

}  // namespace

void WidenE2M1(const void* panel, const float* scales, int64_t k, DType dtype, void* out) {
  const auto* from = static_cast<const uint8_t*>(panel);
  char* to = static_cast<char*>(out);
  const int64_t end = dtype == DType::kBF16 ? (k + kTileK - 1) / kTileK * kTileK : k, last = (k - 1) / kWidenedGroup;
  for (int64_t i = 0; i < end; i += 8, from += 64) {
    const int64_t group = i / kWidenedGroup < last ? i / kWidenedGroup : last;
    const Vec own = Vec::Load(scales + group * kPanelColumns);
    // Bytes of a column hold channels 0 to 3 in their lower halves, and 4 to 7 in the upper ones.
    const uint8x16x4_t both = vld4q_u8(from);
    const auto channel = [&](int number) {
      const uint8x16_t bytes = both.val[number % 4];
      return WidenChannel(number < 4 ? vandq_u8(bytes, vdupq_n_u8(0xF)) : vshrq_n_u8(bytes, 4), own);
    };
    if (dtype == DType::kBF16) {
      for (int pair = 0; pair < 4; ++pair, to += 64) {
        const Vec line = Each(channel(2 * pair), channel(2 * pair + 1), [](float32x4_t even, float32x4_t odd) {
          return vreinterpretq_f32_u32(vsriq_n_u32(vreinterpretq_u32_f32(odd), vreinterpretq_u32_f32(even), 16));
        });
        line.Store(reinterpret_cast<float*>(to));
      }
      continue;
    }
    for (int number = 0; number < 8 && i + number < end; ++number) {
      const Vec whole = channel(number);
      if (dtype == DType::kF32) {
        whole.Store(reinterpret_cast<float*>(to));
        to += 64;
      } else {
        whole.StoreF16(reinterpret_cast<uint16_t*>(to));
        to += 32;
      }
    }
  }
}

}  // namespace atb::kernels::neon
