// Loading weights: any dtypes, shapes, layouts, row orders, transposes, arithmetic, constants, quantisation, stacks of
// experts, files that are short or no files. What loads is exported again, which reads every byte that was packed. At
// the end it prints how often each way to hold a weight was accepted.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "bytes.h"
#include "engines.h"

using namespace atb;

namespace {

constexpr DType kDTypes[] = {DType::kF32, DType::kF16, DType::kBF16, DType::kI8,  DType::kU8,
                             DType::kI32, DType::kI64, DType::kE4M3, DType::kE8M0};
constexpr DType kFloats[] = {DType::kF32, DType::kF16, DType::kBF16};
constexpr int64_t kMaxSafe = (int64_t{1} << 53) - 1;

/// Files of several sizes, and paths that are no files. They are gone when the program ends.
struct FuzzFiles {
  /// The first three files: any bytes, codes none of which is e4m3's NaN, whole f32 numbers.
  enum { kAnything, kCodes, kWhole };
  std::filesystem::path folder = std::filesystem::temp_directory_path() / ("atb-fuzz-" + std::to_string(getpid()));
  std::vector<std::string> paths;
  FuzzFiles() {
    std::filesystem::create_directories(folder);
    for (const size_t size : {40000u, 40001u, 40004u, 4096u, 1u, 0u}) {
      const size_t kind = paths.size();
      paths.push_back((folder / std::to_string(size)).string());
      std::ofstream file(paths.back(), std::ios::binary);
      for (size_t i = 0; i < size; ++i) {
        const float number = static_cast<float>(i / 4 % 9) - 4;
        const size_t any = i * 31 + (i >> 8);
        file.put(kind == kWhole ? reinterpret_cast<const char*>(&number)[i % 4]
                                : static_cast<char>(kind == kCodes ? any & 0xF7 : any));
      }
    }
    for (const char* path : {"/nonexistent", "/dev", "/dev/zero"}) paths.emplace_back(path);
  }
  ~FuzzFiles() { std::filesystem::remove_all(folder); }
};

int64_t Dim(fuzz::Bytes& bytes) {
  constexpr int64_t kUsual[] = {32, 64, 1, 2, 16, 33, 48, 70};
  if (bytes.OneIn(40)) return bytes.Raw<int64_t>() & kMaxSafe;
  return bytes.OneIn(20) ? 0 : bytes.Of(kUsual);
}

std::string Name(fuzz::Bytes& bytes) { return "w" + std::to_string(bytes.Int(0, 5)); }

/// Codes, whose scales may be codes.
void AddCodes(fuzz::Bytes& bytes, WeightPart& part, double elements, int depth) {
  CodedFloats codes;
  codes.table.resize(bytes.OneIn(20) ? 15 : depth == 0 && bytes.Flag() ? 16 : 256);
  codes.low_first = bytes.Flag();
  for (size_t i = 0; i < codes.table.size(); ++i)
    codes.table[i] = bytes.OneIn(2000) ? bytes.Float() : static_cast<float>(i) - 7.5f;
  codes.block = bytes.OneIn(20) ? bytes.Raw<int64_t>() : bytes.Int(1, 100);
  WeightPart scales;
  scales.file = part.file;
  scales.offset = bytes.OneIn(20) ? bytes.Raw<int64_t>() & kMaxSafe : bytes.Int(0, 300);
  const double blocks = codes.block > 0 ? std::ceil(elements / static_cast<double>(codes.block)) : 1;
  scales.shape = {bytes.OneIn(20) || !(blocks < 1e12) ? Dim(bytes) : static_cast<int64_t>(blocks)};
  if (bytes.OneIn(4)) scales.plus = bytes.Float();
  if (depth < 2 && bytes.OneIn(3)) AddCodes(bytes, scales, blocks, depth + 1);
  codes.scales = std::make_shared<const WeightPart>(std::move(scales));
  part.codes = std::move(codes);
}

bool HoldsFloats(const WeightLoad& load) {
  return load.quantize && load.quantize->numbers == kernels::WeightNumbers::kFloats;
}

/// What stored numbers of a weight are in files.
DType StoredDType(const WeightLoad& load) {
  return !HoldsFloats(load) ? DType::kI8 : load.quantize->bits == 8 ? DType::kE4M3 : DType::kU8;
}

WeightPart Part(fuzz::Bytes& bytes, const WeightLoad& load, int64_t rows, const FuzzFiles& files) {
  WeightPart part;
  const bool is_stored = load.quantize && (HoldsFloats(load) ? !bytes.OneIn(12) : bytes.Flag());
  part.dtype = is_stored        ? StoredDType(load)
               : bytes.OneIn(8) ? bytes.Of(kDTypes)
               : bytes.OneIn(3) ? bytes.Of(kFloats)
                                : load.dtype;
  part.shape = load.shape;
  if (!part.shape.empty()) part.shape[0] = rows;
  // Constants need no file, so that nothing but memory bounds their size: large ones would only fill it.
  double elements = 1;
  for (int64_t size : part.shape) elements *= static_cast<double>(size);
  if (bytes.OneIn(5) && elements < 1e6) {
    part.value = bytes.Float();
    return part;
  }
  part.unit_rows = bytes.OneIn(8);
  if (bytes.OneIn(4)) part.times = bytes.Float();
  if (bytes.OneIn(4)) part.plus = bytes.Float();
  if (bytes.OneIn(4)) {
    // A permutation, a choice with repetitions, or wrong rows.
    const int64_t stored = bytes.Int(1, 80);
    std::vector<int32_t> order;
    const int64_t step = bytes.Int(1, 7);
    const int64_t wanted = rows >= 0 && rows <= 128 ? rows : 3;
    for (int64_t i = 0; i < wanted; ++i)
      order.push_back(static_cast<int32_t>(bytes.OneIn(200) ? bytes.Int(-2, 200) : i * step % stored));
    part.row_order = std::move(order);
    if (!part.shape.empty()) part.shape[0] = stored;
  }
  if (bytes.OneIn(4)) {
    part.transposed = true;
    if (part.shape.size() == 2) std::swap(part.shape[0], part.shape[1]);
  }
  if (part.shape.size() == 2 && bytes.OneIn(6)) {
    PackedWords words;
    words.bits = bytes.OneIn(20) ? static_cast<int>(bytes.Int(0, 33)) : bytes.Flag() ? 4 : 8;
    words.axis = static_cast<int>(bytes.Int(0, bytes.OneIn(20) ? 3 : 1));
    words.minus = static_cast<int>(bytes.Int(0, bytes.OneIn(20) ? 300 : 128));
    words.awq = bytes.OneIn(3);
    int64_t& side = part.shape[static_cast<size_t>(words.axis & 1)];
    words.count = bytes.OneIn(20) ? bytes.Raw<int64_t>() : side;
    const int64_t per_word = words.bits > 0 && words.bits <= 32 ? 32 / words.bits : 1;
    if (side >= 0 && side <= 4096 && !bytes.OneIn(20)) side = (side + per_word - 1) / per_word;
    if (bytes.OneIn(4)) {
      std::vector<int32_t> order;
      const int64_t columns = load.shape.size() == 2 && load.shape[1] >= 0 && load.shape[1] <= 512 ? load.shape[1] : 3;
      for (int64_t i = 0; i < columns; ++i)
        order.push_back(static_cast<int32_t>(bytes.OneIn(200) ? bytes.Int(-2, 600) : i * 5 % columns));
      part.column_order = std::move(order);
    }
    part.words = words;
    if (!bytes.OneIn(12)) part.dtype = DType::kI32;
  }
  if (bytes.OneIn(12)) part.shape = {Dim(bytes), Dim(bytes)};
  const bool usual = !bytes.OneIn(12);
  const auto usual_file = static_cast<size_t>(is_stored ? FuzzFiles::kCodes : FuzzFiles::kAnything);
  part.file =
      files.paths[usual ? usual_file : static_cast<size_t>(bytes.Int(0, static_cast<int64_t>(files.paths.size()) - 1))];
  part.offset = bytes.OneIn(20) ? bytes.Raw<int64_t>() & kMaxSafe : bytes.Int(0, 300);
  if (bytes.OneIn(6)) AddCodes(bytes, part, elements, 0);
  return part;
}

WeightLoad Load(fuzz::Bytes& bytes, const FuzzFiles& files) {
  WeightLoad load;
  load.name = Name(bytes);
  load.dtype = bytes.OneIn(4) ? bytes.Of(kDTypes) : bytes.Of(kFloats);
  const int64_t rank = bytes.OneIn(10) ? bytes.Int(0, 10) : bytes.OneIn(4) ? 3 : 2;
  for (int64_t i = 0; i < rank; ++i) load.shape.push_back(rank == 3 && i == 0 ? bytes.Int(1, 3) : Dim(bytes));
  constexpr WeightLayout kLayouts[] = {WeightLayout::kLinear, WeightLayout::kLinearInterleaved, WeightLayout::kPlain};
  load.layout = bytes.Of(kLayouts);
  if (bytes.Flag()) {
    WeightQuantize quantize;
    quantize.bits = bytes.OneIn(20) ? static_cast<int>(bytes.Int(0, 9)) : bytes.Flag() ? 4 : 8;
    quantize.group_size = bytes.OneIn(20) ? bytes.Raw<uint32_t>() : bytes.Int(0, 4) * 32;
    if (bytes.OneIn(3)) quantize.numbers = kernels::WeightNumbers::kFloats;
    if (bytes.OneIn(4)) quantize.activations = Activations::kInt8;
    quantize.scale_name = Name(bytes) + "s";
    if (bytes.OneIn(4)) quantize.offset_name = Name(bytes) + "o";
    load.quantize = quantize;
  }
  const int64_t rows = load.shape.empty() ? 0 : load.shape[0];
  if (rank == 3 && bytes.OneIn(3)) {
    // Matrix by matrix.
    WeightLoad matrix = load;
    matrix.shape.erase(matrix.shape.begin());
    for (int64_t i = 0; i < rows; ++i) load.parts.push_back(Part(bytes, matrix, matrix.shape[0], files));
    return load;
  }
  const int64_t parts = bytes.OneIn(4) ? bytes.Int(0, 3) : 1;
  for (int64_t i = 0; i < parts; ++i) {
    const int64_t first = rows * i / parts, end = rows > (int64_t{1} << 40) ? rows : rows * (i + 1) / parts;
    load.parts.push_back(Part(bytes, load, end - first, files));
  }
  return load;
}

/// Numbers of a weight's scales or offsets, mostly whole ones, which both may be.
WeightLoad NumbersFor(fuzz::Bytes& bytes, const WeightLoad& weight, const std::string& name, const FuzzFiles& files) {
  const int64_t group = weight.quantize->group_size, bits = weight.quantize->bits;
  const bool single = !weight.parts.empty() && weight.parts.front().words;
  const int64_t k = weight.shape.back() * (single ? 1 : 8 / bits);
  WeightLoad numbers;
  numbers.name = name;
  numbers.dtype = DType::kF32;
  numbers.shape = weight.shape;
  numbers.shape.back() = group == 0 ? 1 : (k + group - 1) / group;
  numbers.parts.push_back(Part(bytes, numbers, numbers.shape[0], files));
  if (!bytes.OneIn(6)) {
    WeightPart& part = numbers.parts.front();
    part = {};
    part.file = files.paths[FuzzFiles::kWhole];
    part.shape = numbers.shape;
  }
  return numbers;
}

/// Counts what was accepted, by what it is called.
struct Accepted {
  std::map<std::string, uint64_t> counts;
  ~Accepted() {
    for (const auto& [name, count] : counts)
      std::fprintf(stderr, "accepted %s %llu\n", name.c_str(), static_cast<unsigned long long>(count));
  }
  void Add(const WeightLoad& load) {
    if (load.parts.empty()) return;
    std::string name = load.layout == WeightLayout::kPlain ? "plain"
                       : load.shape.size() == 3            ? "stack of "
                                                           : "matrix of ";
    if (load.layout != WeightLayout::kPlain) {
      const bool stored =
          load.quantize && SizeOf(load.parts.front().dtype) != 2 && load.parts.front().dtype != DType::kF32;
      if (!load.quantize) name += "floats";
      if (load.quantize) {
        name += HoldsFloats(load) ? "float" : stored ? "stored int" : "rounded int";
        name += std::to_string(load.quantize->bits) + (load.quantize->group_size ? " in groups" : "");
        if (load.parts.front().words) name += " out of words";
        if (stored && !load.quantize->offset_name.empty()) name += " with offsets";
      }
    }
    ++counts[name];
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const FuzzFiles files;
  static const fuzz::Engines engines;
  fuzz::Bytes bytes(data, size);
  Engine& engine = engines.Choose(bytes);
  std::vector<WeightLoad> loads;
  for (int64_t i = bytes.Int(1, 3); i > 0; --i) {
    loads.push_back(Load(bytes, files));
    // Stored integers need their scales beside them.
    const WeightLoad& weight = loads.back();
    if (!weight.quantize || weight.shape.size() < 2 || weight.shape.size() > 3 || bytes.OneIn(4)) continue;
    if (std::ranges::any_of(weight.shape, [](int64_t size) { return size > 4096; }) || weight.quantize->bits < 1)
      continue;
    std::vector<WeightLoad> beside = {NumbersFor(bytes, weight, weight.quantize->scale_name, files)};
    if (const std::string& name = weight.quantize->offset_name; !name.empty())
      beside.push_back(NumbersFor(bytes, weight, name, files));
    for (WeightLoad& load : beside) loads.push_back(std::move(load));
  }
  const std::atomic<bool> cancelled{bytes.OneIn(50)};
  try {
    engine.Load(loads, nullptr, {}, cancelled);
  } catch (const Error&) {
    return 0;
  }
  static Accepted accepted;
  for (const WeightLoad& load : loads) {
    accepted.Add(load);
    engine.Export(load.name);
    if (load.quantize) engine.Export(load.quantize->scale_name);
  }
  return 0;
}
