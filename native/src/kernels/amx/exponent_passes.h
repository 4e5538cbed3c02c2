#pragma once
// Products with a weight whose scales are powers of two (kExponentSpan in packed_weight.h), as passes over a span of a
// pair of panels: each multiplies the steps that have a group in its window, with a multiplier for each group, and zero
// for those of other windows. Where the exponents of a span lie close together there is one pass. Included by
// integer_gemm.cpp alone; everything has internal linkage.
#include "kernels/amx/int4_tiles.h"
#include "kernels/amx/integer_plan.h"

namespace atb::kernels::amx {
namespace {

/// A pass over the steps of a span.
struct alignas(64) WindowPass {
  int8_t multipliers[2][2 * kMostBurst][kPanelColumns];  ///< Of each panel and half a step.
  int64_t steps[kMostBurst];  ///< Those with a multiplier that is not zero, counted from the span's first.
  int64_t count;
};

/// The exponents of a span of one panel or two.
class SpanExponents {
 public:
  SpanExponents(const PackedWeight& weight, const simd::ScaleGroups& groups, int64_t panel, int64_t panels, int64_t k,
                int64_t end)
      : group_(groups.channels), groups_((end - k + group_ - 1) / group_), steps_(TileSteps(end - k)), panels_(panels) {
    __m128i spread = _mm_setzero_si128();
    for (int64_t p = 0; p < panels; ++p) {
      first_[p] = weight.exponents + ((panel + p) * groups.count + k / group_) * kPanelColumns;
      __m128i most = _mm_setzero_si128(), least = _mm_set1_epi8(-1);
      for (int64_t g = 0; g < groups_; ++g) {
        most = _mm_max_epu8(most, Of(p, g));
        least = _mm_min_epu8(least, Of(p, g));
      }
      largest_[p] = most;
      spread = _mm_max_epu8(spread, _mm_sub_epi8(most, least));
    }
    alignas(16) uint8_t each[kPanelColumns];
    _mm_store_si128(reinterpret_cast<__m128i*>(each), spread);
    for (uint8_t one : each) spread_ = one > spread_ ? one : spread_;
  }

  int64_t groups() const { return groups_; }

  /// A pass for what is too small in group `g` for any window, with scales [panels][16]. False where there is none.
  bool TakeSmall(int64_t g, WindowPass& pass, float (*scales)[kPanelColumns]) const {
    if (spread_ < 4 * kExponentWindows) return false;
    pass.count = 0;
    __m128i own[2];
    for (int64_t p = 0; p < panels_; ++p) {
      Vec::PowersOfTwo(first_[p] + g * kPanelColumns).Store(scales[p]);
      // Of those that are 16 or more below the largest, ones.
      own[p] = _mm_min_epu8(_mm_subs_epu8(Below(p, g), _mm_set1_epi8(4 * kExponentWindows - 1)), _mm_set1_epi8(1));
    }
    Take(pass, [&](int64_t p, int64_t of) { return of == g ? own[p] : _mm_setzero_si128(); });
    return pass.count > 0;
  }

  /// The same for what is in a window.
  bool TakeWindow(int window, WindowPass& pass, float (*scales)[kPanelColumns]) const {
    if (spread_ < 4 * window) return false;
    alignas(16) uint8_t largest[kPanelColumns];
    for (int64_t p = 0; p < panels_; ++p) {
      _mm_store_si128(reinterpret_cast<__m128i*>(largest), largest_[p]);
      (Vec::PowersOfTwo(largest) * Vec::Set1(kWindowUnits[window])).Store(scales[p]);
    }
    const __m128i multipliers = Multipliers(window);
    pass.count = 0;
    Take(pass, [&](int64_t p, int64_t g) {
      // What is 16 or more below gets the highest bit, for which a shuffle gives zero.
      return _mm_shuffle_epi8(multipliers, _mm_adds_epu8(Below(p, g), _mm_set1_epi8(0x70)));
    });
    return pass.count > 0;
  }

 private:
  /// The multipliers of numbers by how far they are below the largest.
  static __m128i Multipliers(int window) {
    alignas(16) int8_t table[kPanelColumns] = {};
    for (int i = 0; i < 4; ++i) table[4 * window + i] = static_cast<int8_t>(8 >> i);
    return _mm_load_si128(reinterpret_cast<const __m128i*>(table));
  }

  __m128i Of(int64_t p, int64_t g) const {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(first_[p] + g * kPanelColumns));
  }
  __m128i Below(int64_t p, int64_t g) const { return _mm_sub_epi8(largest_[p], Of(p, g)); }

  /// Writes multipliers_of(panel, group) to the halves of the steps, and lists the steps.
  template <class F>
  void Take(WindowPass& pass, F multipliers_of) const {
    for (int64_t step = 0; step < steps_; ++step) {
      __m128i any = _mm_setzero_si128();
      for (int64_t half = 2 * step; half < 2 * step + 2; ++half) {
        const int64_t g = Min(half * kGroupStep / group_, groups_ - 1);  // The padding of k belongs to the last group.
        for (int64_t p = 0; p < panels_; ++p) {
          const __m128i own = multipliers_of(p, g);
          _mm_store_si128(reinterpret_cast<__m128i*>(pass.multipliers[p][half]), own);
          any = _mm_or_si128(any, own);
        }
      }
      if (!_mm_testz_si128(any, any)) pass.steps[pass.count++] = step;
    }
  }

  int64_t group_, groups_, steps_, panels_;
  const uint8_t* first_[2];
  __m128i largest_[2];
  int spread_ = 0;  ///< The largest difference of exponents of a column.
};

/// What ExpandTilesAhead makes of the steps of a pass.
struct WindowTiles {
  const WindowPass* pass;
  int64_t at = -1;
  E2M1Multipliers format{};

  /// Steps from the tile before to this one.
  ATB_INLINE int64_t NextTile() {
    ++at;
    return at == 0 || at >= pass->count ? 0 : pass->steps[at] - pass->steps[at - 1];
  }
  template <int kPanel, int kQuarter>
  ATB_INLINE void Choose() {
    if (kQuarter % 2 == 0) format = E2M1Multipliers::Of(pass->multipliers[kPanel][2 * pass->steps[at] + kQuarter / 2]);
  }
  ATB_INLINE void ExpandLine(const char* from, int8_t* to) const { format.ExpandLine(from, to); }
};

}  // namespace
}  // namespace atb::kernels::amx
