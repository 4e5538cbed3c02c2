#pragma once
#include <cstddef>

#include "kernels/kernel_table.h"

namespace atb {

/// `count` numbers as files have them, of any dtype, as f32.
void Widen(const kernels::KernelTable& kernels, const std::byte* from, DType dtype, float* to, int64_t count);

}  // namespace atb
