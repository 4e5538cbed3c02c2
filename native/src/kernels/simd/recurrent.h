#pragma once
// Recurrent states and short convolutions for a vector type V; kernel_table.h says what each computes. Everything has
// internal linkage; vec.h says why.
#include "kernels/kernel_table.h"
#include "kernels/simd/rows.h"

namespace atb::kernels::simd {
namespace {

/// Vectors of columns whose sums with keys and queries fit the register file.
template <class V>
constexpr int kStateVectors = V::kAccumulators >= 16 ? 4 : 2;

/// One token of N vectors of columns by the delta rule. The state is read once for both of its products: after the
/// update, S^T q is decay * (S^T q of before) + (k . q) * d.
template <class V, int N, bool kByKey>
inline void RecurToken(const RecurrentCall& call, int64_t token, float kq, int64_t column) {
  const float* k = call.k + token * call.key_size;
  const float* q = call.q + token * call.key_size;
  const float* decays = call.decay + token * (kByKey ? call.key_size : 1);
  V of_k[N], of_q[N];
  for (int i = 0; i < N; ++i) of_k[i] = of_q[i] = V::Zero();
  float* row = call.state + column;
  for (int64_t j = 0; j < call.key_size; ++j, row += call.state_stride) {
    const float own = kByKey ? decays[j] : 1;
    const V kj = V::Set1(own * k[j]), qj = V::Set1(own * q[j]);
#pragma GCC unroll 4
    for (int i = 0; i < N; ++i) {
      const V s = V::Load(row + i * kLanes);
      of_k[i] = Fma(s, kj, of_k[i]);
      of_q[i] = Fma(s, qj, of_q[i]);
    }
  }
  const V decay = V::Set1(kByKey ? 1 : *decays);
  const int64_t at = token * call.columns + column;
  V added[N];
#pragma GCC unroll 4
  for (int i = 0; i < N; ++i) {
    const V v = V::Load(call.v + at + i * kLanes);
    added[i] = (v - decay * of_k[i]) * V::Set1(call.beta[token]);
    Fma(added[i], V::Set1(kq), decay * of_q[i]).Store(call.out + at + i * kLanes);
  }
  row = call.state + column;
  for (int64_t j = 0; j < call.key_size; ++j, row += call.state_stride) {
    const V kj = V::Set1(k[j]), own = kByKey ? V::Set1(decays[j]) : decay;
#pragma GCC unroll 4
    for (int i = 0; i < N; ++i) Fma(added[i], kj, V::Load(row + i * kLanes) * own).Store(row + i * kLanes);
  }
}

/// One token after the other.
template <class V, bool kByKey>
void RecurAll(const RecurrentCall& call) {
  constexpr int64_t kWide = kStateVectors<V> * kLanes;
  for (int64_t token = 0; token < call.tokens; ++token) {
    const float* k = call.k + token * call.key_size;
    const float* q = call.q + token * call.key_size;
    const float kq =
        SumOf<V>(call.key_size, [=](V sum, int64_t i, int64_t n) { return Fma(Load<V>(k, i, n), Load<V>(q, i, n), sum); });
    int64_t column = 0;
    for (; column + kWide <= call.columns; column += kWide) RecurToken<V, kStateVectors<V>, kByKey>(call, token, kq, column);
    for (; column < call.columns; column += kLanes) RecurToken<V, 1, kByKey>(call, token, kq, column);
  }
}

/// T tokens of N vectors of columns, where what is added does not depend on the state: each of its rows is read and
/// written once for all of them. A token's arithmetic is the same whatever is beside it.
template <class V, int N, int T, Decays kDecays>
inline void ScanTokens(const RecurrentCall& call, int64_t token, int64_t column) {
  const int64_t size = call.key_size;
  V v[T][N], out[T][N], steps[T][N];
  for (int t = 0; t < T; ++t)
    for (int i = 0; i < N; ++i) {
      const int64_t at = (token + t) * call.columns + column + i * kLanes;
      v[t][i] = V::Load(call.v + at);
      out[t][i] = V::Zero();
      if constexpr (kDecays == Decays::kByRate) steps[t][i] = V::Load(call.decay + at);
    }
  const float *k = call.k + token * size, *q = call.q + token * size;
  const float* decays = call.decay + token * (kDecays == Decays::kByKey ? size : 1);
  float* row = call.state + column;
  for (int64_t j = 0; j < size; ++j, row += call.state_stride) {
    V s[N], rates[N];
    for (int i = 0; i < N; ++i) {
      s[i] = V::Load(row + i * kLanes);
      if constexpr (kDecays == Decays::kByRate) rates[i] = V::Load(call.rates + j * call.columns + column + i * kLanes);
    }
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t) {
      const V kj = V::Set1(k[t * size + j]), qj = V::Set1(q[t * size + j]);
#pragma GCC unroll 4
      for (int i = 0; i < N; ++i) {
        V decay;
        if constexpr (kDecays == Decays::kByRate)
          decay = Exp(rates[i] * steps[t][i]);
        else
          decay = V::Set1(kDecays == Decays::kByKey ? decays[t * size + j] : decays[t]);
        s[i] = Fma(v[t][i], kj, s[i] * decay);
        out[t][i] = Fma(s[i], qj, out[t][i]);
      }
    }
    for (int i = 0; i < N; ++i) s[i].Store(row + i * kLanes);
  }
  for (int t = 0; t < T; ++t)
    for (int i = 0; i < N; ++i) out[t][i].Store(call.out + (token + t) * call.columns + column + i * kLanes);
}

/// All tokens of some columns, then of the next.
template <class V, Decays kDecays>
void ScanAll(const RecurrentCall& call) {
  constexpr int kTokens = V::kAccumulators >= 16 ? 4 : 2;
  const auto all = [&]<int N>(int64_t column) {
    int64_t token = 0;
    for (; token + kTokens <= call.tokens; token += kTokens) ScanTokens<V, N, kTokens, kDecays>(call, token, column);
    for (; token < call.tokens; ++token) ScanTokens<V, N, 1, kDecays>(call, token, column);
  };
  int64_t column = 0;
  for (; column + 2 * kLanes <= call.columns; column += 2 * kLanes) all.template operator()<2>(column);
  for (; column < call.columns; column += kLanes) all.template operator()<1>(column);
}

template <class V>
void Recur(const RecurrentCall& call) {
  const bool by_key = call.decays == Decays::kByKey;
  if (call.beta) return by_key ? RecurAll<V, true>(call) : RecurAll<V, false>(call);
  if (call.decays == Decays::kByRate) return ScanAll<V, Decays::kByRate>(call);
  by_key ? ScanAll<V, Decays::kByKey>(call) : ScanAll<V, Decays::kOfHead>(call);
}

template <class V>
void Conv(const ConvCall& call) {
  ForEach(call.columns, [&](int64_t column, int64_t n) {
    const V bias = call.bias ? Load<V>(call.bias, column, n) : V::Zero();
    for (int64_t token = 0; token < call.tokens; ++token) {
      V sum = bias;
      for (int64_t tap = 0; tap < call.taps; ++tap)
        sum = Fma(Load<V>(call.rows + (token + tap) * call.columns, column, n),
                  Load<V>(call.weight + tap * call.weight_stride, column, n), sum);
      Store(call.swish ? Swish(sum, 1.0f) : sum, call.out + token * call.columns, column, n);
    }
  });
}

}  // namespace
}  // namespace atb::kernels::simd
