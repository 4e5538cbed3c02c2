// Attention over the cache against what the machine gives: decode at a depth against streamed reading of memory,
// prefill against products of panels that lie in L2. Queries are bf16, the cache is bf16 or int8. Build with
// -DATB_BENCH=ON. Usage: attention_bench [threads = 2] [isa,... = all] [depth = 8192] [rounds = 5] [kv heads = 8]
// [queries of each = 4] [none, softcap or slopes] [prompt = 4096, at most the depth]; those are Llama-3.2-1B's heads of
// 64, 2 and 7 are Qwen2.5-0.5B's; 0 and 16 are DeepSeek-V2-Lite's, one head of 576 numbers whose first 512 are the
// values. Bounds and kernels take turns, because a shared machine's speed changes from second to second; medians are
// printed.
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
#include "bench.h"
#include "caches.h"
#include "engine/machine_limits.h"
#include "kernels/dispatch.h"
#include "ops/operation.h"

namespace atb {
namespace {

using kernels::KernelTable;

constexpr int64_t kBlockSize = 128;

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

/// One cache's operations, and what they reached, by table.
struct Bench {
  const char* name;
  KvCache cache;
  std::vector<std::vector<double>> decode, share, prefill, prefill_share;

  std::span<std::byte> Memory() const { return {cache.Keys(0).As<std::byte>(), cache.bytes()}; }

  Bench(const char* label, const KvCacheOptions& options)
      : name(label), cache(options), decode(8), share(8), prefill(8), prefill_share(8) {
    FillOrdinary(Memory());
    if (options.dtype != DType::kI8) return;
    // Four integers are a scale around 0.01, too.
    auto* words = cache.Keys(0).As<uint32_t>();
    for (size_t i = 0; i < cache.bytes() / 4; ++i) words[i] = 0x3C000000u | (words[i] * 2654435761u >> 8);
  }
};

/// Operations per second of the table's yardstick, by this benchmark's clock.
double MultiplySpeed(std::span<const std::byte> memory, ThreadPool& pool, const KernelTable& kernels) {
  constexpr int64_t kTimes = 20;
  std::vector<int64_t> operations(static_cast<size_t>(pool.threads()));
  const double seconds = Seconds([&] {
    pool.ParallelFor(kTimes * pool.threads(), [&](int64_t, int worker) {
      operations[static_cast<size_t>(worker)] += kernels.yardstick(memory.data() + worker * kernels::kYardstickBytes);
    });
  });
  return static_cast<double>(std::accumulate(operations.begin(), operations.end(), int64_t{0})) / seconds;
}

int Main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
  const std::string isas = argc > 2 ? argv[2] : "";
  const int64_t depth = argc > 3 ? std::atoll(argv[3]) : 8192;
  const int rounds = argc > 4 ? std::atoi(argv[4]) : 5;
  const int64_t asked_heads = argc > 5 ? std::atoll(argv[5]) : 8;
  const bool latent = asked_heads == 0;
  const int64_t kv_heads = latent ? 1 : asked_heads;
  const int64_t head_dim = latent ? 576 : 64, value_dim = latent ? 512 : 64;
  const int64_t group = argc > 6 ? std::atoll(argv[6]) : 4;
  const std::string bent = argc > 7 ? argv[7] : "none";
  const int64_t row = kv_heads * group * head_dim, out_row = kv_heads * group * value_dim;
  one_thread = threads == 1;
  ThreadPool pool(threads);
  const int64_t blocks = (depth + kBlockSize - 1) / kBlockSize;
  // Beyond any cache.
  const int64_t layers = std::max<int64_t>(2, (int64_t{512} << 20) / (depth * kv_heads * head_dim * 4));
  const auto caches = [&](DType dtype) {
    KvCacheOptions options = SameCaches(layers, blocks, kBlockSize, kv_heads, head_dim, dtype);
    for (KvCacheDesc& cache : options.caches) {
      cache.value_size = value_dim;
      if (latent) cache.value.reset();
    }
    return options;
  };
  Bench benches[] = {{"bf16", caches(DType::kBF16)}, {"i8", caches(DType::kI8)}};
  std::vector<int32_t> table(static_cast<size_t>(blocks));
  std::iota(table.begin(), table.end(), 0);
  const int64_t prompt = std::min<int64_t>(depth, argc > 8 ? std::atoll(argv[8]) : 4096);
  std::vector<int32_t> context = {static_cast<int32_t>(depth)}, lengths = {static_cast<int32_t>(prompt)};
  Buffer q(static_cast<size_t>(prompt * row * 2)), out(static_cast<size_t>(prompt * row * 2));
  FillOrdinary(Bytes(q));
  const auto rows = [&](Buffer& b, int64_t n) {
    return Tensor{TensorDesc(DType::kBF16, {n, &b == &q ? row : out_row}), b.data()};
  };
  const auto ints = [](std::vector<int32_t>& v) {
    return Tensor{TensorDesc(DType::kI32, {int64_t(v.size())}), v.data()};
  };
  const Tensor tables{TensorDesc(DType::kI32, {1, blocks}), table.data()};
  ParamObject param = {{"headNum", double(kv_heads * group)},
                       {"kvHeadNum", double(kv_heads)},
                       {"qkScale", 0.125},
                       {"mlaVHeadSize", latent ? double(value_dim) : 0},
                       {"causal", true}};
  if (bent == "softcap") param["softcap"] = 50;
  if (bent == "slopes") param["slopes"] = std::vector<double>(static_cast<size_t>(kv_heads * group), 0.01);
  ParamObject several = param;
  several["calcType"] = "CALC_TYPE_SPEC";
  Bound decode = {CreateOperation("PagedAttention", param), {}, rows(out, 1), {}};
  Bound prefill = {CreateOperation("PagedAttention", several), {}, rows(out, prompt), {}};

