#pragma once
#include "kernels/avx512/kernels.h"

// Products of bf16, for what the table of AVX-512 widens to f32. All else is that table's.
namespace atb::kernels::avx512_bf16 {

void Gemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* scratch);
/// Gemm for a weight of e4m3.
void E4M3Gemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* scratch);
void Attend(const AttendCall& call, int64_t key_begin, int64_t key_end, const AttendPartial& out, void* scratch);
int64_t Yardstick(const void* memory);

}  // namespace atb::kernels::avx512_bf16
