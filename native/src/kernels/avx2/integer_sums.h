#pragma once
// Sums of products of digits with the integers of a panel. Everything has internal linkage; vec.h says why.
//
// Digits and weights are widened to 16 bits, four channels of four columns in a register. vpmaddwd adds pairs of
// products, which cannot overflow; so an accumulator holds two partial sums of each column. Int4 weights stay bytes, four
// channels of eight columns in a register: made unsigned, their products with digits fit the 16 bits of vpmaddubsw.
#include "kernels/avx2/vec.h"
#include "kernels/simd/integer_gemm.h"

namespace atb::kernels::avx2 {
namespace {

/// The most digit rows that are multiplied at once. Of words each takes four accumulators of the 16 registers, of bytes two.
constexpr int kDigitRows = 4;
/// Channels of one step.
constexpr int64_t kStep = kGroupStep;
/// Steps of one panel after which the next panel is multiplied. Panels take turns, so that memory is read in several
/// streams.
constexpr int64_t kPieceSteps = 8;

/// The sums of a digit row and one panel.
struct PartialSums {
  /// Register i holds two partial sums of each of columns 4 i .. 4 i + 3; of int4, the sums of columns 8 i .. 8 i + 7.
  __m256i columns[4];
};

// A format widens four columns of a line of a panel: kQuads registers with a quad of channels for each column. Or, with
// kInBytes, it makes unsigned bytes of eight columns, which are kExcess too large.
struct I8 {
  static constexpr WeightFormat kFormat = WeightFormat::kI8;
  static constexpr int kQuads = 1;
  static constexpr bool kInBytes = false;
  static void Load(const char* line, __m256i* quads) {
    quads[0] = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(line)));
  }
};

struct I4 {
  static constexpr WeightFormat kFormat = WeightFormat::kI4;
  static constexpr int kQuads = 2;
  static constexpr bool kInBytes = true;
  static constexpr int kExcess = 8;
  static void Load(const char* line, __m256i* quads) {
    const __m256i read = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(line));
    const __m256i both = _mm256_xor_si256(read, _mm256_set1_epi8(static_cast<char>(0x88)));
    const __m256i lower = _mm256_set1_epi8(0xF);
    quads[0] = _mm256_and_si256(both, lower);
    quads[1] = _mm256_and_si256(_mm256_srli_epi16(both, 4), lower);
  }
};

/// Twice the numbers of e2m1: a shuffle of bytes looks them up.
struct E2M1 {
  static constexpr WeightFormat kFormat = WeightFormat::kE2M1;
  static constexpr int kQuads = 2;
  static constexpr bool kInBytes = false;
  static void Load(const char* line, __m256i* quads) {
    const __m128i both = _mm_loadu_si128(reinterpret_cast<const __m128i*>(line));
    quads[0] = LookUp(both);
    quads[1] = LookUp(_mm_srli_epi16(both, 4));
  }

 private:
  static __m256i LookUp(__m128i codes) {
    const __m128i numbers = _mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);
    return _mm256_cvtepi8_epi16(_mm_shuffle_epi8(numbers, _mm_and_si128(codes, _mm_set1_epi8(0xF))));
  }
};

/// sums += products, in place: gcc would add up all products of a step as a tree, for which registers do not suffice.
inline void AddWords(__m256i& sums, __m256i products) { asm("vpaddw %1, %0, %0" : "+x"(sums) : "x"(products)); }

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

