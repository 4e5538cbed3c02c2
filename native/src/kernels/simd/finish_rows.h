#pragma once
// The loops over rows of an epilogue, for a vector type V. Included by one file of each instruction set. Everything has
// internal linkage; vec.h says why.
#include "kernels/simd/math.h"
#include "kernels/simd/row_finisher.h"

namespace atb::kernels::simd {
namespace {

/// The kinds of epilogue that have code of their own: others choose the function for each vector, which takes little
/// time beside computing it.
enum class EpilogueKind { kPlain, kSwiglu, kClamped, kOther };

/// One kind of epilogue, a RowFinisher.
template <class V, DType kOut, EpilogueKind kKind, bool kResidual>
void FinishRows(const GemmCall& call, int64_t rows, int64_t at, int64_t width, const PanelSums& sums) {
  const int64_t out_stride = call.out_stride;
  void* const out = call.out;
  const void* const residual = call.residual;
  const UnaryOp activation = call.activation;
  const bool gated = call.gated;
  const GateClamp clamp = call.clamp;
  const V bias = V::Load(sums.bias), up_bias = V::Load(sums.up_bias);
  const float *const c = sums.c, *const up = sums.up;
  const int64_t stride = sums.stride;
  const auto each = [=](int64_t n) __attribute__((always_inline)) {
    for (int64_t r = 0, i = at; r < rows; ++r, i += out_stride) {
      V value = V::Load(c + r * stride) + bias;
      if constexpr (kKind == EpilogueKind::kSwiglu) value = Swish(value, 1.0f);
      if constexpr (kKind == EpilogueKind::kOther) value = Activate(value, activation);
      if (kKind == EpilogueKind::kSwiglu || (kKind == EpilogueKind::kOther && gated))
        value = value * (V::Load(up + r * stride) + up_bias);
      if constexpr (kKind == EpilogueKind::kClamped)
        value = ClampedSwiglu(value, V::Load(up + r * stride) + up_bias, clamp);
      if constexpr (kResidual) value = value + LoadAs<V>(residual, kOut, i, n);
      StoreAs(value, out, kOut, i, n);
    }
  };
  // Whole panels get a loop of their own, which needs no masks.
  width == kLanes ? each(kLanes) : each(width);
}

template <class V, DType kOut, EpilogueKind kKind>
RowFinisher FinisherOfKind(const GemmCall& call) {
  return call.residual ? FinishRows<V, kOut, kKind, true> : FinishRows<V, kOut, kKind, false>;
}

template <class V, DType kOut>
RowFinisher FinisherAs(const GemmCall& call) {
  const bool swish = call.activation == UnaryOp::kSwish;
  if (call.gated && call.clamp.limit > 0) return FinisherOfKind<V, kOut, EpilogueKind::kClamped>(call);
  if (call.gated && swish) return FinisherOfKind<V, kOut, EpilogueKind::kSwiglu>(call);
  if (call.gated || call.activation != UnaryOp::kNone) return FinisherOfKind<V, kOut, EpilogueKind::kOther>(call);
  return FinisherOfKind<V, kOut, EpilogueKind::kPlain>(call);
}

/// The loop for a call.
template <class V>
RowFinisher FinisherFor(const GemmCall& call) {
  if (call.out_dtype == DType::kBF16) return FinisherAs<V, DType::kBF16>(call);
  if (call.out_dtype == DType::kF16) return FinisherAs<V, DType::kF16>(call);
  return FinisherAs<V, DType::kF32>(call);
}

}  // namespace
}  // namespace atb::kernels::simd
