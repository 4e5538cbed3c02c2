#include "kernels/dotprod/kernels.h"
#include "kernels/neon/integer_gemm.h"

namespace atb::kernels::neon {
namespace {

/// sdot adds the four products of each column's quad to an int32. Both factors are signed, and the digits are named by
/// the quad of a register that they lie in.
struct DotProducts {
  static constexpr int kDigitRows = 6;
  /// Accumulators, of four registers each, that fit the 32 registers beside weights and digits.
  static constexpr int kAccumulators = 6;

  /// Multiplied in the upper half of a byte.
  struct I4 {
    static constexpr WeightFormat kFormat = WeightFormat::kI4;
    static constexpr int kQuads = 2;
    static constexpr int kShift = 4;
    static void Load(const char* line, int8x16_t (&quads)[kQuads]) {
      const int8x16_t both = vld1q_s8(reinterpret_cast<const int8_t*>(line));
      quads[0] = vshlq_n_s8(both, 4);
      quads[1] = vandq_s8(both, vdupq_n_s8(-16));
    }
  };

  /// For panels side by side, as many at once as the registers hold.
  template <class F, int T, int P = 4>
  static void Add(const DigitRows<T>& x, const Steps& steps, const char* w, int64_t panel_stride, int64_t panels,
                  int32_t (*sums)[kDigitRows][kPanelColumns]) {
    if constexpr (T * P <= kAccumulators || P == 1) {
      for (; panels >= P; panels -= P, w += P * panel_stride, sums += P)
        AddPanels<F, T, P>(x, steps, w, panel_stride, sums);
    }
    if constexpr (P > 1) {
      if (panels > 0) Add<F, T, P / 2>(x, steps, w, panel_stride, panels, sums);
    }
  }

 private:
  template <class F, int T, int P>
  static void AddPanels(const DigitRows<T>& x, const Steps& steps, const char* w, int64_t panel_stride,
                        int32_t (*sums)[kDigitRows][kPanelColumns]) {
    constexpr int kLines = 4 / F::kQuads;  // Of sixteen channels.
    int32x4_t acc[P][T][4];
    for (int p = 0; p < P; ++p)
      for (int t = 0; t < T; ++t)
        for (int i = 0; i < 4; ++i) acc[p][t][i] = steps.starts ? vdupq_n_s32(0) : vld1q_s32(sums[p][t] + 4 * i);
    w += steps.begin * kStepBytes<F>;
    for (int64_t sixteen = steps.begin * 2; sixteen < steps.end * 2; ++sixteen, w += kLines * 64) {
      const int64_t at = x.At(sixteen / 2) + sixteen % 2 * 16;
      int8x16_t digits[T];
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) digits[t] = vld1q_s8(x.rows[t] + at);
      Repeat<kLines>([&](auto line) __attribute__((always_inline)) {
#pragma GCC unroll 4
        for (int p = 0; p < P; ++p) {
          const char* const from = w + p * panel_stride + line.value * 64;
          __builtin_prefetch(from + kAhead);
#pragma GCC unroll 4
          for (int i = 0; i < 4; ++i) {
            int8x16_t quads[F::kQuads];
            F::Load(from + i * 16, quads);
            Repeat<F::kQuads>([&](auto q) __attribute__((always_inline)) {
              constexpr int kQuad = decltype(line)::value * F::kQuads + decltype(q)::value;
#pragma GCC unroll 8
              for (int t = 0; t < T; ++t)
                acc[p][t][i] = vdotq_laneq_s32(acc[p][t][i], quads[q.value], digits[t], kQuad);
            });
          }
        }
      });
    }
    for (int p = 0; p < P; ++p)
      for (int t = 0; t < T; ++t)
        for (int i = 0; i < 4; ++i) vst1q_s32(sums[p][t] + 4 * i, acc[p][t][i]);
  }
};

}  // namespace
}  // namespace atb::kernels::neon

namespace atb::kernels::dotprod {

void Gemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* scratch) {
  switch (call.weight->format) {
    case WeightFormat::kI8:
    case WeightFormat::kI4:
    case WeightFormat::kE2M1:
      return neon::MultiplyIntegers<neon::DotProducts>(call, panel_begin, panel_end, scratch);
    default:
      return neon::Gemm(call, panel_begin, panel_end, scratch);
  }
}

int32_t SumDigits(const int8_t* digits, int64_t count) {
  int32x4_t sums = vdupq_n_s32(0);
  for (int64_t i = 0; i < count; i += 16) sums = vdotq_s32(sums, vld1q_s8(digits + i), vdupq_n_s8(1));
  return vaddvq_s32(sums);
}

}  // namespace atb::kernels::dotprod
