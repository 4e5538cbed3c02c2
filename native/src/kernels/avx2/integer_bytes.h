#pragma once
// Products of digits with integers that stay bytes, made unsigned. Four channels of eight columns are a register. Sums
// start with what makes up for weights that are too large. How bytes are multiplied is the table's: a format F here is
// one of below that also has AddStep<T>(w, rows, at, acc), which adds a step of a panel at w, times the digits at
// rows[t] + at, to acc[t], two registers of eight columns. Everything has internal linkage; vec.h says why.
#include "kernels/avx2/exponent_windows.h"

namespace atb::kernels::avx2 {
namespace {

/// Groups whose sums of digits are known at a time. Of so many, groups of 32 channels fill a panel of 8192: a panel is
/// read from its beginning to its end.
constexpr int64_t kKnownGroups = 256;
/// How far ahead of its reader a panel is fetched.
constexpr int64_t kBytesAhead = 2048;

/// Int4 of a panel of which a line of 64 bytes holds two quads of channels for each column.
struct I4Bytes {
  static constexpr bool kInBytes = true;
  static constexpr bool kHasExponents = false;
  /// What the integers are too large by as unsigned bytes.
  static constexpr int kExcess = 8;
  static constexpr int kQuads = 2;
  /// What FormatFactor of simd/integer_gemm.h undoes where there are no offsets.
  static constexpr float kScale = 16;
  /// The integers of eight columns as unsigned bytes.
  static void Load(const char* line, __m256i (&quads)[kQuads]) {
    const __m256i read = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(line));
    const __m256i both = _mm256_xor_si256(read, _mm256_set1_epi8(static_cast<char>(0x88)));
    const __m256i lower = _mm256_set1_epi8(0xF);
    quads[0] = _mm256_and_si256(both, lower);
    quads[1] = _mm256_and_si256(_mm256_srli_epi16(both, 4), lower);
  }
};

/// The same of e2m1: twice each number.
struct E2M1Bytes {
  static constexpr bool kInBytes = true;
  static constexpr bool kHasExponents = true;
  static constexpr int kExcess = 12;
  static constexpr int kQuads = 2;
  static constexpr float kScale = 1;
  static void Load(const char* line, __m256i (&quads)[kQuads]) {
    const __m256i both = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(line));
    quads[0] = LookUp(both);
    quads[1] = LookUp(_mm256_srli_epi16(both, 4));
  }

 private:
  static __m256i LookUp(__m256i codes) {
    const __m256i numbers = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
    return _mm256_shuffle_epi8(numbers, _mm256_and_si256(codes, _mm256_set1_epi8(0xF)));
  }
};

/// Bytes of a step of a panel.
template <class F>
constexpr int64_t kStepBytes = kStep / F::kQuads * kPanelColumns;

/// Four digits, in all quads of a register.
inline __m256i QuadOf(const int8_t* digits) {
  int32_t quad;
  memcpy(&quad, digits, sizeof quad);
  return _mm256_set1_epi32(quad);
}

/// What eight offsets are larger than the excess.
inline __m256i MissingOffsets(const int16_t* offsets, int excess) {
  const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(offsets));
  return _mm256_sub_epi32(_mm256_cvtepi16_epi32(half), _mm256_set1_epi32(excess));
}

/// The digits of R activation rows, plane by plane: step s of digit row t is 32 bytes at rows[t] + At(s).
template <int Planes, int R>
struct DigitRows {
  const int8_t* rows[Planes * R];
  int64_t stride;

  DigitRows(const simd::DigitBlock& block, int64_t row) : stride(block.tile_stride) {
    for (int t = 0; t < Planes * R; ++t) rows[t] = block.digits + (t / R * block.rows + row + t % R) * kIntegerTileK;
  }
  int64_t At(int64_t step) const { return step / 2 * stride + step % 2 * kStep; }
};

/// sums[t] = the sum of the digits of row t over steps [begin, end).
template <int Planes, int R>
inline void SumRows(const DigitRows<Planes, R>& x, int64_t begin, int64_t end, int32_t (&sums)[kByteRows]) {
  __m256i lanes[kByteRows] = {};
  for (int t = 0; t < Planes * R; ++t) {
    for (int64_t s = begin; s < end; ++s) {
      const __m256i digits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x.rows[t] + x.At(s)));
      const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), digits);
      lanes[t] = _mm256_add_epi32(lanes[t], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
  }
  const __m256i lower = _mm256_hadd_epi32(lanes[0], lanes[1]), upper = _mm256_hadd_epi32(lanes[2], lanes[3]);
  const __m256i halves = _mm256_hadd_epi32(lower, upper);
  const __m128i all = _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(sums), all);
}

/// What a panel's integers are, and what the sums of its groups are multiplied by: multipliers, or scales where these
/// are null.
struct GroupFactors {
  simd::Scales scales;
  const int8_t* multipliers;
  const int16_t* offsets;  ///< Null where the integers have none.
  int excess;              ///< What unsigned bytes are too large by then.
  float factor;            ///< What scales are multiplied by, a power of two.
};

/// The sums of products of group g of a panel, of which `w` is moved on. `sums` has the sums of the group's digits.
template <class F, int T, class Rows>
__attribute__((always_inline)) inline void SumGroup(const char*& w, const Rows& x, const int32_t* sums,
                                                    const GroupFactors& factors, const simd::ScaleGroups& groups,
                                                    int64_t g, __m256i (&acc)[T][2]) {
  for (int i = 0; i < 2; ++i) {
    __m256i missing = _mm256_set1_epi32(-factors.excess);
    if (factors.offsets) missing = MissingOffsets(factors.offsets + g * kPanelColumns + 8 * i, F::kExcess);
    for (int t = 0; t < T; ++t) acc[t][i] = _mm256_mullo_epi32(missing, _mm256_set1_epi32(sums[t]));
  }
  for (int64_t s = groups.Step(g), last = groups.Step(g + 1); s < last; ++s, w += kStepBytes<F>)
    F::template AddStep<T>(w, x.rows, x.At(s), acc);
}

