#pragma once
// The exponential of attention whose probabilities are rounded to bf16. Everything has internal linkage; vec.h says
// why.
#include "kernels/avx512/vec.h"

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

}  // namespace
}  // namespace atb::kernels::avx512
