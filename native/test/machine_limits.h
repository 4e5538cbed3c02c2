#pragma once
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <functional>
#include <vector>

#include "base/buffer.h"
#include "base/thread_pool.h"
#ifdef ATB_X86
#include "kernels/amx/tiles.h"
#endif

// What the machine gives at most: the yardsticks of the benchmarks.

namespace atb {
namespace {

/// With one thread its processor time, which other processes do not count in; else the wall clock.
bool one_thread = false;

double Now() {
  if (one_thread) return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double Seconds(const std::function<void()>& f) {
  const double start = Now();
  f();
  return Now() - start;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// bf16 numbers of both signs around 0.01: their values do not matter to the time, as long as they are ordinary.
void Fill(Buffer& memory) {
  auto* numbers = reinterpret_cast<uint16_t*>(memory.data());
  uint32_t state = 1;
  for (size_t i = 0; i < memory.size() / 2; ++i) {
    state = state * 1664525u + 1013904223u;
    numbers[i] = static_cast<uint16_t>(0x3C00u | (state >> 16 & 0x80FFu));
  }
}

/// Bytes per second of reading all of `memory` with eight streams per thread, one load per cache line, 1 KB ahead.
double ReadSpeed(const Buffer& memory, ThreadPool& pool) {
  constexpr size_t kStreams = 8;
  constexpr size_t kChunk = size_t{1} << 20;
  std::vector<uint64_t> sums(static_cast<size_t>(pool.threads()) * 8);
  const size_t chunks = memory.size() / kChunk;
  const double seconds = Seconds([&] {
    pool.ParallelFor(static_cast<int64_t>(chunks), [&](int64_t chunk, int worker) {
      const std::byte* base = memory.data() + static_cast<size_t>(chunk) * kChunk;
      uint64_t sum = 0;
      for (size_t i = 0; i < kChunk / kStreams; i += 64) {
        for (size_t s = 0; s < kStreams; ++s) {
          const std::byte* at = base + s * (kChunk / kStreams) + i;
          __builtin_prefetch(at + 1024);
          uint64_t word;
          std::memcpy(&word, at, sizeof word);
          sum += word;
        }
      }
      sums[static_cast<size_t>(worker) * 8] += sum;
    });
  });
  volatile uint64_t sink = sums[0];  // The sums must be wanted.
  (void)sink;
  return static_cast<double>(chunks * kChunk) / seconds;
}

#ifdef ATB_X86
/// Floating point operations per second of 2 x 2 blocks of packed bf16 tiles: four pairs of rows against four pairs of
/// panels of 2048 channels, 1 MB a thread, so that both operands of every block come from L2; each block's sums are
/// stored.
double TileSpeed(const std::byte* memory, ThreadPool& pool) {
  namespace amx = kernels::amx;
  constexpr int64_t kSteps = 64, kPanel = kSteps * amx::kTileBytes, kPairs = 4, kBlocks = 400;
  const double seconds = Seconds([&] {
    pool.ParallelFor(pool.threads() * 4, [&](int64_t, int worker) {
      const std::byte* rows = memory + worker * 4 * kPairs * kPanel;
      const std::byte* panels = rows + 2 * kPairs * kPanel;
      alignas(64) float sums[1024];
      amx::TileConfig config;
      for (int t = 0; t < 8; ++t) config.Set(t, amx::kTileRows);
      amx::Configure(config);
      for (int64_t block = 0; block < kBlocks; ++block) {
        const std::byte* a = rows + block % kPairs * 2 * kPanel;
        const std::byte* b = panels + block / kPairs % kPairs * 2 * kPanel;
        amx::Zero<0>();
        amx::Zero<1>();
        amx::Zero<2>();
        amx::Zero<3>();
        for (int64_t i = 0; i < kSteps; ++i, a += amx::kTileBytes, b += amx::kTileBytes) {
          amx::LoadTile<4>(a, amx::kTileRowBytes);
          amx::LoadTile<5>(a + kPanel, amx::kTileRowBytes);
          amx::LoadTile<6>(b, amx::kTileRowBytes);
          amx::MultiplyBF16<0, 4, 6>();
          amx::MultiplyBF16<2, 5, 6>();
          amx::LoadTile<7>(b + kPanel, amx::kTileRowBytes);
          amx::MultiplyBF16<1, 4, 7>();
          amx::MultiplyBF16<3, 5, 7>();
        }
        amx::StoreTile<0>(sums, amx::kTileRowBytes);
        amx::StoreTile<1>(sums + 256, amx::kTileRowBytes);
        amx::StoreTile<2>(sums + 512, amx::kTileRowBytes);
        amx::StoreTile<3>(sums + 768, amx::kTileRowBytes);
      }
      amx::Release();
    });
  });
  return pool.threads() * 4.0 * kBlocks * kSteps * 4 * (16 * 16 * 32 * 2) / seconds;
}
#endif

}  // namespace
}  // namespace atb
