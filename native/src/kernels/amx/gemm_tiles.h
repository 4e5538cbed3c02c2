#pragma once
// The innermost loops of a product with bf16 weights: a few rows times one or two panels. Included by gemm.cpp and
// e4m3_panels.h alone; everything has internal linkage.
#include "kernels/simd/gemm.h"
#include "kernels/amx/tiles.h"
#include "kernels/avx512/vec.h"

namespace atb::kernels::amx {
namespace {

using avx512::Vec;
using simd::Min;

/// Rows of a row pair: two tiles of rows.
constexpr int64_t kPairRows = 2 * kTileRows;

/// Activations of some rows: all whole tiles of 32 channels where they lie, the channels that are left in a copy.
struct Activations {
  const char* x;
  int64_t stride;  ///< Bytes.
  int64_t whole;   ///< Tiles of 32 channels that x has completely.
  const char* tail;  ///< The last channels, padded with zeros to a tile, rows 64 bytes apart.
};

/// The epilogue of some rows and panels. It is done while the next tiles are multiplied, some rows at each step, where
/// it takes hardly any time: tiles wait for tiles, or for memory.
class DeferredEpilogue {
 public:
  /// Takes rows [row, row + rows) of `panels` panels. c, [2][32][16], holds the sums of the panels.
  void Start(const GemmCall& call, int64_t row, int64_t rows, int64_t panel, int64_t panels, const float* c) {
    const float* second = c + kPairRows * kPanelColumns;
    parts_[0] = simd::Epilogue<Vec>(call, row, rows, panel, c, second);
    if (panels == 2 && !call.gated) parts_[1] = simd::Epilogue<Vec>(call, row, rows, panel + 1, second, second);
  }

  /// Chooses the rows of a step so that `steps` steps finish all.
  void Spread(int64_t steps) {
    const int64_t rows = parts_[0].left() + parts_[1].left();
    rows_ = steps > 0 ? (rows + steps - 1) / steps : rows;
    // SwiGLU takes two rows at least, since the constants of its polynomial are loaded once for both.
    if (parts_[1].left() == 0 && rows_ < 2) rows_ = 2;
  }

  /// The rows of one step.
  void Step() {
    for (simd::Epilogue<Vec>& part : parts_) {
      if (part.left() > 0) return part.Some(Min(rows_, part.left()));
    }
  }

  /// All rows that are left.
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

/// c[p] = up to 16 rows times panel p of P panels, with the epilogue of earlier sums between the steps. Each weight
/// tile is fetched when the one before it has been used; behind the last one that is the first tile of the panels that
/// follow.
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

// --- 17 to 32 rows, a row pair: tiles 0-3 accumulate 2 row tiles x 2 panels, 4-5 hold activations, 6-7 weights, as
// integer_steps.h draws it. ---

/// Shapes the tiles for `rows` rows.
inline void ConfigurePair(int64_t rows) {
  TileConfig config;
  for (int tile = 0; tile < 8; ++tile) config.Set(tile, kTileRows);
  config.Set(2, rows - kTileRows);
  config.Set(3, rows - kTileRows);
  config.Set(5, rows - kTileRows);
  Configure(config);
}

/// Copies the rows of a row pair, so that the 32 lines of a tile of channels follow each other: rows 16 KB apart share
/// a few sets of L1, and of L2 where pages are large.
struct TileCopy {
  const char* from;  ///< Null: nothing is copied.
  int64_t stride;    ///< Bytes.
  int64_t rows;
  char* to;

