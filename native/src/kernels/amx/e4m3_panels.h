#pragma once
// What the products with weights of e4m3 share: their scratch, and panels side by side. Included by e4m3_gemm.cpp
// alone; everything has internal linkage.
#include "kernels/simd/e4m3_gemm.h"
#include "kernels/amx/e4m3_tiles.h"
#include "kernels/amx/gemm_tiles.h"
#include "kernels/amx/kernels.h"

namespace atb::kernels::amx {
namespace {

using simd::Scales;

/// Channels of a pair of panels that are widened at once: 128 KB of tiles, which stay in L2 beside the activations.
constexpr int64_t kSliceChannels = 2048;
/// Activations that stay in L2, rows x channels of bf16.
constexpr int64_t kBlockBytes = 1024 * 1024;
/// Panels and row pairs whose sums are kept from one slice to the next.
constexpr int64_t kKeptPanels = 32;
constexpr int64_t kKeptPairs = 8;
/// Tiles that few rows widen ahead of their use, and the ring of tiles that they go to. One tile ahead leaves the tile
/// unit waiting for stores; a larger ring only takes more of L1.
constexpr int64_t kAhead = 2;
constexpr int64_t kRing = 4;
/// Panels that up to 16 rows multiply side by side, as tiles and as vectors.
constexpr int64_t kTilePanels = 2;
constexpr int64_t kNarrowPanels = kE4M3Streams;

using PairSums = float[2][kPairRows][kPanelColumns];

struct alignas(64) Scratch {
  std::byte tiles[2][kSliceChannels / kTileK][kTileBytes];
  PairSums totals[kKeptPanels / 2][kKeptPairs];
  PairSums group[2];  ///< The sums of two groups of channels in turn.
  float scales[kNarrowPanels][kPanelColumns];
  std::byte ring[kTilePanels][kRing][kTileBytes];
  float narrow_sums[kNarrowPanels][kTileRows][kPanelColumns];
  float narrow_totals[kNarrowPanels][kTileRows][kPanelColumns];
  float x[2][kSliceChannels];  ///< Activations of one or two rows.
  uint16_t tail[kPairRows][kTileK];
};

/// The panels of a pair and the activations of some rows.
struct Pair {
  const GemmCall& call;
  simd::ScaleGroups groups;
  int64_t panel;
  int64_t panels;
  Scales scales;

  Pair(const GemmCall& c, int64_t first, int64_t end, Scratch& scratch, int64_t most = 2)
      : call(c), groups(*c.weight), panel(first), panels(Min(most, end - first)),
        scales(Scales::Of<Vec>(*c.weight, groups.count, first, panels, scratch.scales[0])) {}

  /// Sixteen scales of a group, for sums of what the tiles hold.
  Vec Scale(int64_t p, int64_t group) const {
    return scales.At<Vec>(p, group) * Vec::Set1(1 / kWidenedFraction);
  }
  /// Fetches the scales that are needed two groups later: each would be a miss.
  void FetchScales(int64_t group) const {
    for (int64_t p = 0; scales.data && p < panels; ++p)
      __builtin_prefetch(scales.data + p * scales.stride + (group + 2) * kPanelColumns);
  }
  const char* Lines(int64_t p, int64_t channel) const {
    const PackedWeight& weight = *call.weight;
    return static_cast<const char*>(weight.data) + (panel + p) * weight.panel_stride + channel * kPanelColumns;
  }
};

/// The last channels of rows [row, row + rows), padded with zeros to a tile.
void CopyTail(const GemmCall& call, int64_t row, int64_t rows, Scratch& scratch) {
  const int64_t k = call.weight->k, rest = k % kTileK;
  if (rest == 0) return;
  const uint16_t* x = static_cast<const uint16_t*>(call.x) + row * call.x_stride + k - rest;
  for (int64_t r = 0; r < rows; ++r) {
    memset(scratch.tail[r], 0, sizeof scratch.tail[r]);
    memcpy(scratch.tail[r], x + r * call.x_stride, static_cast<size_t>(rest) * 2);
  }
}

}  // namespace
}  // namespace atb::kernels::amx
