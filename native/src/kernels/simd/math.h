#pragma once
// Functions for a vector type V of sixteen f32 lanes (avx2/vec.h, avx512/vec.h, neon/vec.h). Everything has internal
// linkage; vec.h says why.
#include <stdint.h>

#include "kernels/kernel_table.h"

namespace atb::kernels::simd {
namespace {

constexpr int64_t kLanes = 16;

/// Loads n lanes (16, or fewer at the end of a row) from element i of an array of f32, f16 or bf16; the other lanes are
/// zeros. n above 16 counts as 16.
template <class V>
inline V LoadAs(const void* data, DType dtype, int64_t i, int64_t n) {
  if (dtype == DType::kF32) {
    const float* p = static_cast<const float*>(data) + i;
    return n >= kLanes ? V::Load(p) : V::LoadPart(p, n);
  }
  const uint16_t* p = static_cast<const uint16_t*>(data) + i;
  if (dtype == DType::kF16) return n >= kLanes ? V::LoadF16(p) : V::LoadF16Part(p, n);
  return n >= kLanes ? V::LoadBF16(p) : V::LoadBF16Part(p, n);
}

/// Stores the first n lanes from element i on, rounded to nearest even.
template <class V>
inline void StoreAs(V v, void* data, DType dtype, int64_t i, int64_t n) {
  if (dtype == DType::kF32) {
    float* p = static_cast<float*>(data) + i;
    n >= kLanes ? v.Store(p) : v.StorePart(p, n);
    return;
  }
  uint16_t* p = static_cast<uint16_t*>(data) + i;
  if (dtype == DType::kF16) {
    n >= kLanes ? v.StoreF16(p) : v.StoreF16Part(p, n);
  } else {
    n >= kLanes ? v.StoreBF16(p) : v.StoreBF16Part(p, n);
  }
}

/// e^x within 1.5 ulp for normal results (kernels_test measures it); NaN, infinities and subnormal results are right.
/// x = n ln 2 + r with |r| <= ln 2 / 2; ln 2 in two parts and the polynomial as in Cephes' expf (S. Moshier, 1989).
template <class V>
inline V Exp(V x) {
  // Beyond these bounds the result is 0 or infinity. The order of operands keeps a NaN.
  x = Max(V::Set1(-104.0f), Min(V::Set1(89.0f), x));
  const V n = Round(x * V::Set1(1.44269504088896341f));
  const V r = Fma(n, V::Set1(2.12194440e-4f), Fma(n, V::Set1(-0.693359375f), x));
  V p = V::Set1(1.9875691500e-4f);
  p = Fma(p, r, V::Set1(1.3981999507e-3f));
  p = Fma(p, r, V::Set1(8.3334519073e-3f));
  p = Fma(p, r, V::Set1(4.1665795894e-2f));
  p = Fma(p, r, V::Set1(1.6666665459e-1f));
  p = Fma(p, r, V::Set1(5.0000001201e-1f));
  return Scale(Fma(p * r, r, r) + V::Set1(1.0f), n);
}

/// tanh(x) within 5 ulp (kernels_test measures it); NaN and -0 stay. x P(x^2) / Q(x^2), fitted to the least relative
/// error over [0, 8], where tanh becomes 1 in f32: a division, and fewer products than by an exponential.
template <class V>
inline V Tanh(V x) {
  // The order of operands keeps a NaN.
  x = Max(V::Set1(-8.0f), Min(V::Set1(8.0f), x));
  const V z = x * x;
  V p = V::Set1(-1.15642752e-13f);
  p = Fma(p, z, V::Set1(6.36552339e-11f));
  p = Fma(p, z, V::Set1(-2.23146461e-8f));
  p = Fma(p, z, V::Set1(1.16424399e-5f));
  p = Fma(p, z, V::Set1(3.14936438e-3f));
  p = Fma(p, z, V::Set1(1.31243497e-1f));
  p = Fma(p, z, V::Set1(1.0f));
  V q = V::Set1(2.61297391e-4f);
  q = Fma(q, z, V::Set1(2.46749986e-2f));
  q = Fma(q, z, V::Set1(4.64576811e-1f));
  q = Fma(q, z, V::Set1(1.0f));
  return x * p / q;
}

/// 1 / (1 + e^-x).
template <class V>
inline V Sigmoid(V x) {
  return V::Set1(1.0f) / (V::Set1(1.0f) + Exp(-x));
}

/// log(1 + e^x) within 5 ulp (kernels_test measures it); NaN stays. That is max(x, 0) + log(1 + y) with y = e^-|x|, and
/// log(1 + y) = 2 atanh(z) with z = y / (2 + y), at most 1/3: eight terms of its series leave out less than 2e-9 of it.
template <class V>
inline V Softplus(V x) {
  const V y = Exp(-Abs(x)), z = y / (y + V::Set1(2.0f)), square = z * z;
  V p = V::Set1(2.0f / 15);
  p = Fma(p, square, V::Set1(2.0f / 13));
  p = Fma(p, square, V::Set1(2.0f / 11));
  p = Fma(p, square, V::Set1(2.0f / 9));
  p = Fma(p, square, V::Set1(2.0f / 7));
  p = Fma(p, square, V::Set1(2.0f / 5));
  p = Fma(p, square, V::Set1(2.0f / 3));
  p = Fma(p, square, V::Set1(2.0f));
  return Fma(p, z, WhereNegative(x, V::Zero(), x));
}

/// x * sigmoid(scale * x).
template <class V>
inline V Swish(V x, float scale) {
  return x / (V::Set1(1.0f) + Exp(V::Set1(-scale) * x));
}

/// A clamped SwiGLU of a gate and what it gates. The order of operands keeps a NaN.
template <class V>
inline V ClampedSwiglu(V gate, V up, const GateClamp& clamp) {
  const V limit = V::Set1(clamp.limit);
  up = Max(V::Set1(-clamp.limit), Min(limit, up));
  if (clamp.form == ClampForm::kActivated) return Min(limit, Swish(gate, clamp.scale)) * up;
  if (clamp.form == ClampForm::kPlusOne) up = up + V::Set1(1.0f);
  return Swish(Min(limit, gate), clamp.scale) * up;
}

/// 1 - erf(z) for z >= 0 with a relative error below 1.2e-7 before rounding: W. Press et al., Numerical Recipes in C,
/// 2nd ed., section 6.2, erfcc.
template <class V>
inline V Erfc(V z) {
  const V t = V::Set1(1.0f) / Fma(z, V::Set1(0.5f), V::Set1(1.0f));
  V p = V::Set1(0.17087277f);
  p = Fma(p, t, V::Set1(-0.82215223f));
  p = Fma(p, t, V::Set1(1.48851587f));
  p = Fma(p, t, V::Set1(-1.13520398f));
  p = Fma(p, t, V::Set1(0.27886807f));
  p = Fma(p, t, V::Set1(-0.18628806f));
  p = Fma(p, t, V::Set1(0.09678418f));
  p = Fma(p, t, V::Set1(0.37409196f));
  p = Fma(p, t, V::Set1(1.00002368f));
  p = Fma(p, t, V::Set1(-1.26551223f));
  return t * Exp(Fma(-z, z, p));
}

/// x * Phi(x), Phi from the tail's side so that large negative x keep their digits.
template <class V>
inline V GeluErf(V x) {
  const V tail = V::Set1(0.5f) * Erfc(Abs(x) * V::Set1(0.70710678118654752f));
  return x * WhereNegative(x, tail, V::Set1(1.0f) - tail);
}

/// 0.5 x (1 + tanh(u)) = x sigmoid(2u), which does not cancel.
template <class V>
inline V GeluTanh(V x) {
  const V cubic = Fma(V::Set1(0.044715f) * x * x, x, x);
  return x * Sigmoid(V::Set1(2 * 0.7978845608028654f) * cubic);  // 2 sqrt(2 / pi)
}

/// ATB's fast GELU: x e^(0.851 (x - |x|)) / (1 + e^(-1.702 |x|)).
template <class V>
inline V FastGelu(V x) {
  const V a = Abs(x);
  return x * Exp(V::Set1(0.851f) * (x - a)) / (V::Set1(1.0f) + Exp(V::Set1(-1.702f) * a));
}

/// The square of what is above zero.
template <class V>
inline V Relu2(V x) {
  return WhereNegative(x, V::Zero(), x * x);
}

/// The activation of a product; kNone leaves it as it is.
template <class V>
inline V Activate(V x, UnaryOp activation) {
  switch (activation) {
    case UnaryOp::kRelu:
      return WhereNegative(x, V::Zero(), x);
    case UnaryOp::kRelu2:
      return Relu2(x);
    case UnaryOp::kGeluTanh:
      return GeluTanh(x);
    case UnaryOp::kGeluErf:
      return GeluErf(x);
    case UnaryOp::kFastGelu:
      return FastGelu(x);
    case UnaryOp::kSwish:
      return Swish(x, 1.0f);
    default:
      return x;
  }
}

}  // namespace
}  // namespace atb::kernels::simd
