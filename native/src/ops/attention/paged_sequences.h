#pragma once
#include <algorithm>
#include <cstdint>
#include <span>

#include "tensor/tensor.h"

namespace atb {

/// The inputs by which an operation finds its sequences in the paged cache, by their numbers: block tables i32
/// [batch, W], behind these the keys of each sequence i32 [batch], and the queries that each brings i32 [batch],
/// which are the last tokens of its keys.
struct PagedSequences {
  const char* op;
  int tables;
  int lengths;  ///< Below 0: each sequence brings one query.

  int contexts() const { return tables + 1; }
  int64_t Batch(std::span<const Tensor> in) const { return At(in, tables).desc.dim(0); }
  const int32_t* Table(std::span<const Tensor> in, int64_t sequence) const {
    const Tensor& all = At(in, tables);
    return all.As<int32_t>() + sequence * all.desc.dim(1);
  }
  int64_t Context(std::span<const Tensor> in, int64_t sequence) const {
    return At(in, contexts()).As<int32_t>()[sequence];
  }
  int64_t Queries(std::span<const Tensor> in, int64_t sequence) const {
    return lengths < 0 ? 1 : At(in, lengths).As<int32_t>()[sequence];
  }
  /// Keys up to the own one of a sequence's query.
  int64_t SeenBy(std::span<const Tensor> in, int64_t sequence, int64_t query) const {
    return std::max<int64_t>(Context(in, sequence) - Queries(in, sequence) + query + 1, 0);
  }

  /// Checks dtypes and shapes. Throws what the functions of ops/check.h throw. `keys`: the cache, which has been
  /// checked; `query`: the input with a row per query.
  void Check(std::span<const TensorDesc> in, const TensorDesc& keys, int query) const;
  /// Checks that every block exists in the cache `keys`, and that queries are among their keys and as many as `query`
  /// has. Throws NATIVE_VALUE_OUT_OF_RANGE. A sequence without keys is padding.
  void Validate(std::span<const Tensor> in, const TensorDesc& keys, int query) const;
};

}  // namespace atb
