#pragma once
// Products with packed weights of floats, and the epilogue of all products, for a vector type V. Everything has
// internal linkage; vec.h says why.
#include <string.h>

#include "kernels/kernel_table.h"
#include "kernels/pack.h"
#include "kernels/simd/math.h"

namespace atb::kernels::simd {
namespace {

inline int64_t Min(int64_t a, int64_t b) { return a < b ? a : b; }

/// The sums of one panel, and where they are gates those of the next panel, `up`: f32 [rows][16], rows `stride` floats
/// apart.
template <class V>
struct PanelSums {
  const float* c;
  const float* up;
  int64_t stride;
  V bias;
  V up_bias;
};

/// The kinds of epilogue that have code of their own: others choose the function for each vector, which takes little
/// time beside computing it.
enum class EpilogueKind { kPlain, kSwiglu, kClamped, kOther };

/// One kind of epilogue: writes `width` columns of row r to element at + r * out_stride of the result.
template <class V, DType kOut, EpilogueKind kKind, bool kResidual>
void FinishRows(const GemmCall& call, int64_t rows, int64_t at, int64_t width, const PanelSums<V>& sums) {
  const int64_t out_stride = call.out_stride;
  void* const out = call.out;
  const void* const residual = call.residual;
  const UnaryOp activation = call.activation;
  const bool gated = call.gated;
  const GateClamp clamp = call.clamp;
  const auto each = [=](int64_t n) __attribute__((always_inline)) {
    for (int64_t r = 0, i = at; r < rows; ++r, i += out_stride) {
      V value = V::Load(sums.c + r * sums.stride) + sums.bias;
      if constexpr (kKind == EpilogueKind::kSwiglu) value = Swish(value, 1.0f);
      if constexpr (kKind == EpilogueKind::kOther) value = Activate(value, activation);
      if (kKind == EpilogueKind::kSwiglu || (kKind == EpilogueKind::kOther && gated))
        value = value * (V::Load(sums.up + r * sums.stride) + sums.up_bias);
      if constexpr (kKind == EpilogueKind::kClamped)
        value = ClampedSwiglu(value, V::Load(sums.up + r * sums.stride) + sums.up_bias, clamp);
      if constexpr (kResidual) value = value + LoadAs<V>(residual, kOut, i, n);
      StoreAs(value, out, kOut, i, n);
    }
  };
  // Whole panels get a loop of their own, which needs no masks.
  width == kLanes ? each(kLanes) : each(width);
}

template <class V>
using RowFinisher = void (*)(const GemmCall& call, int64_t rows, int64_t at, int64_t width, const PanelSums<V>& sums);

template <class V, DType kOut, EpilogueKind kKind>
RowFinisher<V> FinisherOfKind(const GemmCall& call) {
  return call.residual ? FinishRows<V, kOut, kKind, true> : FinishRows<V, kOut, kKind, false>;
}

template <class V, DType kOut>
RowFinisher<V> FinisherAs(const GemmCall& call) {
  const bool swish = call.activation == UnaryOp::kSwish;
  if (call.gated && call.clamp.limit > 0) return FinisherOfKind<V, kOut, EpilogueKind::kClamped>(call);
  if (call.gated && swish) return FinisherOfKind<V, kOut, EpilogueKind::kSwiglu>(call);
  if (call.gated || call.activation != UnaryOp::kNone) return FinisherOfKind<V, kOut, EpilogueKind::kOther>(call);
  return FinisherOfKind<V, kOut, EpilogueKind::kPlain>(call);
}

template <class V>
RowFinisher<V> FinisherOf(const GemmCall& call) {
  if (call.out_dtype == DType::kBF16) return FinisherAs<V, DType::kBF16>(call);
  if (call.out_dtype == DType::kF16) return FinisherAs<V, DType::kF16>(call);
  return FinisherAs<V, DType::kF32>(call);
}

/// The epilogue of rows [row, row + rows) of a panel, some rows at a time: + bias, activation, times the next panel
/// where this one holds gates, + residual, rounded into the call's `out`. `c` holds the sums as f32 [rows][16], rows
/// c_stride floats apart; `up` holds those of the next panel in the same way.
template <class V>
class Epilogue {
 public:
  Epilogue() = default;
  Epilogue(const GemmCall& call, int64_t row, int64_t rows, int64_t panel, const float* c, const float* up,
           int64_t c_stride = kPanelColumns)
      : call_(&call),
        finish_(FinisherOf<V>(call)),
        left_(rows),
        width_(PanelWidth(*call.weight, panel)),
        at_(row * call.out_stride + PanelRow(*call.weight, panel)),
        sums_{c, up, c_stride, V::Zero(), V::Zero()} {
    const PackedWeight& weight = *call.weight;
    if (call.bias) sums_.bias = LoadAs<V>(call.bias, call.bias_dtype, PanelRow(weight, panel), width_);
    if (call.bias && call.gated)
      sums_.up_bias = LoadAs<V>(call.bias, call.bias_dtype, PanelRow(weight, panel + 1), width_);
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
  RowFinisher<V> finish_ = nullptr;
  int64_t left_ = 0;
  int64_t width_ = 0;
  int64_t at_ = 0;
  PanelSums<V> sums_{};
};

/// The epilogue of all these rows at once.
template <class V>
void Finish(const GemmCall& call, int64_t row, int64_t rows, int64_t panel, const float* c, const float* up,
            int64_t c_stride = kPanelColumns) {
  Epilogue<V>(call, row, rows, panel, c, up, c_stride).Some(rows);
}

/// Input channels that one pass over the panels multiplies. The activations of so few channels (6 KB of f32) stay in L1
/// while the panels go by, and they are converted this many at a time to what a format multiplies.
constexpr int64_t kChannels = 256;
/// The most rows and the most panels whose sums are in registers at once: never all of both, see V::kAccumulators.
constexpr int64_t kRows = 6;
constexpr int64_t kPanels = 8;
/// How far ahead of its reader each panel is fetched. Without fetching a single row reaches 3/4 of the bandwidth.
constexpr int64_t kPrefetchBytes = 1024;

struct GemmScratch {
  float c[kPanels][kRows][kPanelColumns];
  float x[kRows][kChannels];
};

// A format says how one step multiplies: kStep input channels, which take kBytes of a panel and kXBytes of an
// activation row. Direct() says whether activations are used where they lie; if not, Convert() puts them into the
// scratch first.

template <class V>
struct F32Format {
  static constexpr int64_t kStep = 1;
  static constexpr int64_t kBytes = 64;
  static constexpr int64_t kXBytes = 4;
  using Weights = V;
  static Weights Load(const char* w) { return V::Load(reinterpret_cast<const float*>(w)); }
  static V MulAdd(V acc, Weights w, const char* x) {
    float value;
    memcpy(&value, x, sizeof value);
    return Fma(V::Set1(value), w, acc);
  }
  static bool Direct(int64_t) { return true; }
  static void Convert(const char*, int64_t, float*) {}
};

template <class V>
struct F16Format : F32Format<V> {
  static constexpr int64_t kBytes = 32;
  static V Load(const char* w) { return V::LoadF16(reinterpret_cast<const uint16_t*>(w)); }
  static bool Direct(int64_t) { return false; }
  static void Convert(const char* x, int64_t channels, float* out) {
    for (int64_t i = 0; i < channels; i += kLanes) {
      const int64_t n = Min(kLanes, channels - i);
      StoreAs(LoadAs<V>(x, DType::kF16, i, n), out, DType::kF32, i, n);
    }
  }
};

/// c[p][r] += x[r] * panel p over `steps` steps. Whatever R and P are, each output is one chain of sums in the order of
/// the channels.
template <class V, class F, int R, int P>
void Accumulate(const char* x, int64_t x_bytes, const char* w, int64_t panel_stride, int64_t steps,
                float (*c)[kRows][kPanelColumns]) {
  V acc[P][R];
  for (int p = 0; p < P; ++p) {
    for (int r = 0; r < R; ++r) acc[p][r] = V::Load(c[p][r]);
  }
  for (int64_t s = 0; s < steps; ++s) {
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) {
      const char* at = w + p * panel_stride;
      const typename F::Weights weights = F::Load(at);
      __builtin_prefetch(at + kPrefetchBytes);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) acc[p][r] = F::MulAdd(acc[p][r], weights, x + r * x_bytes);
    }
    x += F::kXBytes;
    w += F::kBytes;
  }
  for (int p = 0; p < P; ++p) {
    for (int r = 0; r < R; ++r) acc[p][r].Store(c[p][r]);
  }
}

/// Accumulate for `panels` panels, as many at once as the registers hold.
template <class V, class F, int R, int P>
void AccumulatePanels(const char* x, int64_t x_bytes, const char* w, int64_t panel_stride, int64_t steps,
                      int64_t panels, float (*c)[kRows][kPanelColumns]) {
  if constexpr (R * P <= V::kAccumulators || P == 1) {
    for (; panels >= P; panels -= P, w += P * panel_stride, c += P) {
      Accumulate<V, F, R, P>(x, x_bytes, w, panel_stride, steps, c);
    }
  }
  if constexpr (P > 1) {
    if (panels > 0) AccumulatePanels<V, F, R, P / 2>(x, x_bytes, w, panel_stride, steps, panels, c);
  }
}

/// AccumulatePanels for a number of rows that is known when the program runs.
template <class V, class F>
void AccumulateRows(int64_t rows, const char* x, int64_t x_bytes, const char* w, int64_t panel_stride, int64_t steps,
                    int64_t panels, float (*c)[kRows][kPanelColumns]) {
  switch (rows) {
    case 1:
      return AccumulatePanels<V, F, 1, kPanels>(x, x_bytes, w, panel_stride, steps, panels, c);
    case 2:
      return AccumulatePanels<V, F, 2, kPanels>(x, x_bytes, w, panel_stride, steps, panels, c);
    case 3:
      return AccumulatePanels<V, F, 3, kPanels>(x, x_bytes, w, panel_stride, steps, panels, c);
    case 4:
      return AccumulatePanels<V, F, 4, kPanels>(x, x_bytes, w, panel_stride, steps, panels, c);
    case 5:
      return AccumulatePanels<V, F, 5, kPanels>(x, x_bytes, w, panel_stride, steps, panels, c);
    default:
      return AccumulatePanels<V, F, 6, kPanels>(x, x_bytes, w, panel_stride, steps, panels, c);
  }
}

/// KernelTable::gemm for one format. Panels go outermost, eight at a time, and stay in L2 while all rows pass by.
template <class V, class F>
void Gemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, int64_t x_size, GemmScratch& scratch) {
  const PackedWeight& weight = *call.weight;
  const int64_t x_stride = call.x_stride * x_size;
  for (int64_t panel = panel_begin; panel < panel_end; panel += kPanels) {
    const int64_t panels = Min(kPanels, panel_end - panel);
    for (int64_t row = 0; row < call.m; row += kRows) {
      const int64_t rows = Min(kRows, call.m - row);
      memset(scratch.c, 0, sizeof scratch.c);
      for (int64_t k = 0; k < weight.k; k += kChannels) {
        const int64_t channels = Min(kChannels, weight.k - k);
        const char* x = static_cast<const char*>(call.x) + row * x_stride + k * x_size;
        int64_t x_bytes = x_stride;
        if (!F::Direct(channels)) {
          for (int64_t r = 0; r < rows; ++r) F::Convert(x + r * x_stride, channels, scratch.x[r]);
          x = reinterpret_cast<const char*>(scratch.x);
          x_bytes = sizeof scratch.x[0];
        }
        const char* w = static_cast<const char*>(weight.data) + panel * weight.panel_stride + k / F::kStep * F::kBytes;
        const int64_t steps = (channels + F::kStep - 1) / F::kStep;
        AccumulateRows<V, F>(rows, x, x_bytes, w, weight.panel_stride, steps, panels, scratch.c);
      }
      for (int64_t p = 0; p < panels; p += call.gated ? 2 : 1) {
        const float* up = call.gated ? scratch.c[p + 1][0] : nullptr;
        Finish<V>(call, row, rows, panel + p, scratch.c[p][0], up);
      }
    }
  }
}

}  // namespace
}  // namespace atb::kernels::simd
