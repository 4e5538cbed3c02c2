// Products with weights of integers at Llama-3.2-1B's shapes against what the machine gives: streamed reading of
// memory, and AMX tiles from L2. Build with -DATB_BENCH=ON. Usage: integer_gemm_bench [threads = 2] [isa,... = the
// best] [rounds = 5] [part: decode, prefill]. Bounds and kernels take turns; medians of the ratios are printed.
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
#include "kernels/pack_integers.h"
#include "ops/gemm.h"
#ifdef ATB_X86
#include "kernels/amx/tiles.h"
#endif

namespace atb {
namespace {

using kernels::KernelTable;
using kernels::PackedWeight;
using kernels::WeightFormat;

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

struct Shape {
  const char* name;
  int64_t n, k;
};
constexpr Shape kShapes[] = {{"qkv", 3072, 2048}, {"o", 2048, 2048}, {"gate_up", 16384, 2048}, {"down", 2048, 8192}};

struct Format {
  const char* name;
  WeightFormat format;
  int64_t group;
  int planes;
  bool products;  ///< Scales are products of an output's scale and multipliers.
};
constexpr Format kFormats[] = {{"bf16", WeightFormat::kBF16, 0, 0, false},
                               {"w8a16", WeightFormat::kI8, 0, 2, false},
                               {"w8a8", WeightFormat::kI8, 0, 1, false},
                               {"w4a16 g128", WeightFormat::kI4, 128, 2, true},
                               {"w4a16 g64", WeightFormat::kI4, 64, 2, true},
                               {"w4a16 g32", WeightFormat::kI4, 32, 2, true},
                               {"w4a16 g128 float scales", WeightFormat::kI4, 128, 2, false},
                               {"w4a16 g64 float scales", WeightFormat::kI4, 64, 2, false},
                               {"w4a16 g32 float scales", WeightFormat::kI4, 32, 2, false}};

/// Bytes per second of reading with eight streams per thread, one load per cache line, 1 KB ahead.
double ReadSpeed(const std::byte* memory, size_t bytes, ThreadPool& pool) {
  constexpr size_t kStreams = 8;
  constexpr size_t kChunk = size_t{1} << 20;
  std::vector<uint64_t> sums(static_cast<size_t>(pool.threads()) * 8);
  const size_t chunks = bytes / kChunk;
  const double seconds = Seconds([&] {
    pool.ParallelFor(static_cast<int64_t>(chunks), [&](int64_t chunk, int worker) {
      const std::byte* base = memory + static_cast<size_t>(chunk) * kChunk;
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
/// Operations per second of 2 x 2 blocks of tiles, both operands of every block from L2: bf16, or bytes.
template <bool Bytes>
double TileSpeed(const std::byte* memory, ThreadPool& pool) {
  namespace amx = kernels::amx;
  constexpr int64_t kSteps = 64, kPanel = kSteps * amx::kTileBytes, kPairs = 4, kBlocks = 400;
  const double seconds = Seconds([&] {
    pool.ParallelFor(pool.threads() * 4, [&](int64_t, int worker) {
      const std::byte* rows = memory + worker * 4 * kPairs * kPanel;
      const std::byte* panels = rows + 2 * kPairs * kPanel;
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
          amx::LoadTile<7>(b + kPanel, amx::kTileRowBytes);
          if constexpr (Bytes) {
            amx::MultiplyI8<0, 4, 6>();
            amx::MultiplyI8<2, 5, 6>();
            amx::MultiplyI8<1, 4, 7>();
            amx::MultiplyI8<3, 5, 7>();
          } else {
            amx::MultiplyBF16<0, 4, 6>();
            amx::MultiplyBF16<2, 5, 6>();
            amx::MultiplyBF16<1, 4, 7>();
            amx::MultiplyBF16<3, 5, 7>();
          }
        }
      }
      amx::Release();
    });
  });
  return pool.threads() * 4.0 * kBlocks * kSteps * 4 * (16 * 16 * (Bytes ? 64 : 32) * 2) / seconds;
}
#endif

/// Some layers of one format, beyond any cache.
struct Layers {
  Layers(const Format& f, int layers) : format(f) {
    size_t bytes = 0;
    for (const Shape& s : kShapes)
      bytes += static_cast<size_t>(kernels::PackedBytes(kernels::PackedGeometry(f.format, s.n, s.k)));
    memory = Buffer(bytes * static_cast<size_t>(layers));
    for (size_t i = 0; i < memory.size(); ++i)
      memory.data()[i] = static_cast<std::byte>(i % 2 ? 0x3C : (i * 97 >> 3) & 0x7F);
    std::byte* at = memory.data();
    for (int layer = 0; layer < layers; ++layer) {
      for (const Shape& s : kShapes) {
        PackedWeight w = kernels::PackedGeometry(f.format, s.n, s.k);
        w.data = at;
        w.group = f.group;
        at += kernels::PackedBytes(w);
        kernels::PackedScales order = kernels::ScalesGeometry(s.n, kernels::GroupsOf(s.k, f.group), false);
        size_t scale_bytes = static_cast<size_t>(kernels::ScalesBytes(order));
        scales.emplace_back(scale_bytes);
        auto* numbers = reinterpret_cast<float*>(scales.back().data());
        for (size_t i = 0; i < scale_bytes / 4; ++i) numbers[i] = 0.01f;
        w.scales = order.data = numbers;
        if (f.products) {
          scale_bytes = static_cast<size_t>(kernels::MultiplierBytes(order));
          Buffer products(scale_bytes);
          kernels::PackedScales found;
          if (!kernels::PackMultipliers(order, products.data(), found)) std::exit(1);
          w.scales = found.data;
          w.multipliers = found.multipliers;
          scales.back() = std::move(products);
        }
        weights.push_back(w);
        total += static_cast<size_t>(kernels::PackedBytes(w));
        if (f.format != WeightFormat::kBF16) total += scale_bytes;
      }
    }
  }
  const Format& format;
  Buffer memory;
  std::vector<Buffer> scales;
  std::vector<PackedWeight> weights;
  size_t total = 0;
};

struct Bench {
  explicit Bench(int threads) : pool(threads), x(4096 * 8192 * 2), out(4096 * 16384 * 2) {
    auto* numbers = reinterpret_cast<uint16_t*>(x.data());
    uint32_t state = 1;
    for (size_t i = 0; i < x.size() / 2; ++i) {
      state = state * 1664525u + 1013904223u;
      numbers[i] = static_cast<uint16_t>(0x3C00u | (state >> 16 & 0x80FFu));
    }
  }

  double Run(const KernelTable& table, const Format& format, const PackedWeight& weight, int64_t m) {
    const size_t bytes = MultiplyBytes(pool.threads(), table, m, weight.k, 3);
    if (workspace.size() < bytes) workspace = Buffer(bytes);
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
                                 .out_stride = weight.n,
                                 .x_dtype = DType::kBF16,
                                 .planes = format.planes};
    return Seconds([&] { Multiply(call, table, pool, workspace.data()); });
  }

  ThreadPool pool;
  Buffer x, out, workspace;
};

}  // namespace
}  // namespace atb

int main(int argc, char** argv) {
  using namespace atb;
  const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
  one_thread = threads == 1;
  const std::string isas = argc > 2 ? argv[2] : "";
  const int rounds = argc > 3 ? std::atoi(argv[3]) : 5;
  const std::string part = argc > 4 ? argv[4] : "";
  const std::string only = argc > 5 ? argv[5] : "";
  Bench bench(threads);
  std::vector<const KernelTable*> tables;
  for (const KernelTable* t : kernels::Available()) {
    const bool named = ("," + isas + ",").find("," + std::string(t->isa) + ",") != std::string::npos;
    if (isas.empty() ? t == kernels::Available().front() : named) tables.push_back(t);
  }
  for (const Format& format : kFormats) {
    if (!only.empty() && std::string(format.name).find(only) == std::string::npos) continue;
    const bool decode = part.empty() || part == "decode", prefill = part.empty() || part == "prefill";
    const Layers layers(format, decode ? (format.format == WeightFormat::kBF16 ? 3
                                          : format.format == WeightFormat::kI8 ? 6
                                                                               : 12)
                                       : 1);
    for (const KernelTable* table : tables) {
      for (int64_t m : {1, 2, 4, 8, 16, 32}) {
        if (!decode) break;
        std::vector<double> speed, share;
        for (int round = 0; round < rounds; ++round) {
          const double bound = ReadSpeed(layers.memory.data(), layers.memory.size(), bench.pool);
          double seconds = 0;
          for (const PackedWeight& w : layers.weights) seconds += bench.Run(*table, format, w, m);
          speed.push_back(static_cast<double>(layers.total) / seconds);
          share.push_back(speed.back() / bound);
        }
        std::printf("%-7s %-23s m %3ld  %6.2f GB/s  %5.1f %% of streamed reading\n", table->isa, format.name,
                    static_cast<long>(m), Median(speed) / 1e9, 100 * Median(share));
      }
      for (size_t shape = 0; shape < std::size(kShapes) && prefill; ++shape) {
        std::vector<double> speed, share, bytes_share;
        for (int round = 0; round < rounds; ++round) {
          double bound = 1, bytes_bound = 1;
#ifdef ATB_X86
          if (std::string(kernels::Available().front()->isa) == "amx") {
            bound = TileSpeed<false>(bench.x.data(), bench.pool);
            bytes_bound = TileSpeed<true>(bench.x.data(), bench.pool);
          }
#endif
          const Shape& s = kShapes[shape];
          const double seconds = bench.Run(*table, format, layers.weights[shape], 512);
          speed.push_back(2.0 * static_cast<double>(512 * s.n * s.k) / seconds);
          share.push_back(speed.back() / bound);
          bytes_share.push_back(speed.back() / bytes_bound);
        }
        std::printf("%-7s %-23s m 512  %-8s %7.0f GFLOP/s  %5.1f %% of AMX-bf16, %5.1f %% of AMX-int8\n", table->isa,
                    format.name, kShapes[shape].name, Median(speed) / 1e9, 100 * Median(share),
                    100 * Median(bytes_share));
      }
    }
  }
  return 0;
}
