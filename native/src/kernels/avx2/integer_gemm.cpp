#include "kernels/avx2/integer_gemm.h"

namespace atb::kernels::avx2 {
namespace {

/// sums += products, in place: gcc would add up all products of a step as a tree, for which registers do not suffice.
inline void AddWords(__m256i& sums, __m256i products) { asm("vpaddw %1, %0, %0" : "+x"(sums) : "x"(products)); }

/// Unsigned bytes: products of two fit the 16 bits of vpmaddubsw, and so do their sums over kLines lines of a panel.
template <class Bytes, int kLines>
struct Words : Bytes {
  template <int T>
  __attribute__((always_inline)) static void AddStep(const char* w, const int8_t* const* rows, int64_t at,
                                                     __m256i (&acc)[T][2]) {
    for (int64_t first = 0; first < kStepBytes<Bytes> / 64; first += kLines) {
      __m256i words[T][2];
      for (int t = 0; t < T; ++t) words[t][0] = words[t][1] = _mm256_setzero_si256();
#pragma GCC unroll 4
      for (int64_t line = first; line < first + kLines; ++line, w += 64) {
        __builtin_prefetch(w + kBytesAhead);
        __m256i quads[2][Bytes::kQuads];
        Bytes::Load(w, quads[0]);
        Bytes::Load(w + 32, quads[1]);
#pragma GCC unroll 2
        for (int q = 0; q < Bytes::kQuads; ++q) {
#pragma GCC unroll 4
          for (int t = 0; t < T; ++t) {
            const __m256i digits = QuadOf(rows[t] + at + (line * Bytes::kQuads + q) * 4);
            for (int i = 0; i < 2; ++i) AddWords(words[t][i], _mm256_maddubs_epi16(quads[i][q], digits));
          }
        }
      }
      for (int t = 0; t < T; ++t) {
        for (int i = 0; i < 2; ++i)
          acc[t][i] = _mm256_add_epi32(acc[t][i], _mm256_madd_epi16(words[t][i], _mm256_set1_epi16(1)));
      }
    }
  }
};
// Of each quad a sum takes a product of pairs.
static_assert(4 * I4Bytes::kQuads * 2 * (15 * 128) < 32768 && 2 * E2M1Bytes::kQuads * 2 * (24 * 128) < 32768);
using I4 = Words<I4Bytes, 4>;
using E2M1 = Words<E2M1Bytes, 2>;

}  // namespace

static_assert(sizeof(Scratch) <= kGemmScratchBytes);

void IntegerGemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* memory) {
  Scratch& scratch = *static_cast<Scratch*>(memory);
  if (call.weight->format == WeightFormat::kI8) return Multiply<I8>(call, panel_begin, panel_end, scratch);
  if (call.weight->format == WeightFormat::kE2M1) return Multiply<E2M1>(call, panel_begin, panel_end, scratch);
  Multiply<I4>(call, panel_begin, panel_end, scratch);
}

}  // namespace atb::kernels::avx2
