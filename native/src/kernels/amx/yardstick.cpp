#include "kernels/amx/kernels.h"
#include "kernels/amx/tiles.h"

namespace atb::kernels::amx {

/// Blocks of 2 x 2 tiles of sums, as products have them: four row pairs times four pairs of panels, 2048 channels each.
/// The sums of each block are stored.
int64_t Yardstick(const void* memory) {
  constexpr int64_t kSteps = 64, kPanel = kSteps * kTileBytes, kPairs = 4, kBlocks = 200;
  static_assert(4 * kPairs * kPanel == kYardstickBytes);
  const char* rows = static_cast<const char*>(memory);
  const char* panels = rows + 2 * kPairs * kPanel;
  alignas(64) float sums[4][kTileRows * 16];
  TileConfig config;
  for (int t = 0; t < 8; ++t) config.Set(t, kTileRows);
  Configure(config);
  for (int64_t block = 0; block < kBlocks; ++block) {
    const char* a = rows + block % kPairs * 2 * kPanel;
    const char* b = panels + block / kPairs % kPairs * 2 * kPanel;
    Zero<0>();
    Zero<1>();
    Zero<2>();
    Zero<3>();
    for (int64_t i = 0; i < kSteps; ++i, a += kTileBytes, b += kTileBytes) {
      LoadTile<4>(a, kTileRowBytes);
      LoadTile<5>(a + kPanel, kTileRowBytes);
      LoadTile<6>(b, kTileRowBytes);
      MultiplyBF16<0, 4, 6>();
      MultiplyBF16<2, 5, 6>();
      LoadTile<7>(b + kPanel, kTileRowBytes);
      MultiplyBF16<1, 4, 7>();
      MultiplyBF16<3, 5, 7>();
    }
    StoreTile<0>(sums[0], kTileRowBytes);
    StoreTile<1>(sums[1], kTileRowBytes);
    StoreTile<2>(sums[2], kTileRowBytes);
    StoreTile<3>(sums[3], kTileRowBytes);
  }
  Release();
  return kBlocks * kSteps * 4 * (2 * 16 * 16 * kTileK);
}

}  // namespace atb::kernels::amx