/// Adds groups [begin, end) of a panel to `totals` or c. sums[g - begin] has the sums of the digits of group g.
template <class F, int Planes, int R>
void AddGroups(const char* w, const DigitRows<Planes, R>& x, const int32_t (*sums)[kByteRows],
               const GroupFactors& factors, const simd::ScaleGroups& groups, int64_t begin, int64_t end,
               int32_t (*totals)[kPanelColumns], float (*c)[kPanelColumns]) {
  constexpr int T = Planes * R;
  w += groups.Step(begin) * kStepBytes<F>;
  for (int64_t g = begin; g < end; ++g, ++sums) {
    __m256i acc[T][2];
    SumGroup<F, T>(w, x, *sums, factors, groups, g, acc);
    const auto digit = [&](int t) { return Int32x16{acc[t][0], acc[t][1]}; };
    if (factors.multipliers) {
      AddMultiplied<T>(digit, factors.multipliers + g * kPanelColumns, totals);
    } else {
      const Vec scale = factors.scales.At<Vec>(0, g) * Vec::Set1(factors.factor);
      AddScaled<Planes, R>(digit, scale, {}, 0, c);
    }
  }
}

/// AddGroups where scales are powers of two, span by span: `span` groups, of which `end` ends one.
template <class F, int Planes, int R>
void AddSpans(const char* w, const DigitRows<Planes, R>& x, const int32_t (*sums)[kByteRows], const uint8_t* exponents,
              const simd::ScaleGroups& groups, int64_t begin, int64_t end, int64_t span, float (*c)[kPanelColumns]) {
  constexpr int T = Planes * R;
  w += groups.Step(begin) * kStepBytes<F>;
  for (int64_t g = begin; g < end;) {
    const int64_t last = simd::Min(g + span, end);
    WindowSums windows(exponents + g * kPanelColumns, last - g);
    for (; g < last; ++g, ++sums) {
      __m256i acc[T][2];
      SumGroup<F, T>(w, x, *sums, {{}, nullptr, nullptr, F::kExcess, 1}, groups, g, acc);
      const auto digit = [&](int t) { return Int32x16{acc[t][0], acc[t][1]}; };
      bool any;
      const Vec small = windows.Add<T>(digit, exponents + g * kPanelColumns, any);
      if (any) AddScaled<Planes, R>(digit, small, {}, 0, c);
    }
    for (int i = 0; i < windows.Count(); ++i) {
      const auto whole = [&](int t) { return Int32x16::Load(windows.sums[i][t]); };
      AddScaled<Planes, R>(whole, windows.Unit(i), {}, 0, c);
    }
  }
}

/// Multiplies rows [row, row + R) of a block by `panels` panels: adds to c. `one_scales`, [panels][16], is for scales
/// that all groups share.
template <class F, int Planes, int R>
void MultiplyBytes(const GemmCall& call, const simd::DigitBlock& block, int64_t row, int64_t panel, int64_t panels,
                   float* one_scales, float (*c)[kByteRows][kPanelColumns]) {
  const PackedWeight& weight = *call.weight;
  const simd::ScaleGroups groups(weight);
  const auto scales = simd::Scales::Of<Vec>(weight, groups.count, panel, panels, one_scales);
  const DigitRows<Planes, R> x(block, row);
  alignas(32) int32_t totals[kGemmStreams][kByteRows][kPanelColumns] = {};
  const int64_t span = weight.exponents ? ExponentSpan(weight) / groups.channels : 1;
  const int64_t most = kKnownGroups / span * span;
  // Bytes of int4 with minimums are the numbers that these stand for.
  const bool are_numbers = weight.format == WeightFormat::kI4 && weight.minimums.Any();
  for (int64_t begin = 0; begin < groups.count; begin += most) {
    const int64_t end = simd::Min(begin + most, groups.count);
    int32_t sums[kKnownGroups][kByteRows];
    for (int64_t g = begin; g < end; ++g)
      SumRows(x, groups.Step(g), groups.Step(g + 1), sums[g - begin]);
    for (int64_t p = 0; p < panels; ++p) {
      const int64_t at = (panel + p) * groups.count * kPanelColumns;
      const char* w = static_cast<const char*>(weight.data) + (panel + p) * weight.panel_stride;
      if constexpr (F::kHasExponents) {
        if (weight.exponents) {
          AddSpans<F, Planes, R>(w, x, sums, weight.exponents + at, groups, begin, end, span, c[p]);
          continue;
        }
      }
      AddGroups<F, Planes, R>(w, x, sums,
                              {scales.Behind(p), weight.multipliers ? weight.multipliers + at : nullptr,
                               weight.offsets ? weight.offsets + at : nullptr, are_numbers ? 0 : F::kExcess,
                               weight.offsets || are_numbers ? 1.0f : F::kScale},
                              groups, begin, end, totals[p], c[p]);
    }
  }
  for (int64_t p = 0; p < panels && weight.multipliers; ++p) {
    const auto digit = [&](int t) { return Int32x16::Load(totals[p][t]); };
    AddScaled<Planes, R>(digit, scales.At<Vec>(p, 0), {}, p, c[p]);
  }
}

}  // namespace
}  // namespace atb::kernels::avx2
