#pragma once
// Sixteen bytes, and twice as many, with the shuffles of them that both x86 and ARM have. Everything has internal
// linkage; vec.h says why.
#include <stdint.h>
#ifdef __aarch64__
#include <arm_neon.h>
#else
#include <immintrin.h>
#endif

namespace atb::kernels::simd {
namespace {

#ifdef __aarch64__

using Quarter = uint8x16_t;
struct Half {
  Quarter low;
  Quarter high;
};

inline Quarter LoadQuarter(const char* p) { return vld1q_u8(reinterpret_cast<const uint8_t*>(p)); }
inline void StoreQuarter(char* p, Quarter v) { vst1q_u8(reinterpret_cast<uint8_t*>(p), v); }
inline Half LoadHalf(const char* p) { return {LoadQuarter(p), LoadQuarter(p + 16)}; }
/// Writes the lower and the upper 16 bytes, `step` bytes apart.
inline void StoreQuarters(char* p, int64_t step, Half v) {
  StoreQuarter(p, v.low);
  StoreQuarter(p + step, v.high);
}

// Of the lower or upper halves of a and b: numbers of 2, 4 or 8 bytes in turn.
inline Quarter ZipLow2(Quarter a, Quarter b) {
  return vreinterpretq_u8_u16(vzip1q_u16(vreinterpretq_u16_u8(a), vreinterpretq_u16_u8(b)));
}
inline Quarter ZipHigh2(Quarter a, Quarter b) {
  return vreinterpretq_u8_u16(vzip2q_u16(vreinterpretq_u16_u8(a), vreinterpretq_u16_u8(b)));
}
inline Quarter ZipLow4(Quarter a, Quarter b) {
  return vreinterpretq_u8_u32(vzip1q_u32(vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b)));
}
inline Quarter ZipHigh4(Quarter a, Quarter b) {
  return vreinterpretq_u8_u32(vzip2q_u32(vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b)));
}
inline Quarter ZipLow8(Quarter a, Quarter b) {
  return vreinterpretq_u8_u64(vzip1q_u64(vreinterpretq_u64_u8(a), vreinterpretq_u64_u8(b)));
}
inline Quarter ZipHigh8(Quarter a, Quarter b) {
  return vreinterpretq_u8_u64(vzip2q_u64(vreinterpretq_u64_u8(a), vreinterpretq_u64_u8(b)));
}
inline Half ZipLow8(Half a, Half b) { return {ZipLow8(a.low, b.low), ZipLow8(a.high, b.high)}; }
inline Half ZipHigh8(Half a, Half b) { return {ZipHigh8(a.low, b.low), ZipHigh8(a.high, b.high)}; }

/// Byte i of each quarter becomes its byte order[i].
inline Half Shuffle(Half v, const uint8_t (&order)[16]) {
  const Quarter from = vld1q_u8(order);
  return {vqtbl1q_u8(v.low, from), vqtbl1q_u8(v.high, from)};
}

#else

using Quarter = __m128i;
using Half = __m256i;

inline Quarter LoadQuarter(const char* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
inline void StoreQuarter(char* p, Quarter v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v); }
inline Half LoadHalf(const char* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
/// Writes the lower and the upper 16 bytes, `step` bytes apart.
inline void StoreQuarters(char* p, int64_t step, Half v) {
  StoreQuarter(p, _mm256_castsi256_si128(v));
  StoreQuarter(p + step, _mm256_extracti128_si256(v, 1));
}

// Of the lower or upper halves of a and b: numbers of 2, 4 or 8 bytes in turn.
inline Quarter ZipLow2(Quarter a, Quarter b) { return _mm_unpacklo_epi16(a, b); }
inline Quarter ZipHigh2(Quarter a, Quarter b) { return _mm_unpackhi_epi16(a, b); }
inline Quarter ZipLow4(Quarter a, Quarter b) { return _mm_unpacklo_epi32(a, b); }
inline Quarter ZipHigh4(Quarter a, Quarter b) { return _mm_unpackhi_epi32(a, b); }
inline Quarter ZipLow8(Quarter a, Quarter b) { return _mm_unpacklo_epi64(a, b); }
inline Quarter ZipHigh8(Quarter a, Quarter b) { return _mm_unpackhi_epi64(a, b); }
inline Half ZipLow8(Half a, Half b) { return _mm256_unpacklo_epi64(a, b); }
inline Half ZipHigh8(Half a, Half b) { return _mm256_unpackhi_epi64(a, b); }

/// Byte i of each quarter becomes its byte order[i].
inline Half Shuffle(Half v, const uint8_t (&order)[16]) {
  return _mm256_shuffle_epi8(v, _mm256_broadcastsi128_si256(LoadQuarter(reinterpret_cast<const char*>(order))));
}

#endif

}  // namespace
}  // namespace atb::kernels::simd
