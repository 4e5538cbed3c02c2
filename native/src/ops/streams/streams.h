#pragma once
#include "ops/check.h"

namespace atb {

/// Of hidden states: their weights are columns by columns.
constexpr int64_t kMostStreams = 16;

/// Input 0 must be streams of hidden states, [tokens, n, hidden] of floats, n from 1 to kMostStreams. Throws what the
/// functions of ops/check.h throw. Returns the columns of their weights, (2 + n) n.
inline int64_t RequireStreams(const char* op, const TensorDesc& streams) {
  RequireFloat(op, 0, streams);
  RequireRank(op, 0, streams, 3, 3);
  const int64_t n = streams.dim(1);
  if (n < 1 || n > kMostStreams) FailShape(op, 0, "of 1 to " + std::to_string(kMostStreams) + " streams", streams);
  return n * (2 + n);
}

/// Input 1 must be f32 of so many rows and columns.
inline void RequireWeights(const char* op, const TensorDesc& desc, int64_t tokens, int64_t columns) {
  RequireDType(op, 1, desc, DType::kF32);
  if (desc.rank != 2 || desc.dim(0) != tokens || desc.dim(1) != columns)
    FailShape(op, 1, "[" + std::to_string(tokens) + "," + std::to_string(columns) + "]", desc);
}

}  // namespace atb
