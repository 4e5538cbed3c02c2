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

/// Panels that up to 32 rows multiply at once. Two streams, each fetched one tile ahead right after a tile was used,
/// reach the whole of the memory's bandwidth; six, or fetching before a tile is used, nine tenths.
constexpr int64_t kNarrowPanels = kFloatStreams;

/// Rows of a pair of tiles.
constexpr int64_t kPairRows = 32;
/// Activations that stay in L2 (2 MB) while panels stream past them, two at a time: rows x channels of bf16. Weights
/// are read once per block of rows, activations once per group of panels; this takes 3/4 of the time of the opposite
/// order.
constexpr int64_t kBlockBytes = 1024 * 1024;
constexpr int64_t kBlockChannels = 2048;
/// Rows and panels whose accumulators are kept when the channels take several blocks.
constexpr int64_t kKeptRows = 256;
constexpr int64_t kKeptPanels = 32;

struct Scratch {
  /// Accumulators [2 panels][32 rows][16] of each pair of panels and of rows; without several blocks only the first
  /// two, in turn.
  float c[kKeptPanels / 2][kKeptRows / kPairRows][2][kPairRows][kPanelColumns];
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

/// The epilogue of one block, which is done between the tiles of the next: there it takes hardly any time, because
/// tiles wait for tiles, or for memory.
class DeferredEpilogue {
 public:
  /// Rows of `panels` panels; c holds one panel's sums after the other's.
  void Start(const GemmCall& call, int64_t row, int64_t rows, int64_t panel, int64_t panels, const float* c) {
    const float* second = c + kPairRows * kPanelColumns;
    parts_[0] = simd::Epilogue<Vec>(call, row, rows, panel, c, second);
    if (panels == 2 && !call.swiglu) parts_[1] = simd::Epilogue<Vec>(call, row, rows, panel + 1, second, second);
  }

  /// Rows at a time so that `steps` steps do all.
  void Spread(int64_t steps) {
    const int64_t rows = parts_[0].left() + parts_[1].left();
    rows_ = steps > 0 ? (rows + steps - 1) / steps : rows;
    // Of SwiGLU two at least: its polynomial is loaded once for both.
    if (parts_[1].left() == 0 && rows_ < 2) rows_ = 2;
  }

  void Step() {
    for (simd::Epilogue<Vec>& part : parts_) {
      if (part.left() > 0) return part.Some(Min(rows_, part.left()));
    }
  }

  void Rest() {
    for (simd::Epilogue<Vec>& part : parts_) {
      if (part.left() > 0) part.Some(part.left());
    }
  }

