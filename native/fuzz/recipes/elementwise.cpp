#include <iterator>
#include <utility>

#include "draw.h"
#include "op_recipes.h"

namespace atb::fuzz {
namespace {

void Activation(Case& c) {
  Draw d{c};
  constexpr const char* kTypes[] = {
      "ACTIVATION_RELU", "ACTIVATION_GELU",    "ACTIVATION_FAST_GELU",      "ACTIVATION_SWISH",
      "ACTIVATION_LOG",  "ACTIVATION_SIGMOID", "ACTIVATION_SWIGLU_FORWARD", "ACTIVATION_SWIGLU_BACKWARD"};
  const std::string type = c.bytes.Of(kTypes);
  ParamObject param{{"activationType", type}};
  Sizes shape = d.Shape(d.Int(1, 4));
  const DType dtype = d.Float();
  Strings inputs;
  if (type == "ACTIVATION_SWISH") param.emplace("scale", Num(d.Int(-8, 8)) / 4);
  if (type == "ACTIVATION_GELU" && d.Flag()) param.emplace("geluMode", "NONE_MODE");
  const bool forward = type == "ACTIVATION_SWIGLU_FORWARD", backward = type == "ACTIVATION_SWIGLU_BACKWARD";
  if (forward || backward) {
    const int64_t axis = d.Int(0, static_cast<int64_t>(shape.size()) - 1);
    param.emplace("dim", Num(d.Flag() ? axis : axis - static_cast<int64_t>(shape.size())));
    Sizes whole = shape;
    whole[static_cast<size_t>(axis)] *= 2;
    if (backward) inputs.push_back(c.Input(dtype, shape));
    inputs.push_back(c.Input(dtype, whole));
  } else {
    inputs.push_back(c.Input(dtype, shape));
  }
  c.Node("Activation", param, inputs, 1);
}

void Sigmoid(Case& c) {
  Draw d{c};
  const Sizes shape = d.Shape(d.Int(0, 4));
  c.Node("Sigmoid", {}, {c.Input(d.Float(), shape)}, 1);
}

void Cast(Case& c) {
  Draw d{c};
  const DType from = c.bytes.Of(kAll), to = c.bytes.Of(kAll);
  c.Node("Cast", {{"dtype", AclOf(to)}}, {c.Input(from, d.Shape(d.Int(0, 4)))}, 1);
}

/// A shape that broadcasts to this one: some of its axes are 1.
Sizes Broadcast(Draw& d, Sizes shape) {
  for (int64_t& size : shape)
    if (d.Int(0, 3) == 0) size = 1;
  return shape;
}

void Elewise(Case& c) {
  Draw d{c};
  constexpr const char* kTypes[] = {"ADD",        "SUB",  "MUL",  "REALDIV", "LESS", "GREATER", "EQUAL", "LOGICAL_AND",
                                    "LOGICAL_OR", "CAST", "MULS", "COS",     "SIN",  "NEG",     "TANH",  "LOGICAL_NOT"};
  const auto kind = static_cast<size_t>(d.Int(0, std::size(kTypes) - 1));
  ParamObject param{{"elewiseType", std::string("ELEWISE_") + kTypes[kind]}};
  const Sizes shape = d.Shape(d.Int(0, 4));
  DType dtype = d.Float();
  if (kind < 7 && kind != 3 && d.Flag()) dtype = c.bytes.Of(kIndices);
  if (kind == 7 || kind == 8 || kind == 15) dtype = DType::kI8;
  if (kind < 9) {
    Sizes other = Broadcast(d, shape);
    if (d.Int(0, 3) == 0 && !other.empty()) other.erase(other.begin());
    Strings inputs{c.Input(dtype, shape), c.Input(dtype, other)};
    if (d.Flag()) std::swap(inputs[0], inputs[1]);
    c.Node("Elewise", param, inputs, 1);
    return;
  }
  if (kind == 9) {
    dtype = c.bytes.Of(kAll);
    param.emplace("outTensorType", AclOf(c.bytes.Of(kAll)));
  }
  if (kind == 10) param.emplace("mulsParam", ParamObject{{"varAttr", Num(d.Int(-9, 9)) / 2}});
  c.Node("Elewise", param, {c.Input(dtype, shape)}, 1);
}

void FusedMultiply(Case& c, bool sums) {
  Draw d{c};
  const Sizes shape = d.Shape(d.Int(sums ? 3 : 0, 4));
  const DType dtype = !sums && d.Flag() ? c.bytes.Of(kIndices) : d.Float();
  Strings inputs;
  for (int i = 0; i < (sums ? 2 : 3); ++i) inputs.push_back(c.Input(dtype, i == 0 ? shape : Broadcast(d, shape)));
  if (d.Flag()) std::swap(inputs[0], inputs[1]);
  c.Node("FusedMultiply", {{"follow", sums ? "sum" : "add"}}, inputs, 1);
}

void Fill(Case& c) {
  Draw d{c};
  ParamObject param{{"value", Numbers{Num(d.Int(-9, 9))}}};
  if (d.Flag()) {
    Numbers dims;
    for (int64_t size : d.Shape(d.Int(1, 3))) dims.push_back(Num(size));
    param.emplace("withMask", false);
    param.emplace("outDim", dims);
    c.Node("Fill", param, {}, 1);
    return;
  }
  const Sizes shape = d.Shape(d.Int(1, 4));
  Sizes mask = shape;
  for (int64_t& size : mask)
    if (d.Flag()) size = 1;
  param.emplace("withMask", true);
  const DType dtype = d.Flag() ? d.Float() : DType::kI32;
  c.Node("Fill", param, {c.Input(dtype, shape), c.Input(c.bytes.Of(kMasks), mask, {0, 1})}, 1);
}

void Where(Case& c) {
  Draw d{c};
  const Sizes shape = d.Shape(d.Int(1, 4));
  const DType dtype = c.bytes.Of(kAll);
  const std::string condition = c.Input(c.bytes.Of(kMasks), Broadcast(d, shape), {0, 1});
  const std::string x = c.Input(dtype, Broadcast(d, shape));
  c.Node("Where", {}, {condition, x, c.Input(dtype, Broadcast(d, shape))}, 1);
}

}  // namespace

RecipeTable ElementwiseRecipes() {
  return {
      {"Activation", {{"", Activation}}},
      {"Cast", {{"", Cast}}},
      {"Elewise", {{"", Elewise}}},
      {"Fill", {{"", Fill}}},
      {"FusedMultiply",
       {{"and add", [](Case& c) { FusedMultiply(c, false); }}, {"and sum", [](Case& c) { FusedMultiply(c, true); }}}},
      {"Sigmoid", {{"", Sigmoid}}},
      {"Where", {{"", Where}}},
  };
}

}  // namespace atb::fuzz
