#include "ops/linear/gemm.h"

#include <algorithm>
#include <optional>

#include "base/align.h"
#include "kernels/pack.h"
#include "kernels/pack_integers.h"
#include "ops/linear/integer_activations.h"
#include "ops/linear/pieces.h"
#include "ops/linear/widened.h"

namespace atb {
namespace {

using kernels::GemmCall;
using kernels::PackedWeight;
using kernels::WeightFormat;

size_t ScratchBytes(const kernels::KernelTable& kernels) {
  return Align(static_cast<size_t>(kernels.gemm_scratch_bytes));
}

}  // namespace

size_t MultiplyBytes(int threads, const kernels::KernelTable& kernels) {
  return static_cast<size_t>(threads) * ScratchBytes(kernels);
}

size_t MultiplyBytes(int threads, const kernels::KernelTable& kernels, int64_t m, int64_t k, int planes, bool widens) {
  const size_t bytes =
      widens ? static_cast<size_t>(threads) * WidenedBytes(k) : IntegerActivations::Bytes(threads, m, k, planes);
  return MultiplyBytes(threads, kernels) + bytes;
}

int PlanesOf(DType dtype) { return dtype == DType::kI8 ? 1 : dtype == DType::kF32 ? 3 : 2; }

void Multiply(const MultiplyCall& call, const kernels::KernelTable& kernels, ThreadPool& pool, std::byte* workspace,
              const RowSource& source) noexcept {
  if (call.m <= 0) return;
  const Piece piece = CutPieces(call, kernels, pool.threads());
  const int64_t panel_pieces = CeilDiv(call.weight->panels, piece.panels);
  const size_t scratch = ScratchBytes(kernels);
  std::optional<IntegerActivations> integers;
  const WeightFormat format = call.weight->format;
  const DType x_dtype = kernels::HasScales(format) ? call.x_dtype : kernels::DTypeOf(format);
  int64_t row_bytes = call.x_stride * static_cast<int64_t>(SizeOf(x_dtype));
  std::byte* const behind = workspace + MultiplyBytes(pool.threads(), kernels);
  if (kernels::TakesDigits(*call.weight)) {
    integers.emplace(call, kernels, pool, behind, source);
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
    RunKernel(part, begin * piece.panels, std::min(end * piece.panels, call.weight->panels), kernels,
              workspace + static_cast<size_t>(worker) * scratch,
              behind + static_cast<size_t>(worker) * WidenedBytes(call.weight->k));
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

void MultiplyBatches(const BatchedCall& call, const kernels::KernelTable& kernels, ThreadPool& pool,
                     std::byte* workspace) noexcept {
  constexpr int64_t kRows = 256;
  constexpr int64_t kPiecesPerThread = 2;
  const PackedWeight& first = *call.weight;
  const int64_t panels = first.panels;
  const int64_t row_pieces = CeilDiv(call.m, kRows);
  // Few batches are cut into as many panels as keep all threads busy.
  const int64_t streams = kernels.gemm_streams[static_cast<size_t>(first.format)];
  const int64_t wanted = CeilDiv(kPiecesPerThread * pool.threads(), call.batches * row_pieces);
  const int64_t step = std::max(streams, panels / wanted / streams * streams);
  const int64_t panel_pieces = CeilDiv(panels, step);
  const size_t scratch = ScratchBytes(kernels);
  const auto element = static_cast<int64_t>(SizeOf(kernels::DTypeOf(first.format)));
  const auto out_element = static_cast<int64_t>(SizeOf(call.out_dtype));
  pool.ParallelFor(call.batches * row_pieces * panel_pieces, [&](int64_t index, int worker) {
    const int64_t batch = index / (row_pieces * panel_pieces);
    const int64_t row = index / panel_pieces % row_pieces * kRows;
    const int64_t begin = index % panel_pieces * step;
    PackedWeight weight = first;
    weight.data = static_cast<const std::byte*>(first.data) + batch * kernels::PackedBytes(first);
    const GemmCall part{
        .weight = &weight,
        .x = static_cast<const std::byte*>(call.x) + (batch * call.x_batch + row * call.x_stride) * element,
        .m = std::min(kRows, call.m - row),
        .x_stride = call.x_stride,
        .bias = nullptr,
        .bias_dtype = DType::kF32,
        .residual = nullptr,
        .out = static_cast<std::byte*>(call.out) + (batch * call.out_batch + row * call.out_stride) * out_element,
        .out_dtype = call.out_dtype,
        .out_stride = call.out_stride,
    };
    kernels.gemm(part, begin, std::min(begin + step, panels), workspace + static_cast<size_t>(worker) * scratch);
  });
}

}  // namespace atb
