#include "draw.h"
#include "op_recipes.h"

namespace atb::fuzz {
namespace {

void RmsNorm(Case& c) {
  Draw d{c};
  const DType dtype = d.Float();
  const Sizes shape = d.Shape(d.Int(1, 4));
  const int64_t width = shape.back();
  const std::string x = c.Input(dtype, shape);
  const int64_t form = d.Int(0, 2);
  if (form == 0) {
    const bool residual = d.Flag();
    Strings inputs{x, d.Vector(dtype, width)};
    if (residual) inputs.push_back(c.Input(dtype, shape));
    c.Node("RmsNorm",
           {{"layerType", "RMS_NORM_NORM"},
            {"normParam", ParamObject{{"epsilon", 1e-5}, {"modelType", d.Flag() ? "GEMMA_MODEL" : "LLAMA_MODEL"}}},
            {"hasResidual", residual}},
           inputs, 1);
    return;
  }
  const bool pre = form == 1;
  const bool bias = d.Flag();
  Strings inputs{x};
  if (bias) inputs.push_back(d.Vector(dtype, width));
  inputs.push_back(c.Input(dtype, shape));
  inputs.push_back(d.Vector(dtype, width));
  c.Node("RmsNorm",
         {{"layerType", pre ? "RMS_NORM_PRENORM" : "RMS_NORM_POSTNORM"},
          {pre ? "preNormParam" : "postNormParam", ParamObject{{"epsilon", 1e-6}, {"hasBias", bias}}}},
         inputs, pre ? 2 : 1);
}

void LayerNorm(Case& c) {
  Draw d{c};
  const DType dtype = d.Float();
  const Sizes shape = d.Shape(d.Int(1, 4));
  const std::string x = c.Input(dtype, shape);
  if (d.Flag()) {
    const int64_t axis = d.Int(0, static_cast<int64_t>(shape.size()) - 1);
    const Sizes weight(shape.begin() + axis, shape.end());
    const ParamObject norm{{"epsilon", 1e-5}, {"beginNormAxis", Num(axis)}, {"beginParamsAxis", Num(0)}};
    const std::string gamma = c.Input(dtype, weight);
    c.Node("LayerNorm", {{"layerType", "LAYER_NORM_NORM"}, {"normParam", norm}}, {x, gamma, c.Input(dtype, weight)}, 1);
    return;
  }
  const bool pre = d.Flag();
  const std::string residual = c.Input(dtype, shape);
  const std::string gamma = c.Input(dtype, {shape.back()});
  c.Node("LayerNorm",
         {{"layerType", pre ? "LAYER_NORM_PRENORM" : "LAYER_NORM_POSTNORM"},
          {pre ? "preNormParam" : "postNormParam", ParamObject{{"epsilon", 1e-5}, {"zoomScaleValue", 2.0}}}},
         {x, residual, gamma, c.Input(dtype, {shape.back()})}, pre ? 2 : 1);
}

}  // namespace

RecipeTable NormRecipes() {
  return {
      {"LayerNorm", {{"", LayerNorm}}},
      {"RmsNorm", {{"", RmsNorm}}},
  };
}

}  // namespace atb::fuzz
