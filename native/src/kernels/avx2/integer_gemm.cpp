#include "kernels/simd/integer_gemm.h"
#include "kernels/avx2/kernels.h"
#include "kernels/avx2/vec.h"

// Digits and weights are widened to 16 bits, four channels of four columns in a register. vpmaddwd adds pairs of
// products, which cannot overflow; so an accumulator holds two partial sums of each column.

namespace atb::kernels::avx2 {
namespace {

using simd::Min;

constexpr int64_t kPanels = kGemmStreams;
/// The most digit rows that are multiplied at once: each takes four accumulators of the 16 registers.
constexpr int kDigitRows = 3;
/// Channels of one step.
constexpr int64_t kStep = kGroupStep;
/// Steps of one panel after which the next panel is multiplied. Panels take turns, so that memory is read in several
/// streams.
constexpr int64_t kPieceSteps = 8;

/// The sums of a digit row and one panel.
struct PartialSums {
  __m256i columns[4];  ///< Register i holds two partial sums of each of columns 4 i .. 4 i + 3.
};

struct alignas(64) Scratch {
  PartialSums sums[kPanels][kDigitRows];
  int32_t totals[kPanels][kDigitRows][kPanelColumns];  ///< Sums over groups, each times its multiplier.
  float c[kPanels][kDigitRows][kPanelColumns];
  float scales[kPanels][kPanelColumns];
  int16_t x[kDigitRows][kPieceSteps * kStep];
};

// A format widens four columns of a line of a panel: kQuads registers with a quad of channels for each column. They are
// 2^kShift times the integers.
struct I8 {
  static constexpr WeightFormat kFormat = WeightFormat::kI8;
  static constexpr int kQuads = 1;
  static constexpr int kShift = 0;
  static void Load(const char* line, __m256i* quads) {
    quads[0] = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(line)));
  }
};

/// The int4 become 16 times as large: the lower halves of the bytes are shifted to the upper halves, then the upper
/// halves are taken as they are.
struct I4 {
  static constexpr WeightFormat kFormat = WeightFormat::kI4;
  static constexpr int kQuads = 2;
  static constexpr int kShift = 4;
  static void Load(const char* line, __m256i* quads) {
    const __m128i both = _mm_loadu_si128(reinterpret_cast<const __m128i*>(line));
    const __m128i upper = _mm_set1_epi8(-16);
    quads[0] = _mm256_cvtepi8_epi16(_mm_and_si128(_mm_slli_epi16(both, 4), upper));
    quads[1] = _mm256_cvtepi8_epi16(_mm_and_si128(both, upper));
  }
};

/// Twice the numbers of e2m1: a shuffle of bytes looks them up.
struct E2M1 {
  static constexpr WeightFormat kFormat = WeightFormat::kE2M1;
  static constexpr int kQuads = 2;
  static constexpr int kShift = 0;
  static void Load(const char* line, __m256i* quads) {
    const __m128i both = _mm_loadu_si128(reinterpret_cast<const __m128i*>(line));
    quads[0] = LookUp(both);
    quads[1] = LookUp(_mm_srli_epi16(both, 4));
  }

 private:
  static __m256i LookUp(__m128i codes) {
    const __m128i numbers = _mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);
    return _mm256_cvtepi8_epi16(_mm_shuffle_epi8(numbers, _mm_and_si128(codes, _mm_set1_epi8(0xF))));
  }
};

/// sums[t] += `steps` steps of a panel times the digits x[t].
template <class F, int T>
void Accumulate(const char* w, int64_t steps, const int16_t (*x)[kPieceSteps * kStep], PartialSums* sums) {
  constexpr int64_t kLineSteps = kStep / 4 / F::kQuads;
  constexpr int64_t kAhead = kPieceSteps * kLineSteps * 64;
  __m256i acc[T][4];
  for (int t = 0; t < T; ++t) {
    for (int i = 0; i < 4; ++i) acc[t][i] = sums[t].columns[i];
  }
  for (int64_t line = 0; line < steps * kLineSteps; ++line, w += 64) {
    __builtin_prefetch(w + kAhead);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      __m256i quads[F::kQuads];
      F::Load(w + i * 16, quads);
#pragma GCC unroll 2
      for (int q = 0; q < F::kQuads; ++q) {
#pragma GCC unroll 3
        for (int t = 0; t < T; ++t) {
          long long digits;
          memcpy(&digits, x[t] + (line * F::kQuads + q) * 4, sizeof digits);
          acc[t][i] = _mm256_add_epi32(acc[t][i], _mm256_madd_epi16(quads[q], _mm256_set1_epi64x(digits)));
        }
      }
    }
  }
  for (int t = 0; t < T; ++t) {
    for (int i = 0; i < 4; ++i) sums[t].columns[i] = acc[t][i];
  }
}

/// Sixteen int32.
struct Int32x16 {
  __m256i lo;
  __m256i hi;

  static __m256i* Half(int32_t* p, int i) { return reinterpret_cast<__m256i*>(p) + i; }
  static Int32x16 Load(int32_t* p) { return {_mm256_load_si256(Half(p, 0)), _mm256_load_si256(Half(p, 1))}; }
  void Store(int32_t* p) const {
    _mm256_store_si256(Half(p, 0), lo);
    _mm256_store_si256(Half(p, 1), hi);
  }
  Vec Floats() const { return {_mm256_cvtepi32_ps(lo), _mm256_cvtepi32_ps(hi)}; }
};

