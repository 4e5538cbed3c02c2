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

/// A step between tile instructions is inlined whatever its size: its state belongs into registers.
#define ATB_INLINE __attribute__((always_inline))

/// Up to so many lines of digits vpdpbusd is the faster way.
constexpr int64_t kVectorLines = 3;

/// How far ahead weights of kI4 are fetched.
constexpr int64_t kPrefetchBytes = 1024;
/// Tiles of kI4 are made so many steps before they are needed.
constexpr int64_t kAhead = 2;

/// Digits that stay in L2 while panels stream past them, two at a time.
constexpr int64_t kBlockBytes = 1024 * 1024;
/// Channels that are multiplied before the next panels come, and then panels whose sums are kept.
constexpr int64_t kChannels = 4096;
constexpr int64_t kKeptPanels = 32;
constexpr int64_t kKeptBlocks = 8;
/// Steps of kI4 after which the next block multiplies the same tiles.
constexpr int64_t kTurnSteps = 32;
constexpr int64_t kShortTurn = 8;
/// Panels that two blocks fetch side by side: one stream would reach 60 % of the memory's bandwidth.
constexpr int64_t kBatchPanels = 8;
constexpr int64_t kBatchBytes = 256 * 1024;
/// Blocks at most that one pass over the panels multiplies.
constexpr int64_t kBlocks = 64;
/// Lines of a block that fill two tiles.
constexpr int64_t kPairLines = 2 * kTileRows;

/// Sums of digits of a block and two panels, and in their place the f32 sums that are made of them.
using Sums = int32_t[kPairLines][kPanelColumns];

struct alignas(64) Scratch {
  /// Of two panels and the blocks, in turn; or, while channels take several turns, of each pair of panels and block.
  Sums kept[2 * kBlocks][2];
  /// Of one group.
  Sums sums[2];
  /// Of two pairs of panels in turn.
  float scales[2][2][kPanelColumns];
  /// Weights of kI4 as bytes, of two panels: all channels, or a ring of tiles.
  int8_t tiles[2 * kChannels * kPanelColumns];
};
static_assert(kKeptPanels / 2 * kKeptBlocks <= 2 * kBlocks);

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

/// Sixteen columns' multipliers, for products of int4 in 8 bits: of a column whose multiplier is m >= 0 an int4 x
/// becomes x + 8, times m, less 8 m; where m < 0 it becomes 7 - x, times -m, less 7 * -m. Both factors are at most 15,
/// so that a 16-bit product is two 8-bit ones.
struct Multipliers {
  __m512i flip;    ///< What turns an int4's bits into the first factor's.
  __m512i factor;  ///< In words.
  __m512i offset;

  ATB_INLINE static Multipliers Of(const int8_t* columns) {
    const __m512i spread = _mm512_set_epi8(15, 15, 15, 15, 14, 14, 14, 14, 13, 13, 13, 13, 12, 12, 12, 12,  //
                                           11, 11, 11, 11, 10, 10, 10, 10, 9, 9, 9, 9, 8, 8, 8, 8,           //
                                           7, 7, 7, 7, 6, 6, 6, 6, 5, 5, 5, 5, 4, 4, 4, 4,                   //
                                           3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(columns));
    const __m512i m = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(bytes), spread);
    const __m512i size = _mm512_abs_epi8(m);
    const __mmask64 negative = _mm512_movepi8_mask(m);
    const __m512i eightfold = _mm512_slli_epi16(size, 3);
    return {_mm512_mask_blend_epi8(negative, _mm512_set1_epi8(0x8), _mm512_set1_epi8(0x7)),
            _mm512_and_si512(size, _mm512_set1_epi16(0xFF)),
            _mm512_mask_sub_epi8(eightfold, negative, eightfold, size)};
  }

  /// A line of int4 into two rows of a tile.
  ATB_INLINE void ExpandLine(const char* from, int8_t* to) const {
    const __m512i both = _mm512_loadu_si512(from);
    _mm512_store_si512(to, Product(both));
    _mm512_store_si512(to + kTileRowBytes, Product(_mm512_srli_epi16(both, 4)));
  }

 private:
  ATB_INLINE __m512i Product(__m512i x) const {
    // (x ^ flip) & 0xF.
    const __m512i first = _mm512_ternarylogic_epi32(x, flip, _mm512_set1_epi8(0xF), 0x28);
    return _mm512_sub_epi8(_mm512_mullo_epi16(first, factor), offset);
  }
};

