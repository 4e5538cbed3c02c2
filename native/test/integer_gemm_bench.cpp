// Products with weights of integers, and of floats of 8 and 4 bits, at real shapes against what the machine gives:
// streamed reading of memory, and AMX tiles from L2. Build with -DATB_BENCH=ON. Usage: integer_gemm_bench [threads = 2]
// [isa,... = the best] [rounds = 5] [rows,... = 1,8,16,32,512] [formats, whole names, = all] [shapes, whole names, =
// all]. Bounds, formats and kernels take turns; for each number of rows the median speed (GB/s of weights up to 64
// rows, GFLOP/s beyond) and the median share of the bound is printed: of bytes over reading or operations over tiles,
// whichever takes longer. Up to 64 rows the weights come from memory.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "bench.h"
#include "engine/machine_limits.h"
#include "kernels/dispatch.h"
#include "kernels/group_numbers.h"
#include "kernels/pack.h"
#include "kernels/pack_integers.h"
#include "ops/linear/gemm.h"
#include "tested_tables.h"

namespace atb {
namespace {

using kernels::KernelTable;
using kernels::PackedWeight;
using kernels::WeightFormat;

constexpr int64_t kDecodeRows = 64;

struct Shape {
  const char* name;
  int64_t n, k;
};
/// Of Llama-3.2-1B, then of Qwen2.5-0.5B.
constexpr Shape kShapes[] = {{"l1.qkv", 3072, 2048},      {"l1.o", 2048, 2048},         {"l1.gate_up", 16384, 2048},
                             {"l1.down", 2048, 8192},     {"l1.lm_head", 128256, 2048}, {"q05.qkv", 1152, 896},
                             {"q05.o", 896, 896},         {"q05.gate_up", 9728, 896},   {"q05.down", 896, 4864},
                             {"q05.lm_head", 151936, 896}};

struct Format {
  const char* name;
  WeightFormat format;
  int64_t group;
  int planes;
  bool products;         ///< Scales are products of an output's scale and multipliers.
  bool offsets = false;  ///< Each group has an offset, as integers have that are not symmetric.
  /// Scales are powers of two, of which the exponents are stored: one in so many is 6 smaller than the largest; 0:
  /// floats.
  int far = 0;
  bool steps = false;     ///< Scales are f16 times steps, as blocks of GGUF have them; else with halves f16.
  bool minimums = false;  ///< In the form of the scales.
  bool halves = false;
};
constexpr Format kFormats[] = {{"bf16", WeightFormat::kBF16, 0, 0, false},
                               {"w8a16", WeightFormat::kI8, 0, 2, false},
                               {"w8a8", WeightFormat::kI8, 0, 1, false},
                               {"w4a16", WeightFormat::kI4, 64, 2, true},
                               {"w4a8", WeightFormat::kI4, 64, 1, true},
                               {"w4a16.g128", WeightFormat::kI4, 128, 2, true},
                               {"w4a16.g32", WeightFormat::kI4, 32, 2, true},
                               {"w4a16.float", WeightFormat::kI4, 64, 2, false},
                               {"w4a16.g32.float", WeightFormat::kI4, 32, 2, false},
                               {"sym4.g128", WeightFormat::kI4, 128, 2, false},
                               {"asym4.g128", WeightFormat::kI4, 128, 2, false, true},
                               {"sym8.g128", WeightFormat::kI8, 128, 2, false},
                               {"asym8", WeightFormat::kI8, 0, 2, false, true},
                               {"q4_0", WeightFormat::kI4, 32, 2, false, false, 0, false, false, true},
                               {"q4_1", WeightFormat::kI4, 32, 2, false, false, 0, false, true, true},
                               {"q4_k", WeightFormat::kI4, 32, 2, false, false, 0, true, true},
                               {"q5_k", WeightFormat::kI8, 32, 2, false, false, 0, true, true},
                               {"q8_0", WeightFormat::kI8, 32, 2, false, false, 0, false, false, true},
                               {"sym8.g32", WeightFormat::kI8, 32, 2, false},
                               {"fp8", WeightFormat::kE4M3, 0, 0, false},
                               {"fp8.block", WeightFormat::kE4M3, 128, 0, false},
                               {"mxfp4", WeightFormat::kE2M1, 32, 2, false, false, 1 << 30},
                               {"mxfp4.far", WeightFormat::kE2M1, 32, 2, false, false, 1000},
                               {"mxfp4.wide", WeightFormat::kE2M1, 32, 2, false, false, 10},
                               {"nvfp4", WeightFormat::kE2M1, 16, 0, false},
                               {"mxfp4.narrow", WeightFormat::kE2M1, 32, 2, true}};

/// Copies of one weight, together beyond any cache.
struct Copies {
  Copies(const Format& f, const Shape& s, int64_t least) : weight(kernels::PackedGeometry(f.format, s.n, s.k)) {
    const int64_t bytes = kernels::PackedBytes(weight);
    count = std::max<int64_t>(1, (least + bytes - 1) / bytes);
    memory = Buffer(static_cast<size_t>(bytes * count));
    if (f.format == WeightFormat::kBF16) {
      FillOrdinary(Bytes(memory));
    } else {
      auto* words = reinterpret_cast<uint32_t*>(memory.data());
      uint32_t state = 1;
      for (size_t i = 0; i < memory.size() / 4; ++i) words[i] = state = state * 1664525u + 1013904223u;
    }
    total = bytes;
    if (f.format == WeightFormat::kBF16) return;
    weight.group = f.group;
    kernels::PackedScales order = kernels::ScalesGeometry(s.n, kernels::GroupsOf(s.k, f.group), false);
    int64_t scale_bytes = kernels::ScalesBytes(order);
    scales = Buffer(static_cast<size_t>(scale_bytes));
    auto* numbers = reinterpret_cast<float*>(scales.data());
    for (int64_t i = 0; i < scale_bytes / 4; ++i) numbers[i] = 0.01f;
    weight.scales = order.data = numbers;
    if (f.far > 0) {
      scale_bytes /= 4;
      exponents = Buffer(static_cast<size_t>(scale_bytes));
      uint32_t state = 1;
      for (std::byte& exponent : Bytes(exponents)) {
        state = state * 1664525u + 1013904223u;
        const uint32_t draw = state >> 8;
        exponent = static_cast<std::byte>(120 - (draw % static_cast<uint32_t>(f.far) == 1 ? 6 : draw / 4096 % 4));
      }
      weight.scales = nullptr;
      weight.exponents = reinterpret_cast<const uint8_t*>(exponents.data());
    }
    if (f.steps || f.halves) {
      scale_bytes = kernels::ShortBytes(order, f.steps);
      const auto ordinary = [&](Buffer& to) {
        to = Buffer(static_cast<size_t>(scale_bytes));
        auto* const halves = reinterpret_cast<uint16_t*>(to.data());
        for (int64_t i = 0; i < scale_bytes / 2; ++i) halves[i] = 0x2121;  // 0.01; as steps 33.
        total += scale_bytes;
        return kernels::ShortsAt(order, f.steps, to.data());
      };
      weight.scales = nullptr;
      weight.short_scales = ordinary(scales);
      if (f.minimums) weight.minimums = ordinary(offsets);
      return;
    }
    if (f.products) {
      for (int64_t i = 0; i < scale_bytes / 4; ++i) numbers[i] = i % 3 ? 0.0078125f : 0.0009765625f;
      scale_bytes = kernels::MultiplierBytes(order);
      Buffer products(static_cast<size_t>(scale_bytes));
      kernels::PackedScales found;
      if (!kernels::PackMultipliers(order, kernels::MostMultiplier(f.format), products.data(), found)) std::exit(1);
      weight.scales = found.data;
      weight.multipliers = found.multipliers;
      scales = std::move(products);
    }
    total += scale_bytes;
    if (!f.offsets) return;
    offsets = Buffer(static_cast<size_t>(kernels::OffsetBytes(order)));
    auto* whole = reinterpret_cast<int16_t*>(offsets.data());
    for (size_t i = 0; i < offsets.size() / 2; ++i) whole[i] = static_cast<int16_t>(i % 16) - 7;
    weight.offsets = whole;
    total += static_cast<int64_t>(offsets.size());
  }

