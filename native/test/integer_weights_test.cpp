// Loading weights of integers: out of floats, which are rounded, and out of integers with their scales; and copying
// them back out.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <string>

#include "base/error.h"
#include "check.h"
#include "floats.h"
#include "kernels/convert.h"
#include "kernels/dispatch.h"
#include "kernels/pack.h"
#include "kernels/pack_integers.h"
#include "temporary_folder.h"
#include "throws.h"
#include "weights/load.h"
#include "weights/row_major.h"

namespace atb {
namespace {

using kernels::LoadFloat;
using kernels::StoreFloat;

constexpr Activations kFloat = Activations::kFloat, kInt8 = Activations::kInt8;
/// Numbers whose rows and groups have different sizes; one row and one group are all zeros.
std::vector<std::byte> Numbers(DType dtype, int64_t n, int64_t k) {
  std::vector<std::byte> bytes(static_cast<size_t>(n * k) * SizeOf(dtype));
  uint32_t seed = 7;
  for (int64_t i = 0; i < n * k; ++i) {
    seed = seed * 1664525u + 1013904223u;
    const int64_t row = i / k, channel = i % k;
    const float size =
        row == n / 2 || channel / 32 == 1 ? 0.0f : 0.01f * static_cast<float>(1 + row % 5 + channel / 32);
    StoreFloat(bytes.data(), dtype, i, static_cast<float>(static_cast<int32_t>(seed)) * 0x1p-31f * size);
  }
  return bytes;
}

std::atomic<int64_t> meter{0};

using Tensors = std::map<std::string, std::shared_ptr<const StoredTensor>>;

Tensors Load(const std::vector<WeightLoad>& loads, const kernels::KernelTable& kernels = kernels::Select(),
             int threads = 2) {
  static const std::atomic<bool> never{false};
  ThreadPool pool(threads);
  Tensors tensors;
  for (const LoadedWeight& weight : LoadWeights(loads, {pool, kernels, &meter, never, {}}))
    tensors[weight.name] = weight.stored;
  return tensors;
}

std::vector<std::byte> Export(const Tensor& tensor) {
  ThreadPool pool(2);
  std::vector<std::byte> bytes(RowMajorDesc(tensor.desc).Bytes());
  CopyRowMajor(tensor, bytes.data(), pool);
  return bytes;
}

/// What quantising by the definition gives: integers [n, k] and scales [n, groups].
struct Expected {
  Expected(const std::vector<std::byte>& floats, DType dtype, int64_t n, int64_t k, int bits, int64_t group)
      : integers(static_cast<size_t>(n * k)) {
    const int64_t channels = group ? group : k;
    for (int64_t row = 0; row < n; ++row) {
      if (bits == 4) {
        std::vector<float> values(static_cast<size_t>(k));
        for (int64_t i = 0; i < k; ++i) values[static_cast<size_t>(i)] = LoadFloat(floats.data(), dtype, row * k + i);
        std::vector<int8_t> multipliers(static_cast<size_t>((k + channels - 1) / channels));
        const float scale =
            kernels::Select("reference")
                .quantize_int4(values.data(), k, channels, &integers[static_cast<size_t>(row * k)], multipliers.data());
        for (int8_t m : multipliers) scales.push_back(scale * static_cast<float>(m));
        continue;
      }
      for (int64_t first = 0; first < k; first += channels) {
        const int64_t count = std::min(channels, k - first);
        std::vector<float> values(static_cast<size_t>(count));
        float max = 0;
        for (int64_t i = 0; i < count; ++i) {
          values[static_cast<size_t>(i)] = LoadFloat(floats.data(), dtype, row * k + first + i);
          max = std::max(max, std::fabs(values[static_cast<size_t>(i)]));
        }
        int8_t* to = &integers[static_cast<size_t>(row * k + first)];
        scales.push_back(max / 127);
        for (int64_t i = 0; i < count; ++i)
          to[i] =
              max == 0 ? int8_t{0} : static_cast<int8_t>(std::nearbyint(values[static_cast<size_t>(i)] / (max / 127)));
      }
    }
  }
  std::vector<int8_t> integers;
  std::vector<float> scales;
};

/// Integers as files and exports have them.
std::vector<std::byte> Stored(const std::vector<int8_t>& integers, int bits) {
  std::vector<std::byte> bytes(integers.size() / static_cast<size_t>(8 / bits));
  if (bits == 4) kernels::CompressInt4(integers.data(), static_cast<int64_t>(integers.size()), bytes.data());
  if (bits == 8) std::memcpy(bytes.data(), integers.data(), bytes.size());
  return bytes;
}

void CheckWeight(const Tensors& tensors, const Expected& expected, int64_t n, int64_t k, int bits, int64_t group,
                 bool interleaved) {
  const StoredTensor& weight = *tensors.at("w");
  const int64_t groups = kernels::GroupsOf(k, group);
  CHECK(weight.tensor.desc.layout == Layout::kPackedLinear && weight.tensor.desc.dtype == DType::kI8);
  CHECK(weight.tensor.desc.SameShape(TensorDesc(DType::kI8, {n, k / (8 / bits)})));
  CHECK(weight.packed.interleaved == interleaved && weight.packed.k == k && weight.packed.group == group);
  std::vector<int8_t> row(static_cast<size_t>(k));
  for (int64_t r = 0; r < n; ++r) {
    kernels::UnpackIntegers(weight.packed, r, row.data());
    CHECK(std::memcmp(row.data(), &expected.integers[static_cast<size_t>(r * k)], row.size()) == 0);
  }
  // Padding is zero, so that the bytes are the same whatever the pieces were.
  std::vector<std::byte> whole(weight.bytes.size());
  kernels::PackRows(weight.packed, whole.data(), 0, n, {expected.integers.data(), DType::kI8, k});
  CHECK(std::memcmp(whole.data(), weight.bytes.data(), whole.size()) == 0);

  const StoredTensor& scales = *tensors.at("s");
  CHECK(scales.tensor.desc.dtype == DType::kF32);
  CHECK(scales.tensor.desc.layout == (group ? Layout::kPackedScales : Layout::kRowMajor));
  CHECK(scales.tensor.desc.SameShape(TensorDesc(DType::kF32, {n, groups})));
  if (group) CHECK(scales.scales.interleaved == interleaved && scales.scales.groups == groups && scales.scales.n == n);
  CHECK((scales.scales.multipliers != nullptr) == (group && bits == 4));
  const std::vector<std::byte> exported = Export(scales.tensor);
  CHECK(std::memcmp(exported.data(), expected.scales.data(), exported.size()) == 0);
  CHECK(exported.size() == expected.scales.size() * 4);
  CHECK(Export(weight.tensor) == Stored(expected.integers, bits));
}

WeightLayout LayoutOf(bool interleaved) {
  return interleaved ? WeightLayout::kLinearInterleaved : WeightLayout::kLinear;
}

void FloatsAreRoundedWhileTheyArePacked() {
  const TemporaryFolder folder;
  for (DType dtype : kFloats) {
    for (int bits : {8, 4}) {
      for (int64_t group : {0, 32, 96}) {
        for (int64_t k : {2, 64, 98, 226}) {
          const int64_t n = 46;
          const auto floats = Numbers(dtype, n, k);
          const std::string file = folder.Write("w", floats);
          const Expected expected(floats, dtype, n, k, bits, group);
          for (bool interleaved : {false, true}) {
            WeightLoad load{"w", dtype, {n, k}, LayoutOf(interleaved), {}, WeightQuantize{bits, group, kFloat, "s"}};
            int64_t first = 0;
            for (int64_t rows : {17, 6, 23}) {  // The halves of an interleaved one are 23 rows.
              load.parts.push_back({file, first * k * static_cast<int64_t>(SizeOf(dtype)), dtype, {rows, k}});
              first += rows;
            }
            for (const kernels::KernelTable* table : kernels::Available())
              CheckWeight(Load({load}, *table, 3), expected, n, k, bits, group, interleaved);
          }
        }
      }
    }
  }
}

void SeveralPiecesAreOneWeight() {
  const TemporaryFolder folder;
  const int64_t n = 700, k = 2080;  // 5 MB in several pieces, and parts of two dtypes.
  const auto floats = Numbers(DType::kF32, n, k);
  std::vector<std::byte> both(floats);
  const std::string file = folder.Write("w", floats);
  for (int64_t i = 0; i < n * k; ++i)
    StoreFloat(both.data(), DType::kF32, i,
               i < 300 * k ? LoadFloat(floats.data(), DType::kF32, i)
                           : kernels::Bf16ToF32(kernels::F32ToBf16(LoadFloat(floats.data(), DType::kF32, i))));
  std::vector<std::byte> halves(static_cast<size_t>(400 * k * 2));
  for (int64_t i = 0; i < 400 * k; ++i)
    StoreFloat(halves.data(), DType::kBF16, i, LoadFloat(floats.data(), DType::kF32, 300 * k + i));
  const std::string other = folder.Write("h", halves);
  for (int bits : {8, 4}) {
    const Expected expected(both, DType::kF32, n, k, bits, 128);
    const int64_t held = meter;
    {
      const Tensors tensors = Load({{"w",
                                     DType::kI8,
                                     {n, k},
                                     WeightLayout::kLinear,
                                     {{file, 0, DType::kF32, {300, k}}, {other, 0, DType::kBF16, {400, k}}},
                                     WeightQuantize{bits, 128, kFloat, "s"}}});
      CheckWeight(tensors, expected, n, k, bits, 128, false);
      // What stays is the packed integers and the scales.
      const int64_t scales = bits == 4 ? 2816 + 44 * 16 * 17 : 44 * 16 * 17 * 4;
      CHECK(meter - held == 44 * 16 * 2112 * bits / 8 + scales);
    }
    CHECK(meter == held);
  }
}

void StoredIntegersComeWithTheirScales() {
  const TemporaryFolder folder;
  for (int bits : {8, 4}) {
    for (int64_t group : {0, 64}) {
      for (bool interleaved : {false, true}) {
        const int64_t n = 46, k = 130, groups = kernels::GroupsOf(k, group);
        const auto floats = Numbers(DType::kF32, n, k);
        const Expected expected(floats, DType::kF32, n, k, bits, group);
        const std::string file = folder.Write("q", Stored(expected.integers, bits));
        const std::string scale_file = folder.Write("s", expected.scales);
        const int64_t columns = k / (8 / bits);
        for (DType dtype : {DType::kI8, DType::kU8}) {
          WeightLoad weight{
              "w", DType::kI8, {n, columns}, LayoutOf(interleaved), {}, WeightQuantize{bits, group, kFloat, "s"}};
          weight.parts = {{file, 0, dtype, {20, columns}}, {file, 20 * columns, dtype, {26, columns}}};
          WeightLoad scales{
              "s", DType::kF32, {n, groups}, WeightLayout::kPlain, {{scale_file, 0, DType::kF32, {n, groups}}}, {}};
          CheckWeight(Load({weight, scales}), expected, n, k, bits, group, interleaved);
          CheckWeight(Load({scales, weight}), expected, n, k, bits, group, interleaved);
        }
      }
    }
  }
}

/// Codes of 8 and 4 bits with scales of e4m3's kind (f32) and of e2m1's (a byte, the exponent of a power of two).
void SmallFloatsComeWithTheirScales() {
  const TemporaryFolder folder;
  const int64_t n = 46, k = 130;
  for (int bits : {8, 4}) {
    for (int spread : {2, 9}) {
      const int64_t columns = bits == 8 ? k : k / 2, group = bits == 8 ? 64 : 32, groups = kernels::GroupsOf(k, group);
      std::vector<uint8_t> codes(static_cast<size_t>(n * columns)), exponents(static_cast<size_t>(n * groups));
      for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<uint8_t>(i * 37 % 126);
      for (size_t i = 0; i < exponents.size(); ++i)
        exponents[i] = static_cast<uint8_t>(115 + static_cast<int>(i * 5) % spread);
      const std::string file = folder.Write("q", codes), scale_file = folder.Write("s", exponents);
      WeightQuantize quantize{bits, group, kFloat, "s"};
      quantize.numbers = kernels::WeightNumbers::kFloats;
      const DType dtype = bits == 8 ? DType::kE4M3 : DType::kU8;
      const WeightLoad weight{
          "w", DType::kI8, {n, columns}, WeightLayout::kLinear, {{file, 0, dtype, {n, columns}}}, quantize};
      const WeightLoad scales{
          "s", DType::kF32, {n, groups}, WeightLayout::kPlain, {{scale_file, 0, DType::kE8M0, {n, groups}}}, {}};
      const Tensors tensors = Load({weight, scales});
      const std::vector<std::byte> out = Export(tensors.at("w")->tensor), got = Export(tensors.at("s")->tensor);
      CHECK(std::memcmp(out.data(), codes.data(), codes.size()) == 0);
      for (size_t i = 0; i < exponents.size(); ++i) {
        float scale = 0;
        std::memcpy(&scale, &got[i * 4], 4);
        CHECK(scale == std::ldexp(1.0f, exponents[i] - 127));
      }
      const kernels::PackedScales& kept = tensors.at("s")->scales;
      CHECK((kept.multipliers != nullptr) == (bits == 4 && spread == 2));
      CHECK((kept.exponents != nullptr) == (bits == 4 && spread == 9));

      exponents[7] = 0xFF;  // NaN
      folder.Write("s", exponents);
      CheckThrows("NATIVE_VALUE_OUT_OF_RANGE", [&] { Load({weight, scales}); });
      exponents[7] = 100;
      folder.Write("s", exponents);
      codes[99] = 0xFF;
      folder.Write("q", codes);
      if (bits == 8) CheckThrows("NATIVE_VALUE_OUT_OF_RANGE", [&] { Load({weight, scales}); });
      WeightLoad wrong = weight;
      wrong.parts[0].dtype = bits == 8 ? DType::kU8 : DType::kE4M3;
      CheckThrows("NATIVE_ARGUMENT_INVALID", [&] { Load({wrong, scales}); });
    }
  }
}

/// An int4 and its offset are multiplied as one byte.
void OffsetsAreWholeNumbersThatFit() {
  const TemporaryFolder folder;
  for (const auto& [bits, most] : {std::pair(8, 256.0f), std::pair(4, 112.0f)}) {
    const int64_t columns = bits == 8 ? 32 : 16;
    const std::vector<int8_t> bytes(static_cast<size_t>(16 * columns), 0x17);
    const std::string file = folder.Write("q", bytes), scale_file = folder.Write("s", std::vector<float>(16, 1.0f));
    WeightQuantize quantize{bits, 0, kFloat, "s"};
    quantize.offset_name = "o";
    const auto load = [&](float offset) {
      std::vector<float> offsets(16, -most);
      offsets[5] = offset;
      const std::string offset_file = folder.Write("o", offsets);
      const auto vector = [](const char* name, const std::string& from) {
        return WeightLoad{name, DType::kF32, {16, 1}, WeightLayout::kPlain, {{from, 0, DType::kF32, {16, 1}}}, {}};
      };
      const WeightLoad weight{
          "w", DType::kI8, {16, columns}, WeightLayout::kLinear, {{file, 0, DType::kI8, {16, columns}}}, quantize};
      return Load({weight, vector("s", scale_file), vector("o", offset_file)});
    };
    const Tensors tensors = load(most);
    CHECK(kernels::ScaleOf(tensors.at("o")->scales, 5, 0) == most &&
          kernels::ScaleOf(tensors.at("o")->scales, 6, 0) == -most);
    for (float offset : {most + 1, -most - 1, 0.5f, std::nanf("")})
      CheckThrows("NATIVE_VALUE_OUT_OF_RANGE", [&] { load(offset); });
  }
}

/// What only files have becomes an ordinary float.
void SmallFloatsAreWidened() {
  const TemporaryFolder folder;
  std::vector<uint8_t> codes(256);
  for (size_t i = 0; i < 256; ++i) codes[i] = static_cast<uint8_t>(i);
  const std::string file = folder.Write("c", codes);
  for (DType dtype : {DType::kE4M3, DType::kE8M0}) {
    const Tensors tensors = Load({{"w", DType::kF32, {256}, WeightLayout::kPlain, {{file, 0, dtype, {256}}}, {}}});
    const auto* values = tensors.at("w")->tensor.As<const float>();
    for (int i = 0; i < 256; ++i) {
      const bool is_nan = dtype == DType::kE8M0 ? i == 255 : i % 128 == 127;
      const float expected =
          dtype == DType::kE8M0 ? std::ldexp(1.0f, i - 127) : kernels::E4M3ToF32(static_cast<uint8_t>(i));
      CHECK(is_nan ? std::isnan(values[i]) : values[i] == expected);
    }
  }
}

void ScalesThatAreNoProductsStayAsTheyAre() {
  const TemporaryFolder folder;
  const std::vector<int8_t> bytes(16 * 32, 0x17);
  std::vector<float> scales(16 * 2, 1.0f);
  scales[5] = 0.7310585f;
  const std::string file = folder.Write("q", bytes), scale_file = folder.Write("s", scales);
  const Tensors tensors =
      Load({{"w",
             DType::kI8,
             {16, 32},
             WeightLayout::kLinear,
             {{file, 0, DType::kI8, {16, 32}}},
             WeightQuantize{4, 32, kFloat, "s"}},
            {"s", DType::kF32, {16, 2}, WeightLayout::kPlain, {{scale_file, 0, DType::kF32, {16, 2}}}, {}}});
  CHECK(tensors.at("s")->scales.multipliers == nullptr);
  const std::vector<std::byte> exported = Export(tensors.at("s")->tensor);
  CHECK(std::memcmp(exported.data(), scales.data(), exported.size()) == 0);
}

void WhatDoesNotFitIsRefused() {
  const TemporaryFolder folder;
  const std::string file = folder.Write("w", Numbers(DType::kF32, 8, 64));
  const auto load = [&](const WeightQuantize& quantize, std::vector<int64_t> shape = {8, 64}, DType part = DType::kF32,
                        WeightLayout layout = WeightLayout::kLinear) {
    Load({{"w", DType::kF32, shape, layout, {{file, 0, part, shape}}, quantize}});
  };
  load({8, 0, kInt8, "s"});
  load({4, 32, kFloat, "s"});
  load({4, 32, kInt8, "s"});
  for (int bits : {0, 5, 16}) CheckThrows("NATIVE_ARGUMENT_INVALID", [&] { load({bits, 0, kFloat, "s"}); });
  for (int64_t group : {-32, 1, 33, 2048})
    CheckThrows("NATIVE_ARGUMENT_INVALID", [&] { load({8, group, kFloat, "s"}); });
  CheckThrows("NATIVE_ARGUMENT_INVALID", [&] { load({8, 32, kInt8, "s"}); });
  CheckThrows("NATIVE_ARGUMENT_INVALID", [&] { load({8, 0, kFloat, ""}); });
  CheckThrows("NATIVE_ARGUMENT_INVALID", [&] { load({8, 0, kFloat, "w"}); });
  CheckThrows("NATIVE_ARGUMENT_INVALID",
              [&] { load({8, 0, kFloat, "s"}, {8, 64}, DType::kF32, WeightLayout::kPlain); });
  CheckThrows("NATIVE_SHAPE_MISMATCH", [&] { load({4, 0, kFloat, "s"}, {8, 63}); });
  CheckThrows("NATIVE_SHAPE_MISMATCH", [&] { load({8, 0, kFloat, "s"}, {512}); });
  CheckThrows("NATIVE_SHAPE_MISMATCH", [&] { load({8, 0, kFloat, "s"}, {0, 64}); });
  CheckThrows("NATIVE_SHAPE_MISMATCH",
              [&] { load({8, 0, kFloat, "s"}, {7, 64}, DType::kF32, WeightLayout::kLinearInterleaved); });
  CheckThrows("NATIVE_DTYPE_MISMATCH", [&] { load({8, 0, kFloat, "s"}, {8, 64}, DType::kI32); });
  // Integers without scales, or with others'.
  CheckThrows("NATIVE_ARGUMENT_INVALID", [&] { load({8, 0, kFloat, "s"}, {8, 64}, DType::kI8); });
  const auto with = [&](const WeightLoad& scales, int64_t group = 32) {
    Load({{"w",
           DType::kI8,
           {8, 64},
           WeightLayout::kLinear,
           {{file, 0, DType::kI8, {8, 64}}},
           WeightQuantize{8, group, kFloat, "s"}},
          scales});
  };
  with({"s", DType::kF32, {8, 2}, WeightLayout::kPlain, {{file, 0, DType::kF32, {8, 2}}}, {}});
  with({"s", DType::kF32, {8}, WeightLayout::kPlain, {{file, 0, DType::kBF16, {8}}}, {}}, 0);
  CheckThrows("NATIVE_SHAPE_MISMATCH",
              [&] { with({"s", DType::kF32, {2, 8}, WeightLayout::kPlain, {{file, 0, DType::kF32, {2, 8}}}, {}}); });
  CheckThrows("NATIVE_SHAPE_MISMATCH",
              [&] { with({"s", DType::kF32, {8}, WeightLayout::kPlain, {{file, 0, DType::kF32, {8}}}, {}}); });
  CheckThrows("NATIVE_DTYPE_MISMATCH",
              [&] { with({"s", DType::kBF16, {8, 2}, WeightLayout::kPlain, {{file, 0, DType::kBF16, {8, 2}}}, {}}); });
  CheckThrows("NATIVE_DTYPE_MISMATCH",
              [&] { with({"s", DType::kF32, {8, 2}, WeightLayout::kLinear, {{file, 0, DType::kF32, {8, 2}}}, {}}); });
  // Names that would be lost.
  const WeightLoad first{"w",
                         DType::kF32,
                         {8, 64},
                         WeightLayout::kLinear,
                         {{file, 0, DType::kF32, {8, 64}}},
                         WeightQuantize{8, 0, kFloat, "s"}};
  WeightLoad second = first;
  second.name = "v";
  CheckThrows("NATIVE_ARGUMENT_INVALID", [&] { Load({first, second}); });
  second.quantize->scale_name = "w";
  CheckThrows("NATIVE_ARGUMENT_INVALID", [&] { Load({first, second}); });
}

void FloatWeightsAreCopiedOutToo() {
  const TemporaryFolder folder;
  for (DType dtype : kFloats) {
    const auto floats = Numbers(dtype, 34, 50);
    const std::string file = folder.Write("w", floats);
    const auto load = [&](WeightLayout layout) {
      return Export(Load({{"w", dtype, {34, 50}, layout, {{file, 0, dtype, {34, 50}}}, {}}}).at("w")->tensor);
    };
    for (WeightLayout layout : {WeightLayout::kPlain, WeightLayout::kLinear, WeightLayout::kLinearInterleaved})
      CHECK(load(layout) == floats);
  }
  TensorDesc cache(DType::kF32, {1, 32, 1, 8});
  cache.layout = Layout::kKeyCache;
  CheckThrows("NATIVE_LAYOUT_MISMATCH", [&] { RowMajorDesc(cache); });
}

}  // namespace
}  // namespace atb

int main() {
  using namespace atb;
  RUN(FloatsAreRoundedWhileTheyArePacked);
  RUN(SeveralPiecesAreOneWeight);
  RUN(StoredIntegersComeWithTheirScales);
  RUN(SmallFloatsComeWithTheirScales);
  RUN(OffsetsAreWholeNumbersThatFit);
  RUN(SmallFloatsAreWidened);
  RUN(ScalesThatAreNoProductsStayAsTheyAre);
  RUN(WhatDoesNotFitIsRefused);
  RUN(FloatWeightsAreCopiedOutToo);
  return 0;
}
