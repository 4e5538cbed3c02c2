#pragma once
// Tiles of bf16 out of e4m3 weights. Included by e4m3_gemm.cpp alone; everything has internal linkage.
#include "kernels/amx/tiles.h"
#include "kernels/avx512/vec.h"

namespace atb::kernels::amx {
namespace {

/// The tiles hold this fraction of each weight: so the exponent of bf16 is that of e4m3 beneath constant bits.
constexpr float kWidenedFraction = 0x1p-8f;
/// How far ahead of its reader a panel is fetched.
constexpr int64_t kE4M3PrefetchBytes = 512;

/// Two rows of a tile: channels 0 and 1, and channels 2 and 3, of sixteen columns.
struct WidenedLine {
  __m512i first;
  __m512i second;
};

/// Widens a line of a kE4M3 panel. A number s eeee mmm becomes s 0111 eeee mmm 0000 in bf16: both
/// bytes are its bits in another order, which one instruction gives (gf2p8affineqb, with a matrix for each byte). The
/// numbers without an exponent are looked up, because tiles take subnormals for zero: in bf16 these are none.
__attribute__((always_inline)) inline WidenedLine WidenLine(const char* from) {
  const __m512i line = _mm512_loadu_si512(from);
  // Of the numbers 0 to 7 times 2^-9, then of their negatives.
  const __m512i tiny_upper = _mm512_broadcast_i32x4(_mm_setr_epi8(
      0x00, 0x37, 0x37, 0x37, 0x38, 0x38, 0x38, 0x38, -0x80, -0x49, -0x49, -0x49, -0x48, -0x48, -0x48, -0x48));
  const __m512i tiny_lower = _mm512_broadcast_i32x4(_mm_setr_epi8(
      0x00, 0x00, -0x80, -0x40, 0x00, 0x20, 0x40, 0x60, 0x00, 0x00, -0x80, -0x40, 0x00, 0x20, 0x40, 0x60));
  const __mmask64 tiny = _mm512_testn_epi8_mask(line, _mm512_set1_epi8(0x78));
  const __m512i number = _mm512_gf2p8affine_epi64_epi8(line, _mm512_set1_epi64(0x0102048000000000), 0);  // 0000smmm
  __m512i upper = _mm512_gf2p8affine_epi64_epi8(line, _mm512_set1_epi64(0x1020400000000080), 0x38);      // s0111eee
  __m512i lower = _mm512_gf2p8affine_epi64_epi8(line, _mm512_set1_epi64(0x0000000001020408), 0);         // emmm0000
  upper = _mm512_mask_shuffle_epi8(upper, tiny, tiny_upper, number);
  lower = _mm512_mask_shuffle_epi8(lower, tiny, tiny_lower, number);
  return {_mm512_unpacklo_epi8(lower, upper), _mm512_unpackhi_epi8(lower, upper)};
}

/// Makes a bf16 tile, 32 channels.
inline void WidenTile(const char* from, std::byte* to) {
#pragma GCC unroll 8
  for (int64_t line = 0; line < kTileRows / 2; ++line) {
    __builtin_prefetch(from + line * 64 + kE4M3PrefetchBytes);
    const WidenedLine rows = WidenLine(from + line * 64);
    _mm512_store_si512(to + line * 2 * kTileRowBytes, rows.first);
    _mm512_store_si512(to + (line * 2 + 1) * kTileRowBytes, rows.second);
  }
}

}  // namespace
}  // namespace atb::kernels::amx
