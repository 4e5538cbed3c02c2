#include "kernels/avx512_bf16/kernels.h"
#include "kernels/tables.h"

namespace atb::kernels {

const KernelTable kAvx512BF16 = {
    .isa = "avx512_bf16",
    .to_f32 = avx512::ToF32,
    .from_f32 = avx512::FromF32,
    .rms_norm = avx512::RmsNorm,
    .layer_norm = avx512::LayerNorm,
    .binary = avx512::Binary,
    .mix = avx512::Mix,
    .unary = avx512::Unary,
    .swiglu = avx512::Swiglu,
    .rope = avx512::Rope,
    .softmax = avx512::Softmax,
    .block_maxima = avx512::BlockMaxima,
    .quantize = avx512::Quantize,
    .sum_digits = avx512::SumDigits,
    .quantize_int4 = avx512::QuantizeInt4,
    .pack_lines = avx512::PackLines,
    .widen_e2m1 = avx512::WidenE2M1,
    .gemm = avx512_bf16::Gemm,
    .gemm_scratch_bytes = avx512::kGemmScratchBytes,
    .gemm_streams = {avx512::kGemmStreams, avx512::kGemmStreams, avx512::kGemmStreams, avx512::kGemmStreams,
                     avx512::kGemmStreams, avx512::kGemmStreams, avx512::kGemmStreams},
    .attend = avx512_bf16::Attend,
    .merge = avx512::Merge,
    .attend_scratch_bytes = avx512::kAttendScratchBytes,
    .index_scores = avx512::IndexScores,
    .recur = avx512::Recur,
    .conv = avx512::Conv,
    .yardstick = avx512_bf16::Yardstick,
};

}  // namespace atb::kernels
