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

/// Pairs of bf16, each the upper half of an f32: shifted and masked apart, multiplied with activations in f32.
struct BF16Format {
  static constexpr int64_t kStep = 2;
  static constexpr int64_t kBytes = 64;
  static constexpr int64_t kXBytes = 8;
  /// Both halves of a line take eight registers.
  static constexpr int kAccumulators = 4;
  struct Weights {
    Vec even;
    Vec odd;
  };
  static Weights Load(const char* w) {
    const Vec pairs = Vec::Load(reinterpret_cast<const float*>(w));
    return {Each(pairs, Even), Each(pairs, Odd)};
  }
  static Vec MulAdd(Vec acc, const Weights& w, const char* x) {
    const float* pair = reinterpret_cast<const float*>(x);
    return FmaBy(w.odd, pair + 1, FmaBy(w.even, pair, acc));
  }
  static bool Direct(int64_t) { return false; }
  static void Convert(const char* x, int64_t channels, float* out) {
    for (int64_t i = 0; i < channels; i += simd::kLanes) {
      // A part's other lanes are zeros, which pads an odd number of channels.
      const int64_t n = simd::Min(simd::kLanes, channels - i);
      simd::LoadAs<Vec>(x, DType::kBF16, i, n).Store(out + i);
    }
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
