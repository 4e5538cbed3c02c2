// Weights of integers: packing, activations as whole numbers, and products of every table that this machine runs,
// against sums in double; and all tables' bits against the reference's.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "aligned.h"
#include "base/error.h"
#include "check.h"
#include "kernels/convert.h"
#include "kernels/pack.h"
#include "kernels/pack_integers.h"
#include "random.h"
#include "tested_tables.h"

namespace atb::kernels {
namespace {

constexpr DType kFloats[] = {DType::kF32, DType::kF16, DType::kBF16};
constexpr WeightFormat kFormats[] = {WeightFormat::kI8, WeightFormat::kI4, WeightFormat::kE2M1};

/// What a weight of integers has beside scales of its groups.
enum class Extra {
  kNone,
  kProducts,  ///< Scales are those of outputs times multipliers.
  kOffsets,   ///< Weights are scale * (integer + offset).
  kExponents,  ///< Scales are powers of two.
};

/// Random integers, or codes, of a format and their scales, row-major and packed.
struct Weight {
  Weight(WeightFormat format, int64_t n, int64_t k, int64_t group, bool interleaved = false,
         Extra extra = Extra::kNone)
      : packed(PackedGeometry(format, n, k, interleaved)),
        groups(GroupsOf(k, group)),
        integers(static_cast<size_t>(n * k)),
        scales(static_cast<size_t>(n * groups)),
        offsets(scales.size()),
        memory(PackedBytes(packed)),
        scale_memory(ScalesBytes(ScalesGeometry(n, groups, interleaved))) {
    std::mt19937 rng(1);
    const int low = format == WeightFormat::kI8 ? -128 : -8;
    for (int8_t& q : integers) q = static_cast<int8_t>(static_cast<int>(rng() % static_cast<unsigned>(-2 * low)) + low);
    for (size_t i = 0; i < scales.size(); ++i) {
      scales[i] = 0.001f + static_cast<float>(rng() % 1000) * 1e-5f;
      // From -15 to 15, one of them 15.
      const auto g = static_cast<int64_t>(i) % groups, row = static_cast<int64_t>(i) / groups;
      auto multiplier = static_cast<float>(g == row % groups ? 15 : static_cast<int>(rng() % 31) - 15);
      if (format == WeightFormat::kE2M1) multiplier = g == row % groups ? 8 : static_cast<float>(rng() % 9);
      // Most of a span lie in one window; some steps, but not all, have groups in others or in none.
      if (extra == Extra::kExponents)
        scales[i] = std::ldexp(1.0f, -4 - static_cast<int>(g % 5 == 0 && rng() % 4 == 0 ? rng() % 30 : rng() % 4));
      if (extra == Extra::kProducts) scales[i] = 0x1p-9f * static_cast<float>(1 + row) * multiplier;
    }
    for (int64_t row = (n - 1) / 7 * 7; row >= 0; row -= 7) {  // Pieces in no order: it must not matter.
      const int64_t end = std::min(row + 7, n);
      PackRows(packed, memory.data, row, end, {&integers[static_cast<size_t>(row * k)], DType::kI8, k});
      PackScales(ScalesGeometry(n, groups, interleaved), reinterpret_cast<float*>(scale_memory.data), row, end,
                 &scales[static_cast<size_t>(row * groups)], groups);
    }
    packed.data = memory.data;
    packed.group = group;
    packed.scales = group ? reinterpret_cast<const float*>(scale_memory.data) : scales.data();
    if (extra == Extra::kOffsets) AddOffsets(interleaved);
    if (extra != Extra::kProducts && extra != Extra::kExponents) return;
    PackedScales order = ScalesGeometry(n, groups, interleaved), found{};
    order.data = packed.scales;
    product_memory = std::make_unique<Aligned>(MultiplierBytes(order));
    if (extra == Extra::kExponents) {
      CHECK(PackExponents(order, product_memory->data, found));
      packed.scales = nullptr;
      packed.exponents = found.exponents;
      return;
    }
    CHECK(PackMultipliers(order, MostMultiplier(format), product_memory->data, found));
    packed.scales = found.data;
    packed.multipliers = found.multipliers;
  }
  double At(int64_t row, int64_t i) const {
    const int64_t g = packed.group ? i / packed.group : 0;
    const auto at = static_cast<size_t>(row * groups + g);
    const int8_t integer = integers[static_cast<size_t>(row * packed.k + i)];
    if (packed.format == WeightFormat::kE2M1) return 0.5 * TwiceE2M1(integer) * static_cast<double>(scales[at]);
    return static_cast<double>(static_cast<float>(integer) + offsets[at]) *
           static_cast<double>(scales[at]);
  }
  /// How large what is summed may be: integers and offsets are multiplied one by one.
  double Magnitude(int64_t row, int64_t i) const {
    const auto at = static_cast<size_t>(row * groups + (packed.group ? i / packed.group : 0));
    return std::fabs(At(row, i)) + 2 * std::fabs(static_cast<double>(offsets[at]) * static_cast<double>(scales[at]));
  }
  void AddOffsets(bool interleaved) {
    std::mt19937 rng(5);
    const int most = MostOffset(packed.format);
    for (float& offset : offsets) offset = static_cast<float>(static_cast<int>(rng() % static_cast<unsigned>(2 * most + 1)) - most);
    PackedScales order = ScalesGeometry(packed.n, groups, interleaved), found{};
    Aligned floats(ScalesBytes(order));
    order.data = reinterpret_cast<float*>(floats.data);
    PackScales(order, reinterpret_cast<float*>(floats.data), 0, packed.n, offsets.data(), groups);
    offset_memory = std::make_unique<Aligned>(OffsetBytes(order));
    CHECK(PackOffsets(order, most, offset_memory->data, found));
    packed.offsets = found.offsets;
  }

