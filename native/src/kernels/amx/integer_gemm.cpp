#include "kernels/amx/kernels.h"
#include "kernels/amx/tiles.h"
#include "kernels/avx512/integers.h"
#include "kernels/avx512/kernels.h"

// Digits of activations are the rows of A, one tile row for each digit of each row, so that all digits of a row meet a
// weight tile while it is loaded. Sums are exact: tiles and the vector kernel of AVX-512 give the same bits.

namespace atb::kernels::amx {
namespace {

using avx512::Vec;
using simd::Block;
using simd::Blocks;
using simd::Groups;
using simd::Min;
using simd::Scales;

/// Up to so many lines of digits vpdpbusd is the faster way.
constexpr int64_t kVectorLines = 3;

/// Panels that a few lines multiply at once; the same as of bf16.
constexpr int64_t kNarrowPanels = kGemmStreams;
constexpr int64_t kPrefetchBytes = 1024;
/// How far ahead weights are fetched that are read only once or twice.
constexpr int64_t kNearBytes = 4096;

/// Digits that stay in L2 while panels stream past them, two at a time.
constexpr int64_t kBlockBytes = 1024 * 1024;
/// Channels that are multiplied before the next panels come, and then panels whose sums are kept.
constexpr int64_t kChannels = 4096;
constexpr int64_t kKeptPanels = 32;
constexpr int64_t kKeptBlocks = 8;
/// Lines of a block that fill two tiles.
constexpr int64_t kPairLines = 2 * kTileRows;
/// Integers or floats of a tile.
constexpr int64_t kTileSize = kTileRows * kPanelColumns;

using Sums = int32_t[2][kPairLines][kPanelColumns];

struct alignas(64) Scratch {
  /// Of each pair of panels and block, while channels take several turns: sums of digits, or of a grouped weight the
  /// f32 sums of groups.
  int32_t kept[kKeptPanels / 2][kKeptBlocks][2][kPairLines][kPanelColumns];
  /// Of one group.
  int32_t sums[kNarrowPanels][kTileRows][kPanelColumns];
  float c[kNarrowPanels][kTileRows][kPanelColumns];
  /// Of multiplied groups.
  int32_t totals[kNarrowPanels][kTileRows][kPanelColumns];
  float scales[kNarrowPanels][kPanelColumns];
  /// Weights of kI4 as bytes.
  int8_t tiles[2 * kChannels * kPanelColumns];
};

/// Bytes of 64 channels of a panel.
int64_t TileBytes(WeightFormat format) { return format == WeightFormat::kI4 ? kTileBytes / 2 : kTileBytes; }

/// Makes bytes, sixteenfold, out of `lines` lines of int4: each is two rows of a tile.
inline void Expand(const char* from, int64_t lines, int8_t* to) {
  const __m512i upper = _mm512_set1_epi8(-16);
  for (int64_t i = 0; i < lines; ++i, from += 64, to += 128) {
    __builtin_prefetch(from + kPrefetchBytes);
    const __m512i both = _mm512_loadu_si512(from);
    _mm512_store_si512(to, _mm512_and_si512(_mm512_slli_epi16(both, 4), upper));
    _mm512_store_si512(to + 64, _mm512_and_si512(both, upper));
  }
}

/// The multipliers of a panel: those of group g, which is `halves` halves of tiles, are sixteen at data + g * 16.
struct Multipliers {
  const int8_t* data;
  int64_t halves;
  int64_t groups;
};

/// Makes the bytes that int4 times their multipliers are, out of `halves` halves of tiles from the one of number
/// `first` on.
inline void ExpandMultiplied(const char* from, int64_t first, int64_t halves, const Multipliers& multipliers,
                             int8_t* to) {
  const __m512i upper = _mm512_set1_epi16(-4096), low_byte = _mm512_set1_epi16(0xFF);
  for (int64_t half = first; half < first + halves; ++half) {
    const int64_t group = Min(half / multipliers.halves, multipliers.groups - 1);  // Padding belongs to the last one.
    const auto* at = reinterpret_cast<const __m128i*>(multipliers.data + group * kPanelColumns);
    const __m512i wide = _mm512_cvtepi8_epi32(_mm_loadu_si128(at));
    // Each column's multiplier in both of its words, times 16: an int4 in the uppermost bits of a word times that is
    // the product times 65536.
    const __m512i both =
        _mm512_or_si512(_mm512_slli_epi32(wide, 16), _mm512_and_si512(wide, _mm512_set1_epi32(0xFFFF)));
    const __m512i factor = _mm512_slli_epi16(both, 4);
    for (int64_t line = 0; line < kTileRows / 4; ++line, from += 64, to += 128) {
      __builtin_prefetch(from + kPrefetchBytes);
      const __m512i x = _mm512_loadu_si512(from);
      const __m512i even[] = {_mm512_slli_epi16(x, 12), _mm512_and_si512(_mm512_slli_epi16(x, 8), upper)};
      const __m512i odd[] = {_mm512_and_si512(_mm512_slli_epi16(x, 4), upper), _mm512_and_si512(x, upper)};
      for (int i = 0; i < 2; ++i) {
        const __m512i low = _mm512_mulhi_epi16(even[i], factor);
        const __m512i high = _mm512_slli_epi16(_mm512_mulhi_epi16(odd[i], factor), 8);
        // low_byte ? low : high, bit by bit.
        _mm512_store_si512(to + i * 64, _mm512_ternarylogic_epi32(low_byte, low, high, 0xCA));
      }
    }
  }
}

/// totals[line] += multipliers * the sums of a group, which are sixteenfold.
inline void AddMultiplied(const int32_t (*sums)[kPanelColumns], int64_t lines, const int8_t* multipliers,
                          int32_t (*totals)[kPanelColumns]) {
  const __m512i multiplier = _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(multipliers)));
  for (int64_t i = 0; i < lines; ++i) {
    const __m512i product = _mm512_mullo_epi32(_mm512_srai_epi32(_mm512_load_si512(sums[i]), 4), multiplier);
    _mm512_store_si512(totals[i], _mm512_add_epi32(_mm512_load_si512(totals[i]), product));
  }
}

