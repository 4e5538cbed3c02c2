#include "draw.h"
#include "op_recipes.h"

namespace atb::fuzz {
namespace {

void HyperWeights(Case& c) {
  Draw d{c};
  const int64_t tokens = d.Int(1, 5), streams = d.Int(1, 5);
  const int64_t columns = streams * (2 + streams);
  const Strings inputs{c.Input(d.Float(), {tokens, streams, d.Dim()}), c.Input(DType::kF32, {tokens, columns}),
                       d.Vector(DType::kF32, columns), d.Vector(DType::kF32, 3)};
  c.Node("HyperWeights", {{"iterations", Num(d.Int(1, 5))}, {"epsilon", 1e-6}, {"normEpsilon", 1e-6}}, inputs, 1);
}

void MixStreams(Case& c) {
  Draw d{c};
  const DType dtype = d.Float();
  const int64_t tokens = d.Int(1, 5), streams = d.Int(1, 5), hidden = d.Dim();
  Strings inputs{c.Input(dtype, {tokens, streams, hidden}), c.Input(DType::kF32, {tokens, streams * (2 + streams)})};
  const bool expands = d.Flag();
  if (expands) inputs.push_back(c.Input(dtype, {tokens, hidden}));
  c.Node("MixStreams", {{"mix", expands ? "expand" : "collapse"}}, inputs, 1);
}

}  // namespace

RecipeTable StreamsRecipes() {
  return {
      {"HyperWeights", {{"", HyperWeights}}},
      {"MixStreams", {{"", MixStreams}}},
  };
}

}  // namespace atb::fuzz
