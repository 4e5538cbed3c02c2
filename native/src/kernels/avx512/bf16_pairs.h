#pragma once
// bf16 as attention multiplies it in AVX-512 and AMX. Everything has internal linkage; vec.h says why.
#include <string.h>

#include "kernels/avx512/vec.h"
#include "kernels/simd/attention.h"

namespace atb::kernels::avx512 {
namespace {

/// exp(x * scale - shift) for a result that bf16 will round: 2^y = 2^floor(y) * p(y - floor(y)), where p is the minimax
/// polynomial of degree 4, within 2.6e-6. Both instructions know infinities, so nothing is clamped; NaN stays NaN.
struct ShortExp {
  __m512 scale;
  __m512 shift;

  ShortExp(float by, float minus)
      : scale(_mm512_set1_ps(by * 1.44269504f)), shift(_mm512_set1_ps(minus * -1.44269504f)) {}
  Vec operator()(Vec x) const {
    const __m512 y = _mm512_fmadd_ps(x.v, scale, shift);
    const __m512 r = _mm512_reduce_ps(y, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    __m512 p = _mm512_set1_ps(0.0135341681f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.0520114603f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.241442757f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.693003834f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.00000259f));
    return {_mm512_scalef_ps(p, y)};  // Takes the floor of y.
  }
};

/// The E of kernels/simd/attention.h for bf16: vdpbf16ps multiplies and adds pairs.
struct BF16Pairs {
  using Factor = uint16_t;
  using Stored = __m512bh;
  using Exponential = ShortExp;
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
}  // namespace atb::kernels::avx512