  PackedWeight At(int64_t i) const {
    PackedWeight copy = weight;
    copy.data = memory.data() + i % count * kernels::PackedBytes(weight);
    return copy;
  }

  PackedWeight weight;
  Buffer memory, scales, offsets, exponents;
  int64_t count = 0;
  int64_t total = 0;  ///< Bytes of one with its scales.
};

struct Bench {
  explicit Bench(int threads) : pool(threads), memory(size_t{192} << 20) { FillOrdinary(Bytes(memory)); }

  void Resize(int64_t m, int64_t n, int64_t k) {
    x = Buffer(static_cast<size_t>(m * k * 2));
    out = Buffer(static_cast<size_t>(m * n * 2));
    FillOrdinary(Bytes(x));
    std::memset(out.data(), 0, out.size());
  }

  void Run(const KernelTable& table, const Format& format, const PackedWeight& weight, int64_t m) {
    const size_t bytes = MultiplyBytes(pool.threads(), table, m, weight.k, 3, kernels::IsWidened(weight));
    if (workspace.size() < bytes) workspace = Buffer(bytes);
    const MultiplyCall call{.weight = &weight,
                            .x = x.data(),
                            .m = m,
                            .x_stride = weight.k,
                            .bias = nullptr,
                            .bias_dtype = DType::kF32,
                            .residual = nullptr,
                            .out = out.data(),
                            .out_dtype = DType::kBF16,
                            .out_stride = weight.n,
                            .x_dtype = DType::kBF16,
                            .planes = format.planes};
    Multiply(call, table, pool, workspace.data());
  }

