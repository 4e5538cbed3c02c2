#pragma once
// Integers of the KV cache as attention multiplies them in AVX-512 and AMX. Internal linkage, as in vec.h.
#include <string.h>

#include "kernels/avx512/pairs.h"
#include "kernels/simd/integer_attention.h"

namespace atb::kernels::avx512 {
namespace {

/// Rows of high digits and of low ones, kRowBytes apart, multiplied by vpdpbusd: I of kernels/simd/integer_attention.h.
struct Integers {
  using V = Vec;
  using Exponential = ShortExp;
  using Stored = __m512i;
  struct Sum {
    __m512i high;
    __m512i low;
  };
  static constexpr int64_t kBytes = 1;
  static constexpr int64_t kSumRows = 1;

  static Vec Total(const int32_t* sums) { return {_mm512_cvtepi32_ps(_mm512_loadu_si512(sums))}; }

  static void StoreBytes(int8_t* to, __m512i v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(v));
  }
  /// Digits from -128 to 127.
  static void StoreQuery(Vec v, int8_t* to, int64_t i) {
    const __m512i x = _mm512_cvtps_epi32(v.v);
    StoreBytes(to + i, _mm512_srai_epi32(_mm512_add_epi32(x, _mm512_set1_epi32(128)), 8));
    StoreBytes(to + simd::kRowBytes + i, x);
  }
  /// Digits from 0 to 255.
  static void StoreWeight(Vec v, int8_t* to, int64_t i) {
    const __m512i x = _mm512_cvtps_epi32(v.v);
    StoreBytes(to + i, _mm512_srli_epi32(x, 8));
    StoreBytes(to + simd::kRowBytes + i, x);
  }

  /// One factor of vpdpbusd has no sign: keys are 128 too large there, and sums begin with what that adds.
  static simd::Starts StartOf(const int8_t* query, int64_t n) {
    return {-128 * SumOf(query, n), -128 * SumOf(query + simd::kRowBytes, n)};
  }
  static int32_t SumOf(const int8_t* bytes, int64_t n) {
    __m512i sum = _mm512_setzero_si512();
    for (int64_t i = 0; i < n; i += 64) {
      const __mmask64 lanes = n - i >= 64 ? ~__mmask64{0} : (__mmask64{1} << (n - i)) - 1;
      sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(1), _mm512_maskz_loadu_epi8(lanes, bytes + i));
    }
    return _mm512_reduce_add_epi32(sum);
  }
  static Sum Start(const simd::Starts& from) { return {_mm512_set1_epi32(from.high), _mm512_set1_epi32(from.low)}; }
  static Sum Zero() { return {_mm512_setzero_si512(), _mm512_setzero_si512()}; }

  static Stored LoadKeys(const char* p) {
    return _mm512_xor_si512(_mm512_loadu_si512(p), _mm512_set1_epi8(static_cast<char>(0x80)));
  }
  static Stored LoadValues(const char* p) { return _mm512_loadu_si512(p); }
  static __m512i Four(const int8_t* at) {
    int bytes;
    memcpy(&bytes, at, sizeof(bytes));
    return _mm512_set1_epi32(bytes);
  }
  static Sum MulKeys(Stored keys, const int8_t* query, Sum sum) {
    return {_mm512_dpbusd_epi32(sum.high, keys, Four(query)),
            _mm512_dpbusd_epi32(sum.low, keys, Four(query + simd::kRowBytes))};
  }
  static Sum MulValues(Stored values, const int8_t* weights, Sum sum) {
    return {_mm512_dpbusd_epi32(sum.high, Four(weights), values),
            _mm512_dpbusd_epi32(sum.low, Four(weights + simd::kRowBytes), values)};
  }
  static __m512i Whole(const Sum& sum) { return _mm512_add_epi32(_mm512_slli_epi32(sum.high, 8), sum.low); }
  static void StoreTotal(const Sum& sum, int32_t* to) { _mm512_storeu_si512(to, Whole(sum)); }
  static Vec ToFloat(const Sum& sum) { return {_mm512_cvtepi32_ps(Whole(sum))}; }
};

}  // namespace
}  // namespace atb::kernels::avx512
