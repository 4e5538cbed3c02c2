#pragma once
#include <cstddef>
#include <cstdint>

#include "base/thread_pool.h"
#include "kernels/kernel_table.h"
#include "ops/linear/gemm.h"

namespace atb {

/// The rows of a product with a weight of integers, in the form that kernels take (see GemmCall). All threads make them
/// together before the product. Where they are few, each thread makes a copy for itself before its first piece instead.
class IntegerActivations {
 public:
  /// The most rows that may come from a RowSource.
  static constexpr int64_t kFewRows = 16;

  /// Bytes of the workspace, 64-byte aligned.
  static size_t Bytes(int threads, int64_t m, int64_t k, int planes);

  /// Makes the rows, unless each thread makes a copy.
  IntegerActivations(const kernels::GemmCall& call, const kernels::KernelTable& kernels, ThreadPool& pool,
              std::byte* workspace, const RowSource& source);

  /// Puts the rows into a call that is about all of them.
  void Use(kernels::GemmCall& call, int worker) const;
  /// Bytes that a row takes in its block: a block of R rows is R times as long.
  int64_t RowBytes() const { return row_bytes_; }

 private:
  struct Copy {
    std::byte* rows;
    float* scales;
    bool* ready;
  };
  Copy Of(int worker) const;
  void Make(const void* x, int64_t row, const Copy& to) const;

  const kernels::GemmCall& call_;
  const kernels::KernelTable& kernels_;
  std::byte* workspace_;
  RowSource source_;
  int64_t row_bytes_;
  bool own_;  ///< Each thread has a copy.
};

}  // namespace atb
