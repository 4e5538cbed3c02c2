// Products at Llama-3.2-1B's shapes against what the machine gives: streamed reading of memory, and products from L2.
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
#include "bench.h"
#include "engine/machine_limits.h"
#include "kernels/dispatch.h"
#include "kernels/pack.h"
#include "ops/linear/gemm.h"

namespace atb {
namespace {

using kernels::KernelTable;
using kernels::PackedWeight;

struct Shape {
  const char* name;
  int64_t n, k;
};
constexpr Shape kShapes[] = {{"qkv", 3072, 2048}, {"o", 2048, 2048}, {"gate_up", 16384, 2048}, {"down", 2048, 8192}};
/// 121 MB each in bf16: together beyond any cache.
constexpr int kLayers = 4;
constexpr int64_t kMaxRows = 4096;

struct Layers {
  Layers() {
    size_t bytes = 0;
    for (const Shape& s : kShapes) bytes += static_cast<size_t>(s.n * s.k * 2);
    memory = Buffer(bytes * kLayers);
    FillOrdinary(Bytes(memory));
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
    FillOrdinary(Bytes(x));
    std::memset(out.data(), 0, out.size());
  }

  double Run(const KernelTable& table, const PackedWeight& weight, int64_t m) {
    if (workspace.size() < MultiplyBytes(pool.threads(), table))
      workspace = Buffer(MultiplyBytes(pool.threads(), table));
    const MultiplyCall call{.weight = &weight,
                            .x = x.data(),
                            .m = m,
                            .x_stride = weight.k,
                            .bias = nullptr,
                            .bias_dtype = DType::kF32,
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
        const double bound = ReadSpeed(Bytes(bench.layers.memory), bench.pool);
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
        const double bound = ProductSpeed(Bytes(bench.x), bench.pool, *kernels::Available().front());
        const Shape& s = kShapes[shape];
        const size_t layer = static_cast<size_t>(round % kLayers);
        const double seconds = bench.Run(*table, bench.layers.weights[layer * std::size(kShapes) + shape], rows);
        speed.push_back(2.0 * static_cast<double>(rows * s.n * s.k) / seconds);
        share.push_back(speed.back() / bound);
      }
      std::printf("  %-9s %-8s %7.0f GFLOP/s  %5.1f %% of products from L2\n", table->isa, kShapes[shape].name,
                  Median(speed) / 1e9, 100 * Median(share));
    }
  }
  return 0;
}
