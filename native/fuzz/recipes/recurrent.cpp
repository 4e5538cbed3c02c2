#include "draw.h"
#include "op_recipes.h"
#include "stored_tensors.h"

namespace atb::fuzz {
namespace {

/// A step's rows, and how it goes through states of so many numbers behind them. Sequences may name the same blocks.
struct StateSteps {
  int64_t tokens = 0;
  Sizes from, to, lengths;

  explicit StateSteps(Draw& d) {
    const int64_t batch = d.Int(1, 3);
    for (int64_t i = 0; i < batch; ++i) {
      from.push_back(d.Int(-1, kBlocks - 1));
      lengths.push_back(d.Int(0, 5));
      tokens += lengths.back();
    }
    if (tokens == 0) ++lengths.back(), ++tokens;
    // Blocks are written one after another: two sequences that write one have no order.
    for (int64_t i = 0; i < tokens; ++i) to.push_back(batch == 1 ? d.Int(-1, kBlocks - 1) : -1);
  }

  void Add(Draw& d, int64_t numbers, Strings& inputs, Strings& in_place) const {
    in_place = {d.c.Input(DType::kF32, {kBlocks, numbers})};
    inputs.push_back(in_place[0]);
    inputs.push_back(d.c.Input(DType::kI32, {static_cast<int64_t>(from.size())}, {0, 0, from}));
    inputs.push_back(d.c.Input(DType::kI32, {tokens}, {0, 0, to}));
    inputs.push_back(d.c.Input(DType::kI32, {static_cast<int64_t>(lengths.size())}, {0, 0, lengths}));
  }
};

void CausalConv1d(Case& c) {
  Draw d{c};
  const StateSteps steps(d);
  const int64_t channels = d.Dim(), taps = d.Int(2, 5);
  Strings inputs{c.Input(d.Float(), {steps.tokens, channels + d.Int(0, 3)}), c.Input(DType::kF32, {taps, channels})};
  const bool bias = d.Flag();
  if (bias) inputs.push_back(d.Vector(DType::kF32, channels));
  Strings state;
  steps.Add(d, (taps - 1) * channels, inputs, state);
  c.Node("CausalConv1d", {{"hasBias", bias}, {"activation", d.Flag() ? "swish" : "none"}}, inputs, 1, state);
}

void GatedDeltaRule(Case& c) {
  Draw d{c};
  const StateSteps steps(d);
  const int64_t key_heads = d.Int(1, 3), heads = key_heads * d.Int(1, 3), key_size = d.Dim(), value_size = d.Dim();
  const bool by_key = d.Flag();
  const int64_t decays = heads * (by_key ? key_size : 1);
  const DType dtype = d.Float();
  Strings inputs{c.Input(dtype, {steps.tokens, 2 * key_heads * key_size + heads * value_size}),
                 c.Input(dtype, {steps.tokens, heads + decays}), d.Vector(DType::kF32, heads),
                 d.Vector(DType::kF32, decays)};
  Strings state;
  steps.Add(d, heads * key_size * value_size, inputs, state);
  ParamObject param{{"keyHeads", Num(key_heads)},
                    {"valueHeads", Num(heads)},
                    {"keySize", Num(key_size)},
                    {"valueSize", Num(value_size)}};
  if (d.Flag()) param.emplace("mostBeta", 2.0);
  if (by_key) param.emplace("decaysByKey", true);
  if (d.Flag()) param.emplace("lowerBound", -5.0);
  c.Node("GatedDeltaRule", param, inputs, 1, state);
}

void RealGatedLru(Case& c) {
  Draw d{c};
  const StateSteps steps(d);
  const int64_t heads = d.Int(1, 3), head_size = d.Dim(), width = heads * head_size;
  const DType dtype = d.Float();
  Strings inputs{c.Input(dtype, {steps.tokens, width}), c.Input(dtype, {steps.tokens, 2 * width})};
  for (int i = 0; i < 2; ++i) inputs.push_back(c.Input(DType::kF32, {heads, head_size}));
  inputs.push_back(d.Vector(DType::kF32, width));
  Strings state;
  steps.Add(d, width, inputs, state);
  c.Node("RealGatedLru", {{"heads", Num(heads)}, {"headSize", Num(head_size)}}, inputs, 1, state);
}

void WindowPool(Case& c) {
  Draw d{c};
  const StateSteps steps(d);
  const int64_t rate = d.Int(1, 6), channels = d.Dim();
  const bool overlaps = d.Flag();
  const int64_t columns = (overlaps ? 2 : 1) * channels;
  Sizes contexts;
  for (const int64_t length : steps.lengths) contexts.push_back(length + d.Int(0, 9));
  Strings inputs{c.Input(d.Float(), {steps.tokens, 2 * columns}), c.Input(DType::kF32, {columns, rate}),
                 c.Input(DType::kI32, {static_cast<int64_t>(contexts.size())}, {0, 0, contexts})};
  Strings state;
  steps.Add(d, 3 * columns, inputs, state);
  c.Node("WindowPool", {{"tokensPerEntry", Num(rate)}, {"overlaps", overlaps}}, inputs, 1, state);
}

void SelectiveScan(Case& c, bool by_channel) {
  Draw d{c};
  const StateSteps steps(d);
  const int64_t groups = d.Int(1, 3), heads = groups * d.Int(1, 3), head_size = d.Dim(), state_size = d.Dim();
  const DType dtype = d.Float();
  const int64_t of_steps = by_channel ? heads * head_size : heads;
  Strings inputs{c.Input(dtype, {steps.tokens, heads * head_size + 2 * groups * state_size}),
                 c.Input(dtype, {steps.tokens, of_steps})};
  inputs.push_back(by_channel ? c.Input(DType::kF32, {state_size, of_steps}) : d.Vector(DType::kF32, heads));
  for (int i = 0; i < 2; ++i) inputs.push_back(d.Vector(DType::kF32, of_steps));
  Strings state;
  steps.Add(d, heads * head_size * state_size, inputs, state);
  ParamObject param{
      {"heads", Num(heads)}, {"headSize", Num(head_size)}, {"stateSize", Num(state_size)}, {"groups", Num(groups)}};
  if (d.Flag()) param.emplace("mostStep", 1.0);
  if (d.Flag()) param.emplace("leastStep", 0.5);
  if (by_channel) param.emplace("byChannel", true);
  c.Node("SelectiveScan", param, inputs, 1, state);
}

}  // namespace

RecipeTable RecurrentRecipes() {
  return {
      {"CausalConv1d", {{"", CausalConv1d}}},
      {"GatedDeltaRule", {{"", GatedDeltaRule}}},
      {"RealGatedLru", {{"", RealGatedLru}}},
      {"SelectiveScan",
       {{"", [](Case& c) { SelectiveScan(c, false); }}, {"by channel", [](Case& c) { SelectiveScan(c, true); }}}},
      {"WindowPool", {{"", WindowPool}}},
  };
}

}  // namespace atb::fuzz
