#pragma once
// Products with weights that have groups: what groups add stays in registers until the last one. Included by
// integer_gemm.cpp alone; everything has internal linkage, vec.h says why.
#include "kernels/avx512/exponent_windows.h"

// A group's sums of six rows and two panels are twelve registers, their totals twelve more: nothing is written before
// the last group, and each digit that is broadcast meets two panels. Of other rows one panel is read from its beginning
// to its end, as fast as memory is.

namespace atb::kernels::avx512 {
namespace {

/// Groups whose sums of digits are known at a time. Of so many, groups of 32 channels fill a panel of 8192: a panel is
/// read from its beginning to its end.
constexpr int64_t kKnownGroups = 256;

/// vpdpbusd, in place: as an intrinsic gcc 12 copies every sum of a loop to another register and back, and spills some.
inline void AddQuads(__m512i& sums, __m512i weights, __m512i digits) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(weights), "v"(digits));
}

/// What groups add to integers: their sums times multipliers.
template <int T, int P>
struct IntegerTotals {
  using Kept = int32_t;
  __m512i sums[P][T];

  void Load(int p, const Kept (*kept)[kPanelColumns]) {
#pragma GCC unroll 8
    for (int r = 0; r < T; ++r) sums[p][r] = _mm512_load_si512(kept[r]);
  }
  void Store(int p, Kept (*kept)[kPanelColumns]) const {
#pragma GCC unroll 8
    for (int r = 0; r < T; ++r) _mm512_store_si512(kept[r], sums[p][r]);
  }
  void Add(int p, const __m512i (&acc)[T], const GroupedPanels& panels, int64_t group) {
    const int64_t at = p * panels.group_stride + group * kPanelColumns;
    const auto* bytes = reinterpret_cast<const __m128i*>(panels.multipliers + at);
    const __m512i multiplier = _mm512_cvtepi8_epi32(_mm_loadu_si128(bytes));
#pragma GCC unroll 8
    for (int r = 0; r < T; ++r) sums[p][r] = _mm512_add_epi32(sums[p][r], _mm512_mullo_epi32(acc[r], multiplier));
  }
};

/// What groups add to floats: their numbers times scales.
template <int T, int P, int Planes>
struct FloatTotals {
  using Kept = float;
  static constexpr int kRows = T / Planes;
  Vec sums[P][kRows];

  void Load(int p, const Kept (*kept)[kPanelColumns]) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) sums[p][r] = Vec::Load(kept[r]);
  }
  void Store(int p, Kept (*kept)[kPanelColumns]) const {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) sums[p][r].Store(kept[r]);
  }
  void Add(int p, const __m512i (&acc)[T], const GroupedPanels& panels, int64_t group) {
    const Vec scale = panels.scales.At<Vec>(p, group) * Vec::Set1(panels.scale_factor);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      __m512i digits[Planes];
#pragma GCC unroll 3
      for (int plane = 0; plane < Planes; ++plane) digits[plane] = acc[plane * kRows + r];
      sums[p][r] = Fma(Join<Planes>(digits), scale, sums[p][r]);
    }
  }
};

/// Adds groups [begin, end) of P panels to what is kept of them, kept[panel][row]. `starts` has what the sums of each
/// of these groups begin with; where offsets decide it, the factors of these.
template <class F, int T, int P, class Totals>
__attribute__((noinline)) void AddGroups(const DigitRows<T>& x, const int32_t (*starts)[kDigitRows],
                                         const GroupedPanels& panels, const simd::ScaleGroups& groups, int64_t begin,
                                         int64_t end, typename Totals::Kept (*kept)[kDigitRows][kPanelColumns]) {
  constexpr int64_t kLines = kGroupStep / 4 / F::kQuads;
  Totals totals;
#pragma GCC unroll 4
  for (int p = 0; p < P; ++p) totals.Load(p, kept[p]);
  const char* w = panels.weights + groups.Step(begin) * kLines * 64;
  for (int64_t g = begin; g < end; ++g, ++starts) {
    // The sums of few rows would wait for one another: each quad of a line has its own.
    constexpr bool kOwn = T <= 2 && F::kQuads > 1;
    __m512i acc[P][T], others[P][T];
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) {
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) acc[p][t] = _mm512_set1_epi32((*starts)[t]);
      if constexpr (F::kFormat == WeightFormat::kI4) {
        if (panels.offsets) {
          const __m512i factor = F::MissingOffsets(panels.offsets + p * panels.group_stride + g * kPanelColumns);
#pragma GCC unroll 8
          for (int t = 0; t < T; ++t) acc[p][t] = _mm512_mullo_epi32(factor, acc[p][t]);
        }
      }
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) others[p][t] = _mm512_setzero_si512();
    }
    for (int64_t s = groups.Step(g), last = groups.Step(g + 1); s < last; ++s) {
      const int64_t at = x.At(s);
#pragma GCC unroll 1
      for (int64_t line = 0; line < kLines; ++line, w += 64) {
        __m512i quads[P][F::kQuads];
#pragma GCC unroll 4
        for (int p = 0; p < P; ++p) {
          F::Load(w + p * panels.weight_stride, quads[p]);
          __builtin_prefetch(w + p * panels.weight_stride + kBytesAhead);
        }
#pragma GCC unroll 2
        for (int q = 0; q < F::kQuads; ++q) {
#pragma GCC unroll 8
          for (int t = 0; t < T; ++t) {
            int quad;
            memcpy(&quad, x.rows[t] + at + (line * F::kQuads + q) * 4, sizeof quad);
            const __m512i digits = _mm512_set1_epi32(quad);
#pragma GCC unroll 4
            for (int p = 0; p < P; ++p) AddQuads((kOwn && q > 0 ? others : acc)[p][t], quads[p][q], digits);
          }
        }
      }
    }
    if constexpr (kOwn) {
      for (int p = 0; p < P; ++p) {
        for (int t = 0; t < T; ++t) acc[p][t] = _mm512_add_epi32(acc[p][t], others[p][t]);
      }
    }
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) totals.Add(p, acc[p], panels, g);
  }
