#pragma once
#include <cstddef>

#include "base/thread_pool.h"
#include "kernels/kernel_table.h"

namespace atb {

/// Workspace of Multiply.
size_t MultiplyBytes(int threads, const kernels::KernelTable& kernels);

/// The whole product, its panels (and rows, where they are many) handed out to the pool. How they are cut changes no
/// bit of the result. `workspace`: MultiplyBytes, 64-byte aligned.
void Multiply(const kernels::GemmCall& call, const kernels::KernelTable& kernels, ThreadPool& pool,
              std::byte* workspace) noexcept;

}  // namespace atb
