#pragma once
#include <cstdint>

#include "ops/linear/gemm.h"

namespace atb {

/// A product of at most 32 rows is bound by reading its weights. So they are read once, several panels side by side.
inline constexpr int64_t kFewRows = 32;

/// How a product is cut into pieces of work: blocks of rows of x times ranges of panels.
struct Piece {
  int64_t rows;
  int64_t panels;
  int64_t most;  ///< Pieces that a thread takes at once while much is left.
};

Piece CutPieces(const MultiplyCall& call, const kernels::KernelTable& kernels, int threads);

/// The call of a kernel for the product, without its digits.
kernels::GemmCall KernelCall(const MultiplyCall& call);

/// The call's rows [row, row + rows), whose activations or digits take row_bytes each.
kernels::GemmCall RowsOf(const kernels::GemmCall& call, int64_t row, int64_t rows, int64_t row_bytes);

}  // namespace atb
