#include "kernels/simd/quantize.h"
#include "kernels/neon/kernels.h"
#include "kernels/neon/vec.h"
#include "kernels/simd/quantize_int4.h"

namespace atb::kernels::neon {
namespace {

struct Digits {
  static void Store(Vec v, int planes, int8_t* out, int64_t plane_stride) {
    Int32x16 whole = Whole(v);
    for (int plane = planes - 1; plane >= 0; --plane) {
      vst1q_s8(out + plane * plane_stride, LowBytes(whole));
      // What remains above the lowest digit, which goes from -128 to 127, is the number divided by 256 and rounded,
      // half up.
      whole = {vrshrq_n_s32(whole.a, 8), vrshrq_n_s32(whole.b, 8), vrshrq_n_s32(whole.c, 8), vrshrq_n_s32(whole.d, 8)};
    }
  }

 private:
  static int8x16_t LowBytes(const Int32x16& x) {
    const auto words = [](int32x4_t low, int32x4_t high) {
      return vreinterpretq_s8_s16(vuzp1q_s16(vreinterpretq_s16_s32(low), vreinterpretq_s16_s32(high)));
    };
    return vuzp1q_s8(words(x.a, x.b), words(x.c, x.d));
  }
};

}  // namespace

float Quantize(const void* x, DType dtype, int64_t k, int planes, int8_t* out, int64_t step, int64_t plane_stride) {
  return simd::Quantize<Vec, Digits>(x, dtype, k, planes, out, step, plane_stride);
}

int32_t SumDigits(const int8_t* digits, int64_t count) {
  int32x4_t sums = vdupq_n_s32(0);
  for (int64_t i = 0; i < count; i += 32)
    sums = vpadalq_s16(sums, vpadalq_s8(vpaddlq_s8(vld1q_s8(digits + i)), vld1q_s8(digits + i + 16)));
  return vaddvq_s32(sums);
}

float QuantizeInt4(const float* x, int64_t k, int64_t group, int8_t* out, int8_t* multipliers) {
  return simd::QuantizeInt4<Vec, Digits>(x, k, group, out, multipliers);
}

}  // namespace atb::kernels::neon
