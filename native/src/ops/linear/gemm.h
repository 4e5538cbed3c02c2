#pragma once
#include <cstddef>

#include "base/thread_pool.h"
#include "kernels/kernel_table.h"

namespace atb {

/// Workspace of Multiply.
size_t MultiplyBytes(int threads, const kernels::KernelTable& kernels);
/// Likewise for a weight of integers with k input channels, of m rows.
size_t MultiplyBytes(int threads, const kernels::KernelTable& kernels, int64_t m, int64_t k, int planes);

/// Digits that keep what activations of a dtype say: 16 bits of a row's largest number for f16 and bf16, 24 for f32;
/// one for int8.
int PlanesOf(DType dtype);

/// Gives each thread its own copy of the rows, in place of a call's x; asked before each piece of work.
struct RowSource {
  const void* (*rows)(const void* context, int worker) = nullptr;
  const void* context = nullptr;
};

/// The whole product, its panels (and rows, where they are many) handed out to the pool. How they are cut changes no
/// bit of the result. With a weight of integers the call has rows of x_dtype, and planes says how they are taken.
/// `workspace`: MultiplyBytes, 64-byte aligned.
void Multiply(const kernels::GemmCall& call, const kernels::KernelTable& kernels, ThreadPool& pool,
              std::byte* workspace, const RowSource& source = {}) noexcept;

}  // namespace atb
