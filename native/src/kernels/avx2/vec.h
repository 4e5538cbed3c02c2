#pragma once
// Sixteen f32 lanes in two AVX2 registers. Same interface as avx512/vec.h; the templates of kernels/simd/ are written
// against it. Everything has internal linkage, so that no copy compiled for this CPU is linked into other code.
#include <immintrin.h>
#include <stdint.h>

#include "kernels/avx2/kernels.h"

namespace atb::kernels::avx2 {
namespace {

/// The even and the odd ones of pairs of bf16, each the upper half of an f32: shifted and masked apart.
inline __m256 Even(__m256i pairs) { return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)); }
inline __m256 Odd(__m256i pairs) {
  return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(static_cast<int>(0xFFFF0000u))));
}

struct Vec {
  __m256 lo;
  __m256 hi;

  /// Accumulators of this type that fit the register file beside weights and activations.
  static constexpr int kAccumulators = 6;
  /// Panels of floats that are read side by side for one row: what is fastest from memory.
  static constexpr int kStreams = 4;

  static simd::RowFinisher FinisherOf(const GemmCall& call) { return avx2::FinisherOf(call); }

  static Vec Zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static Vec Set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static Vec Load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static Vec LoadInt16(const int16_t* p) {
    const auto half = [](const int16_t* from) {
      return _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
    };
    return {half(p), half(p + 8)};
  }
  static Vec LoadInt8(const int8_t* p) {
    const auto half = [](const int8_t* from) {
      return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
    };
    return {half(p), half(p + 8)};
  }
  /// The first n of 16 lanes, 0 <= n <= 16; zeros in the others.
  static Vec LoadPart(const float* p, int64_t n) {
    float lanes[16] = {};
    for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
    return Load(lanes);
  }
  static Vec LoadF16(const uint16_t* p) { return {_mm256_cvtph_ps(Load8(p)), _mm256_cvtph_ps(Load8(p + 8))}; }
  static Vec LoadF16Part(const uint16_t* p, int64_t n) { return LoadF16(Lanes(p, n).bits); }
  /// Of sixteen pairs of bf16 those at even and those at odd places.
  static Vec LoadEven(const char* p) { return {Even(Load32(p)), Even(Load32(p + 32))}; }
  static Vec LoadOdd(const char* p) { return {Odd(Load32(p)), Odd(Load32(p + 32))}; }
  static Vec LoadBF16(const uint16_t* p) { return {Widen(Load8(p)), Widen(Load8(p + 8))}; }
  static Vec LoadBF16Part(const uint16_t* p, int64_t n) { return LoadBF16(Lanes(p, n).bits); }

  /// 2^(exponent - 127) of sixteen exponents below 255; 2^-127 is subnormal.
  static Vec PowersOfTwo(const uint8_t* exponents) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(exponents));
    return {PowersOfTwo(bytes), PowersOfTwo(_mm_srli_si128(bytes, 8))};
  }

  void Store(float* p) const {
    _mm256_storeu_ps(p, lo);
    _mm256_storeu_ps(p + 8, hi);
  }
  void StorePart(float* p, int64_t n) const {
    float lanes[16];
    Store(lanes);
    for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
  }
  /// Rounded to nearest even.
  void StoreF16(uint16_t* p) const {
    Store8(p, _mm256_cvtps_ph(lo, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    Store8(p + 8, _mm256_cvtps_ph(hi, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  void StoreF16Part(uint16_t* p, int64_t n) const {
    uint16_t lanes[16];
    StoreF16(lanes);
    for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
  }
  void StoreBF16(uint16_t* p) const {
    // Packing works within 128-bit halves; the permutation puts the four quarters in order.
    const __m256i packed = _mm256_packus_epi32(Brain(lo), Brain(hi));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute4x64_epi64(packed, 0xD8));
  }
  void StoreBF16Part(uint16_t* p, int64_t n) const {
    uint16_t lanes[16];
    StoreBF16(lanes);
    for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
  }

 private:
  static __m256i Load32(const char* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  struct Bits {
    uint16_t bits[16] = {};
  };
  static Bits Lanes(const uint16_t* p, int64_t n) {
    Bits lanes;
    for (int64_t i = 0; i < n; ++i) lanes.bits[i] = p[i];
    return lanes;
  }
  static __m256 PowersOfTwo(__m128i eight) {
    const __m256i shifted = _mm256_slli_epi32(_mm256_cvtepu8_epi32(eight), 23);
    return _mm256_castsi256_ps(_mm256_max_epi32(shifted, _mm256_set1_epi32(1 << 22)));
  }
  static __m128i Load8(const uint16_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
  static void Store8(uint16_t* p, __m128i x) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), x); }
  static __m256 Widen(__m128i bits) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16)); }
  static __m256i Brain(__m256 x) {
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x00400000));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    return _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
  }
};

