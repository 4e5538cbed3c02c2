#pragma once
// The sums of a group of channels that has a scale of its own: they leave the tiles, and are scaled and added to f32
// sums while the tiles of the next group are multiplied. Included by integer_steps.h alone; everything has internal
// linkage.
#include "kernels/amx/integer_epilogue.h"

namespace atb::kernels::amx {
namespace {

/// A digit block and a pair of panels, of which groups are summed one after another.
struct GroupTarget {
  DigitSums* values;  ///< f32 sums of each panel, [rows][16].
  int64_t rows;
  simd::Scales scales;
  simd::GroupOffsets offsets;  ///< Of int8, from the first group on.
};

/// values[r] += scale * the number whose digits were summed over the group, with what offsets add to it.
template <int Planes, bool kOffsets>
ATB_INLINE inline void AddRows(const GroupTarget& to, int64_t panel, int64_t group, const DigitSums& from, int64_t rows) {
  const Vec scale = to.scales.At<Vec>(panel, group);
  Vec offset;
  const float* row_sum = kOffsets ? to.offsets.sums + group : nullptr;
  if constexpr (kOffsets) {
    simd::GroupOffsets own = to.offsets;
    own.offsets += group * kPanelColumns;
    offset = own.Factors<Vec>(panel);
  }
  auto* values = reinterpret_cast<float*>(to.values[panel]);
#pragma GCC unroll 16
  for (int64_t r = 0; r < rows; ++r) {
    __m512i digits[Planes];
    for (int plane = 0; plane < Planes; ++plane) digits[plane] = _mm512_load_si512(from[plane * rows + r]);
    Vec value = avx512::Join<Planes>(digits);
    if constexpr (kOffsets) {
      value = Fma(offset, Vec::Set1(*row_sum), value);
      row_sum += to.offsets.row_stride;
    }
    Fma(value, scale, Vec::Load(values + r * kPanelColumns)).Store(values + r * kPanelColumns);
  }
}

/// Where a block is whole, the number of its rows is a constant.
template <int Planes, bool kOffsets>
__attribute__((noinline)) void AddGroup(const GroupTarget& to, int64_t panel, int64_t group, const DigitSums& from) {
  constexpr int64_t kWhole = kBlockRows[Planes];
  to.rows == kWhole ? AddRows<Planes, kOffsets>(to, panel, group, from, kWhole)
                    : AddRows<Planes, kOffsets>(to, panel, group, from, to.rows);
}

/// What is left to do of the sums of a group. A panel of 16 rows takes 48 cycles, a step of tiles 64 or more; so each
/// step does a panel.
class DeferredGroup {
 public:
  explicit DeferredGroup(const GemmCall& call) {
    constexpr decltype(&AddGroup<1, false>) kAdders[][2] = {{AddGroup<1, false>, AddGroup<1, true>},
                                                            {AddGroup<2, false>, AddGroup<2, true>},
                                                            {AddGroup<3, false>, AddGroup<3, true>}};
    add_ = kAdders[call.digits.planes - 1][AddsOffsets(*call.weight) ? 1 : 0];
  }

  /// What the groups that follow are added to.
  void SetTarget(const GroupTarget& target) { targets_[++target_ % kTargets] = target; }

  /// Where the tiles store the sums that they hold, when those of the group to come begin.
  ATB_INLINE DigitSums* next() { return sums_[turn_ % 2]; }

  /// The tiles have stored at next() what they held, and hold the sums of `group` from now on, of so many panels.
  ATB_INLINE void Begin(int64_t panels, int64_t group) {
    Stored();
    open_ = {target_, panels, group};
  }
  /// The tiles have stored at next() what they held, and hold nothing.
  ATB_INLINE void Stored() {
    Rest();
    if (open_.panels > 0) {
      ++turn_;
      stored_ = open_;
    }
    open_.panels = 0;
  }
  /// Panels whose sums the tiles hold.
  int64_t open() const { return open_.panels; }

  /// Adds a panel of what was stored.
  ATB_INLINE void Step() {
    if (stored_.panels > 0) Panel();
  }
  ATB_INLINE void Rest() {
    while (stored_.panels > 0) Panel();
  }

 private:
  /// Those whose sums are added and in the tiles, and the next one.
  static constexpr int64_t kTargets = 3;

  /// The sums of a group.
  struct Sums {
    uint64_t target;
    int64_t panels;  ///< That are still to be added.
    int64_t group;
  };

  ATB_INLINE void Panel() {
    --stored_.panels;
    add_(targets_[stored_.target % kTargets], stored_.panels, stored_.group, sums_[(turn_ + 1) % 2][stored_.panels]);
  }

  void (*add_)(const GroupTarget& to, int64_t panel, int64_t group, const DigitSums& from);
  Sums open_{}, stored_{};
  uint64_t turn_ = 0, target_ = 0;
  GroupTarget targets_[kTargets];
  alignas(64) DigitSums sums_[2][2];  ///< Of two groups in turn, of a pair of panels.
};

}  // namespace
}  // namespace atb::kernels::amx
