#pragma once
// Sums of groups whose scales are powers of two, as integers (kExponentSpan in packed_weight.h). Everything has
// internal linkage; vec.h says why.
#include "kernels/avx2/integer_sums.h"

namespace atb::kernels::avx2 {
namespace {

/// Of a panel and the digit rows that are multiplied at once, while a span is read.
struct alignas(64) WindowSums {
  int32_t sums[kExponentWindows][kByteRows][kPanelColumns];
  uint8_t largest[kPanelColumns];  ///< Exponents.
  bool one;                        ///< Whether all groups are in the first window.

  /// Of a span whose groups have these exponents, [groups][16].
  WindowSums(const uint8_t* exponents, int64_t groups) {
    __m128i most = _mm_setzero_si128(), least = _mm_set1_epi8(-1);
    for (int64_t g = 0; g < groups; ++g) {
      most = _mm_max_epu8(most, Sixteen(exponents + g * kPanelColumns));
      least = _mm_min_epu8(least, Sixteen(exponents + g * kPanelColumns));
    }
    _mm_store_si128(reinterpret_cast<__m128i*>(largest), most);
    const __m128i beyond = _mm_subs_epu8(_mm_sub_epi8(most, least), _mm_set1_epi8(3));
    one = _mm_testz_si128(beyond, beyond);
    memset(sums, 0, one ? sizeof sums[0] : sizeof sums);
  }

  /// How many windows have sums.
  int Count() const { return one ? 1 : kExponentWindows; }

  /// Takes the sums of a group, digit(t) of T digit rows. Returns the scales of those that are too small for any
  /// window, zeros in other lanes; `any` says whether there are such.
  template <int T, class Digit>
  Vec Add(Digit digit, const uint8_t* exponents, bool& any) {
    const __m128i most = _mm_load_si128(reinterpret_cast<const __m128i*>(largest));
    const __m128i bytes = _mm_sub_epi8(most, Sixteen(exponents));
    const __m256i below[] = {_mm256_cvtepu8_epi32(bytes), _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8))};
    __m256i shift[2];
    for (int half = 0; half < 2; ++half) shift[half] = _mm256_andnot_si256(below[half], _mm256_set1_epi32(3));
    any = false;
    if (one) {
      for (int t = 0; t < T; ++t) {
        const Int32x16 group = digit(t), sum = Int32x16::Load(sums[0][t]);
        const Int32x16 more{_mm256_add_epi32(sum.lo, _mm256_sllv_epi32(group.lo, shift[0])),
                            _mm256_add_epi32(sum.hi, _mm256_sllv_epi32(group.hi, shift[1]))};
        more.Store(sums[0][t]);
      }
      return Vec::Zero();
    }
    __m256i far[2];
    for (int half = 0; half < 2; ++half) {
      const __m256i window = _mm256_srli_epi32(below[half], 2);
      far[half] = _mm256_cmpgt_epi32(window, _mm256_set1_epi32(kExponentWindows - 1));
      for (int i = 0; i < kExponentWindows; ++i) {
        const __m256i own = _mm256_cmpeq_epi32(window, _mm256_set1_epi32(i));
        if (_mm256_testz_si256(own, own)) continue;
        for (int t = 0; t < T; ++t) {
          const Int32x16 group = digit(t);
          const __m256i shifted = _mm256_and_si256(own, _mm256_sllv_epi32(half ? group.hi : group.lo, shift[half]));
          __m256i* const sum = Int32x16::Half(sums[i][t], half);
          _mm256_store_si256(sum, _mm256_add_epi32(_mm256_load_si256(sum), shifted));
        }
      }
    }
    any = !_mm256_testz_si256(far[0], far[0]) || !_mm256_testz_si256(far[1], far[1]);
    const Vec scale = Vec::PowersOfTwo(exponents);
    return {_mm256_and_ps(_mm256_castsi256_ps(far[0]), scale.lo), _mm256_and_ps(_mm256_castsi256_ps(far[1]), scale.hi)};
  }

  /// What a unit of a window's sums counts.
  Vec Unit(int window) const { return Vec::PowersOfTwo(largest) * Vec::Set1(kWindowUnits[window]); }

 private:
  static __m128i Sixteen(const uint8_t* bytes) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)); }
};

}  // namespace
}  // namespace atb::kernels::avx2
