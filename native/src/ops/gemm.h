#pragma once
#include <cstddef>

#include "base/thread_pool.h"
#include "kernels/kernel_table.h"

namespace atb {

/// Workspace of Multiply.
size_t MultiplyBytes(int threads, const kernels::KernelTable& kernels);

/// Gives each thread its own copy of the rows, in place of a call's x; asked before each piece of work.
struct RowSource {
  const void* (*rows)(const void* context, int worker) = nullptr;
  const void* context = nullptr;
};

/// The whole product, its panels (and rows, where they are many) handed out to the pool. How they are cut changes no
/// bit of the result. `workspace`: MultiplyBytes, 64-byte aligned.
void Multiply(const kernels::GemmCall& call, const kernels::KernelTable& kernels, ThreadPool& pool,
              std::byte* workspace, const RowSource& source = {}) noexcept;

}  // namespace atb