/// c[r] += the rows of a panel's sums of digits over one group.
template <int Planes>
inline void AddGroupOf(const int32_t (*sums)[kPanelColumns], int64_t rows, Vec scale, float (*c)[kPanelColumns]) {
  for (int64_t r = 0; r < rows; ++r) {
    __m512i digits[Planes];
    for (int plane = 0; plane < Planes; ++plane) digits[plane] = _mm512_load_si512(sums[plane * rows + r]);
    Fma(avx512::Join<Planes>(digits), scale, Vec::Load(c[r])).Store(c[r]);
  }
}

/// The only group, and the rows' scales.
template <int Planes>
inline void ScaleOf(const int32_t (*sums)[kPanelColumns], int64_t rows, Vec scale, const float* row_scales,
                    float factor, float (*c)[kPanelColumns]) {
  for (int64_t r = 0; r < rows; ++r) {
    __m512i digits[Planes];
    for (int plane = 0; plane < Planes; ++plane) digits[plane] = _mm512_load_si512(sums[plane * rows + r]);
    const Vec value = Fma(avx512::Join<Planes>(digits), scale, Vec::Zero());
    (value * Vec::Set1(row_scales[r] * factor)).Store(c[r]);
  }
}

inline void Scale(const GemmCall& call, const Block& block, const int32_t (*sums)[kPanelColumns], const float* scales,
                  float (*c)[kPanelColumns]) {
  const Vec scale = Vec::Load(scales);
  const float factor = simd::FormatFactor(*call.weight);
  const float* rows = call.x_scales + block.row;
  if (call.planes == 1) return ScaleOf<1>(sums, block.rows, scale, rows, factor, c);
  if (call.planes == 2) return ScaleOf<2>(sums, block.rows, scale, rows, factor, c);
  ScaleOf<3>(sums, block.rows, scale, rows, factor, c);
}

inline void AddGroup(int planes, const int32_t (*sums)[kPanelColumns], int64_t rows, const float* scales,
                     float (*c)[kPanelColumns]) {
  const Vec scale = Vec::Load(scales);
  if (planes == 1) return AddGroupOf<1>(sums, rows, scale, c);
  if (planes == 2) return AddGroupOf<2>(sums, rows, scale, c);
  AddGroupOf<3>(sums, rows, scale, c);
}

template <int P, int I = 0, typename F>
inline void ForTiles(F f) {
  if constexpr (I < P) {
    f.template operator()<I>();
    ForTiles<P, I + 1>(f);
  }
}

/// Where the lines of step s are; a step is one tile of 64 channels, or with Half 32 of them.
template <bool Half>
inline int64_t LinesAt(int64_t s, int64_t stride) {
  return Half ? s / 2 * stride + s % 2 * (kTileRowBytes / 2) : s * stride;
}

