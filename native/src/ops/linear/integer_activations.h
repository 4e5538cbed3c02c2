#pragma once
#include <cstddef>
#include <cstdint>

#include "base/thread_pool.h"
#include "kernels/kernel_table.h"
#include "ops/linear/gemm.h"

namespace atb {

/// Bytes of the digits of a row of k channels.
int64_t DigitBytes(int64_t k, int planes);

/// Makes row `row` of the digits of a call's m rows, and its scale, out of the numbers of that row at `x`. `blocks` has
/// m * DigitBytes, `scales` m numbers.
void MakeDigits(const MultiplyCall& call, const kernels::KernelTable& kernels, const void* x, int64_t row,
                std::byte* blocks, float* scales);

/// The most groups of a row of k channels.
int64_t MostGroups(int64_t k);

/// Sums the numbers of row `row` of a call, whose digits are made, over each group of the call's weight.
void SumDigits(const MultiplyCall& call, const kernels::KernelTable& kernels, int64_t row, const std::byte* blocks,
               float* sums);

/// The activation rows of a product with a weight of integers as digits (kernels::DigitMatrix). All threads make them
/// together before the product. Where they are few, each thread makes a copy for itself before its first piece instead.
class IntegerActivations {
 public:
  /// The most rows that may come from a RowSource.
  static constexpr int64_t kFewRows = 16;

  /// Bytes of the workspace, 64-byte aligned.
  static size_t Bytes(int threads, int64_t m, int64_t k, int planes);

  /// Makes the digits where all threads share them.
  IntegerActivations(const MultiplyCall& call, const kernels::KernelTable& kernels, ThreadPool& pool,
                     std::byte* workspace, const RowSource& source);

  /// The digits of all rows for a worker, which makes them now if each thread has its own.
  kernels::DigitMatrix Of(int worker) const;
  /// Bytes of a row's digits. A block of R rows takes R times as much.
  int64_t RowBytes() const { return row_bytes_; }

 private:
  struct Copy {
    std::byte* rows;
    float* scales;
    float* sums;  ///< [m, groups of the weight], where it is int8 with offsets.
    bool* ready;
  };
  Copy CopyOf(int worker) const;
  void Make(const void* x, int64_t row, const Copy& to) const;

  const MultiplyCall& call_;
  const kernels::KernelTable& kernels_;
  std::byte* workspace_;
  RowSource source_;
  int64_t row_bytes_;
  bool own_;  ///< Each thread has a copy.
};

}  // namespace atb