  PackedWeight packed;
  int64_t groups;
  std::vector<int8_t> integers;
  std::vector<float> scales;
  std::vector<float> offsets;  ///< Zeros where there are none.
  Aligned memory, scale_memory;
  std::unique_ptr<Aligned> product_memory, offset_memory;
};

/// A format, the channels of its groups, and what there is beside their scales.
struct Kind {
  WeightFormat format;
  int64_t group;
  Extra extra = Extra::kNone;
};
constexpr Kind kKinds[] = {{WeightFormat::kI8, 0},        {WeightFormat::kI8, 32},       {WeightFormat::kI8, 96},
                           {WeightFormat::kI4, 0},        {WeightFormat::kI4, 32},       {WeightFormat::kI4, 96},
                           {WeightFormat::kI4, 128},
                           {WeightFormat::kI4, 32, Extra::kProducts},
                           {WeightFormat::kI4, 64, Extra::kProducts},
                           {WeightFormat::kI4, 160, Extra::kProducts},
                           {WeightFormat::kI4, 32, Extra::kOffsets},
                           {WeightFormat::kI4, 128, Extra::kOffsets},
                           {WeightFormat::kI4, 0, Extra::kOffsets},
                           {WeightFormat::kI8, 96, Extra::kOffsets},
                           {WeightFormat::kI8, 0, Extra::kOffsets},
                           {WeightFormat::kE2M1, 0},
                           {WeightFormat::kE2M1, 32, Extra::kProducts},
                           {WeightFormat::kE2M1, 32, Extra::kExponents}};

/// Rows of floats; numbers that the dtype holds.
struct Rows {
  Rows(DType type, int64_t m_, int64_t k_, uint32_t seed, float high = 1)
      : dtype(type), m(m_), k(k_), bytes(static_cast<size_t>(m * k) * SizeOf(type)) {
    int64_t i = 0;
    for (float x : test::Uniform<float>(m * k, -high, high, seed)) StoreFloat(bytes.data(), dtype, i++, x);
  }
  float At(int64_t row, int64_t i) const { return LoadFloat(bytes.data(), dtype, row * k + i); }
  void Set(int64_t row, int64_t i, float value) { StoreFloat(bytes.data(), dtype, row * k + i, value); }
  const std::byte* Row(int64_t row) const { return bytes.data() + static_cast<size_t>(row * k) * SizeOf(dtype); }