#pragma GCC unroll 4
  for (int p = 0; p < P; ++p) totals.Store(p, kept[p]);
}

/// AddGroups for a span of P panels whose groups are in W windows; what is in them is added to the panels' c.
template <class F, int T, int P, int W>
void AddSpan(const DigitRows<T>& x, const int32_t (*starts)[kDigitRows], const GroupedPanels& panels,
             const simd::ScaleGroups& groups, int64_t begin, int64_t end) {
  alignas(64) int32_t windows[W * P][kDigitRows][kPanelColumns];
  AddGroups<F, T, P, WindowTotals<T, P, W>>(x, starts, panels, groups, begin, end, windows);
  AddWindows<T, P, W>(windows, panels);
}

/// AddSpan span by span for groups [begin, end), of which the last one ends a span.
template <class F, int T, int P>
void AddSpans(const DigitRows<T>& x, const int32_t (*starts)[kDigitRows], GroupedPanels panels,
              const simd::ScaleGroups& groups, int64_t begin, int64_t end, float (*c)[kDigitRows][kPanelColumns]) {
  for (int64_t g = begin, next; g < end; g = next, starts += panels.span) {
    next = simd::Min(g + panels.span, end);
    SpanExponents spans[P];
    bool one = true;
    for (int p = 0; p < P; ++p) {
      spans[p] = SpanExponents::Of(panels.exponents + p * panels.group_stride + g * kPanelColumns, next - g, c[p]);
      one = one && spans[p].windows == 1;
    }
    panels.spans = spans;
    if (one) {
      AddSpan<F, T, P, 1>(x, starts, panels, groups, g, next);
      continue;
    }
    // The sums of two windows fill the registers with one panel.
    for (int p = 0; p < P; ++p) {
      const GroupedPanels own = panels.Behind(p);
      if (spans[p].windows <= 2)
        AddSpan<F, T, 1, 2>(x, starts, own, groups, g, next);
      else
        AddSpan<F, T, 1, kExponentWindows>(x, starts, own, groups, g, next);
    }
  }
}

/// Multiplies T digit rows by `count` panels, all groups of them: what they add goes to `sums` where there are
/// multipliers, to `c` where not.
template <class F, int T>
void MultiplyTotals(const DigitRows<T>& x, const GroupedPanels& panels, const simd::ScaleGroups& groups, int64_t count,
                    int32_t (*sums)[kDigitRows][kPanelColumns], float (*c)[kDigitRows][kPanelColumns]) {
  int32_t starts[kKnownGroups][kDigitRows];
  const int64_t most = kKnownGroups / panels.span * panels.span;
  for (int64_t begin = 0; begin < groups.count; begin += most) {
    const int64_t end = simd::Min(begin + most, groups.count);
    const int factor = panels.offsets ? 1 : -panels.excess;
    for (int64_t g = begin; g < end; ++g) {
      for (int t = 0; t < T; ++t)
        starts[g - begin][t] = factor ? factor * DigitSum(x, t, groups.Step(g), groups.Step(g + 1)) : 0;
    }
    const auto add = [&]<int P>(int64_t p) {
      const GroupedPanels own = panels.Behind(p);
      if constexpr (F::kFormat == WeightFormat::kE2M1) {
        if (panels.exponents) return AddSpans<F, T, P>(x, starts, own, groups, begin, end, c + p);
      }
      if constexpr (F::kFormat != WeightFormat::kI8) {
        if (panels.multipliers)
          return AddGroups<F, T, P, IntegerTotals<T, P>>(x, starts, own, groups, begin, end, sums + p);
      }
      ByPlanes<T>(x.planes, [&]<int Planes>() {
        AddGroups<F, T, P, FloatTotals<T, P, Planes>>(x, starts, own, groups, begin, end, c + p);
      });
    };
    int64_t p = 0;
    for (constexpr int P = T == kUsualDigitRows ? 2 : 1; p + P <= count; p += P) add.template operator()<P>(p);
    for (; p < count; ++p) add.template operator()<1>(p);
  }
}

}  // namespace
}  // namespace atb::kernels::avx512
