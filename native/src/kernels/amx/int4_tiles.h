#pragma once
// Tiles of int8 out of int4 weights. Included by integer_gemm.cpp alone; everything has internal linkage.
//
// A line of a kI4 panel, 64 bytes, holds two rows of a tile: one in the lower halves of the bytes, the next one in the
// upper halves.
#include "kernels/amx/tiles.h"
#include "kernels/avx512/integers.h"

namespace atb::kernels::amx {
namespace {

/// How far ahead of its reader int4 is fetched. Without fetching, 8 activation rows of w4a16 read 12.6 GB/s, with 512
/// to 4096 bytes 13.1.
constexpr int64_t kPrefetchBytes = 1024;

/// Makes two rows of a tile that hold 16 times each weight out of a line of int4: a mask keeps the upper halves, a
/// shift brings the lower halves there. simd::FormatFactor undoes the 16.
struct PlainInt4 {
  ATB_INLINE static void ExpandLine(const char* from, int8_t* to) {
    const __m512i upper = _mm512_set1_epi8(-16);
    const __m512i both = _mm512_loadu_si512(from);
    _mm512_store_si512(to, _mm512_and_si512(_mm512_slli_epi16(both, 4), upper));
    _mm512_store_si512(to + kTileRowBytes, _mm512_and_si512(both, upper));
  }
};

/// Makes two rows of a tile that hold the numbers from 0 to 15 that int4 with minimums stand for.
struct UnsignedInt4 {
  ATB_INLINE static void ExpandLine(const char* from, int8_t* to) {
    const __m512i both = _mm512_xor_si512(_mm512_loadu_si512(from), _mm512_set1_epi8(-0x78));
    const __m512i lower = _mm512_set1_epi8(0xF);
    _mm512_store_si512(to, _mm512_and_si512(both, lower));
    _mm512_store_si512(to + kTileRowBytes, _mm512_and_si512(_mm512_srli_epi16(both, 4), lower));
  }
};

/// Makes two rows of a tile that hold twice each weight out of a line of e2m1.
struct PlainE2M1 {
  ATB_INLINE static void ExpandLine(const char* from, int8_t* to) {
    const __m512i both = _mm512_loadu_si512(from);
    _mm512_store_si512(to, avx512::LookUpE2M1(both, 0));
    _mm512_store_si512(to + kTileRowBytes, avx512::LookUpE2M1(_mm512_srli_epi16(both, 4), 0));
  }
};

/// The bytes of sixteen columns, each four times: once for each channel of a quad.
ATB_INLINE inline __m512i SpreadColumns(const int8_t* columns) {
  const __m512i spread = _mm512_set_epi8(15, 15, 15, 15, 14, 14, 14, 14, 13, 13, 13, 13, 12, 12, 12, 12,  //
                                         11, 11, 11, 11, 10, 10, 10, 10, 9, 9, 9, 9, 8, 8, 8, 8,           //
                                         7, 7, 7, 7, 6, 6, 6, 6, 5, 5, 5, 5, 4, 4, 4, 4,                   //
                                         3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(columns));
  return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(bytes), spread);
}

/// Multiplies int4 by the multipliers of sixteen columns. There is no product of bytes, so that a 16-bit product has to
/// be two products of 8 bits, which needs factors from 0 to 15 (15 * 15 < 256). For a multiplier m >= 0 an int4 x
/// becomes (x + 8) * m - 8 m; for m < 0 it becomes (7 - x) * -m - 7 * -m. Both have the value x * m.
struct Int4Multipliers {
  using Column = int8_t;
  __m512i flip;    ///< xor turns the four bits of x into those of x + 8 or of 7 - x.
  __m512i factor;  ///< |m| in 16-bit words.
  __m512i offset;  ///< 8 m or 7 * -m, in bytes.

  ATB_INLINE static Int4Multipliers Of(const int8_t* columns) {
    const __m512i m = SpreadColumns(columns);
    const __m512i size = _mm512_abs_epi8(m);
    const __mmask64 negative = _mm512_movepi8_mask(m);
    const __m512i eightfold = _mm512_slli_epi16(size, 3);
    return {_mm512_mask_blend_epi8(negative, _mm512_set1_epi8(0x8), _mm512_set1_epi8(0x7)),
            _mm512_and_si512(size, _mm512_set1_epi16(0xFF)),
            _mm512_mask_sub_epi8(eightfold, negative, eightfold, size)};
  }

  /// Makes two rows of a tile out of a line of int4.
  ATB_INLINE void ExpandLine(const char* from, int8_t* to) const {
    const __m512i both = _mm512_loadu_si512(from);
    _mm512_store_si512(to, Product(both));
    _mm512_store_si512(to + kTileRowBytes, Product(_mm512_srli_epi16(both, 4)));
  }