/// acc[t] += a step of a panel in bytes times the digits at rows[t] + at.
template <class F, int T>
__attribute__((always_inline)) inline void AddStep(const char* w, const int8_t* const* rows, int64_t at,
                                                   __m256i (&acc)[T][2]) {
  constexpr int64_t kLineSteps = kStep / 4 / F::kQuads;
  // A sum takes a product of pairs from each quad of a step.
  static_assert(kStep / 4 * 2 * (15 * 128) < 32768);
  __m256i words[T][2];
  for (int t = 0; t < T; ++t) words[t][0] = words[t][1] = _mm256_setzero_si256();
#pragma GCC unroll 4
  for (int64_t line = 0; line < kLineSteps; ++line, w += 64) {
    __builtin_prefetch(w + kPieceSteps * kLineSteps * 64);
    __m256i quads[2][F::kQuads];
    F::Load(w, quads[0]);
    F::Load(w + 32, quads[1]);
#pragma GCC unroll 2
    for (int q = 0; q < F::kQuads; ++q) {
#pragma GCC unroll 4
      for (int t = 0; t < T; ++t) {
        int32_t quad;
        memcpy(&quad, rows[t] + at + (line * F::kQuads + q) * 4, sizeof quad);
        const __m256i digits = _mm256_set1_epi32(quad);
        for (int i = 0; i < 2; ++i) AddWords(words[t][i], _mm256_maddubs_epi16(quads[i][q], digits));
      }
    }
  }
  for (int t = 0; t < T; ++t) {
    for (int i = 0; i < 2; ++i)
      acc[t][i] = _mm256_add_epi32(acc[t][i], _mm256_madd_epi16(words[t][i], _mm256_set1_epi16(1)));
  }
}

/// sums[t] += `steps` steps of a panel in bytes times the digits x[t].
template <class F, int T>
void AccumulateBytes(const char* w, int64_t steps, const int16_t (*x)[kPieceSteps * kStep], PartialSums* sums) {
  __m256i acc[T][2];
  const int8_t* rows[T];
  for (int t = 0; t < T; ++t) {
    rows[t] = reinterpret_cast<const int8_t*>(x[t]);
    for (int i = 0; i < 2; ++i) acc[t][i] = sums[t].columns[i];
  }
  for (int64_t step = 0; step < steps; ++step, w += kStep / 4 / F::kQuads * 64) AddStep<F, T>(w, rows, step * kStep, acc);
  for (int t = 0; t < T; ++t) {
    for (int i = 0; i < 2; ++i) sums[t].columns[i] = acc[t][i];
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

/// The sums of the eight columns of two registers, in order.
inline __m256i Columns(__m256i a, __m256i b) { return _mm256_permute4x64_epi64(_mm256_hadd_epi32(a, b), 0xD8); }

/// The sums of sixteen columns, of which the digits add up to `digits`.
template <class F>
Int32x16 Columns(const PartialSums& sums, int32_t digits) {
  if constexpr (F::kInBytes) {
    const __m256i excess = _mm256_set1_epi32(F::kExcess * digits);
    return {_mm256_sub_epi32(sums.columns[0], excess), _mm256_sub_epi32(sums.columns[1], excess)};
  } else {
    return {Columns(sums.columns[0], sums.columns[1]), Columns(sums.columns[2], sums.columns[3])};
  }
}

/// What eight offsets are larger than F::kExcess.
template <class F>
__m256i MissingOffsets(const int16_t* offsets) {
  const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(offsets));
  return _mm256_sub_epi32(_mm256_cvtepi16_epi32(half), _mm256_set1_epi32(F::kExcess));
}

/// The same where each column has an offset, which is added to its integers.
template <class F>
Int32x16 ColumnsWithOffsets(const PartialSums& sums, int32_t digits, const int16_t* offsets) {
  static_assert(F::kInBytes);
  const auto sum = [&](int i) {
    const __m256i missing = MissingOffsets<F>(offsets + 8 * i);
    return _mm256_add_epi32(sums.columns[i], _mm256_mullo_epi32(missing, _mm256_set1_epi32(digits)));
  };
  return {sum(0), sum(1)};
}

/// The same where no multipliers follow: 16 times as large of int4, which simd::FormatFactor undoes.
template <class F>
Int32x16 FormatColumns(const PartialSums& sums, int32_t digits) {
  const Int32x16 columns = Columns<F>(sums, digits);
  if constexpr (F::kFormat != WeightFormat::kI4) return columns;
  return {_mm256_slli_epi32(columns.lo, 4), _mm256_slli_epi32(columns.hi, 4)};
}

}  // namespace
}  // namespace atb::kernels::avx2
