#pragma once
#include "kernels/neon/kernels.h"

namespace atb::kernels::neon {

/// What every CPU of ARMv8 can run. Tables of newer ones put their own in the place of some.
constexpr KernelTable kTable = {
    .isa = "neon",
    .to_f32 = neon::ToF32,
    .from_f32 = neon::FromF32,
    .rms_norm = neon::RmsNorm,
    .layer_norm = neon::LayerNorm,
    .binary = neon::Binary,
    .mix = neon::Mix,
    .unary = neon::Unary,
    .swiglu = neon::Swiglu,
    .rope = neon::Rope,
    .softmax = neon::Softmax,
    .block_maxima = neon::BlockMaxima,
    .quantize = neon::Quantize,
    .sum_digits = neon::SumDigits,
    .quantize_int4 = neon::QuantizeInt4,
    .pack_lines = neon::PackLines,
    .widen_e2m1 = neon::WidenE2M1,
    .gemm = neon::Gemm,
    .gemm_scratch_bytes = neon::kGemmScratchBytes,
    .gemm_streams = {neon::kGemmStreams, neon::kGemmStreams, neon::kGemmStreams, neon::kGemmStreams,
                     neon::kGemmStreams, neon::kGemmStreams, neon::kGemmStreams},
    .attend = neon::Attend,
    .merge = neon::Merge,
    .attend_scratch_bytes = neon::kAttendScratchBytes,
    .index_scores = neon::IndexScores,
    .recur = neon::Recur,
    .conv = neon::Conv,
    .yardstick = neon::Yardstick,
};

}  // namespace atb::kernels::neon
