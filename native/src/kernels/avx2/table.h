#pragma once
#include "kernels/avx2/kernels.h"

namespace atb::kernels::avx2 {

/// What tables of further instructions begin with.
constexpr KernelTable kTable = {
    .isa = "avx2",
    .to_f32 = ToF32,
    .from_f32 = FromF32,
    .rms_norm = RmsNorm,
    .layer_norm = LayerNorm,
    .binary = Binary,
    .mix = Mix,
    .unary = Unary,
    .swiglu = Swiglu,
    .rope = Rope,
    .softmax = Softmax,
    .block_maxima = BlockMaxima,
    .quantize = Quantize,
    .sum_digits = SumDigits,
    .quantize_int4 = QuantizeInt4,
    .pack_lines = PackLines,
    .widen_e2m1 = WidenE2M1,
    .gemm = Gemm,
    .gemm_scratch_bytes = kGemmScratchBytes,
    .gemm_streams = {kGemmStreams, kGemmStreams, kGemmStreams, kGemmStreams,
                     kGemmStreams, kGemmStreams, kGemmStreams},
    .attend = Attend,
    .merge = Merge,
    .attend_scratch_bytes = kAttendScratchBytes,
    .index_scores = IndexScores,
    .recur = Recur,
    .conv = Conv,
    .yardstick = Yardstick,
};

}  // namespace atb::kernels::avx2
