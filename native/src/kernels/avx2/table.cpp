#include "kernels/avx2/kernels.h"
#include "kernels/tables.h"

namespace atb::kernels {

const KernelTable kAvx2 = {
    .isa = "avx2",
    .to_f32 = avx2::ToF32,
    .from_f32 = avx2::FromF32,
    .rms_norm = avx2::RmsNorm,
    .layer_norm = avx2::LayerNorm,
    .binary = avx2::Binary,
    .unary = avx2::Unary,
    .swiglu = avx2::Swiglu,
    .rope = avx2::Rope,
    .softmax = avx2::Softmax,
    .block_maxima = avx2::BlockMaxima,
    .quantize = avx2::Quantize,
    .sum_digits = avx2::SumDigits,
    .quantize_int4 = avx2::QuantizeInt4,
    .pack_lines = avx2::PackLines,
    .widen_e2m1 = avx2::WidenE2M1,
    .gemm = avx2::Gemm,
    .gemm_scratch_bytes = avx2::kGemmScratchBytes,
    .gemm_streams = {avx2::kGemmStreams, avx2::kGemmStreams, avx2::kGemmStreams, avx2::kGemmStreams,
                     avx2::kGemmStreams, avx2::kGemmStreams, avx2::kGemmStreams},
    .attend = avx2::Attend,
    .merge = avx2::Merge,
    .attend_scratch_bytes = avx2::kAttendScratchBytes,
    .index_scores = avx2::IndexScores,
    .recur = avx2::Recur,
    .conv = avx2::Conv,
    .yardstick = avx2::Yardstick,
};

}  // namespace atb::kernels
