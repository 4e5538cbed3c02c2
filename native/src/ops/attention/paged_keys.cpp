#include "ops/attention/paged_keys.h"

#include <algorithm>
#include <cstring>

#include "base/align.h"
#include "kernels/convert.h"
#include "ops/attention/kv_tensor.h"

namespace atb {
namespace {

using kernels::kKeyPanel;
using kernels::KvStore;

/// How a store of keys lies in memory: sixteen keys side by side, unit by unit.
struct KeyUnits {
  int64_t bytes;  ///< Of a unit: an element, a pair of bf16 or four of int8.
  int64_t count;  ///< Of a key, with its padding.

  explicit KeyUnits(const KvStore& store)
      : bytes(store.dtype == DType::kF16 ? 2 : 4),
        count(store.dtype == DType::kBF16 ? RoundUp(store.head_dim, 32) / 2
              : store.dtype == DType::kI8 ? store.head_dim / 4
                                          : store.head_dim) {}
  int64_t PanelBytes() const { return count * kKeyPanel * bytes; }
};

/// Where a slot's key is: its first unit, and of integers their scale.
struct Lane {
  std::byte* key;
  std::byte* scale;
};

Lane LaneOf(const KvStore& store, const KeyUnits& units, int64_t slot) {
  using kernels::kIntegerGroup;
  const int64_t group = store.block_size % kIntegerGroup == 0 ? kIntegerGroup : kIntegerGroup / 2;
  std::byte* head = static_cast<std::byte*>(store.data) + slot / store.block_size * store.HeadBytes();
  int64_t offset = slot % store.block_size;
  std::byte* scale = nullptr;
  if (store.dtype == DType::kI8) {
    head += offset / group * group * (store.head_dim + static_cast<int64_t>(sizeof(float)));
    offset %= group;
    scale = head + group * store.head_dim + offset * static_cast<int64_t>(sizeof(float));
  }
  return {head + offset / kKeyPanel * units.PanelBytes() + offset % kKeyPanel * units.bytes, scale};
}

/// [d-pairs][16 keys][2] of bf16 -> f32 [d][16 keys]. `d` is even.
void WidenPairs(const std::byte* panel, int64_t head_dim, float* out) {
  for (int64_t d = 0; d < head_dim; d += 2, panel += kKeyPanel * 4, out += 2 * kKeyPanel) {
    uint32_t pairs[kKeyPanel], even[kKeyPanel], odd[kKeyPanel];
    std::memcpy(pairs, panel, sizeof pairs);
    for (int64_t k = 0; k < kKeyPanel; ++k) even[k] = pairs[k] << 16;
    for (int64_t k = 0; k < kKeyPanel; ++k) odd[k] = pairs[k] & 0xFFFF0000u;
    std::memcpy(out, even, sizeof even);
    std::memcpy(out + kKeyPanel, odd, sizeof odd);
  }
}

/// [d / 4][16 keys][4] of int8 with a scale for each key -> f32 [d][16 keys].
void WidenIntegers(const std::byte* panel, const std::byte* scale, int64_t head_dim, float* out) {
  float scales[kKeyPanel];
  std::memcpy(scales, scale, sizeof scales);
  const auto* integers = reinterpret_cast<const int8_t*>(panel);
  for (int64_t d = 0; d < head_dim; ++d)
    for (int64_t k = 0; k < kKeyPanel; ++k)
      out[d * kKeyPanel + k] = scales[k] * integers[(d / 4 * kKeyPanel + k) * 4 + d % 4];
}

template <size_t kUnit>
void CopyUnits(const std::byte* const* from, int64_t lanes, int64_t units, std::byte* to) {
  constexpr int64_t kStep = kKeyPanel * int64_t{kUnit};
  for (int64_t u = 0; u < units; ++u, to += kStep)
    for (int64_t k = 0; k < lanes; ++k) std::memcpy(to + k * int64_t{kUnit}, from[k] + u * kStep, kUnit);
}

}  // namespace

PagedKeys::PagedKeys(const Tensor& cache, const int32_t* table, int64_t stride, int64_t block_tokens)
    : store_(StoreOf(cache)),
      is_packed_(cache.desc.layout == Layout::kKeyCache),
      table_(table),
      stride_(stride),
      block_tokens_(block_tokens) {}

const std::byte* PagedKeys::RowOf(int64_t position) const {
  return static_cast<const std::byte*>(store_.data) +
         SlotOf(position) * store_.head_dim * static_cast<int64_t>(SizeOf(store_.dtype));
}

void PagedKeys::Widen(int64_t position, int64_t end, const kernels::KernelTable& kernels, float* out) const {
  if (!is_packed_) {
    for (int64_t k = 0; k < std::min(kKeyPanel, end - position); ++k)
      for (int64_t d = 0; d < store_.head_dim; ++d)
        out[d * kKeyPanel + k] = kernels::LoadFloat(RowOf(position + k), store_.dtype, d);
    return;
  }
  const KeyUnits units(store_);
  const auto widen = [&](const std::byte* panel, const std::byte* scales) {
    if (store_.dtype == DType::kI8) return WidenIntegers(panel, scales, store_.head_dim, out);
    if (store_.dtype == DType::kBF16) return WidenPairs(panel, store_.head_dim, out);
    kernels.to_f32(panel, store_.dtype, out, store_.head_dim * kKeyPanel);
  };
  if (stride_ == 1) {
    const Lane lane = LaneOf(store_, units, SlotOf(position));
    return widen(lane.key, lane.scale);
  }
  // Keys that lie apart are put side by side first; of those from `end` on there is the last one again.
  alignas(64) std::byte panel[kernels::kMaxHeadDim * kKeyPanel * 4];
  float scales[kKeyPanel] = {};
  const std::byte* from[kKeyPanel];
  for (int64_t k = 0; k < kKeyPanel; ++k) {
    const Lane lane = LaneOf(store_, units, SlotOf(std::min(position + k, end - 1)));
    from[k] = lane.key;
    if (lane.scale) std::memcpy(scales + k, lane.scale, sizeof(float));
  }
  units.bytes == 2 ? CopyUnits<2>(from, kKeyPanel, units.count, panel)
                   : CopyUnits<4>(from, kKeyPanel, units.count, panel);
  widen(panel, reinterpret_cast<const std::byte*>(scales));
}

void PagedKeys::Gather(const int32_t* positions, int64_t count, const KvStore& to, int64_t block,
                       const PagedKeys& others, int64_t split) const {
  const auto keys = [&](int64_t i) -> const PagedKeys& { return i < split ? *this : others; };
  if (count < to.block_size || !is_packed_) kernels::ZeroHead(to, block, 0);
  const int64_t first = block * to.block_size;
  if (!is_packed_) {
    for (int64_t i = 0; i < count; ++i)
      kernels::WriteSlots(to, first + i, 0, keys(i).RowOf(positions[i]), store_.head_dim, 1);
    return;
  }
  const KeyUnits units(store_);
  for (int64_t i = 0; i < count; i += kKeyPanel) {
    const int64_t lanes = std::min(kKeyPanel, count - i);
    const std::byte* from[kKeyPanel];
    for (int64_t k = 0; k < lanes; ++k) {
      const PagedKeys& own = keys(i + k);
      const Lane lane = LaneOf(own.store_, units, own.SlotOf(positions[i + k]));
      from[k] = lane.key;
      if (lane.scale) std::memcpy(LaneOf(to, units, first + i + k).scale, lane.scale, sizeof(float));
    }
    std::byte* target = LaneOf(to, units, first + i).key;
    units.bytes == 2 ? CopyUnits<2>(from, lanes, units.count, target) : CopyUnits<4>(from, lanes, units.count, target);
  }
}

}  // namespace atb
