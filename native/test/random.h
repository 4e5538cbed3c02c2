#pragma once
#include <cstdint>
#include <random>
#include <vector>

namespace atb::test {

/// The numbers of tests: they follow from the seed alone.
class Random {
 public:
  explicit Random(uint32_t seed) : rng_(seed) {}

  uint32_t Next() { return static_cast<uint32_t>(rng_()); }
  int64_t Below(int64_t n) { return static_cast<int64_t>(Next()) % n; }

  /// Evenly distributed over [low, high).
  template <typename T>
  std::vector<T> Uniform(int64_t count, T low, T high) {
    return Draw<T>(count, std::uniform_real_distribution<T>(low, high));
  }
  /// Normally distributed around 0.
  template <typename T>
  std::vector<T> Normal(int64_t count, T deviation) {
    return Draw<T>(count, std::normal_distribution<T>(0, deviation));
  }
  /// Whole numbers from low to high.
  std::vector<double> Integers(int64_t count, int low, int high) {
    return Draw<double>(count, std::uniform_int_distribution<int>(low, high));
  }

 private:
  template <typename T, typename Distribution>
  std::vector<T> Draw(int64_t count, Distribution distribution) {
    std::vector<T> numbers(static_cast<size_t>(count));
    for (T& x : numbers) x = static_cast<T>(distribution(rng_));
    return numbers;
  }

  std::mt19937 rng_;
};

// The same for a single vector.

template <typename T = double>
std::vector<T> Uniform(int64_t count, T low, T high, uint32_t seed) {
  return Random(seed).Uniform<T>(count, low, high);
}

template <typename T = double>
std::vector<T> Normal(int64_t count, T deviation, uint32_t seed) {
  return Random(seed).Normal<T>(count, deviation);
}

inline std::vector<double> Integers(int64_t count, int low, int high, uint32_t seed) {
  return Random(seed).Integers(count, low, high);
}

}  // namespace atb::test
