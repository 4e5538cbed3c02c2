#include <numeric>
#include <utility>

#include "draw.h"
#include "op_recipes.h"
#include "stored_tensors.h"

namespace atb::fuzz {
namespace {

void Concat(Case& c) {
  Draw d{c};
  const DType dtype = c.bytes.Of(kAll);
  Sizes shape = d.Shape(d.Int(1, 4));
  const int64_t axis = d.Int(0, static_cast<int64_t>(shape.size()) - 1);
  const std::string first = c.Input(dtype, shape);
  shape[static_cast<size_t>(axis)] = d.Dim();
  c.Node("Concat", {{"concatDim", Num(axis)}}, {first, c.Input(dtype, shape)}, 1);
}

void Split(Case& c) {
  Draw d{c};
  Sizes shape = d.Shape(d.Int(1, 4));
  const int64_t axis = d.Int(0, static_cast<int64_t>(shape.size()) - 1), parts = d.Int(2, 3);
  int64_t& size = shape[static_cast<size_t>(axis)];
  ParamObject param{{"splitDim", Num(axis)}, {"splitNum", Num(parts)}};
  if (d.Flag()) {
    Numbers sizes;
    size = 0;
    for (int64_t i = 0; i < parts; ++i) {
      sizes.push_back(Num(d.Int(1, 33)));
      size += static_cast<int64_t>(sizes.back());
    }
    param.emplace("splitSizes", sizes);
  } else {
    size *= parts;
  }
  c.Node("Split", param, {c.Input(c.bytes.Of(kAll), shape)}, static_cast<int>(parts));
}

void Slice(Case& c) {
  Draw d{c};
  const Sizes shape = d.Shape(d.Int(1, 4));
  Numbers offsets, sizes;
  for (int64_t extent : shape) {
    const int64_t offset = d.Int(0, extent - 1);
    offsets.push_back(Num(offset));
    sizes.push_back(d.Flag() ? -1 : Num(d.Int(1, extent - offset)));
  }
  c.Node("Slice", {{"offsets", offsets}, {"size", sizes}}, {c.Input(c.bytes.Of(kAll), shape)}, 1);
}

void SetValue(Case& c) {
  Draw d{c};
  const Sizes shape = d.Shape(d.Int(1, 4));
  Numbers starts, ends, strides;
  Sizes box;
  for (int64_t extent : shape) {
    const int64_t start = d.Int(0, extent - 1), end = d.Int(start, extent), stride = d.Int(1, 3);
    starts.push_back(Num(start));
    ends.push_back(Num(end));
    strides.push_back(Num(stride));
    box.push_back((end - start + stride - 1) / stride);
  }
  const DType dtype = c.bytes.Of(kAll);
  const std::string target = c.Input(dtype, shape);
  c.Node("SetValue", {{"starts", starts}, {"ends", ends}, {"strides", strides}}, {target, c.Input(dtype, box)}, 0);
}

void Transpose(Case& c) {
  Draw d{c};
  const Sizes shape = d.Shape(d.Int(1, 5));
  Numbers perm(shape.size());
  std::iota(perm.begin(), perm.end(), 0.0);
  for (size_t i = perm.size(); i > 1; --i)
    std::swap(perm[i - 1], perm[static_cast<size_t>(d.Int(0, static_cast<int64_t>(i) - 1))]);
  c.Node("Transpose", {{"perm", perm}}, {c.Input(c.bytes.Of(kAll), shape)}, 1);
}

void Repeat(Case& c) {
  Draw d{c};
  const Sizes shape = d.Shape(d.Int(1, 4));
  Numbers multiples;
  for (size_t i = 0; i < shape.size(); ++i) multiples.push_back(Num(d.Int(1, 3)));
  c.Node("Repeat", {{"multiples", multiples}}, {c.Input(c.bytes.Of(kAll), shape)}, 1);
}

void Gather(Case& c) {
  Draw d{c};
  if (d.Int(0, 2) == 0) {
    const std::string weight = c.Own(std::string("linear_") + NameOf(d.Float()));
    c.Node("Gather", {{"axis", 0}}, {weight, c.Input(c.bytes.Of(kIndices), {d.Int(1, 9)}, {0, 47})}, 1);
    return;
  }
  const Sizes shape = d.Shape(d.Int(1, 4));
  const bool batched = shape.size() > 1 && d.Flag();
  const int64_t axis = d.Int(batched ? 1 : 0, static_cast<int64_t>(shape.size()) - 1);
  Sizes indices = d.Shape(d.Int(batched ? 1 : 0, 2));
  if (batched) indices[0] = shape[0];
  const std::string x = c.Input(c.bytes.Of(kAll), shape);
  const Filling rows{0, shape[static_cast<size_t>(axis)] - 1, {}};
  c.Node("Gather", {{"axis", Num(axis)}, {"batchDims", batched ? 1 : 0}},
         {x, c.Input(c.bytes.Of(kIndices), indices, rows)}, 1);
}

}  // namespace

RecipeTable MovementRecipes() {
  return {
      {"Concat", {{"", Concat}}},       {"Gather", {{"", Gather}}}, {"Repeat", {{"", Repeat}}},
      {"SetValue", {{"", SetValue}}},   {"Slice", {{"", Slice}}},   {"Split", {{"", Split}}},
      {"Transpose", {{"", Transpose}}},
  };
}

}  // namespace atb::fuzz
