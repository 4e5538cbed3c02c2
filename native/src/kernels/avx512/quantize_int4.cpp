#include "kernels/simd/quantize_int4.h"
#include "kernels/avx512/kernels.h"
#include "kernels/avx512/vec.h"

namespace atb::kernels::avx512 {
namespace {

struct Digits {
  static void Store(Vec v, int, int8_t* out, int64_t) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v.v)));
  }
};

}  // namespace

float QuantizeInt4(const float* x, int64_t k, int64_t group, int8_t* out, int8_t* multipliers) {
  return simd::QuantizeInt4<Vec, Digits>(x, k, group, out, multipliers);
}

}  // namespace atb::kernels::avx512
