#include "kernels/simd/attention.h"
#include "kernels/avx2/kernels.h"
#include "kernels/avx2/vec.h"

namespace atb::kernels::avx2 {
namespace {

/// Pairs of bf16, widened to f32: E of kernels/simd/attention.h.
struct Pairs {
  using Weight = float;
  struct Stored {
    Vec even;
    Vec odd;
  };
  using Exponential = simd::FullExp<Vec>;
  static constexpr int kDepth = 2;
  static constexpr int64_t kBytes = 2;

  static __m256 Even(__m256i bits) { return _mm256_castsi256_ps(_mm256_slli_epi32(bits, 16)); }
  static __m256 Odd(__m256i bits) {
    return _mm256_castsi256_ps(_mm256_and_si256(bits, _mm256_set1_epi32(static_cast<int>(0xFFFF0000u))));
  }
  static Stored Load(const char* p) {
    const __m256i lo = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    const __m256i hi = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32));
    return {{Even(lo), Even(hi)}, {Odd(lo), Odd(hi)}};
  }
  static Stored Load(const char* p, int64_t) { return Load(p); }  // Stored tiles are whole.
  static Vec Mul(const Stored& stored, const float* weights, Vec acc) {
    return Fma(stored.odd, Vec::Set1(weights[1]), Fma(stored.even, Vec::Set1(weights[0]), acc));
  }
  static Vec Keep(Vec p, Vec q, float* to, Vec sum) { return simd::KeepWide<Vec, DType::kBF16>(p, q, to, sum); }
  static void LoadQuery(const void* q, int64_t at, int64_t n, float* to) {
    simd::WidenRow<Vec>(q, DType::kBF16, at, n, to);
  }
};

// Sixteen registers: at most four accumulators of two registers each.
template <class E>
void Run(const AttendCall& call, int64_t key_begin, int64_t key_end, const AttendPartial& out, void* scratch) {
  static_assert(sizeof(simd::AttendScratch<typename E::Weight>) <= kAttendScratchBytes);
  simd::Attend<Vec, E, 2, 2, 2>(call, key_begin, key_end, out, scratch);
}

}  // namespace

void Attend(const AttendCall& call, int64_t key_begin, int64_t key_end, const AttendPartial& out, void* scratch) {
  const auto run = call.dtype == DType::kBF16  ? Run<Pairs>
                   : call.dtype == DType::kF16 ? Run<simd::Single<Vec, DType::kF16>>
                                               : Run<simd::Single<Vec, DType::kF32>>;
  run(call, key_begin, key_end, out, scratch);
}

void Merge(const AttendPartial& acc, const AttendPartial& part, int64_t rows, int64_t head_dim) {
  simd::Merge<Vec>(acc, part, rows, head_dim);
}

}  // namespace atb::kernels::avx2