 private:
  simd::Epilogue<Vec> parts_[2];
  int64_t rows_ = 0;
};

// --- Up to 16 rows: tiles 0 and 1 accumulate one panel each, 6 holds activations, 7 weights. ---

/// P panels. Those behind them are fetched at last, so that they do not start cold.
template <int P>
void NarrowBlock(const Activations& a, const char* w, int64_t panel_stride, float* c, DeferredEpilogue& pending) {
  ForTiles<P>([]<int I>() { Zero<I>(); });
  const char* const last = w + panel_stride - kTileBytes;
  const auto step = [=](const char* x, int64_t stride, const char* tile) {
    const char* const next = tile == last ? w + P * panel_stride : tile + kTileBytes;
    LoadTile<6>(x, stride);
    ForTiles<P>([=]<int I>() {
      LoadTile<7>(tile + I * panel_stride, kTileRowBytes);
      MultiplyBF16<I, 6, 7>();
      PrefetchTile(next + I * panel_stride);
    });
  };
  pending.Spread(a.whole);
  for (int64_t t = 0; t < a.whole; ++t) {
    step(a.x + t * kTileRowBytes, a.stride, w + t * kTileBytes);
    pending.Step();
  }
  if (w + a.whole * kTileBytes <= last) step(a.tail, kTileRowBytes, last);
  pending.Rest();
  ForTiles<P>([=]<int I>() { StoreTile<I>(c + I * kPairRows * kPanelColumns, kTileRowBytes); });
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

// --- 17 to 32 rows at a time: tiles 0-3 accumulate 2 row tiles x 2 panels, 4-5 hold activations, 6-7 weights. ---

struct PairCall {
  const char* x;
  int64_t x_stride;
  const char* w;
  int64_t panel_stride;
  int64_t whole;     ///< Tiles of channels that x has completely.
  const char* tail;  ///< One more, or null.
  bool resume;       ///< c holds the sum of the channels before.
  float* c;          ///< [P][32][16]
  const char* out;   ///< Where the sums will go, rows out_bytes apart.
  int64_t out_bytes;
  int64_t out_rows;  ///< 0 while there are more channels to come.
  const char* next;  ///< Lines of the weights to come: see L.
  /// The next pair's activations, which are fetched into L2 where nobody has used them yet; or null.
  const char* next_x;
};

/// In place of L: fetch the panels themselves, a tile ahead, into L1; behind the last tile those at `next`.
constexpr int kNear = -1;

/// One panel when P is 1. Each step fetches L lines at `next` into L2, after its own tiles: lines from afar would hold
/// those up.
template <int P, int L>
void PairBlock(const PairCall& call, DeferredEpilogue& pending) {
  constexpr int64_t kTileFloats = kTileRows * kPanelColumns;
  float* const c = call.c;
  if (call.resume) {
    LoadTile<0>(c, kTileRowBytes);
    LoadTile<2>(c + kTileFloats, kTileRowBytes);
    if constexpr (P == 2) LoadTile<1>(c + 2 * kTileFloats, kTileRowBytes);
    if constexpr (P == 2) LoadTile<3>(c + 3 * kTileFloats, kTileRowBytes);
  } else {
    ForTiles<4>([]<int I>() { Zero<I>(); });
  }
  const char* const last = call.w + (call.whole + (call.tail != nullptr) - 1) * kTileBytes;
  const char* next = call.next;
  const auto step = [stride = call.panel_stride, last, &next](const char* x, int64_t x_stride, const char* w) {
    const char* const near = w == last ? next : w + kTileBytes;
    LoadTile<4>(x, x_stride);
    LoadTile<5>(x + kTileRows * x_stride, x_stride);
    LoadTile<6>(w, kTileRowBytes);
    if constexpr (L == kNear) PrefetchTile(near);
    MultiplyBF16<0, 4, 6>();
    MultiplyBF16<2, 5, 6>();
    if constexpr (P == 2) {
      LoadTile<7>(w + stride, kTileRowBytes);
      if constexpr (L == kNear) PrefetchTile(near + stride);
      MultiplyBF16<1, 4, 7>();
      MultiplyBF16<3, 5, 7>();
    }
    if constexpr (L > 0) {
#pragma GCC unroll 8
      for (int i = 0; i < L; ++i) __builtin_prefetch(next + i * 64, 0, 2);
      next += L * 64;
    }
  };
  const char* x = call.x;
  const char* w = call.w;
  const char* next_x = call.next_x;
  pending.Spread(call.whole);
  for (int64_t t = 0; t < call.whole; ++t, x += kTileRowBytes, w += kTileBytes) {
    if (next_x) {
#pragma GCC unroll 8
      for (int64_t r = 0; r < kPairRows; ++r) __builtin_prefetch(next_x + r * call.x_stride, 0, 2);
      next_x += kTileRowBytes;
    }
    // The lines that the sums go to are a row apart, each a miss: a twentieth of the time, were they fetched then.
    if (t < call.out_rows) PrefetchForWrite(call.out + t * call.out_bytes);
    step(x, call.x_stride, w);
    pending.Step();
  }
  if (call.tail) step(call.tail, kTileRowBytes, w);
  pending.Rest();
  StoreTile<0>(c, kTileRowBytes);
  StoreTile<2>(c + kTileFloats, kTileRowBytes);
  if constexpr (P == 2) StoreTile<1>(c + 2 * kTileFloats, kTileRowBytes);
  if constexpr (P == 2) StoreTile<3>(c + 3 * kTileFloats, kTileRowBytes);
}

/// Runs the block of row pair `pair` of `pairs`. Many pairs share the fetching of the two panels at `next` (null:
/// none): 32 lines for each tile of channels, each pair a run of lines that follow each other. One or two are bound by
/// the memory themselves.
void RunPair(PairCall call, int64_t panels, const char* next, int64_t pair, int64_t pairs, DeferredEpilogue& pending) {
  if (panels == 1) return PairBlock<1, 0>(call, pending);
  if (pairs <= 2) {
    call.next = call.w + 2 * call.panel_stride;
    return PairBlock<2, kNear>(call, pending);
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

void ConfigurePair(int64_t rows) {
  TileConfig config;
  for (int tile = 0; tile < 8; ++tile) config.Set(tile, kTileRows);
  config.Set(2, rows - kTileRows);
  config.Set(3, rows - kTileRows);
  config.Set(5, rows - kTileRows);
  Configure(config);
}

/// Rows and channels of one block of activations.
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

/// Rows [row, row + rows) in pairs of row tiles: every pair but the last is whole, the last has more than 16 rows.
void Wide(const GemmCall& call, int64_t row, int64_t rows, int64_t panel_begin, int64_t panel_end, Scratch& scratch) {
  const PackedWeight& weight = *call.weight;
  const int64_t pairs = (rows + kPairRows - 1) / kPairRows;
  const bool ragged = rows % kPairRows != 0;
  // One pair of row tiles stays in L2 whatever its channels, and reads its panels in one go.
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
          const PairCall part{.x = x,
                              .x_stride = a.stride,
                              .w = w,
                              .panel_stride = weight.panel_stride,
                              .whole = channels / kTileK,
                              .tail = channels % kTileK ? a.tail : nullptr,
                              .resume = k > 0,
                              .c = c,
                              .out = static_cast<const char*>(call.out) + (first * call.out_stride + column) * out_size,
                              .out_bytes = call.out_stride * out_size,
                              .out_rows = complete ? pair_rows : 0,
                              .next = nullptr,
                              .next_x = panel == group && pair + 1 < pairs ? x + kPairRows * a.stride : nullptr};
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
  if (call.weight->format == WeightFormat::kI8 || call.weight->format == WeightFormat::kI4)
    return IntegerGemm(call, panel_begin, panel_end, memory);
  if (call.weight->format != WeightFormat::kBF16) return avx512::Gemm(call, panel_begin, panel_end, memory);
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
