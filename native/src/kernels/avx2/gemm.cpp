#include "kernels/simd/gemm.h"
#include "kernels/avx2/kernels.h"
#include "kernels/avx2/vec.h"

namespace atb::kernels::avx2 {
namespace {

/// Pairs of bf16, each the upper half of an f32: shifted and masked apart, multiplied with activations in f32.
struct BF16Format {
  static constexpr int64_t kStep = 2;
  static constexpr int64_t kBytes = 64;
  static constexpr int64_t kXBytes = 8;
  struct Weights {
    Vec even;
    Vec odd;
  };
  static Weights Load(const char* w) {
    const __m256i lo = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w));
    const __m256i hi = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + 32));
    return {{Even(lo), Even(hi)}, {Odd(lo), Odd(hi)}};
  }
  static Vec MulAdd(Vec acc, const Weights& w, const char* x) {
    const float* pair = reinterpret_cast<const float*>(x);
    return Fma(Vec::Set1(pair[1]), w.odd, Fma(Vec::Set1(pair[0]), w.even, acc));
  }
  static bool Direct(int64_t) { return false; }
  static void Convert(const char* x, int64_t channels, float* out) {
    for (int64_t i = 0; i < channels; i += simd::kLanes) {
      // A part's other lanes are zeros, which pads an odd number of channels.
      const int64_t n = simd::Min(simd::kLanes, channels - i);
      simd::LoadAs<Vec>(x, DType::kBF16, i, n).Store(out + i);
    }
  }

 private:
  static __m256 Even(__m256i pairs) { return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)); }
  static __m256 Odd(__m256i pairs) {
    return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(static_cast<int>(0xFFFF0000u))));
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

}  // namespace atb::kernels::avx2
