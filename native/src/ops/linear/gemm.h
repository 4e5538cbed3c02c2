#pragma once
#include <cstddef>

#include "base/thread_pool.h"
#include "kernels/kernel_table.h"

namespace atb {

/// A product as an operation asks for it: like a kernels::GemmCall, but its activations are rows of numbers whatever
/// the weight holds.
struct MultiplyCall {
  const kernels::PackedWeight* weight;  ///< [n, k]
  /// [m, k] rows x_stride elements apart: of x_dtype for a weight with scales, else of the dtype that its format
  /// multiplies (kernels::DTypeOf).
  const void* x;
  int64_t m;
  int64_t x_stride;
  // The epilogue, as in GemmCall.
  const void* bias;  ///< [n] of bias_dtype, or null.
  DType bias_dtype;
  kernels::UnaryOp activation = kernels::UnaryOp::kNone;
  bool gated = false;
  kernels::GateClamp clamp{};
  const void* residual;  ///< [m, columns of out] of out_dtype, rows out_stride apart, or null.
  void* out;             ///< [m, n] (n/2 when gated), rows out_stride elements apart.
  DType out_dtype;
  int64_t out_stride;
  // For a weight with scales. Of integers: Multiply quantises each row to whole numbers and a scale.
  DType x_dtype = DType::kF32;      ///< f32, f16 or bf16; or i8, which are whole numbers already and take one plane.
  int planes = 0;                   ///< Digits to base 256 of each whole number, 1 to 3: see PlanesOf.
  const float* x_scales = nullptr;  ///< [m], the scales of i8 rows; null: all 1.
};

/// Bytes of the workspace of Multiply for a weight of floats.
size_t MultiplyBytes(int threads, const kernels::KernelTable& kernels);
/// The same for m rows and a weight of integers with k input channels, or for one that is widened (kernels::IsWidened).
size_t MultiplyBytes(int threads, const kernels::KernelTable& kernels, int64_t m, int64_t k, int planes,
                     bool widens = false);

/// How many digits (see kernels::DigitMatrix) keep the precision of activations: two for f16 and bf16, which is 16 bits
/// relative to a row's largest number, three (24 bits) for f32, and one for int8.
int PlanesOf(DType dtype);

/// Gives each thread a copy of the rows, which replaces the x of a call. It is asked before each piece of work.
struct RowSource {
  const void* (*rows)(const void* context, int worker) = nullptr;
  const void* context = nullptr;
};

/// Computes the whole product. Its panels, and its rows where they are many, are handed out to the pool. How they are
/// cut changes no bit of the result. With a weight of integers, the call has rows of x_dtype, and its planes say into
/// how many digits they are taken apart. `workspace` has MultiplyBytes and is 64-byte aligned.
void Multiply(const MultiplyCall& call, const kernels::KernelTable& kernels, ThreadPool& pool, std::byte* workspace,
              const RowSource& source = {}) noexcept;

/// Products of the rows of each batch with a matrix of its own, of floats; the packed matrices follow one another.
/// Batch b reads x at b * x_batch, and writes out at b * out_batch elements. The epilogue is empty. The work is cut by
/// batches, by rows and by panels, at no barrier but the last.
struct BatchedCall {
  const kernels::PackedWeight* weight;  ///< The first matrix, [n, k].
  int64_t batches;
  const void* x;
  int64_t m;  ///< Rows of each batch.
  int64_t x_stride;
  int64_t x_batch;
  void* out;
  DType out_dtype;
  int64_t out_stride;
  int64_t out_batch;
};

/// `workspace` as for Multiply with a weight of floats.
void MultiplyBatches(const BatchedCall& call, const kernels::KernelTable& kernels, ThreadPool& pool,
                     std::byte* workspace) noexcept;

}  // namespace atb
