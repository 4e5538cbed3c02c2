#pragma once
#include <cstddef>

#include "kernels/kernel_table.h"

namespace atb {

/// Bytes of a thread's memory in which panels of k channels become floats (kernels::IsWidened), 64-byte aligned.
size_t WidenedBytes(int64_t k);

/// Runs the kernel of a call on panels [begin, end): where the weight is widened, on panels of x's dtype that are made
/// in `memory` of WidenedBytes right before, some at a time.
void RunKernel(const kernels::GemmCall& call, int64_t begin, int64_t end, const kernels::KernelTable& kernels,
               std::byte* scratch, std::byte* memory);

}  // namespace atb
