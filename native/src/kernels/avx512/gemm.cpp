#include "kernels/simd/gemm.h"
#include "kernels/avx512/kernels.h"
#include "kernels/avx512/vec.h"

namespace atb::kernels::avx512 {
namespace {

/// A step waits twice for a sum that it adds to. Other panels fill the time.
struct BF16Format : simd::WidenedBF16Format<Vec> {
  static constexpr int kStreams = 8;
};

}  // namespace

static_assert(sizeof(simd::GemmScratch) <= kGemmScratchBytes && simd::kPanels == kGemmStreams);

void Gemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* scratch) {
  auto& s = *static_cast<simd::GemmScratch*>(scratch);
  switch (call.weight->format) {
    case WeightFormat::kBF16:
      return simd::Gemm<Vec, BF16Format>(call, panel_begin, panel_end, 2, s);
    case WeightFormat::kF32:
      return simd::Gemm<Vec, simd::F32Format<Vec>>(call, panel_begin, panel_end, 4, s);
    case WeightFormat::kF16:
      return simd::Gemm<Vec, simd::F16Format<Vec>>(call, panel_begin, panel_end, 2, s);
    case WeightFormat::kI8:
    case WeightFormat::kI4:
    case WeightFormat::kE2M1:
      return IntegerGemm(call, panel_begin, panel_end, scratch);
    case WeightFormat::kE4M3:
      return E4M3Gemm(call, panel_begin, panel_end, scratch);
  }
}

}  // namespace atb::kernels::avx512
