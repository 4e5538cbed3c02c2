#pragma once
// Products of many activation rows with int4 that have groups: digits are read where they lie, and sums start with what
// makes up for unsigned weights. Included by integer_gemm.cpp alone; everything has internal linkage, vec.h says why.
#include "kernels/avx2/integer_sums.h"

namespace atb::kernels::avx2 {
namespace {

/// Groups whose sums of digits are known at a time.
constexpr int64_t kSpan = 64;

/// The digits of kDigitRows rows: step s of row t is 32 bytes at rows[t] + At(s).
struct DigitRows {
  const int8_t* rows[kDigitRows];
  int64_t stride;

  int64_t At(int64_t step) const { return step / 2 * stride + step % 2 * kStep; }
};

/// What the sums of a panel's groups are multiplied by: multipliers, or scales where these are null.
struct GroupFactors {
  const float* scales;
  const int8_t* multipliers;
  const int16_t* offsets;  ///< Null where the integers have none.
};

/// The sums of the digits of each row over steps [begin, end).
inline __m128i DigitSums(const DigitRows& x, int64_t begin, int64_t end) {
  __m256i rows[kDigitRows];
  for (int t = 0; t < kDigitRows; ++t) {
    rows[t] = _mm256_setzero_si256();
    for (int64_t s = begin; s < end; ++s) {
      const __m256i digits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x.rows[t] + x.At(s)));
      const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), digits);
      rows[t] = _mm256_add_epi32(rows[t], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
  }
  static_assert(kDigitRows == 4);
  const __m256i halves = _mm256_hadd_epi32(_mm256_hadd_epi32(rows[0], rows[1]), _mm256_hadd_epi32(rows[2], rows[3]));
  return _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
}

/// totals[t] += the sums of a group, times multipliers.
inline void AddTimesMultipliers(const __m256i (&acc)[kDigitRows][2], const int8_t* multipliers,
                                int32_t (*totals)[kPanelColumns]) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(multipliers));
  const __m256i factors[] = {_mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8))};
  for (int t = 0; t < kDigitRows; ++t) {
    for (int i = 0; i < 2; ++i) {
      __m256i* const total = Int32x16::Half(totals[t], i);
      *total = _mm256_add_epi32(*total, _mm256_mullo_epi32(acc[t][i], factors[i]));
    }
  }
}

/// c[r] += the numbers whose digits were summed, times scales and `factor`.
template <int Planes>
inline void AddTimesScales(const __m256i (&acc)[kDigitRows][2], const float* scales, float factor,
                           float (*c)[kPanelColumns]) {
  constexpr int kRows = kDigitRows / Planes;
  const Vec scale = Vec::Load(scales) * Vec::Set1(factor);
  for (int r = 0; r < kRows; ++r) {
    Vec value{_mm256_cvtepi32_ps(acc[r][0]), _mm256_cvtepi32_ps(acc[r][1])};
    for (int p = 1; p < Planes; ++p) {
      const auto& digits = acc[p * kRows + r];
      value = Fma(value, Vec::Set1(256.0f), Vec{_mm256_cvtepi32_ps(digits[0]), _mm256_cvtepi32_ps(digits[1])});
    }
    Fma(value, scale, Vec::Load(c[r])).Store(c[r]);
  }
}

/// Adds groups [begin, end) of a panel to `totals` or c. starts[g - begin] has the sums of the digits of group g.
template <class F, int Planes>
void AddGroups(const char* w, const DigitRows& x, const int32_t (*starts)[kDigitRows], const GroupFactors& factors,
               const simd::ScaleGroups& groups, int64_t begin, int64_t end, int32_t (*totals)[kPanelColumns],
               float (*c)[kPanelColumns]) {
  constexpr int64_t kLines = kStep / 4 / F::kQuads;
  w += groups.Step(begin) * kLines * 64;
  for (int64_t g = begin; g < end; ++g, ++starts) {
    __m256i acc[kDigitRows][2];
    for (int i = 0; i < 2; ++i) {
      __m256i missing = _mm256_set1_epi32(-F::kExcess);
      if (factors.offsets) missing = MissingOffsets<F>(factors.offsets + g * kPanelColumns + 8 * i);
      for (int t = 0; t < kDigitRows; ++t)
        acc[t][i] = _mm256_mullo_epi32(missing, _mm256_set1_epi32((*starts)[t]));
    }
    for (int64_t s = groups.Step(g), last = groups.Step(g + 1); s < last; ++s, w += kLines * 64)
      AddStep<F>(w, x.rows, x.At(s), acc);
    if (factors.multipliers) {
      AddTimesMultipliers(acc, factors.multipliers + g * kPanelColumns, totals);
    } else {
      // simd::FormatFactor undoes the 16.
      AddTimesScales<Planes>(acc, factors.scales + g * kPanelColumns, factors.offsets ? 1.0f : 16.0f, c);
    }
  }
}

}  // namespace
}  // namespace atb::kernels::avx2