  ThreadPool pool;
  Buffer memory, x, out, workspace;
};

std::vector<std::string> Split(const char* list) {
  std::vector<std::string> parts(1);
  for (; *list; ++list) {
    if (*list == ',') {
      parts.emplace_back();
    } else {
      parts.back() += *list;
    }
  }
  return parts;
}

bool Has(const std::vector<std::string>& list, const char* name) {
  return list[0].empty() || std::find(list.begin(), list.end(), name) != list.end();
}

struct Result {
  std::vector<double> speed, share;
};

/// A format and a kernel table, and what was measured of them.
struct Turn {
  const Format* format;
  const KernelTable* table;
  std::shared_ptr<const Copies> copies;
  std::vector<Result> results;
};

/// One round of one number of rows.
void Measure(Bench& bench, const KernelTable& table, const Format& format, const Copies& copies, int64_t m,
             Result& result) {
  const double read = ReadSpeed(Bytes(bench.memory), bench.pool);
  // Tiles multiply bytes twice as fast as bf16.
  const double tiles =
      ProductSpeed(Bytes(bench.memory), bench.pool, *kernels::Available().front()) * (format.planes == 1 ? 2 : 1);
  const bool decode = m <= kDecodeRows;
  const int64_t runs = decode ? copies.count : 1;
  bench.Run(table, format, copies.At(runs - 1), m);
  const double seconds = Seconds([&] {
                           for (int64_t i = 0; i < runs; ++i) bench.Run(table, format, copies.At(i), m);
                         }) /
                         static_cast<double>(runs);
  const double bytes = static_cast<double>(copies.total);
  const double operations = 2.0 * static_cast<double>(m * copies.weight.n * copies.weight.k);
  result.speed.push_back((decode ? bytes : operations) / seconds);
  result.share.push_back(std::max(decode ? bytes / read : 0, operations / tiles) / seconds);
}

}  // namespace
}  // namespace atb

int main(int argc, char** argv) {
  using namespace atb;
  const auto argument = [=](int i, const char* otherwise) { return argc > i && argv[i][0] ? argv[i] : otherwise; };
  const int threads = std::atoi(argument(1, "2"));
  one_thread = threads == 1;
  const auto isas = Split(argument(2, kernels::Available().front()->isa));
  const int rounds = std::atoi(argument(3, "5"));
  const auto rows = Split(argument(4, "1,8,16,32,512"));
  const auto formats = Split(argument(5, ""));
  const auto shapes = Split(argument(6, ""));
  Bench bench(threads);
  int64_t most = 0, few = 0;
  for (const auto& m : rows) most = std::max<int64_t>(most, std::atoi(m.c_str()));
  for (const auto& m : rows) few += std::atoi(m.c_str()) <= kDecodeRows;
  for (const Shape& shape : kShapes) {
    if (!Has(shapes, shape.name)) continue;
    bench.Resize(most, shape.n, shape.k);
    // Formats take turns too, so that their ratios mean something.
    std::vector<Turn> turns;
    for (const Format& format : kFormats) {
      if (!Has(formats, format.name)) continue;
      const auto copies = std::make_shared<const Copies>(format, shape, few ? int64_t{192} << 20 : 0);
      for (const KernelTable* table : kernels::TestedTables()) {
        if (Has(isas, table->isa)) turns.push_back({&format, table, copies, std::vector<Result>(rows.size())});
      }
    }
    for (int round = 0; round < rounds; ++round) {
      for (Turn& turn : turns) {
        for (size_t i = 0; i < rows.size(); ++i)
          Measure(bench, *turn.table, *turn.format, *turn.copies, std::atoi(rows[i].c_str()), turn.results[i]);
      }
    }
    for (const Turn& turn : turns) {
      std::printf("%-7s %-12s %-11s", turn.table->isa, turn.format->name, shape.name);
      for (size_t i = 0; i < rows.size(); ++i) {
        const Result& result = turn.results[i];
        std::printf("  m %s: %.1f, %.0f %%", rows[i].c_str(), Median(result.speed) / 1e9, 100 * Median(result.share));
      }
      std::printf("\n");
      std::fflush(stdout);
    }
  }
  return 0;
}
