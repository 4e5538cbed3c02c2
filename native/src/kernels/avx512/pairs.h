#pragma once
// bf16 as attention multiplies it in AVX-512 and AMX. Internal linkage, as in vec.h.
#include <string.h>

#include "kernels/avx512/vec.h"
#include "kernels/simd/attention.h"

namespace atb::kernels::avx512 {
namespace {

/// Pairs of bf16, multiplied and added by vdpbf16ps; see kernels/simd/attention.h.
struct Pairs {
  using Weight = uint16_t;
  using Stored = __m512bh;
  static constexpr int kDepth = 2;
  static constexpr int64_t kBytes = 2;

  static Stored Load(const char* p) { return (__m512bh)_mm512_loadu_si512(p); }
  static Stored Load(const char* p, int64_t) { return Load(p); }  // Stored tiles are whole.
  static Vec Mul(Stored stored, const uint16_t* weights, Vec acc) {
    int pair;
    memcpy(&pair, weights, sizeof(pair));
    return {_mm512_dpbf16_ps(acc.v, stored, (__m512bh)_mm512_set1_epi32(pair))};
  }
  /// vcvtneps2bf16 takes subnormals for zero, as the products do.
  static Vec RoundTo(Vec p, uint16_t* to) {
    const __m256i bits = (__m256i)_mm512_cvtneps_pbh(p.v);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), bits);
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))};
  }
  static void LoadQuery(const void* q, int64_t at, int64_t head_dim, uint16_t* to) {
    memcpy(to, static_cast<const uint16_t*>(q) + at, static_cast<size_t>(head_dim) * 2);
  }
};

}  // namespace
}  // namespace atb::kernels::avx512
