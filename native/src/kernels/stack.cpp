#include "kernels/stack.h"

#include "base/align.h"
#include "kernels/group_numbers.h"
#include "kernels/pack_integers.h"

namespace atb::kernels {

int64_t ScalesStride(const PackedScales& first) {
  if (first.numbers.halves) return Align(ShortBytes(first, first.numbers.steps != nullptr));
  if (first.exponents) return ExponentBytes(first);
  if (first.offsets) return OffsetBytes(first);
  return first.multipliers ? Align(MultiplierBytes(first)) : ScalesBytes(first);
}

PackedWeight ExpertOf(const PackedWeight& first, int64_t expert) {
  PackedWeight own = first;
  own.data = static_cast<const std::byte*>(first.data) + expert * PackedBytes(first);
  return own;
}

GroupNumbers Behind(const GroupNumbers& first, int64_t offset) {
  GroupNumbers own = first;
  if (first.floats) own.floats += offset / static_cast<int64_t>(sizeof(float));
  if (first.halves) own.halves += offset / static_cast<int64_t>(sizeof(uint16_t));
  if (first.steps) own.steps += offset;
  return own;
}

PackedScales ExpertOf(const PackedScales& first, int64_t expert) {
  PackedScales own = first;
  const int64_t offset = expert * ScalesStride(first);
  if (first.data) own.data = reinterpret_cast<const float*>(reinterpret_cast<const std::byte*>(first.data) + offset);
  if (first.exponents) own.exponents = first.exponents + offset;
  if (first.multipliers) own.multipliers = first.multipliers + offset;
  own.numbers = Behind(first.numbers, offset);
  if (first.offsets) own.offsets = first.offsets + offset / static_cast<int64_t>(sizeof(int16_t));
  return own;
}

}  // namespace atb::kernels
