#pragma once
#include <cstddef>

#include "base/thread_pool.h"
#include "kernels/kernel_table.h"

namespace atb {

/// Bytes of the workspace of Multiply for a weight of floats.
size_t MultiplyBytes(int threads, const kernels::KernelTable& kernels);
/// The same for m rows and a weight of integers with k input channels.
size_t MultiplyBytes(int threads, const kernels::KernelTable& kernels, int64_t m, int64_t k, int planes);

/// How many digits (see GemmCall) keep the precision of activations: two for f16 and bf16, which is 16 bits relative to
/// a row's largest number, three (24 bits) for f32, and one for int8.
int PlanesOf(DType dtype);

/// Gives each thread a copy of the rows, which replaces the x of a call. It is asked before each piece of work.
struct RowSource {
  const void* (*rows)(const void* context, int worker) = nullptr;
  const void* context = nullptr;
};

/// Computes the whole product. Its panels, and its rows where they are many, are handed out to the pool. How they are
/// cut changes no bit of the result. With a weight of integers, the call has rows of x_dtype, and its planes say into
/// how many digits they are taken apart. `workspace` has MultiplyBytes and is 64-byte aligned.
void Multiply(const kernels::GemmCall& call, const kernels::KernelTable& kernels, ThreadPool& pool,
              std::byte* workspace, const RowSource& source = {}) noexcept;

}  // namespace atb
