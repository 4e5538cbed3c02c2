// Products with bf16 weights through AMX tiles. The loops for many rows, from the outside in (Wide):
//
//   for rows of activations that stay in L2            1 MB of them                   Gemm
//     for 32 panels whose sums are kept together                                      Wide
//       for blocks of up to 2048 channels              one block where k is smaller   Wide
//         for pairs of panels                          16 + 16 columns of the result  Wide
//           for row pairs                              32 rows                        RunPair
//             for steps of 32 channels                 one tile of each panel         PairBlock
//
// Up to 16 rows, or as many at the end, take one tile of rows and all channels in one go (Narrow). Every output element
// is one chain of tdpbf16ps over the input channels in order on either path: f32 sums may be stored and loaded again
// between blocks of channels, which changes no bit.
#include "kernels/simd/gemm.h"
#include "kernels/amx/gemm_tiles.h"
#include "kernels/amx/kernels.h"
#include "kernels/amx/tiles.h"
#include "kernels/avx512/kernels.h"

namespace atb::kernels::amx {
namespace {

/// Panels that up to 16 rows multiply at once. Two streams, each fetched one tile ahead right after a tile was used,
/// reach the whole of the memory's bandwidth; six streams, or fetching before a tile is used, nine tenths.
constexpr int64_t kNarrowPanels = kFloatStreams;

/// Activations that stay in L2 (2 MB) while panels stream past them, two at a time: rows x channels of bf16. So weights
/// are read once for each block of rows, and activations once for each 32 panels. The opposite order takes 4/3 of the
/// time.
constexpr int64_t kBlockBytes = 1024 * 1024;
constexpr int64_t kBlockChannels = 2048;
/// Rows and panels whose sums are kept when the channels take several blocks.
constexpr int64_t kKeptRows = 256;
constexpr int64_t kKeptPanels = 32;

struct Scratch {
  /// Sums [2 panels][32 rows][16] of each pair of panels and each row pair. Where the channels are one block, all use
  /// the first.
  float c[kKeptPanels / 2][kKeptRows / kPairRows][2][kPairRows][kPanelColumns];
  /// The activations of one of several blocks of channels, as TileCopy leaves them, row pair by row pair.
  alignas(64) char x[kBlockBytes];
  /// The last channels of 32 rows, padded with zeros to a whole tile.
  uint16_t tail[kPairRows][kTileK];
};

/// Rows [row, row + rows) of the call; `scratch` takes the copy.
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

/// Rows [row, row + rows), at most 16 of them.
void Narrow(const GemmCall& call, int64_t row, int64_t rows, int64_t panel_begin, int64_t panel_end, Scratch& scratch) {
  const PackedWeight& weight = *call.weight;
  const char* const panels_at = static_cast<const char*>(weight.data) + panel_begin * weight.panel_stride;
  for (int64_t i = 0; i < 2 * kTileBytes; i += kTileBytes) {
    PrefetchTile(panels_at + i);
    PrefetchTile(panels_at + weight.panel_stride + i);
  }
  TileConfig config;
  for (int tile = 0; tile < 7; ++tile) config.Set(tile, rows);
  config.Set(7, kTileRows);
  Configure(config);
  const Activations a = Rows(call, row, rows, scratch);
  float* c = scratch.c[0][0][0][0];
  DeferredEpilogue pending;
  for (int64_t panel = panel_begin; panel < panel_end; panel += kNarrowPanels) {
    const int64_t panels = Min(kNarrowPanels, panel_end - panel);
    const char* w = static_cast<const char*>(weight.data) + panel * weight.panel_stride;
    (panels == 2 ? NarrowBlock<2> : NarrowBlock<1>)(a, w, weight.panel_stride, c, pending);
    pending.Start(call, row, rows, panel, panels, c);
  }
  pending.Rest();
}

/// Multiplies row pair number `pair` of `pairs`. Many row pairs share the fetching of the two panels at `next` (null:
/// none): for each tile of channels these have 32 cache lines, of which each row pair fetches some that follow each
/// other. One or two row pairs are bound by memory, and fetch their own tiles.
void RunPair(PairCall call, int64_t panels, const char* next, int64_t pair, int64_t pairs, DeferredEpilogue& pending) {
  if (panels == 1) return PairBlock<1, 0>(call, pending);
  if (pairs <= 2) {
    call.next = call.w + 2 * call.panel_stride;
    return PairBlock<2, kOwnTiles>(call, pending);
  }
  const int64_t lines = pairs < 8 ? 8 : pairs < 16 ? 4 : 2;
  const int64_t first = pair * lines;
  if (!next || first >= 32) return PairBlock<2, 0>(call, pending);
  call.next = next + first / 16 * call.panel_stride + first % 16 * 64 * call.whole;
  switch (lines) {
    case 2:
      return PairBlock<2, 2>(call, pending);
    case 4:
      return PairBlock<2, 4>(call, pending);
    default:
      return PairBlock<2, 8>(call, pending);
  }
}

/// Rows and channels of the activations that stay in L2 together.
struct ActivationBlock {
  int64_t rows;
  int64_t channels;
};

ActivationBlock ActivationBlockOf(int64_t k) {
  const int64_t tiles = (k + kTileK - 1) / kTileK;
  const int64_t blocks = (k + kBlockChannels - 1) / kBlockChannels;
  const int64_t channels = (tiles + blocks - 1) / blocks * kTileK;
  const int64_t rows = kBlockBytes / (channels * 2) / kPairRows * kPairRows;
  return {blocks > 1 ? Min(rows, kKeptRows) : rows, channels};
}

/// Rows [row, row + rows) in row pairs: every pair but the last is whole, the last has more than 16 rows.
void Wide(const GemmCall& call, int64_t row, int64_t rows, int64_t panel_begin, int64_t panel_end, Scratch& scratch) {
  const PackedWeight& weight = *call.weight;
  const int64_t pairs = (rows + kPairRows - 1) / kPairRows;
  const bool ragged = rows % kPairRows != 0;
  // A single row pair stays in L2 however many channels it has, and reads its panels in one go.
  const int64_t block = pairs == 1 ? weight.k : ActivationBlockOf(weight.k).channels;
  const bool several = block < weight.k;
  const int64_t out_size = call.out_dtype == DType::kF32 ? 4 : 2;
  DeferredEpilogue pending;
  if (!ragged) ConfigurePair(kPairRows);
  for (int64_t group = panel_begin; group < panel_end; group += kKeptPanels) {
    const int64_t group_end = Min(group + kKeptPanels, panel_end);
    for (int64_t k = 0; k < weight.k; k += block) {
      const int64_t channels = Min(block, weight.k - k);
      const bool complete = k + channels == weight.k;
      for (int64_t panel = group; panel < group_end; panel += 2) {
        const int64_t panels = Min(2, group_end - panel);
        const char* w = static_cast<const char*>(weight.data) + panel * weight.panel_stride + k / kTileK * kTileBytes;
        const int64_t column = PanelRow(weight, panel);
        const char* next = panel + 4 <= group_end ? w + 2 * weight.panel_stride : nullptr;
        for (int64_t pair = 0; pair < pairs; ++pair) {
          const int64_t first = row + pair * kPairRows;
          const int64_t pair_rows = Min(kPairRows, rows - pair * kPairRows);
          if (ragged && (pair == 0 || pair == pairs - 1)) ConfigurePair(pair_rows);
          const Activations a = Rows(call, first, pair_rows, scratch);
          float* c = several ? scratch.c[(panel - group) / 2][pair][0][0] : scratch.c[0][0][0][0];
          const char* const x = a.x + k * 2;
          char* const tiles = scratch.x + pair * kPairRows * channels * 2;
          const auto at = (first * call.out_stride + column) * out_size;
          const PairCall part{.x = several ? tiles : x,
                              .x_stride = several ? kTileRowBytes : a.stride,
                              .x_step = several ? 2 * kTileBytes : kTileRowBytes,
                              .w = w,
                              .panel_stride = weight.panel_stride,
                              .whole = channels / kTileK,
                              .tail = channels % kTileK ? a.tail : nullptr,
                              .resume = k > 0,
                              .c = c,
                              .out = static_cast<const char*>(call.out) + at,
                              .residual = call.residual ? static_cast<const char*>(call.residual) + at : nullptr,
                              .out_bytes = call.out_stride * out_size,
                              .out_rows = complete ? pair_rows : 0,
                              .next = nullptr,
                              .copy = {several && panel == group ? x : nullptr, a.stride, pair_rows, tiles},
                              .next_x = panel == group && pair + 1 < pairs ? x + kPairRows * a.stride : nullptr,
                              .next_x_stride = a.stride};
          RunPair(part, panels, next, pair, pairs, pending);
          if (complete) pending.Start(call, first, pair_rows, panel, panels, c);
        }
      }
    }
  }
  pending.Rest();
}

}  // namespace

static_assert(sizeof(Scratch) <= kGemmScratchBytes && avx512::kGemmScratchBytes <= kGemmScratchBytes);

void Gemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* memory) {
  switch (call.weight->format) {
    case WeightFormat::kI8:
    case WeightFormat::kI4:
    case WeightFormat::kE2M1:
      return IntegerGemm(call, panel_begin, panel_end, memory);
    case WeightFormat::kE4M3:
      return E4M3Gemm(call, panel_begin, panel_end, memory);
    case WeightFormat::kF32:
    case WeightFormat::kF16:
      return avx512::Gemm(call, panel_begin, panel_end, memory);
    case WeightFormat::kBF16:
      break;
  }
  Scratch& scratch = *static_cast<Scratch*>(memory);
  const int64_t rest = call.m % kPairRows;
  const int64_t narrow = rest <= kTileRows ? rest : 0;  // 16 rows or fewer at the end do not fill a pair of tiles.
  const int64_t wide = call.m - narrow;
  const int64_t block = ActivationBlockOf(call.weight->k).rows;
  for (int64_t row = 0; row < wide; row += block) {
    Wide(call, row, Min(block, wide - row), panel_begin, panel_end, scratch);
  }
  if (narrow) Narrow(call, wide, narrow, panel_begin, panel_end, scratch);
  Release();
}

}  // namespace atb::kernels::amx
