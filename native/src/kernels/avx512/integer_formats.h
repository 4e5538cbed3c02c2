#pragma once
// How the vector kernel reads each format of integers. Everything has internal linkage; vec.h says why.
#include "kernels/avx512/integers.h"

namespace atb::kernels::avx512 {
namespace {

// A format says how a line of a panel, 64 bytes, becomes unsigned bytes, kExcess too large: kQuads registers with a quad of
// channels for each of 16 columns. They are 2^kShift times the integers. It also says what its weights may have in place of
// scales or beside them (PackedWeight); kStartsAtOffsets: their sums start with what the offsets of a group give. Unshifted is
// a format of the same weights whose kShift is 0.
struct SmallI4;

struct I8 {
  using Unshifted = I8;
  static constexpr int kExcess = 128;
  static constexpr int kQuads = 1;
  static constexpr int kShift = 0;
  static constexpr bool kHasMultipliers = false;
  static constexpr bool kHasExponents = false;
  static constexpr bool kHasOffsets = true;
  static constexpr bool kStartsAtOffsets = false;
  static void Load(const char* line, __m512i* quads) {
    quads[0] = _mm512_xor_si512(_mm512_loadu_si512(line), _mm512_set1_epi8(-128));
  }
};

/// The int4 become 16 times as large: the lower halves of the bytes are shifted to the upper halves, then the upper
/// halves are taken as they are. (x & 0xF0) ^ 0x80 is one instruction.
struct I4 {
  using Unshifted = SmallI4;
  static constexpr int kExcess = 128;
  static constexpr int kQuads = 2;
  static constexpr int kShift = 4;
  static constexpr bool kHasMultipliers = true;
  static constexpr bool kHasExponents = false;
  static constexpr bool kHasOffsets = false;
  static constexpr bool kStartsAtOffsets = false;
  static void Load(const char* line, __m512i* quads) {
    const __m512i both = _mm512_loadu_si512(line);
    quads[0] = Upper(_mm512_slli_epi16(both, 4));
    quads[1] = Upper(both);
  }

 private:
  static __m512i Upper(__m512i x) {
    return _mm512_ternarylogic_epi32(x, _mm512_set1_epi8(-16), _mm512_set1_epi8(-128), 0x6A);
  }
};

/// Int4 beside which there are offsets, as 0 to 15: they are kInt4Excess too large, and their offsets too small.
constexpr int kInt4Excess = 8;
struct I4WithOffsets {
  using Unshifted = I4WithOffsets;
  static constexpr int kExcess = kInt4Excess;
  static constexpr int kQuads = 2;
  static constexpr int kShift = 0;
  static constexpr bool kHasMultipliers = false;
  static constexpr bool kHasExponents = false;
  static constexpr bool kHasOffsets = false;
  static constexpr bool kStartsAtOffsets = true;
  static void Load(const char* line, __m512i* quads) {
    const __m512i both = _mm512_loadu_si512(line);
    quads[0] = Unsigned(both);
    quads[1] = Unsigned(_mm512_srli_epi16(both, 4));
  }

 private:
  /// (x ^ 8) & 0xF.
  static __m512i Unsigned(__m512i x) {
    return _mm512_ternarylogic_epi32(x, _mm512_set1_epi8(kInt4Excess), _mm512_set1_epi8(0xF), 0x28);
  }
};

/// Int4 without offsets as 0 to 15.
struct SmallI4 : I4WithOffsets {
  static constexpr bool kStartsAtOffsets = false;
};

/// The sixteen offsets of such integers, kInt4Excess smaller.
inline __m512i MissingOffsets(const int16_t* offsets) {
  const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(offsets));
  return _mm512_sub_epi32(_mm512_cvtepi16_epi32(words), _mm512_set1_epi32(kInt4Excess));
}

/// Twice the numbers of e2m1: a shuffle of bytes looks them up.
struct E2M1 {
  using Unshifted = E2M1;
  static constexpr int kExcess = 128;
  static constexpr int kQuads = 2;
  static constexpr int kShift = 0;
  static constexpr bool kHasMultipliers = true;
  static constexpr bool kHasExponents = true;
  static constexpr bool kHasOffsets = false;
  static constexpr bool kStartsAtOffsets = false;
  static void Load(const char* line, __m512i* quads) {
    const __m512i both = _mm512_loadu_si512(line);
    quads[0] = LookUpE2M1(both, -128);
    quads[1] = LookUpE2M1(_mm512_srli_epi16(both, 4), -128);
  }
};

}  // namespace
}  // namespace atb::kernels::avx512
