#include "kernels/simd/e4m3_gemm.h"
#include "kernels/avx512/e4m3.h"
#include "kernels/avx512/kernels.h"

namespace atb::kernels::avx512 {
namespace {

/// For activations of any dtype.
struct F32Rows : simd::F32Channels<Vec> {
  static constexpr bool kApart = true;
  using Wide = simd::F32Format<Vec>;
  static void Widen(const char* line, char* to) { Load(line).Store(to); }
  static Weights Load(const char* w) {
    const BF16Quads quads = WidenE4M3(_mm512_loadu_si512(w));
    return {{{Even(quads.first)}, {Odd(quads.first)}, {Even(quads.second)}, {Odd(quads.second)}}};
  }
};

}  // namespace

static_assert(sizeof(simd::ScaledScratch<F32Rows>) <= kGemmScratchBytes);

void E4M3Gemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* scratch) {
  simd::ScaledGemm<Vec, F32Rows>(call, panel_begin, panel_end, scratch);
}

}  // namespace atb::kernels::avx512
