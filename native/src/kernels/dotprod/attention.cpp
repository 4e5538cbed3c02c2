#include "kernels/dotprod/kernels.h"
#include "kernels/neon/vec.h"
#include "kernels/simd/attention_elements.h"
#include "kernels/simd/integer_attention.h"

namespace atb::kernels::neon {
namespace {

/// The I of kernels/simd/integer_attention.h: a row of high digits and a row of low digits, kRowBytes apart, both
/// signed, are multiplied by sdot.
struct KvDigits {
  using V = Vec;
  using Exponential = simd::FullExp<Vec>;
  struct Stored {
    int8x16_t fours[4];  ///< Of lanes each.
  };
  struct Sum {
    Int32x16 high;
    Int32x16 low;
  };
  static constexpr int64_t kBytes = 1;
  static constexpr int64_t kSumRows = 1;
  /// Of two signed digits.
  static constexpr float kMaxWeight = 127 * 256 + 127;

  static Vec Total(const int32_t* sums) { return Int32x16::Load(sums).Floats(); }
  static void StoreQuery(const Vec* x, int8_t* to, int64_t i) {
    for (int k = 0; k < 4; ++k, i += simd::kLanes) {
      const Int32x16 whole = Whole(x[k]);
      const int16x8_t first = Words(whole.a, whole.b), second = Words(whole.c, whole.d);
      // Low digits go from -128 to 127, so that the high digit is the number divided by 256 and rounded, half up.
      vst1q_s8(to + i, vrshrn_high_n_s16(vrshrn_n_s16(first, 8), second, 8));
      vst1q_s8(to + simd::kRowBytes + i, vuzp1q_s8(vreinterpretq_s8_s16(first), vreinterpretq_s8_s16(second)));
    }
  }
  static void StoreWeight(const Vec* x, int8_t* to, int64_t i) { StoreQuery(x, to, i); }

  static simd::SumStarts StartOf(const int8_t*, int64_t) { return {0, 0}; }
  static Sum Start(const simd::SumStarts&) { return Zero(); }
  static Sum Zero() { return {Int32x16::Zero(), Int32x16::Zero()}; }
  static Stored LoadKeys(const char* p) {
    const auto* bytes = reinterpret_cast<const int8_t*>(p);
    return {{vld1q_s8(bytes), vld1q_s8(bytes + 16), vld1q_s8(bytes + 32), vld1q_s8(bytes + 48)}};
  }
  static Stored LoadValues(const char* p) { return LoadKeys(p); }
  static Sum MulKeys(const Stored& s, const int8_t* weights, const Sum& sum) {
    return {Mul(s, LoadQuad(weights), sum.high), Mul(s, LoadQuad(weights + simd::kRowBytes), sum.low)};
  }
  static Sum MulValues(const Stored& s, const int8_t* weights, const Sum& sum) { return MulKeys(s, weights, sum); }
  static void StoreTotal(const Sum& sum, int32_t* to) { Joined(sum).Store(to); }
  static Vec ToFloat(const Sum& sum) { return Joined(sum).Floats(); }

 private:
  static int16x8_t Words(int32x4_t low, int32x4_t high) {
    return vuzp1q_s16(vreinterpretq_s16_s32(low), vreinterpretq_s16_s32(high));
  }
  static Int32x16 Mul(const Stored& s, int8x8_t digits, const Int32x16& sum) {
    return {vdotq_lane_s32(sum.a, s.fours[0], digits, 0), vdotq_lane_s32(sum.b, s.fours[1], digits, 0),
            vdotq_lane_s32(sum.c, s.fours[2], digits, 0), vdotq_lane_s32(sum.d, s.fours[3], digits, 0)};
  }
  static Int32x16 Joined(const Sum& sum) {
    const auto join = [](int32x4_t high, int32x4_t low) { return vaddq_s32(vshlq_n_s32(high, 8), low); };
    return {join(sum.high.a, sum.low.a), join(sum.high.b, sum.low.b), join(sum.high.c, sum.low.c),
            join(sum.high.d, sum.low.d)};
  }
};

}  // namespace
}  // namespace atb::kernels::neon

namespace atb::kernels::dotprod {

void Attend(const AttendCall& call, int64_t key_begin, int64_t key_end, const AttendPartial& out, void* scratch) {
  static_assert(sizeof(simd::IntegerScratch) <= neon::kAttendScratchBytes);
  if (call.cache_dtype != DType::kI8) return neon::Attend(call, key_begin, key_end, out, scratch);
  simd::AttendIntegers<neon::KvDigits, 2, 2, 1>(call, key_begin, key_end, out, scratch);
}

}  // namespace atb::kernels::dotprod
