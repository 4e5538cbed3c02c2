#include <immintrin.h>

#include "kernels/avx512/kernels.h"

namespace atb::kernels::avx512 {
namespace {

constexpr int kRows = 16;

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

}  // namespace atb::kernels::avx512
