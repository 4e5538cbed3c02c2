#include "kernels/simd/integer_attention.h"
#include "kernels/simd/attention_elements.h"
#include "kernels/neon/kernels.h"
#include "kernels/neon/vec.h"

namespace atb::kernels::neon {
namespace {

/// The E of kernels/simd/attention.h for bf16, whose factors are lanes.
struct BF16Pairs : simd::WidenedPairs<Vec> {
  static Vec Mul(const Stored& stored, const float* weights, Vec acc) {
    return FmaBy(stored.odd, weights + 1, FmaBy(stored.even, weights, acc));
  }
};

/// The E for f32 and f16, whose factors are lanes.
template <DType kType>
struct Single : simd::Single<Vec, kType> {
  static Vec Mul(Vec stored, const float* weight, Vec acc) { return FmaBy(stored, weight, acc); }
};

/// The I of kernels/simd/integer_attention.h: words of 16 bits.
struct KvIntegers {
  using V = Vec;
  using Exponential = simd::FullExp<Vec>;
  /// Numbers 0 to 3 of lanes 0 to 7, and of lanes 8 to 15.
  struct Stored {
    int16x8_t low[4];
    int16x8_t high[4];
  };
  using Sum = Int32x16;
  static constexpr int64_t kBytes = 2;
  static constexpr int64_t kSumRows = 1;

  static Vec Total(const int32_t* sums) { return Int32x16::Load(sums).Floats(); }
  static void StoreQuery(const Vec* x, int8_t* to, int64_t i) {
    for (int k = 0; k < 4; ++k) {
      const Int32x16 whole = Whole(x[k]);
      vst1q_s8(to + (i + k * 16) * kBytes, Words(whole.a, whole.b));
      vst1q_s8(to + (i + k * 16 + 8) * kBytes, Words(whole.c, whole.d));
    }
  }
  static void StoreWeight(const Vec* x, int8_t* to, int64_t i) { StoreQuery(x, to, i); }

  static simd::SumStarts StartOf(const int8_t*, int64_t) { return {0, 0}; }
  static Sum Start(const simd::SumStarts&) { return Zero(); }
  static Sum Zero() { return Int32x16::Zero(); }
  static Stored LoadKeys(const char* p) {
    const int8x16x4_t bytes = vld4q_s8(reinterpret_cast<const int8_t*>(p));
    Stored s;
    Repeat<4>([&](auto i) {
      s.low[i.value] = vmovl_s8(vget_low_s8(bytes.val[i.value]));
      s.high[i.value] = vmovl_high_s8(bytes.val[i.value]);
    });
    return s;
  }
  static Stored LoadValues(const char* p) { return LoadKeys(p); }
  static Sum MulKeys(const Stored& s, const int8_t* weights, Sum sum) {
    const int16x4_t four = vreinterpret_s16_s8(vld1_s8(weights));
    Repeat<4>([&](auto i) {
      sum.a = vmlal_lane_s16(sum.a, vget_low_s16(s.low[i.value]), four, i.value);
      sum.b = vmlal_high_lane_s16(sum.b, s.low[i.value], four, i.value);
      sum.c = vmlal_lane_s16(sum.c, vget_low_s16(s.high[i.value]), four, i.value);
      sum.d = vmlal_high_lane_s16(sum.d, s.high[i.value], four, i.value);
    });
    return sum;
  }
  static Sum MulValues(const Stored& s, const int8_t* weights, Sum sum) { return MulKeys(s, weights, sum); }
  static void StoreTotal(const Sum& sum, int32_t* to) { sum.Store(to); }
  static Vec ToFloat(const Sum& sum) { return sum.Floats(); }

 private:
  static int8x16_t Words(int32x4_t low, int32x4_t high) {
    return vreinterpretq_s8_s16(vuzp1q_s16(vreinterpretq_s16_s32(low), vreinterpretq_s16_s32(high)));
  }
};

// Sixteen of 32 registers hold sums: the numbers of the cache take up to eight of the others.
template <class E, int kWeighRows, int kWeighTiles>
void Run(const AttendCall& call, int64_t key_begin, int64_t key_end, const AttendPartial& out, void* scratch) {
  static_assert(sizeof(simd::AttendScratch<typename E::Factor>) <= kAttendScratchBytes);
  simd::Attend<Vec, E, 2, kWeighRows, kWeighTiles>(call, key_begin, key_end, out, scratch);
}

}  // namespace

void Attend(const AttendCall& call, int64_t key_begin, int64_t key_end, const AttendPartial& out, void* scratch) {
  static_assert(sizeof(simd::IntegerScratch) <= kAttendScratchBytes);
  if (call.cache_dtype == DType::kI8)
    return simd::AttendIntegers<KvIntegers, 4, 4, 1>(call, key_begin, key_end, out, scratch);
  const auto run = call.dtype == DType::kBF16  ? Run<BF16Pairs, 4, 1>
                   : call.dtype == DType::kF16 ? Run<Single<DType::kF16>, 2, 2>
                                               : Run<Single<DType::kF32>, 2, 2>;
  run(call, key_begin, key_end, out, scratch);
}

void Merge(const AttendPartial& acc, const AttendPartial& part, int64_t rows, int64_t value_dim) {
  simd::Merge<Vec>(acc, part, rows, value_dim);
}

}  // namespace atb::kernels::neon
