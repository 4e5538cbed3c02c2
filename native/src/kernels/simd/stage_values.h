#pragma once
// Values that are the first numbers of keys (MLA), put into the order in which attention multiplies values. Products of
// queries and keys sum over the numbers of a head, those of probabilities and values over keys; tiles and pairs lie
// along what is summed, so that one layout cannot serve both. Shuffles within 128 bits do it: half as many bytes are
// read from memory as if values were stored, for a pass over a piece that is in the cache. Everything has internal
// linkage; vec.h says why.
#include <string.h>

#include "kernels/attend_tile.h"
#include "kernels/simd/quarters.h"

namespace atb::kernels::simd {
namespace {

/// Staging is what reads a piece from memory: it fetches so many bytes ahead of itself, to the piece's own end and into
/// what follows it there.
constexpr int64_t kStageAhead = 4096;

inline void FetchAhead(const char* p) { __builtin_prefetch(p + kStageAhead, 0, 2); }

/// A panel of bf16 keys [d / 32][16 d-pairs][16 keys][2] -> its half of [d / 16][16 key-pairs][16 d][2].
inline void StageBF16(const char* keys, int64_t columns, char* values) {
  // Of four keys with two d each: the words of each d side by side.
  constexpr uint8_t kOrder[] = {0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15};
  for (int64_t pair = 0; pair < columns / 2; pair += 2, keys += 128) {
    FetchAhead(keys);
    FetchAhead(keys + 64);
    char* to = values + pair / 8 * 1024 + pair % 8 * 8;
    for (int64_t i = 0; i < 2; ++i, to += 256) {
      const Half a = Shuffle(LoadHalf(keys + i * 32), kOrder), b = Shuffle(LoadHalf(keys + 64 + i * 32), kOrder);
      StoreQuarters(to, 128, ZipLow8(a, b));
      StoreQuarters(to + 64, 128, ZipHigh8(a, b));
    }
  }
}

/// A panel of f32 keys [d][16 keys] -> [16 keys][d].
inline void StageF32(const char* keys, int64_t columns, char* values) {
  for (int64_t d = 0; d < columns; d += 4) {
    for (int64_t row = 0; row < 4; ++row) FetchAhead(keys + (d + row) * kKeyPanel * 4);
    for (int64_t i = 0; i < kKeyPanel; i += 4) {
      const char* from = keys + (d * kKeyPanel + i) * 4;
      const Quarter r0 = LoadQuarter(from), r1 = LoadQuarter(from + 64);
      const Quarter r2 = LoadQuarter(from + 128), r3 = LoadQuarter(from + 192);
      const Quarter a = ZipLow4(r0, r1), b = ZipLow4(r2, r3);
      const Quarter c = ZipHigh4(r0, r1), e = ZipHigh4(r2, r3);
      char* to = values + (i * columns + d) * 4;
      StoreQuarter(to, ZipLow8(a, b));
      StoreQuarter(to + columns * 4, ZipHigh8(a, b));
      StoreQuarter(to + columns * 8, ZipLow8(c, e));
      StoreQuarter(to + columns * 12, ZipHigh8(c, e));
    }
  }
}

/// A panel of f16 keys [d][16 keys] -> [16 keys][d].
inline void StageF16(const char* keys, int64_t columns, char* values) {
  for (int64_t d = 0; d < columns; d += 8) {
    for (int64_t row = 0; row < 8; row += 2) FetchAhead(keys + (d + row) * kKeyPanel * 2);
    for (int64_t i = 0; i < kKeyPanel; i += 8) {
      Quarter r[8], s[8];
      for (int k = 0; k < 8; ++k) r[k] = LoadQuarter(keys + ((d + k) * kKeyPanel + i) * 2);
      for (int k = 0; k < 4; ++k) {
        s[2 * k] = ZipLow2(r[2 * k], r[2 * k + 1]);      // Keys 0 to 3 of d 2k, 2k + 1.
        s[2 * k + 1] = ZipHigh2(r[2 * k], r[2 * k + 1]);  // Keys 4 to 7.
      }
      for (int half = 0; half < 2; ++half) {
        const Quarter a = ZipLow4(s[half], s[2 + half]), b = ZipLow4(s[4 + half], s[6 + half]);
        const Quarter c = ZipHigh4(s[half], s[2 + half]), e = ZipHigh4(s[4 + half], s[6 + half]);
        char* to = values + ((i + 4 * half) * columns + d) * 2;
        StoreQuarter(to, ZipLow8(a, b));
        StoreQuarter(to + columns * 2, ZipHigh8(a, b));
        StoreQuarter(to + columns * 4, ZipLow8(c, e));
        StoreQuarter(to + columns * 6, ZipHigh8(c, e));
      }
    }
  }
}

/// A panel of int8 keys [d / 4][16 keys][4 d] -> its part of [d / 16][slots / 4][16 d][4 keys].
inline void StageI8(const char* keys, int64_t columns, int64_t slots, char* values) {
  constexpr uint8_t kOrder[] = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
  for (int64_t quad = 0; quad < columns / 4; ++quad, keys += 64) {
    FetchAhead(keys);
    char* to = values + quad / 4 * slots * 16 + quad % 4 * 16;
    StoreQuarters(to, 64, Shuffle(LoadHalf(keys), kOrder));
    StoreQuarters(to + 128, 64, Shuffle(LoadHalf(keys + 32), kOrder));
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
