#pragma once
// Tile instructions as our own asm: gcc 12's intrinsics do not tell the compiler which memory they read and write.
// Tile numbers are template arguments because the instructions encode them.
#include <stdint.h>

namespace atb::kernels::amx {
namespace {

/// Rows of a tile, bytes of a row.
constexpr int64_t kTileRows = 16;
constexpr int64_t kTileRowBytes = 64;
constexpr int64_t kTileBytes = kTileRows * kTileRowBytes;

/// What ldtilecfg reads: palette 1 has eight tiles of up to 16 rows of 64 bytes.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};

  void Set(int tile, int64_t tile_rows, int64_t bytes = kTileRowBytes) {
    rows[tile] = static_cast<uint8_t>(tile_rows);
    row_bytes[tile] = static_cast<uint16_t>(bytes);
  }
};

inline void Configure(const TileConfig& config) { __asm__ volatile("ldtilecfg %0" ::"m"(config) : "memory"); }
/// Leaves the tiles in their initial state, so that context switches need not save them.
inline void Release() { __asm__ volatile("tilerelease" ::: "memory"); }
template <int T>
inline void Zero() {
  __asm__ volatile("tilezero %%tmm%c0" ::"i"(T) : "memory");
}
template <int T>
inline void LoadTile(const void* from, int64_t stride) {
  __asm__ volatile("tileloadd (%1,%2,1), %%tmm%c0" ::"i"(T), "r"(from), "r"(stride) : "memory");
}
template <int T>
inline void StoreTile(void* to, int64_t stride) {
  __asm__ volatile("tilestored %%tmm%c0, (%1,%2,1)" ::"i"(T), "r"(to), "r"(stride) : "memory");
}
/// C += A * B: A holds rows of bf16 pairs, B a weight tile, C f32.
template <int C, int A, int B>
inline void MultiplyBF16() {
  __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B) : "memory");
}
/// Brings a cache line here for writing. The compiler's own prefetch would bring it for reading.
inline void PrefetchForWrite(const char* line) { __asm__ volatile("prefetchw %0" ::"m"(*line)); }
/// C += A * B: A holds rows of signed bytes in fours, B a tile of a kI8 weight, C int32.
template <int C, int A, int B>
inline void MultiplyI8() {
  __asm__ volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B) : "memory");
}
/// The same where A holds bytes without sign.
template <int C, int A, int B>
inline void MultiplyU8I8() {
  __asm__ volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B) : "memory");
}

}  // namespace
}  // namespace atb::kernels::amx
