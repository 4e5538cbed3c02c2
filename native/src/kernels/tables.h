#pragma once
#include "kernels/kernel_table.h"

namespace atb::kernels {

extern const KernelTable kReference;
#ifdef ATB_X86
extern const KernelTable kAvx2;
extern const KernelTable kAvx512;
extern const KernelTable kAmx;
#endif

}  // namespace atb::kernels
