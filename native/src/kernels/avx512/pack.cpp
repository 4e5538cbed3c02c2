#include <immintrin.h>

#include "kernels/avx512/kernels.h"

namespace atb::kernels::avx512 {
namespace {

constexpr int kRows = 16;
/// How far ahead of its reader a panel of e2m1 numbers is fetched.
constexpr int64_t kCodesAhead = 1024;

/// Transposes 16 x 16 units of four bytes: it swaps units of two rows, then pairs of units, then quarters of registers.
inline void Transpose(__m512i (&r)[kRows]) {
  __m512i t[kRows];
  for (int i = 0; i < kRows; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  // r[i + j] has unit j of each quarter, of rows i to i + 3.
  for (int i = 0; i < kRows; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int j = 0; j < 4; ++j) {
    const __m512i low_even = _mm512_shuffle_i32x4(r[j], r[4 + j], 0x88);
    const __m512i low_odd = _mm512_shuffle_i32x4(r[j], r[4 + j], 0xDD);
    const __m512i high_even = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0x88);
    const __m512i high_odd = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0xDD);
    t[j] = _mm512_shuffle_i32x4(low_even, high_even, 0x88);
    t[4 + j] = _mm512_shuffle_i32x4(low_odd, high_odd, 0x88);
    t[8 + j] = _mm512_shuffle_i32x4(low_even, high_even, 0xDD);
    t[12 + j] = _mm512_shuffle_i32x4(low_odd, high_odd, 0xDD);
  }
  for (int i = 0; i < kRows; ++i) r[i] = t[i];
}

}  // namespace

/// It uses ordinary stores. Streaming stores are faster into memory that has been used, but slower into pages that the
/// system has just zeroed, which is what weights are packed into.
void PackLines(const void* rows, int64_t row_stride, int64_t units, void* out) {
  const char* from = static_cast<const char*>(rows);
  char* to = static_cast<char*>(out);
  __m512i r[kRows];
  for (; units >= kRows; units -= kRows, from += 64, to += kRows * 64) {
    for (int i = 0; i < kRows; ++i) r[i] = _mm512_loadu_si512(from + i * row_stride);
    Transpose(r);
    for (int i = 0; i < kRows; ++i) _mm512_store_si512(to + i * 64, r[i]);
  }
  if (units > 0) {
    const auto some = static_cast<__mmask16>((1u << units) - 1);
    for (int i = 0; i < kRows; ++i) r[i] = _mm512_maskz_loadu_epi32(some, from + i * row_stride);
    Transpose(r);
    for (int i = 0; i < units; ++i) _mm512_store_si512(to + i * 64, r[i]);
  }
}

namespace {

/// Rounds the bits of finite floats to bf16, which are their upper halves.
inline __m512i RoundBF16(__m512i bits) {
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
  return _mm512_and_si512(rounded, _mm512_set1_epi32(static_cast<int>(0xFFFF0000u)));
}

/// Sixteen numbers of a channel, whose codes are the lowest four bits of each lane, rounded to bf16, as f32.
inline __m512 WidenChannel(__m512i codes, __m512 scales) {
  const __m512 numbers = _mm512_setr_ps(0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6);
  const __m512i bits = _mm512_castps_si512(_mm512_mul_ps(_mm512_permutexvar_ps(codes, numbers), scales));
  return _mm512_castsi512_ps(RoundBF16(bits));
}

/// bf16 of a group, twice for each column. A number is a power of two, or that times 1.5: so it is the scale, or 1.5
/// times the scale, with another exponent.
struct GroupScales {
  __m512i one, more;  ///< `more` is 1 too small: the term of such a number has a 1 to tell it by.

  explicit GroupScales(const float* scales) {
    const __m512 own = _mm512_loadu_ps(scales);
    one = Twice(own);
    more = _mm512_sub_epi16(Twice(_mm512_mul_ps(own, _mm512_set1_ps(1.5f))), _mm512_set1_epi16(1));
  }

