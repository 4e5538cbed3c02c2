#include "kernels/avx512/integer_totals.h"
#include "kernels/avx512/kernels.h"

// vpdpbusd multiplies unsigned bytes by signed ones. Weights are made unsigned by adding 128, or 8 to int4. So a sum of
// products comes out too large by as many times the sum of the digits, and each accumulator starts below zero by as
// much; of int4 with offsets at the offset - 8 times that sum. This file multiplies int8 with offsets or with one scale
// for each output, integer_totals.h what has groups.

namespace atb::kernels::avx512 {
namespace {

using simd::Min;

constexpr int64_t kPanels = kGemmStreams;
/// Channels of one step: half a tile.
constexpr int64_t kStep = kGroupStep;

struct alignas(64) Scratch {
  float c[kPanels][kDigitRows][kPanelColumns];
  int32_t sums[kPanels][kDigitRows][kPanelColumns];  ///< Sums over groups, each times its multiplier.
  float scales[kPanels][kPanelColumns];
};

/// AddScaled with what the offsets of a group add, offset * sums[r].
template <int Planes, int R>
inline void AddWithOffsets(const __m512i* acc, Vec scale, Vec offset, const simd::GroupOffsets& offsets,
                           float (*c)[kPanelColumns]) {
  for (int r = 0; r < R; ++r) {
    __m512i sums[Planes];
    for (int plane = 0; plane < Planes; ++plane) sums[plane] = acc[plane * R + r];
    const Vec value = Fma(offset, Vec::Set1(offsets.sums[r * offsets.row_stride]), Join<Planes>(sums));
    Fma(value, scale, Vec::Load(c[r])).Store(c[r]);
  }
}

/// What the sums of a group of channels are multiplied by, for panels side by side.
struct GroupEnd {
  simd::Scales scales;
  simd::GroupOffsets offsets;
  int64_t group = 0;
};

/// Takes the sums of a group, those of `panels` panels from `first` on. A function of its own: within Accumulate it
/// would keep the sums of its loop in memory.
template <int T>
__attribute__((noinline)) void AddGroup(const __m512i (*acc)[T], int64_t panels, int planes, const GroupEnd& group,
                                        int64_t first, Scratch& scratch) {
  ByPlanes<T>(planes, [&]<int Planes>() {
    for (int64_t p = 0; p < panels; ++p) {
      const Vec scale = group.scales.At<Vec>(first + p, group.group);
      if (group.offsets.offsets) {
        const Vec offset = group.offsets.Factors<Vec>(first + p);
        AddWithOffsets<Planes, T / Planes>(acc[p], scale, offset, group.offsets, scratch.c[first + p]);
      } else {
        AddScaled<Planes, T / Planes>(acc[p], scale, scratch.c[first + p]);
      }
    }
  });
}

/// Adds the products of steps [begin, end), one group, of P panels from `first` on. `starts` has what the
/// sums of each row begin with.
template <int T, int P>
void Accumulate(const DigitRows<T>& x, const __m512i* starts, const char* w, int64_t panel_stride, int64_t begin,
                int64_t end, const GroupEnd& group, int64_t first, Scratch& scratch) {
  constexpr int64_t kStepLines = kStep / 4;
  __m512i acc[P][T];
#pragma GCC unroll 2
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) acc[p][t] = starts[t];
  }
  w += first * panel_stride + begin * kStepLines * 64;
  for (int64_t s = begin; s < end; ++s) {
    const int64_t at = x.At(s);
#pragma GCC unroll 1
    for (int64_t line = 0; line < kStepLines; ++line, w += 64) {
#pragma GCC unroll 2
      for (int p = 0; p < P; ++p) {
        __m512i weights;
        I8::Load(w + p * panel_stride, &weights);
        __builtin_prefetch(w + p * panel_stride + kBytesAhead);
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t) {
          int quad;
          memcpy(&quad, x.rows[t] + at + line * 4, sizeof quad);
          acc[p][t] = _mm512_dpbusd_epi32(acc[p][t], weights, _mm512_set1_epi32(quad));
        }
      }
    }
  }
  __m512i sums[P][T];
#pragma GCC unroll 2
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) sums[p][t] = acc[p][t];
  }
  AddGroup(sums, P, x.planes, group, first, scratch);
}

/// MultiplyRows group by group, for int8 with offsets or with one scale for each output. Of few rows one panel is read
/// from its beginning to its end, as fast as memory is; of more each digit that is broadcast meets two panels.
template <int T>
void MultiplyGroups(const DigitRows<T>& x, const PackedWeight& weight, const simd::ScaleGroups& groups, GroupEnd end,
                    const char* w, int64_t panels, Scratch& scratch) {
  const int64_t stride = weight.panel_stride;
  for (int64_t g = 0; g < groups.count; ++g) {
    const int64_t begin = groups.Step(g), last = groups.Step(g + 1);
    __m512i starts[T];
    for (int t = 0; t < T; ++t) starts[t] = _mm512_set1_epi32(-I8::kExcess * DigitSum(x, t, begin, last));
    int64_t p = 0;
    for (constexpr int P = T < kUsualDigitRows ? 1 : 2; p + P <= panels; p += P)
      Accumulate<T, P>(x, starts, w, stride, begin, last, end, p, scratch);
    for (; p < panels; ++p) Accumulate<T, 1>(x, starts, w, stride, begin, last, end, p, scratch);
    ++end.group;
    if (!end.offsets.offsets) continue;
    end.offsets.offsets += kPanelColumns;
    ++end.offsets.sums;
  }
}

