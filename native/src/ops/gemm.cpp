#include "ops/gemm.h"

#include <algorithm>
#include <type_traits>

#include "kernels/pack.h"

namespace atb {
namespace {

using kernels::GemmCall;
using kernels::PackedWeight;

/// Weights that stay in a core's L2 (2 MB where this was measured, 1 MB on many) while all rows pass by.
constexpr int64_t kResidentBytes = 512 * 1024;
/// Up to so many rows a product is bound by reading its weights.
constexpr int64_t kFewRows = 32;
/// Pieces per thread, so that a thread that is held up leaves its share to the others.
constexpr int64_t kPiecesPerThread = 4;
/// Rows of a piece at least, where rows are cut: the weights are read once per piece.
constexpr int64_t kMinPieceRows = 128;

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct Pieces {
  int64_t panels;
  int64_t rows;
};

Pieces Cut(const GemmCall& call, const kernels::KernelTable& kernels, int threads) {
  const PackedWeight& weight = *call.weight;
  Pieces piece{kernels.gemm_streams, call.m};
  if (call.m > kFewRows) {
    piece.panels = std::clamp<int64_t>(kResidentBytes / weight.panel_stride, 2, 16);
    const int64_t wanted = kPiecesPerThread * threads;
    while (CeilDiv(weight.panels, piece.panels) * CeilDiv(call.m, piece.rows) < wanted &&
           piece.rows >= 2 * kMinPieceRows)
      piece.rows = CeilDiv(CeilDiv(piece.rows, 2), kFewRows) * kFewRows;
  }
  if (call.swiglu) piece.panels = CeilDiv(piece.panels, 2) * 2;
  return piece;
}

/// The call's rows [row, row + rows).
GemmCall Rows(const GemmCall& call, int64_t row, int64_t rows) {
  const auto at = [](auto* base, int64_t element, DType dtype) {
    using Byte = std::conditional_t<std::is_const_v<std::remove_pointer_t<decltype(base)>>, const std::byte, std::byte>;
    return base ? static_cast<Byte*>(base) + element * static_cast<int64_t>(SizeOf(dtype)) : nullptr;
  };
  GemmCall part = call;
  part.m = rows;
  part.x = at(call.x, row * call.x_stride, kernels::DTypeOf(call.weight->format));
  part.out = at(call.out, row * call.out_stride, call.out_dtype);
  part.residual = at(call.residual, row * call.out_stride, call.out_dtype);
  return part;
}

size_t ScratchBytes(const kernels::KernelTable& kernels) {
  return (static_cast<size_t>(kernels.gemm_scratch_bytes) + 63) / 64 * 64;
}

}  // namespace

size_t MultiplyBytes(int threads, const kernels::KernelTable& kernels) {
  return static_cast<size_t>(threads) * ScratchBytes(kernels);
}

void Multiply(const GemmCall& call, const kernels::KernelTable& kernels, ThreadPool& pool,
              std::byte* workspace) noexcept {
  if (call.m <= 0) return;
  const Pieces piece = Cut(call, kernels, pool.threads());
  const int64_t row_pieces = CeilDiv(call.m, piece.rows);
  const size_t scratch = ScratchBytes(kernels);
  // Pieces of the same panels follow each other: threads that work on them side by side share the weights in L3.
  pool.ParallelFor(CeilDiv(call.weight->panels, piece.panels) * row_pieces, [&](int64_t chunk, int worker) {
    const int64_t panel = chunk / row_pieces * piece.panels;
    const int64_t row = chunk % row_pieces * piece.rows;
    const GemmCall part = Rows(call, row, std::min(piece.rows, call.m - row));
    const int64_t end = std::min(panel + piece.panels, call.weight->panels);
    kernels.gemm(part, panel, end, workspace + static_cast<size_t>(worker) * scratch);
  });
}

}  // namespace atb
