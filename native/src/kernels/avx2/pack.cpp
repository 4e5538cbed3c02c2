#include <immintrin.h>
#include <string.h>

#include "kernels/avx2/kernels.h"

namespace atb::kernels::avx2 {
namespace {

constexpr int kRows = 8;

/// Transposes eight units of eight rows into halves of eight lines.
inline void TransposeHalf(const char* from, int64_t row_stride, char* to) {
  __m256i r[kRows], t[kRows];
  for (int i = 0; i < kRows; ++i) r[i] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i * row_stride));
  for (int i = 0; i < kRows; i += 2) {
    t[i] = _mm256_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_epi32(r[i], r[i + 1]);
  }
  // r[i + j] has unit j of each half, of rows i to i + 3.
  for (int i = 0; i < kRows; i += 4) {
    r[i] = _mm256_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm256_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm256_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm256_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int j = 0; j < 4; ++j) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(to + j * 64), _mm256_permute2x128_si256(r[j], r[4 + j], 0x20));
    _mm256_store_si256(reinterpret_cast<__m256i*>(to + (4 + j) * 64), _mm256_permute2x128_si256(r[j], r[4 + j], 0x31));
  }
}

}  // namespace

void PackLines(const void* rows, int64_t row_stride, int64_t units, void* out) {
  const char* from = static_cast<const char*>(rows);
  char* to = static_cast<char*>(out);
  for (; units >= kRows; units -= kRows, from += 32, to += kRows * 64) {
    TransposeHalf(from, row_stride, to);
    TransposeHalf(from + kRows * row_stride, row_stride, to + 32);
  }
  for (int64_t i = 0; i < units; ++i) {
    for (int64_t c = 0; c < kPanelColumns; ++c) memcpy(to + i * 64 + c * 4, from + c * row_stride + i * 4, 4);
  }
}

namespace {

/// Eight numbers of a channel, whose codes are the lowest four bits of each lane, rounded to bf16, as f32.
inline __m256i WidenChannel(__m256i codes, __m256 scales) {
  const __m256 sizes = _mm256_permutevar8x32_ps(_mm256_setr_ps(0, 0.5f, 1, 1.5f, 2, 3, 4, 6), codes);
  const __m256i sign = _mm256_slli_epi32(_mm256_and_si256(codes, _mm256_set1_epi32(8)), 28);
  const __m256 numbers = _mm256_xor_ps(sizes, _mm256_castsi256_ps(sign));
  const __m256i bits = _mm256_castps_si256(_mm256_mul_ps(numbers, scales));
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
  return _mm256_and_si256(rounded, _mm256_set1_epi32(static_cast<int>(0xFFFF0000u)));
}

}  // namespace

void WidenE2M1(const void* panel, const float* scales, int64_t k, DType dtype, void* out) {
  const char* from = static_cast<const char*>(panel);
  char* to = static_cast<char*>(out);
  const int64_t end = dtype == DType::kBF16 ? (k + kTileK - 1) / kTileK * kTileK : k, last = (k - 1) / kWidenedGroup;
  for (int64_t i = 0; i < end; i += 8, from += 64) {
    const int64_t group = i / kWidenedGroup < last ? i / kWidenedGroup : last;
    const float* const own = scales + group * kPanelColumns;
    __m256i lines[2];
    for (int half = 0; half < 2; ++half)
      lines[half] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + half * 32));
    const auto channel = [&](int half, int number) {
      // A lane has channels 0 to 3 in the lower halves of its bytes, and 4 to 7 in the upper ones.
      const __m128i shift = _mm_cvtsi32_si128(number % 4 * 8 + number / 4 * 4);
      return WidenChannel(_mm256_srl_epi32(lines[half], shift), _mm256_loadu_ps(own + half * 8));
    };
    if (dtype == DType::kBF16) {
      for (int pair = 0; pair < 4; ++pair) {
        for (int half = 0; half < 2; ++half, to += 32) {
          const __m256i even = _mm256_srli_epi32(channel(half, 2 * pair), 16);
          _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_or_si256(even, channel(half, 2 * pair + 1)));
        }
      }
      continue;
    }
    for (int number = 0; number < 8 && i + number < end; ++number) {
      for (int half = 0; half < 2; ++half) {
        const __m256i whole = channel(half, number);
        if (dtype == DType::kF32) {
          _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), whole);
          to += 32;
        } else {
          _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_cvtps_ph(_mm256_castsi256_ps(whole), 0));
          to += 16;
        }
      }
    }
  }
}

}  // namespace atb::kernels::avx2
