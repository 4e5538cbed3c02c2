#pragma once
// Elements of a KV cache that are multiplied in f32: the E of attention.h for f32 and f16, and for bf16 where there are
// no products of bf16. Everything has internal linkage; vec.h says why.
#include "kernels/attend_tile.h"
#include "kernels/simd/math.h"

namespace atb::kernels::simd {
namespace {

/// exp(x * scale - shift) to f32.
template <class V>
struct FullExp {
  V scale;
  V shift;
  FullExp(float by, float minus) : scale(V::Set1(by)), shift(V::Set1(-minus)) {}
  V operator()(V x) const { return Exp(Fma(x, scale, shift)); }
};

/// Widens elements to f32: to[0 .. n) = elements [at, at + n) of `from`.
template <class V>
inline void WidenRow(const void* from, DType dtype, int64_t at, int64_t n, float* to) {
  for (int64_t i = 0; i < n; i += kLanes) {
    const int64_t lanes = Min(n - i, kLanes);
    StoreAs(LoadAs<V>(from, dtype, at + i, lanes), to, DType::kF32, i, lanes);
  }
}

/// Writes two vectors of probabilities as f32, rounded to kType before. Returns sum + both as rounded.
template <class V, DType kType>
inline V KeepWide(V p, V q, float* to, V sum) {
  if constexpr (kType != DType::kF32) {
    uint16_t rounded[2 * kLanes];
    StoreAs(p, rounded, kType, 0, kLanes);
    StoreAs(q, rounded, kType, kLanes, kLanes);
    p = LoadAs<V>(rounded, kType, 0, kLanes);
    q = LoadAs<V>(rounded, kType, kLanes, kLanes);
  }
  p.Store(to);
  q.Store(to + kLanes);
  return sum + p + q;
}

/// The E of attention.h for f32 and f16: single elements, multiplied in f32.
template <class V, DType kType>
struct Single {
  using Factor = float;
  using Stored = V;
  using Exponential = FullExp<V>;
  static constexpr int kDepth = 1;
  static constexpr int64_t kBytes = kType == DType::kF32 ? 4 : 2;

  static V Load(const char* p) { return LoadAs<V>(p, kType, 0, kLanes); }
  static V Load(const char* p, int64_t lanes) { return LoadAs<V>(p, kType, 0, lanes); }
  static V Mul(V stored, const float* weight, V acc) { return Fma(stored, V::Set1(*weight), acc); }
  static V Keep(V p, V q, float* to, V sum) { return KeepWide<V, kType>(p, q, to, sum); }
  static void LoadQuery(const void* q, int64_t at, int64_t n, float* to) { WidenRow<V>(q, kType, at, n, to); }
};

/// The E of attention.h for bf16: pairs are widened to f32.
template <class V, class Exp = FullExp<V>>
struct WidenedPairs {
  using Factor = float;
  struct Stored {
    V even;
    V odd;
  };
  using Exponential = Exp;
  static constexpr int kDepth = 2;
  static constexpr int64_t kBytes = 2;

  static Stored Load(const char* p) { return {V::LoadEven(p), V::LoadOdd(p)}; }
  static Stored Load(const char* p, int64_t) { return Load(p); }  // Stored tiles are whole.
  static V Mul(const Stored& stored, const float* weights, V acc) {
    return Fma(stored.odd, V::Set1(weights[1]), Fma(stored.even, V::Set1(weights[0]), acc));
  }
  static V Keep(V p, V q, float* to, V sum) { return KeepWide<V, DType::kBF16>(p, q, to, sum); }
  static void LoadQuery(const void* q, int64_t at, int64_t n, float* to) {
    WidenRow<V>(q, DType::kBF16, at, n, to);
  }
};

}  // namespace
}  // namespace atb::kernels::simd
