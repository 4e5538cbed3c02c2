#include "kernels/simd/gemm.h"
#include "kernels/amx/kernels.h"
#include "kernels/amx/tiles.h"
#include "kernels/avx512/kernels.h"
#include "kernels/avx512/vec.h"

namespace atb::kernels::amx {
namespace {

using avx512::Vec;
using simd::Min;

// Every output element is one chain of tdpbf16ps over the input channels in order, on all of the paths below: f32
// accumulators may be stored and reloaded between blocks of channels, which changes no bit.

/// Panels that a few rows multiply at once: six accumulators, one tile of activations, one of weights. One stream of
/// weights reaches 60 % of the memory's bandwidth, six with a prefetch all of it (perf: streams).
constexpr int64_t kNarrowPanels = kGemmStreams;
constexpr int64_t kPrefetchBytes = 1024;
/// Panels that stay in L2 while all rows pass by, and channels of them: 8 * 4096 * 32 bytes are 1 MB of 2.
constexpr int64_t kWidePanels = 8;
constexpr int64_t kWideChannels = 4096;
/// Rows of a pair of tiles, and rows whose accumulators are kept between blocks of channels.
constexpr int64_t kPairRows = 32;
constexpr int64_t kKeptRows = 512;

struct Scratch {
  /// Accumulators of row pairs: [2 panels][32 rows][16].
  float c[kWidePanels / 2][kKeptRows / kPairRows][2][kPairRows][kPanelColumns];
  /// The last channels of 32 rows, padded with zeros to a whole tile.
  uint16_t tail[kPairRows][kTileK];
};

/// Activations of a block of rows: whole tiles where they are, the rest in the scratch.
struct Activations {
  const char* x;
  int64_t stride;  ///< Bytes.
  int64_t whole;   ///< Tiles of 32 channels that x has completely.
  const char* tail;
};

Activations Rows(const GemmCall& call, int64_t row, int64_t rows, Scratch& scratch) {
  const int64_t k = call.weight->k;
  const int64_t rest = k % kTileK;
  const uint16_t* x = static_cast<const uint16_t*>(call.x) + row * call.x_stride;
  for (int64_t r = 0; rest && r < rows; ++r) {
    memset(scratch.tail[r], 0, sizeof scratch.tail[r]);
    memcpy(scratch.tail[r], x + r * call.x_stride + k - rest, static_cast<size_t>(rest) * 2);
  }
  return {reinterpret_cast<const char*>(x), call.x_stride * 2, k / kTileK, reinterpret_cast<const char*>(scratch.tail)};
}

inline void PrefetchTile(const char* tile) {
#pragma GCC unroll 16
  for (int64_t i = 0; i < kTileBytes; i += 64) __builtin_prefetch(tile + i);
}

// --- Up to 16 rows: tiles 0-5 accumulate one panel each, 6 holds activations, 7 weights. ---

template <int P, int I = 0, typename F>
inline void ForTiles(F f) {
  if constexpr (I < P) {
    f.template operator()<I>();
    ForTiles<P, I + 1>(f);
  }
}

template <int P>
void NarrowBlock(const Activations& a, const char* w, int64_t panel_stride, float* c) {
  ForTiles<P>([]<int I>() { Zero<I>(); });
  const auto step = [=](const char* x, int64_t stride, const char* tile) {
    LoadTile<6>(x, stride);
    ForTiles<P>([=]<int I>() {
      const char* from = tile + I * panel_stride;
      PrefetchTile(from + kPrefetchBytes);
      LoadTile<7>(from, kTileRowBytes);
      MultiplyBF16<I, 6, 7>();
    });
  };
  int64_t t = 0;
  for (; t < a.whole; ++t) step(a.x + t * kTileRowBytes, a.stride, w + t * kTileBytes);
  if (t * kTileBytes < panel_stride) step(a.tail, kTileRowBytes, w + t * kTileBytes);
  ForTiles<P>([=]<int I>() { StoreTile<I>(c + I * kPairRows * kPanelColumns, kTileRowBytes); });
}

void NarrowPanels(int64_t panels, const Activations& a, const char* w, int64_t panel_stride, float* c) {
  switch (panels) {
    case 1:
      return NarrowBlock<1>(a, w, panel_stride, c);
    case 2:
      return NarrowBlock<2>(a, w, panel_stride, c);
    case 3:
      return NarrowBlock<3>(a, w, panel_stride, c);
    case 4:
      return NarrowBlock<4>(a, w, panel_stride, c);
    case 5:
      return NarrowBlock<5>(a, w, panel_stride, c);
    default:
      return NarrowBlock<6>(a, w, panel_stride, c);
  }
}

/// Rows [row, row + rows), at most 16 of them.
void Narrow(const GemmCall& call, int64_t row, int64_t rows, int64_t panel_begin, int64_t panel_end, Scratch& scratch) {
  const PackedWeight& weight = *call.weight;
  TileConfig config;
  for (int tile = 0; tile < 7; ++tile) config.Set(tile, rows);
  config.Set(7, kTileRows);
  Configure(config);
  const Activations a = Rows(call, row, rows, scratch);
  float* c = scratch.c[0][0][0][0];
  constexpr int64_t kPanelFloats = kPairRows * kPanelColumns;
  for (int64_t panel = panel_begin; panel < panel_end; panel += kNarrowPanels) {
    const int64_t panels = Min(kNarrowPanels, panel_end - panel);
    NarrowPanels(panels, a, static_cast<const char*>(weight.data) + panel * weight.panel_stride, weight.panel_stride,
                 c);
    for (int64_t p = 0; p < panels; p += call.swiglu ? 2 : 1) {
      simd::Finish<Vec>(call, row, rows, panel + p, c + p * kPanelFloats, c + (p + 1) * kPanelFloats, kPanelColumns);
    }
  }
}

// --- 17 to 32 rows at a time: tiles 0-3 accumulate 2 row tiles x 2 panels, 4-5 hold activations, 6-7 weights. ---

/// One panel when P is 1. `c`: [P][32][16], read when `resume`.
template <int P>
void PairBlock(const char* x, int64_t x_stride, const char* w, int64_t panel_stride, int64_t whole, const char* tail,
               bool resume, float* c) {
  constexpr int64_t kTileFloats = kTileRows * kPanelColumns;
  if (resume) {
    LoadTile<0>(c, kTileRowBytes);
    LoadTile<2>(c + kTileFloats, kTileRowBytes);
    if constexpr (P == 2) LoadTile<1>(c + 2 * kTileFloats, kTileRowBytes);
    if constexpr (P == 2) LoadTile<3>(c + 3 * kTileFloats, kTileRowBytes);
  } else {
    ForTiles<4>([]<int I>() { Zero<I>(); });
  }
  const auto step = [=](const char* a, int64_t stride, const char* b) {
    LoadTile<4>(a, stride);
    LoadTile<6>(b, kTileRowBytes);
    MultiplyBF16<0, 4, 6>();
    LoadTile<5>(a + kTileRows * stride, stride);
    MultiplyBF16<2, 5, 6>();
    if constexpr (P == 2) {
      LoadTile<7>(b + panel_stride, kTileRowBytes);
      MultiplyBF16<1, 4, 7>();
      MultiplyBF16<3, 5, 7>();
    }
  };
  for (int64_t t = 0; t < whole; ++t) step(x + t * kTileRowBytes, x_stride, w + t * kTileBytes);
  if (tail) step(tail, kTileRowBytes, w + whole * kTileBytes);
  StoreTile<0>(c, kTileRowBytes);
  StoreTile<2>(c + kTileFloats, kTileRowBytes);
  if constexpr (P == 2) StoreTile<1>(c + 2 * kTileFloats, kTileRowBytes);
  if constexpr (P == 2) StoreTile<3>(c + 3 * kTileFloats, kTileRowBytes);
}

/// Rows [row, row + rows), at most kKeptRows, in pairs of row tiles; every pair but the last is whole, the last has
/// more than 16 rows. Panels [panel, panel + panels), at most kWidePanels.
void WideBlock(const GemmCall& call, int64_t row, int64_t rows, int64_t panel, int64_t panels, Scratch& scratch) {
  const PackedWeight& weight = *call.weight;
  const char* w = static_cast<const char*>(weight.data) + panel * weight.panel_stride;
  for (int64_t k = 0; k < weight.k; k += kWideChannels) {
    const int64_t channels = Min(kWideChannels, weight.k - k);
    const bool last = k + channels == weight.k;
    for (int64_t r = 0; r < rows; r += kPairRows) {
      const int64_t pair_rows = Min(kPairRows, rows - r);
      if (r == 0 || pair_rows < kPairRows) {
        TileConfig config;
        for (int tile = 0; tile < 8; ++tile) config.Set(tile, kTileRows);
        config.Set(2, pair_rows - kTileRows);
        config.Set(3, pair_rows - kTileRows);
        config.Set(5, pair_rows - kTileRows);
        Configure(config);
      }
      const Activations a = Rows(call, row + r, pair_rows, scratch);
      const char* x = a.x + k * 2;
      const char* b = w + k / kTileK * kTileBytes;
      const int64_t whole = channels / kTileK;
      const char* tail = channels % kTileK ? a.tail : nullptr;
      for (int64_t p = 0; p < panels; p += 2) {
        const bool kept = weight.k > kWideChannels;
        float* c = kept ? scratch.c[p / 2][r / kPairRows][0][0] : scratch.c[0][0][0][0];
        const bool two = p + 1 < panels;
        (two ? PairBlock<2> : PairBlock<1>)(x, a.stride, b + p * weight.panel_stride, weight.panel_stride, whole, tail,
                                            k > 0, c);
        if (!last) continue;
        const float* second = c + kPairRows * kPanelColumns;
        simd::Finish<Vec>(call, row + r, pair_rows, panel + p, c, second, kPanelColumns);
        if (two && !call.swiglu) {
          simd::Finish<Vec>(call, row + r, pair_rows, panel + p + 1, second, nullptr, kPanelColumns);
        }
      }
    }
  }
}

}  // namespace

static_assert(sizeof(Scratch) <= kGemmScratchBytes && avx512::kGemmScratchBytes <= kGemmScratchBytes);

void Gemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* memory) {
  if (call.weight->format != WeightFormat::kBF16) return avx512::Gemm(call, panel_begin, panel_end, memory);
  Scratch& scratch = *static_cast<Scratch*>(memory);
  const int64_t rest = call.m % kPairRows;
  const int64_t narrow = rest <= kTileRows ? rest : 0;  // 16 rows or fewer at the end do not fill a pair of tiles.
  for (int64_t panel = panel_begin; panel < panel_end; panel += kWidePanels) {
    const int64_t panels = Min(kWidePanels, panel_end - panel);
    for (int64_t row = 0; row < call.m - narrow; row += kKeptRows) {
      WideBlock(call, row, Min(kKeptRows, call.m - narrow - row), panel, panels, scratch);
    }
    if (narrow && call.m > narrow) Narrow(call, call.m - narrow, narrow, panel, panel + panels, scratch);
  }
  if (call.m == narrow) Narrow(call, 0, narrow, panel_begin, panel_end, scratch);
  Release();
}

}  // namespace atb::kernels::amx
