#include "engine/machine_limits.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>

#include "base/buffer.h"

namespace atb {
namespace {

/// More than the caches that a few threads have to themselves.
constexpr size_t kMemoryBytes = size_t{512} << 20;
constexpr size_t kChunkBytes = size_t{1} << 20;
/// Streams of a thread. One stream reaches 60 % of the memory's speed, eight of them reach all of it.
constexpr size_t kStreams = 8;
constexpr size_t kPrefetchBytes = 1024;
constexpr int kRounds = 7;

template <typename F>
double Seconds(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

template <typename F>
double MedianOf(F&& measure) {
  std::array<double, kRounds> values;
  for (double& value : values) value = measure();
  std::sort(values.begin(), values.end());
  return values[kRounds / 2];
}

}  // namespace

void FillOrdinary(std::span<std::byte> memory) {
  auto* numbers = reinterpret_cast<uint16_t*>(memory.data());
  uint32_t state = 1;
  for (size_t i = 0; i < memory.size() / 2; ++i) {
    state = state * 1664525u + 1013904223u;
    numbers[i] = static_cast<uint16_t>(0x3C00u | (state >> 16 & 0x80FFu));
  }
}

double ReadSpeed(std::span<const std::byte> memory, ThreadPool& pool) {
  const size_t chunks = memory.size() / kChunkBytes;
  std::atomic<uint64_t> sum{0};
  const double seconds = Seconds([&] {
    pool.ParallelFor(static_cast<int64_t>(chunks), [&](int64_t chunk, int) {
      const std::byte* base = memory.data() + static_cast<size_t>(chunk) * kChunkBytes;
      uint64_t own = 0;
      for (size_t i = 0; i < kChunkBytes / kStreams; i += 64) {
        for (size_t s = 0; s < kStreams; ++s) {
          const std::byte* at = base + s * (kChunkBytes / kStreams) + i;
          __builtin_prefetch(at + kPrefetchBytes);
          uint64_t word;
          std::memcpy(&word, at, sizeof word);
          own += word;
        }
      }
      sum += own;  // Without a use of the sum, the compiler would drop the reads.
    });
  });
  return static_cast<double>(chunks * kChunkBytes) / seconds;
}

double ProductSpeed(std::span<const std::byte> memory, ThreadPool& pool, const kernels::KernelTable& kernels) {
  std::atomic<int64_t> operations{0};
  const int64_t copies = static_cast<int64_t>(memory.size()) / kernels::kYardstickBytes;
  const double seconds = Seconds([&] {
    pool.ParallelFor(4 * pool.threads(), [&](int64_t, int worker) {
      operations += kernels.yardstick(memory.data() + worker % copies * kernels::kYardstickBytes);
    });
  });
  return static_cast<double>(operations) / seconds;
}

MachineLimits MeasureLimits(ThreadPool& pool, const kernels::KernelTable& kernels) {
  Buffer memory(kMemoryBytes);
  const std::span bytes(memory.data(), memory.size());
  pool.ParallelFor(static_cast<int64_t>(kMemoryBytes / kChunkBytes), [&](int64_t chunk, int) {
    FillOrdinary(bytes.subspan(static_cast<size_t>(chunk) * kChunkBytes, kChunkBytes));
  });
  return {MedianOf([&] { return ReadSpeed(bytes, pool); }),
          MedianOf([&] { return ProductSpeed(bytes, pool, kernels); })};
}

}  // namespace atb
