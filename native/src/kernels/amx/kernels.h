#pragma once
#include "kernels/kernel_table.h"

namespace atb::kernels::amx {

void Gemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* scratch);
/// Gemm for a weight of integers.
void IntegerGemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* scratch);
/// Gemm for a weight of e4m3.
void E4M3Gemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* scratch);
constexpr int64_t kGemmScratchBytes = 1540 * 1024;
/// Panels of integers that few rows multiply side by side.
constexpr int64_t kGemmStreams = 6;
/// Panels of bf16 that few rows multiply side by side.
constexpr int64_t kFloatStreams = 2;

/// Panels of e4m3 that few rows multiply side by side.
constexpr int64_t kE4M3Streams = 8;

/// bf16 and integers go through tiles, other dtypes through AVX-512.
void Attend(const AttendCall& call, int64_t key_begin, int64_t key_end, const AttendPartial& out, void* scratch);
/// Attend for a cache of integers.
void AttendIntegers(const AttendCall& call, int64_t key_begin, int64_t key_end, const AttendPartial& out,
                    void* scratch);
constexpr int64_t kAttendScratchBytes = 384 * 1024;

int64_t Yardstick(const void* memory);

}  // namespace atb::kernels::amx
