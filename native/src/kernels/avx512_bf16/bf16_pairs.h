#pragma once
// bf16 as attention multiplies it in AVX-512 and AMX where there are products of bf16. Everything has internal linkage;
// vec.h says why.
#include <string.h>

#include "kernels/avx512/short_exp.h"
#include "kernels/simd/attention.h"

namespace atb::kernels::avx512_bf16 {
namespace {

using avx512::Vec;

/// The E of kernels/simd/attention.h for bf16: vdpbf16ps multiplies and adds pairs.
struct BF16Pairs {
  using Factor = uint16_t;
  using Stored = __m512bh;
  using Exponential = avx512::ShortExp;
  static constexpr int kDepth = 2;
  static constexpr int64_t kBytes = 2;

  static Stored Load(const char* p) { return (__m512bh)_mm512_loadu_si512(p); }
  static Stored Load(const char* p, int64_t) { return Load(p); }  // Stored tiles are whole.
  static Vec Mul(Stored stored, const uint16_t* weights, Vec acc) {
    int pair;
    memcpy(&pair, weights, sizeof(pair));
    return {_mm512_dpbf16_ps(acc.v, stored, (__m512bh)_mm512_set1_epi32(pair))};
  }
  /// The conversion takes subnormals for zero, as the products do.
  static Vec Keep(Vec p, Vec q, uint16_t* to, Vec sum) {
    const __m512bh rounded = _mm512_cvtne2ps_pbh(q.v, p.v);
    _mm512_storeu_si512(to, (__m512i)rounded);
    return {_mm512_dpbf16_ps(sum.v, rounded, (__m512bh)_mm512_set1_epi16(0x3F80))};  // Times one.
  }
  static void LoadQuery(const void* q, int64_t at, int64_t n, uint16_t* to) {
    memcpy(to, static_cast<const uint16_t*>(q) + at, static_cast<size_t>(n) * 2);
  }
};

}  // namespace
}  // namespace atb::kernels::avx512_bf16
