#include "kernels/simd/e4m3_gemm.h"
#include "kernels/avx512/e4m3.h"
#include "kernels/avx512_bf16/bf16_format.h"
#include "kernels/avx512_bf16/kernels.h"

namespace atb::kernels::avx512_bf16 {
namespace {

using avx512::BF16Quads;

/// Four channels, as two pairs through vdpbf16ps: see BF16Format.
struct BF16Rows {
  static constexpr int64_t kStep = kLineE4M3;
  static constexpr int64_t kBytes = 64;
  static constexpr int64_t kXBytes = 8;
  using Weights = BF16Quads;
  static Weights Load(const char* w) { return avx512::WidenE4M3(_mm512_loadu_si512(w)); }
  using Wide = BF16Format;
  static void Widen(const char* line, char* to) {
    const Weights weights = Load(line);
    _mm512_store_si512(to, weights.first);
    _mm512_store_si512(to + 64, weights.second);
  }
  static Vec MulAdd(Vec acc, const Weights& w, const char* x) {
    int pairs[2];
    memcpy(pairs, x, sizeof pairs);
    acc.v = _mm512_dpbf16_ps(acc.v, (__m512bh)w.first, (__m512bh)_mm512_set1_epi32(pairs[0]));
    return {_mm512_dpbf16_ps(acc.v, (__m512bh)w.second, (__m512bh)_mm512_set1_epi32(pairs[1]))};
  }
  /// Channels that do not fill a step are copied, since it would reach into the next row.
  static bool Direct(DType, int64_t channels) { return channels % kStep == 0; }
  static void Convert(const char* x, DType, int64_t channels, float* out) {
    char* to = reinterpret_cast<char*>(out);
    memcpy(to, x, static_cast<size_t>(channels) * 2);
    memset(to + channels * 2, 0, kXBytes);
  }
};

}  // namespace

void E4M3Gemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* scratch) {
  if (call.x_dtype != DType::kBF16) return avx512::E4M3Gemm(call, panel_begin, panel_end, scratch);
  simd::ScaledGemm<Vec, BF16Rows>(call, panel_begin, panel_end, scratch);
}

}  // namespace atb::kernels::avx512_bf16
