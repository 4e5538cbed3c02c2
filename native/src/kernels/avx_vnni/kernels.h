#pragma once
#include "kernels/avx2/kernels.h"

namespace atb::kernels::avx_vnni {

/// What products of four bytes at once make faster; everything else is that of the table "avx2".
void Gemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* scratch);

}  // namespace atb::kernels::avx_vnni
