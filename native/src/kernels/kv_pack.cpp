#include "base/align.h"
#include "kernels/kv_pack.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <type_traits>

namespace atb::kernels {
namespace {

std::byte* Head(const KvStore& store, int64_t block, int64_t head) {
  return static_cast<std::byte*>(store.data) + (head * store.blocks + block) * store.HeadBytes();
}

/// Rows outside of the cache: [count, head_dim], `stride` bytes apart. Byte is const when the cache is written.
template <typename Byte>
struct Rows {
  Byte* data;
  int64_t stride;
};

template <size_t kBytes>
void Copy(const std::byte* stored, std::byte* row) {
  std::memcpy(row, stored, kBytes);
}
template <size_t kBytes>
void Copy(std::byte* stored, const std::byte* row) {
  std::memcpy(stored, row, kBytes);
}

// The Move functions below write slots from rows, or read slots into rows: `Stored` is const when they read, `Row` when
// they write.

/// Moves keys [panel][unit][16 keys], where a unit is one element of f32 or f16, a pair of bf16 or a quad of int8.
template <size_t kUnit, typename Stored, typename Row>
void MoveKeys(Stored* stored, Rows<Row> rows, int64_t units, int64_t padded_units, int64_t offset, int64_t count) {
  for (int64_t i = 0; i < count;) {
    const int64_t lane = (offset + i) % kKeyPanel;
    const int64_t lanes = std::min(kKeyPanel - lane, count - i);
    Stored* panel = stored + (offset + i) / kKeyPanel * padded_units * kKeyPanel * int64_t{kUnit};
    for (int64_t u = 0; u < units; ++u) {
      Stored* at = panel + (u * kKeyPanel + lane) * int64_t{kUnit};
      Row* row = rows.data + i * rows.stride + u * int64_t{kUnit};
      for (int64_t k = 0; k < lanes; ++k) Copy<kUnit>(at + k * int64_t{kUnit}, row + k * rows.stride);
    }
    i += lanes;
  }
}

constexpr int64_t kValueColumns = 16;
constexpr int64_t kValueTile = kValueDepth * kValueColumns * 2;  ///< Bytes.

/// Interleaves two rows of bf16 values, a cache line of each tile at a time. head_dim is a multiple of 8.
void WriteValuePair(std::byte* stored, const std::byte* first, const std::byte* second, int64_t head_dim) {
  constexpr int64_t kHalf = kValueColumns / 2;
  for (int64_t d = 0; d < head_dim; d += kHalf) {
    uint16_t a[kHalf], b[kHalf];
    uint32_t pairs[kHalf];  // Words, which compilers make of many pairs at once.
    std::memcpy(a, first + d * 2, sizeof a);
    std::memcpy(b, second + d * 2, sizeof b);
    for (int64_t i = 0; i < kHalf; ++i) pairs[i] = a[i] | uint32_t{b[i]} << 16;
    std::memcpy(stored + d / kValueColumns * kValueTile + d % kValueColumns * 4, pairs, sizeof pairs);
  }
}

/// Moves bf16 values [32 keys][16 d][16 key-pairs][16 d][2].
template <typename Stored, typename Row>
void MoveTiledValues(Stored* stored, Rows<Row> rows, int64_t head_dim, int64_t offset, int64_t count) {
  const int64_t tiles = RoundUp(head_dim, kValueColumns) / kValueColumns;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t slot = offset + i;
    const int64_t inside = slot % kValueDepth;
    Stored* at = stored + slot / kValueDepth * tiles * kValueTile + (inside / 2 * 32 + inside % 2) * 2;
    Row* row = rows.data + i * rows.stride;
    if constexpr (!std::is_const_v<Stored>) {
      if (inside % 2 == 0 && i + 1 < count && head_dim % 8 == 0) {
        WriteValuePair(at, row, row + rows.stride, head_dim);
        ++i;
        continue;
      }
    }
    for (int64_t d = 0; d < head_dim; ++d)
      Copy<2>(at + d / kValueColumns * kValueTile + d % kValueColumns * 4, row + d * 2);
  }
}

template <typename Stored, typename Row>
void MovePlainValues(Stored* stored, Rows<Row> rows, int64_t row_bytes, int64_t offset, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    Stored* at = stored + (offset + i) * row_bytes;
    Row* row = rows.data + i * rows.stride;
    if constexpr (std::is_const_v<Stored>) {
      std::memcpy(row, at, static_cast<size_t>(row_bytes));
    } else {
      std::memcpy(at, row, static_cast<size_t>(row_bytes));
    }
  }
}

template <typename Stored, typename Row>
void Move(const KvStore& s, Stored* stored, Rows<Row> rows, int64_t offset, int64_t count) {
  const bool tiled = s.dtype == DType::kBF16;
  if (s.values && tiled) return MoveTiledValues(stored, rows, s.head_dim, offset, count);
  if (s.values) return MovePlainValues(stored, rows, s.head_dim * int64_t(SizeOf(s.dtype)), offset, count);
  if (tiled) return MoveKeys<4>(stored, rows, s.head_dim / 2, RoundUp(s.head_dim, 32) / 2, offset, count);
  if (s.dtype == DType::kF16) return MoveKeys<2>(stored, rows, s.head_dim, s.head_dim, offset, count);
  MoveKeys<4>(stored, rows, s.head_dim, s.head_dim, offset, count);
}

