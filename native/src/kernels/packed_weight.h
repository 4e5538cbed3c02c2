#pragma once
#include <cstdint>

#include "tensor/dtype.h"

namespace atb::kernels {

/// Output columns of one panel: one AVX-512 register of f32, one AMX tile of columns.
constexpr int64_t kPanelColumns = 16;
/// Input channels of one bf16 tile: 16 rows of K-pairs, 1 KB, one AMX B tile.
constexpr int64_t kTileK = 32;

/// How the panels of a packed weight hold its numbers. n is padded to whole panels and k as stated, with zeros.
enum class WeightFormat : uint8_t {
  /// bf16 [n/16][k/32][16 k-pairs][16 columns][2]: an AMX tile per 1 KB; k padded to 32.
  kBF16,
  /// f32 [n/16][k][16 columns].
  kF32,
  /// f16 [n/16][k][16 columns].
  kF16,
};

/// A linear's weight [n, k], repacked once into column panels. Plain data: kernels and the loader share it.
struct PackedWeight {
  WeightFormat format;
  int64_t n;             ///< Output features.
  int64_t k;             ///< Input features.
  int64_t panels;        ///< ceil(n / 16); of an interleaved weight 2 * ceil(n / 2 / 16).
  int64_t panel_stride;  ///< Bytes from one panel to the next.
  const void* data;      ///< 64-byte aligned.
  bool interleaved;      ///< Panels alternate between rows [0, n/2) and [n/2, n) (gate, up), for a fused SwiGLU.
};

}  // namespace atb::kernels
