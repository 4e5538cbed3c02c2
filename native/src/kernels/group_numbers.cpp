#include "kernels/group_numbers.h"

#include <algorithm>
#include <cmath>

#include "kernels/convert.h"
#include "kernels/panel_place.h"

namespace atb::kernels {

float GroupNumber(const GroupNumbers& numbers, int64_t panel, int64_t groups, int64_t group, int64_t column) {
  const int64_t at = (panel * groups + group) * kPanelColumns + column;
  if (numbers.floats != nullptr) return numbers.floats[at];
  if (numbers.steps == nullptr) return F16ToF32(numbers.halves[at]);
  const int64_t half = panel * StepHalves(groups) + group / kStepGroups;
  return F16ToF32(numbers.halves[half * kPanelColumns + column]) * static_cast<float>(numbers.steps[at]);
}

int64_t ShortBytes(const PackedScales& scales, bool has_steps) {
  const int64_t columns = scales.panels * kPanelColumns;
  const auto size = static_cast<int64_t>(sizeof(uint16_t));
  return has_steps ? columns * (StepHalves(scales.groups) * size + scales.groups) : columns * scales.groups * size;
}

GroupNumbers ShortsAt(const PackedScales& scales, bool has_steps, const std::byte* data) {
  const auto* const halves = reinterpret_cast<const uint16_t*>(data);
  if (!has_steps) return {nullptr, halves, nullptr};
  return {nullptr, halves,
          reinterpret_cast<const int8_t*>(halves + scales.panels * StepHalves(scales.groups) * kPanelColumns)};
}

namespace {

/// An f16 that is exactly x.
bool ExactHalf(float x, uint16_t* half) {
  *half = F32ToF16(x);
  return F16ToF32(*half) == x;
}

/// Splits numbers of groups that share a half into it and steps. Those of GGUF have 6 bits, and mostly the largest that
/// there is.
bool FindSteps(const float* numbers, int64_t count, uint16_t* half, int8_t* steps) {
  constexpr int kMost = 63;
  float largest = 0;
  for (int64_t i = 0; i < count; ++i)
    if (std::fabs(numbers[i]) > std::fabs(largest)) largest = numbers[i];
  for (int most = kMost; most > 0; --most) {
    const float one = largest / static_cast<float>(most);
    if (!ExactHalf(one, half)) continue;
    int64_t found = 0;
    for (; found < count; ++found) {
      const float step = one == 0 ? 0 : numbers[found] / one;
      if (step != std::nearbyint(step) || std::fabs(step) > kMost || step * one != numbers[found]) break;
      steps[found] = static_cast<int8_t>(step);
    }
    if (found == count) return true;
  }
  return false;
}

}  // namespace

bool PackShorts(const PackedScales& scales, bool has_steps, std::byte* data, int64_t row_begin, int64_t row_end,
                const float* source, int64_t row_stride) {
  const GroupNumbers shorts = ShortsAt(scales, has_steps, data);
  auto* const halves = const_cast<uint16_t*>(shorts.halves);
  auto* const steps = const_cast<int8_t*>(shorts.steps);
  const int64_t rows = scales.interleaved ? scales.n / 2 : scales.n, groups = scales.groups;
  for (int64_t row = row_begin; row < row_end; ++row, source += row_stride) {
    const Place place = PlaceOf(scales.n, scales.interleaved, row);
    // The last row of a matrix also writes zeros to the columns behind it.
    const int64_t last = row % rows == rows - 1 ? kPanelColumns - place.column : 1;
    const auto put = [&](auto* numbers, int64_t per_panel, int64_t i, auto number) {
      auto* const to = numbers + (place.panel * per_panel + i) * kPanelColumns + place.column;
      to[0] = number;
      for (int64_t c = 1; c < last; ++c) to[c] = 0;
    };
    if (!has_steps) {
      for (int64_t g = 0; g < groups; ++g) {
        uint16_t half;
        if (!ExactHalf(source[g], &half)) return false;
        put(halves, groups, g, half);
      }
      continue;
    }
    for (int64_t first = 0; first < groups; first += kStepGroups) {
      const int64_t count = std::min(kStepGroups, groups - first);
      uint16_t half;
      int8_t own[kStepGroups];
      if (!FindSteps(source + first, count, &half, own)) return false;
      put(halves, StepHalves(groups), first / kStepGroups, half);
      for (int64_t i = 0; i < count; ++i) put(steps, groups, first + i, own[i]);
    }
  }
  return true;
}

}  // namespace atb::kernels
