#pragma once
// The epilogue of all products, for a vector type V. Everything has internal linkage; vec.h says why.
#include "kernels/pack.h"
#include "kernels/simd/math.h"
#include "kernels/simd/row_finisher.h"

namespace atb::kernels::simd {
namespace {

inline int64_t Min(int64_t a, int64_t b) { return a < b ? a : b; }

/// The epilogue of rows [row, row + rows) of a panel, some rows at a time: + bias, activation, times the next panel
/// where this one holds gates, + residual, rounded into the call's `out`. `c` holds the sums as f32 [rows][16], rows
/// c_stride floats apart; `up` holds those of the next panel in the same way. The loops over rows, finish_rows.h, are
/// many, and compiled once for each V: V::FinisherOf chooses among them.
template <class V>
class Epilogue {
 public:
  Epilogue() = default;
  Epilogue(const GemmCall& call, int64_t row, int64_t rows, int64_t panel, const float* c, const float* up,
           int64_t c_stride = kPanelColumns)
      : call_(&call),
        finish_(V::FinisherOf(call)),
        left_(rows),
        width_(PanelWidth(*call.weight, panel)),
        at_(row * call.out_stride + PanelRow(*call.weight, panel)),
        sums_{c, up, c_stride} {
    if (!call.bias) return;
    const PackedWeight& weight = *call.weight;
    LoadAs<V>(call.bias, call.bias_dtype, PanelRow(weight, panel), width_).Store(sums_.bias);
    if (call.gated) LoadAs<V>(call.bias, call.bias_dtype, PanelRow(weight, panel + 1), width_).Store(sums_.up_bias);
  }

  /// Rows that are left.
  int64_t left() const { return left_; }

  /// Finishes the next n rows.
  void Some(int64_t n) {
    finish_(*call_, n, at_, width_, sums_);
    left_ -= n;
    at_ += n * call_->out_stride;
    sums_.c += n * sums_.stride;
    if (sums_.up) sums_.up += n * sums_.stride;
  }

 private:
  const GemmCall* call_ = nullptr;
  RowFinisher finish_ = nullptr;
  int64_t left_ = 0;
  int64_t width_ = 0;
  int64_t at_ = 0;
  PanelSums sums_;
};

/// The epilogue of all these rows at once.
template <class V>
void Finish(const GemmCall& call, int64_t row, int64_t rows, int64_t panel, const float* c, const float* up,
            int64_t c_stride = kPanelColumns) {
  Epilogue<V>(call, row, rows, panel, c, up, c_stride).Some(rows);
}

}  // namespace
}  // namespace atb::kernels::simd
