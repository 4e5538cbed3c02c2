// Files of packed weights: what loads make is written, and read back in their place.
#include "weights/packed_file.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include "base/patient_thread.h"
#include "base/xxh64.h"
#include "check.h"
#include "kernels/dispatch.h"
#include "temporary_folder.h"
#include "throws.h"

namespace atb {
namespace {

constexpr Activations kFloat = Activations::kFloat;
std::atomic<int64_t> meter{0};
const std::atomic<bool> never{false};

std::vector<LoadedWeight> Load(const std::vector<WeightLoad>& loads, const PackedFile* packed = nullptr) {
  ThreadPool pool(2);
  return LoadWeights(loads, {pool, kernels::Select(), &meter, never, {}, packed});
}

/// A weight in each way that the engine holds one.
struct Model {
  TemporaryFolder folder;
  std::vector<WeightLoad> loads;

  Model() {
    std::vector<float> floats(2 * 46 * 192);
    uint32_t seed = 7;
    for (float& x : floats)
      x = static_cast<float>(static_cast<int32_t>(seed = seed * 1664525u + 1013904223u)) * 0x1p-31f;
    const std::string file = folder.Write("floats", floats);
    const auto add = [&](const char* name, std::vector<int64_t> shape, WeightLayout layout, DType dtype,
                         std::optional<WeightQuantize> quantize = {}) {
      loads.push_back({name, dtype, shape, layout, {{file, 0, DType::kF32, shape}}, quantize});
    };
    add("norm", {46}, WeightLayout::kPlain, DType::kF32);
    add("table", {46, 192}, WeightLayout::kPlain, DType::kBF16);
    add("bf16", {46, 192}, WeightLayout::kLinear, DType::kBF16);
    add("gate_up", {46, 192}, WeightLayout::kLinearInterleaved, DType::kF16);
    add("w8", {46, 192}, WeightLayout::kLinear, DType::kF32, WeightQuantize{8, 0, kFloat, "w8.scale"});
    add("w4", {46, 192}, WeightLayout::kLinearInterleaved, DType::kF32, WeightQuantize{4, 64, kFloat, "w4.scale"});
    add("experts", {2, 46, 192}, WeightLayout::kLinear, DType::kF32, WeightQuantize{4, 32, kFloat, "experts.scale"});
    // More than a piece.
    const std::string large = folder.Write("large", std::vector<float>(700000, 1.5f));
    loads.push_back({"large", DType::kF32, {700000}, WeightLayout::kPlain, {{large, 0, DType::kF32, {700000}}}, {}});

    const auto stored = [&](const std::string& name, WeightQuantize quantize, DType dtype, const std::string& numbers,
                            DType scale_dtype, const std::string& scales) {
      quantize.scale_name = name + ".scale";
      loads.push_back({name, DType::kI8, {46, 96}, WeightLayout::kLinear, {{numbers, 0, dtype, {46, 96}}}, quantize});
      loads.push_back(
          {quantize.scale_name, DType::kF32, {46, 6}, WeightLayout::kPlain, {{scales, 0, scale_dtype, {46, 6}}}, {}});
    };
    std::vector<uint8_t> bytes(46 * 96), exponents(46 * 6);
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 37);
    for (size_t i = 0; i < exponents.size(); ++i) exponents[i] = static_cast<uint8_t>(110 + i * 5 % 20);
    const std::string numbers = folder.Write("bytes", bytes), powers = folder.Write("powers", exponents);
    stored("floats_as_scales", {4, 32, kFloat, ""}, DType::kI8, numbers, DType::kF32, file);
    stored("e2m1", {4, 32, kFloat, "", "", kernels::WeightNumbers::kFloats}, DType::kU8, numbers, DType::kE8M0, powers);
    stored("with_offsets", {4, 32, kFloat, "", "zeros"}, DType::kI8, numbers, DType::kF32, file);
    const std::string zeros = folder.Write("zeros", std::vector<float>(46 * 6, 3.0f));
    loads.push_back({"zeros", DType::kF32, {46, 6}, WeightLayout::kPlain, {{zeros, 0, DType::kF32, {46, 6}}}, {}});
  }

  PackedFile Packed(const std::string& key = "key") const { return {(folder.path / "packed").string(), key}; }

