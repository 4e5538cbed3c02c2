#pragma once
// Tile instructions as our own asm: gcc 12's intrinsics do not tell the compiler which memory they read and write.
// Tile numbers are template arguments because the instructions encode them. Everything has internal linkage; vec.h says
// why.
#include <stdint.h>

namespace atb::kernels::amx {
namespace {

/// A step between tile instructions is inlined whatever its size, so that its state stays in registers.
#define ATB_INLINE __attribute__((always_inline))

/// A tile register has up to 16 rows of up to 64 bytes.
constexpr int64_t kTileRows = 16;
constexpr int64_t kTileRowBytes = 64;
constexpr int64_t kTileBytes = kTileRows * kTileRowBytes;

/// What ldtilecfg reads: the shape of each of the eight tiles of palette 1, the only palette there is.
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
/// The same for a tile that is used once: in L1 it would only take the room of what is used again.
template <int T>
inline void StreamTile(const void* from, int64_t stride) {
  __asm__ volatile("tileloaddt1 (%1,%2,1), %%tmm%c0" ::"i"(T), "r"(from), "r"(stride) : "memory");
}
template <int T>
inline void StoreTile(void* to, int64_t stride) {
  __asm__ volatile("tilestored %%tmm%c0, (%1,%2,1)" ::"i"(T), "r"(to), "r"(stride) : "memory");
}
/// C += A * B. A holds rows of bf16 pairs, B a tile of a kBF16 weight, C sums in f32.
template <int C, int A, int B>
inline void MultiplyBF16() {
  __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B) : "memory");
}
/// C += A * B. A holds rows of signed bytes in fours, B a tile of a kI8 weight, C sums in int32.
template <int C, int A, int B>
inline void MultiplyI8() {
  __asm__ volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B) : "memory");
}
/// The same where the bytes of A have no sign.
template <int C, int A, int B>
inline void MultiplyU8I8() {
  __asm__ volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B) : "memory");
}

/// Brings a cache line into L1 for writing. The compiler's own prefetch would bring it for reading only.
inline void PrefetchForWrite(const char* line) { __asm__ volatile("prefetchw %0" ::"m"(*line)); }

/// Brings all 16 cache lines of a tile into L1.
__attribute__((always_inline)) inline void PrefetchTile(const char* tile) {
#pragma GCC unroll 16
  for (int64_t i = 0; i < kTileBytes; i += 64) __builtin_prefetch(tile + i);
}

/// Calls f.operator()<I>() for I = 0 .. N - 1, so that I may name a tile.
template <int N, int I = 0, typename F>
inline void ForTiles(F f) {
  if constexpr (I < N) {
    f.template operator()<I>();
    ForTiles<N, I + 1>(f);
  }
}

}  // namespace
}  // namespace atb::kernels::amx
