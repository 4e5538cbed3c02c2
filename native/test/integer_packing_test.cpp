// What products of integers start from: weights of integers as they are packed and chosen, and activations as whole
// numbers, of every table that this machine runs.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "integer_gemm_fixture.h"

namespace atb::kernels {
namespace {

// --- Packing ---

void IntegersComeBackOutOfTheirPanels() {
  for (WeightFormat format : kFormats) {
    for (bool interleaved : {false, true}) {
      for (int64_t n : {2, 16, 34, 50}) {
        for (int64_t k : {1, 3, 4, 31, 63, 64, 65, 130}) {
          const Weight w(format, n, k, 0, interleaved);
          CHECK(DTypeOf(format) == DType::kI8);
          std::vector<int8_t> row(static_cast<size_t>(k));
          for (int64_t r = 0; r < n; ++r) {
            UnpackIntegers(w.packed, r, row.data());
            CHECK(std::memcmp(row.data(), &w.integers[static_cast<size_t>(r * k)], row.size()) == 0);
          }
          // What is not a weight is zero.
          int64_t sum = 0, expected = 0;
          for (int64_t i = 0; i < PackedBytes(w.packed); ++i) {
            const auto byte = static_cast<int8_t>(w.memory.data[i]);
            sum += format == WeightFormat::kI8 ? byte * byte : (byte >> 4) * (byte >> 4);
            const int low = static_cast<int8_t>(byte * 16) >> 4;
            if (format != WeightFormat::kI8) sum += low * low;
          }
          for (int8_t q : w.integers) expected += q * q;
          CHECK(sum == expected);
        }
      }
    }
  }
}

void TransposedIntegersPackLikeOthers() {
  const int64_t n = 40, k = 70;
  for (WeightFormat format : kFormats) {
    const Weight w(format, n, k, 0);
    std::vector<int8_t> turned(static_cast<size_t>(n * k));
    for (int64_t r = 0; r < n; ++r) {
      for (int64_t i = 0; i < k; ++i)
        turned[static_cast<size_t>(i * n + r)] = w.integers[static_cast<size_t>(r * k + i)];
    }
    Aligned memory(PackedBytes(w.packed));
    PackRows(w.packed, memory.data, 0, n, {turned.data(), DType::kI8, 1, n});
    CHECK(std::memcmp(memory.data, w.memory.data, static_cast<size_t>(PackedBytes(w.packed))) == 0);
  }
}

void ScalesFollowTheirPanels() {
  for (bool interleaved : {false, true}) {
    const Weight w(WeightFormat::kI4, 38, 100, 32, interleaved);
    const PackedScales base = ScalesGeometry(38, 4, interleaved);
    CHECK(base.panels == w.packed.panels && w.groups == 4);
    PackedScales scales = base;
    scales.data = w.packed.scales;
    for (int64_t r = 0; r < 38; ++r) {
      for (int64_t g = 0; g < 4; ++g) CHECK(ScaleOf(scales, r, g) == w.scales[static_cast<size_t>(r * 4 + g)]);
    }
    int64_t zeros = 0;
    for (int64_t i = 0; i < ScalesBytes(base) / 4; ++i) {
      CHECK(!std::isnan(w.packed.scales[i]));
      zeros += w.packed.scales[i] == 0;
    }
    CHECK(zeros == ScalesBytes(base) / 4 - 38 * 4);
  }
}

void PairsOfInt4AreTheLowerHalfFirst() {
  const std::byte pairs[] = {std::byte{0x8F}, std::byte{0x70}, std::byte{0x03}};
  int8_t values[5];
  ExpandInt4(pairs, 5, values);
  const int8_t expected[] = {-1, -8, 0, 7, 3};
  CHECK(std::memcmp(values, expected, 5) == 0);
  std::byte back[3];
  CompressInt4(values, 5, back);
  CHECK(std::memcmp(back, pairs, 3) == 0);
}

void ImpossibleGeometriesAreRefused() {
  const auto code = [](WeightFormat format, int64_t n, int64_t k) -> std::string {
    try {
      PackedGeometry(format, n, k);
    } catch (const Error& e) {
      return e.code();
    }
    return "";
  };
  CHECK(code(WeightFormat::kI8, 4, 131071).empty());
  CHECK(code(WeightFormat::kI8, 4, 131072) == "NATIVE_SHAPE_MISMATCH");
  CHECK(code(WeightFormat::kI4, 4, 131072) == "NATIVE_SHAPE_MISMATCH");
  CHECK(code(WeightFormat::kI4, int64_t{1} << 60, 100000) == "NATIVE_SIZE_OVERFLOW");
}

// --- Rounding weights ---

struct Int4 {
  Int4(const KernelTable& table, const std::vector<float>& w, int64_t group)
      : q(w.size() + 16, 99), multipliers((w.size() + static_cast<size_t>(group) - 1) / static_cast<size_t>(group)) {
    scale = table.quantize_int4(w.data(), static_cast<int64_t>(w.size()), group, q.data(), multipliers.data());
    for (size_t i = (w.size() + 15) / 16 * 16; i < q.size(); ++i) CHECK(q[i] == 99);
    q.resize(w.size());
    for (size_t i = 0; i < w.size(); ++i)
      values.push_back(static_cast<float>(q[i]) *
                       (scale * static_cast<float>(multipliers[i / static_cast<size_t>(group)])));
  }
  std::vector<int8_t> q, multipliers;
  std::vector<float> values;
  float scale;
};

void Int4ScalesAreChosenWell() {
  double error = 0, plain = 0, total = 0;
  for (uint32_t row = 0; row < 40; ++row) {
    const std::vector<float> w = test::Normal(2048, 0.02f, row);
    const Int4 got(Select("reference"), w, 128);
    for (size_t first = 0; first < w.size(); first += 128) {
      float largest = 0;
      for (size_t i = first; i < first + 128; ++i) largest = std::max(largest, std::fabs(w[i]));
      for (size_t i = first; i < first + 128; ++i) {
        CHECK(got.q[i] >= -8 && got.q[i] <= 7 && std::abs(got.multipliers[i / 128]) <= 15);
        error += std::pow(w[i] - got.values[i], 2);
        plain += std::pow(w[i] - std::nearbyint(w[i] / (largest / 7)) * (largest / 7), 2);
        total += std::pow(w[i], 2);
      }
    }
  }
  CHECK(error < 0.0099 * total);  // The best scale of all for each group loses 0.93 %.
  CHECK(error < 0.75 * plain);
}

void EveryTableChoosesTheSameInt4() {
  for (int64_t k : {1, 15, 17, 64, 100, 200, 512, 549, 1500}) {
    for (int64_t group : {32, 96, 1024}) {
      for (uint32_t seed = 0; seed < 20; ++seed) {
        std::vector<float> w = test::Normal(k, 0.02f, seed);
        for (size_t i = 0; i < w.size(); ++i) w[i] *= static_cast<float>(1 + i / 32);
        if (seed == 7) std::fill(w.begin(), w.begin() + k / 2, 0.0f);
        const Int4 expected(Select("reference"), w, group);
        for (const KernelTable* table : Available()) {
          const Int4 got(*table, w, group);
          CHECK(got.q == expected.q && got.multipliers == expected.multipliers && got.scale == expected.scale);
        }
      }
    }
  }
}

void Int4TakesWhatItExpressesExactly() {
  for (const KernelTable* table : Available()) {
    // A signed extreme of 8 units: all of -8 .. 7 at once; another group with a third of it.
    std::vector<float> w(64);
    for (int i = 0; i < 64; ++i)
      w[static_cast<size_t>(i)] = static_cast<float>(i % 16 - 8) * (i < 32 ? 0.9375f : -0.3125f);
    const Int4 got(*table, w, 32);
    CHECK(got.values == w && got.multipliers[0] == 15 && got.multipliers[1] == -5);
    const Int4 zeros(*table, {0.0f, -0.0f, 1e-40f}, 32);
    CHECK(zeros.scale == 0 && zeros.values == std::vector<float>(3));
    for (float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
      const Int4 with(*table, {1.0f, bad, 2.0f}, 32);
      CHECK(std::isnan(with.scale) && with.q == std::vector<int8_t>(3));
    }
    for (float size : {3e38f, 1e-29f}) {
      const Int4 huge(*table, {size, -size / 3, size / 2}, 32);
      for (float x : huge.values) CHECK(std::isfinite(x));
      CHECK(std::fabs(huge.values[0] - size) < size / 10);
    }
  }
}

void ScalesThatAreProductsAreFound() {
  const auto find = [](const std::vector<float>& scales, float* one, int8_t* multipliers) {
    return FindMultipliers(scales.data(), static_cast<int64_t>(scales.size()), 15, one, multipliers);
  };
  float one = 0;
  int8_t m[4];
  CHECK(find({0.75f, -0.25f, 0.0f, 3.75f}, &one, m) && one * static_cast<float>(m[1]) == -0.25f && m[2] == 0 &&
        one * static_cast<float>(m[3]) == 3.75f);
  CHECK(find({0.0f, 0.0f}, &one, m) && one == 0 && m[0] == 0);
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  CHECK(find({nan, nan}, &one, m) && std::isnan(one) && m[1] == 0);
  CHECK(!find({nan, 1.0f}, &one, m) && !find({inf, 1.0f}, &one, m));
  CHECK(!find({16.0f, 1.0f}, &one, m));       // Sixteen is too many.
  CHECK(!find({1.0f, 0.7310585f}, &one, m));  // No common unit.
  for (uint32_t seed = 0; seed < 50; ++seed) {
    const Int4 q(Select("reference"), test::Normal(128, 0.02f, seed), 32);
    std::vector<float> scales;
    for (int8_t multiplier : q.multipliers) scales.push_back(q.scale * static_cast<float>(multiplier));
    CHECK(find(scales, &one, m));
    for (size_t g = 0; g < 4; ++g) CHECK(one * static_cast<float>(m[g]) == scales[g]);
  }
}

// --- Activations ---

int64_t Number(const int8_t* out, int64_t i, int planes, int64_t step, int64_t plane_stride) {
  int64_t value = 0;
  for (int plane = 0; plane < planes; ++plane) value = value * 256 + out[i / 64 * step + plane * plane_stride + i % 64];
  return value;
}

void ActivationsRoundAsTheContractSays() {
  std::mt19937 rng(7);
  for (const KernelTable* table : Available()) {
    for (DType dtype : kFloats) {
      for (int planes : {1, 2, 3}) {
        for (int64_t k : {1, 15, 17, 64, 65, 200}) {
          for (float high : {1.0f, 3e-3f, 6e4f}) {
            Rows x(dtype, 1, k, rng(), high);
            x.Set(0, k / 2, high);
            const int64_t tiles = (k + 63) / 64, step = 64 * planes + 128;
            std::vector<int8_t> out(static_cast<size_t>(tiles * step), 77);
            const float scale = table->quantize(x.Row(0), dtype, k, planes, out.data(), step, 64);
            float max = 0;
            for (int64_t i = 0; i < k; ++i) max = std::max(max, std::fabs(x.At(0, i)));
            const int64_t limit = planes == 1 ? 127 : planes == 2 ? 32639 : 8355711;
            if (planes == 1) {
              CHECK(scale == max / 127);
            } else {
              int exponent;
              CHECK(std::frexp(scale, &exponent) == 0.5f);  // A power of two, and none smaller.
              CHECK(std::nearbyint(max / scale) <= static_cast<float>(limit));
              CHECK(std::nearbyint(max / (scale / 2)) > static_cast<float>(limit));
            }
            for (int64_t i = 0; i < tiles * 64; ++i) {
              const int64_t got = Number(out.data(), i, planes, step, 64);
              CHECK(got == (i < k ? static_cast<int64_t>(std::nearbyint(x.At(0, i) / scale)) : 0));
            }
            for (int64_t t = 0; t < tiles; ++t) CHECK(out[static_cast<size_t>(t * step + 64 * planes)] == 77);
          }
        }
      }
    }
  }
}

/// Of bf16, what is within 1/128 of the largest stays as it is in 16 bits; all of them in 24 bits within 2^-15.
void LargeActivationsAreExact() {
  for (const KernelTable* table : Available()) {
    for (int planes : {2, 3}) {
      Rows x(DType::kBF16, 1, 256, 9);
      const float reach = planes == 2 ? 128 : 32768;
      for (int64_t i = 0; i < 256; ++i)
        x.Set(0, i, std::ldexp(1.0f + static_cast<float>(i % 128) / 128, -(i % (planes == 2 ? 7 : 15))));
      const Digits digits(*table, x, 0, 1, planes);
      const auto* out = reinterpret_cast<const int8_t*>(digits.memory.data);
      for (int64_t i = 0; i < 256; ++i) {
        const auto number = static_cast<float>(Number(out, i, planes, 64 * planes, 64));
        if (x.At(0, i) * reach >= 2.0f) CHECK(number * digits.scales[0] == x.At(0, i));
      }
    }
  }
}

void RowsThatAreNotFiniteOrZeroHaveNoDigits() {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  for (const KernelTable* table : Available()) {
    for (DType dtype : kFloats) {
      for (int planes : {1, 2, 3}) {
        for (float bad : {kInf, -kInf, std::numeric_limits<float>::quiet_NaN(), 0.0f}) {
          for (int64_t at : {0, 5, 69}) {
            Rows x(dtype, 1, 70, 3);
            for (int64_t i = 0; bad == 0 && i < 70; ++i) x.Set(0, i, i % 2 ? 0.0f : -0.0f);
            x.Set(0, at, bad);
            const Digits digits(*table, x, 0, 1, planes);
            CHECK(bad == 0 ? digits.scales[0] == 0 : std::isnan(digits.scales[0]));
            for (int64_t i = 0; i < 128 * planes; ++i) CHECK(digits.memory.data[i] == std::byte{0});
          }
        }
      }
    }
    // Numbers near the ends of f32 neither overflow nor become rubbish.
    for (float high : {1.6e38f, 2e-38f, 1e-40f, 1e-44f}) {
      for (int planes : {1, 2, 3}) {
        Rows x(DType::kF32, 1, 4, 3, high);
        x.Set(0, 2, -high);
        const Digits digits(*table, x, 0, 1, planes), same(Select("reference"), x, 0, 1, planes);
        CHECK(std::memcmp(digits.memory.data, same.memory.data, static_cast<size_t>(64 * planes)) == 0);
        CHECK(digits.scales == same.scales);
        const auto* out = reinterpret_cast<const int8_t*>(digits.memory.data);
        const double got = static_cast<double>(Number(out, 2, planes, 64 * planes, 64)) * digits.scales[0];
        if (high > 1) CHECK(std::fabs(got + high) <= 0.004 * high);
      }
    }
  }
}

void DigitsAreSummedAlike() {
  const std::vector<int8_t> extremes(4096, -128);
  for (const KernelTable* table : Available()) {
    for (int64_t count : {32, 64, 96, 4096}) {
      std::vector<int8_t> digits(static_cast<size_t>(count));
      int32_t sum = 0;
      for (size_t i = 0; i < digits.size(); ++i) sum += digits[i] = static_cast<int8_t>(i * 73 + 11);
      CHECK(table->sum_digits(digits.data(), count) == sum);
      CHECK(table->sum_digits(extremes.data(), count) == -128 * count);
    }
  }
}

}  // namespace
}  // namespace atb::kernels

int main() {
  using namespace atb::kernels;
  RUN(IntegersComeBackOutOfTheirPanels);
  RUN(TransposedIntegersPackLikeOthers);
  RUN(ScalesFollowTheirPanels);
  RUN(PairsOfInt4AreTheLowerHalfFirst);
  RUN(ImpossibleGeometriesAreRefused);
  RUN(Int4ScalesAreChosenWell);
  RUN(EveryTableChoosesTheSameInt4);
  RUN(Int4TakesWhatItExpressesExactly);
  RUN(ScalesThatAreProductsAreFound);
  RUN(ActivationsRoundAsTheContractSays);
  RUN(LargeActivationsAreExact);
  RUN(RowsThatAreNotFiniteOrZeroHaveNoDigits);
  RUN(DigitsAreSummedAlike);
}