  /// The lines of one tile of channels.
  ATB_INLINE void Copy(int64_t tile) const {
    const char* row = from + tile * kTileRowBytes;
    char* const lines = to + tile * 2 * kTileBytes;
    for (int64_t r = 0; r < rows; ++r, row += stride)
      _mm512_store_si512(lines + r * kTileRowBytes, _mm512_loadu_si512(row));
  }
};
/// Tiles that are copied before they are multiplied. One tile ahead would leave the tile unit waiting for stores.
constexpr int64_t kCopiedAhead = 2;

/// One row pair times two panels, or one.
struct PairCall {
  const char* x;
  int64_t x_stride;  ///< Bytes from a row to the next one.
  int64_t x_step;    ///< Bytes from a tile of channels to the next one.
  const char* w;
  int64_t panel_stride;
  int64_t whole;     ///< Tiles of channels that x has completely.
  const char* tail;  ///< One more tile of channels, rows 64 bytes apart, or null.
  bool resume;       ///< c holds the sums of the channels before.
  float* c;          ///< [P][32][16]
  const char* out;   ///< Where the results will go, rows out_bytes apart.
  const char* residual;  ///< What will be added to them, rows as far apart; or null.
  int64_t out_bytes;
  int64_t out_rows;  ///< 0 while there are more channels to come.
  const char* next;  ///< Cache lines of the panels to come: see kLines.
  TileCopy copy;     ///< What makes x, a little ahead of its use.
  /// The activations of the next row pair, which are fetched into L2 while the first panels are multiplied; or null.
  const char* next_x;
  int64_t next_x_stride;
};

/// In place of kLines: each step fetches the next step's tiles into L1; the last step fetches the tiles at `next`.
constexpr int kOwnTiles = -1;

/// Multiplies P panels; `pending` is what is left to do of earlier sums. Each step fetches kLines cache lines at `next`
/// into L2. It does so after it has loaded its own tiles, since cache lines on their way from memory would hold these
/// up.
template <int P, int kLines>
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
    if constexpr (kLines == kOwnTiles) PrefetchTile(near);
    MultiplyBF16<0, 4, 6>();
    MultiplyBF16<2, 5, 6>();
    if constexpr (P == 2) {
      LoadTile<7>(w + stride, kTileRowBytes);
      if constexpr (kLines == kOwnTiles) PrefetchTile(near + stride);
      MultiplyBF16<1, 4, 7>();
      MultiplyBF16<3, 5, 7>();
    }
    if constexpr (kLines > 0) {
#pragma GCC unroll 8
      for (int i = 0; i < kLines; ++i) __builtin_prefetch(next + i * 64, 0, 2);
      next += kLines * 64;
    }
  };
  const char* x = call.x;
  const char* w = call.w;
  const char* next_x = call.next_x;
  for (int64_t t = 0; call.copy.from && t < Min(kCopiedAhead, call.whole); ++t) call.copy.Copy(t);
  pending.Spread(call.whole);
  for (int64_t t = 0; t < call.whole; ++t, x += call.x_step, w += kTileBytes) {
    if (next_x) {
#pragma GCC unroll 8
      for (int64_t r = 0; r < kPairRows; ++r) __builtin_prefetch(next_x + r * call.next_x_stride, 0, 2);
      next_x += kTileRowBytes;
    }
    // The results go to one or two cache lines of each row. Were these misses when they are written, they would take a
    // twentieth of the time; a residual's, a seventh of that of 2048 channels.
    if (t < call.out_rows) {
      PrefetchForWrite(call.out + t * call.out_bytes);
      if (call.residual) __builtin_prefetch(call.residual + t * call.out_bytes);
    }
    step(x, call.x_stride, w);
    if (call.copy.from && t + kCopiedAhead < call.whole) call.copy.Copy(t + kCopiedAhead);
    pending.Step();
  }
  if (call.tail) step(call.tail, kTileRowBytes, w);
  pending.Rest();
  StoreTile<0>(c, kTileRowBytes);
  StoreTile<2>(c + kTileFloats, kTileRowBytes);
  if constexpr (P == 2) StoreTile<1>(c + 2 * kTileFloats, kTileRowBytes);
  if constexpr (P == 2) StoreTile<3>(c + 3 * kTileFloats, kTileRowBytes);
}

}  // namespace
}  // namespace atb::kernels::amx