/// The sums of the eight columns of two registers, in order.
inline __m256i Columns(__m256i a, __m256i b) { return _mm256_permute4x64_epi64(_mm256_hadd_epi32(a, b), 0xD8); }

inline Int32x16 Columns(const PartialSums& sums) {
  return {Columns(sums.columns[0], sums.columns[1]), Columns(sums.columns[2], sums.columns[3])};
}

/// c[r] += scale * the numbers whose digits were summed, with what offsets add to panel `panel`.
template <class F, int Planes, int R, class Digit>
void AddScaled(Digit digit, Vec scale, const simd::GroupOffsets& offsets, int64_t panel, float (*c)[kPanelColumns]) {
  const Vec offset = offsets.offsets ? offsets.Factors<Vec>(panel, F::kFormat) : Vec::Zero();
  for (int r = 0; r < R; ++r) {
    Vec value = digit(r).Floats();
    for (int plane = 1; plane < Planes; ++plane) value = Fma(value, Vec::Set1(256.0f), digit(plane * R + r).Floats());
    if (offsets.offsets) value = Fma(offset, Vec::Set1(offsets.sums[r * offsets.row_stride]), value);
    Fma(value, scale, Vec::Load(c[r])).Store(c[r]);
  }
}

/// totals[t] += multipliers * the sums of a group, which are 2^kShift times too large.
template <int kShift, int T>
void AddMultiplied(const PartialSums* sums, const int8_t* multipliers, int32_t (*totals)[kPanelColumns]) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(multipliers));
  const __m256i lo = _mm256_cvtepi8_epi32(bytes);
  const __m256i hi = _mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8));
  for (int t = 0; t < T; ++t) {
    const Int32x16 group = Columns(sums[t]), total = Int32x16::Load(totals[t]);
    const Int32x16 sum{
        _mm256_add_epi32(total.lo, _mm256_mullo_epi32(_mm256_srai_epi32(group.lo, kShift), lo)),
        _mm256_add_epi32(total.hi, _mm256_mullo_epi32(_mm256_srai_epi32(group.hi, kShift), hi)),
    };
    sum.Store(totals[t]);
  }
}

inline void Widen(const int8_t* digits, int16_t* out) {
  for (int64_t i = 0; i < kStep; i += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(digits + i));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), _mm256_cvtepi8_epi16(bytes));
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
        Widen(line + (step + s) / 2 * block.tile_stride + (step + s) % 2 * kStep, scratch.x[t] + s * kStep);
    }
    const simd::GroupOffsets offsets(call, groups.count, group, panel, block.row + row);
    for (int64_t p = 0; p < panels; ++p) {
      const char* from = w + p * weight.panel_stride + step * (kStep / 4 / F::kQuads) * 64;
      Accumulate<F, T>(from, steps, scratch.x, scratch.sums[p]);
      if (step + steps < group_end) continue;
      PartialSums* const sums = scratch.sums[p];
      if (weight.multipliers) {
        const int64_t at = ((panel + p) * groups.count + group) * kPanelColumns;
        AddMultiplied<F::kShift, T>(sums, weight.multipliers + at, scratch.totals[p]);
      } else {
        const auto digit = [=](int t) { return Columns(sums[t]); };
        const Vec scale = scales.At<Vec>(p * scales.stride + group * kPanelColumns);
        AddScaled<F, Planes, R>(digit, scale, offsets, p, scratch.c[p]);
      }
      memset(sums, 0, sizeof(PartialSums) * T);
    }
    step += steps;
  }
  if (!weight.multipliers) return;
  const simd::GroupOffsets none(call, groups.count, 0, panel, block.row + row);
  for (int64_t p = 0; p < panels; ++p) {
    const auto digit = [&](int t) { return Int32x16::Load(scratch.totals[p][t]); };
    AddScaled<F, Planes, R>(digit, scales.At<Vec>(p * scales.stride), none, p, scratch.c[p]);
  }
}

template <class F, int Planes>
void MultiplyBlock(const GemmCall& call, const simd::DigitBlock& block, int64_t panel, int64_t panels,
                   Scratch& scratch) {
  constexpr int64_t kRows = kDigitRows / Planes;
  for (int64_t row = 0; row < block.rows; row += kRows) {
    const int64_t rows = Min(kRows, block.rows - row);
    memset(scratch.c, 0, sizeof scratch.c);
    memset(scratch.sums, 0, sizeof scratch.sums);
    memset(scratch.totals, 0, sizeof scratch.totals);
    if constexpr (Planes == 1) {
      if (rows == 3) MultiplyRows<F, 1, 3>(call, block, row, panel, panels, scratch);
      if (rows == 2) MultiplyRows<F, 1, 2>(call, block, row, panel, panels, scratch);
    }
    if (rows == 1) MultiplyRows<F, Planes, 1>(call, block, row, panel, panels, scratch);
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

static_assert(sizeof(Scratch) <= kGemmScratchBytes);

void IntegerGemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* memory) {
  Scratch& scratch = *static_cast<Scratch*>(memory);
  if (call.weight->format == WeightFormat::kI8) return Multiply<I8>(call, panel_begin, panel_end, scratch);
  if (call.weight->format == WeightFormat::kE2M1) return Multiply<E2M1>(call, panel_begin, panel_end, scratch);
  Multiply<I4>(call, panel_begin, panel_end, scratch);
}

}  // namespace atb::kernels::avx2
