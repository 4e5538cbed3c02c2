#include "ops/linear/pieces.h"

#include <algorithm>
#include <type_traits>

#include "base/align.h"
#include "kernels/pack.h"
#include "kernels/pack_integers.h"

namespace atb {
namespace {

using kernels::GemmCall;
using kernels::PackedWeight;

/// Bytes of weights that a thread takes at once where rows are few, about 200 microseconds of reading. They are many
/// because a thread waits for memory each time it starts to read at another place.
constexpr int64_t kRangeBytes = 4096 * 1024;
/// Bytes of the activations of a piece. They stay in a core's L2 while the panels of the piece stream past them.
constexpr int64_t kPieceBytes = 1024 * 1024;
constexpr int64_t kPieceChannels = 2048;
/// As many times more rows has a piece for which panels become floats first, since they do for each piece.
constexpr int64_t kWidenedPieces = 4;
/// The most panels that a thread takes at once in a product of more rows: enough of them that bringing the activations
/// into L2 is a small part of the time.
constexpr int64_t kMaxPanels = 32;
/// Panels of a piece where activations stay in L2 from one piece to the next.
constexpr int64_t kLeastPanels = 2;
/// Activations do not stay in L2 where they have several blocks of channels, or are integers that are made for the
/// piece. Then a piece has at least kLargePanels panels, and as many as leave each thread 2 or 4 pieces, so that others
/// can take over the pieces of a thread that the system holds up.
constexpr int64_t kLargePanels = 8;
constexpr int64_t kPiecesOfBlocks = 2;
constexpr int64_t kPiecesOfIntegers = 4;

}  // namespace

Piece CutPieces(const MultiplyCall& call, const kernels::KernelTable& kernels, int threads) {
  const PackedWeight& weight = *call.weight;
  Piece piece{call.m, kernels.gemm_streams[static_cast<size_t>(weight.format)], 1};
  if (call.m > kFewRows) {
    const bool integers = kernels::TakesDigits(weight);
    const int64_t bytes = integers ? call.planes : 2;
    const int64_t most =
        kPieceBytes / (std::min(weight.k, kPieceChannels) * bytes) * (kernels::IsWidened(weight) ? kWidenedPieces : 1);
    piece.rows = CeilDiv(CeilDiv(call.m, CeilDiv(call.m, most)), kFewRows) * kFewRows;
    if (integers || weight.k > kPieceChannels) {
      const int64_t pieces = (integers ? kPiecesOfIntegers : kPiecesOfBlocks) * threads;
      const int64_t wanted = CeilDiv(pieces, CeilDiv(call.m, piece.rows));
      piece.panels = std::clamp(weight.panels / wanted / 2 * 2, kLargePanels, kMaxPanels);
    } else {
      piece.panels = kLeastPanels;
      piece.most = kMaxPanels / kLeastPanels;
    }
  }
  if (call.gated) piece.panels = CeilDiv(piece.panels, 2) * 2;
  if (call.m <= kFewRows) piece.most = kRangeBytes / (piece.panels * weight.panel_stride);
  return piece;
}

GemmCall KernelCall(const MultiplyCall& call) {
  return {
      .weight = call.weight,
      .x = kernels::TakesDigits(*call.weight) ? nullptr : call.x,
      .m = call.m,
      .x_stride = call.x_stride,
      .bias = call.bias,
      .bias_dtype = call.bias_dtype,
      .activation = call.activation,
      .gated = call.gated,
      .clamp = call.clamp,
      .residual = call.residual,
      .out = call.out,
      .out_dtype = call.out_dtype,
      .out_stride = call.out_stride,
      .x_dtype = call.x_dtype,
  };
}

GemmCall RowsOf(const GemmCall& call, int64_t row, int64_t rows, int64_t row_bytes) {
  const auto at = [](auto* base, int64_t element, DType dtype) {
    using Byte = std::conditional_t<std::is_const_v<std::remove_pointer_t<decltype(base)>>, const std::byte, std::byte>;
    return base ? static_cast<Byte*>(base) + element * static_cast<int64_t>(SizeOf(dtype)) : nullptr;
  };
  GemmCall part = call;
  part.m = rows;
  part.x = at(call.x, row * row_bytes, DType::kU8);
  if (call.digits.blocks) {
    part.digits.blocks += row * row_bytes;
    part.digits.scales += row;
    if (call.digits.sums) part.digits.sums += row * kernels::GroupsOf(call.weight->k, call.weight->group);
  }
  part.out = at(call.out, row * call.out_stride, call.out_dtype);
  part.residual = at(call.residual, row * call.out_stride, call.out_dtype);
  return part;
}

}  // namespace atb
