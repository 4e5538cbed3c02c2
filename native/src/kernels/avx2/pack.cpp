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

}  // namespace atb::kernels::avx2
