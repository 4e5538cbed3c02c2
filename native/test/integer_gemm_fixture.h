#pragma once
// Weights of integers and rows of numbers, in plain form and as kernels take them.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "aligned.h"
#include "check.h"
#include "floats.h"
#include "kernels/convert.h"
#include "kernels/dispatch.h"
#include "kernels/group_numbers.h"
#include "kernels/pack.h"
#include "kernels/pack_integers.h"
#include "random.h"

namespace atb::kernels {

constexpr WeightFormat kFormats[] = {WeightFormat::kI8, WeightFormat::kI4, WeightFormat::kE2M1};

/// What a weight of integers has beside scales of its groups.
enum class Extra {
  kNone,
  kProducts,   ///< Scales are those of outputs times multipliers.
  kOffsets,    ///< Weights are scale * (integer + offset).
  kExponents,  ///< Scales are powers of two.
  kHalves,     ///< Scales are f16, and there are minimums that are.
  kSteps,      ///< Scales, and minimums, are f16 times steps.
  kMinimums,   ///< Floats beside minimums that are.
};
constexpr bool HasMinimums(Extra extra) { return extra >= Extra::kHalves; }

/// Random integers, or codes, of a format and their scales, row-major and packed.
struct Weight {
  Weight(WeightFormat format, int64_t n, int64_t k, int64_t group, bool interleaved = false, Extra extra = Extra::kNone)
      : packed(PackedGeometry(format, n, k, interleaved)),
        groups(GroupsOf(k, group)),
        integers(static_cast<size_t>(n * k)),
        scales(static_cast<size_t>(n * groups)),
        offsets(scales.size()),
        minimums(scales.size()),
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
      if (extra == Extra::kHalves) scales[i] = F16ToF32(F32ToF16(scales[i]));
      if (HasMinimums(extra)) minimums[i] = 0x1p-10f * static_cast<float>(static_cast<int>(rng() % 64) - 10);
      if (extra == Extra::kMinimums) minimums[i] *= 1.0001f;
      if (extra != Extra::kSteps) continue;
      // As blocks of GGUF have it: the largest step need not be 63.
      const auto half = static_cast<float>(1 + (row * 7 + g / kStepGroups) % 50);
      scales[i] = 0x1.8p-14f * half * static_cast<float>(static_cast<int>(rng() % 64) - (row % 3 == 0 ? 20 : 0));
      minimums[i] = 0x1p-13f * half * static_cast<float>(rng() % 50);
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
    if (HasMinimums(extra)) AddMinimums(interleaved, extra);
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
    const int half = has_minimums && packed.format == WeightFormat::kI4 ? kHalfOfInt4 : 0;
    return static_cast<double>(static_cast<float>(integer + half) + offsets[at]) * static_cast<double>(scales[at]) -
           static_cast<double>(minimums[at]);
  }
  /// How large what is summed may be: integers and offsets are multiplied one by one.
  double Magnitude(int64_t row, int64_t i) const {
    const auto at = static_cast<size_t>(row * groups + (packed.group ? i / packed.group : 0));
    const double half = has_minimums ? 2 * kHalfOfInt4 : 0;
    return std::fabs(At(row, i)) + std::fabs(static_cast<double>(minimums[at])) +
           2 * std::fabs((half + static_cast<double>(offsets[at])) * static_cast<double>(scales[at]));
  }
  void AddOffsets(bool interleaved) {
    std::mt19937 rng(5);
    const int most = MostOffset(packed.format);
    for (float& offset : offsets)
      offset = static_cast<float>(static_cast<int>(rng() % static_cast<unsigned>(2 * most + 1)) - most);
    PackedScales order = ScalesGeometry(packed.n, groups, interleaved), found{};
    Aligned floats(ScalesBytes(order));
    order.data = reinterpret_cast<float*>(floats.data);
    PackScales(order, reinterpret_cast<float*>(floats.data), 0, packed.n, offsets.data(), groups);
    offset_memory = std::make_unique<Aligned>(OffsetBytes(order));
    CHECK(PackOffsets(order, most, offset_memory->data, found));
    packed.offsets = found.offsets;
  }

  void AddMinimums(bool interleaved, Extra extra) {
    has_minimums = true;
    const PackedScales order = ScalesGeometry(packed.n, groups, interleaved);
    const bool has_steps = extra == Extra::kSteps;
    const auto short_numbers = [&](const std::vector<float>& numbers, std::unique_ptr<Aligned>& to) {
      to = std::make_unique<Aligned>(ShortBytes(order, has_steps));
      CHECK(PackShorts(order, has_steps, to->data, 0, packed.n, numbers.data(), groups));
      return ShortsAt(order, has_steps, to->data);
    };
    if (extra == Extra::kMinimums) {
      offset_memory = std::make_unique<Aligned>(ScalesBytes(order));
      packed.minimums.floats = reinterpret_cast<const float*>(offset_memory->data);
      PackScales(order, reinterpret_cast<float*>(offset_memory->data), 0, packed.n, minimums.data(), groups);
      return;
    }
    packed.scales = nullptr;
    packed.short_scales = short_numbers(scales, product_memory);
    packed.minimums = short_numbers(minimums, offset_memory);
  }

  PackedWeight packed;
  int64_t groups;
  std::vector<int8_t> integers;
  std::vector<float> scales;
  std::vector<float> offsets;   ///< Zeros where there are none.
  std::vector<float> minimums;  ///< Likewise.
  bool has_minimums = false;
  Aligned memory, scale_memory;
  std::unique_ptr<Aligned> product_memory, offset_memory;
};

/// A format, the channels of its groups, and what there is beside their scales.
struct Kind {
  WeightFormat format;
  int64_t group;
  Extra extra = Extra::kNone;
};
constexpr Kind kKinds[] = {{WeightFormat::kI8, 0},
                           {WeightFormat::kI8, 32},
                           {WeightFormat::kI8, 96},
                           {WeightFormat::kI4, 0},
                           {WeightFormat::kI4, 32},
                           {WeightFormat::kI4, 96},
                           {WeightFormat::kI4, 128},
                           {WeightFormat::kI4, 32, Extra::kProducts},
                           {WeightFormat::kI4, 64, Extra::kProducts},
                           {WeightFormat::kI4, 160, Extra::kProducts},
                           {WeightFormat::kI4, 32, Extra::kOffsets},
                           {WeightFormat::kI4, 128, Extra::kOffsets},
                           {WeightFormat::kI4, 0, Extra::kOffsets},
                           {WeightFormat::kI8, 96, Extra::kOffsets},
                           {WeightFormat::kI8, 0, Extra::kOffsets},
                           {WeightFormat::kI4, 32, Extra::kHalves},
                           {WeightFormat::kI4, 32, Extra::kSteps},
                           {WeightFormat::kI4, 64, Extra::kMinimums},
                           {WeightFormat::kI8, 32, Extra::kHalves},
                           {WeightFormat::kI8, 32, Extra::kSteps},
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

}  // namespace atb::kernels