 private:
  /// Rounded to bf16, which takes subnormals for zero: their terms would be wrong.
  static __m512i Twice(__m512 numbers) {
    const __m512i bits = RoundBF16(_mm512_castps_si512(numbers));
    const __mmask16 is_normal = _mm512_test_epi32_mask(bits, _mm512_set1_epi32(0x7F800000));
    const __m512i upper = _mm512_maskz_mov_epi32(is_normal, bits);
    return _mm512_or_si512(upper, _mm512_srli_epi32(upper, 16));
  }
};

/// Two channels of sixteen columns; the lowest four bits of each word are a code.
inline __m512i WidenPair(__m512i codes, const GroupScales& scales) {
  // What is added to the scale for a sign and an exponent, in the place of these; the codes' fifth bit says nothing.
  constexpr auto term = [](int sign, int exponent, int more) { return static_cast<short>(sign * 0x8000 + exponent * 128 + more); };
  alignas(64) static constexpr short kTerms[32] = {
      term(0, 0, 0), term(0, -1, 0), term(0, 0, 0), term(0, 0, 1), term(0, 1, 0), term(0, 1, 1), term(0, 2, 0), term(0, 2, 1),
      term(1, 0, 0), term(1, -1, 0), term(1, 0, 0), term(1, 0, 1), term(1, 1, 0), term(1, 1, 1), term(1, 2, 0), term(1, 2, 1),
      term(0, 0, 0), term(0, -1, 0), term(0, 0, 0), term(0, 0, 1), term(0, 1, 0), term(0, 1, 1), term(0, 2, 0), term(0, 2, 1),
      term(1, 0, 0), term(1, -1, 0), term(1, 0, 0), term(1, 0, 1), term(1, 1, 0), term(1, 1, 1), term(1, 2, 0), term(1, 2, 1)};
  const __m512i terms = _mm512_permutexvar_epi16(codes, _mm512_load_si512(kTerms));
  const __mmask32 has_more = _mm512_test_epi16_mask(terms, _mm512_set1_epi16(1));
  const __mmask32 is_number = _mm512_test_epi16_mask(codes, _mm512_set1_epi16(7));
  return _mm512_mask_add_epi16(terms, is_number, terms, _mm512_mask_blend_epi16(has_more, scales.one, scales.more));
}

/// A bf16 panel. A lane of a line has channels 0 to 3 in the lower halves of its bytes, and 4 to 7 in the upper ones.
inline void WidenToBF16(const char* from, const float* scales, int64_t k, char* to) {
  const __m512i first = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 0, 1, 1, 4, 4, 5, 5, 8, 8, 9, 9, 12, 12, 13, 13));
  const __m512i second = _mm512_add_epi8(first, _mm512_set1_epi8(2));
  const int64_t last = (k - 1) / kWidenedGroup;
  for (int64_t i = 0; i < k; i += kTileK) {
    for (int64_t group = i / kWidenedGroup; group < (i + kTileK) / kWidenedGroup; ++group) {
      const GroupScales own(scales + (group < last ? group : last) * kPanelColumns);
#pragma GCC unroll 2
      for (int line = 0; line < 2; ++line, from += 64, to += 256) {
        __builtin_prefetch(from + kCodesAhead);
        const __m512i lower = _mm512_loadu_si512(from), upper = _mm512_srli_epi16(lower, 4);
        _mm512_store_si512(to, WidenPair(_mm512_shuffle_epi8(lower, first), own));
        _mm512_store_si512(to + 64, WidenPair(_mm512_shuffle_epi8(lower, second), own));
        _mm512_store_si512(to + 128, WidenPair(_mm512_shuffle_epi8(upper, first), own));
        _mm512_store_si512(to + 192, WidenPair(_mm512_shuffle_epi8(upper, second), own));
      }
    }
  }
}

}  // namespace

void WidenE2M1(const void* panel, const float* scales, int64_t k, DType dtype, void* out) {
  const char* from = static_cast<const char*>(panel);
  char* to = static_cast<char*>(out);
  if (dtype == DType::kBF16) return WidenToBF16(from, scales, k, to);
  for (int64_t i = 0; i < k; ++i) {
    const __m512i line = _mm512_loadu_si512(from + i / 8 * 64);
    const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(i % 4 * 8 + i % 8 / 4 * 4));
    const __m512 own = _mm512_loadu_ps(scales + i / kWidenedGroup * kPanelColumns);
    const __m512 numbers = WidenChannel(_mm512_srl_epi32(line, shift), own);
    if (dtype == DType::kF32) {
      _mm512_storeu_ps(to + i * 64, numbers);
    } else {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i * 32), _mm512_cvtps_ph(numbers, 0));
    }
  }
}

}  // namespace atb::kernels::avx512
