#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/pack_integers.h"

namespace atb::kernels {
namespace {

/// What the number of largest magnitude may become: the whole range with its sign, or some of the others clipped less
/// or more finely. These four come within 5 % of the least square error over all scales, for normal weights and groups
/// of 32 to 128; the first alone is 12 % above it.
constexpr float kExtremes[] = {-8.0f, 7.0f, -9.0f, 9.0f};

/// Smaller numbers are taken for zero, so that their reciprocals stay finite.
constexpr float kTiny = 0x1p-100f;

/// Sums that the compiler may keep side by side in vector registers.
constexpr int64_t kLanes = 8;

/// Adding this rounds a float of magnitude below 2^22 to the nearest whole number, ties to even.
constexpr float kRound = 0x1.8p23f;

float ToInt4(float x) { return (std::min(std::max(x, -8.0f), 7.0f) + kRound) - kRound; }

float SquareError(const float* values, int64_t n, float scale, float inverse) {
  float sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j) {
      const float e = values[i + j] - ToInt4(values[i + j] * inverse) * scale;
      sums[j] += e * e;
    }
  }
  for (; i < n; ++i) {
    const float e = values[i] - ToInt4(values[i] * inverse) * scale;
    sums[0] += e * e;
  }
  float sum = 0;
  for (float s : sums) sum += s;
  return sum;
}

}  // namespace

float QuantizeInt4(const float* values, int64_t n, int8_t* out) {
  std::memset(out, 0, static_cast<size_t>(n));
  // Magnitudes compare as their bits do; infinities and NaN are above all numbers.
  uint32_t largest = 0;
  for (int64_t i = 0; i < n; ++i) largest = std::max(largest, std::bit_cast<uint32_t>(values[i]) & 0x7FFFFFFFu);
  const float magnitude = std::bit_cast<float>(largest);
  if (!std::isfinite(magnitude)) return std::numeric_limits<float>::quiet_NaN();
  if (magnitude < kTiny) return 0;
  bool negative = false;
  for (int64_t i = 0; i < n; ++i) negative |= values[i] == -magnitude;
  const float extreme = negative ? -magnitude : magnitude;

  float best = std::numeric_limits<float>::infinity();
  float scale = 0, inverse = 0;
  for (float as : kExtremes) {
    const float s = extreme / as, i = as / extreme;
    const float error = SquareError(values, n, s, i);
    // Errors of huge numbers overflow: the first scale then stays.
    if (scale != 0 && !(error < best)) continue;
    best = error;
    scale = s;
    inverse = i;
  }
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<int8_t>(ToInt4(values[i] * inverse));
  return scale;
}

}  // namespace atb::kernels
