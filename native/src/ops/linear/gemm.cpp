#include "ops/linear/gemm.h"

#include <algorithm>
#include <optional>

#include "base/align.h"
#include "kernels/pack.h"
#include "kernels/pack_integers.h"
#include "ops/linear/integer_activations.h"
#include "ops/linear/pieces.h"

namespace atb {
namespace {

using kernels::GemmCall;

size_t ScratchBytes(const kernels::KernelTable& kernels) {
  return Align(static_cast<size_t>(kernels.gemm_scratch_bytes));
}

}  // namespace

size_t MultiplyBytes(int threads, const kernels::KernelTable& kernels) {
  return static_cast<size_t>(threads) * ScratchBytes(kernels);
}

size_t MultiplyBytes(int threads, const kernels::KernelTable& kernels, int64_t m, int64_t k, int planes) {
  return MultiplyBytes(threads, kernels) + IntegerActivations::Bytes(threads, m, k, planes);
}

int PlanesOf(DType dtype) { return dtype == DType::kI8 ? 1 : dtype == DType::kF32 ? 3 : 2; }

void Multiply(const MultiplyCall& call, const kernels::KernelTable& kernels, ThreadPool& pool,
              std::byte* workspace, const RowSource& source) noexcept {
  if (call.m <= 0) return;
  const Piece piece = CutPieces(call, kernels, pool.threads());
  const int64_t panel_pieces = CeilDiv(call.weight->panels, piece.panels);
  const size_t scratch = ScratchBytes(kernels);
  std::optional<IntegerActivations> integers;
  int64_t row_bytes = call.x_stride * static_cast<int64_t>(SizeOf(kernels::DTypeOf(call.weight->format)));
  if (kernels::IsInteger(call.weight->format)) {
    integers.emplace(call, kernels, pool, workspace + MultiplyBytes(pool.threads(), kernels), source);
    row_bytes = integers->RowBytes();
  }
  const auto run = [&](int64_t row, int64_t begin, int64_t end, int worker) {
    GemmCall own = KernelCall(call);
    if (integers) {
      own.digits = integers->Of(worker);
    } else if (source.rows) {
      own.x = source.rows(source.context, worker);
    }
    const GemmCall part = RowsOf(own, row, std::min(piece.rows, call.m - row), row_bytes);
    kernels.gemm(part, begin * piece.panels, std::min(end * piece.panels, call.weight->panels),
                 workspace + static_cast<size_t>(worker) * scratch);
  };
  // Pieces of the same rows follow each other, so that a thread finds its activations in L2.
  const auto range = [&](int64_t begin, int64_t end, int worker) {
    while (begin < end) {
      const int64_t rows = begin / panel_pieces;
      const int64_t same = std::min(end, (rows + 1) * panel_pieces);
      run(rows * piece.rows, begin - rows * panel_pieces, same - rows * panel_pieces, worker);
      begin = same;
    }
  };
  pool.ParallelRanges(CeilDiv(call.m, piece.rows) * panel_pieces, piece.most, range);
}

}  // namespace atb
