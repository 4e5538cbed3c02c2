#pragma once
#include "kernels/pack.h"
#include "ops/operation.h"

namespace atb {

/// Packs a row-major weight, of which `rows` has the first row, on all threads.
inline void PackPanels(const kernels::PackedWeight& weight, std::byte* panels, kernels::SourceMatrix rows,
                       const Context& ctx) {
  const auto row_bytes = rows.row_stride * static_cast<int64_t>(SizeOf(rows.dtype));
  ctx.pool.ParallelFor(weight.panels, [&](int64_t panel, int) {
    const int64_t row = kernels::PanelRow(weight, panel);
    kernels::SourceMatrix own = rows;
    own.data = static_cast<const std::byte*>(rows.data) + row * row_bytes;
    kernels::PackRows(weight, panels, row, row + kernels::PanelWidth(weight, panel), own, ctx.kernels);
  });
}

}  // namespace atb
