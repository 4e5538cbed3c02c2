#pragma once
// Sums of groups whose scales are powers of two, as integers (kExponentSpan in packed_weight.h). Included by
// integer_gemm.cpp alone; everything has internal linkage, vec.h says why.
#include "kernels/avx512/integers.h"

namespace atb::kernels::avx512 {
namespace {

/// Of a panel and the digit rows that are multiplied at once, while a span is read.
template <int kRows>
struct alignas(64) WindowSums {
  int32_t sums[kExponentWindows][kRows][kPanelColumns];
  uint8_t largest[kPanelColumns];  ///< Exponents.
  uint32_t used;                   ///< A bit for each window that has a group.
  bool one;                        ///< Whether all groups are in the first window.

  /// A span begins whose groups have these exponents, [groups][16].
  void Start(const uint8_t* exponents, int64_t groups) {
    __m128i most = _mm_setzero_si128(), least = _mm_set1_epi8(-1);
    for (int64_t g = 0; g < groups; ++g) {
      most = _mm_max_epu8(most, Sixteen(exponents + g * kPanelColumns));
      least = _mm_min_epu8(least, Sixteen(exponents + g * kPanelColumns));
    }
    _mm_store_si128(reinterpret_cast<__m128i*>(largest), most);
    one = _mm_cmpgt_epu8_mask(_mm_sub_epi8(most, least), _mm_set1_epi8(3)) == 0;
    used = one;
    for (int t = 0; t < kRows; ++t) _mm512_store_si512(sums[0][t], _mm512_setzero_si512());
  }

  /// Takes the sums of a group, those of T digit rows. What is too small for any window is added to c at once.
  template <int T>
  void Add(int planes, const __m512i* acc, const uint8_t* exponents, float (*c)[kPanelColumns]) {
    const __m128i most = _mm_load_si128(reinterpret_cast<const __m128i*>(largest));
    const __m512i below = _mm512_cvtepu8_epi32(_mm_sub_epi8(most, Sixteen(exponents)));
    const __m512i shift = _mm512_andnot_si512(below, _mm512_set1_epi32(3));
    if (one) {
      for (int t = 0; t < T; ++t)
        _mm512_store_si512(sums[0][t], _mm512_add_epi32(_mm512_load_si512(sums[0][t]), _mm512_sllv_epi32(acc[t], shift)));
      return;
    }
    const __m512i window = _mm512_srli_epi32(below, 2);
    __mmask16 left = 0xFFFF;
    for (int i = 0; i < kExponentWindows && left != 0; ++i) {
      const __mmask16 own = _mm512_cmpeq_epi32_mask(window, _mm512_set1_epi32(i));
      if (own == 0) continue;
      left = static_cast<__mmask16>(left & ~own);
      const bool first = !(used >> i & 1);
      used |= 1u << i;
      for (int t = 0; t < T; ++t) {
        const __m512i before = first ? _mm512_setzero_si512() : _mm512_load_si512(sums[i][t]);
        _mm512_store_si512(sums[i][t], _mm512_mask_add_epi32(before, own, before, _mm512_sllv_epi32(acc[t], shift)));
      }
    }
    if (left == 0) return;
    const Vec scale{_mm512_maskz_mov_ps(left, Vec::PowersOfTwo(exponents).v)};
    ByPlanes<T>(planes, [&]<int Planes>() { AddScaled<Planes, T / Planes>(acc, scale, c); });
  }

  /// Adds the windows to c.
  template <int T>
  void Finish(int planes, float (*c)[kPanelColumns]) const {
    for (int i = 0; i < kExponentWindows; ++i) {
      if (!(used >> i & 1)) continue;
      __m512i whole[T];
      for (int t = 0; t < T; ++t) whole[t] = _mm512_load_si512(sums[i][t]);
      const Vec scale = Vec::PowersOfTwo(largest) * Vec::Set1(kWindowUnits[i]);
      ByPlanes<T>(planes, [&]<int Planes>() { AddScaled<Planes, T / Planes>(whole, scale, c); });
    }
  }

 private:
  static __m128i Sixteen(const uint8_t* bytes) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)); }
};

}  // namespace
}  // namespace atb::kernels::avx512
