#include "draw.h"
#include "op_recipes.h"

namespace atb::fuzz {
namespace {

void DepthwiseConv(Case& c) {
  Draw d{c};
  const int64_t kernel = d.Int(1, 5), side = d.Int(1, 9), stride = d.Int(1, 3), before = d.Int(0, kernel - 1);
  const int64_t most = (side - 1 + before) / stride + 1, squares = d.Int(1, 2), channels = d.Dim();
  Strings inputs{c.Input(d.Float(), {squares * side * side, channels}),
                 c.Input(DType::kF32, {kernel * kernel, channels})};
  const bool bias = d.Flag();
  if (bias) inputs.push_back(d.Vector(DType::kF32, channels));
  c.Node("DepthwiseConv",
         {{"side", Num(side)},
          {"kernel", Num(kernel)},
          {"stride", Num(stride)},
          {"before", Num(before)},
          {"outSide", Num(d.Int(1, most))},
          {"hasBias", bias}},
         inputs, 1);
}

}  // namespace

RecipeTable ConvolutionRecipes() { return {{"DepthwiseConv", {{"", DepthwiseConv}}}}; }

}  // namespace atb::fuzz
