#pragma once
// bf16 out of e4m3, exactly. Everything has internal linkage; vec.h says why.
#include "kernels/avx512/vec.h"

namespace atb::kernels::avx512 {
namespace {

/// Two pairs of channels of sixteen columns, each a bf16.
struct BF16Quads {
  __m512i first;   ///< Channels 0 and 1 of each column.
  __m512i second;  ///< Channels 2 and 3.
};

/// Widens a line of a kE4M3 panel. A number seeemmmm (of e4m3, s eeee mmm) becomes s, eight bits of exponent, mmm0000:
/// the upper byte of bf16 has the exponent's upper bits, the lower byte its last bit and the mantissa. That is a shift
/// and a mask for each byte, but for subnormals: products take those of bf16 for zero, so that they are looked up as
/// the normal numbers that they are in bf16.
__attribute__((always_inline)) inline BF16Quads WidenE4M3(__m512i line) {
  const __m512i size = _mm512_and_si512(line, _mm512_set1_epi8(0x7F));
  const __mmask64 tiny = _mm512_testn_epi8_mask(line, _mm512_set1_epi8(0x78));
  // Of 0, 1, 2, … 7 times 2^-9.
  const __m512i tiny_upper = _mm512_broadcast_i32x4(_mm_setr_epi8(0x00, 0x3B, 0x3B, 0x3B, 0x3C, 0x3C, 0x3C, 0x3C,  //
                                                                  0, 0, 0, 0, 0, 0, 0, 0));
  const __m512i tiny_lower = _mm512_broadcast_i32x4(
      _mm_setr_epi8(0x00, 0x00, -0x80, -0x40, 0x00, 0x20, 0x40, 0x60, 0, 0, 0, 0, 0, 0, 0, 0));
  // 120, the difference of the exponents' biases, is 2 * 60.
  __m512i upper = _mm512_and_si512(_mm512_srli_epi16(line, 4), _mm512_set1_epi8(0x07));
  upper = _mm512_add_epi8(upper, _mm512_set1_epi8(60));
  upper = _mm512_mask_shuffle_epi8(upper, tiny, tiny_upper, size);
  upper = _mm512_ternarylogic_epi32(upper, line, _mm512_set1_epi8(-128), 0xF8);  // upper | (line & 0x80)
  __m512i lower = _mm512_and_si512(_mm512_slli_epi16(line, 4), _mm512_set1_epi8(-16));
  lower = _mm512_mask_shuffle_epi8(lower, tiny, tiny_lower, size);
  return {_mm512_unpacklo_epi8(lower, upper), _mm512_unpackhi_epi8(lower, upper)};
}

}  // namespace
}  // namespace atb::kernels::avx512
