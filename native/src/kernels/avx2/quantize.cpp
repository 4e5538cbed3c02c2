#include "kernels/simd/quantize.h"
#include "kernels/avx2/kernels.h"
#include "kernels/avx2/vec.h"
#include "kernels/simd/quantize_int4.h"

namespace atb::kernels::avx2 {
namespace {

struct Digits {
  static void Store(Vec v, int planes, int8_t* out, int64_t plane_stride) {
    __m256i lo = _mm256_cvtps_epi32(v.lo);
    __m256i hi = _mm256_cvtps_epi32(v.hi);
    for (int plane = planes - 1; plane >= 0; --plane) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + plane * plane_stride), LowBytes(lo, hi));
      lo = Above(lo);
      hi = Above(hi);
    }
  }

 private:
  static __m128i LowBytes(__m256i lo, __m256i hi) {
    const __m256i byte = _mm256_set1_epi32(0xFF);
    // Packing works within 128-bit halves; the permutation puts the quarters in order.
    const __m256i words = _mm256_packus_epi32(_mm256_and_si256(lo, byte), _mm256_and_si256(hi, byte));
    const __m256i ordered = _mm256_permute4x64_epi64(words, 0xD8);
    return _mm_packus_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1));
  }
  /// What remains above the lowest digit.
  static __m256i Above(__m256i value) {
    const __m256i digit = _mm256_srai_epi32(_mm256_slli_epi32(value, 24), 24);
    return _mm256_srai_epi32(_mm256_sub_epi32(value, digit), 8);
  }
};

}  // namespace

float Quantize(const void* x, DType dtype, int64_t k, int planes, int8_t* out, int64_t step, int64_t plane_stride) {
  return simd::Quantize<Vec, Digits>(x, dtype, k, planes, out, step, plane_stride);
}

float QuantizeInt4(const float* x, int64_t k, int64_t group, int8_t* out, int8_t* multipliers) {
  return simd::QuantizeInt4<Vec, Digits>(x, k, group, out, multipliers);
}

}  // namespace atb::kernels::avx2
