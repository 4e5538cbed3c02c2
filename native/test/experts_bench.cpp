// Experts in 4 bits, as wide as Qwen3-30B-A3B's, against what the machine gives and against dense products of as many
// operations. Build with -DATB_BENCH=ON. Usage: experts_bench [threads = 2] [rounds = 9] [tokens,... = 1,16,512]. All
// take turns; printed are, up to 64 tokens, the bytes of chosen experts a second and their share of what is read in a
// second, and beyond the time of the dense products over that of experts, each the median of the rounds. With one
// thread times are processor time, which other processes do not count in.
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
#include "kernels/pack.h"
#include "kernels/pack_integers.h"
#include "kernels/stack.h"
#include "ops/operation.h"

namespace atb {
namespace {

constexpr int64_t kExperts = 128, kChosen = 8, kHidden = 2048, kWidth = 768, kGroup = 64;
/// Up to so many tokens experts are bound by reading them.
constexpr int64_t kDecodeTokens = 64;

uint32_t NextOf(uint32_t& state) { return state = state * 1664525u + 1013904223u; }

/// Matrices [n, k] of `count` experts in int4 with multipliers, of one scale all.
struct Stack {
  Stack(int64_t count, int64_t n, int64_t k, bool interleaved)
      : weight(kernels::PackedGeometry(kernels::WeightFormat::kI4, n, k, interleaved)),
        bytes_of_one(kernels::PackedBytes(weight)) {
    numbers = Buffer(static_cast<size_t>(count * bytes_of_one));
    uint32_t state = 1;
    for (size_t i = 0; i < numbers.size() / 4; ++i) reinterpret_cast<uint32_t*>(numbers.data())[i] = NextOf(state);
    weight.group = kGroup;
    weight.data = numbers.data();
    kernels::PackedScales order = kernels::ScalesGeometry(n, k / kGroup, interleaved);
    std::vector<float> floats(static_cast<size_t>(kernels::ScalesBytes(order) / 4));
    for (size_t i = 0; i < floats.size(); ++i) floats[i] = i % 3 ? 0.0078125f : 0.0009765625f;
    order.data = floats.data();
    const auto stride = static_cast<size_t>(kernels::MultiplierBytes(order));
    scales_memory = Buffer(static_cast<size_t>(count) * stride);
    for (int64_t e = count; e-- > 0;) {
      std::byte* const own = scales_memory.data() + static_cast<size_t>(e) * stride;
      if (!kernels::PackMultipliers(order, kernels::MostMultiplier(weight.format), own, scales)) std::exit(1);
    }
    bytes_of_one += static_cast<int64_t>(stride);
    desc = TensorDesc(DType::kI8, {count, n, k / 2});
    scales_desc = TensorDesc(DType::kF32, {count, n, k / kGroup});
    if (count == 1) {
      desc = TensorDesc(DType::kI8, {n, k / 2});
      scales_desc = TensorDesc(DType::kF32, {n, k / kGroup});
    }
    desc.layout = Layout::kPackedLinear;
    scales_desc.layout = Layout::kPackedScales;
  }

  std::vector<Tensor> tensors() { return {{desc, &weight}, {scales_desc, &scales}}; }

  kernels::PackedWeight weight;
  kernels::PackedScales scales;
  int64_t bytes_of_one;
  Buffer numbers, scales_memory;
  TensorDesc desc, scales_desc;
};

/// An operation with its memory.
class Step {
 public:
  Step(const char* type, const ParamObject& param, std::vector<Tensor> in, const kernels::KernelTable& kernels,
       ThreadPool& pool)
      : op_(CreateOperation(type, param)), in_(std::move(in)), kernels_(kernels), pool_(pool) {
    std::vector<TensorDesc> descs;
    for (const Tensor& tensor : in_) descs.push_back(tensor.desc);
    TensorDesc out;
    op_->InferShape(descs, {&out, 1});
    out_memory_ = Buffer(out.Bytes());
    out_ = {out, out_memory_.data()};
    workspace_ = Buffer(op_->WorkspaceBytes(descs, pool.threads(), kernels) + 64);
    op_->Validate(in_);
  }
  void Run() { op_->Execute(in_, {&out_, 1}, {kernels_, pool_, workspace_.data()}); }
  const Tensor& out() const { return out_; }

