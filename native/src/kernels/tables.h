#pragma once
#include "kernels/kernel_table.h"

namespace atb::kernels {

extern const KernelTable kReference;

}  // namespace atb::kernels
