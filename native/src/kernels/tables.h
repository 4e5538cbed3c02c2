#pragma once
#include "kernels/kernel_table.h"

namespace atb::kernels {

extern const KernelTable kReference;
#ifdef ATB_X86
extern const KernelTable kAvx2;
extern const KernelTable kAvxVnni;
extern const KernelTable kAvx512;
extern const KernelTable kAvx512BF16;
extern const KernelTable kAmx;
#endif
#ifdef ATB_ARM64
extern const KernelTable kNeon;
extern const KernelTable kDotprod;
#endif

}  // namespace atb::kernels
