#pragma once
// Products with a panel's integers, format by format. Everything has internal linkage; vec.h says why.
#include "kernels/avx2/integer_bytes.h"
#include "kernels/avx2/kernels.h"

namespace atb::kernels::avx2 {
namespace {

using simd::Min;

constexpr int64_t kPanels = kGemmStreams;

struct alignas(64) Scratch {
  PartialSums sums[kPanels][kDigitRows];
  float c[kPanels][kByteRows][kPanelColumns];
  float scales[kPanels][kPanelColumns];
  int16_t x[kDigitRows][kPieceSteps * kStep];
};

/// Widens the digits of a step to words.
inline void WidenStep(const int8_t* digits, int16_t* words) {
  for (int64_t i = 0; i < kStep; i += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(digits + i));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(words + i), _mm256_cvtepi8_epi16(bytes));
  }
}

/// Multiplies rows [row, row + R) of a block by `panels` panels.
template <class F, int Planes, int R>
void MultiplyRows(const GemmCall& call, const simd::DigitBlock& block, int64_t row, int64_t panel, int64_t panels,
                  Scratch& scratch) {
  constexpr int T = Planes * R;
  const PackedWeight& weight = *call.weight;
  const simd::ScaleGroups groups(weight);
  const auto scales = simd::Scales::Of<Vec>(weight, groups.count, panel, panels, scratch.scales[0]);
  memset(scratch.sums, 0, sizeof scratch.sums);
  const int64_t all = (weight.k + kStep - 1) / kStep;
  const int64_t group_steps = (groups.channels + kStep - 1) / kStep;
  const char* w = static_cast<const char*>(weight.data) + panel * weight.panel_stride;
  for (int64_t step = 0; step < all;) {
    const int64_t group = step / group_steps;
    const int64_t group_end = Min((group + 1) * group_steps, all);
    const int64_t steps = Min(kPieceSteps, group_end - step);
    for (int t = 0; t < T; ++t) {
      const int8_t* line = block.digits + (t / R * block.rows + row + t % R) * kIntegerTileK;
      for (int64_t s = 0; s < steps; ++s)
        WidenStep(line + (step + s) / 2 * block.tile_stride + (step + s) % 2 * kStep, scratch.x[t] + s * kStep);
    }
    const simd::GroupOffsets offsets(call, groups.count, group, panel, block.row + row);
    for (int64_t p = 0; p < panels; ++p) {
      const char* from = w + p * weight.panel_stride + step * (kStep / 4 / F::kQuads) * 64;
      Accumulate<F, T>(from, steps, scratch.x, scratch.sums[p]);
      if (step + steps < group_end) continue;
      PartialSums* const sums = scratch.sums[p];
      const Vec scale = scales.At<Vec>(p, group);
      AddScaled<Planes, R>([&](int t) { return Columns(sums[t]); }, scale, offsets, p, scratch.c[p]);
      memset(sums, 0, sizeof(PartialSums) * T);
    }
    step += steps;
  }
}

/// Multiplies rows [row, row + rows) of a block, at most R, by `panels` panels.
template <class F, int Planes, int R>
void MultiplySome(const GemmCall& call, const simd::DigitBlock& block, int64_t row, int64_t rows, int64_t panel,
                  int64_t panels, Scratch& scratch) {
  if constexpr (R > 1) {
    if (rows < R) return MultiplySome<F, Planes, R - 1>(call, block, row, rows, panel, panels, scratch);
  }
  if constexpr (F::kInBytes) {
    MultiplyBytes<F, Planes, R>(call, block, row, panel, panels, scratch.scales[0], scratch.c);
  } else {
    MultiplyRows<F, Planes, R>(call, block, row, panel, panels, scratch);
  }
}

template <class F, int Planes>
void MultiplyBlock(const GemmCall& call, const simd::DigitBlock& block, int64_t panel, int64_t panels,
                   Scratch& scratch) {
  // Two digit rows of words keep their sums in registers.
  constexpr int kMost = F::kInBytes ? kByteRows / Planes : Planes == 1 ? 2 : 1;
  for (int64_t row = 0; row < block.rows; row += kMost) {
    const int64_t rows = Min(kMost, block.rows - row);
    memset(scratch.c, 0, sizeof scratch.c);
    MultiplySome<F, Planes, kMost>(call, block, row, rows, panel, panels, scratch);
    for (int64_t p = 0; p < panels; p += call.gated ? 2 : 1) {
      float* up = call.gated ? scratch.c[p + 1][0] : nullptr;
      simd::FinishInteger<Vec>(call, block.row + row, rows, panel + p, scratch.c[p][0], up);
    }
  }
}

template <class F>
void Multiply(const GemmCall& call, int64_t panel_begin, int64_t panel_end, Scratch& scratch) {
  const simd::DigitBlocks blocks(call);
  for (int64_t panel = panel_begin; panel < panel_end; panel += kPanels) {
    const int64_t panels = Min(kPanels, panel_end - panel);
    for (int64_t b = 0; b < blocks.count; ++b) {
      const simd::DigitBlock block(call, blocks, b);
      if (call.digits.planes == 1) MultiplyBlock<F, 1>(call, block, panel, panels, scratch);
      if (call.digits.planes == 2) MultiplyBlock<F, 2>(call, block, panel, panels, scratch);
      if (call.digits.planes == 3) MultiplyBlock<F, 3>(call, block, panel, panels, scratch);
    }
  }
}

}  // namespace
}  // namespace atb::kernels::avx2
