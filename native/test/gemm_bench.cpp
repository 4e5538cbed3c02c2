// Products at Llama-3.2-1B's shapes against what the machine gives: streamed reading of memory, and AMX tiles from L2.
// Build with -DATB_BENCH=ON. Usage: gemm_bench [threads = 2] [isa,... = all] [rows = 512] [rounds = 5].
// Bounds and kernels take turns, because a shared machine's speed changes from second to second; medians are printed.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/thread_pool.h"
#include "kernels/dispatch.h"
#include "kernels/pack.h"
#include "ops/gemm.h"
#ifdef ATB_X86
#include "kernels/amx/tiles.h"
#endif

namespace atb {
namespace {

using kernels::KernelTable;
using kernels::PackedWeight;

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

struct Shape {
  const char* name;
  int64_t n, k;
};
constexpr Shape kShapes[] = {{"qkv", 3072, 2048}, {"o", 2048, 2048}, {"gate_up", 16384, 2048}, {"down", 2048, 8192}};
/// 121 MB each in bf16: together beyond any cache.
constexpr int kLayers = 4;
constexpr int64_t kMaxRows = 4096;

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

struct Layers {
  Layers() {
    size_t bytes = 0;
    for (const Shape& s : kShapes) bytes += static_cast<size_t>(s.n * s.k * 2);
    memory = Buffer(bytes * kLayers);
    Fill(memory);
    std::byte* at = memory.data();
    for (int layer = 0; layer < kLayers; ++layer) {
      for (const Shape& s : kShapes) {
        weights.push_back(kernels::PackedGeometry(kernels::WeightFormat::kBF16, s.n, s.k));
        weights.back().data = at;
        at += kernels::PackedBytes(weights.back());
      }
    }
  }

  Buffer memory;
  std::vector<PackedWeight> weights;
};

struct Bench {
  explicit Bench(int threads) : pool(threads), x(kMaxRows * 8192 * 2), out(kMaxRows * 16384 * 2) {
    Fill(x);
    std::memset(out.data(), 0, out.size());
  }

  double Run(const KernelTable& table, const PackedWeight& weight, int64_t m) {
    if (workspace.size() < MultiplyBytes(pool.threads(), table))
      workspace = Buffer(MultiplyBytes(pool.threads(), table));
    const kernels::GemmCall call{.weight = &weight,
                                 .x = x.data(),
                                 .m = m,
                                 .x_stride = weight.k,
                                 .bias = nullptr,
                                 .bias_dtype = DType::kF32,
                                 .swiglu = false,
                                 .residual = nullptr,
                                 .out = out.data(),
                                 .out_dtype = DType::kBF16,
                                 .out_stride = weight.n};
    return Seconds([&] { Multiply(call, table, pool, workspace.data()); });
  }

  /// All layers once: GB/s of weights with few rows.
  double Decode(const KernelTable& table, int64_t m) {
    double seconds = 0;
    for (const PackedWeight& w : layers.weights) seconds += Run(table, w, m);
    return static_cast<double>(layers.memory.size()) / seconds;
  }

  Layers layers;
  ThreadPool pool;
  Buffer x;
  Buffer out;
  Buffer workspace;
};

}  // namespace
}  // namespace atb

int main(int argc, char** argv) {
  using namespace atb;
  const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
  one_thread = threads == 1;
  const std::string isas = argc > 2 ? argv[2] : "";
  const int64_t rows = std::min<int64_t>(argc > 3 ? std::atoi(argv[3]) : 512, kMaxRows);
  const int rounds = argc > 4 ? std::atoi(argv[4]) : 5;
  Bench bench(threads);

  std::vector<const KernelTable*> tables;
  for (const KernelTable* t : kernels::Available()) {
    const bool named = ("," + isas + ",").find("," + std::string(t->isa) + ",") != std::string::npos;
    if (isas.empty() ? std::string(t->isa) != "reference" : named) tables.push_back(t);
  }

  std::printf("decode, %d threads, %zu MB of bf16 weights\n", threads, bench.layers.memory.size() >> 20);
  for (const KernelTable* table : tables) {
    for (int64_t m : {1, 4, 16, 17, 32, 64}) {
      std::vector<double> speed, share;
      for (int round = 0; round < rounds; ++round) {
        const double bound = ReadSpeed(bench.layers.memory, bench.pool);
        speed.push_back(bench.Decode(*table, m));
        share.push_back(speed.back() / bound);
      }
      std::printf("  %-9s m %2ld  %6.2f GB/s  %5.1f %% of streamed reading\n", table->isa, static_cast<long>(m),
                  Median(speed) / 1e9, 100 * Median(share));
    }
  }

  std::printf("prefill, m %ld\n", static_cast<long>(rows));
  for (const KernelTable* table : tables) {
    for (size_t shape = 0; shape < std::size(kShapes); ++shape) {
      std::vector<double> speed, share;
      for (int round = 0; round < rounds; ++round) {
        double bound = 0;
#ifdef ATB_X86
        if (std::string(kernels::Available().front()->isa) == "amx") bound = TileSpeed(bench.x.data(), bench.pool);
#endif
        const Shape& s = kShapes[shape];
        const size_t layer = static_cast<size_t>(round % kLayers);
        const double seconds = bench.Run(*table, bench.layers.weights[layer * std::size(kShapes) + shape], rows);
        speed.push_back(2.0 * static_cast<double>(rows * s.n * s.k) / seconds);
        share.push_back(bound > 0 ? speed.back() / bound : 0);
      }
      std::printf("  %-9s %-8s %7.0f GFLOP/s  %5.1f %% of AMX 2x2 tiles from L2\n", table->isa, kShapes[shape].name,
                  Median(speed) / 1e9, 100 * Median(share));
    }
  }
  return 0;
}
