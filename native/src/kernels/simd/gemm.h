#pragma once
// Products with packed weights of floats, for a vector type V. Everything has internal linkage; vec.h says why.
#include <string.h>

#include "kernels/simd/epilogue.h"

namespace atb::kernels::simd {
namespace {

/// Input channels that one pass over the panels multiplies. The activations of so few channels (6 KB of f32) stay in L1
/// while the panels go by, and they are converted this many at a time to what a format multiplies.
constexpr int64_t kChannels = 256;
/// The most rows and the most panels whose sums are in registers at once: never all of both, see V::kAccumulators.
constexpr int64_t kRows = 8;
/// Of formats that widen what they multiply, which takes registers, too.
constexpr int64_t kUsualRows = 6;
constexpr int64_t kPanels = 8;
/// Panels of so few rows are read from their beginning to their end, and only so many side by side: memory gives them
/// faster than eight of which pieces are read in turns.
constexpr int64_t kFewRows = 32;
constexpr int kFewPanels = 4;
/// How far ahead of its reader each panel is fetched. Without fetching a single row reaches 3/4 of the bandwidth.
constexpr int64_t kPrefetchBytes = 1024;

struct GemmScratch {
  float c[kPanels][kRows][kPanelColumns];
  float x[kRows][kChannels];
};

// A format says how one step multiplies: kStep input channels, which take kBytes of a panel and kXBytes of an
// activation row. Direct() says whether activations are used where they lie; if not, Convert() puts them into the
// scratch first. Where a step's weights as Load() gives them would not fit the registers, MulRows() multiplies all rows
// instead of MulAdd(). kAccumulators are those that fit beside its weights, where they are fewer than V's; kStreams the
// panels of a single row, where another number than V's is fastest; kMostRows the most rows at once, where they are
// more than the usual.

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

/// Pairs of bf16, widened to f32 and multiplied with activations in f32.
template <class V>
struct WidenedBF16Format {
  static constexpr int64_t kStep = 2;
  static constexpr int64_t kBytes = 64;
  static constexpr int64_t kXBytes = 8;
  struct Weights {
    V even;
    V odd;
  };
  static Weights Load(const char* w) { return {V::LoadEven(w), V::LoadOdd(w)}; }
  static V MulAdd(V acc, const Weights& w, const char* x) {
    const float* pair = reinterpret_cast<const float*>(x);
    return Fma(V::Set1(pair[1]), w.odd, Fma(V::Set1(pair[0]), w.even, acc));
  }
  static bool Direct(int64_t) { return false; }
  static void Convert(const char* x, int64_t channels, float* out) {
    for (int64_t i = 0; i < channels; i += kLanes) {
      // A part's other lanes are zeros, which pads an odd number of channels.
      const int64_t n = Min(kLanes, channels - i);
      LoadAs<V>(x, DType::kBF16, i, n).Store(out + i);
    }
  }
};

/// Accumulators of type V that fit the register file beside what a format needs.
template <class V, class F>
constexpr int AccumulatorsOf() {
  if constexpr (requires { F::kAccumulators; }) return F::kAccumulators;
  return V::kAccumulators;
}
/// The most rows that are multiplied at once.
template <class V, class F>
constexpr int RowsOf() {
  int64_t most = kUsualRows;
  if constexpr (requires { F::kMostRows; }) most = F::kMostRows;
  return AccumulatorsOf<V, F>() < most ? AccumulatorsOf<V, F>() : most;
}

/// Panels that are read side by side for one row.
template <class V, class F>
constexpr int StreamsOf() {
  if constexpr (requires { F::kStreams; }) return F::kStreams;
  return V::kStreams;
}

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
      if constexpr (requires { F::template MulRows<R>(acc[p], at, x, x_bytes); }) {
        __builtin_prefetch(at + kPrefetchBytes);
        F::template MulRows<R>(acc[p], at, x, x_bytes);
      } else {
        const typename F::Weights weights = F::Load(at);
        __builtin_prefetch(at + kPrefetchBytes);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) acc[p][r] = F::MulAdd(acc[p][r], weights, x + r * x_bytes);
      }
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
  if constexpr (R * P <= AccumulatorsOf<V, F>() || P == 1) {
    for (; panels >= P; panels -= P, w += P * panel_stride, c += P) {
      Accumulate<V, F, R, P>(x, x_bytes, w, panel_stride, steps, c);
    }
  }
  if constexpr (P > 1) {
    constexpr int kFewer = P == 4 ? 3 : (P + 1) / 2;
    if (panels > 0) AccumulatePanels<V, F, R, kFewer>(x, x_bytes, w, panel_stride, steps, panels, c);
  }
}

