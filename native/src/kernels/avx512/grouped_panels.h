#pragma once
// Panels whose channels have groups. Everything has internal linkage; vec.h says why.
#include "kernels/avx512/integer_formats.h"

namespace atb::kernels::avx512 {
namespace {

/// The most digit rows that are multiplied at once, and how many of many.
constexpr int kDigitRows = 8, kUsualDigitRows = 6;
/// So few are cut evenly, into eight at most, so that panels are read as seldom as can be.
constexpr int kFewDigitRows = 32;
/// How far ahead of its reader a panel is fetched.
constexpr int64_t kBytesAhead = 2048;

inline __m128i SixteenExponents(const uint8_t* bytes) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)); }

/// Of the groups of a span, for the columns of a panel.
struct alignas(16) SpanExponents {
  uint8_t largest[kPanelColumns];
  uint8_t unit[kPanelColumns];  ///< In units of 2^(unit - 127) counts the first window: 3 below the largest, modulo 256.
  float (*c)[kPanelColumns];    ///< What the panel's sums are added to.
  int windows;                  ///< So many from the first on hold all groups; more than kExponentWindows where some are in none.

  /// Of groups whose exponents are [groups][16].
  static SpanExponents Of(const uint8_t* exponents, int64_t groups, float (*c)[kPanelColumns]) {
    __m128i most = _mm_setzero_si128(), least = _mm_set1_epi8(-1);
    for (int64_t g = 0; g < groups; ++g) {
      const __m128i own = SixteenExponents(exponents + g * kPanelColumns);
      most = _mm_max_epu8(most, own);
      least = _mm_min_epu8(least, own);
    }
    SpanExponents span;
    span.c = c;
    _mm_store_si128(reinterpret_cast<__m128i*>(span.largest), most);
    _mm_store_si128(reinterpret_cast<__m128i*>(span.unit), _mm_sub_epi8(most, _mm_set1_epi8(3)));
    const __m128i spread = _mm_sub_epi8(most, least);
    span.windows = 1;
    while (span.windows <= kExponentWindows &&
           _mm_cmpgt_epu8_mask(spread, _mm_set1_epi8(static_cast<char>(4 * span.windows - 1))) != 0)
      ++span.windows;
    return span;
  }
};

/// Panels side by side, with what the sums of their groups are multiplied by: scales, multipliers or powers of two.
/// What does not apply is null.
struct GroupedPanels {
  int planes;           ///< Digit rows of an activation row.
  const char* weights;  ///< Of the first panel.
  int64_t weight_stride;
  int64_t group_stride;  ///< From a panel's scales, multipliers, exponents or offsets to those of the next.
  simd::Scales scales{};  ///< Where they are no powers of two.
  const int8_t* multipliers = nullptr;
  const uint8_t* exponents = nullptr;
  const int16_t* offsets = nullptr;      ///< Of int4.
  int excess = 0;                        ///< What integers are too large by where there are no offsets.
  float scale_factor = 1;                ///< What scales are multiplied by, a power of two.
  int64_t span = 1;                      ///< Of exponents: groups whose sums leave the integers together.
  const SpanExponents* spans = nullptr;  ///< Of the panels, where they are being multiplied.

  /// Without the first `panels` panels.
  GroupedPanels Behind(int64_t panels) const {
    GroupedPanels rest = *this;
    rest.weights += panels * weight_stride;
    const int64_t groups = panels * group_stride;
    rest.scales = scales.Behind(panels);
    if (multipliers) rest.multipliers += groups;
    if (exponents) rest.exponents += groups;
    if (offsets) rest.offsets += groups;
    if (spans) rest.spans += panels;
    return rest;
  }
};

}  // namespace
}  // namespace atb::kernels::avx512