  DType dtype;
  int64_t m, k;
  std::vector<std::byte> bytes;
};

/// Rows [row, row + count) as blocks, with the sums that the offsets of a weight want.
struct Digits {
  Digits(const KernelTable& table, const Rows& x, int64_t row, int64_t count, int digits,
         const PackedWeight* weight = nullptr)
      : planes(digits), scales(static_cast<size_t>(count)), memory(count * digits * Padded(x.k)) {
    const int64_t block_rows = kBlockRows[planes];
    auto* blocks = reinterpret_cast<int8_t*>(memory.data);
    for (int64_t r = 0; r < count; ++r) {
      const int64_t first = r / block_rows * block_rows;
      const int64_t rows = std::min(block_rows, count - first);
      int8_t* to = blocks + first * planes * Padded(x.k) + (r - first) * kIntegerTileK;
      scales[static_cast<size_t>(r)] =
          table.quantize(x.Row(row + r), x.dtype, x.k, planes, to, rows * planes * kIntegerTileK, rows * kIntegerTileK);
      if (weight && WantsSums(*weight)) Sum(*weight, to, rows);
    }
  }
  void Sum(const PackedWeight& weight, const int8_t* digits, int64_t rows) {
    const int64_t channels = weight.group ? weight.group : weight.k;
    for (int64_t first = 0; first < weight.k; first += channels) {
      int64_t sum = 0;
      for (int64_t i = first; i < std::min(first + channels, weight.k); ++i) {
        int64_t number = 0;
        for (int plane = 0; plane < planes; ++plane)
          number = number * 256 + digits[(i / 64 * planes + plane) * rows * 64 + i % 64];
        sum += number;
      }
      sums.push_back(static_cast<float>(sum));
    }
  }
  static int64_t Padded(int64_t k) { return (k + kIntegerTileK - 1) / kIntegerTileK * kIntegerTileK; }
  DigitMatrix Matrix() const {
    return {reinterpret_cast<const int8_t*>(memory.data), planes, scales.data(), sums.data()};
  }
  int planes;
  std::vector<float> scales, sums;
  Aligned memory;
};

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
        for (const KernelTable* table : TestedTables()) {
          const Int4 got(*table, w, group);
          CHECK(got.q == expected.q && got.multipliers == expected.multipliers && got.scale == expected.scale);
        }
      }
    }
  }
}

