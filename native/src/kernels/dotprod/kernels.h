#pragma once
#include "kernels/neon/kernels.h"

namespace atb::kernels::dotprod {

// What products of four bytes at once make faster; everything else is that of the table "neon".
int32_t SumDigits(const int8_t* digits, int64_t count);
void Gemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* scratch);
void Attend(const AttendCall& call, int64_t key_begin, int64_t key_end, const AttendPartial& out, void* scratch);

}  // namespace atb::kernels::dotprod