 private:
  std::unique_ptr<Operation> op_;
  std::vector<Tensor> in_;
  const kernels::KernelTable& kernels_;
  ThreadPool& pool_;
  Tensor out_;
  Buffer out_memory_, workspace_;
};

/// What tokens chose, each different experts; another choice at every call.
void Choose(int64_t tokens, uint32_t& state, int32_t* chosen) {
  for (int64_t t = 0; t < tokens; ++t) {
    int32_t order[kExperts];
    for (int32_t e = 0; e < kExperts; ++e) order[e] = e;
    for (int64_t i = 0; i < kChosen; ++i) {
      std::swap(order[i], order[i + NextOf(state) / 65536 % (kExperts - i)]);
      chosen[t * kChosen + i] = order[i];
    }
  }
}

void Measure(int64_t tokens, int threads, int rounds, Stack& gate_up, Stack& down, Stack& dense_gate_up,
             Stack& dense_down) {
  const kernels::KernelTable& kernels = *kernels::Available().front();
  ThreadPool pool(threads);
  Buffer memory(size_t{192} << 20);
  FillOrdinary(Bytes(memory));
  const std::vector<Tensor> gate = gate_up.tensors(), back = down.tensors();
  const std::vector<Tensor> dense_gate = dense_gate_up.tensors(), dense_back = dense_down.tensors();
  const TensorDesc x_desc(DType::kBF16, {tokens, kHidden});
  std::vector<uint16_t> numbers(static_cast<size_t>(tokens * kHidden));
  FillOrdinary(std::as_writable_bytes(std::span(numbers)));
  const Tensor x{x_desc, numbers.data()};
  std::vector<int32_t> chosen(static_cast<size_t>(tokens * kChosen));
  std::vector<float> probs(chosen.size(), 0.125f);
  uint32_t state = 7;
  Choose(tokens, state, chosen.data());
  const TensorDesc choice(DType::kI32, {tokens, kChosen}), weights(DType::kF32, {tokens, kChosen});
  Step experts("FusedExperts", {{"activation", "swiglu"}, {"gateUpBits", 4}, {"downBits", 4}},
               {x, {choice, chosen.data()}, {weights, probs.data()}, gate[0], gate[1], back[0], back[1]}, kernels,
               pool);
  const ParamObject quant = {{"weightBits", 4}, {"quantGroupSize", double(kGroup)}};
  ParamObject gated = quant;
  gated["activation"] = "swiglu";
  Step first("FusedLinear", gated, {x, dense_gate[0], dense_gate[1]}, kernels, pool);
  Step second("FusedLinear", quant, {first.out(), dense_back[0], dense_back[1]}, kernels, pool);
  std::vector<double> speeds, shares, times, ratios;
  const bool is_decode = tokens <= kDecodeTokens;
  const int repeats = is_decode ? 16 : 1;
  for (int round = 0; round < rounds; ++round) {
    double bytes = 0, seconds = 0;
    for (int i = 0; i < repeats; ++i) {
      Choose(tokens, state, chosen.data());
      std::vector<int32_t> distinct = chosen;
      std::sort(distinct.begin(), distinct.end());
      const auto used = std::unique(distinct.begin(), distinct.end()) - distinct.begin();
      bytes += static_cast<double>(used * (gate_up.bytes_of_one + down.bytes_of_one));
      seconds += Seconds([&] { experts.Run(); });
    }
    const double read = Seconds([&] { ReadSpeed(Bytes(memory), pool); }) / static_cast<double>(memory.size());
    const double dense = Seconds([&] { first.Run(), second.Run(); });
    speeds.push_back(bytes / seconds);
    shares.push_back(bytes / seconds * read);
    times.push_back(seconds / repeats);
    ratios.push_back(dense * repeats / seconds);
  }
  std::printf("%4ld tokens: %.3f ms", static_cast<long>(tokens), Median(times) * 1e3);
  if (is_decode) {
    std::printf(", %.1f GB/s, %.0f %% of reading\n", Median(speeds) / 1e9, 100 * Median(shares));
  } else {
    std::printf(", dense products take %.2f of that\n", Median(ratios));
  }
  std::fflush(stdout);
}

}  // namespace
}  // namespace atb

int main(int argc, char** argv) {
  using namespace atb;
  const int threads = argc > 1 ? std::atoi(argv[1]) : 2, rounds = argc > 2 ? std::atoi(argv[2]) : 9;
  one_thread = threads == 1;
  const std::string list = argc > 3 ? argv[3] : "1,16,512";
  Stack gate_up(kExperts, 2 * kWidth, kHidden, true), down(kExperts, kHidden, kWidth, false);
  Stack dense_gate_up(1, kChosen * 2 * kWidth, kHidden, true), dense_down(1, kHidden, kChosen * kWidth, false);
  for (size_t at = 0; at < list.size(); at = std::min(list.find(',', at), list.size() - 1) + 1)
    Measure(std::atoi(list.c_str() + at), threads, rounds, gate_up, down, dense_gate_up, dense_down);
  return 0;
}
