#include "draw.h"
#include "op_recipes.h"

namespace atb::fuzz {
namespace {

void Reduce(Case& c) {
  Draw d{c};
  constexpr const char* kTypes[] = {"REDUCE_MAX", "REDUCE_MIN", "REDUCE_SUM"};
  const Sizes shape = d.Shape(d.Int(1, 4));
  Numbers axes;
  for (size_t i = 0; i < shape.size(); ++i)
    if (axes.empty() || d.Flag()) axes.push_back(Num(static_cast<int64_t>(i)));
  c.Node("Reduce", {{"reduceType", c.bytes.Of(kTypes)}, {"axis", axes}}, {c.Input(d.Float(), shape)}, 1);
}

void Softmax(Case& c) {
  Draw d{c};
  const Sizes shape = d.Shape(d.Int(1, 4));
  c.Node("Softmax", {{"axes", Numbers{Num(d.Int(0, static_cast<int64_t>(shape.size()) - 1))}}},
         {c.Input(d.Float(), shape)}, 1);
}

void Cumsum(Case& c) {
  Draw d{c};
  const Sizes shape = d.Shape(d.Int(1, 4));
  const double axis = Num(d.Int(0, static_cast<int64_t>(shape.size()) - 1));
  c.Node("Cumsum", {{"axes", Numbers{axis}}, {"exclusive", d.Flag()}, {"reverse", d.Flag()}},
         {c.Input(d.Float(), shape)}, 1);
}

void Sort(Case& c) {
  Draw d{c};
  const Sizes shape = d.Shape(d.Int(1, 3));
  c.Node("Sort", {{"num", Numbers{Num(d.Int(1, shape.back()))}}}, {c.Input(d.Float(), shape)}, 2);
}

}  // namespace

RecipeTable ReductionRecipes() {
  return {
      {"Cumsum", {{"", Cumsum}}},
      {"Reduce", {{"", Reduce}}},
      {"Softmax", {{"", Softmax}}},
      {"Sort", {{"", Sort}}},
  };
}

}  // namespace atb::fuzz