  std::vector<char> Bytes() const {
    std::ifstream file(Packed().path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const LoadedWeight& Of(const std::vector<LoadedWeight>& weights, const std::string& name) const {
    return *std::ranges::find_if(weights, [&](const LoadedWeight& weight) { return weight.name == name; });
  }
};

bool PointsInto(const void* pointer, const Buffer& buffer) {
  const auto* at = static_cast<const std::byte*>(pointer);
  return pointer == nullptr || (at >= buffer.data() && at < buffer.data() + buffer.size());
}

/// xxhash 3.6 of PyPI says so.
void SumsAreThoseOfTheReference() {
  constexpr std::pair<size_t, uint64_t> kSums[] = {
      {0, 0xEF46DB3751D8E999},  {1, 0xF592C0C7639C4CB6},  {3, 0x22C08528601D4F27},   {4, 0xFB1E5CF2F1AE4D95},
      {7, 0x5613AC510496C04E},  {8, 0x57CB2B7521F3E21A},  {31, 0xE4A0E629E519A4AE},  {32, 0xCC6B8AAADA790B2D},
      {33, 0x35EC49850475A832}, {63, 0xBF9F0BA3CF95B28A}, {100, 0x4826E367566EA023}, {1000, 0x128DA10CFBDC59D9},
  };
  for (const auto& [count, sum] : kSums) {
    std::vector<std::byte> bytes(count);
    for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(i * 37 + 11);
    CHECK(Xxh64(bytes) == sum);
  }
}

void WhatIsReadIsWhatWasMade() {
  const Model model;
  const int64_t held = meter;
  {
    const std::vector<LoadedWeight> made = Load(model.loads);
    const int64_t bytes = meter - held;
    WritePackedFile(model.Packed(), made, never);
    const PackedFile packed = model.Packed();
    const std::vector<LoadedWeight> read = Load(model.loads, &packed);
    CHECK(meter - held == 2 * bytes && read.size() == made.size());
    for (size_t i = 0; i < made.size(); ++i) {
      const StoredTensor &a = *made[i].stored, &b = *read[i].stored;
      CHECK(made[i].name == read[i].name && ToString(a.tensor.desc) == ToString(b.tensor.desc));
      CHECK(a.bytes.size() == b.bytes.size() && std::memcmp(a.bytes.data(), b.bytes.data(), a.bytes.size()) == 0);
      CHECK(FormOf(a) == FormOf(b));
      CHECK(PointsInto(b.packed.data, b.bytes) && PointsInto(b.scales.data, b.bytes));
      CHECK((a.scales.data == nullptr) == (b.scales.data == nullptr));
      CHECK(PointsInto(b.scales.multipliers, b.bytes) && PointsInto(b.scales.exponents, b.bytes));
      CHECK(PointsInto(b.scales.offsets, b.bytes));
    }
    // The model has what the test is about.
    CHECK(FormOf(*model.Of(made, "experts.scale").stored) == ScaleForm::kMultipliers);
    CHECK(FormOf(*model.Of(made, "floats_as_scales.scale").stored) == ScaleForm::kFloats);
    CHECK(FormOf(*model.Of(made, "e2m1.scale").stored) == ScaleForm::kExponents);
    CHECK(FormOf(*model.Of(made, "zeros").stored) == ScaleForm::kOffsets);
  }
  CHECK(meter == held);
}

/// Nothing of the model is read then, so that other numbers in its files do not show.
void TheFilesOfTheModelAreNotRead() {
  const Model model;
  const std::vector<LoadedWeight> made = Load(model.loads);
  WritePackedFile(model.Packed(), made, never);
  model.folder.Write("large", std::vector<float>(700000, -1.0f));
  const PackedFile packed = model.Packed();
  const std::vector<LoadedWeight> read = Load(model.loads, &packed);
  CHECK(model.Of(read, "large").stored->tensor.As<const float>()[5] == 1.5f);
}

void AnotherKeyIsRefused() {
  const Model model;
  WritePackedFile(model.Packed(), Load(model.loads), never);
  CHECK(ReadPackedKey(model.Packed().path) == "key");
  for (const char* key : {"", "ke", "kez", "key "}) {
    const PackedFile packed = model.Packed(key);
    CheckThrows("NATIVE_PACKED_UNUSABLE", [&] { Load(model.loads, &packed); });
  }
}

void DamageIsNoticedWhereverItIs() {
  const Model model;
  WritePackedFile(model.Packed(), Load(model.loads), never);
  const std::vector<char> whole = model.Bytes();
  const PackedFile packed = model.Packed();
  const auto check = [&](const std::vector<char>& bytes) {
    model.folder.Write("packed", bytes);
    CheckThrows("NATIVE_PACKED_UNUSABLE", [&] { Load(model.loads, &packed); });
  };
  const int64_t held = meter;
  for (size_t at = 0; at < 4096; at += at < 600 ? 1 : 97) {
    // Between the index and the tensors there is nothing to damage.
    std::vector<char> bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    if (bytes[at] != 0x10) check(bytes);
  }
  for (size_t at = 4096; at < whole.size(); at += whole.size() / 50) {
    std::vector<char> bytes = whole;
    // What fills a tensor's last cache line is not part of it.
    for (size_t i = at; i < std::min(at + 64, whole.size()); ++i) bytes[i] = static_cast<char>(bytes[i] + 1);
    check(bytes);
  }
  for (size_t size : {size_t{0}, size_t{7}, size_t{47}, size_t{48}, size_t{500}, whole.size() / 2, whole.size() - 1})
    check({whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)});
  std::vector<char> longer = whole;
  longer.push_back(0);
  check(longer);
  check(std::vector<char>(whole.size(), 0));
  check(std::vector<char>(whole.size(), -1));
  CHECK(meter == held);
  model.folder.Write("packed", whole);
  Load(model.loads, &packed);
}

/// Whoever writes sums that are right can still only choose among the forms that a tensor may have.
void AFormThatATensorCannotHaveIsRefused() {
  const Model model;
  WritePackedFile(model.Packed(), Load(model.loads), never);
  const std::vector<char> whole = model.Bytes();
  const PackedFile packed = model.Packed();
  constexpr size_t kHeader = 48, kKey = 8, kEntry = 16, kSum = 40;
  uint64_t tensors, pieces;
  std::memcpy(&tensors, &whole[16], sizeof tensors);
  std::memcpy(&pieces, &whole[24], sizeof pieces);
  for (uint64_t t = 0; t < tensors; ++t) {
    for (const uint64_t form : {uint64_t{0}, uint64_t{1}, uint64_t{2}, uint64_t{3}, uint64_t{4}, ~uint64_t{0}}) {
      std::vector<char> bytes = whole;
      if (std::memcmp(&bytes[kHeader + kKey + t * kEntry], &form, sizeof form) == 0) continue;
      std::memcpy(&bytes[kHeader + kKey + t * kEntry], &form, sizeof form);
      std::vector<std::byte> summed(kSum + kKey + tensors * kEntry + pieces * sizeof(uint64_t));
      std::memcpy(summed.data(), bytes.data(), kSum);
      std::memcpy(summed.data() + kSum, &bytes[kHeader], summed.size() - kSum);
      const uint64_t sum = Xxh64(summed);
      std::memcpy(&bytes[kSum], &sum, sizeof sum);
      model.folder.Write("packed", bytes);
      CheckThrows("NATIVE_PACKED_UNUSABLE", [&] { Load(model.loads, &packed); });
    }
  }
}

void WhatIsNoFileIsRefused() {
  const Model model;
  for (const std::string path :
       {(model.folder.path / "absent").string(), model.folder.path.string(), std::string("/dev/zero"), std::string()}) {
    const PackedFile packed{path, "key"};
    CheckThrows("NATIVE_PACKED_UNUSABLE", [&] { Load(model.loads, &packed); });
    CheckThrows("NATIVE_PACKED_UNUSABLE", [&] { ReadPackedKey(path); });
  }
}

void AFileThatCannotBeWrittenIsAnError() {
  const Model model;
  const std::vector<LoadedWeight> made = Load(model.loads);
  WritePackedFile(model.Packed(), made, never);
  CheckThrows("NATIVE_FILE_ERROR", [&] { WritePackedFile(model.Packed(), made, never); });  // It is there already.
  for (const char* path : {"/nonexistent/packed", "/proc/packed", "/dev/full/packed"})
    CheckThrows("NATIVE_FILE_ERROR", [&] { WritePackedFile({path, "key"}, made, never); });
  const PackedFile other{(model.folder.path / "other").string(), "key"};
  CheckThrows("NATIVE_DISPOSED", [&] { WritePackedFile(other, made, std::atomic<bool>(true)); });
  CheckThrows("NATIVE_PACKED_UNUSABLE", [&] { Load(model.loads, &other); });
}

void ModelsWithoutWeightsHaveFilesToo() {
  const TemporaryFolder folder;
  const PackedFile packed{(folder.path / "packed").string(), std::string(1000, 'k')};
  WritePackedFile(packed, {}, never);
  CHECK(Load({}, &packed).empty());
}

void WorkOfAPatientThreadIsDoneWhenItReturns() {
  int done = 0;
  RunPatiently([&] { done = 1; });
  CHECK(done == 1);
  CheckThrows("NATIVE_X", [] { RunPatiently([] { throw Error("NATIVE_X", "x"); }); });
}

}  // namespace
}  // namespace atb

int main() {
  using namespace atb;
  RUN(SumsAreThoseOfTheReference);
  RUN(WhatIsReadIsWhatWasMade);
  RUN(TheFilesOfTheModelAreNotRead);
  RUN(AnotherKeyIsRefused);
  RUN(DamageIsNoticedWhereverItIs);
  RUN(AFormThatATensorCannotHaveIsRefused);
  RUN(WhatIsNoFileIsRefused);
  RUN(AFileThatCannotBeWrittenIsAnError);
  RUN(ModelsWithoutWeightsHaveFilesToo);
  RUN(WorkOfAPatientThreadIsDoneWhenItReturns);
  return 0;
}
