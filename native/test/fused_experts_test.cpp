// FusedExperts against the MLPs of its experts, and against itself in other company.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "experts_fixture.h"

namespace atb::test {
namespace {

/// What gates let through; clamped as gpt-oss does it, or in one of two other forms.
enum class Gates { kSwiglu, kGeglu, kClamped, kClampedGates, kClampedActivated };
constexpr Gates kGates[] = {Gates::kSwiglu, Gates::kGeglu, Gates::kClamped, Gates::kClampedGates,
                            Gates::kClampedActivated};
/// So low that biases alone meet it.
constexpr double kLimit = 0.75, kGateScale = 1.702;

double Through(Gates gates, double gate, double up) {
  if (gates == Gates::kGeglu) return gate * 0.5 * (1 + std::erf(gate / std::sqrt(2.0))) * up;
  if (gates == Gates::kSwiglu) return gate / (1 + std::exp(-gate)) * up;
  up = std::clamp(up, -kLimit, kLimit);
  if (gates == Gates::kClampedActivated) return std::min(gate / (1 + std::exp(-gate)), kLimit) * up;
  gate = std::min(gate, kLimit);
  if (gates == Gates::kClampedGates) return gate / (1 + std::exp(-gate)) * up;
  return gate / (1 + std::exp(-kGateScale * gate)) * (up + 1);
}

ParamObject FusedParam(const Form& form, Gates gates, bool has_bias) {
  ParamObject param = {{"activation", gates == Gates::kGeglu ? "geglu" : "swiglu"},
                       {"gateUpBits", form.bits},
                       {"downBits", form.bits},
                       {"gateUpOffset", form.has_offsets},
                       {"downOffset", form.has_offsets},
                       {"hasBias", has_bias}};
  if (gates == Gates::kClamped) param.insert({{"limit", kLimit}, {"gateScale", kGateScale}});
  if (gates == Gates::kClampedGates) param.insert({{"limit", kLimit}, {"clampForm", "gates"}});
  if (gates == Gates::kClampedActivated) param.insert({{"limit", kLimit}, {"clampForm", "activated"}});
  return param;
}

/// What stands beside the matrices: of gate and up, and of down.
struct Beside {
  std::vector<Value> gate_up, down;
};

std::vector<Value> FusedInputs(const Value& x, const Choices& choices, const Value& probs, const Matrices& gate_up,
                               const Matrices& down, const Beside& beside) {
  std::vector<Value> in = {x, choices.AsValue(), probs};
  for (const auto& more : {gate_up.inputs, beside.gate_up, down.inputs, beside.down})
    in.insert(in.end(), more.begin(), more.end());
  return in;
}

/// With biases where there are any.
std::vector<Value> FusedInputs(const Value& x, const Choices& choices, const Value& probs, const Matrices& gate_up,
                               const Matrices& down, const std::vector<Value>& biases = {}) {
  return FusedInputs(x, choices, probs, gate_up, down, biases.empty() ? Beside{} : Beside{{biases[0]}, {biases[1]}});
}

/// Of gate and up, and of down.
std::vector<Value> BiasesOf(DType dtype, int64_t experts, int64_t width, int64_t hidden) {
  return {Value(dtype, {experts, 2 * width}, Uniform(experts * 2 * width, -1.0, 1.0, 13)),
          Value(dtype, {experts, hidden}, Uniform(experts * hidden, -1.0, 1.0, 14))};
}

/// Channels that fill tiles, and such that do not: what rows take in memory depends on that.
void FusedExpertsAreTheirMlps(int64_t hidden) {
  constexpr int64_t width = 26;
  for (const Choices& choices : Edges()) {
    const std::vector<int64_t> sorted = choices.Sorted();
    for (DType dtype : kFloats) {
      const Value x(dtype, {choices.tokens, hidden}, Uniform(choices.tokens * hidden, -1.0, 1.0, 2));
      const Value probs = Probs(choices, DType::kF32);
      Numbers rows;
      for (int64_t choice : sorted)
        for (int64_t c = 0; c < hidden; ++c)
          rows.push_back(x.Get(static_cast<size_t>(choice / choices.top_k * hidden + c)));
      for (const Form& form : kForms) {
        const Matrices gate_up(form, dtype, choices.experts, 2 * width, hidden, true);
        const Matrices down(form, dtype, choices.experts, hidden, width);
        const Numbers gated = Products(choices, gate_up, rows, 2 * width, hidden);
        for (Gates gates : kGates) {
          const bool has_bias = gates >= Gates::kClamped;
          // All forms of weights end in one epilogue, which has three ways to clamp.
          if (gates > Gates::kClamped && &form != kForms) continue;
          const std::vector<Value> biases =
              has_bias ? BiasesOf(dtype, choices.experts, width, hidden) : std::vector<Value>{};
          const auto with_bias = [&](size_t matrix, size_t row, size_t column, double product) {
            if (!has_bias) return product;
            const auto expert = static_cast<size_t>(choices.ids[static_cast<size_t>(sorted[row])]);
            return product + biases[matrix].Get(expert * static_cast<size_t>(biases[matrix].desc.dim(1)) + column);
          };
          Numbers mixed;
          for (size_t r = 0; r < choices.ids.size(); ++r)
            for (size_t i = 0; i < width; ++i) {
              const double gate = with_bias(0, r, i, gated[r * 2 * width + i]);
              const double up = with_bias(0, r, width + i, gated[r * 2 * width + width + i]);
              mixed.push_back(Rounded(Through(gates, gate, up), dtype));
            }
          Numbers results = Products(choices, down, mixed, hidden, width);
          for (size_t i = 0; i < results.size(); ++i)
            results[i] = with_bias(1, i / static_cast<size_t>(hidden), i % static_cast<size_t>(hidden), results[i]);
          const Numbers expected = Combined(choices, results, probs, hidden);
          const std::vector<Value> in = FusedInputs(x, choices, probs, gate_up, down, biases);
          ForEachTable([&](const KernelTable& table) {
            // The reference computes row by row and is slow: one width is enough.
            if (hidden > 100 && &table == &kernels::Select("reference")) return;
            const Value found = RunOp("FusedExperts", FusedParam(form, gates, has_bias), in, table)[0];
            // What gates let through may be rounded to a neighbour.
            CHECK(HasShape(found, {choices.tokens, hidden}) && Gap(found, expected) <= 2 * Tolerance(dtype));
          });
        }
      }
    }
  }
}

void FusedExpertsAreTheirMlps() {
  for (int64_t hidden : {72, 128}) FusedExpertsAreTheirMlps(hidden);
}

/// What a token gives alone and among others, on each table.
void RequireAlike(const Choices& choices, const Value& x, const Value& probs, const ParamObject& param,
                  const Matrices& gate_up, const Matrices& down, const Beside& beside) {
  const DType dtype = x.desc.dtype;
  const auto hidden = static_cast<size_t>(x.desc.dim(1));
  ForEachTable([&](const KernelTable& table) {
    const Value all = RunOp("FusedExperts", param, FusedInputs(x, choices, probs, gate_up, down, beside), table)[0];
    const size_t row_bytes = hidden * SizeOf(dtype);
    for (size_t t : {0, 7, 32}) {
      Choices own{1, choices.top_k, choices.experts, {}};
      Numbers own_probs, own_x;
      for (size_t j = 3; j-- > 0;) {
        own.ids.push_back(choices.ids[t * 3 + j]);
        own_probs.push_back(probs.Get(t * 3 + j));
      }
      for (size_t c = 0; c < hidden; ++c) own_x.push_back(x.Get(t * hidden + c));
      const Value row(dtype, {1, static_cast<int64_t>(hidden)}, own_x), weights(DType::kF32, {1, 3}, own_probs);
      const Value alone =
          RunOp("FusedExperts", param, FusedInputs(row, own, weights, gate_up, down, beside), table, 3)[0];
      CHECK(std::memcmp(alone.bytes.data(), all.bytes.data() + t * row_bytes, row_bytes) == 0);
    }
  });
}

void NeitherCompanyNorOrderChangesAToken() {
  constexpr int64_t hidden = 72, width = 26;
  const Choices choices = ByLot(33, 3, 5, {0, 1, 3, 4});
  const Value probs = Probs(choices, DType::kF32);
  for (DType dtype : kFloats) {
    const Value x(dtype, {choices.tokens, hidden}, Uniform(choices.tokens * hidden, -1.0, 1.0, 2));
    for (const Form& form : kForms) {
      const Matrices gate_up(form, dtype, choices.experts, 2 * width, hidden, true);
      const Matrices down(form, dtype, choices.experts, hidden, width);
      const std::vector<Value> biases = BiasesOf(dtype, choices.experts, width, hidden);
      ParamObject param = FusedParam(form, Gates::kClamped, true);
      RequireAlike(choices, x, probs, param, gate_up, down, {{biases[0]}, {biases[1]}});
      param.insert({{"gateUpChannels", true}});
      const Value channels = OrdersOf(choices.experts, hidden);
      RequireAlike(choices, x, probs, param, gate_up, down, {{channels, biases[0]}, {biases[1]}});
      if (form.bits != 8 || form.group != 0 || form.numbers == kFew || form.has_offsets) continue;
      param.insert({{"staticActivations", true}});
      const std::vector<Value> scales = InputScales(choices.experts);
      const auto sums = [&](int64_t n) {
        return Value(DType::kI32, {choices.experts, n}, Integers(choices.experts * n, -1000, 1000, 11));
      };
      RequireAlike(choices, x, probs, param, gate_up, down,
                   {{scales[0], scales[1], channels, sums(2 * width)}, {scales[0], scales[1], sums(hidden)}});
    }
  }
}

void WhatDoesNotFitIsRefused() {
  const KernelTable& table = *kernels::Available().front();
  const Value x(DType::kF32, {2, 32}, Numbers(64, 0.5));
  // Int8 rows are for integers, and scales of a form for weights whose kernels read that.
  const Matrices integers({8, 0}, DType::kF32, 3, 32, 32, true), down({8, 0}, DType::kF32, 3, 32, 16);
  const Matrices codes({8, 0, kFew}, DType::kF32, 3, 32, 32, true);
  const Choices choices{2, 1, 3, {0, 2}};
  const ParamObject int8 = {{"gateUpBits", 8}, {"downBits", 8}, {"int8Activations", true}};
  const auto fused = [&](const Matrices& gate_up) {
    const std::vector<Value> in = FusedInputs(x, choices, Probs(choices, DType::kF32), gate_up, down);
    return ErrorOf([&] { RunOp("FusedExperts", int8, in, table); });
  };
  CHECK(fused(integers) == "nothing");
  CHECK(Has(fused(codes), {"NATIVE_LAYOUT_MISMATCH", "FusedExperts", "in3", "packed as integers"}));
  // Biases have a row for each expert.
  const std::vector<Value> biases = {Value(DType::kF32, {3, 32}, Numbers(96, 0)),
                                     Value(DType::kF32, {2, 32}, Numbers(64, 0))};
  const std::vector<Value> biased = FusedInputs(x, choices, Probs(choices, DType::kF32), integers, down, biases);
  CHECK(Has(ErrorOf([&] { RunOp("FusedExperts", FusedParam({8, 0}, Gates::kClamped, true), biased, table); }),
            {"NATIVE_SHAPE_MISMATCH", "FusedExperts", "in8", "[3,32]"}));
  CHECK(Has(ErrorOf([&] { RunOp("FusedExperts", {{"gateUpOffset", true}}, {}, table); }),
            {"NATIVE_PARAM_INVALID", "gateUpOffset", "false but with integers"}));
  const ParamObject not_int8 = {{"gateUpBits", 4}, {"downBits", 8}, {"staticActivations", true}};
  CHECK(Has(ErrorOf([&] { RunOp("FusedExperts", not_int8, {}, table); }),
            {"NATIVE_PARAM_INVALID", "staticActivations", "symmetric weights of int8"}));
}

}  // namespace
}  // namespace atb::test

int main() {
  using namespace atb::test;
  RUN(FusedExpertsAreTheirMlps);
  RUN(NeitherCompanyNorOrderChangesAToken);
  RUN(WhatDoesNotFitIsRefused);
}
