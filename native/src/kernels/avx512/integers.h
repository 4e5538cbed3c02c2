#pragma once
// Sums of digits as sixteen int32. Everything has internal linkage; vec.h says why.
#include "kernels/avx512/vec.h"
#include "kernels/simd/integer_gemm.h"

namespace atb::kernels::avx512 {
namespace {

static_assert(kGroupStep * 2 == kIntegerTileK);

/// The digits of T / planes activation rows, plane by plane: step s of digit row t is 32 bytes at rows[t] + At(s).
template <int T>
struct DigitRows {
  const int8_t* rows[T];
  int64_t stride;
  int planes;

  /// Activation rows from `row` on, all of blocks that are equally long.
  DigitRows(const GemmCall& call, const simd::DigitBlocks& blocks, int64_t row) : planes(call.digits.planes) {
    const int64_t count = T / planes;
    for (int64_t r = 0; r < count; ++r) {
      const simd::DigitBlock block(call, blocks, (row + r) / blocks.rows);
      stride = block.tile_stride;
      for (int64_t plane = 0; plane < planes; ++plane)
        rows[plane * count + r] = block.digits + (plane * block.rows + row + r - block.row) * kIntegerTileK;
    }
  }
  int64_t At(int64_t step) const { return step / 2 * stride + step % 2 * kGroupStep; }
};

/// The sum of the digits of row t over steps [begin, end).
template <int T>
int32_t DigitSum(const DigitRows<T>& x, int t, int64_t begin, int64_t end) {
  __m256i sums = _mm256_setzero_si256();
  for (int64_t s = begin; s < end; ++s) {
    const __m256i digits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x.rows[t] + x.At(s)));
    sums = _mm256_dpbusd_epi32(sums, _mm256_set1_epi8(1), digits);
  }
  __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
  return _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1)));
}

/// Joins the sums of digits, sums[plane], to the sums of the numbers: the digits are to base 256.
template <int Planes>
inline Vec Join(const __m512i* sums) {
  Vec value{_mm512_cvtepi32_ps(sums[0])};
  for (int plane = 1; plane < Planes; ++plane)
    value = Fma(value, Vec::Set1(256.0f), Vec{_mm512_cvtepi32_ps(sums[plane])});
  return value;
}

/// c[r] += scale * the numbers whose digits were summed. `acc` has the highest digits of R rows, then the next digits.
template <int Planes, int R>
inline void AddScaled(const __m512i* acc, Vec scale, float (*c)[kPanelColumns]) {
  for (int r = 0; r < R; ++r) {
    __m512i sums[Planes];
    for (int plane = 0; plane < Planes; ++plane) sums[plane] = acc[plane * R + r];
    Fma(Join<Planes>(sums), scale, Vec::Load(c[r])).Store(c[r]);
  }
}

/// Calls use<Planes>() for the planes of T digit rows, which are a number of rows times `planes`: what does not depend
/// on them is compiled once.
template <int T, class Use>
inline void ByPlanes(int planes, const Use& use) {
  if constexpr (T % 3 == 0) {
    if (planes == 3) return use.template operator()<3>();
  }
  if constexpr (T % 2 == 0) {
    if (planes == 2) return use.template operator()<2>();
  }
  use.template operator()<1>();
}

/// Twice the e2m1 numbers whose codes are the lower halves of the bytes, plus `offset`.
__attribute__((always_inline)) inline __m512i LookUpE2M1(__m512i codes, int8_t offset) {
  const __m512i sizes = _mm512_broadcast_i32x4(
      _mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12));
  const __m512i numbers = _mm512_add_epi8(sizes, _mm512_set1_epi8(offset));
  return _mm512_shuffle_epi8(numbers, _mm512_and_si512(codes, _mm512_set1_epi8(0xF)));
}

}  // namespace
}  // namespace atb::kernels::avx512
