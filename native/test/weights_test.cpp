#include "weights/load.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>

#include "base/align.h"
#include "base/error.h"
#include "check.h"
#include "floats.h"
#include "kernels/convert.h"
#include "kernels/dispatch.h"
#include "kernels/pack.h"
#include "temporary_folder.h"
#include "throws.h"
#include "weights/file.h"

namespace atb {
namespace {

using kernels::LoadFloat;
using kernels::StoreFloat;

/// `count` numbers that differ, a few of them special, in a dtype, after `offset` other bytes.
std::vector<std::byte> Numbers(DType dtype, int64_t count, int64_t offset, uint32_t seed) {
  std::vector<std::byte> bytes(static_cast<size_t>(offset) + static_cast<size_t>(count) * SizeOf(dtype),
                               std::byte{0xEE});
  std::vector<float> aligned(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    const float x = static_cast<float>(static_cast<int32_t>(seed)) * 0x1p-31f * (i % 7 == 0 ? 100.0f : 1.0f);
    StoreFloat(aligned.data(), dtype, i, i % 97 == 5 ? -0.0f : x);
  }
  std::memcpy(bytes.data() + offset, aligned.data(), static_cast<size_t>(count) * SizeOf(dtype));
  return bytes;
}

struct Loaded {
  std::vector<LoadedWeight> tensors;
  std::vector<std::pair<uint64_t, uint64_t>> progress;
};

std::atomic<int64_t> meter{0};

Loaded Load(const std::vector<WeightLoad>& loads, int threads = 2, std::function<void(uint64_t, uint64_t)> hook = {},
            const std::atomic<bool>* cancelled = nullptr) {
  static const std::atomic<bool> never{false};
  ThreadPool pool(threads);
  Loaded loaded;
  std::mutex mutex;
  loaded.tensors = LoadWeights(
      loads, {pool, kernels::Select(), &meter, cancelled ? *cancelled : never, [&](uint64_t now, uint64_t total) {
                const std::lock_guard lock(mutex);
                loaded.progress.push_back({now, total});
                if (hook) hook(now, total);
              }});
  return loaded;
}

void FloatsConvertIntoEachOther() {
  const TemporaryFolder folder;
  for (DType from : kFloats) {
    for (DType to : kFloats) {
      for (int64_t count : {1, 7, 2048, 5000, 700000}) {
        const auto bytes = Numbers(from, count, 3, 1);  // An odd offset: nothing is aligned in a file.
        const std::string file = folder.Write("w", bytes);
        const auto loaded = Load({{"w", to, {count}, WeightLayout::kPlain, {{file, 3, from, {count}}}}});
        const Tensor& tensor = loaded.tensors[0].stored->tensor;
        CHECK(tensor.desc.dtype == to && tensor.desc.rank == 1 && tensor.desc.dim(0) == count);
        std::vector<float> aligned(static_cast<size_t>(count));
        std::memcpy(aligned.data(), bytes.data() + 3, static_cast<size_t>(count) * SizeOf(from));
        std::vector<float> expected(static_cast<size_t>(count));
        for (int64_t i = 0; i < count; ++i) StoreFloat(expected.data(), to, i, LoadFloat(aligned.data(), from, i));
        CHECK(std::memcmp(expected.data(), tensor.data, static_cast<size_t>(count) * SizeOf(to)) == 0);
      }
    }
  }
}

void OtherDtypesAreReadAsTheyAre() {
  const TemporaryFolder folder;
  for (DType dtype : {DType::kI8, DType::kU8, DType::kI32, DType::kI64}) {
    std::vector<std::byte> bytes(6 * SizeOf(dtype));
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 37);
    const std::string file = folder.Write("w", bytes);
    const auto loaded = Load({{"w", dtype, {2, 3}, WeightLayout::kPlain, {{file, 0, dtype, {2, 3}}}}});
    CHECK(std::memcmp(loaded.tensors[0].stored->tensor.data, bytes.data(), bytes.size()) == 0);
    const DType other = dtype == DType::kI64 ? DType::kI32 : DType::kI64;
    CheckThrows("NATIVE_DTYPE_MISMATCH",
                [&] { Load({{"w", other, {2, 3}, WeightLayout::kPlain, {{file, 0, dtype, {2, 3}}}}}); });
  }
}

/// Loads a matrix from parts of some rows each, in two files, and compares with packing it whole.
void CheckPacked(const TemporaryFolder& folder, DType from, DType to, std::vector<int64_t> rows, int64_t k,
                 bool interleaved) {
  int64_t n = 0;
  for (int64_t r : rows) n += r;
  const auto bytes = Numbers(from, n * k, 0, static_cast<uint32_t>(n * 31 + k));
  const std::string files[] = {folder.Write("a", bytes), folder.Write("b", bytes)};
  WeightLoad load{"w", to, {n, k}, interleaved ? WeightLayout::kLinearInterleaved : WeightLayout::kLinear, {}};
  int64_t first = 0;
  for (int64_t r : rows) {
    load.parts.push_back({files[load.parts.size() % 2], first * k * static_cast<int64_t>(SizeOf(from)), from, {r, k}});
    first += r;
  }
  std::vector<float> whole(static_cast<size_t>(n * k));
  for (int64_t i = 0; i < n * k; ++i) StoreFloat(whole.data(), to, i, LoadFloat(bytes.data(), from, i));
  kernels::PackedWeight packed = kernels::PackedGeometry(kernels::FormatOf(to), n, k, interleaved);
  Buffer expected(static_cast<size_t>(kernels::PackedBytes(packed)));
  kernels::PackRows(packed, expected.data(), 0, n, {whole.data(), to, k});
  for (int threads : {1, 3}) {
    const auto loaded = Load({load}, threads);
    const StoredTensor& stored = *loaded.tensors[0].stored;
    CHECK(stored.tensor.desc.layout == Layout::kPackedLinear && stored.tensor.data == &stored.packed);
    CHECK(stored.packed.n == n && stored.packed.k == k && stored.packed.interleaved == interleaved);
    CHECK(stored.packed.data == stored.bytes.data() && stored.bytes.size() == expected.size());
    CHECK(reinterpret_cast<uintptr_t>(stored.packed.data) % 64 == 0);
    CHECK(std::memcmp(stored.packed.data, expected.data(), expected.size()) == 0);
  }
}

void MatricesArePackedFromTheirParts() {
  const TemporaryFolder folder;
  for (DType dtype : kFloats) {
    for (int64_t k : {1, 31, 32, 33, 64}) {
      for (int64_t n : {1, 15, 16, 17, 40}) CheckPacked(folder, dtype, dtype, {n}, k, false);
      CheckPacked(folder, dtype, dtype, {16, 5, 3, 33}, k, false);
      CheckPacked(folder, dtype, dtype, {20, 20}, k, true);
      CheckPacked(folder, dtype, dtype, {2}, k, true);
    }
  }
  CheckPacked(folder, DType::kF32, DType::kBF16, {48, 17}, 96, false);
  CheckPacked(folder, DType::kBF16, DType::kF32, {48, 17}, 96, false);
  CheckPacked(folder, DType::kF16, DType::kBF16, {24, 24}, 96, true);
  // Several pieces of a megabyte, whose borders lie inside parts.
  CheckPacked(folder, DType::kBF16, DType::kBF16, {700, 333, 333}, 1056, false);
  CheckPacked(folder, DType::kF32, DType::kBF16, {600, 600}, 1056, true);
  // One row of panels larger than a piece.
  CheckPacked(folder, DType::kBF16, DType::kBF16, {17}, 50016, false);
}

void ProgressEndsWithTheBytesOfTheFiles() {
  const TemporaryFolder folder;
  const std::string file = folder.Write("w", Numbers(DType::kF32, 3000000, 0, 1));
  const auto loaded =
      Load({{"a", DType::kBF16, {1000, 1000}, WeightLayout::kLinear, {{file, 0, DType::kF32, {1000, 1000}}}},
            {"b", DType::kF32, {2000000}, WeightLayout::kPlain, {{file, 4000000, DType::kF32, {2000000}}}}});
  CHECK(loaded.progress.size() > 3);
  uint64_t last = 0;
  for (const auto& [now, total] : loaded.progress) {
    CHECK(total == 12000000 && now <= total);
    last = std::max(last, now);
  }
  CHECK(last == 12000000);
}

void TensorsWithoutElementsLoad() {
  const TemporaryFolder folder;
  const std::string file = folder.Write("w", {});
  const auto loaded = Load({{"none", DType::kF32, {0, 4}, WeightLayout::kPlain, {{file, 0, DType::kF32, {0, 4}}}}});
  CHECK(loaded.tensors[0].stored->tensor.desc.Elements() == 0);
  CHECK(Load({}).tensors.empty());
}

void WhatDoesNotFitIsRefusedBeforeAnythingIsAllocated() {
  const TemporaryFolder folder;
  const std::string file = folder.Write("w", Numbers(DType::kF32, 64, 0, 1));
  const int64_t held = meter;
  const auto plain = [&](std::vector<int64_t> shape, int64_t offset, std::vector<int64_t> part,
                         DType dtype = DType::kF32) {
    Load({{"w", DType::kF32, shape, WeightLayout::kPlain, {{file, offset, dtype, part}}}});
  };
  plain({8, 8}, 0, {8, 8});
  CheckThrows("NATIVE_FILE_TRUNCATED", [&] { plain({8, 8}, 1, {8, 8}); });
  CheckThrows("NATIVE_FILE_TRUNCATED", [&] { plain({8, 9}, 0, {8, 9}); });
  CheckThrows("NATIVE_FILE_TRUNCATED", [&] { plain({4, 4}, int64_t{1} << 62, {4, 4}); });
  CheckThrows("NATIVE_SIZE_OVERFLOW", [&] { plain({4, 4}, -4, {4, 4}); });
  CheckThrows("NATIVE_SIZE_OVERFLOW", [&] { plain({int64_t{1} << 40, int64_t{1} << 40}, 0, {8, 8}); });
  CheckThrows("NATIVE_SIZE_OVERFLOW", [&] { plain({int64_t{1} << 61}, 0, {int64_t{1} << 61}); });
  CheckThrows("NATIVE_SIZE_OVERFLOW", [&] { plain({-8, 8}, 0, {-8, 8}); });
  CheckThrows("NATIVE_SHAPE_MISMATCH", [&] { plain({8, 8}, 0, {4, 8}); });
  CheckThrows("NATIVE_SHAPE_MISMATCH", [&] { plain({8, 8}, 0, {8, 4}); });
  CheckThrows("NATIVE_SHAPE_MISMATCH", [&] { plain({8, 8}, 0, {64}); });
  CheckThrows("NATIVE_SHAPE_MISMATCH", [&] { plain({1, 1, 1, 1, 1, 1, 1, 1, 64}, 0, {1, 1, 1, 1, 1, 1, 1, 1, 64}); });
  const auto packed = [&](DType dtype, std::vector<int64_t> shape, WeightLayout layout) {
    Load({{"w", dtype, shape, layout, {{file, 0, dtype, shape}}}});
  };
  CheckThrows("NATIVE_SHAPE_MISMATCH", [&] { packed(DType::kF32, {64}, WeightLayout::kLinear); });
  CheckThrows("NATIVE_SHAPE_MISMATCH", [&] { packed(DType::kF32, {0, 8}, WeightLayout::kLinear); });
  CheckThrows("NATIVE_SHAPE_MISMATCH", [&] { packed(DType::kF32, {3, 8}, WeightLayout::kLinearInterleaved); });
  CheckThrows("NATIVE_DTYPE_MISMATCH", [&] { packed(DType::kI32, {8, 8}, WeightLayout::kLinear); });
  CHECK(meter == held);
}

void FilesThatAreNotRegularAreRefused() {
  const TemporaryFolder folder;
  CHECK(mkfifo((folder.path / "fifo").c_str(), 0600) == 0);
  for (const std::string path : {(folder.path / "absent").string(), folder.path.string(), std::string("/dev/zero"),
                                 (folder.path / "fifo").string(), std::string()}) {
    CheckThrows("NATIVE_FILE_ERROR",
                [&] { Load({{"w", DType::kF32, {1}, WeightLayout::kPlain, {{path, 0, DType::kF32, {1}}}}}); });
  }
}

void AFileThatShrinksWhileItIsReadIsAnError() {
  const TemporaryFolder folder;
  const std::string file = folder.Write("w", Numbers(DType::kF32, 8 << 20, 0, 1));
  const int64_t held = meter;
  CheckThrows("NATIVE_FILE_TRUNCATED", [&] {
    Load({{"w", DType::kF32, {8 << 20}, WeightLayout::kPlain, {{file, 0, DType::kF32, {8 << 20}}}}}, 2,
         [&](uint64_t, uint64_t) { CHECK(truncate(file.c_str(), 100) == 0); });
  });
  CHECK(meter == held);
}

void MoreThanTheMachineHoldsIsRefusedAtOnce() {
  const TemporaryFolder folder;
  const std::string file = folder.Write("w", {});
  const auto huge = static_cast<int64_t>(PhysicalMemoryBytes() / 4 * 3);
  if (truncate(file.c_str(), huge) != 0) return;  // A file system without sparse files of this size.
  const WeightLoad load{"w", DType::kU8, {huge}, WeightLayout::kPlain, {{file, 0, DType::kU8, {huge}}}};
  CheckThrows("NATIVE_OUT_OF_MEMORY", [&] { Load({load, load}); });
  CheckThrows("NATIVE_OUT_OF_MEMORY", [&] {
    Load({{"w", DType::kF32, {1, huge / 4}, WeightLayout::kLinear, {{file, 0, DType::kF32, {1, huge / 4}}}}});
  });
}

void ACancelledLoadEnds() {
  const TemporaryFolder folder;
  const std::string file = folder.Write("w", Numbers(DType::kF32, 8 << 20, 0, 1));
  std::atomic<bool> cancelled{false};
  CheckThrows("NATIVE_DISPOSED", [&] {
    Load(
        {{"w", DType::kF32, {8 << 20}, WeightLayout::kPlain, {{file, 0, DType::kF32, {8 << 20}}}}}, 2,
        [&](uint64_t, uint64_t) { cancelled = true; }, &cancelled);
  });
}

void BuffersAreZeroedAlignedAndCounted() {
  const int64_t held = meter;
  for (size_t bytes : {size_t{1}, size_t{63}, size_t{4097}, size_t{1} << 20, (size_t{5} << 20) + 13}) {
    Buffer buffer(bytes, &meter);
    CHECK(reinterpret_cast<uintptr_t>(buffer.data()) % kAlignment == 0);
    CHECK(std::all_of(buffer.data(), buffer.data() + bytes, [](std::byte b) { return b == std::byte{0}; }));
    std::memset(buffer.data(), 0xAA, bytes);
    Buffer moved = std::move(buffer);
    CHECK(buffer.data() == nullptr && moved.size() == bytes);
    CHECK(meter == held + static_cast<int64_t>(bytes));
  }
  CHECK(meter == held);
  CHECK(Buffer(0).data() == nullptr);
  CheckThrows("NATIVE_OUT_OF_MEMORY", [] { Buffer(PhysicalMemoryBytes() + 1); });
  CheckThrows("NATIVE_OUT_OF_MEMORY", [] { Buffer(~size_t{0}); });
}

/// A graph's memory and a copy of its result are such buffers: together they may be more than there is.
void BuffersTogetherFitTheMachine() {
  const size_t most = PhysicalMemoryBytes() / 4 * 3;
  {
    const Buffer untouched(most);
    CheckThrows("NATIVE_OUT_OF_MEMORY", [&] { Buffer(most / 2); });
    CheckThrows("NATIVE_OUT_OF_MEMORY", [&] { RequireMemory(static_cast<int64_t>(most / 2)); });
  }
  CHECK(Buffer(most).size() == most);
}

}  // namespace
}  // namespace atb

int main() {
  using namespace atb;
  RUN(BuffersAreZeroedAlignedAndCounted);
  RUN(BuffersTogetherFitTheMachine);
  RUN(FloatsConvertIntoEachOther);
  RUN(OtherDtypesAreReadAsTheyAre);
  RUN(MatricesArePackedFromTheirParts);
  RUN(ProgressEndsWithTheBytesOfTheFiles);
  RUN(TensorsWithoutElementsLoad);
  RUN(WhatDoesNotFitIsRefusedBeforeAnythingIsAllocated);
  RUN(FilesThatAreNotRegularAreRefused);
  RUN(AFileThatShrinksWhileItIsReadIsAnError);
  RUN(MoreThanTheMachineHoldsIsRefusedAtOnce);
  RUN(ACancelledLoadEnds);
  return 0;
}
