#include "sampling/row.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace atb {
namespace {

// Loops run over this many independent accumulators, which compilers turn into vector registers of any width without
// having to reorder a sum.
constexpr int64_t kLanes = 16;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Below this, exp counts as 0.
constexpr float kSmallest = -87.0f;

float ClampExponent(float x) { return x < kSmallest ? kSmallest : x; }

/// exp(x) for x in [kSmallest, 0], which a separate loop has clamped: in one loop the clamp would become a branch
/// around all of this, and the loop scalar.
inline float ExpClamped(float x) {
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, which its low bits then hold.
  const float shifted = x * 1.44269504f + kRound;
  const float n = shifted - kRound;
  const float r = x - n * 0.693359375f + n * 2.12194440e-4f;  // ln 2 in two parts, as in Cephes' expf.
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const int32_t exponent = std::bit_cast<int32_t>(shifted) - std::bit_cast<int32_t>(kRound) + 127;
  const float scaled = p * std::bit_cast<float>(exponent << 23);
  return std::bit_cast<float>(std::bit_cast<int32_t>(scaled) & -static_cast<int32_t>(x > kSmallest));
}

/// The sum of `n` numbers, always in the same order.
float Sum(const float* x, int64_t n) {
  std::array<float, kLanes> lanes{};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j) lanes[j] += x[i + j];
  }
  for (; i < n; ++i) lanes[0] += x[i];
  float sum = 0;
  for (float lane : lanes) sum += lane;
  return sum;
}

/// out[i] = exp((x[i] - max) / temperature). Returns the sum.
float ExpBlock(const float* x, int64_t n, float max, float temperature, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = ClampExponent((x[i] - max) / temperature);
  for (int64_t i = 0; i < n; ++i) out[i] = ExpClamped(out[i]);
  return Sum(out, n);
}

/// Calls f(begin, end) for each block.
template <typename F>
void ForBlocks(int64_t size, F&& f) {
  for (int64_t begin = 0; begin < size; begin += kRowBlock) f(begin, std::min(begin + kRowBlock, size));
}

}  // namespace

float ExpNonPositive(float x) { return ExpClamped(ClampExponent(x)); }

float Maxima(const RowWork& work, std::span<const float> row, std::vector<float>& block_max) {
  const auto size = static_cast<int64_t>(row.size());
  block_max.resize(static_cast<size_t>(RowBlocks(size)));
  work.ForPieces(size, [&](int64_t begin, int64_t end) {
    work.kernels.block_maxima(row.data() + begin, end - begin, block_max.data() + begin / kRowBlock);
  });
  float max = -kInfinity;
  for (float block : block_max) {
    if (std::isnan(block)) return block;
    max = std::max(max, block);
  }
  return max;
}

void TopK(std::span<const float> row, std::span<const float> block_max, int64_t k, std::vector<Candidate>& top) {
  const auto size = static_cast<int64_t>(row.size());
  const auto blocks = static_cast<int64_t>(block_max.size());
  k = std::min(k, size);
  top.clear();
  if (k <= 0) return;
  // The k-th largest block maximum is a bound that at least k logits reach, and only blocks that reach it matter.
  float bound = -kInfinity;
  if (k < blocks) {
    for (int64_t b = 0; b < blocks; ++b) top.push_back({block_max[static_cast<size_t>(b)], 0});
    const auto nth = top.begin() + (k - 1);
    std::nth_element(top.begin(), nth, top.end(),
                     [](const Candidate& a, const Candidate& b) { return a.value > b.value; });
    bound = nth->value;
    top.clear();
  }
  ForBlocks(size, [&](int64_t begin, int64_t end) {
    if (block_max[static_cast<size_t>(begin / kRowBlock)] < bound) return;
    for (int64_t i = begin; i < end; ++i) {
      if (row[static_cast<size_t>(i)] >= bound) top.push_back({row[static_cast<size_t>(i)], static_cast<int32_t>(i)});
    }
  });
  std::nth_element(top.begin(), top.begin() + (k - 1), top.end(), Before);
  top.resize(static_cast<size_t>(k));
  std::sort(top.begin(), top.end(), Before);
}