/// Where in a panel's multipliers those of one half of a tile after the other are.
class GroupWalk {
 public:
  GroupWalk(const PackedWeight& weight, int64_t groups, int64_t channel)
      : halves_(weight.group / kGroupStep),
        left_(halves_ - channel / kGroupStep % halves_),
        at_(channel / weight.group * kPanelColumns),
        last_((groups - 1) * kPanelColumns) {}

  ATB_INLINE int64_t Next() {
    const int64_t now = at_;
    if (--left_ == 0 && at_ < last_) {  // Padding belongs to the last group.
      left_ = halves_;
      at_ += kPanelColumns;
    }
    return now;
  }

 private:
  int64_t halves_, left_, at_, last_;
};

/// Sums of some blocks and one or two panels that are complete but for their end. It is made while the next panels are
/// multiplied, some rows at each step.
class Ending {
 public:
  Ending(const GemmCall& call, const Blocks& blocks) : call_(call), blocks_(blocks) {}

  /// Of blocks [first, last); nothing of before may be left. `scales`: of two panels.
  void Begin(int64_t first, int64_t last, int64_t panel, int64_t panels, const float* scales, Sums (*sums)[2]) {
    block_ = first;
    row_ = 0;
    left_ = Min(last * blocks_.rows, call_.m) - first * blocks_.rows;
    panel_ = panel;
    panels_ = panels;
    scales_ = simd::HasOneScale(*call_.weight) ? scales : nullptr;
    sums_ = sums;
  }

  int64_t left() const { return left_; }

  /// Scales and rounds `most` rows more, or fewer at the end of a block.
  __attribute__((noinline)) void Finish(int64_t most) {
    const Block block(call_, blocks_, block_);
    const int64_t first = row_, rows = Min(most, block.rows - first);
    left_ -= rows;
    for (int64_t p = 0; p < panels_; ++p) {
      if (!scales_) {
        simd::ScaleRows<Vec>(call_, block.row + first, rows, Values(p, first));
      } else if (call_.planes == 1) {
        Scale<1>(block, p, first, rows);
      } else if (call_.planes == 2) {
        Scale<2>(block, p, first, rows);
      } else {
        Scale<3>(block, p, first, rows);
      }
    }
    const int64_t row = block.row + first;
    simd::Finish<Vec>(call_, row, rows, panel_, Values(0, first), call_.swiglu ? Values(1, first) : nullptr);
    if (panels_ == 2 && !call_.swiglu)
      simd::Finish<Vec>(call_, row, rows, panel_ + 1, Values(1, first), nullptr);
    row_ += rows;
    if (row_ < block.rows) return;
    row_ = 0;
    ++block_;
    ++sums_;
  }

 private:
  float* Values(int64_t panel, int64_t row) { return reinterpret_cast<float*>((*sums_)[panel][row]); }

  /// In place: a row is written when its digits have been read.
  template <int Planes>
  void Scale(const Block& block, int64_t panel, int64_t first, int64_t rows) {
    const Vec scale = Vec::Load(scales_ + panel * kPanelColumns);
    const float factor = simd::FormatFactor(*call_.weight);
    for (int64_t r = first; r < first + rows; ++r) {
      __m512i digits[Planes];
      for (int plane = 0; plane < Planes; ++plane)
        digits[plane] = _mm512_load_si512((*sums_)[panel][plane * block.rows + r]);
      const Vec value = Fma(avx512::Join<Planes>(digits), scale, Vec::Zero());
      (value * Vec::Set1(call_.x_scales[block.row + r] * factor)).Store(Values(panel, r));
    }
  }