 private:
  ATB_INLINE __m512i Product(__m512i x) const {
    // The ternary logic is (x ^ flip) & 0xF.
    const __m512i first = _mm512_ternarylogic_epi32(x, flip, _mm512_set1_epi8(0xF), 0x28);
    return _mm512_sub_epi8(_mm512_mullo_epi16(first, factor), offset);
  }
};

/// The same for twice an e2m1 number, from -12 to 12, and multipliers from 0 to 8: a number x becomes (x + 12) * m - 12
/// m.
struct E2M1Multipliers {
  using Column = int8_t;
  __m512i factor;  ///< m in 16-bit words.
  __m512i offset;  ///< 12 m, in bytes.

  ATB_INLINE static E2M1Multipliers Of(const int8_t* columns) {
    const __m512i m = SpreadColumns(columns);
    const __m512i fourfold = _mm512_slli_epi16(m, 2);
    return {_mm512_and_si512(m, _mm512_set1_epi16(0xFF)), _mm512_add_epi8(fourfold, _mm512_slli_epi16(fourfold, 1))};
  }

  /// Makes two rows of a tile out of a line of e2m1.
  ATB_INLINE void ExpandLine(const char* from, int8_t* to) const {
    const __m512i both = _mm512_loadu_si512(from);
    _mm512_store_si512(to, Product(both));
    _mm512_store_si512(to + kTileRowBytes, Product(_mm512_srli_epi16(both, 4)));
  }

 private:
  ATB_INLINE __m512i Product(__m512i x) const {
    return _mm512_sub_epi8(_mm512_mullo_epi16(avx512::LookUpE2M1(x, 12), factor), offset);
  }
};

/// Adds the offsets of sixteen columns to int4, of which a byte makes x + 8.
struct Int4Offsets {
  using Column = int16_t;
  __m512i missing;  ///< 8 - offset, in bytes.

  ATB_INLINE static Int4Offsets Of(const int16_t* columns) {
    alignas(16) int8_t bytes[kPanelColumns];
    const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(columns));
    _mm_store_si128(reinterpret_cast<__m128i*>(bytes), _mm256_cvtepi16_epi8(words));
    return {_mm512_sub_epi8(_mm512_set1_epi8(8), SpreadColumns(bytes))};
  }

  /// Makes two rows of a tile out of a line of int4.
  ATB_INLINE void ExpandLine(const char* from, int8_t* to) const {
    const __m512i both = _mm512_loadu_si512(from);
    _mm512_store_si512(to, Sum(both));
    _mm512_store_si512(to + kTileRowBytes, Sum(_mm512_srli_epi16(both, 4)));
  }

 private:
  ATB_INLINE __m512i Sum(__m512i x) const {
    // The ternary logic is (x ^ 8) & 0xF.
    const __m512i all = _mm512_ternarylogic_epi32(x, _mm512_set1_epi8(8), _mm512_set1_epi8(0xF), 0x28);
    return _mm512_sub_epi8(all, missing);
  }
};

/// Where what belongs to each half of a tile, 32 channels, lies in what a panel has for its groups, [groups][16].
class GroupWalk {
 public:
  GroupWalk(const simd::ScaleGroups& groups, int64_t channel)
      : halves_((groups.channels + kGroupStep - 1) / kGroupStep),
        left_(halves_ - channel / kGroupStep % halves_),
        at_(channel / groups.channels * kPanelColumns),
        last_((groups.count - 1) * kPanelColumns) {}

  /// The place for the next half.
  ATB_INLINE int64_t Next() {
    const int64_t now = at_;
    if (--left_ == 0 && at_ < last_) {  // The padding of k belongs to the last group.
      left_ = halves_;
      at_ += kPanelColumns;
    }
    return now;
  }

 private:
  int64_t halves_;  ///< Of a group.
  int64_t left_;    ///< Halves of the group at at_ that are still to come.
  int64_t at_;
  int64_t last_;
};

/// What ExpandTilesAhead makes of tiles whose channels all count alike. Format: PlainInt4, UnsignedInt4 or PlainE2M1.
template <class Format>
struct PlainTiles : Format {
  int64_t NextTile() { return 1; }
  template <int kPanel, int kQuarter>
  void Choose() {}
};

/// The same where multipliers or offsets belong to groups of channels. Format: Int4Multipliers, E2M1Multipliers or
/// Int4Offsets. kHalf: tiles are halves.
template <class Format, bool kHalf = false>
struct ChangedTiles {
  const typename Format::Column* columns;  ///< Of the first panel.
  int64_t stride;                          ///< To those of the next panel.
  GroupWalk walk;
  int64_t half_group[2] = {};  ///< Where those of either half of the tile are.
  Format format{};

  ATB_INLINE int64_t NextTile() {
    half_group[0] = walk.Next();
    half_group[1] = kHalf ? half_group[0] : walk.Next();
    return 1;
  }
  template <int kPanel, int kQuarter>
  ATB_INLINE void Choose() {
    const typename Format::Column* const own = columns + kPanel * stride;
    if (kQuarter == 0) format = Format::Of(own + half_group[0]);
    if (kQuarter == 2 && half_group[1] != half_group[0]) format = Format::Of(own + half_group[1]);
  }
  ATB_INLINE void ExpandLine(const char* from, int8_t* to) const { format.ExpandLine(from, to); }
};

}  // namespace
}  // namespace atb::kernels::amx
