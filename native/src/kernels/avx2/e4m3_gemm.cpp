#include "kernels/simd/e4m3_gemm.h"
#include "kernels/avx2/kernels.h"
#include "kernels/avx2/vec.h"

namespace atb::kernels::avx2 {
namespace {

/// Widens half a line of a kE4M3 panel to bf16: two pairs of channels of eight columns. kernels/avx512/e4m3.h explains
/// it.
struct BF16Quads {
  __m256i first;
  __m256i second;

  static BF16Quads Of(__m256i half) {
    const __m256i size = _mm256_and_si256(half, _mm256_set1_epi8(0x7F));
    const __m256i tiny = _mm256_cmpeq_epi8(_mm256_and_si256(half, _mm256_set1_epi8(0x78)), _mm256_setzero_si256());
    const __m256i tiny_upper = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0x00, 0x3B, 0x3B, 0x3B, 0x3C, 0x3C, 0x3C, 0x3C, 0, 0, 0, 0, 0, 0, 0, 0));
    const __m256i tiny_lower = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0x00, 0x00, -0x80, -0x40, 0x00, 0x20, 0x40, 0x60, 0, 0, 0, 0, 0, 0, 0, 0));
    __m256i upper = _mm256_and_si256(_mm256_srli_epi16(half, 4), _mm256_set1_epi8(0x07));
    upper = _mm256_add_epi8(upper, _mm256_set1_epi8(60));
    upper = _mm256_blendv_epi8(upper, _mm256_shuffle_epi8(tiny_upper, size), tiny);
    upper = _mm256_or_si256(upper, _mm256_and_si256(half, _mm256_set1_epi8(-128)));
    __m256i lower = _mm256_and_si256(_mm256_slli_epi16(half, 4), _mm256_set1_epi8(-16));
    lower = _mm256_blendv_epi8(lower, _mm256_shuffle_epi8(tiny_lower, size), tiny);
    return {_mm256_unpacklo_epi8(lower, upper), _mm256_unpackhi_epi8(lower, upper)};
  }
};

/// For activations of any dtype.
struct F32Rows : simd::F32Channels<Vec> {
  using Wide = simd::F32Format<Vec>;
  static void Widen(const char* line, char* to) { Load(line).Store(to); }
  static Weights Load(const char* w) {
    const BF16Quads lo = BF16Quads::Of(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(w)));
    const BF16Quads hi = BF16Quads::Of(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + 32)));
    return {{{Even(lo.first), Even(hi.first)},
             {Odd(lo.first), Odd(hi.first)},
             {Even(lo.second), Even(hi.second)},
             {Odd(lo.second), Odd(hi.second)}}};
  }
};

}  // namespace

static_assert(sizeof(simd::ScaledScratch<F32Rows>) <= kGemmScratchBytes);

void E4M3Gemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* scratch) {
  simd::ScaledGemm<Vec, F32Rows>(call, panel_begin, panel_end, scratch);
}

}  // namespace atb::kernels::avx2
