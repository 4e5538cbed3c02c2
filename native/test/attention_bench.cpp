// Attention at Llama-3.2-1B's shape (8 kv heads of 64, 4 queries each, bf16) against what the machine gives: decode at
// a depth against streamed reading of memory, prefill in operations per second. Build with -DATB_BENCH=ON. Usage:
// attention_bench [threads = 2] [isa,... = all] [depth = 8192] [rounds = 5]. Bounds and kernels take turns, because a
// shared machine's speed changes from second to second; medians are printed.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "cache/kv_cache.h"
#include "kernels/dispatch.h"
#include "ops/operation.h"

namespace atb {
namespace {

using kernels::KernelTable;

constexpr int64_t kKvHeads = 8, kGroup = 4, kHeadDim = 64, kBlockSize = 128;
constexpr int64_t kQueryRow = kKvHeads * kGroup * kHeadDim;
constexpr int64_t kKvRow = kKvHeads * kHeadDim;

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

/// bf16 numbers of both signs around 0.5.
void Fill(void* memory, size_t bytes) {
  auto* numbers = static_cast<uint16_t*>(memory);
  uint32_t state = 1;
  for (size_t i = 0; i < bytes / 2; ++i) {
    state = state * 1664525u + 1013904223u;
    numbers[i] = static_cast<uint16_t>(0x3F00u | (state >> 16 & 0x80FFu));
  }
}

/// Bytes per second of reading `bytes` with eight streams per thread, one load per cache line, 1 KB ahead.
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
          sum += *reinterpret_cast<const uint64_t*>(at);
        }
      }
      sums[static_cast<size_t>(worker) * 8] += sum;
    });
  });
  volatile uint64_t keep = std::accumulate(sums.begin(), sums.end(), uint64_t{0});
  (void)keep;
  return static_cast<double>(chunks * kChunk) / seconds;
}

ParamObject Param(const char* key, const char* value) {
  return {{"headNum", double(kKvHeads * kGroup)},
          {"kvHeadNum", double(kKvHeads)},
          {"qkScale", 0.125},
          {"causal", true},
          {key, value}};
}

/// One operation with its tensors and workspace.
struct Bound {
  std::unique_ptr<Operation> op;
  std::vector<Tensor> in;
  Tensor out;
  Buffer workspace;

  void Run(const KernelTable& kernels, ThreadPool& pool) {
    std::vector<TensorDesc> descs;
    for (const Tensor& t : in) descs.push_back(t.desc);
    const size_t bytes = op->WorkspaceBytes(descs, pool.threads(), kernels);
    if (workspace.size() < bytes) workspace = Buffer(bytes);
    op->Execute(in, {&out, 1}, {kernels, pool, workspace.data()});
  }
};

int Main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
  const std::string isas = argc > 2 ? argv[2] : "";
  const int64_t depth = argc > 3 ? std::atoll(argv[3]) : 8192;
  const int rounds = argc > 4 ? std::atoi(argv[4]) : 5;
  one_thread = threads == 1;
  ThreadPool pool(threads);
  const int64_t blocks = (depth + kBlockSize - 1) / kBlockSize;
  // Beyond any cache.
  const int64_t layers = std::max<int64_t>(2, (int64_t{512} << 20) / (depth * kKvRow * 4));
  KvCache cache({layers, blocks, kBlockSize, kKvHeads, kHeadDim, DType::kBF16});
  Fill(cache.Keys(0).data, cache.bytes());
  std::vector<int32_t> table(static_cast<size_t>(blocks));
  std::iota(table.begin(), table.end(), 0);
  std::vector<int32_t> context = {static_cast<int32_t>(depth)};

  const int64_t prompt = std::min<int64_t>(depth, 2048);
  std::vector<int32_t> lengths = {static_cast<int32_t>(prompt)};
  Buffer q(static_cast<size_t>(prompt * kQueryRow * 2)), k(static_cast<size_t>(prompt * kKvRow * 2)),
      out(static_cast<size_t>(prompt * kQueryRow * 2));
  Fill(q.data(), q.size());
  Fill(k.data(), k.size());
  const auto rows = [](Buffer& b, int64_t n, int64_t width) {
    return Tensor{TensorDesc(DType::kBF16, {n, width}), b.data()};
  };
  const auto ints = [](std::vector<int32_t>& v) {
    return Tensor{TensorDesc(DType::kI32, {int64_t(v.size())}), v.data()};
  };
  Bound decode = {
      CreateOperation("PagedAttention", Param("calcType", "CALC_TYPE_UNDEFINED")), {}, rows(out, 1, kQueryRow), {}};
  Bound prefill = {CreateOperation("SelfAttention", Param("calcType", "PA_ENCODER")),
                   {rows(q, prompt, kQueryRow), rows(k, prompt, kKvRow), rows(k, prompt, kKvRow), ints(lengths)},
                   rows(out, prompt, kQueryRow),
                   {}};

  std::vector<double> read;
  std::vector<std::vector<double>> decode_speed(8), decode_share(8), prefill_speed(8);
  for (int round = 0; round < rounds; ++round) {
    size_t i = 0;
    for (const KernelTable* t : kernels::Available()) {
      if (isas.empty() ? t == kernels::Available().back() : isas.find(t->isa) == std::string::npos) continue;
      const double bound = ReadSpeed(cache.Keys(0).As<std::byte>(), cache.bytes(), pool);
      read.push_back(bound);
      const double seconds = Seconds([&] {
        for (int64_t layer = 0; layer < layers; ++layer) {
          decode.in = {rows(q, 1, kQueryRow),
                       cache.Keys(layer),
                       cache.Values(layer),
                       {TensorDesc(DType::kI32, {1, blocks}), table.data()},
                       ints(context)};
          decode.Run(*t, pool);
        }
      });
      decode_speed[i].push_back(static_cast<double>(layers * depth * kKvRow * 4) / seconds);
      decode_share[i].push_back(decode_speed[i].back() / bound);
      const double pass = Seconds([&] { prefill.Run(*t, pool); });
      // Two products of half the square.
      prefill_speed[i].push_back(static_cast<double>(2 * prompt * (prompt + 1) * kQueryRow) / pass);
      ++i;
    }
  }
  std::printf("%d threads, read %.1f GB/s\n", threads, Median(read) / 1e9);
  size_t i = 0;
  for (const KernelTable* t : kernels::Available()) {
    if (isas.empty() ? t == kernels::Available().back() : isas.find(t->isa) == std::string::npos) continue;
    std::printf("%-9s decode at %d: %.1f GB/s, %.0f%% of reading; prefill %d: %.0f GFLOP/s\n", t->isa, int(depth),
                Median(decode_speed[i]) / 1e9, Median(decode_share[i]) * 100, int(prompt),
                Median(prefill_speed[i]) / 1e9);
    ++i;
  }
  return 0;
}

}  // namespace
}  // namespace atb

int main(int argc, char** argv) { return atb::Main(argc, argv); }