/// Steps are halves of tiles where groups do not consist of whole ones.
bool HalfSteps(const PackedWeight& weight) { return weight.group % kIntegerTileK != 0; }

// --- Up to 16 lines: tiles 0-5 accumulate one panel each, 6 holds digits, 7 weights. ---

void ConfigureNarrow(int64_t lines, bool half) {
  const int64_t bytes = half ? kTileRowBytes / 2 : kTileRowBytes;
  TileConfig config;
  for (int tile = 0; tile < 6; ++tile) config.Set(tile, lines);
  config.Set(6, lines, bytes);
  config.Set(7, bytes / 4);
  Configure(config);
}

/// Steps [begin, end) of P panels.
template <int P, bool Four, bool Half>
void NarrowSteps(const Block& block, const char* w, int64_t panel_stride, int64_t begin, int64_t end,
                 Scratch& scratch) {
  constexpr int64_t kStepBytes = kTileBytes / (Four ? 2 : 1) / (Half ? 2 : 1);
  ForTiles<P>([]<int I>() { Zero<I>(); });
  for (int64_t s = begin; s < end; ++s) {
    const char* const from = w + s * kStepBytes;
    ForTiles<P>([&]<int I>() {
      if constexpr (Four) {
        Expand(from + I * panel_stride, kStepBytes / 64, scratch.tiles + I * kTileBytes);
      } else {
#pragma GCC unroll 16
        for (int64_t i = 0; i < kStepBytes; i += 64) __builtin_prefetch(from + I * panel_stride + kPrefetchBytes + i);
      }
    });
    LoadTile<6>(block.x + LinesAt<Half>(s, block.stride), kTileRowBytes);
    ForTiles<P>([&]<int I>() {
      LoadTile<7>(Four ? reinterpret_cast<const char*>(scratch.tiles) + I * kTileBytes : from + I * panel_stride,
                  kTileRowBytes);
      MultiplyI8<I, 6, 7>();
    });
  }
  ForTiles<P>([&]<int I>() { StoreTile<I>(scratch.sums[I], kTileRowBytes); });
}

template <bool Four, bool Half>
void NarrowPanels(int64_t panels, const Block& block, const char* w, int64_t panel_stride, int64_t begin, int64_t end,
                  Scratch& scratch) {
  switch (panels) {
    case 1:
      return NarrowSteps<1, Four, Half>(block, w, panel_stride, begin, end, scratch);
    case 2:
      return NarrowSteps<2, Four, Half>(block, w, panel_stride, begin, end, scratch);
    case 3:
      return NarrowSteps<3, Four, Half>(block, w, panel_stride, begin, end, scratch);
    case 4:
      return NarrowSteps<4, Four, Half>(block, w, panel_stride, begin, end, scratch);
    case 5:
      return NarrowSteps<5, Four, Half>(block, w, panel_stride, begin, end, scratch);
    default:
      return NarrowSteps<6, Four, Half>(block, w, panel_stride, begin, end, scratch);
  }
}

void Narrow(const GemmCall& call, const Block& block, int64_t panel_begin, int64_t panel_end, Scratch& scratch) {
  const PackedWeight& weight = *call.weight;
  const Groups groups(weight);
  const bool four = weight.format == WeightFormat::kI4, half = HalfSteps(weight);
  const int64_t step = half ? kIntegerTileK / 2 : kIntegerTileK;
  const auto multiply = four ? (half ? NarrowPanels<true, true> : NarrowPanels<true, false>)
                             : (half ? NarrowPanels<false, true> : NarrowPanels<false, false>);
  ConfigureNarrow(block.lines, half);
  for (int64_t panel = panel_begin; panel < panel_end; panel += kNarrowPanels) {
    const int64_t panels = Min(kNarrowPanels, panel_end - panel);
    const char* w = static_cast<const char*>(weight.data) + panel * weight.panel_stride;
    const auto scales = Scales::Of<Vec>(weight, groups.count, panel, panels, scratch.scales[0]);
    memset(scratch.c, 0, sizeof scratch.c);
    if (weight.multipliers) memset(scratch.totals, 0, sizeof scratch.totals);
    for (int64_t g = 0; g < groups.count; ++g) {
      const int64_t end = Min((g + 1) * groups.channels, weight.k);
      multiply(panels, block, w, weight.panel_stride, g * groups.channels / step, (end + step - 1) / step, scratch);
      for (int64_t p = 0; p < panels; ++p) {
        if (weight.multipliers) {
          const int8_t* at = weight.multipliers + ((panel + p) * groups.count + g) * kPanelColumns;
          AddMultiplied(scratch.sums[p], block.lines, at, scratch.totals[p]);
        } else {
          AddGroup(call.planes, scratch.sums[p], block.rows, scales.data + p * scales.stride + g * kPanelColumns,
                   scratch.c[p]);
        }
      }
    }
    for (int64_t p = 0; weight.multipliers && p < panels; ++p)
      AddGroup(call.planes, scratch.totals[p], block.rows, scales.data + p * scales.stride, scratch.c[p]);
    for (int64_t p = 0; p < panels; p += call.swiglu ? 2 : 1) {
      float* up = call.swiglu ? scratch.c[p + 1][0] : nullptr;
      simd::FinishInteger<Vec>(call, block.row, block.rows, panel + p, scratch.c[p][0], up);
    }
  }
}

