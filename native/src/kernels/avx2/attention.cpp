#include <string.h>

#include "kernels/simd/integer_attention.h"
#include "kernels/simd/attention_elements.h"
#include "kernels/avx2/kernels.h"
#include "kernels/avx2/vec.h"

namespace atb::kernels::avx2 {
namespace {

/// The I of kernels/simd/integer_attention.h: words of 16 bits, in the order 0, 2, 1, 3 of each four, are multiplied by
/// vpmaddwd.
struct KvIntegers {
  using V = Vec;
  using Exponential = simd::FullExp<Vec>;
  /// Bytes 0 and 2 of each four as words, and bytes 1 and 3; each for lanes 0 to 7 and for lanes 8 to 15.
  struct Stored {
    __m256i even[2];
    __m256i odd[2];
  };
  struct Sum {
    __m256i lo;
    __m256i hi;
  };
  static constexpr int64_t kBytes = 2;
  static constexpr int64_t kSumRows = 1;

  static Vec Total(const int32_t* sums) {
    const auto* p = reinterpret_cast<const __m256i*>(sums);
    return ToFloat({_mm256_loadu_si256(p), _mm256_loadu_si256(p + 1)});
  }
  static void StoreQuery(const Vec* x, int8_t* to, int64_t i) {
    for (int k = 0; k < 4; ++k) {
      // Packing works within 128-bit halves; the permutation puts the four quarters in order.
      const __m256i packed = _mm256_packs_epi32(_mm256_cvtps_epi32(x[k].lo), _mm256_cvtps_epi32(x[k].hi));
      const __m256i words = _mm256_permute4x64_epi64(packed, 0xD8);
      const __m256i swapped = _mm256_shufflehi_epi16(_mm256_shufflelo_epi16(words, 0xD8), 0xD8);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + (i + k * 16) * kBytes), swapped);
    }
  }
  static void StoreWeight(const Vec* x, int8_t* to, int64_t i) { StoreQuery(x, to, i); }

  static simd::SumStarts StartOf(const int8_t*, int64_t) { return {0, 0}; }
  static Sum Start(const simd::SumStarts&) { return Zero(); }
  static Sum Zero() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  static Stored LoadKeys(const char* p) {
    Stored s;
    for (int half = 0; half < 2; ++half) {
      const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p) + half);
      s.even[half] = _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8);
      s.odd[half] = _mm256_srai_epi16(bytes, 8);
    }
    return s;
  }
  static Stored LoadValues(const char* p) { return LoadKeys(p); }
  static Sum MulKeys(const Stored& s, const int8_t* weights, Sum sum) {
    int pairs[2];
    memcpy(pairs, weights, sizeof(pairs));
    const __m256i even = _mm256_set1_epi32(pairs[0]), odd = _mm256_set1_epi32(pairs[1]);
    const auto add = [&](__m256i to, int half) {
      to = _mm256_add_epi32(to, _mm256_madd_epi16(s.even[half], even));
      return _mm256_add_epi32(to, _mm256_madd_epi16(s.odd[half], odd));
    };
    return {add(sum.lo, 0), add(sum.hi, 1)};
  }
  static Sum MulValues(const Stored& s, const int8_t* weights, Sum sum) { return MulKeys(s, weights, sum); }
  static void StoreTotal(const Sum& sum, int32_t* to) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), sum.lo);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to) + 1, sum.hi);
  }
  static Vec ToFloat(const Sum& sum) { return {_mm256_cvtepi32_ps(sum.lo), _mm256_cvtepi32_ps(sum.hi)}; }
};

// There are sixteen registers, so that at most four accumulators of two registers each fit.
template <class E>
void Run(const AttendCall& call, int64_t key_begin, int64_t key_end, const AttendPartial& out, void* scratch) {
  static_assert(sizeof(simd::AttendScratch<typename E::Factor>) <= kAttendScratchBytes);
  simd::Attend<Vec, E, 2, 2, 2>(call, key_begin, key_end, out, scratch);
}

}  // namespace

void Attend(const AttendCall& call, int64_t key_begin, int64_t key_end, const AttendPartial& out, void* scratch) {
  static_assert(sizeof(simd::IntegerScratch) <= kAttendScratchBytes);
  if (call.cache_dtype == DType::kI8)
    return simd::AttendIntegers<KvIntegers, 3, 3, 1>(call, key_begin, key_end, out, scratch);
  const auto run = call.dtype == DType::kBF16  ? Run<simd::WidenedPairs<Vec>>
                   : call.dtype == DType::kF16 ? Run<simd::Single<Vec, DType::kF16>>
                                               : Run<simd::Single<Vec, DType::kF32>>;
  run(call, key_begin, key_end, out, scratch);
}

void Merge(const AttendPartial& acc, const AttendPartial& part, int64_t rows, int64_t value_dim) {
  simd::Merge<Vec>(acc, part, rows, value_dim);
}

}  // namespace atb::kernels::avx2
