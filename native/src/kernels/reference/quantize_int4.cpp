#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "kernels/reference/kernels.h"

namespace atb::kernels::reference {
namespace {

/// A sum of errors is kept in 16 parts, as vectors keep it, and the parts are added in pairs: so all tables round
/// alike, and choose the same multipliers.
constexpr int64_t kLanes = 16;
constexpr float kTinyWeight = 0x1p-100f;
constexpr float kExtremes[] = {-8.0f, -9.0f, 7.0f};
constexpr float kLargestMultiplier = 15.0f;

float ToInt4(float x, float inverse) { return std::clamp(std::nearbyint(x * inverse), -8.0f, 7.0f); }

float SquareError(const float* x, int64_t n, float scale) {
  const float inverse = 1 / scale;
  float sums[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) {
    const float error = std::fma(-ToInt4(x[i], inverse), scale, x[i]);
    sums[i % kLanes] = std::fma(error, error, sums[i % kLanes]);
  }
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t i = 0; i < half; ++i) sums[i] += sums[i + half];
  }
  return sums[0];
}

float BestMultiplier(const float* x, int64_t n, float scale) {
  const float high = std::max(0.0f, *std::max_element(x, x + n)), low = std::min(0.0f, *std::min_element(x, x + n));
  const float extreme = (-low >= high ? low : high) / scale;
  if (extreme == 0) return 0;
  float best = 0, least = 0;
  for (float end : kExtremes) {
    float m = std::nearbyint(extreme / end);
    if (m == 0) m = extreme / end < 0 ? -1.0f : 1.0f;
    m = std::clamp(m, -kLargestMultiplier, kLargestMultiplier);
    if (m == best) continue;
    const float error = SquareError(x, n, m * scale);
    if (best == 0 || error < least) {
      best = m;
      least = error;
    }
  }
  return best;
}

}  // namespace

float QuantizeInt4(const float* x, int64_t k, int64_t group, int8_t* out, int8_t* multipliers) {
  float max = 0;
  bool finite = true;
  for (int64_t i = 0; i < k; ++i) {
    finite = finite && std::isfinite(x[i]);
    max = std::fmax(max, std::fabs(x[i]));
  }
  const bool empty = !finite || max < kTinyWeight;
  const float scale = std::bit_cast<float>(std::bit_cast<uint32_t>(max / (8 * kLargestMultiplier)) & ~0xFu);
  for (int64_t first = 0; first < k; first += group) {
    const int64_t n = std::min(group, k - first);
    const float m = empty ? 0 : BestMultiplier(x + first, n, scale);
    multipliers[first / group] = static_cast<int8_t>(m);
    const float inverse = m == 0 ? 0 : 1 / (m * scale);
    for (int64_t i = first; i < first + n; ++i) out[i] = empty ? int8_t{0} : static_cast<int8_t>(ToInt4(x[i], inverse));
  }
  return !finite ? std::numeric_limits<float>::quiet_NaN() : empty ? 0 : scale;
}

}  // namespace atb::kernels::reference