// --- 17 to 32 lines: tiles 0-3 accumulate 2 tiles of lines x 2 panels, 4-5 hold digits, 6-7 weights. ---

void ConfigurePair(int64_t lines, bool half) {
  const int64_t bytes = half ? kTileRowBytes / 2 : kTileRowBytes;
  TileConfig config;
  for (int tile = 0; tile < 4; ++tile) config.Set(tile, tile < 2 ? kTileRows : lines - kTileRows);
  config.Set(4, kTileRows, bytes);
  config.Set(5, lines - kTileRows, bytes);
  config.Set(6, bytes / 4);
  config.Set(7, bytes / 4);
  Configure(config);
}

/// What to fetch while tiles are multiplied: at each step some lines of the next panels into L2, or the weights a
/// little ahead, and a line that results will be written to.
struct Fetch {
  const char* next;
  int64_t lines;
  bool near;
  const char* out;
  int64_t out_bytes;
  int64_t out_rows;
};

/// Adds steps [begin, end) of two panels (one when P is 1) to `sums`, or replaces them.
template <int P, bool Half>
void PairSteps(const Block& block, const char* w, int64_t panel_stride, int64_t begin, int64_t end, bool resume,
               Fetch& fetch, int32_t (*sums)[kPairLines][kPanelColumns]) {
  constexpr int64_t kStepBytes = kTileBytes / (Half ? 2 : 1);
  if (resume) {
    LoadTile<0>(sums[0][0], kTileRowBytes);
    LoadTile<2>(sums[0][kTileRows], kTileRowBytes);
    if constexpr (P == 2) LoadTile<1>(sums[1][0], kTileRowBytes);
    if constexpr (P == 2) LoadTile<3>(sums[1][kTileRows], kTileRowBytes);
  } else {
    ForTiles<4>([]<int I>() { Zero<I>(); });
  }
  for (int64_t s = begin; s < end; ++s) {
    const int8_t* x = block.x + LinesAt<Half>(s, block.stride);
    const char* from = w + s * kStepBytes;
    if (fetch.near) {
#pragma GCC unroll 16
      for (int64_t i = 0; i < kStepBytes; i += 64) {
        __builtin_prefetch(from + kNearBytes + i);
        if constexpr (P == 2) __builtin_prefetch(from + panel_stride + kNearBytes + i);
      }
    } else {
      for (int64_t i = 0; i < fetch.lines; ++i, fetch.next += 64) __builtin_prefetch(fetch.next, 0, 2);
    }
    if (fetch.out_rows > 0) {
      PrefetchForWrite(fetch.out);
      fetch.out += fetch.out_bytes;
      --fetch.out_rows;
    }
    LoadTile<4>(x, kTileRowBytes);
    LoadTile<5>(x + kTileBytes, kTileRowBytes);
    LoadTile<6>(from, kTileRowBytes);
    MultiplyI8<0, 4, 6>();
    MultiplyI8<2, 5, 6>();
    if constexpr (P == 2) {
      LoadTile<7>(from + panel_stride, kTileRowBytes);
      MultiplyI8<1, 4, 7>();
      MultiplyI8<3, 5, 7>();
    }
  }
  StoreTile<0>(sums[0][0], kTileRowBytes);
  StoreTile<2>(sums[0][kTileRows], kTileRowBytes);
  if constexpr (P == 2) StoreTile<1>(sums[1][0], kTileRowBytes);
  if constexpr (P == 2) StoreTile<3>(sums[1][kTileRows], kTileRowBytes);
}

