#include "kernels/avx512_bf16/bf16_format.h"
#include "kernels/avx512_bf16/kernels.h"

namespace atb::kernels::avx512_bf16 {

void Gemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* scratch) {
  if (call.weight->format == WeightFormat::kE4M3) return E4M3Gemm(call, panel_begin, panel_end, scratch);
  if (call.weight->format != WeightFormat::kBF16) return avx512::Gemm(call, panel_begin, panel_end, scratch);
  simd::Gemm<Vec, BF16Format>(call, panel_begin, panel_end, 2, *static_cast<simd::GemmScratch*>(scratch));
}

}  // namespace atb::kernels::avx512_bf16