/// AccumulatePanels for a number of rows that is known when the program runs. kWide: panels side by side of two rows
/// and more.
template <class V, class F, int kWide = kPanels>
void AccumulateRows(int64_t rows, const char* x, int64_t x_bytes, const char* w, int64_t panel_stride, int64_t steps,
                    int64_t panels, float (*c)[kRows][kPanelColumns]) {
  constexpr int kMost = RowsOf<V, F>();
  switch (rows) {
    case 1:
      return AccumulatePanels<V, F, 1, StreamsOf<V, F>()>(x, x_bytes, w, panel_stride, steps, panels, c);
    case 2:
      return AccumulatePanels<V, F, 2, kWide>(x, x_bytes, w, panel_stride, steps, panels, c);
    case 3:
      return AccumulatePanels<V, F, 3, kWide>(x, x_bytes, w, panel_stride, steps, panels, c);
    case 4:
      return AccumulatePanels<V, F, 4, kWide>(x, x_bytes, w, panel_stride, steps, panels, c);
    case 5:
      return AccumulatePanels<V, F, kMost < 5 ? kMost : 5, kWide>(x, x_bytes, w, panel_stride, steps, panels, c);
    case 6:
      return AccumulatePanels<V, F, kMost < 6 ? kMost : 6, kWide>(x, x_bytes, w, panel_stride, steps, panels, c);
    case 7:
      return AccumulatePanels<V, F, kMost < 7 ? kMost : 7, kWide>(x, x_bytes, w, panel_stride, steps, panels, c);
    default:
      return AccumulatePanels<V, F, kMost, kWide>(x, x_bytes, w, panel_stride, steps, panels, c);
  }
}

/// KernelTable::gemm for one format. Panels go outermost, eight at a time, and stay in L2 while all rows pass by, a
/// piece of their channels at a time where rows are many.
template <class V, class F>
void Gemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, int64_t x_size, GemmScratch& scratch) {
  const PackedWeight& weight = *call.weight;
  const int64_t x_stride = call.x_stride * x_size;
  // Of few rows as many each time, where nothing is widened anew each time, rather than few in the end.
  constexpr int64_t kMost = RowsOf<V, F>();
  const int64_t times = (call.m + kMost - 1) / kMost, evenly = (call.m + times - 1) / times;
  const int64_t at_once = kMost <= kUsualRows ? kMost : call.m <= kFewRows ? evenly : kUsualRows;
  for (int64_t panel = panel_begin; panel < panel_end; panel += kPanels) {
    const int64_t panels = Min(kPanels, panel_end - panel);
    for (int64_t row = 0; row < call.m; row += at_once) {
      const int64_t rows = Min(at_once, call.m - row);
      memset(scratch.c, 0, sizeof scratch.c);
      const bool whole = call.m <= kFewRows && F::Direct(weight.k);
      const int64_t most = whole ? weight.k : kChannels;
      for (int64_t k = 0; k < weight.k; k += most) {
        const int64_t channels = Min(most, weight.k - k);
        const char* x = static_cast<const char*>(call.x) + row * x_stride + k * x_size;
        int64_t x_bytes = x_stride;
        if (!F::Direct(channels)) {
          for (int64_t r = 0; r < rows; ++r) F::Convert(x + r * x_stride, channels, scratch.x[r]);
          x = reinterpret_cast<const char*>(scratch.x);
          x_bytes = sizeof scratch.x[0];
        }
        const char* w = static_cast<const char*>(weight.data) + panel * weight.panel_stride + k / F::kStep * F::kBytes;
        const int64_t steps = (channels + F::kStep - 1) / F::kStep;
        if (whole)
          AccumulateRows<V, F, kFewPanels>(rows, x, x_bytes, w, weight.panel_stride, steps, panels, scratch.c);
        else
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
