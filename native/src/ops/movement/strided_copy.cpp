#include "ops/movement/strided_copy.h"

#include <cstring>

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
  const Step inner = axes_ == 0 ? Step{1, 1, 1} : steps_[static_cast<size_t>(axes_ - 1)];
  const int outer_axes = axes_ == 0 ? 0 : axes_ - 1;
  int64_t rows = 1;
  for (int i = 0; i < outer_axes; ++i) rows *= steps_[static_cast<size_t>(i)].size;
  // A single long row is cut, so that threads can share it.
  const int64_t cut = rows == 1 ? kPieceElements : inner.size;
  const int64_t cuts = cut == 0 ? 0 : CeilDiv(inner.size, cut);
  ForRows(pool, rows * cuts, cut, [&](int64_t piece, int) {
    int64_t row = piece / cuts;
    const int64_t start = piece % cuts * cut;
    const int64_t n = std::min(cut, inner.size - start);
    int64_t source = start * inner.from, target = start * inner.to;
    for (int i = outer_axes - 1; i >= 0; --i) {
      const Step& step = steps_[static_cast<size_t>(i)];
      source += row % step.size * step.from;
      target += row % step.size * step.to;
      row /= step.size;
    }
    const std::byte* s = from + source * static_cast<int64_t>(element);
    std::byte* t = to + target * static_cast<int64_t>(element);
    if (inner.from == 1 && inner.to == 1) {
      std::memcpy(t, s, static_cast<size_t>(n) * element);
      return;
    }
    switch (element) {
      case 1:
        return CopyElements<uint8_t>(s, t, n, inner.from, inner.to);
      case 2:
        return CopyElements<uint16_t>(s, t, n, inner.from, inner.to);
      case 4:
        return CopyElements<uint32_t>(s, t, n, inner.from, inner.to);
      default:
        return CopyElements<uint64_t>(s, t, n, inner.from, inner.to);
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