void Int4TakesWhatItExpressesExactly() {
  for (const KernelTable* table : TestedTables()) {
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
  for (const KernelTable* table : TestedTables()) {
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
  for (const KernelTable* table : TestedTables()) {
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
  for (const KernelTable* table : TestedTables()) {
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
  for (const KernelTable* table : TestedTables()) {
    for (int64_t count : {32, 64, 96, 4096}) {
      std::vector<int8_t> digits(static_cast<size_t>(count));
      int32_t sum = 0;
      for (size_t i = 0; i < digits.size(); ++i) sum += digits[i] = static_cast<int8_t>(i * 73 + 11);
      CHECK(table->sum_digits(digits.data(), count) == sum);
      CHECK(table->sum_digits(extremes.data(), count) == -128 * count);
    }
  }
}

// --- Products ---

constexpr std::byte kGuard{0x5A};

struct Product {
  Product(const Rows& x_, const Weight& w_, int planes_, DType out_dtype_)
      : x(x_), w(w_), planes(planes_), out_dtype(out_dtype_) {}

  int64_t Columns() const { return swiglu ? w.packed.n / 2 : w.packed.n; }
  int64_t Stride() const { return Columns() + 3; }

  /// All rows in pieces of `rows`, all panels in pieces of `panels` (0: at once).
  std::vector<std::byte> Run(const KernelTable& table, int64_t rows = 0, int64_t panels = 0) const {
    std::vector<std::byte> out(static_cast<size_t>(x.m * Stride()) * SizeOf(out_dtype), kGuard);
    for (int64_t r = 0; residual && r < x.m; ++r) {
      for (int64_t j = 0; j < Columns(); ++j) StoreFloat(out.data(), out_dtype, r * Stride() + j, residual->At(r, j));
    }
    Aligned scratch(table.gemm_scratch_bytes);
    if (rows == 0) rows = x.m;
    if (panels == 0) panels = w.packed.panels;
    for (int64_t row = 0; row < x.m; row += rows) {
      const int64_t count = std::min(rows, x.m - row);
      const Digits digits(table, x, row, count, planes, &w.packed);
      const auto out_at = static_cast<size_t>(row * Stride()) * SizeOf(out_dtype);
      const GemmCall call{.weight = &w.packed,
                          .x = nullptr,
                          .m = count,
                          .x_stride = 0,
                          .bias = bias ? bias->bytes.data() : nullptr,
                          .bias_dtype = bias ? bias->dtype : DType::kF32,
                          .activation = swiglu ? kernels::UnaryOp::kSwish : kernels::UnaryOp::kNone,
                          .gated = swiglu,
                          .residual = residual ? out.data() + out_at : nullptr,
                          .out = out.data() + out_at,
                          .out_dtype = out_dtype,
                          .out_stride = Stride(),
                          .digits = digits.Matrix()};
      for (int64_t panel = 0; panel < w.packed.panels; panel += panels)
        table.gemm(call, panel, std::min(panel + panels, w.packed.panels), scratch.data);
    }
    return out;
  }

  const Rows& x;
  const Weight& w;
  int planes;
  DType out_dtype;
  bool swiglu = false;
  const Rows* bias = nullptr;
  const Rows* residual = nullptr;
};

double UnitOf(DType dtype) { return dtype == DType::kF32 ? 0x1p-23 : dtype == DType::kF16 ? 0x1p-10 : 0x1p-7; }

struct Exact {
  double value;
  double error;
};

/// The numbers of one output's weights, and how large what is summed of each may be.
struct Line {
  Line(const Weight& w, int64_t column) {
    for (int64_t i = 0; i < w.packed.k; ++i) {
      numbers.push_back(w.At(column, i));
      magnitudes.push_back(w.Magnitude(column, i));
      sum += std::fabs(numbers.back());
    }
  }
  std::vector<double> numbers, magnitudes;
  double sum = 0;
};

/// Exact sums of exact products but for half a unit of each activation (a unit being 2^-7, 2^-14 or 2^-22 of the row's
/// largest), and two roundings per group in f32.
Exact Dot(const Product& p, int64_t row, int64_t column, const Line& line) {
  double sum = 0, magnitude = 0, max = 0;
  for (size_t i = 0; i < line.numbers.size(); ++i) {
    const auto x = static_cast<double>(p.x.At(row, static_cast<int64_t>(i)));
    sum += x * line.numbers[i];
    magnitude += std::fabs(x) * line.magnitudes[i];
    max = std::max(max, std::fabs(x));
  }
  if (p.bias) sum += p.bias->At(0, column);
  const double unit = max * (p.planes == 1 ? 1.0 / 127 : p.planes == 2 ? 0x1p-14 : 0x1p-22);
  const double groups = 4 + 2 * std::sqrt(static_cast<double>(p.w.groups));
  return {sum, 0.5 * unit * line.sum + groups * 0x1p-23 * (magnitude + std::fabs(sum))};
}

void CheckProduct(const Product& p, const std::vector<const KernelTable*>& tables) {
  std::vector<std::vector<std::byte>> outs;
  for (const KernelTable* table : tables) outs.push_back(p.Run(*table));
  for (int64_t j = 0; j < p.Columns(); ++j) {
    const Line line(p.w, j), ups(p.w, p.swiglu ? p.Columns() + j : j);
    for (int64_t r = 0; r < p.x.m; ++r) {
      Exact e = Dot(p, r, j, line);
      if (p.swiglu) {
        const Exact up = Dot(p, r, p.Columns() + j, ups);
        const double silu = e.value / (1 + std::exp(-e.value));
        e = {silu * up.value,
             1.1 * e.error * (std::fabs(up.value) + up.error) + std::fabs(silu) * (up.error + 4 * 0x1p-23)};
      }
      if (p.residual) e.value += p.residual->At(r, j);
      const double rounding = 0.5 * UnitOf(p.out_dtype) * (std::fabs(e.value) + e.error) + 0x1p-25;
      for (size_t t = 0; t < outs.size(); ++t) {
        const double got = LoadFloat(outs[t].data(), p.out_dtype, r * p.Stride() + j);
        const bool close = std::fabs(got - e.value) <= e.error + rounding;
        if (!close)
          std::fprintf(stderr, "%s row %ld column %ld: %.9g, exactly %.9g\n", tables[t]->isa, r, j, got, e.value);
        CHECK(close);
      }
    }
  }
  for (const std::vector<std::byte>& out : outs)
    for (int64_t r = 0; r < p.x.m; ++r)
      for (size_t i = 0; i < 3 * SizeOf(p.out_dtype); ++i)
        CHECK(out[static_cast<size_t>(r * p.Stride() + p.Columns()) * SizeOf(p.out_dtype) + i] == kGuard);
}

void TheReferenceIsRight() {
  for (const Kind& kind : kKinds) {
    for (int planes : {1, 2, 3}) {
      for (DType dtype : kFloats) {
        const Weight w(kind.format, 35, 150, kind.group, false, kind.extra);
        const Rows x(dtype, 3, 150, 2);
        const Product p(x, w, planes, DType::kF32);
        CheckProduct(p, {&Select("reference")});
      }
    }
  }
}

/// Bit for bit, at all sizes: groups that end with k or before it, ragged panels, blocks and tiles.
void EveryTableGivesTheBitsOfTheReference() {
  for (const Kind& kind : kKinds) {
    for (int planes : {1, 2, 3}) {
      for (int64_t k : {1, 31, 64, 100, 257}) {
        for (int64_t n : {1, 16, 40, 145}) {
          const Weight w(kind.format, n, k, kind.group, false, kind.extra);
          const DType dtype = kFloats[(k + n) % 3];
          for (int64_t m : {1, 2, 3, 5, 9, 16, 17, 33, 41}) {
            if (m > 17 && n < 145) continue;
            const Rows x(dtype, m, k, 2);
            const Product p(x, w, planes, DType::kF32);
            const KernelTable& reference = Select("reference");
            const std::vector<std::byte> expected = p.Run(reference);
            for (const KernelTable* table : TestedTables()) {
              const bool same = table == &reference || p.Run(*table) == expected;
              if (!same)
                std::fprintf(stderr, "%s: format %d group %ld extra %d planes %d k %ld n %ld m %ld\n", table->isa,
                             static_cast<int>(kind.format), kind.group, static_cast<int>(kind.extra), planes, k, n, m);
              CHECK(same);
            }
          }
        }
      }
    }
  }
}

/// More channels than one go takes, more rows than are kept at once, more panels than a group of them has.
void LargeProductsAreRight() {
  const std::array<int64_t, 4> sizes[] = {{35, 50, 8200, 128}, {300, 40, 130, 32}, {140, 1100, 64, 0},
                                          {150, 70, 4500, 96}, {70, 40, 9000, 0},  {33, 17, 5000, 1024}};
  const std::array<std::pair<WeightFormat, Extra>, 6> kinds = {{{WeightFormat::kI8, Extra::kNone},
                                                                {WeightFormat::kI4, Extra::kNone},
                                                                {WeightFormat::kI4, Extra::kProducts},
                                                                {WeightFormat::kI4, Extra::kOffsets},
                                                                {WeightFormat::kE2M1, Extra::kProducts},
                                                                {WeightFormat::kE2M1, Extra::kExponents}}};
  for (const auto& [format, extra] : kinds) {
    for (int planes : {1, 2, 3}) {
      for (const auto& [m, n, k, group] : sizes) {
        const Weight w(format, n, k, group, false, extra != Extra::kOffsets && group == 0 ? Extra::kNone : extra);
        const Rows x(DType::kBF16, m, k, 2);
        const Product p(x, w, planes, DType::kF32);
        const std::vector<std::byte> first = p.Run(*Available().front());
        // The reference takes too long for all of it.
        const Rows last = [&, m = m, k = k] {
          Rows rows(DType::kBF16, 2, k, 2);
          for (int64_t i = 0; i < 2 * k; ++i) rows.Set(i / k, i % k, x.At(m - 2 + i / k, i % k));
          return rows;
        }();
        const Product q(last, w, planes, DType::kF32);
        const std::vector<std::byte> expected = q.Run(Select("reference"));
        CHECK(std::memcmp(expected.data(), &first[first.size() - expected.size()], expected.size()) == 0);
        for (const KernelTable* table : TestedTables()) {
          if (std::string(table->isa) != "reference") CHECK(p.Run(*table) == first);
        }
      }
    }
  }
}

/// The bits of a row are the same however many rows share the call and however panels are handed out.
void RowsDoNotDependOnTheirCompany() {
  for (const KernelTable* table : TestedTables()) {
    for (const Kind& kind : kKinds) {
      for (int planes : {1, 2, 3}) {
        // The reference computes row by row and is slow: a few ways to hand rows out are enough.
        const bool is_slow = std::string(table->isa) == "reference";
        const int64_t m = is_slow ? 19 : 70;
        const Weight w(kind.format, 150, 200, kind.group, true, kind.extra);
        const Rows x(DType::kBF16, m, 200, 2), bias(DType::kF32, 1, 150, 3);
        for (bool swiglu : {false, true}) {
          Product p(x, w, planes, DType::kF32);
          p.swiglu = swiglu;
          p.bias = &bias;
          const std::vector<std::byte> together = p.Run(*table);
          for (int64_t rows : {1, 2, 3, 5, 8, 16, 17, 32}) {
            if (is_slow && rows != 1 && rows != 16) continue;
            for (int64_t panels : {2, 6, 0})
              if (!is_slow || panels == 2) CHECK(p.Run(*table, rows, panels) == together);
          }
        }
      }
    }
  }
}

void EpiloguesAreRightInEveryDtype() {
  for (const Kind& kind : kKinds) {
    for (DType out : kFloats) {
      for (int64_t m : {1, 17}) {
        for (bool interleaved : {false, true}) {
          const Weight w(kind.format, 100, 65, kind.group, interleaved, kind.extra);
          const Rows x(DType::kBF16, m, 65, 2), bias_own(DType::kBF16, 1, 100, 3), bias_f32(DType::kF32, 1, 100, 4);
          const Rows residual(out, m, 100, 5);
          for (bool swiglu : {false, true}) {
            if (swiglu && !interleaved) continue;
            for (const Rows* bias : {static_cast<const Rows*>(nullptr), &bias_own, &bias_f32}) {
              for (const Rows* added : {static_cast<const Rows*>(nullptr), &residual}) {
                Product p(x, w, 2, out);
                p.swiglu = swiglu;
                p.bias = bias;
                p.residual = added;
                CheckProduct(p, TestedTables());
              }
            }
          }
        }
      }
    }
  }
}

void ANanStaysInItsRow() {
  for (const KernelTable* table : TestedTables()) {
    for (const Kind& kind : kKinds) {
      for (int planes : {1, 2, 3}) {
        for (int64_t m : {1, 3, 17, 40}) {
          const Weight w(kind.format, 40, 97, kind.group, false, kind.extra);
          const Rows clean(DType::kBF16, m, 97, 2);
          const std::vector<std::byte> expected = Product(clean, w, planes, DType::kF32).Run(*table);
          for (int64_t bad : {int64_t{0}, m / 2, m - 1}) {
            Rows x = clean;
            x.Set(bad, 50, std::numeric_limits<float>::quiet_NaN());
            const Product p(x, w, planes, DType::kF32);
            const std::vector<std::byte> got = p.Run(*table);
            for (int64_t r = 0; r < m; ++r) {
              const auto bytes = static_cast<size_t>(p.Stride()) * 4;
              if (r != bad)
                CHECK(std::memcmp(&got[static_cast<size_t>(r) * bytes], &expected[static_cast<size_t>(r) * bytes],
                                  bytes) == 0);
              for (int64_t j = 0; r == bad && j < 40; ++j)
                CHECK(std::isnan(LoadFloat(got.data(), DType::kF32, r * p.Stride() + j)));
            }
          }
        }
      }
    }
  }
}

/// The largest digits and weights there are, over the most channels: sums come close to the ends of int32.
void SumsOfTheLargestProductsDoNotOverflow() {
  const int64_t k = 131071, n = 2;
  for (const Kind& kind :
       {Kind{WeightFormat::kI8, 0}, Kind{WeightFormat::kI4, 0}, Kind{WeightFormat::kI4, 1024, Extra::kProducts},
        Kind{WeightFormat::kE2M1, 1024, Extra::kProducts}}) {
    const WeightFormat format = kind.format;
    Weight w(format, n, k, kind.group, false, kind.extra);
    const bool twice = format == WeightFormat::kE2M1;
    std::vector<int8_t> multipliers(16 * 128, twice ? 8 : 15);
    if (kind.extra == Extra::kProducts) w.packed.multipliers = multipliers.data();
    for (size_t i = 0; i < w.integers.size(); ++i) w.integers[i] = format == WeightFormat::kI8 ? -128 : twice ? -1 : -8;
    PackRows(w.packed, w.memory.data, 0, n, {w.integers.data(), DType::kI8, k});
    for (int planes : {1, 2}) {
      for (const KernelTable* table : TestedTables()) {
        for (int64_t m : {1, 17}) {
          // Given digits, as W8A8MatMul gives them: -128 is one.
          std::vector<float> ones(static_cast<size_t>(m), 1.0f);
          Aligned digits(m * planes * 131072), scratch(table->gemm_scratch_bytes);
          std::memset(digits.data, 0x80, static_cast<size_t>(m * planes * 131072));
          std::vector<float> out(static_cast<size_t>(m * n));
          const GemmCall call{.weight = &w.packed,
                              .x = nullptr,
                              .m = m,
                              .x_stride = 0,
                              .bias = nullptr,
                              .bias_dtype = DType::kF32,
                              .residual = nullptr,
                              .out = out.data(),
                              .out_dtype = DType::kF32,
                              .out_stride = n,
                              .digits = {reinterpret_cast<const int8_t*>(digits.data), planes, ones.data()}};
          table->gemm(call, 0, 1, scratch.data);
          const double number = planes == 1 ? -128 : -128 * 256 - 128;
          for (int64_t i = 0; i < m * n; ++i) {
            const double weight = twice ? -6 : static_cast<double>(w.integers[0]);
            const double expected = number * static_cast<double>(k) * weight *
                                    (kind.extra == Extra::kProducts ? static_cast<double>(multipliers[0]) : 1.0) *
                                    static_cast<double>(w.packed.scales[i % n]);
            CHECK(std::fabs(static_cast<double>(out[static_cast<size_t>(i)]) - expected) <= 0x1p-21 * expected);
          }
        }
      }
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
  RUN(TheReferenceIsRight);
  RUN(EveryTableGivesTheBitsOfTheReference);
  RUN(LargeProductsAreRight);
  RUN(RowsDoNotDependOnTheirCompany);
  RUN(EpiloguesAreRightInEveryDtype);
  RUN(ANanStaysInItsRow);
  RUN(SumsOfTheLargestProductsDoNotOverflow);
  return 0;
}
