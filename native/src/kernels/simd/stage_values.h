#pragma once
// Values that are the first numbers of keys (MLA), put into the order in which attention multiplies values. Products of
// queries and keys sum over the numbers of a head, those of probabilities and values over keys; tiles and pairs lie along
// what is summed, so that one layout cannot serve both. Shuffles within 128 bits do it: half as many bytes are read from
// memory as if values were stored, for a pass over a piece that is in the cache. Everything has internal linkage; vec.h
// says why.
#include <immintrin.h>
#include <string.h>

#include "kernels/attend_tile.h"

namespace atb::kernels::simd {
namespace {

/// Staging is what reads a piece from memory: it fetches so many bytes ahead of itself, to the piece's own end and into
/// what follows it there.
constexpr int64_t kStageAhead = 4096;

inline void FetchAhead(const char* p) { __builtin_prefetch(p + kStageAhead, 0, 2); }

inline __m128i LoadQuarter(const char* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
inline void StoreQuarter(char* p, __m128i v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v); }
inline __m256i LoadHalf(const char* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
/// Writes the lower and the upper 16 bytes, `step` bytes apart.
inline void StoreQuarters(char* p, int64_t step, __m256i v) {
  StoreQuarter(p, _mm256_castsi256_si128(v));
  StoreQuarter(p + step, _mm256_extracti128_si256(v, 1));
}

/// A panel of bf16 keys [d / 32][16 d-pairs][16 keys][2] -> its half of [d / 16][16 key-pairs][16 d][2].
inline void StageBF16(const char* keys, int64_t columns, char* values) {
  // Of four keys with two d each: the words of each d side by side.
  const __m256i order = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15));
  for (int64_t pair = 0; pair < columns / 2; pair += 2, keys += 128) {
    FetchAhead(keys);
    FetchAhead(keys + 64);
    char* to = values + pair / 8 * 1024 + pair % 8 * 8;
    for (int64_t i = 0; i < 2; ++i, to += 256) {
      const __m256i a = _mm256_shuffle_epi8(LoadHalf(keys + i * 32), order);
      const __m256i b = _mm256_shuffle_epi8(LoadHalf(keys + 64 + i * 32), order);
      StoreQuarters(to, 128, _mm256_unpacklo_epi64(a, b));
      StoreQuarters(to + 64, 128, _mm256_unpackhi_epi64(a, b));
    }
  }
}

/// A panel of f32 keys [d][16 keys] -> [16 keys][d].
inline void StageF32(const char* keys, int64_t columns, char* values) {
  for (int64_t d = 0; d < columns; d += 4) {
    for (int64_t row = 0; row < 4; ++row) FetchAhead(keys + (d + row) * kKeyPanel * 4);
    for (int64_t i = 0; i < kKeyPanel; i += 4) {
      const char* from = keys + (d * kKeyPanel + i) * 4;
      const __m128i r0 = LoadQuarter(from), r1 = LoadQuarter(from + 64);
      const __m128i r2 = LoadQuarter(from + 128), r3 = LoadQuarter(from + 192);
      const __m128i a = _mm_unpacklo_epi32(r0, r1), b = _mm_unpacklo_epi32(r2, r3);
      const __m128i c = _mm_unpackhi_epi32(r0, r1), e = _mm_unpackhi_epi32(r2, r3);
      char* to = values + (i * columns + d) * 4;
      StoreQuarter(to, _mm_unpacklo_epi64(a, b));
      StoreQuarter(to + columns * 4, _mm_unpackhi_epi64(a, b));
      StoreQuarter(to + columns * 8, _mm_unpacklo_epi64(c, e));
      StoreQuarter(to + columns * 12, _mm_unpackhi_epi64(c, e));
    }
  }
}

/// A panel of f16 keys [d][16 keys] -> [16 keys][d].
inline void StageF16(const char* keys, int64_t columns, char* values) {
  for (int64_t d = 0; d < columns; d += 8) {
    for (int64_t row = 0; row < 8; row += 2) FetchAhead(keys + (d + row) * kKeyPanel * 2);
    for (int64_t i = 0; i < kKeyPanel; i += 8) {
      __m128i r[8], s[8];
      for (int k = 0; k < 8; ++k) r[k] = LoadQuarter(keys + ((d + k) * kKeyPanel + i) * 2);
      for (int k = 0; k < 4; ++k) {
        s[2 * k] = _mm_unpacklo_epi16(r[2 * k], r[2 * k + 1]);      // Keys 0 to 3 of d 2k, 2k + 1.
        s[2 * k + 1] = _mm_unpackhi_epi16(r[2 * k], r[2 * k + 1]);  // Keys 4 to 7.
      }
      for (int half = 0; half < 2; ++half) {
        const __m128i a = _mm_unpacklo_epi32(s[half], s[2 + half]), b = _mm_unpacklo_epi32(s[4 + half], s[6 + half]);
        const __m128i c = _mm_unpackhi_epi32(s[half], s[2 + half]), e = _mm_unpackhi_epi32(s[4 + half], s[6 + half]);
        char* to = values + ((i + 4 * half) * columns + d) * 2;
        StoreQuarter(to, _mm_unpacklo_epi64(a, b));
        StoreQuarter(to + columns * 2, _mm_unpackhi_epi64(a, b));
        StoreQuarter(to + columns * 4, _mm_unpacklo_epi64(c, e));
        StoreQuarter(to + columns * 6, _mm_unpackhi_epi64(c, e));
      }
    }
  }
}

/// A panel of int8 keys [d / 4][16 keys][4 d] -> its part of [d / 16][slots / 4][16 d][4 keys].
inline void StageI8(const char* keys, int64_t columns, int64_t slots, char* values) {
  const __m256i order = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  for (int64_t quad = 0; quad < columns / 4; ++quad, keys += 64) {
    FetchAhead(keys);
    char* to = values + quad / 4 * slots * 16 + quad % 4 * 16;
    StoreQuarters(to, 64, _mm256_shuffle_epi8(LoadHalf(keys), order));
    StoreQuarters(to + 128, 64, _mm256_shuffle_epi8(LoadHalf(keys + 32), order));
  }
}

/// Where values are parts of keys, writes those of a piece, keys [key_begin, key_end), to call.values, as kernels read
/// them.
inline void StageValues(const AttendCall& c, int64_t key_begin, int64_t key_end) {
  const int64_t group = GroupKeys(c);
  const bool integers = c.cache_dtype == DType::kI8;
  const bool tiled = c.cache_dtype == DType::kBF16;
  const int64_t bytes = integers ? 1 : c.cache_dtype == DType::kF32 ? 4 : 2;
  const int64_t scales = integers ? group * 4 : 0;
  const int64_t panel = kKeyPanel * (tiled ? RoundUp(c.head_dim, 32) : c.head_dim) * bytes;
  const int64_t key_bytes = group / kKeyPanel * panel;
  const int64_t value_bytes = group * (integers || tiled ? RoundUp(c.value_dim, 16) : c.value_dim) * bytes;
  SlotGroups at(c, key_begin);
  for (; at.position() < key_end; at.Next()) {
    const char* keys = static_cast<const char*>(c.k_cache) + at.slot() / group * (key_bytes + scales);
    char* values = static_cast<char*>(c.values) + StagedAt(at.position(), group, value_bytes + scales);
    for (int64_t i = 0; i < group / kKeyPanel; ++i) {
      const char* from = keys + i * panel;
      if (integers) {
        StageI8(from, c.value_dim, group, values + i * 256);
      } else if (tiled) {
        StageBF16(from, c.value_dim, values + i * 512);
      } else if (bytes == 4) {
        StageF32(from, c.value_dim, values + i * kKeyPanel * c.value_dim * 4);
      } else {
        StageF16(from, c.value_dim, values + i * kKeyPanel * c.value_dim * 2);
      }
    }
    memcpy(values + value_bytes, keys + key_bytes, static_cast<size_t>(scales));
  }
}

}  // namespace
}  // namespace atb::kernels::simd
