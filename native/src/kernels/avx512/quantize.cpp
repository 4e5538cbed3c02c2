#include "kernels/simd/quantize.h"
#include "kernels/avx512/kernels.h"
#include "kernels/avx512/vec.h"

namespace atb::kernels::avx512 {
namespace {

/// The largest magnitude of a row, infinity or NaN included: magnitudes compare as their bits do.
float Largest(const void* x, DType dtype, int64_t k) {
  __m512i max = _mm512_setzero_si512();
  if (dtype == DType::kF32) {
    const auto* p = static_cast<const float*>(x);
    const __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF);
    for (int64_t i = 0; i < k; i += 16) {
      const __m512i v = _mm512_maskz_loadu_epi32(k - i >= 16 ? 0xFFFF : Vec::First(k - i), p + i);
      max = _mm512_max_epu32(max, _mm512_and_si512(v, magnitude));
    }
    const uint32_t bits = _mm512_reduce_max_epu32(max);
    float out;
    memcpy(&out, &bits, sizeof out);
    return out;
  }
  const auto* p = static_cast<const uint16_t*>(x);
  const __m512i magnitude = _mm512_set1_epi16(0x7FFF);
  for (int64_t i = 0; i < k; i += 32) {
    const __mmask32 lanes = k - i >= 32 ? ~__mmask32{0} : (__mmask32{1} << (k - i)) - 1;
    max = _mm512_max_epu16(max, _mm512_and_si512(_mm512_maskz_loadu_epi16(lanes, p + i), magnitude));
  }
  alignas(64) uint16_t values[32];
  _mm512_store_si512(values, max);
  uint16_t largest = 0;
  for (uint16_t value : values) largest = value > largest ? value : largest;
  float out;
  (dtype == DType::kF16 ? Vec::LoadF16Part(&largest, 1) : Vec::LoadBF16Part(&largest, 1)).StorePart(&out, 1);
  return out;
}

/// Sixteen numbers divided or multiplied by `by`, as int32 rounded to nearest even; zeros from number k on.
template <DType kType, bool kDivide>
inline __m512i Whole(const void* x, int64_t i, int64_t k, __m512 by) {
  const __m512 v = i < k ? simd::LoadAs<Vec>(x, kType, i, k - i).v : _mm512_setzero_ps();
  return _mm512_cvtps_epi32(kDivide ? _mm512_div_ps(v, by) : _mm512_mul_ps(v, by));
}

/// Packing works within 128-bit quarters, twice; this puts their dwords in order.
inline __m512i Ordered(__m512i bytes) {
  const __m512i order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
  return _mm512_permutexvar_epi32(order, bytes);
}

/// Writes the digits of 64 numbers. `by` is the scale with one plane, else its inverse.
template <DType kType, int kPlanes>
inline void StoreTile(const void* x, int64_t i, int64_t k, __m512 by, int8_t* out, int64_t plane_stride) {
  __m512i v[4];
  for (int j = 0; j < 4; ++j) v[j] = Whole<kType, kPlanes == 1>(x, i + 16 * j, k, by);
  if constexpr (kPlanes == 3) {
    // The lowest digits are taken off first; 16 bits are left.
    __m512i low[4];
    for (int j = 0; j < 4; ++j) {
      low[j] = _mm512_srai_epi32(_mm512_slli_epi32(v[j], 24), 24);
      v[j] = _mm512_srai_epi32(_mm512_sub_epi32(v[j], low[j]), 8);
    }
    const __m512i bytes = _mm512_packs_epi16(_mm512_packs_epi32(low[0], low[1]), _mm512_packs_epi32(low[2], low[3]));
    _mm512_storeu_si512(out + 2 * plane_stride, Ordered(bytes));
  }
  __m512i words[2] = {_mm512_packs_epi32(v[0], v[1]), _mm512_packs_epi32(v[2], v[3])};
  if constexpr (kPlanes > 1) {
    const __m512i byte = _mm512_set1_epi16(0xFF), half = _mm512_set1_epi16(128);
    const __m512i low = _mm512_packus_epi16(_mm512_and_si512(words[0], byte), _mm512_and_si512(words[1], byte));
    _mm512_storeu_si512(out + plane_stride, Ordered(low));
    // Digits go from -128 to 127, so that (x - digit) / 256 is x / 256 rounded, half up.
    for (__m512i& word : words) word = _mm512_srai_epi16(_mm512_add_epi16(word, half), 8);
  }
  _mm512_storeu_si512(out, Ordered(_mm512_packs_epi16(words[0], words[1])));
}

template <DType kType, int kPlanes>
void Store(const void* x, int64_t k, float scale, int8_t* out, int64_t step, int64_t plane_stride) {
  const __m512 by = _mm512_set1_ps(kPlanes == 1 ? scale : 1 / scale);
  for (int64_t i = 0; i < k; i += kIntegerTileK, out += step) StoreTile<kType, kPlanes>(x, i, k, by, out, plane_stride);
}

template <DType kType>
void StorePlanes(const void* x, int64_t k, int planes, float scale, int8_t* out, int64_t step, int64_t plane_stride) {
  if (planes == 1) return Store<kType, 1>(x, k, scale, out, step, plane_stride);
  if (planes == 2) return Store<kType, 2>(x, k, scale, out, step, plane_stride);
  Store<kType, 3>(x, k, scale, out, step, plane_stride);
}

}  // namespace

float Quantize(const void* x, DType dtype, int64_t k, int planes, int8_t* out, int64_t step, int64_t plane_stride) {
  const float max = Largest(x, dtype, k);
  const bool finite = max <= 3.402823466e38f;
  const float scale = finite ? simd::ScaleOf(max, planes) : 0;
  if (scale == 0) {
    simd::StoreZeros(k, planes, out, step, plane_stride);
    return finite ? 0 : NAN;
  }
  if (dtype == DType::kF32) {
    StorePlanes<DType::kF32>(x, k, planes, scale, out, step, plane_stride);
  } else if (dtype == DType::kF16) {
    StorePlanes<DType::kF16>(x, k, planes, scale, out, step, plane_stride);
  } else {
    StorePlanes<DType::kBF16>(x, k, planes, scale, out, step, plane_stride);
  }
  return scale;
}

int32_t SumDigits(const int8_t* digits, int64_t count) {
  __m256i sums = _mm256_setzero_si256();
  for (int64_t i = 0; i < count; i += 32) {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(digits + i));
    sums = _mm256_dpbusd_epi32(sums, _mm256_set1_epi8(1), bytes);
  }
  const __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  const __m128i pair = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4E));
  return _mm_cvtsi128_si32(_mm_add_epi32(pair, _mm_shuffle_epi32(pair, 0xB1)));
}

}  // namespace atb::kernels::avx512