/// Multiplies T digit rows, those of activation rows [row, row + T / planes), by `panels` panels, all groups of them. c
/// and sums must be zero.
template <class F, int T>
void MultiplyRows(const GemmCall& call, const simd::DigitBlocks& blocks, int64_t row, int64_t panel, int64_t panels,
                  Scratch& scratch) {
  const PackedWeight& weight = *call.weight;
  const simd::ScaleGroups groups(weight);
  const DigitRows<T> x(call, blocks, row);
  const auto scales = simd::Scales::Of<Vec>(weight, groups.count, panel, panels, scratch.scales[0]);
  const char* w = static_cast<const char*>(weight.data) + panel * weight.panel_stride;
  if constexpr (F::kFormat == WeightFormat::kI8) {
    const simd::GroupOffsets offsets(call, groups.count, 0, panel, row);
    if (offsets.offsets || groups.count == 1)
      return MultiplyGroups<T>(x, weight, groups, {scales, offsets}, w, panels, scratch);
  }
  const int64_t stride = groups.count * kPanelColumns, at = panel * stride;
  GroupedPanels grouped{x.planes, w, weight.panel_stride, stride};
  grouped.scales = scales;
  if (weight.multipliers) grouped.multipliers = weight.multipliers + at;
  if (weight.offsets) grouped.offsets = weight.offsets + at;
  // Bytes of int4 with minimums are the numbers that these stand for.
  grouped.excess = F::kFormat == WeightFormat::kI4 && weight.minimums.Any() ? 0 : F::kExcess;
  if (F::kFormat == WeightFormat::kI4) grouped.scale_factor = 1 / simd::FormatFactor(weight);
  if (weight.exponents) {
    grouped.exponents = scales.exponents;
    grouped.span = ExponentSpan(weight) / groups.channels;
  }
  MultiplyTotals<F>(x, grouped, groups, panels, scratch.sums, scratch.c);
  for (int64_t p = 0; p < panels && weight.multipliers; ++p) {
    __m512i sums[T];
    for (int t = 0; t < T; ++t) sums[t] = _mm512_load_si512(scratch.sums[p][t]);
    const Vec scale = scales.At<Vec>(p, 0);
    ByPlanes<T>(x.planes, [&]<int Planes>() { AddScaled<Planes, T / Planes>(sums, scale, scratch.c[p]); });
  }
}

template <class F>
void Multiply(const GemmCall& call, int64_t panel_begin, int64_t panel_end, Scratch& scratch) {
  const simd::DigitBlocks blocks(call);
  const int planes = call.digits.planes;
  /// Rows of whole blocks: others lie at another distance from one another.
  const int64_t whole = call.m / blocks.rows * blocks.rows;
  int64_t most = kUsualDigitRows / planes;
  if (call.m * planes <= kFewDigitRows) {
    const int64_t times = (call.m + kDigitRows / planes - 1) / (kDigitRows / planes);
    most = (call.m + times - 1) / times;
  }
  for (int64_t panel = panel_begin; panel < panel_end; panel += kPanels) {
    const int64_t panels = Min(kPanels, panel_end - panel);
    for (int64_t row = 0, rows; row < call.m; row += rows) {
      rows = Min(most, (row < whole ? whole : call.m) - row);
      memset(scratch.c, 0, sizeof scratch.c);
      if (call.weight->multipliers) memset(scratch.sums, 0, sizeof scratch.sums);
      switch (rows * planes) {
        case 1: MultiplyRows<F, 1>(call, blocks, row, panel, panels, scratch); break;
        case 2: MultiplyRows<F, 2>(call, blocks, row, panel, panels, scratch); break;
        case 3: MultiplyRows<F, 3>(call, blocks, row, panel, panels, scratch); break;
        case 4: MultiplyRows<F, 4>(call, blocks, row, panel, panels, scratch); break;
        case 5: MultiplyRows<F, 5>(call, blocks, row, panel, panels, scratch); break;
        case 6: MultiplyRows<F, 6>(call, blocks, row, panel, panels, scratch); break;
        case 7: MultiplyRows<F, 7>(call, blocks, row, panel, panels, scratch); break;
        case 8: MultiplyRows<F, 8>(call, blocks, row, panel, panels, scratch); break;
      }
      for (int64_t p = 0; p < panels; p += call.gated ? 2 : 1) {
        float* up = call.gated ? scratch.c[p + 1][0] : nullptr;
        simd::FinishInteger<Vec>(call, row, rows, panel + p, scratch.c[p][0], up);
      }
    }
  }
}

}  // namespace

static_assert(sizeof(Scratch) <= kGemmScratchBytes);

void IntegerGemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* memory) {
  Scratch& scratch = *static_cast<Scratch*>(memory);
  if (call.weight->format == WeightFormat::kI8) return Multiply<I8>(call, panel_begin, panel_end, scratch);
  if (call.weight->format == WeightFormat::kE2M1) return Multiply<E2M1>(call, panel_begin, panel_end, scratch);
  Multiply<I4>(call, panel_begin, panel_end, scratch);
}

}  // namespace atb::kernels::avx512
