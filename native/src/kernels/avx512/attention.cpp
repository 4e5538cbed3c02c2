#include <string.h>

#include "kernels/avx512/kernels.h"
#include "kernels/avx512/kv_integers.h"
#include "kernels/simd/attention_elements.h"

namespace atb::kernels::avx512 {
namespace {

// Sixteen accumulators in both products: vfmadd needs about ten to hide its latency.
template <class E>
void Run(const AttendCall& call, int64_t key_begin, int64_t key_end, const AttendPartial& out, void* scratch) {
  static_assert(sizeof(simd::AttendScratch<typename E::Factor>) <= kAttendScratchBytes);
  simd::Attend<Vec, E, 8, 4, 4>(call, key_begin, key_end, out, scratch);
}

}  // namespace

void Attend(const AttendCall& call, int64_t key_begin, int64_t key_end, const AttendPartial& out, void* scratch) {
  static_assert(sizeof(simd::IntegerScratch) <= kAttendScratchBytes);
  if (call.cache_dtype == DType::kI8)
    return simd::AttendIntegers<KvIntegers, 8, 4, 2>(call, key_begin, key_end, out, scratch);
  const auto run = call.dtype == DType::kBF16  ? Run<simd::WidenedPairs<Vec, ShortExp>>
                   : call.dtype == DType::kF16 ? Run<simd::Single<Vec, DType::kF16>>
                                               : Run<simd::Single<Vec, DType::kF32>>;
  run(call, key_begin, key_end, out, scratch);
}

void Merge(const AttendPartial& acc, const AttendPartial& part, int64_t rows, int64_t value_dim) {
  simd::Merge<Vec>(acc, part, rows, value_dim);
}

}  // namespace atb::kernels::avx512
