#include "kernels/simd/gemm.h"
#include "kernels/neon/kernels.h"
#include "kernels/neon/vec.h"

namespace atb::kernels::neon {
namespace {

/// A channel of F, whose factors are lanes.
template <class F>
struct ByLane : F {
  static Vec MulAdd(Vec acc, const Vec& w, const char* x) { return FmaBy(w, reinterpret_cast<const float*>(x), acc); }
};

/// Pairs of bf16, whose factors are lanes.
struct BF16Format : simd::WidenedBF16Format<Vec> {
  /// Both halves of a line take eight registers.
  static constexpr int kAccumulators = 4;
  static Vec MulAdd(Vec acc, const Weights& w, const char* x) {
    const float* pair = reinterpret_cast<const float*>(x);
    return FmaBy(w.odd, pair + 1, FmaBy(w.even, pair, acc));
  }
};

}  // namespace

static_assert(sizeof(simd::GemmScratch) <= kGemmScratchBytes && simd::kPanels == kGemmStreams);

void Gemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* scratch) {
  auto& s = *static_cast<simd::GemmScratch*>(scratch);
  switch (call.weight->format) {
    case WeightFormat::kBF16:
      return simd::Gemm<Vec, BF16Format>(call, panel_begin, panel_end, 2, s);
    case WeightFormat::kF32:
      return simd::Gemm<Vec, ByLane<simd::F32Format<Vec>>>(call, panel_begin, panel_end, 4, s);
    case WeightFormat::kF16:
      return simd::Gemm<Vec, ByLane<simd::F16Format<Vec>>>(call, panel_begin, panel_end, 2, s);
    case WeightFormat::kI8:
    case WeightFormat::kI4:
    case WeightFormat::kE2M1:
      return IntegerGemm(call, panel_begin, panel_end, scratch);
    case WeightFormat::kE4M3:
      return E4M3Gemm(call, panel_begin, panel_end, scratch);
  }
}

}  // namespace atb::kernels::neon
