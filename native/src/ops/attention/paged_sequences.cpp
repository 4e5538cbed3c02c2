#include "ops/attention/paged_sequences.h"

#include <string>

#include "base/align.h"
#include "ops/check.h"

namespace atb {
namespace {

/// Of one sequence.
constexpr int64_t kMostKeys = int64_t{1} << 31;

}  // namespace

void PagedSequences::Check(std::span<const TensorDesc> in, const TensorDesc& keys, int query) const {
  const TensorDesc& table = At(in, tables);
  RequireDType(op, tables, table, DType::kI32);
  RequireRank(op, tables, table, 2, 2);
  // Lengths are i32, so no sequence needs more; and sizes of workspaces cannot overflow.
  if (table.dim(1) > kMostKeys / keys.dim(1))
    FailShape(op, tables, "of blocks of at most " + std::to_string(kMostKeys) + " keys together", table);
  const int64_t batch = table.dim(0);
  RequireVector(op, contexts(), At(in, contexts()), DType::kI32, batch);
  const TensorDesc& q = At(in, query);
  if (lengths >= 0) {
    RequireVector(op, lengths, At(in, lengths), DType::kI32, batch);
  } else if (q.dim(0) != batch) {
    FailShape(op, query, "of " + std::to_string(batch) + " tokens, one per sequence", q);
  }
}

void PagedSequences::Validate(std::span<const Tensor> in, const TensorDesc& keys, int query) const {
  const int64_t blocks = keys.dim(0), block_size = keys.dim(1);
  const int64_t most = At(in, tables).desc.dim(1) * block_size;
  int64_t tokens = 0;
  for (int64_t i = 0; i < Batch(in); ++i) {
    const int64_t context = Context(in, i), queries = Queries(in, i);
    if (context < 0 || context > most) {
      FailValue(op, contexts(), "lengths from 0 to " + std::to_string(most) + ", what the tables hold",
                std::to_string(context));
    }
    for (int64_t j = 0; j < CeilDiv(context, block_size); ++j) {
      const int32_t block = Table(in, i)[j];
      if (block < 0 || block >= blocks)
        FailValue(op, tables, "blocks below " + std::to_string(blocks), std::to_string(block));
    }
    // A sequence without context is padding. The rows of its queries become zeros.
    if (queries < 0 || (queries > context && context > 0)) {
      FailValue(op, lengths, "lengths from 0 to the context's " + std::to_string(context), std::to_string(queries));
    }
    tokens += queries;
  }
  const int64_t rows = At(in, query).desc.dim(0);
  if (tokens != rows) FailValue(op, lengths, "lengths that add up to " + std::to_string(rows), std::to_string(tokens));
}

}  // namespace atb