  std::vector<const KernelTable*> tested;
  for (const KernelTable* t : kernels::Available()) {
    if (isas.empty() ? t != kernels::Available().back() : isas.find(t->isa) != std::string::npos) tested.push_back(t);
  }
  std::vector<double> read;
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < tested.size(); ++i) {
      for (Bench& b : benches) {
        const double bound = ReadSpeed(benches[0].Memory(), pool);
        read.push_back(bound);
        const double seconds = Seconds([&] {
          for (int64_t layer = 0; layer < layers; ++layer) {
            decode.in = {rows(q, 1), b.cache.Keys(layer), b.cache.Values(layer), tables, ints(context)};
            if (latent) decode.in.erase(decode.in.begin() + 2);
            decode.Run(*tested[i], pool);
          }
        });
        b.decode[i].push_back(static_cast<double>(b.cache.bytes()) / seconds);
        b.share[i].push_back(b.decode[i].back() / bound);
        prefill.in = {rows(q, prompt), b.cache.Keys(0), b.cache.Values(0), tables, ints(lengths), ints(lengths)};
        if (latent) prefill.in.erase(prefill.in.begin() + 2);
        const double pass = Seconds([&] { prefill.Run(*tested[i], pool); });
        // Two products of half the square.
        b.prefill[i].push_back(static_cast<double>(prompt * (prompt + 1) * (row + out_row)) / pass);
        b.prefill_share[i].push_back(b.prefill[i].back() / MultiplySpeed(benches[0].Memory(), pool, *tested[i]));
      }
    }
  }
  std::printf("%d threads, read %.1f GB/s\n", threads, Median(read) / 1e9);
  for (size_t i = 0; i < tested.size(); ++i) {
    for (Bench& b : benches) {
      std::printf(
          "%-7s %-4s decode at %d: %.1f GB/s, %.0f%% of reading; prefill %d: %.0f GFLOP/s, %.0f%% of products\n",
          tested[i]->isa, b.name, int(depth), Median(b.decode[i]) / 1e9, Median(b.share[i]) * 100, int(prompt),
          Median(b.prefill[i]) / 1e9, Median(b.prefill_share[i]) * 100);
    }
  }
  return 0;
}

}  // namespace
}  // namespace atb

int main(int argc, char** argv) { return atb::Main(argc, argv); }