inline Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)}; }
inline Vec operator-(Vec a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_xor_ps(a.lo, sign), _mm256_xor_ps(a.hi, sign)};
}
/// a * b + c, rounded once.
inline Vec Fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)}; }
/// The larger of each two lanes; b where either is NaN.
inline Vec Max(Vec a, Vec b) { return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
inline Vec Min(Vec a, Vec b) { return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)}; }
inline Vec Abs(Vec a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi)};
}
inline Vec Round(Vec a) {
  constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(a.lo, kNearest), _mm256_round_ps(a.hi, kNearest)};
}
/// a * 2^n for whole n in [-252, 254], rounded once, also to subnormals: two factors, the first product is exact.
inline __m256 ScaleHalf(__m256 a, __m256 n) {
  const __m256i whole = _mm256_cvtps_epi32(n);
  const __m256i first = _mm256_srai_epi32(whole, 1);
  const __m256i second = _mm256_sub_epi32(whole, first);
  const __m256i bias = _mm256_set1_epi32(127);
  const __m256 x = _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(first, bias), 23)));
  return _mm256_mul_ps(x, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(second, bias), 23)));
}
inline Vec Scale(Vec a, Vec n) { return {ScaleHalf(a.lo, n.lo), ScaleHalf(a.hi, n.hi)}; }
/// x < 0 ? a : b; b where x is NaN.
inline Vec WhereNegative(Vec x, Vec a, Vec b) {
  const __m256 zero = _mm256_setzero_ps();
  return {_mm256_blendv_ps(b.lo, a.lo, _mm256_cmp_ps(x.lo, zero, _CMP_LT_OQ)),
          _mm256_blendv_ps(b.hi, a.hi, _mm256_cmp_ps(x.hi, zero, _CMP_LT_OQ))};
}
/// The first n lanes of a, b in the others.
inline Vec First(Vec a, int64_t n, Vec b) {
  float lanes[16];
  b.Store(lanes);
  a.StorePart(lanes, n);
  return Vec::Load(lanes);
}

inline float ReduceAdd(Vec a) {
  const __m256 half = _mm256_add_ps(a.lo, a.hi);
  const __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  const __m128 pair = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
}
/// The largest lane. No lane may be NaN.
inline float ReduceMax(Vec a) {
  const __m256 half = _mm256_max_ps(a.lo, a.hi);
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
    const auto halves = [&](int a, int b) { return op(Vec{v[a].lo, v[b].lo}, Vec{v[a].hi, v[b].hi}); };
    const auto quarters = [](Vec x, int which) {
      return which == 0 ? _mm256_permute2f128_ps(x.lo, x.hi, 0x20) : _mm256_permute2f128_ps(x.lo, x.hi, 0x31);
    };
    const Vec low = halves(r, 4 + r), high = halves(8 + r, 12 + r);
    eighths[r] = op(Vec{quarters(low, 0), quarters(high, 0)}, Vec{quarters(low, 1), quarters(high, 1)});
  }
  const auto pairs = [&](Vec a, Vec b) {
    const auto half = [](__m256 x, __m256 y, bool upper) {
      const __m256d p = _mm256_castps_pd(x), q = _mm256_castps_pd(y);
      return _mm256_castpd_ps(upper ? _mm256_unpackhi_pd(p, q) : _mm256_unpacklo_pd(p, q));
    };
    return op(Vec{half(a.lo, b.lo, false), half(a.hi, b.hi, false)}, Vec{half(a.lo, b.lo, true), half(a.hi, b.hi, true)});
  };
  const Vec even = pairs(eighths[0], eighths[1]), odd = pairs(eighths[2], eighths[3]);
  return op(Vec{_mm256_shuffle_ps(even.lo, odd.lo, 0x88), _mm256_shuffle_ps(even.hi, odd.hi, 0x88)},
            Vec{_mm256_shuffle_ps(even.lo, odd.lo, 0xDD), _mm256_shuffle_ps(even.hi, odd.hi, 0xDD)});
}

}  // namespace
}  // namespace atb::kernels::avx2
