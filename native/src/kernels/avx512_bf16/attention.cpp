#include "kernels/avx512_bf16/bf16_pairs.h"
#include "kernels/avx512_bf16/kernels.h"

namespace atb::kernels::avx512_bf16 {

static_assert(sizeof(simd::AttendScratch<BF16Pairs::Factor>) <= avx512::kAttendScratchBytes);

// Sixteen accumulators in both products: vdpbf16ps needs about ten to hide its latency.
void Attend(const AttendCall& call, int64_t key_begin, int64_t key_end, const AttendPartial& out, void* scratch) {
  if (call.dtype != DType::kBF16 || call.cache_dtype == DType::kI8)
    return avx512::Attend(call, key_begin, key_end, out, scratch);
  simd::Attend<Vec, BF16Pairs, 8, 4, 4>(call, key_begin, key_end, out, scratch);
}

}  // namespace atb::kernels::avx512_bf16
