#pragma once
// Sums of groups whose scales are powers of two, as integers (kExponentSpan in packed_weight.h). Everything has
// internal linkage; vec.h says why.
#include "kernels/neon/vec.h"

namespace atb::kernels::neon {
namespace {

/// Of a panel and the digit rows that are multiplied at once, while a span is read.
template <int kDigitRows>
struct alignas(64) WindowSums {
  int32_t sums[kExponentWindows][kDigitRows][kPanelColumns];
  uint8_t largest[kPanelColumns];  ///< Exponents.

  /// A span begins whose groups have these exponents, [groups][16].
  void Start(const uint8_t* exponents, int64_t groups) {
    uint8x16_t most = vdupq_n_u8(0);
    for (int64_t g = 0; g < groups; ++g) most = vmaxq_u8(most, vld1q_u8(exponents + g * kPanelColumns));
    vst1q_u8(largest, most);
    memset(sums, 0, sizeof sums);
  }

  /// Takes the sums of a group, those of `rows` digit rows. Returns the scales of those that are too small for any
  /// window, zeros in other lanes; `any` says whether there are such.
  Vec Add(const int32_t (*group)[kPanelColumns], int64_t rows, const uint8_t* exponents, bool& any) {
    const uint8x16_t below = vsubq_u8(vld1q_u8(largest), vld1q_u8(exponents));
    const uint8x16_t window = vshrq_n_u8(below, 2);
    const Int32x16 shift = Lanes(vreinterpretq_s8_u8(vbicq_u8(vdupq_n_u8(3), below)));
    for (int i = 0; i < kExponentWindows; ++i) {
      const uint8x16_t is_own = vceqq_u8(window, vdupq_n_u8(static_cast<uint8_t>(i)));
      if (vmaxvq_u8(is_own) == 0) continue;
      const Int32x16 own = Lanes(vreinterpretq_s8_u8(is_own));
      for (int64_t t = 0; t < rows; ++t) {
        int32_t* const to = sums[i][t];
        const Int32x16 sum = Int32x16::Load(group[t]), old = Int32x16::Load(to);
        const auto add = [](int32x4_t total, int32x4_t more, int32x4_t by, int32x4_t mask) {
          return vaddq_s32(total, vandq_s32(vshlq_s32(more, by), mask));
        };
        const Int32x16 total{add(old.a, sum.a, shift.a, own.a), add(old.b, sum.b, shift.b, own.b),
                             add(old.c, sum.c, shift.c, own.c), add(old.d, sum.d, shift.d, own.d)};
        total.Store(to);
      }
    }
    const uint8x16_t is_far = vcgeq_u8(window, vdupq_n_u8(kExponentWindows));
    any = vmaxvq_u8(is_far) != 0;
    const Int32x16 far = Lanes(vreinterpretq_s8_u8(is_far));
    const Vec scale = Vec::PowersOfTwo(exponents);
    const auto keep = [](float32x4_t x, int32x4_t mask) {
      return vreinterpretq_f32_s32(vandq_s32(vreinterpretq_s32_f32(x), mask));
    };
    return {keep(scale.a, far.a), keep(scale.b, far.b), keep(scale.c, far.c), keep(scale.d, far.d)};
  }

  /// What a unit of a window's sums counts.
  Vec Unit(int window) const { return Vec::PowersOfTwo(largest) * Vec::Set1(kWindowUnits[window]); }

 private:
  /// A mask of bytes becomes one of int32.
  static Int32x16 Lanes(int8x16_t bytes) { return Int32x16::Of(vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes)); }
};

}  // namespace
}  // namespace atb::kernels::neon
