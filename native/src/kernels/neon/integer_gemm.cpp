#include "kernels/neon/integer_gemm.h"

#include "kernels/neon/kernels.h"

namespace atb::kernels::neon {
namespace {

/// Products of bytes are 16 bits wide: four channels of two columns in a register. Sums of two of int8 could overflow
/// there, so that each is added to pairs of int32 at once. Those of small numbers, int4 and e2m1, stay in 16 bits for a
/// step.
struct LongProducts {
  static constexpr int kDigitRows = 3;

  struct I4 {
    static constexpr WeightFormat kFormat = WeightFormat::kI4;
    static constexpr int kQuads = 2;
    static constexpr int kShift = 0;
    static void Load(const char* line, int8x16_t (&quads)[kQuads]) {
      const int8x16_t both = vld1q_s8(reinterpret_cast<const int8_t*>(line));
      quads[0] = vshrq_n_s8(vshlq_n_s8(both, 4), 4);
      quads[1] = vshrq_n_s8(both, 4);
    }
  };

  template <class F, int T>
  static void Add(const DigitRows<T>& x, const Steps& steps, const char* w, int64_t panel_stride, int64_t panels,
                  int32_t (*sums)[kDigitRows][kPanelColumns]) {
    w += steps.begin * kStepBytes<F>;
    for (int64_t p = 0; p < panels; ++p, w += panel_stride) {
      if constexpr (F::kFormat == WeightFormat::kI8) {
        AddLarge<F>(x, steps, w, sums[p]);
      } else {
        AddSmall<F>(x, steps, w, sums[p]);
      }
    }
  }

 private:
  /// Four digits, four times.
  static int8x16_t Digits(const int8_t* p) {
    int32_t quad;
    memcpy(&quad, p, sizeof quad);
    return vreinterpretq_s8_s32(vdupq_n_s32(quad));
  }

  template <class F, int T>
  static void AddLarge(const DigitRows<T>& x, const Steps& steps, const char* w, int32_t (*sums)[kPanelColumns]) {
    int32x4_t acc[T][8];  // Register i holds two sums of each of columns 2 i and 2 i + 1.
    for (int t = 0; t < T; ++t)
      for (int i = 0; i < 8; ++i) acc[t][i] = vdupq_n_s32(0);
    for (int64_t s = steps.begin; s < steps.end; ++s) {
      const int64_t at = x.At(s);
#pragma GCC unroll 1
      for (int64_t line = 0; line < kStep / 4; ++line, w += 64) {
        __builtin_prefetch(w + kAhead);
        int8x16_t digits[T];
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) digits[t] = Digits(x.rows[t] + at + line * 4);
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
          int8x16_t quads[1];
          F::Load(w + i * 16, quads);
#pragma GCC unroll 4
          for (int t = 0; t < T; ++t) {
            acc[t][2 * i] = vpadalq_s16(acc[t][2 * i], vmull_s8(vget_low_s8(quads[0]), vget_low_s8(digits[t])));
            acc[t][2 * i + 1] = vpadalq_s16(acc[t][2 * i + 1], vmull_high_s8(quads[0], digits[t]));
          }
        }
      }
    }
    for (int t = 0; t < T; ++t) {
      for (int i = 0; i < 4; ++i) {
        const int32x4_t sum = vpaddq_s32(acc[t][2 * i], acc[t][2 * i + 1]);
        int32_t* const to = sums[t] + 4 * i;
        vst1q_s32(to, steps.starts ? sum : vaddq_s32(vld1q_s32(to), sum));
      }
    }
  }

  template <class F, int T>
  static void AddSmall(const DigitRows<T>& x, const Steps& steps, const char* w, int32_t (*sums)[kPanelColumns]) {
    // Two sums of 16 bits, each of a product out of every quad of a step, are joined before they are widened.
    static_assert(kStep / 4 * 2 * (12 * 128) < 32768);
    /// Columns that are multiplied at once, by four, so that their sums fit the registers.
    constexpr int kFours = T <= 2 ? 4 : 2;
    for (int64_t s = steps.begin; s < steps.end; ++s, w += kStepBytes<F>) {
      const int64_t at = x.At(s);
#pragma GCC unroll 1
      for (int first = 0; first < 4; first += kFours) {
        int16x8_t words[T][2 * kFours];
        for (int t = 0; t < T; ++t)
          for (int i = 0; i < 2 * kFours; ++i) words[t][i] = vdupq_n_s16(0);
        const char* from = w + first * 16;
#pragma GCC unroll 1
        for (int64_t line = 0; line < kStep / 8; ++line, from += 64) {
          __builtin_prefetch(from + kAhead);
          int8x16_t digits[T][2];
#pragma GCC unroll 4
          for (int t = 0; t < T; ++t)
            for (int q = 0; q < 2; ++q) digits[t][q] = Digits(x.rows[t] + at + line * 8 + q * 4);
#pragma GCC unroll 4
          for (int i = 0; i < kFours; ++i) {
            int8x16_t quads[2];
            F::Load(from + i * 16, quads);
#pragma GCC unroll 2
            for (int q = 0; q < 2; ++q) {
#pragma GCC unroll 4
              for (int t = 0; t < T; ++t) {
                words[t][2 * i] = vmlal_s8(words[t][2 * i], vget_low_s8(quads[q]), vget_low_s8(digits[t][q]));
                words[t][2 * i + 1] = vmlal_high_s8(words[t][2 * i + 1], quads[q], digits[t][q]);
              }
            }
          }
        }
        for (int t = 0; t < T; ++t) {
          for (int i = 0; i < kFours; ++i) {
            const int16x8_t pairs = vpaddq_s16(words[t][2 * i], words[t][2 * i + 1]);
            int32_t* const to = sums[t] + (first + i) * 4;
            const bool starts = steps.starts && s == steps.begin;
            vst1q_s32(to, starts ? vpaddlq_s16(pairs) : vpadalq_s16(vld1q_s32(to), pairs));
          }
        }
      }
    }
  }
};

}  // namespace

void IntegerGemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* scratch) {
  MultiplyIntegers<LongProducts>(call, panel_begin, panel_end, scratch);
}

}  // namespace atb::kernels::neon
