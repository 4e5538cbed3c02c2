#pragma once
// Integers of the KV cache as attention multiplies them in AVX-512 and AMX. Everything has internal linkage; vec.h says
// why.
#include <string.h>

#include "kernels/avx512/short_exp.h"
#include "kernels/simd/integer_attention.h"

namespace atb::kernels::avx512 {
namespace {

/// The I of kernels/simd/integer_attention.h: a row of high digits and a row of low digits, kRowBytes apart, are
/// multiplied by vpdpbusd.
struct KvIntegers {
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

  /// 64 numbers as words of 16 bits: sixteen bytes of one vector and sixteen of the next one take turns.
  struct Words {
    __m512i first;
    __m512i second;
  };
  static Words Pack(const Vec* x) {
    const auto whole = [](Vec v) { return _mm512_cvtps_epi32(v.v); };
    return {_mm512_packs_epi32(whole(x[0]), whole(x[1])), _mm512_packs_epi32(whole(x[2]), whole(x[3]))};
  }
  /// Packing works within 128-bit quarters, twice; this puts their dwords in order.
  static void StoreOrdered(int8_t* to, __m512i bytes) {
    const __m512i order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
    _mm512_storeu_si512(to, _mm512_permutexvar_epi32(order, bytes));
  }
  static void StoreLow(int8_t* to, const Words& words) {
    const __m512i byte = _mm512_set1_epi16(0xFF);
    StoreOrdered(to, _mm512_packus_epi16(_mm512_and_si512(words.first, byte), _mm512_and_si512(words.second, byte)));
  }
  /// Low digits go from -128 to 127, so that the high digit is the number divided by 256 and rounded, half up.
  static void StoreQuery(const Vec* x, int8_t* to, int64_t i) {
    const Words words = Pack(x);
    const auto high = [](__m512i word) {
      return _mm512_srai_epi16(_mm512_add_epi16(word, _mm512_set1_epi16(128)), 8);
    };
    StoreOrdered(to + i, _mm512_packs_epi16(high(words.first), high(words.second)));
    StoreLow(to + simd::kRowBytes + i, words);
  }
  /// Weights are not negative: both digits go from 0 to 255.
  static void StoreWeight(const Vec* x, int8_t* to, int64_t i) {
    const Words words = Pack(x);
    StoreOrdered(to + i, _mm512_packus_epi16(_mm512_srli_epi16(words.first, 8), _mm512_srli_epi16(words.second, 8)));
    StoreLow(to + simd::kRowBytes + i, words);
  }

  /// One factor of vpdpbusd has no sign. Keys are made 128 too large for it, and sums begin below zero by what that
  /// adds.
  static simd::SumStarts StartOf(const int8_t* query, int64_t n) {
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
  static Sum Start(const simd::SumStarts& from) { return {_mm512_set1_epi32(from.high), _mm512_set1_epi32(from.low)}; }
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
