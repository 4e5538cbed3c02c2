#pragma once
// Sums of groups whose scales are powers of two, as integers (kExponentSpan in packed_weight.h). Included by
// integer_gemm.cpp alone; everything has internal linkage, vec.h says why.
#include "kernels/avx512/grouped_panels.h"

namespace atb::kernels::avx512 {
namespace {

/// What the groups of a span add to W windows, of P panels and T digit rows. It is kept as [W windows][P panels].
template <int T, int P, int W>
struct WindowTotals {
  using Kept = int32_t;
  __m512i sums[P][W][T];

  void Load(int p, const Kept (*)[kPanelColumns]) {
#pragma GCC unroll 4
    for (int i = 0; i < W; ++i) {
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) sums[p][i][t] = _mm512_setzero_si512();
    }
  }
  void Store(int p, Kept (*kept)[kPanelColumns]) const {
#pragma GCC unroll 4
    for (int i = 0; i < W; ++i) {
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) _mm512_store_si512(kept[i * P * kDigitRows + t], sums[p][i][t]);
    }
  }
  void Add(int p, const __m512i (&acc)[T], const GroupedPanels& panels, int64_t group) {
    const uint8_t* const exponents = panels.exponents + p * panels.group_stride + group * kPanelColumns;
    const SpanExponents& span = panels.spans[p];
    if constexpr (W == 1) {
      const __m128i above = _mm_sub_epi8(SixteenExponents(exponents), SixteenExponents(span.unit));
      const __m512i shift = _mm512_cvtepu8_epi32(above);
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) sums[p][0][t] = _mm512_add_epi32(sums[p][0][t], _mm512_sllv_epi32(acc[t], shift));
    } else {
      const __m128i most = SixteenExponents(span.largest);
      const __m512i below = _mm512_cvtepu8_epi32(_mm_sub_epi8(most, SixteenExponents(exponents)));
      const __m512i shift = _mm512_andnot_si512(below, _mm512_set1_epi32(3));
      const __m512i window = _mm512_srli_epi32(below, 2);
#pragma GCC unroll 4
      for (int i = 0; i < W; ++i) {
        const __mmask16 own = _mm512_cmpeq_epi32_mask(window, _mm512_set1_epi32(i));
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t)
          sums[p][i][t] = _mm512_add_epi32(sums[p][i][t], _mm512_maskz_sllv_epi32(own, acc[t], shift));
      }
      if constexpr (W == kExponentWindows) {
        const __mmask16 far = _mm512_cmpgt_epi32_mask(window, _mm512_set1_epi32(kExponentWindows - 1));
        if (far) AddSmall(acc, panels.planes, Vec{_mm512_maskz_mov_ps(far, Vec::PowersOfTwo(exponents).v)}, span.c);
      }
    }
  }

 private:
  /// Of a copy: sums that a loop goes through would be in memory from the beginning.
  static void AddSmall(const __m512i (&acc)[T], int planes, Vec scale, float (*c)[kPanelColumns]) {
    __m512i copy[T];
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) copy[t] = acc[t];
    ByPlanes<T>(planes, [&]<int Planes>() { AddScaled<Planes, T / Planes>(copy, scale, c); });
  }
};

/// Adds W windows of P panels to the panels' c.
template <int T, int P, int W>
__attribute__((noinline)) void AddWindows(const int32_t (*windows)[kDigitRows][kPanelColumns],
                                          const GroupedPanels& panels) {
  for (int p = 0; p < P; ++p) {
    const SpanExponents& span = panels.spans[p];
    for (int i = 0; i < W; ++i) {
      __m512i sums[T];
      for (int t = 0; t < T; ++t) sums[t] = _mm512_load_si512(windows[i * P + p][t]);
      const Vec scale = Vec::PowersOfTwo(span.largest) * Vec::Set1(kWindowUnits[i]);
      ByPlanes<T>(panels.planes, [&]<int Planes>() { AddScaled<Planes, T / Planes>(sums, scale, span.c); });
    }
  }
}

}  // namespace
}  // namespace atb::kernels::avx512
