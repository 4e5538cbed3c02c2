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

int32_t SumDigits(const int8_t* digits, int64_t count) {
  // vpsadbw adds unsigned bytes: each digit is made 128 too large.
  __m256i sums = _mm256_setzero_si256();
  for (int64_t i = 0; i < count; i += 32) {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(digits + i));
    const __m256i unsigned_bytes = _mm256_xor_si256(bytes, _mm256_set1_epi8(-128));
    sums = _mm256_add_epi64(sums, _mm256_sad_epu8(unsigned_bytes, _mm256_setzero_si256()));
  }
  const __m128i half = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  const int64_t sum = _mm_cvtsi128_si64(half) + _mm_extract_epi64(half, 1);
  return static_cast<int32_t>(sum - 128 * count);
}

float QuantizeInt4(const float* x, int64_t k, int64_t group, int8_t* out, int8_t* multipliers) {
  return simd::QuantizeInt4<Vec, Digits>(x, k, group, out, multipliers);
}

}  // namespace atb::kernels::avx2