/// Moves int8 values of one group, [head_dim/16][slots/4][16 d][4 slots].
template <typename Stored, typename Row>
void MoveIntegerValues(Stored* stored, Rows<Row> rows, int64_t head_dim, int64_t slots, int64_t offset, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const int64_t slot = offset + i;
    Stored* at = stored + slot / 4 * 64 + slot % 4;
    Row* row = rows.data + i * rows.stride;
    for (int64_t d = 0; d < head_dim; ++d) Copy<1>(at + d / 16 * slots * 16 + d % 16 * 4, row + d);
  }
}

/// Moves integers and scales, group by group. `Scale` is const when it writes.
template <typename Stored, typename Row, typename Scale>
void MoveIntegers(const KvStore& s, Stored* stored, Rows<Row> rows, Scale* scales, int64_t offset, int64_t count) {
  const int64_t slots = s.block_size % kIntegerGroup == 0 ? kIntegerGroup : kIntegerGroup / 2;
  const int64_t integers = slots * (s.values ? RoundUp(s.head_dim, 16) : s.head_dim);
  for (int64_t i = 0; i < count;) {
    const int64_t inside = (offset + i) % slots;
    const int64_t n = std::min(slots - inside, count - i);
    Stored* group = stored + (offset + i) / slots * (integers + slots * 4);
    const Rows<Row> part{rows.data + i * rows.stride, rows.stride};
    if (s.values) {
      MoveIntegerValues(group, part, s.head_dim, slots, inside, n);
    } else {
      MoveKeys<4>(group, part, s.head_dim / 4, s.head_dim / 4, inside, n);
    }
    Stored* beside = group + integers + inside * 4;
    if constexpr (std::is_const_v<Stored>) {
      std::memcpy(scales + i, beside, static_cast<size_t>(n) * 4);
    } else {
      std::memcpy(beside, scales + i, static_cast<size_t>(n) * 4);
    }
    i += n;
  }
}

}  // namespace

int64_t KvStore::HeadBytes() const {
  if (dtype == DType::kI8)
    return block_size * ((values ? RoundUp(head_dim, 16) : head_dim) + static_cast<int64_t>(sizeof(float)));
  const int64_t padded = dtype == DType::kBF16 ? RoundUp(head_dim, values ? 16 : 32) : head_dim;
  return block_size * padded * static_cast<int64_t>(SizeOf(dtype));
}

void WriteSlots(const KvStore& store, int64_t slot, int64_t head, const void* rows, int64_t row_stride, int64_t count) {
  const Rows<const std::byte> from{static_cast<const std::byte*>(rows), row_stride * int64_t(SizeOf(store.dtype))};
  Move(store, Head(store, slot / store.block_size, head), from, slot % store.block_size, count);
}

void ReadSlots(const KvStore& store, int64_t slot, int64_t head, void* rows, int64_t row_stride, int64_t count) {
  const Rows<std::byte> to{static_cast<std::byte*>(rows), row_stride * int64_t(SizeOf(store.dtype))};
  const std::byte* stored = Head(store, slot / store.block_size, head);
  Move(store, stored, to, slot % store.block_size, count);
}

void WriteIntegers(const KvStore& store, int64_t slot, int64_t head, const int8_t* rows, int64_t row_stride,
                   const float* scales, int64_t count) {
  const Rows<const std::byte> from{reinterpret_cast<const std::byte*>(rows), row_stride};
  MoveIntegers(store, Head(store, slot / store.block_size, head), from, scales, slot % store.block_size, count);
}

void ReadIntegers(const KvStore& store, int64_t slot, int64_t head, int8_t* rows, int64_t row_stride, float* scales,
                  int64_t count) {
  const Rows<std::byte> to{reinterpret_cast<std::byte*>(rows), row_stride};
  const std::byte* stored = Head(store, slot / store.block_size, head);
  MoveIntegers(store, stored, to, scales, slot % store.block_size, count);
}

void ZeroHead(const KvStore& store, int64_t block, int64_t head) {
  std::memset(Head(store, block, head), 0, static_cast<size_t>(store.HeadBytes()));
}

void PackHead(const KvStore& store, int64_t block, int64_t head, const void* rows, int64_t row_stride, int64_t count) {
  // Unless all slots are written with rows that have no padding, some bytes would stay undefined.
  if (count < store.block_size ||
      store.HeadBytes() != store.block_size * store.head_dim * static_cast<int64_t>(SizeOf(store.dtype)))
    ZeroHead(store, block, head);
  WriteSlots(store, block * store.block_size, head, rows, row_stride, count);
}

}  // namespace atb::kernels
