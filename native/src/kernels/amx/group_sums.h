#pragma once
// The sums of a group of channels that has a scale of its own: they leave the tiles, and are scaled and added to f32
// sums while the tiles of the next group are multiplied. Included by integer_steps.h alone; everything has internal
// linkage.
#include "kernels/amx/integer_epilogue.h"

namespace atb::kernels::amx {
namespace {

/// How the scales of groups are stored.
enum class GroupKind { kScales, kScalesAndOffsets, kExponents };

/// A digit block and a pair of panels, of which groups are summed one after another.
struct GroupTarget {
  DigitSums* values;  ///< f32 sums of each panel, [rows][16].
  int64_t rows;
  simd::Scales scales;
  WeightFormat format;
  simd::GroupOffsets offsets;  ///< From the first group on.
};

/// values[r] += scale * the number whose digits were summed over the group, with what offsets add to it.
template <int Planes, GroupKind kKind>
ATB_INLINE inline void AddRows(const GroupTarget& to, int64_t panel, int64_t group, const DigitSums& from, int64_t rows) {
  const int64_t at = panel * to.scales.stride + group * kPanelColumns;
  const Vec scale = kKind == GroupKind::kExponents ? Vec::PowersOfTwo(to.scales.exponents + at)
                                                   : Vec::Load(to.scales.data + at);
  Vec offset;
  const float* row_sum = kKind == GroupKind::kScalesAndOffsets ? to.offsets.sums + group : nullptr;
  if constexpr (kKind == GroupKind::kScalesAndOffsets) {
    simd::GroupOffsets own = to.offsets;
    own.offsets += group * kPanelColumns;
    offset = own.Factors<Vec>(panel, to.format);
  }
  auto* values = reinterpret_cast<float*>(to.values[panel]);
#pragma GCC unroll 16
  for (int64_t r = 0; r < rows; ++r) {
    __m512i digits[Planes];
    for (int plane = 0; plane < Planes; ++plane) digits[plane] = _mm512_load_si512(from[plane * rows + r]);
    Vec value = avx512::Join<Planes>(digits);
    if constexpr (kKind == GroupKind::kScalesAndOffsets) {
      value = Fma(offset, Vec::Set1(*row_sum), value);
      row_sum += to.offsets.row_stride;
    }
    Fma(value, scale, Vec::Load(values + r * kPanelColumns)).Store(values + r * kPanelColumns);
  }
}

/// Where a block is whole, the number of its rows is a constant.
template <int Planes, GroupKind kKind>
__attribute__((noinline)) void AddGroup(const GroupTarget& to, int64_t panel, int64_t group, const DigitSums& from) {
  constexpr int64_t kWhole = kBlockRows[Planes];
  to.rows == kWhole ? AddRows<Planes, kKind>(to, panel, group, from, kWhole)
                    : AddRows<Planes, kKind>(to, panel, group, from, to.rows);
}

/// What is left to do of the sums of a group. A panel of 16 rows takes 48 cycles, a step of tiles 64 or more; so each step
/// does a panel.
class DeferredGroup {
 public:
  explicit DeferredGroup(const GemmCall& call) {
    using enum GroupKind;
    constexpr decltype(&AddGroup<1, kScales>) kAdders[][3] = {
        {AddGroup<1, kScales>, AddGroup<1, kScalesAndOffsets>, AddGroup<1, kExponents>},
        {AddGroup<2, kScales>, AddGroup<2, kScalesAndOffsets>, AddGroup<2, kExponents>},
        {AddGroup<3, kScales>, AddGroup<3, kScalesAndOffsets>, AddGroup<3, kExponents>}};
    add_ = kAdders[call.digits.planes - 1][call.weight->exponents ? 2 : call.weight->offsets ? 1 : 0];
  }

  /// What the groups that follow are added to.
  void SetTarget(const GroupTarget& target) { targets_[++target_ % 2] = target; }

  /// Where the tiles store the sums of the group to come.
  ATB_INLINE DigitSums* next() { return sums_[turn_ % 2]; }

  /// Takes over the sums at next(). Nothing of an earlier group may be left.
  ATB_INLINE void Start(int64_t panels, int64_t group) {
    ++turn_;
    left_ = panels;
    group_ = group;
    of_ = target_;
  }

  /// A panel of them.
  ATB_INLINE void Step() {
    if (left_ > 0) Panel();
  }
  ATB_INLINE void Rest() {
    while (left_ > 0) Panel();
  }

 private:
  ATB_INLINE void Panel() {
    --left_;
    add_(targets_[of_ % 2], left_, group_, sums_[(turn_ + 1) % 2][left_]);
  }

  void (*add_)(const GroupTarget& to, int64_t panel, int64_t group, const DigitSums& from);
  int64_t left_ = 0;  ///< Panels.
  int64_t group_ = 0;
  uint64_t turn_ = 0, target_ = 0, of_ = 0;
  GroupTarget targets_[2];
  alignas(64) DigitSums sums_[2][2];  ///< Of two groups in turn, of a pair of panels.
};

}  // namespace
}  // namespace atb::kernels::amx
