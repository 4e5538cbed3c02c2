// Operations with a recurrent state against plain loops in double, and the same bits however a sequence is cut.
#include <cmath>
#include <string>
#include <vector>

#include "check.h"
#include "kernels/dispatch.h"
#include "op_runner.h"
#include "random.h"

namespace atb::test {
namespace {

using kernels::KernelTable;
using Numbers = std::vector<double>;

/// An operation whose rows [tokens, width] each change a state of `numbers`.
struct Recurrence {
  std::string type;
  ParamObject param;
  int64_t width, more, out, numbers;
  /// Per-head or per-channel tensors, f32, with their shapes.
  std::vector<Value> weights;
  /// One token in double: changes the state, returns what comes out.
  Numbers (*step)(const Recurrence&, const Numbers& row, const Numbers& gates, Numbers& state);
};

/// Blocks of four tokens.
constexpr int64_t kBlock = 4;

struct Sequence {
  int64_t begin;  ///< Of the tokens of the step, where its rows lie.
  int64_t done;   ///< Tokens before.
  int64_t tokens;
  std::vector<int64_t> blocks;
};

struct Step {
  Numbers rows, gates;
  std::vector<Sequence> sequences;
};

std::vector<Value> RunStep(const Recurrence& op, const Step& step, const Value& states, DType dtype,
                           const KernelTable& table) {
  int64_t tokens = 0;
  Numbers from, to, lengths;
  for (const Sequence& s : step.sequences) {
    tokens += s.tokens;
    lengths.push_back(static_cast<double>(s.tokens));
    const auto block_of = [&](int64_t place) {
      return static_cast<double>(s.blocks[static_cast<size_t>(place / kBlock)]);
    };
    from.push_back(s.done == 0 ? -1 : block_of(s.done - 1));
    for (int64_t place = s.done; place < s.done + s.tokens; ++place)
      to.push_back(place + 1 == s.done + s.tokens || (place + 1) % kBlock == 0 ? block_of(place) : -1);
  }
  std::vector<Value> inputs = {Value(dtype, {tokens, op.width}, step.rows)};
  if (op.more > 0) inputs.push_back(Value(dtype, {tokens, op.more}, step.gates));
  inputs.insert(inputs.end(), op.weights.begin(), op.weights.end());
  inputs.push_back(states);
  const auto batch = static_cast<int64_t>(step.sequences.size());
  inputs.push_back(Value(DType::kI32, {batch}, from));
  inputs.push_back(Value(DType::kI32, {tokens}, to));
  inputs.push_back(Value(DType::kI32, {batch}, lengths));
  return RunOp(op.type, op.param, inputs, table);
}

/// Rows [begin, begin + count) of a matrix.
Numbers RowsOf(const Numbers& matrix, int64_t width, int64_t begin, int64_t count) {
  return {matrix.begin() + begin * width, matrix.begin() + (begin + count) * width};
}

void Agrees(const Recurrence& op, double tolerance_of_f32) {
  constexpr int64_t kTokens = 11, kBlocks = 6;
  ForEachTable([&](const KernelTable& table) {
    for (DType dtype : kFloats) {
      Random random(7);
      const Numbers rows = Rounded(random.Normal<double>(2 * kTokens * op.width, 1), dtype);
      const Numbers gates = Rounded(random.Normal<double>(2 * kTokens * op.more, 1), dtype);
      const Sequence first{0, 0, kTokens, {2, 0, 5}}, second{kTokens, 0, kTokens, {1, 4, 3}};

      Numbers expected, states(static_cast<size_t>(kBlocks * op.numbers), NAN);
      for (const Sequence& s : {first, second}) {
        Numbers state(static_cast<size_t>(op.numbers), 0);
        for (int64_t t = 0; t < s.tokens; ++t) {
          const Numbers out =
              op.step(op, RowsOf(rows, op.width, s.begin + t, 1), RowsOf(gates, op.more, s.begin + t, 1), state);
          expected.insert(expected.end(), out.begin(), out.end());
          std::copy(state.begin(), state.end(),
                    states.begin() + s.blocks[static_cast<size_t>(t / kBlock)] * op.numbers);
        }
      }
      const Value nothing(TensorDesc(DType::kF32, {kBlocks, op.numbers}));
      const std::vector<Value> whole = RunStep(op, {rows, gates, {first, second}}, nothing, dtype, table);
      CHECK(Distance(whole[0].Numbers(), expected) <= Tolerance(dtype) + tolerance_of_f32);
      CHECK(Distance(whole[1].Numbers(), states) <= tolerance_of_f32);

      // In steps of one sequence beside the other: 3 tokens, 1, 4, and the rest.
      Value kept(TensorDesc(DType::kF32, {kBlocks, op.numbers}));
      std::vector<std::byte> bytes;
      for (const Sequence& s : {second, first}) {
        std::vector<std::byte> own;
        int64_t done = 0;
        for (int64_t count : {3, 1, 4, 3}) {
          const Sequence part{0, done, count, s.blocks};
          const std::vector<Value> found = RunStep(
              op,
              {RowsOf(rows, op.width, s.begin + done, count), RowsOf(gates, op.more, s.begin + done, count), {part}},
              kept, dtype, table);
          own.insert(own.end(), found[0].bytes.begin(), found[0].bytes.end());
          kept = found[1];
          done += count;
        }
        bytes.insert(bytes.begin(), own.begin(), own.end());
      }
      CHECK(bytes == whole[0].bytes);
      CHECK(kept.bytes == whole[1].bytes);
    }
  });
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

Recurrence Delta(int64_t key_heads, int64_t heads, int64_t key_size, int64_t value_size, bool by_key = false,
                 double lower_bound = 0) {
  Random random(3);
  const int64_t steps = heads * (by_key ? key_size : 1);
  Recurrence op{"GatedDeltaRule",
                {{"keyHeads", static_cast<double>(key_heads)},
                 {"valueHeads", static_cast<double>(heads)},
                 {"keySize", static_cast<double>(key_size)},
                 {"valueSize", static_cast<double>(value_size)},
                 {"mostBeta", by_key ? 2.0 : 1.0},
                 {"decaysByKey", by_key},
                 {"lowerBound", lower_bound}},
                2 * key_heads * key_size + heads * value_size,
                heads + steps,
                heads * value_size,
                heads * key_size * value_size,
                {Value(DType::kF32, {heads}, random.Normal<double>(heads, 1)),
                 Value(DType::kF32, {steps}, random.Normal<double>(steps, 1))},
                nullptr};
  op.step = [](const Recurrence& self, const Numbers& row, const Numbers& gates, Numbers& state) {
    const auto n = static_cast<int64_t>(self.weights[0].desc.Elements());
    const bool by_key = self.weights[1].desc.Elements() > n;
    const double lower_bound = std::get<double>(self.param.at("lowerBound").value());
    const int64_t v_size = self.out / n, k_size = self.numbers / self.out;
    const int64_t k_heads = (self.width - self.out) / (2 * k_size);
    Numbers out;
    for (int64_t h = 0; h < n; ++h) {
      const double* q = row.data() + h / (n / k_heads) * k_size;
      const double* k = q + k_heads * k_size;
      const double* v = row.data() + 2 * k_heads * k_size + h * v_size;
      const auto length = [&](const double* x) {
        double sum = 1e-6;
        for (int64_t i = 0; i < k_size; ++i) sum += x[i] * x[i];
        return std::sqrt(sum);
      };
      const double beta = (by_key ? 2 : 1) * Sigmoid(gates[static_cast<size_t>(h)]), of_k = 1 / length(k);
      const double of_q = 1 / length(q) / std::sqrt(static_cast<double>(k_size));
      const auto decay = [&](int64_t i) {
        const auto at = static_cast<size_t>(by_key ? h * k_size + i : h);
        const double step = gates[static_cast<size_t>(n) + at] + self.weights[1].Get(at);
        const double rate = std::exp(self.weights[0].Get(static_cast<size_t>(h)));
        return std::exp(lower_bound < 0 ? lower_bound * Sigmoid(rate * step) : -rate * std::log1p(std::exp(step)));
      };
      double* s = state.data() + h * k_size * v_size;
      for (int64_t c = 0; c < v_size; ++c) {
        double known = 0, result = 0;
        for (int64_t i = 0; i < k_size; ++i) known += (s[i * v_size + c] *= decay(i)) * k[i] * of_k;
        const double added = beta * (v[c] - known);
        for (int64_t i = 0; i < k_size; ++i) result += (s[i * v_size + c] += k[i] * of_k * added) * q[i] * of_q;
        out.push_back(result);
      }
    }
    return out;
  };
  return op;
}

Recurrence Scan(int64_t heads, int64_t head_size, int64_t state_size, int64_t groups) {
  Random random(4);
  Recurrence op{"SelectiveScan",
                {{"heads", static_cast<double>(heads)},
                 {"headSize", static_cast<double>(head_size)},
                 {"stateSize", static_cast<double>(state_size)},
                 {"groups", static_cast<double>(groups)},
                 {"leastStep", 0.125},
                 {"mostStep", 1.5}},
                heads * head_size + 2 * groups * state_size,
                heads,
                heads * head_size,
                heads * head_size * state_size,
                {},
                nullptr};
  for (int i = 0; i < 3; ++i) op.weights.push_back(Value(DType::kF32, {heads}, random.Normal<double>(heads, 1)));
  op.step = [](const Recurrence& self, const Numbers& row, const Numbers& steps, Numbers& state) {
    const auto n = static_cast<int64_t>(self.weights[0].desc.Elements());
    const int64_t head = self.out / n, size = self.numbers / self.out, groups = (self.width - self.out) / (2 * size);
    Numbers out;
    for (int64_t h = 0; h < n; ++h) {
      const auto at = static_cast<size_t>(h);
      const double step = std::min(1.5, std::max(0.125, std::log1p(std::exp(steps[at] + self.weights[1].Get(at)))));
      const double decay = std::exp(-std::exp(self.weights[0].Get(at)) * step);
      const double* b = row.data() + self.out + h / (n / groups) * size;
      for (int64_t p = 0; p < head; ++p) {
        const double x = row[static_cast<size_t>(h * head + p)];
        double result = self.weights[2].Get(at) * x;
        for (int64_t i = 0; i < size; ++i) {
          double& s = state[static_cast<size_t>((h * size + i) * head + p)];
          s = decay * s + step * x * b[i];
          result += s * b[groups * size + i];
        }
        out.push_back(result);
      }
    }
    return out;
  };
  return op;
}

/// Of the first channels of wider rows.
Recurrence Convolution(int64_t channels, int64_t taps, bool bias, bool swish) {
  Random random(5);
  Recurrence op{"CausalConv1d",
                {{"hasBias", bias}, {"activation", swish ? "swish" : "none"}},
                channels + 3,
                0,
                channels,
                (taps - 1) * channels,
                {Value(DType::kF32, {taps, channels}, random.Normal<double>(taps * channels, 1))},
                nullptr};
  if (bias) op.weights.push_back(Value(DType::kF32, {channels}, random.Normal<double>(channels, 1)));
  op.step = [](const Recurrence& self, const Numbers& row, const Numbers&, Numbers& state) {
    const int64_t kept = self.numbers / self.out;
    const bool swishes = std::get<std::string>(self.param.at("activation").value()) == "swish";
    Numbers out;
    for (int64_t c = 0; c < self.out; ++c) {
      double sum = self.weights.size() > 1 ? self.weights[1].Get(static_cast<size_t>(c)) : 0;
      for (int64_t i = 0; i <= kept; ++i)
        sum += self.weights[0].Get(static_cast<size_t>(i * self.out + c)) *
               (i < kept ? state[static_cast<size_t>(i * self.out + c)] : row[static_cast<size_t>(c)]);
      out.push_back(swishes ? sum * Sigmoid(sum) : sum);
    }
    state.erase(state.begin(), state.begin() + self.out);
    state.insert(state.end(), row.begin(), row.begin() + self.out);
    return out;
  };
  return op;
}

/// Mamba's: a step for each channel, a rate of decay for each number of the state.
Recurrence ChannelScan(int64_t heads, int64_t head_size, int64_t state_size) {
  Recurrence op = Scan(heads, head_size, state_size, 1);
  Random random(6);
  const int64_t channels = op.out;
  op.param.emplace("byChannel", true);
  op.more = channels;
  op.weights = {Value(DType::kF32, {state_size, channels}, random.Normal<double>(state_size * channels, 1)),
                Value(DType::kF32, {channels}, random.Normal<double>(channels, 1)),
                Value(DType::kF32, {channels}, random.Normal<double>(channels, 1))};
  op.step = [](const Recurrence& self, const Numbers& row, const Numbers& steps, Numbers& state) {
    const int64_t size = self.numbers / self.out;
    const auto head = static_cast<int64_t>(std::get<double>(self.param.at("headSize").value()));
    const double* b = row.data() + self.out;
    Numbers out;
    for (int64_t c = 0; c < self.out; ++c) {
      const auto at = static_cast<size_t>(c);
      const double step = std::min(1.5, std::max(0.125, std::log1p(std::exp(steps[at] + self.weights[1].Get(at)))));
      double result = self.weights[2].Get(at) * row[at];
      for (int64_t i = 0; i < size; ++i) {
        double& s = state[static_cast<size_t>((c / head * size + i) * head + c % head)];
        s = s * std::exp(-std::exp(self.weights[0].Get(static_cast<size_t>(i * self.out + c))) * step) +
            step * row[at] * b[i];
        result += s * b[size + i];
      }
      out.push_back(result);
    }
    return out;
  };
  return op;
}

/// Real gates, of which each head's lie side by side: those of its input, then those of its decay.
Recurrence GatedLru(int64_t heads, int64_t head_size) {
  const int64_t width = heads * head_size;
  Random random(8);
  Recurrence op{"RealGatedLru",
                {{"heads", static_cast<double>(heads)}, {"headSize", static_cast<double>(head_size)}},
                width,
                2 * width,
                width,
                width,
                {Value(DType::kF32, {heads, head_size}, random.Normal<double>(width, 1)),
                 Value(DType::kF32, {heads, head_size}, random.Normal<double>(width, 1)),
                 Value(DType::kF32, {width}, random.Normal<double>(width, 1))},
                nullptr};
  op.step = [](const Recurrence& self, const Numbers& row, const Numbers& gates, Numbers& state) {
    const auto head = static_cast<int64_t>(std::get<double>(self.param.at("headSize").value()));
    // No number of a state is 0 behind a token.
    const bool begins = state[0] == 0;
    for (int64_t c = 0; c < self.out; ++c) {
      const auto at = static_cast<size_t>(c), gate = static_cast<size_t>(2 * (c / head) * head + c % head);
      const double input = Sigmoid(gates[gate] + self.weights[0].Get(at));
      const double forgets = Sigmoid(gates[gate + static_cast<size_t>(head)] + self.weights[1].Get(at));
      const double decay = std::exp(-8 * std::log1p(std::exp(self.weights[2].Get(at))) * forgets);
      state[at] = decay * state[at] + (begins ? 1 : std::sqrt(1 - decay * decay)) * input * row[at];
    }
    return state;
  };
  return op;
}

void DeltaRulesAgree() {
  Agrees(Delta(1, 1, 8, 16), 2e-5);
  Agrees(Delta(2, 4, 24, 40), 2e-5);
  Agrees(Delta(2, 2, 24, 40, true), 2e-5);
  Agrees(Delta(2, 2, 24, 40, true, -5), 2e-5);
  Agrees(Delta(2, 4, 24, 130, true), 2e-5);
  Agrees(Delta(1, 3, 128, 130), 2e-5);  // More columns than a worker takes, and no multiple of 16.
}

void ScansAgree() {
  Agrees(Scan(1, 16, 8, 1), 2e-5);
  Agrees(Scan(6, 20, 24, 2), 2e-5);
  Agrees(Scan(2, 72, 128, 1), 2e-5);
  Agrees(ChannelScan(1, 16, 8), 2e-5);
  Agrees(ChannelScan(1, 150, 16), 2e-5);
  Agrees(ChannelScan(3, 21, 5), 2e-5);
}

void GatedUnitsAgree() {
  Agrees(GatedLru(1, 16), 2e-5);
  Agrees(GatedLru(3, 21), 2e-5);
  Agrees(GatedLru(2, 150), 2e-5);  // More columns than a worker takes.
}

void ConvolutionsAgree() {
  Agrees(Convolution(5, 2, false, false), 2e-5);
  Agrees(Convolution(300, 4, true, true), 2e-5);
  Agrees(Convolution(64, 3, true, false), 2e-5);
}

void WhatDoesNotFitIsRefused() {
  const Recurrence op = Convolution(4, 3, false, false);
  const Value states(TensorDesc(DType::kF32, {2, 8}));
  const auto run = [&](Numbers from, Numbers to, Numbers lengths, Value kept) {
    return ErrorOf([&] {
      const auto batch = static_cast<int64_t>(from.size());
      RunOp(op.type, op.param,
            {Value(DType::kF32, {2, 7}, Numbers(14, 1)), op.weights[0], kept, Value(DType::kI32, {batch}, from),
             Value(DType::kI32, {2}, to), Value(DType::kI32, {batch}, lengths)},
            kernels::Select("reference"));
    });
  };
  CHECK(run({-1}, {-1, 1}, {2}, states) == "nothing");
  CHECK(Has(run({2}, {-1, 1}, {2}, states), {"NATIVE_VALUE_OUT_OF_RANGE", "in3", "from 0 to 1, or -1", "2"}));
  CHECK(Has(run({-2}, {-1, 1}, {2}, states), {"in3", "-2"}));
  CHECK(Has(run({-1}, {-1, 2}, {2}, states), {"in4", "2"}));
  CHECK(Has(run({-1}, {-1, 1}, {1}, states), {"in5", "add up to 2", "1"}));
  CHECK(Has(run({-1, -1}, {-1, 1}, {3, -1}, states), {"in5", "3"}));
  CHECK(Has(run({-1}, {-1, 1}, {2}, Value(TensorDesc(DType::kF32, {2, 9}))), {"NATIVE_SHAPE_MISMATCH", "in2", "8"}));
  CHECK(Has(run({-1}, {-1, 1}, {2}, Value(TensorDesc(DType::kBF16, {2, 8}))), {"NATIVE_DTYPE_MISMATCH", "in2"}));
  CHECK(Has(ErrorOf([] {
              CreateOperation("GatedDeltaRule", {{"keyHeads", 2}, {"valueHeads", 3}, {"keySize", 8}, {"valueSize", 8}});
            }),
            {"NATIVE_PARAM_INVALID", "valueHeads", "a multiple of keyHeads"}));
  CHECK(Has(ErrorOf([] {
              CreateOperation(
                  "GatedDeltaRule",
                  {{"keyHeads", 1}, {"valueHeads", 1}, {"keySize", 8}, {"valueSize", 8}, {"lowerBound", 1}});
            }),
            {"NATIVE_PARAM_INVALID", "lowerBound", "a number below 0"}));
  CHECK(Has(ErrorOf([] {
              CreateOperation("SelectiveScan", {{"heads", 3}, {"headSize", 8}, {"stateSize", 8}, {"groups", 2}});
            }),
            {"NATIVE_PARAM_INVALID", "heads", "a multiple of groups"}));
  CHECK(Has(ErrorOf([] { CreateOperation("GatedDeltaRule", {{"valueHeads", 3}, {"keySize", 8}, {"valueSize", 8}}); }),
            {"NATIVE_PARAM_INVALID", "keyHeads", "an integer from 1 to 65536"}));
  CHECK(Has(ErrorOf([] { CreateOperation("SelectiveScan", {{"heads", 3}, {"headSize", 8}}); }),
            {"NATIVE_PARAM_INVALID", "stateSize", "an integer from 1 to 4096"}));
  CHECK(Has(ErrorOf([] { CreateOperation("RealGatedLru", {{"heads", 3}}); }),
            {"NATIVE_PARAM_INVALID", "headSize", "an integer from 1 to 65536"}));
  const Recurrence gated = GatedLru(2, 4);
  CHECK(Has(ErrorOf([&] {
              RunOp(gated.type, gated.param,
                    {Value(DType::kF32, {1, 8}, Numbers(8, 1)), Value(DType::kF32, {1, 8}, Numbers(8, 1)),
                     gated.weights[0], gated.weights[1], gated.weights[2], states, Value(DType::kI32, {1}, {-1}),
                     Value(DType::kI32, {1}, {0}), Value(DType::kI32, {1}, {1})},
                    kernels::Select("reference"));
            }),
            {"NATIVE_SHAPE_MISMATCH", "in1", "[1,16]"}));
}

}  // namespace
}  // namespace atb::test

int main() {
  using namespace atb::test;
  RUN(DeltaRulesAgree);
  RUN(ScansAgree);
  RUN(GatedUnitsAgree);
  RUN(ConvolutionsAgree);
  RUN(WhatDoesNotFitIsRefused);
  return 0;
}
