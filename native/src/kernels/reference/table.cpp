#include "kernels/reference/kernels.h"
#include "kernels/tables.h"

namespace atb::kernels {

const KernelTable kReference = {
    .isa = "reference",
    .to_f32 = reference::ToF32,
    .from_f32 = reference::FromF32,
    .rms_norm = reference::RmsNorm,
    .layer_norm = reference::LayerNorm,
    .binary = reference::Binary,
    .mix = reference::Mix,
    .unary = reference::Unary,
    .swiglu = reference::Swiglu,
    .rope = reference::Rope,
    .softmax = reference::Softmax,
    .block_maxima = reference::BlockMaxima,
    .quantize = reference::Quantize,
    .sum_digits = reference::SumDigits,
    .quantize_int4 = reference::QuantizeInt4,
    .pack_lines = reference::PackLines,
    .widen_e2m1 = reference::WidenE2M1,
    .gemm = reference::Gemm,
    .gemm_scratch_bytes = 0,
    .gemm_streams = {1, 1, 1, 1, 1, 1, 1},
    .attend = reference::Attend,
    .merge = reference::Merge,
    .attend_scratch_bytes = 0,
    .index_scores = reference::IndexScores,
    .recur = reference::Recur,
    .conv = reference::Conv,
    .yardstick = reference::Yardstick,
};

}  // namespace atb::kernels
