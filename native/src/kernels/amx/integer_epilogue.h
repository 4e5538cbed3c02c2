#pragma once
// What becomes of the sums that tiles leave behind. Included by integer_gemm.cpp alone; everything has internal
// linkage.
#include "kernels/amx/integer_plan.h"
#include "kernels/avx512/integers.h"

namespace atb::kernels::amx {
namespace {

using avx512::Vec;

/// Sums of a digit block and one panel: int32 for each digit row; or, in the same place, f32 for each activation row,
/// when the digits have been joined.
using DigitSums = int32_t[kBlockDigitRows][kPanelColumns];

/// The epilogue of some digit blocks and a pair of panels. It is done while the next tiles are multiplied, some rows at
/// each step, where it takes hardly any time: tiles wait for tiles, or for memory.
class DeferredIntegerEpilogue {
 public:
  DeferredIntegerEpilogue(const GemmCall& call, const simd::DigitBlocks& blocks) : call_(call), blocks_(blocks) {}

  /// Takes the complete sums of blocks [first, last), two panels for each block. Nothing of an earlier call may be
  /// left. `scales` are those of the panels, [2][16].
  void Start(int64_t first, int64_t last, int64_t panel, int64_t panels, const float* scales, DigitSums (*sums)[2]) {
    block_ = first;
    row_ = 0;
    rows_left_ = Min(last * blocks_.rows, call_.m) - first * blocks_.rows;
    panel_ = panel;
    panels_ = panels;
    scales_ = simd::HasOneScale(*call_.weight) ? scales : nullptr;
    sums_ = sums;
  }

  int64_t rows_left() const { return rows_left_; }

  /// Scales and rounds up to `most` rows more; it stops at the end of a block.
  __attribute__((noinline)) void Finish(int64_t most) {
    if (row_ == 0) StartBlock();
    const int64_t first = row_, rows = Min(most, block_rows_ - first);
    rows_left_ -= rows;
    for (int64_t p = 0; p < panels_; ++p) {
      if (!scales_) {
        simd::TakeMinimums<Vec>(call_, block_row_ + first, rows, panel_ + p, Values(p, first));
        simd::ScaleRows<Vec>(call_, block_row_ + first, rows, Values(p, first));
      } else if (call_.digits.planes == 1) {
        JoinAndScale<1>(p, first, rows);
      } else if (call_.digits.planes == 2) {
        JoinAndScale<2>(p, first, rows);
      } else {
        JoinAndScale<3>(p, first, rows);
      }
    }
    finish_[0].Some(rows);
    if (panels_ == 2 && !call_.gated) finish_[1].Some(rows);
    row_ += rows;
    if (row_ < block_rows_) return;
    row_ = 0;
    ++block_;
    ++sums_;
  }

  void FinishAll() {
    while (rows_left() > 0) Finish(rows_left());
  }

 private:
  float* Values(int64_t panel, int64_t row) { return reinterpret_cast<float*>((*sums_)[panel][row]); }

  void StartBlock() {
    const simd::DigitBlock block(call_, blocks_, block_);
    block_row_ = block.row;
    block_rows_ = block.rows;
    finish_[0] = {call_, block.row, block.rows, panel_, Values(0, 0), call_.gated ? Values(1, 0) : nullptr};
    if (panels_ == 2 && !call_.gated) finish_[1] = {call_, block.row, block.rows, panel_ + 1, Values(1, 0), nullptr};
  }

  /// Works in place: the number of a row is written after its digits have been read, and no later row needs that place.
  template <int Planes>
  void JoinAndScale(int64_t panel, int64_t first, int64_t rows) {
    const Vec scale = Vec::Load(scales_ + panel * kPanelColumns);
    const float factor = simd::FormatFactor(*call_.weight);
    const simd::GroupOffsets offsets(call_, 1, 0, panel_ + panel, block_row_);
    const bool has_offsets = offsets.offsets != nullptr;
    const Vec offset = has_offsets ? offsets.Factors<Vec>(0) : Vec::Zero();
    for (int64_t r = first; r < first + rows; ++r) {
      __m512i digits[Planes];
      for (int plane = 0; plane < Planes; ++plane)
        digits[plane] = _mm512_load_si512((*sums_)[panel][plane * block_rows_ + r]);
      Vec sum = avx512::Join<Planes>(digits);
      if (has_offsets) sum = Fma(offset, Vec::Set1(offsets.sums[r]), sum);
      const Vec value = Fma(sum, scale, Vec::Zero());
      (value * Vec::Set1(call_.digits.scales[block_row_ + r] * factor)).Store(Values(panel, r));
    }
  }

  const GemmCall& call_;
  const simd::DigitBlocks& blocks_;
  int64_t block_ = 0;
  int64_t block_row_ = 0;   ///< The block's first row.
  int64_t block_rows_ = 0;  ///< And how many it has.
  int64_t row_ = 0;         ///< Of the block.
  int64_t rows_left_ = 0;
  int64_t panel_ = 0;
  int64_t panels_ = 0;
  const float* scales_ = nullptr;  ///< Null where each group has its scale: its sums are f32 and scaled already.
  DigitSums (*sums_)[2] = nullptr;
  simd::Epilogue<Vec> finish_[2];  ///< Of the block and either panel.
};

}  // namespace
}  // namespace atb::kernels::amx
