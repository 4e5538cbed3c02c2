#include "kernels/avx2/integer_gemm.h"
#include "kernels/avx_vnni/kernels.h"

namespace atb::kernels::avx2 {
namespace {

/// Adds the four products of each quad to an int32.
inline __m256i AddProducts(__m256i sums, __m256i quads, __m256i digits) {
#ifdef __AVXVNNI__
  return _mm256_dpbusd_avx_epi32(sums, quads, digits);
#else
  // The same instruction of AVX-512, by which a test runs this file where there is no other.
  return _mm256_dpbusd_epi32(sums, quads, digits);
#endif
}

/// Int8 of a panel of which a line of 64 bytes holds a quad of channels for each column.
struct I8Bytes {
  static constexpr bool kInBytes = true;
  static constexpr bool kHasExponents = false;
  static constexpr int kExcess = 128;
  static constexpr int kQuads = 1;
  static constexpr float kScale = 1;
  static void Load(const char* line, __m256i (&quads)[kQuads]) {
    const __m256i read = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(line));
    quads[0] = _mm256_xor_si256(read, _mm256_set1_epi8(static_cast<char>(kExcess)));
  }
};

template <class Bytes>
struct Dots : Bytes {
  template <int T>
  __attribute__((always_inline)) static void AddStep(const char* w, const int8_t* const* rows, int64_t at,
                                                     __m256i (&acc)[T][2]) {
#pragma GCC unroll 4
    for (int64_t line = 0; line < kStepBytes<Bytes> / 64; ++line, w += 64) {
      __builtin_prefetch(w + kBytesAhead);
      __m256i quads[2][Bytes::kQuads];
      Bytes::Load(w, quads[0]);
      Bytes::Load(w + 32, quads[1]);
#pragma GCC unroll 2
      for (int q = 0; q < Bytes::kQuads; ++q) {
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) {
          const __m256i digits = QuadOf(rows[t] + at + (line * Bytes::kQuads + q) * 4);
          for (int i = 0; i < 2; ++i) acc[t][i] = AddProducts(acc[t][i], quads[i][q], digits);
        }
      }
    }
  }
};

}  // namespace
}  // namespace atb::kernels::avx2

namespace atb::kernels::avx_vnni {

void Gemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* memory) {
  auto& scratch = *static_cast<avx2::Scratch*>(memory);
  const PackedWeight& weight = *call.weight;
  if (weight.format == WeightFormat::kI4)
    return avx2::Multiply<avx2::Dots<avx2::I4Bytes>>(call, panel_begin, panel_end, scratch);
  if (weight.format == WeightFormat::kE2M1 && !IsWidened(weight))
    return avx2::Multiply<avx2::Dots<avx2::E2M1Bytes>>(call, panel_begin, panel_end, scratch);
  if (weight.format == WeightFormat::kI8 && !weight.offsets)
    return avx2::Multiply<avx2::Dots<avx2::I8Bytes>>(call, panel_begin, panel_end, scratch);
  avx2::Gemm(call, panel_begin, panel_end, memory);
}

}  // namespace atb::kernels::avx_vnni