  const GemmCall& call_;
  const Blocks& blocks_;
  int64_t block_ = 0, row_ = 0, left_ = 0, panel_ = 0, panels_ = 0;
  const float* scales_ = nullptr;  ///< Null where sums are scaled already.
  Sums (*sums_)[2] = nullptr;
};

/// c[r] += the rows of a panel's sums of digits over one group.
template <int Planes>
inline void AddGroupOf(const Sums& sums, int64_t rows, Vec scale, float* c) {
  for (int64_t r = 0; r < rows; ++r, c += kPanelColumns) {
    __m512i digits[Planes];
    for (int plane = 0; plane < Planes; ++plane) digits[plane] = _mm512_load_si512(sums[plane * rows + r]);
    Fma(avx512::Join<Planes>(digits), scale, Vec::Load(c)).Store(c);
  }
}

inline void AddGroup(int planes, const Sums& sums, int64_t rows, const float* scales, float* c) {
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

// What happens between the tile instructions of a step: Do<I>() at the I-th of 8 places, of which a single panel has
// the first 5, and Next() after all.

/// Fetches lines of the next batch of panels into L2, one or more of each panel a step, and a line that results will be
/// written to; ends earlier sums.
struct Meanwhile {
  const char* next;
  int64_t stride;
  int64_t panels;  ///< Of the batch, up to 8.
  int64_t lines;   ///< Of each of them, a step.
  int64_t left;
  const char* out;
  int64_t out_bytes;
  int64_t out_rows;
  Ending* ending;
  int64_t ending_rows;  ///< A step.

  template <int I>
  ATB_INLINE void Do() {
    if (I >= panels) return;
    for (int64_t i = 0; i < lines; ++i) __builtin_prefetch(next + I * stride + i * 64, 0, 2);
  }
  ATB_INLINE void Next() {
    next += lines * 64;
    left -= lines;
    if (lines > left) lines = left;
    if (ending->left() > 0) ending->Finish(ending_rows);
    if (out_rows <= 0) return;
    PrefetchForWrite(out);
    out += out_bytes;
    --out_rows;
  }
};

/// Also fetches the weights themselves, of two panels: each tile when the one before has been used, and behind the last
/// one the first of the next panels.
struct FetchNear : Meanwhile {
  const char* at;
  int64_t own_stride;
  int64_t tiles;
  const char* after;

  ATB_INLINE static void FetchTile(const char* tile) {
#pragma GCC unroll 16
    for (int64_t i = 0; i < kTileBytes; i += 64) __builtin_prefetch(tile + i);
  }
  template <int I>
  ATB_INLINE void Do() {
    Meanwhile::Do<I>();
    if constexpr (I == 2) FetchTile(at);
    if constexpr (I == 5) FetchTile(at + own_stride);
  }
  ATB_INLINE void Next() {
    Meanwhile::Next();
    at = --tiles == 0 ? after : at + kTileBytes;
  }
};

/// Also makes the next step's tiles of P panels of int4 with multipliers.
template <int P>
struct ExpandAhead : Meanwhile {
  const char* from;
  int64_t from_stride;
  int8_t* ring;
  int64_t ring_bytes;
  int64_t to;  ///< Where in it.
  const int8_t* multipliers;
  int64_t multipliers_stride;
  GroupWalk walk;
  int64_t tiles;  ///< To make.
  int64_t group[2] = {};
  Multipliers m{};

  template <int I>
  ATB_INLINE void Do() {
    Meanwhile::Do<I>();
    Make<I>();
  }
  ATB_INLINE void Next() {
    Meanwhile::Next();
    Advance();
  }
  /// Makes the first tiles.
  void Start() {
    group[0] = walk.Next();
    group[1] = walk.Next();
    for (int64_t i = 0; i < kAhead; ++i) {
      ForTiles<4 * P>([&]<int I>() __attribute__((always_inline)) { Make<I>(); });
      Advance();
    }
  }

 private:
  /// An eighth of a step's tiles.
  template <int I>
  ATB_INLINE void Make() {
    if (I / 4 >= P || tiles <= 0) return;
    const int8_t* own = multipliers + I / 4 * multipliers_stride;
    if (I % 4 == 0) m = Multipliers::Of(own + group[0]);
    if (I % 4 == 2 && group[1] != group[0]) m = Multipliers::Of(own + group[1]);
#pragma GCC unroll 2
    for (int64_t line = I % 4 * 2; line < I % 4 * 2 + 2; ++line) {
      __builtin_prefetch(from + I / 4 * from_stride + line * 64 + kPrefetchBytes);
      m.ExpandLine(from + I / 4 * from_stride + line * 64, ring + to + I / 4 * ring_bytes + line * 128);
    }
  }

  ATB_INLINE void Advance() {
    from += kTileBytes / 2;
    to += kTileBytes;
    if (to == ring_bytes) to = 0;
    group[0] = walk.Next();
    group[1] = walk.Next();
    --tiles;
  }
};

/// Where the lines of step s are; a step is one tile of 64 channels, or with Half 32 of them.
template <bool Half>
inline int64_t LinesAt(int64_t s, int64_t stride) {
  return Half ? s / 2 * stride + s % 2 * (kTileRowBytes / 2) : s * stride;
}

/// Steps are halves of tiles where groups do not consist of whole ones.
bool HalfSteps(const PackedWeight& weight) { return weight.group % kIntegerTileK != 0; }

/// Tiles 0-3 accumulate 2 tiles of lines x 2 panels, 4-5 hold digits, 6-7 weights. Up to 16 lines take one tile.
void ConfigurePair(int64_t lines, bool half) {
  const int64_t bytes = half ? kTileRowBytes / 2 : kTileRowBytes;
  const int64_t first = Min(lines, kTileRows), second = lines > kTileRows ? lines - kTileRows : kTileRows;
  TileConfig config;
  for (int tile = 0; tile < 4; ++tile) config.Set(tile, tile < 2 ? first : second);
  config.Set(4, first, bytes);
  config.Set(5, second, bytes);
  config.Set(6, bytes / 4);
  config.Set(7, bytes / 4);
  Configure(config);
}

/// Tiles of two panels: those of a step are behind those of the one before, and where a ring ends at its beginning.
struct Weights {
  const char* w;
  int64_t stride;
  const char* ring = nullptr;
  const char* ring_end = nullptr;
};

/// Adds steps [begin, end) of R tiles of lines and P panels to `sums`, or replaces them. `weights`: of step `begin`.
template <int R, int P, bool Half, class M>
void PairSteps(const Block& block, const Weights& weights, int64_t begin, int64_t end, bool resume, M& state,
               Sums* sums) {
  constexpr int64_t kStepBytes = kTileBytes / (Half ? 2 : 1);
  M meanwhile = state;  // In registers.
  if (resume) {
    LoadTile<0>(sums[0][0], kTileRowBytes);
    if constexpr (R == 2) LoadTile<2>(sums[0][kTileRows], kTileRowBytes);
    if constexpr (P == 2) LoadTile<1>(sums[1][0], kTileRowBytes);
    if constexpr (R == 2 && P == 2) LoadTile<3>(sums[1][kTileRows], kTileRowBytes);
  } else {
    ForTiles<4>([]<int I>() { Zero<I>(); });
  }
  const char* from = weights.w;
  const char* const ring = weights.ring;
  const char* const ring_end = weights.ring_end;
  const int64_t stride = weights.stride;
  for (int64_t s = begin; s < end; ++s) {
    const int8_t* x = block.x + LinesAt<Half>(s, block.stride);
    LoadTile<4>(x, kTileRowBytes);
    meanwhile.template Do<0>();
    if constexpr (R == 2) LoadTile<5>(x + kTileBytes, kTileRowBytes);
    meanwhile.template Do<1>();
    LoadTile<6>(from, kTileRowBytes);
    meanwhile.template Do<2>();
    MultiplyI8<0, 4, 6>();
    meanwhile.template Do<3>();
    if constexpr (R == 2) MultiplyI8<2, 5, 6>();
    meanwhile.template Do<4>();
    if constexpr (P == 2) {
      LoadTile<7>(from + stride, kTileRowBytes);
      meanwhile.template Do<5>();
      MultiplyI8<1, 4, 7>();
      meanwhile.template Do<6>();
      if constexpr (R == 2) MultiplyI8<3, 5, 7>();
      meanwhile.template Do<7>();
    }
    meanwhile.Next();
    from += kStepBytes;
    if (from == ring_end) from = ring;
  }
  StoreTile<0>(sums[0][0], kTileRowBytes);
  if constexpr (R == 2) StoreTile<2>(sums[0][kTileRows], kTileRowBytes);
  if constexpr (P == 2) StoreTile<1>(sums[1][0], kTileRowBytes);
  if constexpr (R == 2 && P == 2) StoreTile<3>(sums[1][kTileRows], kTileRowBytes);
  state = meanwhile;
}

/// Blocks [first, last) of digits against panels in pairs.
class Product {
 public:
  Product(const GemmCall& call, int64_t first, int64_t last, Scratch& scratch)
      : call_(call),
        weight_(*call.weight),
        blocks_(call),
        groups_(weight_),
        first_(first),
        last_(last),
        one_scale_(simd::HasOneScale(weight_)),
        half_(!one_scale_ && HalfSteps(weight_)),
        four_(weight_.format == WeightFormat::kI4),
        batch_panels_(last - first <= 2 ? BatchOf(weight_) : 2),
        turn_(ChannelsOf(weight_)),
        scratch_(scratch),
        ending_(call, blocks_) {
    if (last_ - first_ <= 2 && (!four_ || weight_.multipliers)) turn_ = weight_.k;
  }

  void Run(int64_t panel_begin, int64_t panel_end) {
    panel_end_ = panel_end;
    Batch batch{panel_begin, panel_begin, 0, 0};
    for (bool more = SetPanels(batch); more;) {
      const Batch now = batch;
      more = Advance(batch);
      for (int64_t pair = 0; pair * 2 < now.panels; ++pair) Panels(now, pair, more ? &batch : nullptr);
    }
    End();
  }

  /// Blocks whose digits stay in L2 together.
  static int64_t Most(const PackedWeight& weight) {
    if (weight.k > ChannelsOf(weight)) return kKeptBlocks;
    return Min(kBlocks, kBlockBytes / (kPairLines * weight.k));
  }

 private:
  /// Panels that are fetched side by side, of the group of panels whose sums are kept together, and where their
  /// channels begin.
  struct Batch {
    int64_t group;
    int64_t panel;
    int64_t panels;
    int64_t k;
  };

  /// Two panels of a batch, or one, and some of their channels.
  struct Pair {
    int64_t panel;
    int64_t k, end;
    Scales scales;
    bool single;      ///< Blocks are multiplied one after another, each in one go: two sums are enough.
    Sums (*sums)[2];  ///< Else of each block.
  };

  /// Panels of a batch: they stay in L2 until they are used.
  static int64_t BatchOf(const PackedWeight& weight) {
    const int64_t most = kBatchBytes / weight.panel_stride / 2 * 2;
    return most < 2 ? 2 : Min(most, kBatchPanels);
  }

  /// Channels of a turn: whole tiles and whole groups, alike turns.
  static int64_t ChannelsOf(const PackedWeight& weight) {
    int64_t unit = kIntegerTileK;
    if (!simd::HasOneScale(weight)) unit = weight.group % kIntegerTileK ? 2 * weight.group : weight.group;
    const int64_t most = kChannels / unit * unit;
    const int64_t turns = (weight.k + most - 1) / most;
    return ((weight.k + turns - 1) / turns + unit - 1) / unit * unit;
  }

  bool SetPanels(Batch& batch) const {
    batch.panels = Min(batch_panels_, Min(batch.group + kKeptPanels, panel_end_) - batch.panel);
    return batch.panels > 0;
  }

  bool Advance(Batch& batch) const {
    batch.panel += batch.panels;
    if (SetPanels(batch)) return true;
    batch.panel = batch.group;
    batch.k += turn_;
    if (batch.k >= weight_.k) {
      batch.panel = batch.group += kKeptPanels;
      batch.k = 0;
    }
    return SetPanels(batch);
  }

  const char* At(int64_t panel, int64_t k) const {
    return static_cast<const char*>(weight_.data) + panel * weight_.panel_stride +
           k / kIntegerTileK * TileBytes(weight_.format);
  }

  void Panels(const Batch& batch, int64_t number, const Batch* next) {
    const int64_t panel = batch.panel + 2 * number, panels = Min(2, batch.panels - 2 * number);
    Pair pair{panel, batch.k, Min(batch.k + turn_, weight_.k), {}, turn_ >= weight_.k && BlockSteps() >= Steps(turn_),
              &scratch_.kept[(panel - batch.group) / 2 * kKeptBlocks]};
    if (turn_ >= weight_.k) pair.sums = &scratch_.kept[panel / 2 % 2 * kBlocks];
    pair.scales = Scales::Of<Vec>(weight_, groups_.count, panel, panels, scratch_.scales[panel / 2 % 2][0]);
    SetMeanwhile(batch, number, next);
    if (one_scale_ && weight_.multipliers) {
      panels == 2 ? Multiplied<2>(pair) : Multiplied<1>(pair);
    } else if (one_scale_) {
      panels == 2 ? Whole<2>(pair) : Whole<1>(pair);
    } else if (half_) {
      panels == 2 ? Grouped<2, true>(pair) : Grouped<1, true>(pair);
    } else {
      panels == 2 ? Grouped<2, false>(pair) : Grouped<1, false>(pair);
    }
    if (pair.single || pair.end < weight_.k) return;
    End();
    ending_.Begin(first_, last_, panel, panels, pair.scales.data, pair.sums);
  }

  void End() {
    while (ending_.left() > 0) ending_.Finish(ending_.left());
  }

  static int64_t Steps(int64_t channels) { return (channels + kIntegerTileK - 1) / kIntegerTileK; }

  /// Steps at most that a block multiplies before the next block does so. Two blocks take turns, so that neither has to
  /// wait for memory long; and all where their tiles must stay in the ring.
  int64_t BlockSteps() const {
    const int64_t blocks = last_ - first_;
    if (blocks == 1 || !one_scale_) return weight_.k;
    if (weight_.multipliers) return kTurnSteps;
    return blocks == 2 ? kShortTurn : weight_.k;
  }

  /// Calls f(number, block, sums) for each block. `complete`: sums are, then.
  template <class F>
  void ForBlocks(const Pair& pair, bool complete, F f) {
    for (int64_t b = first_; b < last_; ++b) {
      const Block block(call_, blocks_, b);
      if (block.lines != lines_) ConfigurePair(lines_ = block.lines, half_);
      WillWrite(block, pair.panel, complete);
      Sums(&sums)[2] = pair.single ? scratch_.kept[++turns_ % 2] : pair.sums[b - first_];
      f(b - first_, block, sums);
      if (!pair.single) continue;
      End();
      ending_.Begin(b, b + 1, pair.panel, Min(2, panel_end_ - pair.panel), pair.scales.data, &sums);
      meanwhile_.ending_rows = ending_.left() / Steps(weight_.k) + 1;
    }
  }

  template <int P, bool Half, class M>
  static void RunSteps(const Block& block, const Weights& weights, int64_t begin, int64_t end, bool resume,
                       M& meanwhile, Sums* sums) {
    (block.lines > kTileRows ? PairSteps<2, P, Half, M> : PairSteps<1, P, Half, M>)(block, weights, begin, end, resume,
                                                                                   meanwhile, sums);
  }

  template <int P>
  void Whole(const Pair& pair) {
    const int64_t begin = pair.k / kIntegerTileK, end = Steps(pair.end);
    Weights weights = Bytes<P>(pair);
    const int64_t turn = Min(BlockSteps(), end - begin);
    for (int64_t s = begin; s < end; s += turn) {
      const int64_t turn_end = Min(s + turn, end);
      ForBlocks(pair, turn_end == end && pair.end == weight_.k, [&](int64_t b, const Block& block, Sums(&sums)[2]) {
        if (b > 0 || four_) return RunSteps<P, false>(block, weights, s, turn_end, s > 0, meanwhile_, sums);
        const int64_t tiles = turn_end - s;
        const char* const after = weights.w + (turn_end < end ? tiles * kTileBytes : 2 * weights.stride);
        FetchNear near{meanwhile_, weights.w + kTileBytes, weights.stride, tiles - 1, after};
        RunSteps<P, false>(block, weights, s, turn_end, s > 0, near, sums);
        meanwhile_ = near;
      });
      weights.w += turn * kTileBytes;
    }
  }

  /// The weights as they are, or int4 sixteenfold.
  template <int P>
  Weights Bytes(const Pair& pair) {
    const Weights weights{At(pair.panel, pair.k), weight_.panel_stride};
    if (!four_) return weights;
    const int64_t stride = kChannels * kPanelColumns, lines = Steps(pair.end - pair.k) * (kTileBytes / 2 / 64);
    for (int64_t p = 0; p < P; ++p) Expand(weights.w + p * weights.stride, lines, scratch_.tiles + p * stride);
    return {reinterpret_cast<const char*>(scratch_.tiles), stride};
  }

  template <int P>
  void Multiplied(const Pair& pair) {
    const int64_t begin = pair.k / kIntegerTileK, end = Steps(pair.end);
    const int64_t turn = Min(BlockSteps(), end - begin);
    // A ring for one block stays in L1.
    const int64_t ring_bytes = (kAhead + (last_ - first_ == 1 ? 2 : turn)) * kTileBytes;
    const int64_t stride = groups_.count * kPanelColumns;
    ExpandAhead<P> expand{meanwhile_,
                          At(pair.panel, pair.k),
                          weight_.panel_stride,
                          scratch_.tiles,
                          ring_bytes,
                          0,
                          weight_.multipliers + pair.panel * stride,
                          stride,
                          GroupWalk(weight_, groups_.count, pair.k),
                          end - begin};
    expand.Start();
    const auto* const ring = reinterpret_cast<const char*>(scratch_.tiles);
    for (int64_t s = begin; s < end; s += turn) {
      const int64_t turn_end = Min(s + turn, end);
      const Weights weights{ring + (s - begin) * kTileBytes % ring_bytes, ring_bytes, ring, ring + ring_bytes};
      ForBlocks(pair, turn_end == end && pair.end == weight_.k, [&](int64_t b, const Block& block, Sums(&sums)[2]) {
        if (b > 0) return RunSteps<P, false>(block, weights, s, turn_end, s > 0, meanwhile_, sums);
        static_cast<Meanwhile&>(expand) = meanwhile_;
        RunSteps<P, false>(block, weights, s, turn_end, s > 0, expand, sums);
        meanwhile_ = expand;
      });
    }
  }

  template <int P, bool Half>
  void Grouped(const Pair& pair) {
    constexpr int64_t kStep = kIntegerTileK / (Half ? 2 : 1), kStepBytes = kTileBytes / (Half ? 2 : 1);
    const Weights weights = Bytes<P>(pair);
    ForBlocks(pair, pair.end == weight_.k, [&](int64_t, const Block& block, Sums(&sums)[2]) {
      if (pair.k == 0) memset(sums, 0, sizeof sums);
      for (int64_t k = pair.k; k < pair.end; k += groups_.channels) {
        const int64_t end = Min(k + groups_.channels, pair.end);
        const Weights own{weights.w + (k - pair.k) / kStep * kStepBytes, weights.stride};
        RunSteps<P, Half>(block, own, k / kStep, (end + kStep - 1) / kStep, false, meanwhile_, scratch_.sums);
        for (int64_t p = 0; p < P; ++p) {
          const float* scales = pair.scales.data + p * pair.scales.stride + k / groups_.channels * kPanelColumns;
          AddGroup(call_.planes, scratch_.sums[p], block.rows, scales, reinterpret_cast<float*>(sums[p]));
        }
      }
    });
  }

  /// What happens while all blocks meet two panels of a batch: they share the fetching of the next batch.
  void SetMeanwhile(const Batch& batch, int64_t number, const Batch* next) {
    const int64_t tiles = Steps(Min(turn_, weight_.k - batch.k));
    const int64_t steps = tiles * (last_ - first_) * (half_ ? 2 : 1);
    meanwhile_ = {nullptr, weight_.panel_stride, 0, 0, 0, nullptr, 0, 0, &ending_, 0};
    meanwhile_.ending_rows = (ending_.left() + steps - 1) / steps + 1;
    // One block fetches its weights nearby, and two blocks wide panels, of which the next would not stay in L2.
    const int64_t blocks = last_ - first_;
    const bool near = one_scale_ && !four_ && (blocks == 1 || (blocks == 2 && batch_panels_ < kBatchPanels / 2));
    if (!next || near) return;
    const int64_t parts = batch_panels_ / 2;
    const int64_t all = tiles * TileBytes(weight_.format) / 64, begin = all * number / parts;
    meanwhile_.next = At(next->panel, next->k) + begin * 64;
    meanwhile_.panels = next->panels;
    meanwhile_.left = all * (number + 1) / parts - begin;
    meanwhile_.lines = (meanwhile_.left + steps - 1) / steps;
  }

  /// The lines that results go to are a row apart, each a miss were they fetched then.
  void WillWrite(const Block& block, int64_t panel, bool complete) {
    meanwhile_.out_rows = complete ? block.rows : 0;
    const int64_t size = call_.out_dtype == DType::kF32 ? 4 : 2;
    meanwhile_.out_bytes = call_.out_stride * size;
    meanwhile_.out = static_cast<const char*>(call_.out) + block.row * meanwhile_.out_bytes +
                     PanelRow(weight_, panel) * size;
  }

  const GemmCall& call_;
  const PackedWeight& weight_;
  const Blocks blocks_;
  const Groups groups_;
  const int64_t first_, last_;
  const bool one_scale_, half_, four_;
  const int64_t batch_panels_;
  int64_t turn_;  ///< Channels.
  Scratch& scratch_;
  int64_t panel_end_ = 0;
  int64_t turns_ = 0;
  int64_t lines_ = 0;  ///< That tiles are configured for.
  Meanwhile meanwhile_{};
  Ending ending_;
};

}  // namespace

static_assert(sizeof(Scratch) <= kGemmScratchBytes && avx512::kGemmScratchBytes <= kGemmScratchBytes);

void IntegerGemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* memory) {
  if (call.m * call.planes <= kVectorLines) return avx512::IntegerGemm(call, panel_begin, panel_end, memory);
  Scratch& scratch = *static_cast<Scratch*>(memory);
  const int64_t count = Blocks(call).count, most = Product::Most(*call.weight);
  for (int64_t b = 0; b < count; b += most) Product(call, b, Min(b + most, count), scratch).Run(panel_begin, panel_end);
  Release();
}

}  // namespace atb::kernels::amx
