#pragma once
// Row kernels for a vector type V; kernel_table.h says what each computes. Everything has internal linkage; vec.h says
// why.
#include <math.h>

#include "kernels/kernel_table.h"
#include "kernels/simd/math.h"

namespace atb::kernels::simd {
namespace {

/// Calls body(i, n) for each sixteen elements; n < 16 for the last ones where size is no multiple of 16.
template <class F>
inline void ForEach(int64_t size, F body) {
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) body(i, kLanes);
  if (i < size) body(i, size - i);
}

template <class V>
inline V Load(const float* p, int64_t i, int64_t n) {
  return LoadAs<V>(p, DType::kF32, i, n);
}

template <class V>
inline void Store(V v, float* p, int64_t i, int64_t n) {
  StoreAs(v, p, DType::kF32, i, n);
}

template <class V>
void ToF32(const void* src, DType dtype, float* dst, int64_t size) {
  ForEach(size, [=](int64_t i, int64_t n) { Store(LoadAs<V>(src, dtype, i, n), dst, i, n); });
}

template <class V>
void FromF32(const float* src, void* dst, DType dtype, int64_t size) {
  ForEach(size, [=](int64_t i, int64_t n) { StoreAs(Load<V>(src, i, n), dst, dtype, i, n); });
}

/// The sum over a row: add(sum, i, n) adds the elements from i on. Four chains at a time, because an addition waits for
/// the one before it in its chain.
template <class V, class F>
inline float SumOf(int64_t size, F add) {
  constexpr int kChains = 4;
  V sums[kChains] = {V::Zero(), V::Zero(), V::Zero(), V::Zero()};
  int64_t i = 0;
  for (; i + kChains * kLanes <= size; i += kChains * kLanes) {
#pragma GCC unroll 4
    for (int chain = 0; chain < kChains; ++chain) sums[chain] = add(sums[chain], i + chain * kLanes, kLanes);
  }
  ForEach(size - i, [&](int64_t at, int64_t n) { sums[0] = add(sums[0], i + at, n); });
  return ReduceAdd((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

template <class V>
void RmsNorm(const float* x, const float* weight, float* out, int64_t size, float epsilon) {
  const float squares = SumOf<V>(size, [=](V sum, int64_t i, int64_t n) {
    const V v = Load<V>(x, i, n);
    return Fma(v, v, sum);
  });
  const V scale = V::Set1(1.0f / sqrtf(squares / static_cast<float>(size) + epsilon));
  ForEach(size, [=](int64_t i, int64_t n) { Store(Load<V>(x, i, n) * scale * Load<V>(weight, i, n), out, i, n); });
}

template <class V>
void LayerNorm(const float* x, const float* weight, const float* bias, float* out, int64_t size, float epsilon) {
  const float total = SumOf<V>(size, [=](V sum, int64_t i, int64_t n) { return sum + Load<V>(x, i, n); });
  const V mean = V::Set1(total / static_cast<float>(size));
  const float squares = SumOf<V>(size, [=](V sum, int64_t i, int64_t n) {
    const V d = First(Load<V>(x, i, n) - mean, n, V::Zero());
    return Fma(d, d, sum);
  });
  const V scale = V::Set1(1.0f / sqrtf(squares / static_cast<float>(size) + epsilon));
  ForEach(size, [=](int64_t i, int64_t n) {
    const V normed = (Load<V>(x, i, n) - mean) * scale;
    Store(Fma(normed, Load<V>(weight, i, n), Load<V>(bias, i, n)), out, i, n);
  });
}

template <class V>
void Binary(BinaryOp op, const float* a, const float* b, float* out, int64_t size) {
  const auto each = [=](auto f) {
    ForEach(size, [=](int64_t i, int64_t n) { Store(f(Load<V>(a, i, n), Load<V>(b, i, n)), out, i, n); });
  };
  switch (op) {
    case BinaryOp::kAdd:
      return each([](V x, V y) { return x + y; });
    case BinaryOp::kSub:
      return each([](V x, V y) { return x - y; });
    case BinaryOp::kMul:
      return each([](V x, V y) { return x * y; });
    case BinaryOp::kDiv:
      return each([](V x, V y) { return x / y; });
  }
}

template <class V>
void Mix(const float* rows, int64_t stride, const float* weights, int64_t count, float* out, int64_t size) {
  ForEach(size, [=](int64_t i, int64_t n) {
    V sum = V::Zero();
    for (int64_t j = 0; j < count; ++j) sum = Fma(Load<V>(rows + j * stride, i, n), V::Set1(weights[j]), sum);
    Store(sum, out, i, n);
  });
}

template <class V>
void Unary(UnaryOp op, const float* x, float* out, int64_t size, float arg) {
  const auto each = [=](auto f) {
    ForEach(size, [=](int64_t i, int64_t n) { Store(f(Load<V>(x, i, n)), out, i, n); });
  };
  // Models use logarithms and sines to make tables, not in hot loops.
  const auto scalar = [=](float (*f)(float)) {
    for (int64_t i = 0; i < size; ++i) out[i] = f(x[i]);
  };
  switch (op) {
    case UnaryOp::kNone:
      return each([](V v) { return v; });
    case UnaryOp::kRelu:
      return each([](V v) { return WhereNegative(v, V::Zero(), v); });
    case UnaryOp::kRelu2:
      return each([](V v) { return Relu2(v); });
    case UnaryOp::kGeluTanh:
      return each([](V v) { return GeluTanh(v); });
    case UnaryOp::kGeluErf:
      return each([](V v) { return GeluErf(v); });
    case UnaryOp::kFastGelu:
      return each([](V v) { return FastGelu(v); });
    case UnaryOp::kSwish:
      return each([arg](V v) { return Swish(v, arg); });
    case UnaryOp::kSigmoid:
      return each([](V v) { return Sigmoid(v); });
    case UnaryOp::kLog:
      return scalar(logf);
    case UnaryOp::kMuls:
      return each([arg](V v) { return v * V::Set1(arg); });
    case UnaryOp::kCos:
      return scalar(cosf);
    case UnaryOp::kSin:
      return scalar(sinf);
    case UnaryOp::kNeg:
      return each([](V v) { return -v; });
    case UnaryOp::kTanh:
      return each([](V v) { return Tanh(v); });
    case UnaryOp::kExp:
      return each([](V v) { return Exp(v); });
    case UnaryOp::kSoftplus:
      return each([](V v) { return Softplus(v); });
  }
}

template <class V>
void Swiglu(const float* gate, const float* up, float* out, int64_t size) {
  ForEach(size, [=](int64_t i, int64_t n) {
    Store(Swish(Load<V>(gate, i, n), 1.0f) * Load<V>(up, i, n), out, i, n);
  });
}

template <class V>
void Rope(const float* x, const float* cos, const float* sin, float* out, int64_t size) {
  const int64_t half = size / 2;
  ForEach(half, [=](int64_t i, int64_t n) {
    const V x1 = Load<V>(x, i, n);
    const V x2 = Load<V>(x, half + i, n);
    Store(Fma(x1, Load<V>(cos, i, n), -(x2 * Load<V>(sin, i, n))), out, i, n);
    Store(Fma(x2, Load<V>(cos, half + i, n), x1 * Load<V>(sin, half + i, n)), out, half + i, n);
  });
}

/// The largest element, NaN left out; -inf when there is none.
template <class V>
inline float Largest(const float* x, int64_t size) {
  const V none = V::Set1(-INFINITY);
  V max = none;
  ForEach(size, [&](int64_t i, int64_t n) { max = Max(First(Load<V>(x, i, n), n, none), max); });
  return ReduceMax(max);
}

template <class V>
void Softmax(const float* x, float* out, int64_t size) {
  const V max = V::Set1(Largest<V>(x, size));
  V sum = V::Zero();
  ForEach(size, [&](int64_t i, int64_t n) {
    const V e = Exp(Load<V>(x, i, n) - max);
    Store(e, out, i, n);
    sum = sum + First(e, n, V::Zero());
  });
  const V scale = V::Set1(1.0f / ReduceAdd(sum));
  ForEach(size, [=](int64_t i, int64_t n) { Store(Load<V>(out, i, n) * scale, out, i, n); });
}

template <class V>
void BlockMaxima(const float* x, int64_t size, float* maxima) {
  for (int64_t begin = 0; begin < size; begin += kMaximaBlock, ++maxima) {
    const int64_t n = size - begin < kMaximaBlock ? size - begin : kMaximaBlock;
    V max = V::Set1(-INFINITY), bad = V::Zero();
    int64_t i = begin;
    for (; i + kLanes <= begin + n; i += kLanes) {
      const V v = V::Load(x + i);
      max = Max(max, v);
      bad = Fma(Max(V::Zero(), v), V::Zero(), bad);  // NaN and +inf make a NaN, which stays; else 0.
    }
    float largest = ReduceMax(max), sum = ReduceAdd(bad);
    for (; i < begin + n; ++i) {
      largest = x[i] > largest ? x[i] : largest;
      sum += (x[i] < 0 ? 0 : x[i]) * 0;
    }
    *maxima = largest + sum;
  }
}

}  // namespace
}  // namespace atb::kernels::simd
