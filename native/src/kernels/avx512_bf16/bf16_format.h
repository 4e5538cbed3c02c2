#pragma once
// How pairs of bf16 are multiplied. Everything has internal linkage; kernels/avx512/vec.h says why.
#include "kernels/simd/gemm.h"
#include "kernels/avx512/vec.h"

namespace atb::kernels::avx512_bf16 {
namespace {

using avx512::Vec;

/// Pairs of bf16 through vdpbf16ps. It adds the product of the odd channel first and then that of the even channel; it
/// rounds after each, and takes subnormals for zero.
struct BF16Format {
  static constexpr int64_t kMostRows = 8;
  static constexpr int64_t kStep = 2;
  static constexpr int64_t kBytes = 64;
  static constexpr int64_t kXBytes = 4;
  using Weights = __m512i;
  static Weights Load(const char* w) { return _mm512_loadu_si512(w); }
  static Vec MulAdd(Vec acc, Weights w, const char* x) {
    int pair;
    memcpy(&pair, x, sizeof pair);
    return {
        _mm512_dpbf16_ps(acc.v, reinterpret_cast<__m512bh>(w), reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair)))};
  }
  /// An odd number of channels is copied, since the pair of the last channel would reach into the next row.
  static bool Direct(int64_t channels) { return channels % 2 == 0; }
  static void Convert(const char* x, int64_t channels, float* out) {
    char* to = reinterpret_cast<char*>(out);
    memcpy(to, x, static_cast<size_t>(channels) * 2);
    memset(to + channels * 2, 0, 2);
  }
};

}  // namespace
}  // namespace atb::kernels::avx512_bf16
