#include "stored_tensors.h"

#include <unistd.h>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <memory>

#include "cache/kv_cache.h"
#include "ops/check.h"

namespace atb::fuzz {
namespace {

using Sizes = std::vector<int64_t>;
using Source = Form::Source;

constexpr DType kFloats[] = {DType::kF32, DType::kBF16, DType::kF16};

/// What tensors are read from, one section behind the other.
constexpr int64_t kFloatsAt = 0, kCodesAt = 1 << 16, kNumbersAt = kCodesAt + (1 << 14), kNumberBytes = 1 << 13;

/// The sections of f32 numbers.
enum Numbers { kAny, kProducts, kPowers, kOffsets, kSections };

int64_t At(Numbers section) { return kNumbersAt + section * kNumberBytes; }

float NumberOf(Numbers section, int i) {
  switch (section) {
    case kAny:
      return 0.01f * static_cast<float>(1 + i % 7) / 3;
    case kProducts:
      return 0.125f * static_cast<float>(1 + i % 3);
    case kPowers:
      return std::ldexp(1.0f, i % 2 * 10 - 5 + i % 7);
    default:
      return static_cast<float>(i % 9 - 4);
  }
}

void WriteFile(const std::filesystem::path& path) {
  std::ofstream out(path, std::ios::binary);
  // Ordinary numbers in every float dtype: the byte that holds the exponent repeats.
  for (int64_t i = kFloatsAt; i < kCodesAt; ++i) out.put(static_cast<char>(i % 2 ? 0x3c + i / 64 % 3 : i * 37));
  // Codes, none of which is e4m3's NaN.
  for (int64_t i = kCodesAt; i < kNumbersAt; ++i) out.put(static_cast<char>(i * 37 & 0xF7));
  for (int section = 0; section < kSections; ++section) {
    for (int i = 0; i < kNumberBytes / 4; ++i) {
      const float number = NumberOf(static_cast<Numbers>(section), i);
      out.write(reinterpret_cast<const char*>(&number), sizeof number);
    }
  }
}

WeightLoad LoadOf(const std::string& file, const std::string& name, DType dtype, const Sizes& shape,
                  WeightLayout layout, int64_t offset) {
  WeightPart part;
  part.file = file;
  part.offset = offset;
  part.dtype = dtype;
  part.shape = shape;
  WeightLoad load;
  load.name = name;
  load.dtype = dtype;
  load.shape = shape;
  load.layout = layout;
  load.parts.push_back(std::move(part));
  return load;
}

/// The loads of a weight [.., n, k] in a form: itself, and the scales and offsets that are stored with it. Stacks come
/// matrix by matrix.
std::vector<WeightLoad> LoadsOf(const std::string& file, const std::string& prefix, const Sizes& shape,
                                WeightLayout layout, const Form& form) {
  const std::string name = prefix + form.name;
  WeightQuantize quantize{form.bits, form.group, Activations::kFloat, name + "_scales"};
  if (form.source == Source::kRounded) {
    WeightLoad load = LoadOf(file, name, DType::kBF16, shape, layout, kFloatsAt);
    load.quantize = quantize;
    return {load};
  }
  const int64_t n = shape[shape.size() - 2], k = shape.back(), per_word = 32 / form.bits;
  const int64_t experts = shape.size() == 3 ? shape[0] : 1;
  quantize.numbers = form.numbers;
  if (form.HasOffsets()) quantize.offset_name = name + "_offsets";
  const bool is_few = form.numbers == kernels::WeightNumbers::kFloats;
  const DType dtype = is_few && form.bits == 8 ? DType::kE4M3 : is_few ? DType::kU8 : DType::kI8;
  Sizes bytes = shape;
  if (!form.HasOffsets()) bytes.back() = k * form.bits / 8;
  WeightLoad weight = LoadOf(file, name, dtype, bytes, layout, kCodesAt);
  weight.quantize = quantize;
  WeightPart& part = weight.parts.front();
  part.shape = {n, bytes.back()};
  if (form.HasOffsets()) {
    const bool awq = form.source == Source::kAwqWords;
    part.dtype = DType::kI32;
    part.shape = awq ? Sizes{k, n / per_word} : Sizes{k / per_word, n};
    part.transposed = true;
    part.words = PackedWords{form.bits, awq ? 1 : 0, awq ? n : k, form.bits == 8 ? 128 : 8, awq};
  }
  weight.parts.resize(static_cast<size_t>(experts), WeightPart(part));
  Sizes groups = shape;
  groups.back() = kernels::GroupsOf(k, form.group);
  const Numbers section = form.source == Source::kPowers     ? kPowers
                          : form.source == Source::kProducts ? kProducts
                                                             : kAny;
  const auto numbers = [&](const std::string& of, Numbers which) {
    return LoadOf(file, of, DType::kF32, groups, WeightLayout::kPlain, At(which));
  };
  std::vector<WeightLoad> loads = {weight, numbers(quantize.scale_name, section)};
  if (form.HasOffsets()) loads.push_back(numbers(quantize.offset_name, kOffsets));
  return loads;
}

/// Every weight, in every layout.
std::vector<WeightLoad> AllLoads(const std::string& file) {
  struct Shape {
    const char* prefix;
    Sizes sizes;
    WeightLayout layout;
  };
  constexpr WeightLayout kLinear = WeightLayout::kLinear, kInterleaved = WeightLayout::kLinearInterleaved;
  std::vector<WeightLoad> loads;
  for (const auto& [prefix, shape, layout] :
       {Shape{"linear_", {kRows, kChannels}, kLinear},
        Shape{"interleaved_", {kInterleavedRows, kChannels}, kInterleaved},
        Shape{"experts_", {kExperts, kRows, kExpertWidth}, kLinear},
        Shape{"interleaved_experts_", {kExperts, kInterleavedRows, kChannels}, kInterleaved}}) {
    for (DType dtype : kFloats)
      loads.push_back(LoadOf(file, std::string(prefix) + NameOf(dtype), dtype, shape, layout, 0));
    for (const Form& form : Forms()) {
      for (WeightLoad& load : LoadsOf(file, prefix, shape, layout, form)) loads.push_back(std::move(load));
    }
  }
  return loads;
}

}  // namespace

const char* NameOf(DType dtype) { return dtype == DType::kF32 ? "f32" : dtype == DType::kF16 ? "f16" : "bf16"; }

const std::vector<Form>& Forms() {
  constexpr kernels::WeightNumbers kFew = kernels::WeightNumbers::kFloats;
  static const std::vector<Form> forms = {
      {"w8", 8, 0, Source::kRounded},
      {"w8_g32", 8, 32, Source::kRounded},
      {"w4", 4, 0, Source::kRounded},
      {"w4_g32", 4, 32, Source::kRounded},
      {"stored_w8", 8, 0, Source::kStored},
      {"stored_w8_g32", 8, 32, Source::kStored},
      {"stored_w4", 4, 0, Source::kStored},
      {"stored_w4_g32", 4, 32, Source::kStored},
      {"words_w8", 8, 0, Source::kWords},
      {"words_w8_g32", 8, 32, Source::kWords},
      {"words_w4", 4, 0, Source::kWords},
      {"words_w4_g32", 4, 32, Source::kWords},
      {"awq_w4_g32", 4, 32, Source::kAwqWords},
      {"e4m3", 8, 0, Source::kStored, kFew},
      {"e4m3_g32", 8, 32, Source::kStored, kFew},
      {"e2m1", 4, 0, Source::kStored, kFew},
      {"e2m1_g16", 4, 16, Source::kStored, kFew},
      {"e2m1_g32", 4, 32, Source::kStored, kFew},
      {"e2m1_products", 4, 32, Source::kProducts, kFew},
      {"e2m1_powers", 4, 32, Source::kPowers, kFew},
  };
  return forms;
}

void LoadTensors(Engine& engine) {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("atb-fuzz-weights-" + std::to_string(getpid()));
  WriteFile(file);
  engine.Load(AllLoads(file.string()), nullptr, {}, std::atomic<bool>(false));
  std::filesystem::remove(file);
  for (const auto& [name, dtype] : {std::pair{"f32", DType::kF32}, std::pair{"f16", DType::kF16},
                                    std::pair{"bf16", DType::kBF16}, std::pair{"i8", DType::kI8}}) {
    const std::string keys = std::string("keys_") + name, values = std::string("values_") + name,
                      latent = std::string("latent_") + name;
    const auto cache = std::make_shared<const KvCache>(KvCacheOptions{
        kBlocks,
        kBlockSize,
        dtype,
        {{keys, values, kKvHeads, kHeadDim, kHeadDim}, {latent, std::nullopt, 1, kLatentKey, kHeadDim}}});
    engine.Put(keys, {cache->Keys(0), cache});
    engine.Put(values, {cache->Values(0), cache});
    engine.Put(latent, {cache->Keys(1), cache});
  }
}

std::vector<std::string> TensorNames() {
  std::vector<std::string> names;
  for (const WeightLoad& load : AllLoads("")) {
    names.push_back(load.name);
    if (load.quantize && IsFloat(load.parts.front().dtype)) names.push_back(load.quantize->scale_name);
  }
  for (const char* dtype : {"f32", "f16", "bf16", "i8"})
    for (const char* kind : {"keys_", "values_", "latent_"}) names.push_back(kind + std::string(dtype));
  return names;
}

}  // namespace atb::fuzz
