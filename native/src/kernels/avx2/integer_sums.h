#pragma once
// Sums of products of digits with the integers of a panel. Everything has internal linkage; vec.h says why.
//
// Digits and weights are widened to 16 bits, four channels of four columns in a register. vpmaddwd adds pairs of
// products, which cannot overflow; so an accumulator holds two partial sums of each column. Int4 and e2m1 stay bytes:
// integer_bytes.h.
#include "kernels/avx2/vec.h"
#include "kernels/simd/integer_gemm.h"

namespace atb::kernels::avx2 {
namespace {

/// The most digit rows that are multiplied at once. Each takes four of the 16 registers.
constexpr int kDigitRows = 3;
/// Of those whose weights stay bytes, each of which takes two.
constexpr int kByteRows = 4;
/// Channels of one step.
constexpr int64_t kStep = kGroupStep;
/// Steps of one panel after which the next panel is multiplied. Panels take turns, so that memory is read in several
/// streams.
constexpr int64_t kPieceSteps = 8;

/// The sums of a digit row and one panel.
struct PartialSums {
  /// Register i holds two partial sums of each of columns 4 i .. 4 i + 3.
  __m256i columns[4];
};

// A format widens four columns of a line of a panel: kQuads registers with a quad of channels for each column.
struct I8 {
  static constexpr bool kInBytes = false;
  static constexpr int kQuads = 1;
  static void Load(const char* line, __m256i* quads) {
    quads[0] = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(line)));
  }
};

/// sums[t] += `steps` steps of a panel times the digits x[t].
template <class F, int T>
void Accumulate(const char* w, int64_t steps, const int16_t (*x)[kPieceSteps * kStep], PartialSums* sums) {
  constexpr int64_t kLineSteps = kStep / 4 / F::kQuads;
  constexpr int64_t kAhead = kPieceSteps * kLineSteps * 64;
  __m256i acc[T][4];
  for (int t = 0; t < T; ++t) {
    for (int i = 0; i < 4; ++i) acc[t][i] = sums[t].columns[i];
  }
  for (int64_t line = 0; line < steps * kLineSteps; ++line, w += 64) {
    __builtin_prefetch(w + kAhead);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      __m256i quads[F::kQuads];
      F::Load(w + i * 16, quads);
#pragma GCC unroll 2
      for (int q = 0; q < F::kQuads; ++q) {
#pragma GCC unroll 3
        for (int t = 0; t < T; ++t) {
          long long digits;
          memcpy(&digits, x[t] + (line * F::kQuads + q) * 4, sizeof digits);
          acc[t][i] = _mm256_add_epi32(acc[t][i], _mm256_madd_epi16(quads[q], _mm256_set1_epi64x(digits)));
        }
      }
    }
  }
  for (int t = 0; t < T; ++t) {
    for (int i = 0; i < 4; ++i) sums[t].columns[i] = acc[t][i];
  }
}

/// Sixteen int32.
struct Int32x16 {
  __m256i lo;
  __m256i hi;

  static __m256i* Half(int32_t* p, int i) { return reinterpret_cast<__m256i*>(p) + i; }
  static Int32x16 Load(int32_t* p) { return {_mm256_load_si256(Half(p, 0)), _mm256_load_si256(Half(p, 1))}; }
  void Store(int32_t* p) const {
    _mm256_store_si256(Half(p, 0), lo);
    _mm256_store_si256(Half(p, 1), hi);
  }
  Vec Floats() const { return {_mm256_cvtepi32_ps(lo), _mm256_cvtepi32_ps(hi)}; }
};

/// c[r] += scale * the numbers whose digits were summed, with what offsets add to panel `panel`.
template <int Planes, int R, class Digit>
__attribute__((always_inline)) inline void AddScaled(Digit digit, Vec scale, const simd::GroupOffsets& offsets,
                                                     int64_t panel, float (*c)[kPanelColumns]) {
  const Vec offset = offsets.offsets ? offsets.Factors<Vec>(panel) : Vec::Zero();
  for (int r = 0; r < R; ++r) {
    Vec value = digit(r).Floats();
    for (int plane = 1; plane < Planes; ++plane) value = Fma(value, Vec::Set1(256.0f), digit(plane * R + r).Floats());
    if (offsets.offsets) value = Fma(offset, Vec::Set1(offsets.sums[r * offsets.row_stride]), value);
    Fma(value, scale, Vec::Load(c[r])).Store(c[r]);
  }
}

/// totals[t] += multipliers * the sums of a group, digit(t).
template <int T, class Digit>
__attribute__((always_inline)) inline void AddMultiplied(Digit digit, const int8_t* multipliers,
                                                         int32_t (*totals)[kPanelColumns]) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(multipliers));
  const __m256i lo = _mm256_cvtepi8_epi32(bytes);
  const __m256i hi = _mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8));
  for (int t = 0; t < T; ++t) {
    const Int32x16 group = digit(t), total = Int32x16::Load(totals[t]);
    const Int32x16 sum{
        _mm256_add_epi32(total.lo, _mm256_mullo_epi32(group.lo, lo)),
        _mm256_add_epi32(total.hi, _mm256_mullo_epi32(group.hi, hi)),
    };
    sum.Store(totals[t]);
  }
}

/// The sums of the eight columns of two registers, in order.
inline __m256i Columns(__m256i a, __m256i b) { return _mm256_permute4x64_epi64(_mm256_hadd_epi32(a, b), 0xD8); }

/// The sums of sixteen columns.
inline Int32x16 Columns(const PartialSums& sums) {
  return {Columns(sums.columns[0], sums.columns[1]), Columns(sums.columns[2], sums.columns[3])};
}

}  // namespace
}  // namespace atb::kernels::avx2
