#pragma once
// How the vector kernel reads each format of integers. Everything has internal linkage; vec.h says why.
#include "kernels/avx512/integers.h"

namespace atb::kernels::avx512 {
namespace {

// A format says how a line of a panel, 64 bytes, becomes unsigned bytes, kExcess too large: kQuads registers with a
// quad of channels for each of 16 columns.

struct I8 {
  static constexpr WeightFormat kFormat = WeightFormat::kI8;
  static constexpr int kExcess = 128;
  static constexpr int kQuads = 1;
  static void Load(const char* line, __m512i* quads) {
    quads[0] = _mm512_xor_si512(_mm512_loadu_si512(line), _mm512_set1_epi8(-128));
  }
};

struct I4 {
  static constexpr WeightFormat kFormat = WeightFormat::kI4;
  static constexpr int kExcess = 8;
  static constexpr int kQuads = 2;
  static void Load(const char* line, __m512i* quads) {
    const __m512i both = _mm512_loadu_si512(line);
    quads[0] = Unsigned(both);
    quads[1] = Unsigned(_mm512_srli_epi16(both, 4));
  }
  /// What sixteen offsets are larger than kExcess.
  static __m512i MissingOffsets(const int16_t* offsets) {
    const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(offsets));
    return _mm512_sub_epi32(_mm512_cvtepi16_epi32(words), _mm512_set1_epi32(kExcess));
  }

 private:
  /// (x ^ 8) & 0xF.
  static __m512i Unsigned(__m512i x) {
    return _mm512_ternarylogic_epi32(x, _mm512_set1_epi8(kExcess), _mm512_set1_epi8(0xF), 0x28);
  }
};

/// Twice the numbers of e2m1: a shuffle of bytes looks them up.
struct E2M1 {
  static constexpr WeightFormat kFormat = WeightFormat::kE2M1;
  static constexpr int kExcess = 128;
  static constexpr int kQuads = 2;
  static void Load(const char* line, __m512i* quads) {
    const __m512i both = _mm512_loadu_si512(line);
    quads[0] = LookUpE2M1(both, -128);
    quads[1] = LookUpE2M1(_mm512_srli_epi16(both, 4), -128);
  }
};

}  // namespace
}  // namespace atb::kernels::avx512