/// Blocks [first, last) of digits, all of more than 16 lines, against panels in pairs.
class Wide {
 public:
  Wide(const GemmCall& call, int64_t first, int64_t last, Scratch& scratch)
      : call_(call),
        weight_(*call.weight),
        blocks_(call),
        groups_(weight_),
        first_(first),
        last_(last),
        one_scale_(simd::HasOneScale(weight_)),
        half_(!one_scale_ && HalfSteps(weight_)),
        four_(weight_.format == WeightFormat::kI4),
        scratch_(scratch) {}

  void Run(int64_t panel_begin, int64_t panel_end) {
    const int64_t turn = Turn(weight_);
    for (int64_t group = panel_begin; group < panel_end; group += kKeptPanels) {
      const int64_t group_end = Min(group + kKeptPanels, panel_end);
      for (int64_t k = 0; k < weight_.k; k += turn) {
        for (int64_t panel = group; panel < group_end; panel += 2)
          Panels(panel, Min(2, group_end - panel), panel + 4 <= group_end, k, Min(turn, weight_.k - k),
                 (panel - group) / 2);
      }
    }
  }

  /// Channels of a turn: whole tiles and whole groups, alike turns.
  static int64_t Turn(const PackedWeight& weight) {
    int64_t unit = kIntegerTileK;
    if (!simd::HasOneScale(weight)) unit = weight.group % kIntegerTileK ? 2 * weight.group : weight.group;
    const int64_t most = kChannels / unit * unit;
    const int64_t turns = (weight.k + most - 1) / most;
    return ((weight.k + turns - 1) / turns + unit - 1) / unit * unit;
  }
  /// Blocks whose digits stay in L2 together.
  static int64_t Most(const PackedWeight& weight) {
    const int64_t turn = Turn(weight);
    if (weight.k > turn) return kKeptBlocks;
    return kBlockBytes / (kPairLines * weight.k);
  }

 private:
  void Panels(int64_t panel, int64_t panels, bool more, int64_t k, int64_t channels, int64_t pair) {
    const char* w = static_cast<const char*>(weight_.data) + panel * weight_.panel_stride +
                    k / kIntegerTileK * TileBytes(weight_.format);
    const char* const next = more ? w + 2 * weight_.panel_stride : nullptr;
    const int64_t tiles = (channels + kIntegerTileK - 1) / kIntegerTileK;
    int64_t stride = weight_.panel_stride;
    if (four_) {
      stride = kChannels * kPanelColumns;
      for (int64_t p = 0; p < panels; ++p) {
        const char* from = w + p * weight_.panel_stride;
        int8_t* to = scratch_.tiles + p * stride;
        if (weight_.multipliers) {
          const int8_t* multipliers = weight_.multipliers + (panel + p) * groups_.count * kPanelColumns;
          ExpandMultiplied(from, k / kGroupStep, 2 * tiles, {multipliers, weight_.group / kGroupStep, groups_.count},
                           to);
        } else {
          Expand(from, tiles * (TileBytes(weight_.format) / 64), to);
        }
      }
      w = reinterpret_cast<const char*>(scratch_.tiles);
    }
    const auto scales = Scales::Of<Vec>(weight_, groups_.count, panel, panels, scratch_.scales[0]);
    const bool complete = k + channels == weight_.k;
    int64_t lines = 0;
    for (int64_t b = first_; b < last_; ++b) {
      const Block block(call_, blocks_, b);
      if (block.lines != lines) ConfigurePair(lines = block.lines, half_);
      Fetch fetch = FetchOf(next, b - first_, tiles);
      if (complete) WillWrite(block, panel, fetch);
      int32_t(*kept)[kPairLines][kPanelColumns] =
          weight_.k <= Turn(weight_) ? scratch_.kept[0][0] : scratch_.kept[pair][b - first_];
      Multiply(block, panels, w, stride, k, channels, scales, fetch, kept);
      if (!complete) continue;
      auto* c = reinterpret_cast<float(*)[kPairLines][kPanelColumns]>(kept);
      for (int64_t p = 0; p < panels; ++p) {
        const float* scale = scales.data + p * scales.stride;
        // In place: a row is written when its digits have been read.
        one_scale_ ? Scale(call_, block, kept[p], scale, c[p])
                   : simd::ScaleRows<Vec>(call_, block.row, block.rows, c[p][0]);
      }
      simd::Finish<Vec>(call_, block.row, block.rows, panel, c[0][0], call_.swiglu ? c[1][0] : nullptr);
      if (panels == 2 && !call_.swiglu) simd::Finish<Vec>(call_, block.row, block.rows, panel + 1, c[1][0], nullptr);
    }
  }

