#pragma once
// Sixteen f32 lanes in one AVX-512 register. Same interface as avx2/vec.h; the templates of kernels/simd/ are written
// against it. Everything has internal linkage, so that no copy compiled for this CPU is linked into other code.
#include <immintrin.h>
#include <stdint.h>

#include "kernels/avx512/kernels.h"

namespace atb::kernels::avx512 {
namespace {

/// The even and the odd ones of pairs of bf16, each the upper half of an f32: shifted and masked apart.
inline __m512 Even(__m512i pairs) { return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)); }
inline __m512 Odd(__m512i pairs) {
  return _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xFFFF0000u))));
}

struct Vec {
  __m512 v;

  /// f32 accumulators that fit the register file beside weights and activations.
  static constexpr int kAccumulators = 24;
  /// Panels of floats that are read side by side for one row: what is fastest from memory.
  static constexpr int kStreams = 2;

  static __mmask16 First(int64_t n) { return static_cast<__mmask16>((1u << n) - 1); }

  static simd::RowFinisher FinisherOf(const GemmCall& call) { return avx512::FinisherOf(call); }

  static Vec Zero() { return {_mm512_setzero_ps()}; }
  static Vec Set1(float x) { return {_mm512_set1_ps(x)}; }
  static Vec Load(const float* p) { return {_mm512_loadu_ps(p)}; }
  /// The first n of 16 lanes, 0 <= n <= 16; zeros in the others.
  static Vec LoadPart(const float* p, int64_t n) { return {_mm512_maskz_loadu_ps(First(n), p)}; }
  static Vec LoadInt16(const int16_t* p) {
    return {_mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))))};
  }
  static Vec LoadInt8(const int8_t* p) {
    return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
  }
  static Vec LoadF16(const uint16_t* p) { return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))}; }
  static Vec LoadF16Part(const uint16_t* p, int64_t n) { return {_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(First(n), p))}; }
  /// Of sixteen pairs of bf16 those at even and those at odd places.
  static Vec LoadEven(const char* p) { return {Even(_mm512_loadu_si512(p))}; }
  static Vec LoadOdd(const char* p) { return {Odd(_mm512_loadu_si512(p))}; }
  static Vec LoadBF16(const uint16_t* p) { return Widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
  static Vec LoadBF16Part(const uint16_t* p, int64_t n) { return Widen(_mm256_maskz_loadu_epi16(First(n), p)); }

  /// 2^(exponent - 127) of sixteen exponents below 255; 2^-127 is subnormal.
  static Vec PowersOfTwo(const uint8_t* exponents) {
    const __m512i wide = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(exponents)));
    return {_mm512_castsi512_ps(_mm512_max_epi32(_mm512_slli_epi32(wide, 23), _mm512_set1_epi32(1 << 22)))};
  }

  void Store(float* p) const { _mm512_storeu_ps(p, v); }
  void StorePart(float* p, int64_t n) const { _mm512_mask_storeu_ps(p, First(n), v); }
  /// Rounded to nearest even.
  void StoreF16(uint16_t* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), Half()); }
  void StoreF16Part(uint16_t* p, int64_t n) const { _mm256_mask_storeu_epi16(p, First(n), Half()); }
  void StoreBF16(uint16_t* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), Brain()); }
  void StoreBF16Part(uint16_t* p, int64_t n) const { _mm256_mask_storeu_epi16(p, First(n), Brain()); }

 private:
  static Vec Widen(__m256i bits) { return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))}; }
  __m256i Half() const { return _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  // Not vcvtneps2bf16, which flushes subnormals.
  __m256i Brain() const {
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
    const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    const __m512i all = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x00400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(all, 16));
  }
};

inline Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Vec operator-(Vec a) { return {_mm512_xor_ps(a.v, _mm512_set1_ps(-0.0f))}; }
/// a * b + c, rounded once.
inline Vec Fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
/// The larger of each two lanes; b where either is NaN.
inline Vec Max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Vec Min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Vec Abs(Vec a) { return {_mm512_abs_ps(a.v)}; }
inline Vec Round(Vec a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
/// a * 2^n for whole n, rounded once, also to subnormals.
inline Vec Scale(Vec a, Vec n) { return {_mm512_scalef_ps(a.v, n.v)}; }
/// x < 0 ? a : b; b where x is NaN.
inline Vec WhereNegative(Vec x, Vec a, Vec b) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(x.v, _mm512_setzero_ps(), _CMP_LT_OQ), b.v, a.v)};
}
/// The first n lanes of a, b in the others.
inline Vec First(Vec a, int64_t n, Vec b) { return {_mm512_mask_blend_ps(Vec::First(n), b.v, a.v)}; }

inline float ReduceAdd(Vec a) {
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  const __m128 pair = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
}
/// The largest lane. No lane may be NaN.
inline float ReduceMax(Vec a) {
  const __m256 half = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 quarter = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  const __m128 pair = _mm_max_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_max_ss(pair, _mm_movehdup_ps(pair)));
}

/// Lane i of the result is all lanes of v[i] joined by `op`. Lane j is joined with lane j + 8 first, then with j + 4,
/// j + 2 and j + 1, as ReduceAdd does it.
template <class Op>
inline Vec ReduceEach(const Vec (&v)[16], Op op) {
  Vec eighths[4];  // Quarter q of eighths[r] has what is left of v[4 * q + r]: four lanes.
  for (int r = 0; r < 4; ++r) {
    const auto halves = [&](int a, int b) {
      return op(Vec{_mm512_shuffle_f32x4(v[a].v, v[b].v, 0x44)}, Vec{_mm512_shuffle_f32x4(v[a].v, v[b].v, 0xEE)}).v;
    };
    const __m512 low = halves(r, 4 + r), high = halves(8 + r, 12 + r);
    eighths[r] = op(Vec{_mm512_shuffle_f32x4(low, high, 0x88)}, Vec{_mm512_shuffle_f32x4(low, high, 0xDD)});
  }
  const auto pairs = [&](Vec a, Vec b) {
    const __m512d x = _mm512_castps_pd(a.v), y = _mm512_castps_pd(b.v);
    return op(Vec{_mm512_castpd_ps(_mm512_unpacklo_pd(x, y))}, Vec{_mm512_castpd_ps(_mm512_unpackhi_pd(x, y))}).v;
  };
  const __m512 even = pairs(eighths[0], eighths[1]), odd = pairs(eighths[2], eighths[3]);
  return op(Vec{_mm512_shuffle_ps(even, odd, 0x88)}, Vec{_mm512_shuffle_ps(even, odd, 0xDD)});
}

}  // namespace
}  // namespace atb::kernels::avx512