double Masses(const RowWork& work, std::span<const float> row, float max, float temperature, float* mass,
              std::vector<double>& block_sums) {
  const auto size = static_cast<int64_t>(row.size());
  block_sums.resize(static_cast<size_t>(RowBlocks(size)));
  work.ForPieces(size, [&](int64_t first, int64_t last) {
    for (int64_t begin = first; begin < last; begin += kRowBlock) {
      const int64_t n = std::min(kRowBlock, last - begin);
      block_sums[static_cast<size_t>(begin / kRowBlock)] =
          ExpBlock(row.data() + begin, n, max, temperature, mass + begin);
    }
  });
  double sum = 0;
  for (double block : block_sums) sum += block;
  return sum;
}

Cut CutAtMass(std::span<const float> mass, double needed, std::vector<Candidate>& scratch) {
  // A histogram over the leading bits (exponent and four of the mantissa) finds the narrow range of masses in which
  // the sum is reached; only those are put in order.
  constexpr int kShift = 19;
  constexpr size_t kBins = (std::bit_cast<uint32_t>(1.0f) >> kShift) + 2;  // ExpClamped may exceed 1 by an ulp.
  std::array<double, kBins> bins{};
  const auto bin_of = [](float m) { return std::min<size_t>(std::bit_cast<uint32_t>(m) >> kShift, kBins - 1); };
  for (float m : mass) bins[bin_of(m)] += m;
  double above = 0;
  size_t bin = kBins - 1;
  while (bin > 0 && (bins[bin] == 0 || above + bins[bin] < needed)) above += bins[bin--];
  if (bin == 0) return {};  // Because of rounding, all masses together do not reach the sum: every token is kept.

  scratch.clear();
  for (size_t i = 0; i < mass.size(); ++i) {
    if (bin_of(mass[i]) == bin) scratch.push_back({mass[i], static_cast<int32_t>(i)});
  }
  auto first = scratch.begin();
  auto last = scratch.end();
  while (last - first > 64) {
    const auto middle = first + (last - first) / 2;
    std::nth_element(first, middle, last, Before);
    double half = 0;
    for (auto it = first; it != middle; ++it) half += it->value;
    if (above + half >= needed) {
      last = middle;
    } else {
      above += half;
      first = middle;
    }
  }
  std::sort(first, last, Before);
  for (auto it = first; it != last; ++it) {
    above += it->value;
    if (above >= needed || it + 1 == last) return {it->value, it->token};
  }
  return {};
}

int32_t Draw(std::span<const float> mass, const Cut& cut, double u, std::vector<double>& block_sums) {
  const auto size = static_cast<int64_t>(mass.size());
  const float* m = mass.data();
  block_sums.clear();
  double total = 0;
  std::array<float, kRowBlock> kept;
  ForBlocks(size, [&](int64_t begin, int64_t end) {
    // Usually few tokens have the mass of the cut, but all have it where all masses are equal. So this has no branches
    // either.
    const float* x = m + begin;
    const auto limit = static_cast<int32_t>(cut.token - begin);
    for (int32_t i = 0; i < static_cast<int32_t>(end - begin); ++i) {
      const bool keeps = (x[i] > cut.value) | ((x[i] == cut.value) & (i <= limit));
      kept[static_cast<size_t>(i)] = keeps ? x[i] : 0.0f;
    }
    total += Sum(kept.data(), end - begin);
    block_sums.push_back(total);
  });
  // The number is below the total even when the product rounds up. So some block exceeds it, and keeps a token.
  const double target = std::min(u * total, std::nextafter(total, 0.0));
  const auto block = std::upper_bound(block_sums.begin(), block_sums.end(), target) - block_sums.begin();
  double sum = block > 0 ? block_sums[static_cast<size_t>(block - 1)] : 0;
  int64_t chosen = -1;
  for (int64_t i = block * kRowBlock; i < std::min(size, (block + 1) * kRowBlock) && sum <= target; ++i) {
    if (m[i] <= 0 || !cut.Keeps(m[i], static_cast<int32_t>(i))) continue;
    chosen = i;
    sum += m[i];
  }
  return static_cast<int32_t>(chosen);
}

}  // namespace atb
