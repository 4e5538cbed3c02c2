#include "kernels/simd/e4m3_gemm.h"
#include "kernels/neon/kernels.h"
#include "kernels/neon/vec.h"

namespace atb::kernels::neon {
namespace {

/// For activations of any dtype. The bits of e4m3, moved to the places that f16 has for sign, exponent and mantissa,
/// are a 256th of the number, the small ones included; so that widening takes no table.
struct F32Rows : simd::F32Channels<Vec> {
  static constexpr float kUnit = 256;
  static constexpr int kAccumulators = 4;

  /// Four channels of four columns at a time, so that few weights are in registers.
  template <int R>
  static void MulRows(Vec (&acc)[R], const char* w, const char* x, int64_t x_bytes) {
    float32x4_t factors[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) factors[r] = vld1q_f32(reinterpret_cast<const float*>(x + r * x_bytes));
    const auto multiply = [&](int columns, float32x4_t Vec::* sums) __attribute__((always_inline)) {
      const Four four = Widen(w + columns * 4);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        float32x4_t sum = acc[r].*sums;
        sum = vfmaq_laneq_f32(sum, four.channels[0], factors[r], 0);
        sum = vfmaq_laneq_f32(sum, four.channels[1], factors[r], 1);
        sum = vfmaq_laneq_f32(sum, four.channels[2], factors[r], 2);
        acc[r].*sums = vfmaq_laneq_f32(sum, four.channels[3], factors[r], 3);
      }
    };
    multiply(0, &Vec::a);
    multiply(4, &Vec::b);
    multiply(8, &Vec::c);
    multiply(12, &Vec::d);
  }

 private:
  /// Of four columns.
  struct Four {
    float32x4_t channels[4];
  };
  static Four Widen(const char* w) {
    // Lanes 0 to 3 hold channels 0 and 1, the others channels 2 and 3.
    const int16x8_t pairs = vld1q_s16(reinterpret_cast<const int16_t*>(w));
    // The shift to the right fills the place beside the sign with a copy of it.
    const auto half = [](int16x8_t upper) {
      return vreinterpretq_f16_s16(vandq_s16(vshrq_n_s16(upper, 1), vdupq_n_s16(static_cast<int16_t>(0xBF80))));
    };
    const float16x8_t even = half(vshlq_n_s16(pairs, 8)), odd = half(pairs);
    return {{vcvt_f32_f16(vget_low_f16(even)), vcvt_f32_f16(vget_low_f16(odd)), vcvt_high_f32_f16(even),
             vcvt_high_f32_f16(odd)}};
  }
};

}  // namespace

static_assert(sizeof(simd::ScaledScratch<F32Rows>) <= kGemmScratchBytes);

void E4M3Gemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* scratch) {
  simd::ScaledGemm<Vec, F32Rows>(call, panel_begin, panel_end, scratch);
}

}  // namespace atb::kernels::neon
