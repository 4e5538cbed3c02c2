#include "ops/movement/strided_copy.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/align.h"
#include "ops/rows.h"

namespace atb {
namespace {

template <typename T>
void CopyElements(const std::byte* from, std::byte* to, int64_t n, int64_t from_stride, int64_t to_stride) {
  const T* source = reinterpret_cast<const T*>(from);
  T* target = reinterpret_cast<T*>(to);
  for (int64_t i = 0; i < n; ++i) target[i * to_stride] = source[i * from_stride];
}

void CopyRow(size_t element, const std::byte* from, std::byte* to, int64_t n, int64_t from_stride, int64_t to_stride) {
  if (from_stride == 1 && to_stride == 1) {
    std::memcpy(to, from, static_cast<size_t>(n) * element);
    return;
  }
  switch (element) {
    case 1:
      return CopyElements<uint8_t>(from, to, n, from_stride, to_stride);
    case 2:
      return CopyElements<uint16_t>(from, to, n, from_stride, to_stride);
    case 4:
      return CopyElements<uint32_t>(from, to, n, from_stride, to_stride);
    default:
      return CopyElements<uint64_t>(from, to, n, from_stride, to_stride);
  }
}

}  // namespace

void StridedCopy::Axis(int64_t size, int64_t from_stride, int64_t to_stride) {
  if (size == 1) return;
  if (axes_ > 0) {
    // An axis that continues the axis outside it without a gap becomes one axis with it.
    Step& outer = steps_[static_cast<size_t>(axes_ - 1)];
    if (outer.from == size * from_stride && outer.to == size * to_stride) {
      outer = {outer.size * size, from_stride, to_stride};
      return;
    }
  }
  steps_[static_cast<size_t>(axes_++)] = {size, from_stride, to_stride};
}

void StridedCopy::Run(ThreadPool& pool, size_t element, const std::byte* from, std::byte* to) const {
  auto steps = steps_;
  int outer = axes_ - 1;
  // In any order: short lines with gaps give way to those across them.
  if (axes_ > 1) {
    Step &last = steps[static_cast<size_t>(outer)], &before = steps[static_cast<size_t>(outer - 1)];
    if (last.size < before.size && (last.from != 1 || last.to != 1)) std::swap(last, before);
  }
  const Step inner = axes_ == 0 ? Step{1, 1, 1} : steps[static_cast<size_t>(outer)];
  outer = std::max(outer, 0);
  int64_t rows = 1;
  for (int i = 0; i < outer; ++i) rows *= steps[static_cast<size_t>(i)].size;
  // A single long row is cut, so that threads can share it.
  const int64_t cut = rows == 1 ? kPieceElements : inner.size;
  const int64_t cuts = cut == 0 ? 0 : CeilDiv(inner.size, cut);
  const int64_t per_piece = std::max<int64_t>(1, kPieceElements / std::max<int64_t>(1, cut));
  pool.ParallelFor(CeilDiv(rows * cuts, per_piece), [&](int64_t piece, int) {
    const int64_t end = std::min(rows * cuts, (piece + 1) * per_piece);
    // Where a row lies is counted on from row to row: a division for each axis costs more than a short row.
    std::array<int64_t, 2 * kMaxRank> at{};
    int64_t source = 0, target = 0;
    for (int64_t i = outer - 1, row = piece * per_piece / cuts; i >= 0; --i) {
      const Step& step = steps[static_cast<size_t>(i)];
      at[static_cast<size_t>(i)] = row % step.size;
      source += row % step.size * step.from;
      target += row % step.size * step.to;
      row /= step.size;
    }
    for (int64_t cell = piece * per_piece; cell < end; ++cell) {
      const int64_t start = cuts == 1 ? 0 : cell % cuts * cut;
      CopyRow(element, from + (source + start * inner.from) * static_cast<int64_t>(element),
              to + (target + start * inner.to) * static_cast<int64_t>(element), std::min(cut, inner.size - start),
              inner.from, inner.to);
      if (start + cut < inner.size) continue;
      for (int i = outer - 1; i >= 0; --i) {
        const Step& step = steps[static_cast<size_t>(i)];
        source += step.from;
        target += step.to;
        if (++at[static_cast<size_t>(i)] < step.size) break;
        at[static_cast<size_t>(i)] = 0;
        source -= step.size * step.from;
        target -= step.size * step.to;
      }
    }
  });
}

std::array<int64_t, kMaxRank> StridesOf(const TensorDesc& desc) {
  std::array<int64_t, kMaxRank> strides{};
  int64_t stride = 1;
  for (int axis = desc.rank - 1; axis >= 0; --axis) {
    strides[static_cast<size_t>(axis)] = stride;
    stride *= desc.dim(axis);
  }
  return strides;
}

}  // namespace atb