  /// One turn of one block: a part of the only group, or whole groups.
  void Multiply(const Block& block, int64_t panels, const char* w, int64_t stride, int64_t k, int64_t channels,
                const Scales& scales, Fetch& fetch, int32_t (*kept)[kPairLines][kPanelColumns]) {
    const auto multiply = panels == 2 ? (half_ ? PairSteps<2, true> : PairSteps<2, false>)
                                      : (half_ ? PairSteps<1, true> : PairSteps<1, false>);
    const int64_t step = half_ ? kIntegerTileK / 2 : kIntegerTileK;
    Block part = block;
    part.x += k / kIntegerTileK * block.stride;
    if (one_scale_) return multiply(part, w, stride, 0, (channels + step - 1) / step, k > 0, fetch, kept);
    auto* c = reinterpret_cast<float(*)[kPairLines][kPanelColumns]>(kept);
    if (k == 0) memset(c, 0, sizeof(Sums));
    auto* sums = reinterpret_cast<int32_t(*)[kPairLines][kPanelColumns]>(scratch_.sums);
    for (int64_t at = 0; at < channels; at += groups_.channels) {
      const int64_t end = Min(at + groups_.channels, channels);
      multiply(part, w, stride, at / step, (end + step - 1) / step, false, fetch, sums);
      for (int64_t p = 0; p < panels; ++p) {
        const float* scale = scales.data + p * scales.stride + (k + at) / groups_.channels * kPanelColumns;
        AddGroup(call_.planes, sums[p], block.rows, scale, c[p]);
      }
    }
  }

  /// What a block fetches of the next two panels: the blocks share their lines. One or two are bound by the memory
  /// themselves.
  Fetch FetchOf(const char* next, int64_t block, int64_t tiles) const {
    Fetch fetch{nullptr, 0, false, nullptr, 0, 0};
    const int64_t count = last_ - first_;
    fetch.near = count <= 2 && !four_;
    if (!next || fetch.near) return fetch;
    const int64_t steps = half_ ? 2 * tiles : tiles;
    const int64_t step_lines = TileBytes(weight_.format) / 64 / (half_ ? 2 : 1);
    const int64_t half = (count + 1) / 2;  // Of the blocks fetch one panel, the others the second.
    const bool second = block >= half;
    const int64_t lines = (step_lines + half - 1) / half;
    const int64_t at = (second ? block - half : block) * lines * steps * 64;
    if (at >= steps * step_lines * 64) return fetch;
    fetch.next = next + (second ? weight_.panel_stride : 0) + at;
    fetch.lines = lines;
    return fetch;
  }

  /// The lines that results go to are a row apart, each a miss were they fetched then.
  void WillWrite(const Block& block, int64_t panel, Fetch& fetch) const {
    const int64_t size = call_.out_dtype == DType::kF32 ? 4 : 2;
    fetch.out_bytes = call_.out_stride * size;
    fetch.out = static_cast<const char*>(call_.out) + block.row * fetch.out_bytes + PanelRow(weight_, panel) * size;
    fetch.out_rows = block.rows;
  }

  const GemmCall& call_;
  const PackedWeight& weight_;
  const Blocks blocks_;
  const Groups groups_;
  const int64_t first_, last_;
  const bool one_scale_, half_, four_;
  Scratch& scratch_;
};

}  // namespace

static_assert(sizeof(Scratch) <= kGemmScratchBytes && avx512::kGemmScratchBytes <= kGemmScratchBytes);
static_assert(sizeof(Sums) <= sizeof(Scratch::sums) && sizeof(Sums) <= 2 * sizeof(Scratch::c));

void IntegerGemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* memory) {
  if (call.m * call.planes <= kVectorLines) return avx512::IntegerGemm(call, panel_begin, panel_end, memory);
  Scratch& scratch = *static_cast<Scratch*>(memory);
  const Blocks blocks(call);
  const Block last(call, blocks, blocks.count - 1);
  const int64_t wide = last.lines <= kTileRows ? blocks.count - 1 : blocks.count;
  const int64_t most = Wide::Most(*call.weight);
  for (int64_t b = 0; b < wide; b += most) Wide(call, b, Min(b + most, wide), scratch).Run(panel_begin, panel_end);
  if (wide < blocks.count) Narrow(call, last, panel_begin, panel_end, scratch);
  Release();
}

}  // namespace atb::kernels::amx
