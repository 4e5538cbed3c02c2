#pragma once
// Products with weights of integers, for a way M to multiply digits by them: neon/integer_gemm.cpp and
// dotprod/integer_gemm.cpp have one each. Everything has internal linkage; vec.h says why.
//
// M has:
//   kDigitRows  the most digit rows that are multiplied at once
//   I4          the format of kI4; kShift says that sums come out 2^kShift times too large
//   Add<F, T>(x, steps, w, panel_stride, panels, sums)  the products of T digit rows and some panels
#include "kernels/neon/exponent_windows.h"
#include "kernels/neon/vec.h"
#include "kernels/simd/integer_gemm.h"

namespace atb::kernels::neon {
namespace {

using simd::Min;

constexpr int64_t kPanels = kGemmStreams;
/// Channels of one step: half a tile.
constexpr int64_t kStep = kGroupStep;
static_assert(kStep * 2 == kIntegerTileK);
/// Steps of one panel after which the next panel is multiplied. Panels take turns, so that memory is read in several
/// streams.
constexpr int64_t kPieceSteps = 8;
constexpr int64_t kAhead = 1024;

// A format widens four columns of a line of a panel: kQuads registers with a quad of channels for each column.
struct I8 {
  static constexpr WeightFormat kFormat = WeightFormat::kI8;
  static constexpr int kQuads = 1;
  static constexpr int kShift = 0;
  static void Load(const char* line, int8x16_t (&quads)[kQuads]) {
    quads[0] = vld1q_s8(reinterpret_cast<const int8_t*>(line));
  }
};

/// Twice the numbers of e2m1: a shuffle of bytes looks them up.
struct E2M1 {
  static constexpr WeightFormat kFormat = WeightFormat::kE2M1;
  static constexpr int kQuads = 2;
  static constexpr int kShift = 0;
  static void Load(const char* line, int8x16_t (&quads)[kQuads]) {
    constexpr int8_t kNumbers[] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    const int8x16_t numbers = vld1q_s8(kNumbers);
    const uint8x16_t both = vld1q_u8(reinterpret_cast<const uint8_t*>(line));
    quads[0] = vqtbl1q_s8(numbers, vandq_u8(both, vdupq_n_u8(0xF)));
    quads[1] = vqtbl1q_s8(numbers, vshrq_n_u8(both, 4));
  }
};

/// Bytes of a panel that a step takes.
template <class F>
constexpr int64_t kStepBytes = kStep / 4 / F::kQuads * 64;

/// Steps [begin, end) of a panel. With `starts` their products replace what sums hold; else they are added.
struct Steps {
  int64_t begin;
  int64_t end;
  bool starts;
};

/// Some digit rows of a block: step s of row t is 32 bytes at rows[t] + At(s).
template <int T>
struct DigitRows {
  const int8_t* rows[T];
  int64_t stride;
  int64_t At(int64_t step) const { return step / 2 * stride + step % 2 * kStep; }
};

template <class M>
struct alignas(64) IntegerScratch {
  int32_t sums[kPanels][M::kDigitRows][kPanelColumns];    ///< Of a group.
  int32_t totals[kPanels][M::kDigitRows][kPanelColumns];  ///< Sums over groups, each times its multiplier.
  float c[kPanels][M::kDigitRows][kPanelColumns];
  float scales[kPanels][kPanelColumns];
  WindowSums<M::kDigitRows> windows[kPanels];  ///< Where scales are powers of two.
};

/// x * 2^shift.
inline Int32x16 Shifted(const Int32x16& x, int shift) {
  const int32x4_t by = vdupq_n_s32(shift);
  return {vshlq_s32(x.a, by), vshlq_s32(x.b, by), vshlq_s32(x.c, by), vshlq_s32(x.d, by)};
}
/// x * y + z.
inline Int32x16 MultiplyAdd(const Int32x16& x, const Int32x16& y, const Int32x16& z) {
  return {vmlaq_s32(z.a, x.a, y.a), vmlaq_s32(z.b, x.b, y.b), vmlaq_s32(z.c, x.c, y.c), vmlaq_s32(z.d, x.d, y.d)};
}

/// c[r] += scale * (the number whose digits were summed, 2^shift times as large, + what offsets add to panel `panel`).
inline void AddScaled(const int32_t (*sums)[kPanelColumns], int shift, int64_t planes, int64_t rows, Vec scale,
                      const simd::GroupOffsets& offsets, int64_t panel, float (*c)[kPanelColumns]) {
  const Vec offset = offsets.offsets ? offsets.Factors<Vec>(panel) : Vec::Zero();
  for (int64_t r = 0; r < rows; ++r) {
    const auto digit = [&](int64_t plane) { return Shifted(Int32x16::Load(sums[plane * rows + r]), shift).Floats(); };
    Vec value = digit(0);
    for (int64_t plane = 1; plane < planes; ++plane) value = Fma(value, Vec::Set1(256.0f), digit(plane));
    if (offsets.offsets) value = Fma(offset, Vec::Set1(offsets.sums[r * offsets.row_stride]), value);
    Fma(value, scale, Vec::Load(c[r])).Store(c[r]);
  }
}

/// totals[t] += multipliers * the sums of a group, 2^shift times as large.
inline void AddMultiplied(const int32_t (*sums)[kPanelColumns], int shift, int64_t digit_rows,
                          const int8_t* multipliers, int32_t (*totals)[kPanelColumns]) {
  const int8x16_t bytes = vld1q_s8(multipliers);
  const Int32x16 by = Int32x16::Of(vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes));
  for (int64_t t = 0; t < digit_rows; ++t)
    MultiplyAdd(Shifted(Int32x16::Load(sums[t]), shift), by, Int32x16::Load(totals[t])).Store(totals[t]);
}

/// sums[t] = 2^shift * sums[t] + offsets * digits[t]: what integers give to which offsets are added, where the digits
/// of row t add up to digits[t].
inline void AddOffsets(int32_t (*sums)[kPanelColumns], int shift, int64_t digit_rows, const int16_t* offsets,
                       const int32_t* digits) {
  const Int32x16 by = Int32x16::Of(vld1q_s16(offsets), vld1q_s16(offsets + 8));
  for (int64_t t = 0; t < digit_rows; ++t) {
    const int32x4_t sum = vdupq_n_s32(digits[t]);
    MultiplyAdd(by, {sum, sum, sum, sum}, Shifted(Int32x16::Load(sums[t]), shift)).Store(sums[t]);
  }
}

/// Multiplies T digit rows, those of rows [row, row + T / planes) of a block, by `panels` panels, all groups of them. c
/// and totals must be zero.
template <class M, class F, int T>
void MultiplyRows(const GemmCall& call, const simd::DigitBlock& block, int64_t row, int64_t panel, int64_t panels,
                  IntegerScratch<M>& scratch) {
  constexpr bool kIsInt4 = F::kFormat == WeightFormat::kI4;
  const PackedWeight& weight = *call.weight;
  const simd::ScaleGroups groups(weight);
  const int64_t planes = call.digits.planes, rows = T / planes;
  DigitRows<T> x;
  x.stride = block.tile_stride;
  for (int64_t t = 0; t < T; ++t) x.rows[t] = block.digits + (t / rows * block.rows + row + t % rows) * kIntegerTileK;
  const simd::Scales scales = simd::Scales::Of<Vec>(weight, groups.count, panel, panels, scratch.scales[0]);
  const char* w = static_cast<const char*>(weight.data) + panel * weight.panel_stride;
  const simd::GroupOffsets none{};
  // Those with minimums stand for numbers from 0 on.
  const bool whole = kIsInt4 && (weight.offsets || weight.minimums.Any());
  int16_t halves[kPanelColumns];
  vst1q_s16(halves, vdupq_n_s16(kHalfOfInt4));
  vst1q_s16(halves + 8, vdupq_n_s16(kHalfOfInt4));
  const int64_t span = weight.exponents ? ExponentSpan(weight) / groups.channels : groups.count;
  for (int64_t g = 0; g < groups.count; ++g) {
    const int64_t begin = groups.Step(g), end = groups.Step(g + 1);
    for (int64_t step = begin; step < end; step += kPieceSteps)
      M::template Add<F, T>(x, {step, Min(step + kPieceSteps, end), step == begin}, w, weight.panel_stride, panels,
                            scratch.sums);
    int32_t digits[T] = {};
    if (whole) {
      for (int t = 0; t < T; ++t) {
        for (int64_t s = begin; s < end; ++s) digits[t] += SumDigits(x.rows[t] + x.At(s), kStep);
      }
    }
    if (weight.exponents && g % span == 0) {
      for (int64_t p = 0; p < panels; ++p)
        scratch.windows[p].Start(scales.exponents + p * scales.stride + g * kPanelColumns, Min(span, groups.count - g));
    }
    const simd::GroupOffsets offsets(call, groups.count, g, panel, block.row + row);
    for (int64_t p = 0; p < panels; ++p) {
      auto* const sums = scratch.sums[p];
      auto* const c = scratch.c[p];
      const int64_t at = ((panel + p) * groups.count + g) * kPanelColumns;
      if (weight.multipliers) {
        AddMultiplied(sums, -F::kShift, T, weight.multipliers + at, scratch.totals[p]);
      } else if (weight.exponents) {
        WindowSums<M::kDigitRows>& windows = scratch.windows[p];
        bool any;
        const Vec small = windows.Add(sums, T, weight.exponents + at, any);
        if (any) AddScaled(sums, 0, planes, rows, small, none, p, c);
        for (int i = 0; i < kExponentWindows && ((g + 1) % span == 0 || g + 1 == groups.count); ++i)
          AddScaled(windows.sums[i], 0, planes, rows, windows.Unit(i), none, p, c);
      } else {
        const Vec scale = scales.At<Vec>(p, g);
        if (whole) AddOffsets(sums, -F::kShift, T, weight.offsets ? weight.offsets + at : halves, digits);
        // Without offsets and minimums int4 count sixteen times, which simd::FormatFactor undoes.
        AddScaled(sums, kIsInt4 && !whole ? 4 - F::kShift : 0, planes, rows, scale, offsets, p, c);
      }
    }
  }
  if (!weight.multipliers) return;
  for (int64_t p = 0; p < panels; ++p)
    AddScaled(scratch.totals[p], 0, planes, rows, scales.At<Vec>(p, 0), none, p, scratch.c[p]);
}

template <class M, class F, int T = M::kDigitRows>
void MultiplyDigitRows(int64_t digit_rows, const GemmCall& call, const simd::DigitBlock& block, int64_t row,
                       int64_t panel, int64_t panels, IntegerScratch<M>& scratch) {
  if constexpr (T > 1) {
    if (digit_rows < T) return MultiplyDigitRows<M, F, T - 1>(digit_rows, call, block, row, panel, panels, scratch);
  }
  MultiplyRows<M, F, T>(call, block, row, panel, panels, scratch);
}

template <class M, class F>
void MultiplyPanels(const GemmCall& call, int64_t panel_begin, int64_t panel_end, IntegerScratch<M>& scratch) {
  const simd::DigitBlocks blocks(call);
  const int64_t planes = call.digits.planes, most = M::kDigitRows / planes;
  for (int64_t panel = panel_begin; panel < panel_end; panel += kPanels) {
    const int64_t panels = Min(kPanels, panel_end - panel);
    for (int64_t b = 0; b < blocks.count; ++b) {
      const simd::DigitBlock block(call, blocks, b);
      for (int64_t row = 0; row < block.rows; row += most) {
        const int64_t rows = Min(most, block.rows - row);
        memset(scratch.c, 0, sizeof scratch.c);
        if (call.weight->multipliers) memset(scratch.totals, 0, sizeof scratch.totals);
        MultiplyDigitRows<M, F>(rows * planes, call, block, row, panel, panels, scratch);
        for (int64_t p = 0; p < panels; p += call.gated ? 2 : 1) {
          float* up = call.gated ? scratch.c[p + 1][0] : nullptr;
          simd::FinishInteger<Vec>(call, block.row + row, rows, panel + p, scratch.c[p][0], up);
        }
      }
    }
  }
}

/// KernelTable::gemm for a weight of integers.
template <class M>
void MultiplyIntegers(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* memory) {
  static_assert(sizeof(IntegerScratch<M>) <= kGemmScratchBytes);
  auto& scratch = *static_cast<IntegerScratch<M>*>(memory);
  if (call.weight->format == WeightFormat::kI8) return MultiplyPanels<M, I8>(call, panel_begin, panel_end, scratch);
  if (call.weight->format == WeightFormat::kE2M1) return MultiplyPanels<M, E2M1>(call, panel_begin, panel_end, scratch);
  MultiplyPanels<M, typename M::I4>(call, panel_begin, panel_end, scratch);
}

}  // namespace
}  // namespace atb::kernels::neon
