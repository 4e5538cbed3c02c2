#pragma once
// Sums of digits as sixteen int32. Everything has internal linkage; vec.h says why.
#include "kernels/avx512/vec.h"
#include "kernels/simd/integer_gemm.h"

namespace atb::kernels::avx512 {
namespace {

/// Joins the sums of digits, sums[plane], to the sums of the numbers: the digits are to base 256.
template <int Planes>
inline Vec Join(const __m512i* sums) {
  Vec value{_mm512_cvtepi32_ps(sums[0])};
  for (int plane = 1; plane < Planes; ++plane)
    value = Fma(value, Vec::Set1(256.0f), Vec{_mm512_cvtepi32_ps(sums[plane])});
  return value;
}

}  // namespace
}  // namespace atb::kernels::avx512
