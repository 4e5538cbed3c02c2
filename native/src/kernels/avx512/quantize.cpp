#include "kernels/simd/quantize.h"
#include "kernels/avx512/kernels.h"
#include "kernels/avx512/vec.h"

namespace atb::kernels::avx512 {
namespace {

struct Digits {
  static void Store(Vec v, int planes, int8_t* out, int64_t plane_stride) {
    __m512i value = _mm512_cvtps_epi32(v.v);
    for (int plane = planes - 1; plane >= 0; --plane) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + plane * plane_stride), _mm512_cvtepi32_epi8(value));
      const __m512i digit = _mm512_srai_epi32(_mm512_slli_epi32(value, 24), 24);
      value = _mm512_srai_epi32(_mm512_sub_epi32(value, digit), 8);
    }
  }
};

}  // namespace

float Quantize(const void* x, DType dtype, int64_t k, int planes, int8_t* out, int64_t step, int64_t plane_stride) {
  return simd::Quantize<Vec, Digits>(x, dtype, k, planes, out, step, plane_stride);
}

}  // namespace atb::kernels::avx512
