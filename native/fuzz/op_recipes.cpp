#include "op_recipes.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <numeric>
#include <utility>

#include "kernels/convert.h"
#include "stored_tensors.h"

namespace atb::fuzz {
namespace {

using Strings = std::vector<std::string>;
using Sizes = std::vector<int64_t>;
using Numbers = std::vector<double>;

constexpr DType kFloats[] = {DType::kF32, DType::kBF16, DType::kF16};
constexpr DType kIndices[] = {DType::kI32, DType::kI64};
constexpr DType kMasks[] = {DType::kI8, DType::kU8};
constexpr DType kAll[] = {DType::kF32, DType::kBF16, DType::kF16, DType::kI8, DType::kU8, DType::kI32, DType::kI64};
constexpr int64_t kDims[] = {1, 2, 3, 4, 5, 8, 16, 17, 32, 33, 64, 65};

const char* AclOf(DType dtype) {
  return dtype == DType::kF32   ? "ACL_FLOAT"
         : dtype == DType::kF16 ? "ACL_FLOAT16"
         : dtype == DType::kBF16 ? "ACL_BF16"
         : dtype == DType::kI8  ? "ACL_INT8"
         : dtype == DType::kU8  ? "ACL_UINT8"
         : dtype == DType::kI32 ? "ACL_INT32"
                                : "ACL_INT64";
}
double Num(int64_t number) { return static_cast<double>(number); }

/// Draws that recipes share.
struct Draw {
  Case& c;
  int64_t Int(int64_t low, int64_t high) { return c.bytes.Int(low, high); }
  bool Flag() { return c.bytes.Flag(); }
  DType Float() { return c.bytes.Of(kFloats); }
  int64_t Dim() { return c.bytes.Of(kDims); }
  /// A shape of this rank whose last axis is the longest, so that nothing takes long.
  Sizes Shape(int64_t rank) {
    Sizes shape;
    for (int64_t i = 0; i + 1 < rank; ++i) shape.push_back(Int(1, 4));
    if (rank > 0) shape.push_back(Dim());
    return shape;
  }
  std::string Vector(DType dtype, int64_t size) {
    return c.Input(dtype, Flag() ? Sizes{1, size} : Sizes{size});
  }
  DType BiasDType(DType dtype) { return Flag() ? DType::kF32 : dtype; }
};

// Elementwise operations.

void Activation(Case& c) {
  Draw d{c};
  constexpr const char* kTypes[] = {"ACTIVATION_RELU", "ACTIVATION_GELU", "ACTIVATION_FAST_GELU", "ACTIVATION_SWISH",
                                    "ACTIVATION_LOG", "ACTIVATION_SIGMOID", "ACTIVATION_SWIGLU_FORWARD",
                                    "ACTIVATION_SWIGLU_BACKWARD"};
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

void Elewise(Case& c) {
  Draw d{c};
  constexpr const char* kTypes[] = {"ADD", "SUB", "MUL", "REALDIV", "LESS", "GREATER", "EQUAL", "LOGICAL_AND", "LOGICAL_OR",
                                    "CAST", "MULS", "COS", "SIN", "NEG", "TANH", "LOGICAL_NOT"};
  const auto kind = static_cast<size_t>(d.Int(0, std::size(kTypes) - 1));
  ParamObject param{{"elewiseType", std::string("ELEWISE_") + kTypes[kind]}};
  const Sizes shape = d.Shape(d.Int(0, 4));
  DType dtype = d.Float();
  if (kind < 7 && kind != 3 && d.Flag()) dtype = c.bytes.Of(kIndices);
  if (kind == 7 || kind == 8 || kind == 15) dtype = DType::kI8;
  if (kind < 9) {
    Sizes other = shape;
    for (int64_t& size : other)
      if (d.Int(0, 3) == 0) size = 1;
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
  const auto broadcast = [&] {
    Sizes own = shape;
    for (int64_t& size : own)
      if (d.Int(0, 3) == 0) size = 1;
    return own;
  };
  const std::string condition = c.Input(c.bytes.Of(kMasks), broadcast(), {0, 1});
  const std::string x = c.Input(dtype, broadcast());
  c.Node("Where", {}, {condition, x, c.Input(dtype, broadcast())}, 1);
}

// Norms.

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

// Movement.

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
  for (size_t i = perm.size(); i > 1; --i) std::swap(perm[i - 1], perm[static_cast<size_t>(d.Int(0, static_cast<int64_t>(i) - 1))]);
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

// Reductions.

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
  c.Node("Softmax", {{"axes", Numbers{Num(d.Int(0, static_cast<int64_t>(shape.size()) - 1))}}}, {c.Input(d.Float(), shape)}, 1);
}

void Cumsum(Case& c) {
  Draw d{c};
  const Sizes shape = d.Shape(d.Int(1, 4));
  const double axis = Num(d.Int(0, static_cast<int64_t>(shape.size()) - 1));
  c.Node("Cumsum", {{"axes", Numbers{axis}}, {"exclusive", d.Flag()}, {"reverse", d.Flag()}}, {c.Input(d.Float(), shape)}, 1);
}

void Sort(Case& c) {
  Draw d{c};
  const Sizes shape = d.Shape(d.Int(1, 3));
  c.Node("Sort", {{"num", Numbers{Num(d.Int(1, shape.back()))}}}, {c.Input(d.Float(), shape)}, 2);
}

void DynamicQuant(Case& c) {
  Draw d{c};
  const Sizes shape = d.Shape(d.Int(1, 4));
  c.Node("DynamicQuant", {}, {c.Input(d.Float(), shape)}, 2);
}

// Products.

Sizes RowsOf(Draw& d, int64_t k) {
  Sizes shape{d.Int(1, 20), k};
  if (d.Int(0, 3) == 0) shape.insert(shape.begin(), d.Int(1, 3));
  return shape;
}

void Linear(Case& c) {
  Draw d{c};
  const DType dtype = d.Float();
  const bool packed = d.Flag();
  const int64_t n = packed ? kRows : d.Dim(), k = packed ? kChannels : d.Dim();
  const bool transposed = packed || d.Flag();
  Sizes rows{d.Int(1, 20), k};
  const bool transpose_a = d.Int(0, 3) == 0;
  const int64_t m = rows[0];
  if (transpose_a) std::swap(rows[0], rows[1]);
  const bool batched = d.Int(0, 3) == 0;
  Sizes weight = transposed ? Sizes{n, k} : Sizes{k, n};
  if (batched) {
    rows.insert(rows.begin(), 2);
    if (!packed) weight.insert(weight.begin(), 2);
  }
  Strings inputs{c.Input(dtype, rows), packed ? c.Own(std::string("linear_") + NameOf(dtype)) : c.Input(dtype, weight)};
  const bool bias = d.Flag() && weight.size() == 2, accumulate = !bias && d.Int(0, 3) == 0;
  if (bias) inputs.push_back(d.Vector(d.BiasDType(dtype), n));
  if (accumulate) inputs.push_back(c.Input(DType::kF32, batched ? Sizes{2, m, n} : Sizes{m, n}));
  ParamObject param{{"transposeA", transpose_a}, {"transposeB", transposed}, {"hasBias", bias}, {"enAccum", accumulate}};
  if (!accumulate && d.Flag()) param.emplace("outDataType", "ACL_FLOAT");
  c.Node("Linear", param, inputs, 1);
}

/// Weights of a stack with a matrix for each batch, which are rows, or with MATMUL_EIN_SUM neighbours in a row.
void BatchedLinear(Case& c, bool einsum) {
  Draw d{c};
  const DType dtype = d.Float();
  const int64_t m = d.Int(1, 40);
  const Sizes rows = einsum ? Sizes{m, kExperts, kExpertWidth} : Sizes{kExperts, m, kExpertWidth};
  ParamObject param{{"transposeB", true}, {"hasBias", false}};
  if (einsum) param.emplace("matmulType", "MATMUL_EIN_SUM");
  if (d.Flag()) param.emplace("outDataType", "ACL_FLOAT");
  const std::string weight = c.Own(std::string("experts_") + NameOf(dtype));
  c.Node("Linear", param, {c.Input(dtype, rows), weight}, 1);
}

struct IntegerWeightChoice {
  Strings inputs;  ///< The weight and its scales.
  std::string offsets;  ///< Packed ones, or empty.
  int64_t n, k;
};

/// What tells weights of integers from those of floats.
void SetNumbers(kernels::WeightNumbers numbers, ParamObject& param) {
  if (numbers == kernels::WeightNumbers::kFloats) param.emplace("weightNumbers", "floats");
}

/// A weight that is packed.
IntegerWeightChoice PackedWeightOf(Case& c, const Form& form, bool interleaved) {
  const std::string name = (interleaved ? "interleaved_" : "linear_") + form.name;
  IntegerWeightChoice weight{{c.Own(name), c.Own(name + "_scales")}, "", interleaved ? kInterleavedRows : kRows, kChannels};
  if (form.HasOffsets()) weight.offsets = c.Own(name + "_offsets");
  return weight;
}

/// A weight of row-major tensors.
IntegerWeightChoice PlainWeightOf(Draw& d, int bits, int64_t group, bool transposed) {
  const int64_t n = 2 * d.Int(1, 33), k = 2 * d.Int(1, 70);
  const Sizes shape = transposed ? Sizes{n, k / (8 / bits)} : Sizes{k, n / (8 / bits)};
  const std::string weight = d.c.Input(DType::kI8, shape, {-128, 127, {}});
  const int64_t groups = group ? (k + group - 1) / group : 1;
  const Sizes scales = group == 0 ? Sizes{n} : transposed ? Sizes{n, groups} : Sizes{groups, n};
  return {{weight, d.c.Input(d.Float(), scales)}, "", n, k};
}

/// A product of floats with a weight in this form; without one, with row-major tensors.
void WeightQuantMatMul(Case& c, int bits, const Form* form) {
  Draw d{c};
  const DType dtype = d.Float();
  const int64_t group = form ? form->group : d.Flag() ? 32 : 0;
  const bool transposed = form || d.Flag();
  const IntegerWeightChoice weight =
      form ? PackedWeightOf(c, *form, d.Flag()) : PlainWeightOf(d, bits, group, transposed);
  const Sizes shape = RowsOf(d, weight.k);
  const bool bias = d.Flag(), zero = form || d.Flag();
  Strings inputs{c.Input(dtype, shape), weight.inputs[0], weight.inputs[1]};
  // One offset for all, which is 0 unless the weight is row-major.
  inputs.push_back(weight.offsets.empty() ? c.Input(DType::kF32, {1}, zero ? Filling{0, 0, {0}} : Filling{})
                                          : weight.offsets);
  if (bias) inputs.push_back(d.Vector(d.BiasDType(dtype), weight.n));
  ParamObject param{{"transposeB", transposed}, {"quantGroupSize", Num(group)}, {"hasBias", bias}};
  const bool integers = form ? form->AreIntegers() : d.Flag();
  SetNumbers(integers ? kernels::WeightNumbers::kIntegers : kernels::WeightNumbers::kFloats, param);
  if (integers && zero && d.Flag()) param.emplace("int8Activations", true);
  if (d.Flag()) param.emplace("outDataType", "ACL_FLOAT");
  c.Node(bits == 8 ? "W8A16MatMul" : "W4A16MatMul", param, inputs, 1);
}

void W8A8MatMul(Case& c, const Form* form) {
  Draw d{c};
  const bool transposed = form || d.Flag();
  const IntegerWeightChoice weight = form ? PackedWeightOf(c, *form, d.Flag()) : PlainWeightOf(d, 8, 0, transposed);
  const Sizes shape = RowsOf(d, weight.k);
  const bool bias = d.Flag(), row_scale = d.Flag(), bf16 = d.Flag();
  // Our own scales are [n, 1].
  Strings inputs{c.Input(DType::kI8, shape, {-128, 127, {}}), weight.inputs[0], weight.inputs[1]};
  if (row_scale) inputs.push_back(c.Input(DType::kF32, Sizes(shape.begin(), shape.end() - 1)));
  if (bias) {
    const bool integers = !row_scale && d.Flag();
    inputs.push_back(d.Vector(integers ? DType::kI32 : d.BiasDType(bf16 ? DType::kBF16 : DType::kF16), weight.n));
  }
  c.Node("W8A8MatMul",
         {{"transposeB", transposed}, {"hasBias", bias}, {"hasPerTokenScale", row_scale}, {"isBF16", bf16}}, inputs, 1);
}

void FusedLinear(Case& c, const Form* form) {
  Draw d{c};
  const DType dtype = d.Float();
  constexpr const char* kActivations[] = {"none",  "relu",   "relu2", "gelu",      "gelu-tanh", "fast-gelu",
                                          "swish", "swiglu", "geglu", "geglu-tanh"};
  const std::string activation = c.bytes.Of(kActivations);
  const bool gated = activation.find("glu") != std::string::npos;
  const bool norm = d.Flag(), bias = d.Flag(), residual = d.Flag(), f32 = d.Flag();
  IntegerWeightChoice weight;
  if (form) {
    weight = PackedWeightOf(c, *form, gated);
  } else {
    const std::string name = std::string(gated ? "interleaved_" : "linear_") + NameOf(dtype);
    weight = {{c.Own(name)}, "", gated ? kInterleavedRows : kRows, kChannels};
  }
  Sizes shape = RowsOf(d, weight.k);
  Strings inputs{c.Input(dtype, shape)};
  constexpr const char* kNorms[] = {"rms", "rms-plus-one", "layer"};
  const std::string norm_type = norm ? c.bytes.Of(kNorms) : "rms";
  if (norm) inputs.push_back(d.Vector(dtype, weight.k));
  if (norm_type == "layer") inputs.push_back(d.Vector(dtype, weight.k));
  inputs.insert(inputs.end(), weight.inputs.begin(), weight.inputs.end());
  if (!weight.offsets.empty()) inputs.push_back(weight.offsets);
  if (bias) inputs.push_back(d.Vector(d.BiasDType(dtype), weight.n));
  shape.back() = gated ? weight.n / 2 : weight.n;
  if (residual) inputs.push_back(c.Input(f32 ? DType::kF32 : dtype, shape));
  ParamObject param{{"hasBias", bias},
                    {"activation", activation},
                    {"hasResidual", residual},
                    {"outDataType", f32 ? "ACL_FLOAT" : "ACL_DT_UNDEFINED"},
                    {"weightBits", form ? form->bits : 0},
                    {"quantGroupSize", Num(form ? form->group : 0)},
                    {"hasOffset", !weight.offsets.empty()},
                    {"int8Activations", form && form->AreIntegers() && d.Flag()}};
  if (form) SetNumbers(form->numbers, param);
  if (norm) param.emplace("normEpsilon", 1e-5);
  if (norm) param.emplace("normType", norm_type);
  c.Node("FusedLinear", param, inputs, 1);
}

// Mixtures of experts.

/// The matrices of experts, and of a form their scales, and offsets where it has some.
Strings ExpertsOf(Case& c, const std::string& prefix, DType dtype, const Form* form) {
  if (!form) return {c.Own(prefix + NameOf(dtype))};
  const std::string name = prefix + form->name;
  Strings inputs{c.Own(name), c.Own(name + "_scales")};
  if (form->HasOffsets()) inputs.push_back(c.Own(name + "_offsets"));
  return inputs;
}

/// The forms that experts have, null for floats; or of these the integers that rows of int8 meet.
std::vector<const Form*> FormsOfExperts(bool int8) {
  std::vector<const Form*> forms;
  if (!int8) forms.push_back(nullptr);
  for (const Form& form : Forms())
    if (!int8 || form.AreIntegers()) forms.push_back(&form);
  return forms;
}

/// The scales and offsets of what experts of k channels read, or the order of their channels, one of which there is
/// not.
Strings ScalesOfExperts(Case& c) {
  return {c.Input(DType::kF32, {kExperts, 1}, {1, 9, {}}), c.Input(DType::kI8, {kExperts, 1}, {-128, 127, {}})};
}
std::string OrderOfExperts(Case& c, int64_t k) {
  return c.Input(DType::kI32, {kExperts, k}, {0, k, {}});
}

/// Gate and up are in this form, down in any.
void FusedExperts(Case& c, const Form* form) {
  Draw d{c};
  constexpr const char* kActivations[] = {"swiglu", "geglu", "geglu-tanh"};
  const DType dtype = d.Float();
  const int64_t tokens = d.Int(1, 40), top_k = d.Int(1, kExperts);
  const bool int8 = form && form->AreIntegers() && d.Flag();
  const std::vector<const Form*> forms = FormsOfExperts(int8);
  const bool are_static = form && form->IsInt8() && !int8 && d.Flag();
  const Form* const down =
      are_static ? form : forms[static_cast<size_t>(d.Int(0, static_cast<int64_t>(forms.size()) - 1))];
  Strings inputs{c.Input(dtype, {tokens, kChannels}), c.Input(DType::kI32, {tokens, top_k}, {0, kExperts - 1, {}}),
                 c.Input(d.Float(), {tokens, top_k})};
  const bool bias = d.Flag(), channels = d.Flag();
  const auto add = [&](const Strings& weight, int64_t rows, bool in_order) {
    inputs.insert(inputs.end(), weight.begin(), weight.end());
    if (are_static)
      for (const std::string& name : ScalesOfExperts(c)) inputs.push_back(name);
    if (in_order) inputs.push_back(OrderOfExperts(c, kChannels));
    if (bias) inputs.push_back(c.Input(are_static ? DType::kI32 : d.Float(), {kExperts, rows}));
  };
  add(ExpertsOf(c, "interleaved_experts_", dtype, form), kInterleavedRows, channels);
  add(ExpertsOf(c, "experts_", dtype, down), kRows, false);
  const std::string activation = c.bytes.Of(kActivations);
  ParamObject param{{"activation", activation},
                    {"gateUpBits", form ? form->bits : 0},
                    {"downBits", down ? down->bits : 0},
                    {"gateUpOffset", form && form->HasOffsets()},
                    {"downOffset", down && down->HasOffsets()},
                    {"hasBias", bias},
                    {"int8Activations", int8},
                    {"staticActivations", are_static},
                    {"gateUpChannels", channels}};
  constexpr const char* kClampForms[] = {"plus-one", "gates", "activated"};
  if (activation == "swiglu" && d.Flag())
    param.insert({{"limit", 7}, {"gateScale", 1.702}, {"clampForm", c.bytes.Of(kClampForms)}});
  c.Node("FusedExperts", param, inputs, 1);
}

/// Rows of floats, or of int8, and experts in this form.
void GroupedMatmul(Case& c, const Form* form, bool int8) {
  Draw d{c};
  const bool are_static = form && form->IsInt8() && !int8 && d.Flag();
  const int quant = int8 ? 4 : !form ? 0 : are_static ? 1 : form->bits == 8 ? 2 : 3;
  const DType dtype = d.Float();
  Sizes ends;
  for (int64_t e = 0; e < kExperts; ++e) ends.push_back((ends.empty() ? 0 : ends.back()) + d.Int(0, 20));
  const int64_t m = ends.back();
  const bool bias = d.Flag(), channels = !int8 && d.Flag();
  const Strings weight = ExpertsOf(c, "experts_", dtype, form);
  Strings inputs{int8 ? c.Input(DType::kI8, {m, kExpertWidth}, {-128, 127, {}}) : c.Input(dtype, {m, kExpertWidth}),
                 weight[0]};
  if (bias) inputs.push_back(c.Input(are_static ? DType::kI32 : d.Float(), {kExperts, kRows}));
  if (form) inputs.push_back(weight[1]);
  if (are_static) {
    for (const std::string& name : ScalesOfExperts(c)) inputs.push_back(name);
  } else if (form) {
    const auto zero = [&] { return c.Input(DType::kF32, {1}, {0, 0, {0}}); };
    inputs.push_back(int8 ? c.Input(DType::kF32, {m}) : form->HasOffsets() ? weight[2] : zero());
  }
  if (channels) inputs.push_back(OrderOfExperts(c, kExpertWidth));
  inputs.push_back(c.Input(DType::kI64, {kExperts}, {0, 0, ends}));
  c.Node("GroupedMatmul",
         {{"transposeB", true},
          {"quantType", quant},
          {"hasBias", bias},
          {"int8Activations", form && !int8 && !are_static && form->AreIntegers() && d.Flag()},
          {"staticActivations", are_static},
          {"hasChannels", channels},
          {"outDataType", AclOf(d.Float())}},
         inputs, 1);
}

void GroupTopk(Case& c) {
  Draw d{c};
  const int64_t groups = d.Int(1, 8), size = d.Dim();
  ParamObject param{{"groupNum", Num(groups)}, {"k", Num(d.Int(1, groups))}};
  if (d.Flag()) {
    param.emplace("groupMultiFlag", 1);
    param.emplace("n", Num(d.Int(1, size)));
  }
  c.Node("GroupTopk", param, {c.Input(d.Float(), {d.Int(1, 40), groups * size}), c.Input(DType::kI32, {d.Int(1, 9)})}, 1);
}

void MoeInitRouting(Case& c) {
  Draw d{c};
  const int64_t tokens = d.Int(1, 40), top_k = d.Int(1, 8), experts = d.Int(1, 40);
  c.Node("MoeInitRouting", {{"topkNum", Num(top_k)}, {"expertNum", Num(experts)}},
         {c.Input(c.bytes.Of(kAll), {tokens, d.Dim()}), c.Input(DType::kI32, {tokens, top_k}, {0, experts - 1, {}})}, 3);
}

void MoeTokenUnpermute(Case& c) {
  Draw d{c};
  const int64_t tokens = d.Int(1, 40), top_k = d.Int(1, 8), rows = tokens * top_k;
  c.Node("MoeTokenUnpermute", {},
         {c.Input(d.Float(), {rows, d.Dim()}), c.Input(DType::kI32, {rows}, {0, rows - 1, {}}),
          c.Input(d.Float(), {tokens, top_k})},
         1);
}

void VectorNorm(Case& c) {
  Draw d{c};
  const Sizes shape = d.Shape(d.Int(1, 4));
  c.Node("VectorNorm", {}, {c.Input(d.Float(), shape)}, 1);
}

void GatherDequant(Case& c, const Form* form) {
  Draw d{c};
  const int bits = form ? form->bits : d.Flag() ? 4 : 8;
  const int64_t group = form ? form->group : d.Flag() ? 32 : 0;
  const IntegerWeightChoice weight = form ? PackedWeightOf(c, *form, d.Flag()) : PlainWeightOf(d, bits, group, true);
  const std::string indices = c.Input(c.bytes.Of(kIndices), d.Shape(d.Int(0, 2)), {0, weight.n - 1, {}});
  ParamObject param{{"weightBits", bits}, {"quantGroupSize", Num(group)}, {"outDataType", AclOf(d.Float())}};
  if (form) SetNumbers(form->numbers, param);
  c.Node("GatherDequant", param, {weight.inputs[0], indices, weight.inputs[1]}, 1);
}

// Attention.

/// Names of a cache of keys and one of values: the engine's own, or row-major ones that are given.
Strings Caches(Draw& d, DType dtype) {
  if (d.Int(0, 2) == 0)
    return {d.c.Input(dtype, {kBlocks, kBlockSize, kKvHeads, kHeadDim}), d.c.Input(dtype, {kBlocks, kBlockSize, kKvHeads, kHeadDim})};
  const std::string kind = d.Flag() ? "i8" : NameOf(dtype);
  return {d.c.Own("keys_" + kind), d.c.Own("values_" + kind)};
}

/// Likewise the one cache of latent attention.
Strings LatentCache(Draw& d, DType dtype) {
  if (d.Int(0, 2) == 0) return {d.c.Input(dtype, {kBlocks, kBlockSize, 1, kLatentKey})};
  return {d.c.Own(std::string("latent_") + (d.Flag() ? "i8" : NameOf(dtype)))};
}

/// A latent cache of blocks of tokens, and one that has a row for every `rate` of these.
struct EntryCaches {
  std::string tokens, entries;

  EntryCaches(Draw& d, DType dtype, int64_t rate) {
    tokens = LatentCache(d, dtype)[0];
    const bool is_given = tokens[0] == 'i' && rate > 0;
    const int64_t rows = is_given ? (kBlockSize + rate - 1) / rate : 0;
    entries = is_given ? d.c.Input(dtype, {kBlocks, rows, 1, kLatentKey}) : tokens;
  }
};

void Rope(Case& c) {
  Draw d{c};
  const DType dtype = d.Float(), table = d.Float();
  constexpr int64_t kWidths[] = {4, 8, 16, 32, 64};
  const int64_t width = c.bytes.Of(kWidths), tokens = d.Int(1, 9);
  const int64_t coefficient = d.Flag() ? 2 : 4;
  const std::string q = c.Input(dtype, {tokens, width * d.Int(1, 4)});
  const std::string k = c.Input(dtype, {tokens, width * d.Int(1, 2)});
  const std::string cos = c.Input(table, {tokens, width});
  const std::string sin = c.Input(table, {tokens, width});
  c.Node("Rope", {{"rotaryCoeff", Num(width % (2 * coefficient) == 0 ? coefficient : 2)}},
         {q, k, cos, sin, c.Input(DType::kI32, {1}, {tokens, tokens, {tokens}})}, 2);
}

/// What scores become beside a scale and a mask.
void Bend(Draw& d, int64_t heads, ParamObject& param) {
  if (d.Flag()) param.emplace("softcap", Num(d.Int(0, 9)));
  if (d.Flag()) param.emplace("slopes", std::vector<double>(static_cast<size_t>(heads), 0.5));
}

/// What attention has beside queries, keys and values.
struct Attends {
  bool sinks = false;
  bool latent = false;      ///< Values are the first numbers of keys.
  bool both_sides = false;  ///< A mask leaves a window on both sides of each query (SelfAttention).
  bool others = false;      ///< Keys are those of other tokens (SelfAttention).
  bool seen = false;        ///< How many keys each query sees is said.
};

/// How many keys each of a sequence's last tokens sees: its own at least, never fewer than the one before.
void AddSeen(Draw& d, int64_t queries, int64_t context, Sizes& seen) {
  int64_t least = 0;
  for (int64_t i = 0; i < queries; ++i) {
    least = std::max(least, context - queries + i + 1);
    least = d.Flag() ? least : d.Int(least, std::max(least, context));
    seen.push_back(std::min(least, context));
  }
}

/// A mask [size, size] that lets each query see the keys up to `window` before and behind it.
std::string BandOf(Draw& d, DType dtype, int64_t size, int64_t window, bool multiplied) {
  // What is multiplied by -3e38 is 1 where a key is not seen; what is added is far below every score.
  const int64_t blocked = multiplied ? 1 : -60000;
  Sizes band;
  for (int64_t i = 0; i < size * size; ++i) band.push_back(std::abs(i / size - i % size) <= window ? 0 : blocked);
  return d.c.Input(dtype, {size, size}, {0, 0, band});
}

void SelfAttention(Case& c, const Attends& attends) {
  Draw d{c};
  const DType dtype = d.Float();
  const int64_t kv_heads = attends.latent ? 1 : d.Int(1, 3);
  const int64_t heads = kv_heads * d.Int(1, attends.latent ? 20 : 3), head_dim = 8 * d.Int(1, 4);
  const int64_t mask = attends.both_sides ? 4 : attends.others ? 5 : attends.seen ? 0 : d.Int(0, 3);
  const int64_t most = mask == 0 && heads * head_dim <= 64 && c.bytes.OneIn(8) ? 300 : 40;
  const int64_t batch = d.Int(1, 3);
  Sizes lengths;
  for (int64_t i = 0; i < (attends.others ? 2 * batch : batch); ++i) lengths.push_back(d.Int(0, most));
  const auto keys = lengths.end() - batch;
  const int64_t queries = std::accumulate(lengths.begin(), lengths.begin() + batch, int64_t{0});
  const int64_t tokens = std::accumulate(keys, lengths.end(), int64_t{0}), longest = *std::max_element(keys, lengths.end());
  const auto rows = [&](int64_t own, int64_t count) {
    return d.c.Input(dtype, d.c.bytes.Flag() ? Sizes{own, count, head_dim} : Sizes{own, count * head_dim});
  };
  ParamObject param{{"headNum", Num(heads)}, {"kvHeadNum", Num(kv_heads)}, {"qkScale", 0.25}, {"calcType", "PA_ENCODER"}};
  const bool precise = d.Flag();
  if (precise) param.emplace("kernelType", "KERNELTYPE_HIGH_PRECISION");
  Strings inputs{rows(queries, heads), rows(tokens, kv_heads)};
  if (attends.latent) {
    param.emplace("mlaVHeadSize", Num(8 * d.Int(1, head_dim / 8)));
  } else {
    inputs.push_back(rows(tokens, kv_heads));
  }
  Bend(d, heads, param);
  switch (mask) {
    case 0:
      param.emplace("causal", attends.seen || d.Flag());
      if (d.Flag()) param.emplace("windowSize", Num(d.Int(0, 50)));
      if (d.Flag()) param.emplace("chunkSize", Num(d.Int(0, 50)));
      break;
    case 1:
      param.emplace("maskType", "MASK_TYPE_NORM");
      inputs.push_back(c.Input(dtype, {longest, longest}));
      break;
    case 2:
      param.emplace("maskType", "MASK_TYPE_ALIBI");
      inputs.push_back(c.Input(dtype, {heads, longest, longest}));
      break;
    case 3:
      param.emplace("maskType", "MASK_TYPE_NORM");
      param.emplace("isTriuMask", 1);
      inputs.push_back(c.Input(dtype, {128, 128}));
      break;
    case 4:
      param.emplace("maskType", "MASK_TYPE_NORM");
      inputs.push_back(BandOf(d, dtype, longest, d.Int(0, 20), precise || dtype == DType::kBF16));
      break;
    default:
      break;
  }
  inputs.push_back(c.Input(DType::kI32, attends.others ? Sizes{2, batch} : Sizes{batch}, {0, 0, lengths}));
  if (attends.seen) {
    Sizes seen;
    for (const int64_t length : lengths) AddSeen(d, length, length, seen);
    param.emplace("hasSeen", true);
    inputs.push_back(c.Input(DType::kI32, {queries}, {0, 0, seen}));
  }
  if (attends.sinks) {
    param.emplace("hasSinks", true);
    inputs.push_back(c.Input(DType::kF32, {heads}));
  }
  c.Node("SelfAttention", param, inputs, 1);
}

void PagedAttention(Case& c, const Attends& attends) {
  Draw d{c};
  const DType dtype = d.Float();
  const int64_t kv_heads = attends.latent ? 1 : kKvHeads, heads = kv_heads * d.Int(1, attends.latent ? 40 : 4);
  // Tables may name a block several times, so that contexts are longer than a piece of keys.
  const int64_t batch = d.Int(1, 3), columns = c.bytes.OneIn(8) ? d.Int(9, 12) : d.Int(1, 3);
  const bool spec = attends.seen || d.Flag();
  Sizes contexts, queries, tables;
  int64_t tokens = 0;
  for (int64_t i = 0; i < batch; ++i) {
    contexts.push_back(d.Int(0, columns * kBlockSize));
    queries.push_back(spec ? d.Int(0, contexts.back()) % 24 : 1);
    tokens += queries.back();
    for (int64_t j = 0; j < columns; ++j) tables.push_back(d.Int(0, kBlocks - 1));
  }
  ParamObject param{{"headNum", Num(heads)}, {"kvHeadNum", Num(kv_heads)}, {"qkScale", 0.25}};
  if (attends.latent) param.emplace("mlaVHeadSize", Num(d.Flag() ? kHeadDim : kLatentKey));
  Strings inputs{c.Input(dtype, {tokens, heads, attends.latent ? kLatentKey : kHeadDim})};
  const Strings caches = attends.latent ? LatentCache(d, dtype) : Caches(d, dtype);
  inputs.insert(inputs.end(), caches.begin(), caches.end());
  inputs.push_back(c.Input(DType::kI32, {batch, columns}, {0, 0, tables}));
  inputs.push_back(c.Input(DType::kI32, {batch}, {0, 0, contexts}));
  if (spec) {
    param.emplace("calcType", "CALC_TYPE_SPEC");
    if (!attends.seen && d.Flag()) {
      param.emplace("maskType", "MASK_TYPE_SPEC");
      inputs.push_back(c.Input(dtype, {tokens, columns * kBlockSize}));
    } else {
      param.emplace("causal", true);
      if (d.Flag()) param.emplace("windowSize", Num(d.Int(0, 50)));
      if (d.Flag()) param.emplace("chunkSize", Num(d.Int(0, 50)));
    }
    inputs.push_back(c.Input(DType::kI32, {batch}, {0, 0, queries}));
    if (attends.seen) {
      Sizes seen;
      for (size_t i = 0; i < queries.size(); ++i) AddSeen(d, queries[i], contexts[i], seen);
      param.emplace("hasSeen", true);
      inputs.push_back(c.Input(DType::kI32, {tokens}, {0, 0, seen}));
    }
  } else if (d.Flag()) {
    param.emplace("maskType", "MASK_TYPE_ALIBI");
    inputs.push_back(c.Input(dtype, {batch, heads, 1, columns * kBlockSize}));
  } else if (d.Flag()) {
    param.emplace("windowSize", Num(d.Int(0, 50)));
    param.emplace("chunkSize", Num(d.Int(0, 50)));
  }
  Bend(d, heads, param);
  if (attends.sinks) {
    param.emplace("hasSinks", true);
    inputs.push_back(c.Input(DType::kF32, {heads}));
  }
  c.Node("PagedAttention", param, inputs, 1);
}

/// Sequences that bring some queries each, over the paged cache.
struct SparseSteps {
  Sizes contexts, queries, tables;
  int64_t columns, tokens = 0;

  explicit SparseSteps(Draw& d) : columns(d.c.bytes.OneIn(8) ? d.Int(9, 12) : d.Int(1, 3)) {
    for (int64_t i = d.Int(1, 3); i > 0; --i) {
      contexts.push_back(d.Int(0, columns * kBlockSize));
      queries.push_back(d.Int(0, contexts.back()) % 24);
      tokens += queries.back();
      for (int64_t j = 0; j < columns; ++j) tables.push_back(d.Int(0, kBlocks - 1));
    }
  }
  void Add(Case& c, Strings& inputs) const {
    const auto batch = static_cast<int64_t>(contexts.size());
    inputs.push_back(c.Input(DType::kI32, {batch, columns}, {0, 0, tables}));
    inputs.push_back(c.Input(DType::kI32, {batch}, {0, 0, contexts}));
    inputs.push_back(c.Input(DType::kI32, {batch}, {0, 0, queries}));
  }
};

void LightningIndexer(Case& c) {
  Draw d{c};
  const DType dtype = d.Float();
  const SparseSteps steps(d);
  const int64_t heads = d.Int(1, 9);
  Strings inputs{c.Input(dtype, {steps.tokens, heads, kLatentKey}), c.Input(DType::kF32, {steps.tokens, heads})};
  const int64_t rate = d.Flag() ? d.Int(2, 40) : 0;
  inputs.push_back(EntryCaches(d, dtype, rate).entries);
  steps.Add(c, inputs);
  ParamObject param{{"headNum", Num(heads)}, {"topK", Num(d.Int(1, 80))}};
  if (rate > 0) {
    param.emplace("tokensPerKey", Num(rate));
    inputs.push_back(c.Input(DType::kI32, {1}, {0, 0, {kBlockSize}}));
  }
  c.Node("LightningIndexer", param, inputs, 1);
}

/// Of which each head chooses blocks for itself.
void BlockIndexer(Case& c) {
  Draw d{c};
  const DType dtype = d.Float();
  const SparseSteps steps(d);
  const int64_t heads = d.Int(1, 9), top = d.Int(1, 8);
  Strings inputs{c.Input(dtype, {steps.tokens, heads, kLatentKey}), LatentCache(d, dtype)[0]};
  steps.Add(c, inputs);
  const ParamObject param{{"headNum", Num(heads)},
                          {"topK", Num(top)},
                          {"blockSize", Num(d.Int(1, 70))},
                          {"localBlocks", Num(d.Int(0, top))}};
  c.Node("LightningIndexer", param, inputs, 1);
}

void BlockAttention(Case& c) {
  Draw d{c};
  const DType dtype = d.Float();
  const SparseSteps steps(d);
  const int64_t heads = kKvHeads * d.Int(1, 4), most = d.Int(1, 4), block = 32 * d.Int(1, 3);
  Sizes chosen;
  for (size_t i = 0; i < steps.contexts.size(); ++i) {
    for (int64_t row = 0; row < steps.queries[i] * kKvHeads; ++row) {
      const int64_t seen = steps.contexts[i] - steps.queries[i] + row / kKvHeads + 1, step = d.Int(1, 2);
      for (int64_t j = 0; j < most; ++j) chosen.push_back(j * step * block < seen ? j * step : -1);
    }
  }
  Strings inputs{c.Input(dtype, {steps.tokens, heads, kHeadDim})};
  const Strings caches = Caches(d, dtype);
  inputs.insert(inputs.end(), caches.begin(), caches.end());
  steps.Add(c, inputs);
  inputs.push_back(c.Input(DType::kI32, {steps.tokens, kKvHeads * most}, {0, 0, chosen}));
  const ParamObject param{
      {"headNum", Num(heads)}, {"kvHeadNum", Num(kKvHeads)}, {"qkScale", 0.25}, {"blockSize", Num(block)}};
  c.Node("BlockAttention", param, inputs, 1);
}

void CompressedAttention(Case& c) {
  Draw d{c};
  const DType dtype = d.Float();
  const SparseSteps steps(d);
  const int64_t heads = d.Int(1, 40), rate = d.Int(0, 40), most = d.Int(1, 20);
  const bool chooses = rate > 0 && d.Flag();
  const EntryCaches caches(d, dtype, rate);
  Strings inputs{c.Input(dtype, {steps.tokens, heads, kLatentKey}), caches.tokens};
  steps.Add(c, inputs);
  inputs.push_back(d.Vector(DType::kF32, heads));
  ParamObject param{{"headNum", Num(heads)}, {"qkScale", 0.25}, {"windowSize", Num(d.Int(1, 90))}};
  if (rate > 0) {
    param.emplace("tokensPerEntry", Num(rate));
    inputs.push_back(caches.entries);
  }
  if (chooses) {
    Sizes chosen;
    for (size_t i = 0; i < steps.contexts.size(); ++i) {
      for (int64_t query = 0; query < steps.queries[i]; ++query) {
        const int64_t ended = (steps.contexts[i] - steps.queries[i] + query + 1) / rate;
        for (int64_t j = 0; j < most; ++j) chosen.push_back(j < ended ? j : -1);
      }
    }
    param.emplace("hasChosen", true);
    inputs.push_back(c.Input(DType::kI32, {steps.tokens, most}, {0, 0, chosen}));
  }
  c.Node("CompressedAttention", param, inputs, 1);
}

void SparseAttention(Case& c) {
  Draw d{c};
  const DType dtype = d.Float();
  const SparseSteps steps(d);
  const int64_t heads = d.Int(1, 40), most = d.Int(1, 80);
  Sizes chosen;
  for (size_t i = 0; i < steps.contexts.size(); ++i) {
    for (int64_t query = 0; query < steps.queries[i]; ++query) {
      const int64_t seen = steps.contexts[i] - steps.queries[i] + query + 1, step = d.Int(1, 3);
      for (int64_t j = 0; j < most; ++j) chosen.push_back(j * step < seen ? j * step : -1);
    }
  }
  Strings inputs{c.Input(dtype, {steps.tokens, heads, kLatentKey}), LatentCache(d, dtype)[0]};
  steps.Add(c, inputs);
  inputs.push_back(c.Input(DType::kI32, {steps.tokens, most}, {0, 0, chosen}));
  const int64_t values = d.Flag() ? kHeadDim : kLatentKey;
  const bool sinks = d.Flag();
  if (sinks) inputs.push_back(c.Input(DType::kF32, {heads}));
  const ParamObject param{
      {"headNum", Num(heads)}, {"qkScale", 0.25}, {"mlaVHeadSize", Num(values)}, {"hasSinks", sinks}};
  c.Node("SparseAttention", param, inputs, 1);
}

std::string Slots(Draw& d, int64_t tokens) {
  Sizes slots;
  for (int64_t i = 0; i < tokens; ++i) slots.push_back(d.Int(-1, kBlocks * kBlockSize - 1));
  return d.c.Input(DType::kI32, {tokens}, {0, 0, slots});
}

/// Keys and values, or keys alone.
void ReshapeAndCache(Case& c, bool bypass) {
  Draw d{c};
  const DType dtype = d.Float();
  const int64_t tokens = d.Int(1, 9);
  Strings inputs{bypass ? c.Input(dtype, {tokens, 1, kLatentKey}) : c.Input(dtype, {tokens, kKvHeads, kHeadDim})};
  if (!bypass) inputs.push_back(c.Input(dtype, {tokens, kKvHeads, kHeadDim}));
  const Strings caches = bypass ? LatentCache(d, dtype) : Caches(d, dtype);
  inputs.insert(inputs.end(), caches.begin(), caches.end());
  inputs.push_back(Slots(d, tokens));
  ParamObject param;
  if (bypass) param.emplace("kvCacheCfg", "K_CACHE_V_BYPASS");
  c.Node("ReshapeAndCache", param, inputs, 0, caches);
}

void QkvRopeCache(Case& c) {
  Draw d{c};
  const DType dtype = d.Float();
  const int64_t heads = kKvHeads * d.Int(1, 4), tokens = d.Int(1, 9);
  const bool norm = d.Flag();
  Strings inputs{c.Input(dtype, {tokens, (heads + 2 * kKvHeads) * kHeadDim})};
  const Strings caches = Caches(d, dtype);
  inputs.insert(inputs.end(), caches.begin(), caches.end());
  inputs.push_back(Slots(d, tokens));
  const bool rotate = d.Flag();
  const DType table = d.Float();
  for (int i = 0; rotate && i < 2; ++i) inputs.push_back(c.Input(table, {tokens, kHeadDim}));
  ParamObject param{{"headNum", Num(heads)}, {"kvHeadNum", Num(kKvHeads)}, {"headDim", Num(kHeadDim)},
                    {"rotaryCoeff", rotate ? 2 : 0}};
  if (norm) {
    param.emplace("normType", d.Flag() ? "rms-plus-one" : "rms");
    param.emplace("normEpsilon", 1e-6);
    for (int i = 0; i < 2; ++i) inputs.push_back(d.Vector(dtype, kHeadDim));
  }
  c.Node("QkvRopeCache", param, inputs, 1, caches);
}

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
  ParamObject param{
      {"keyHeads", Num(key_heads)}, {"valueHeads", Num(heads)}, {"keySize", Num(key_size)}, {"valueSize", Num(value_size)}};
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
  ParamObject param{{"heads", Num(heads)}, {"headSize", Num(head_size)}, {"stateSize", Num(state_size)}, {"groups", Num(groups)}};
  if (d.Flag()) param.emplace("mostStep", 1.0);
  if (d.Flag()) param.emplace("leastStep", 0.5);
  if (by_channel) param.emplace("byChannel", true);
  c.Node("SelectiveScan", param, inputs, 1, state);
}

Param AnyParam(Bytes& bytes) {
  switch (bytes.Int(0, 7)) {
    case 0:
      return bytes.Flag();
    case 1:
      return static_cast<double>(bytes.Float());
    case 2:
      return Num(bytes.Raw<int64_t>() >> 8);
    case 3: {
      Numbers numbers;
      for (int64_t i = bytes.Int(0, 9); i > 0; --i) numbers.push_back(Num(bytes.Int(-9, 40)));
      return numbers;
    }
    case 4:
      return ParamObject{{"epsilon", Num(bytes.Int(-2, 2))}};
    case 5:
      return "MASK_TYPE_NORM";
    default:
      return Num(bytes.Int(-9, 300));
  }
}

}  // namespace

std::string Case::Input(DType dtype, std::vector<int64_t> shape, Filling filling) {
  const std::string name = "i" + std::to_string(names_++);
  TensorDesc desc(dtype, {});
  desc.rank = static_cast<uint8_t>(shape.size());
  std::copy(shape.begin(), shape.end(), desc.dims.begin());
  given_.push_back({name, desc, std::move(filling)});
  request.spec.inputs.push_back(name);
  return name;
}

std::string Case::Own(const std::string& name) {
  Strings& inputs = request.spec.inputs;
  if (std::find(inputs.begin(), inputs.end(), name) == inputs.end()) inputs.push_back(name);
  return name;
}

void Case::Node(const std::string& type, ParamObject param, std::vector<std::string> inputs, int outputs,
                std::vector<std::string> in_place) {
  NodeSpec node{"n" + std::to_string(names_++), type, std::move(param), nullptr, std::move(inputs), {}};
  for (int i = 0; i < outputs; ++i) {
    node.outputs.push_back("o" + std::to_string(names_++));
    request.spec.outputs.push_back(node.outputs.back());
  }
  node.outputs.insert(node.outputs.end(), in_place.begin(), in_place.end());
  request.spec.nodes.push_back(std::move(node));
  types.push_back(type);
}

void Case::Spoil() {
  GraphSpec& spec = request.spec;
  NodeSpec& node = spec.nodes[static_cast<size_t>(bytes.Int(0, static_cast<int64_t>(spec.nodes.size()) - 1))];
  const auto pick = [&](auto& list) -> auto& {
    return list[static_cast<size_t>(bytes.Int(0, static_cast<int64_t>(list.size()) - 1))];
  };
  switch (bytes.Int(0, 10)) {
    case 0:
      if (node.param.empty()) return;
      std::next(node.param.begin(), bytes.Int(0, static_cast<int64_t>(node.param.size()) - 1))->second = AnyParam(bytes);
      return;
    case 1:
      if (!node.param.empty()) node.param.erase(node.param.begin());
      return;
    case 2: {
      constexpr const char* kKeys[] = {"windowSize", "chunkSize", "causal", "hasBias", "axes", "axis", "quantGroupSize", "transposeB", "x"};
      node.param.insert_or_assign(bytes.Of(kKeys), AnyParam(bytes));
      return;
    }
    case 3:
      Resize();
      return;
    case 4: {
      if (given_.empty()) return;
      TensorDesc& desc = pick(given_).desc;
      if (bytes.Flag()) {
        desc.dtype = bytes.Of(kAll);
      } else if (desc.rank < kMaxRank) {
        desc.dims[desc.rank++] = 1;
      }
      return;
    }
    case 5:
      if (given_.empty()) return;
      pick(given_).filling = {bytes.Flag() ? -3 : INT32_MIN, bytes.Flag() ? 200 : INT32_MAX, {}};
      return;
    case 6:
      if (node.inputs.empty()) return;
      pick(node.inputs) = pick(spec.inputs);
      return;
    case 7:
      if (node.inputs.empty()) return;
      if (bytes.Flag()) {
        node.inputs.pop_back();
      } else {
        node.inputs.push_back(node.inputs.front());
      }
      return;
    case 8: {
      // Another weight or cache, scales of another one among them.
      static const Strings names = TensorNames();
      if (node.inputs.empty()) return;
      pick(node.inputs) = Own(names[static_cast<size_t>(bytes.Int(0, static_cast<int64_t>(names.size()) - 1))]);
      return;
    }
    case 9: {
      // A view that flattens, splits or adds an axis, in place of an input.
      if (node.inputs.empty()) return;
      std::string& input = pick(node.inputs);
      ViewSpec view{"v" + std::to_string(names_++), input, {}};
      for (int64_t i = bytes.Int(1, 4); i > 0; --i) {
        ViewDim dim;
        if (bytes.Flag()) {
          dim.constant = bytes.OneIn(20) ? bytes.Raw<int64_t>() & ((int64_t{1} << 53) - 1) : bytes.Int(0, 64);
        } else {
          for (int64_t j = bytes.Int(1, 3); j > 0; --j) dim.axes.push_back(static_cast<int>(bytes.Int(0, 5)));
        }
        view.shape.push_back(std::move(dim));
      }
      input = view.name;
      spec.views.push_back(std::move(view));
      return;
    }
    default: {
      // The node as a graph of its own, which changes nothing.
      if (node.graph) return;
      auto inner = std::make_shared<GraphSpec>();
      inner->name = "inner";
      for (const std::string& input : node.inputs)
        if (std::find(inner->inputs.begin(), inner->inputs.end(), input) == inner->inputs.end()) inner->inputs.push_back(input);
      inner->outputs = node.outputs;
      inner->nodes.push_back(node);
      node.inputs = inner->inputs;
      node.op_type.clear();
      node.param.clear();
      node.graph = std::move(inner);
    }
  }
}

void Case::Resize() {
  if (given_.empty()) return;
  TensorDesc& desc = given_[static_cast<size_t>(bytes.Int(0, static_cast<int64_t>(given_.size()) - 1))].desc;
  if (desc.rank == 0) return;
  constexpr int64_t kSizes[] = {0, 1, 2, 7, 31, 32, 64, 100};
  desc.dims[static_cast<size_t>(bytes.Int(0, desc.rank - 1))] = bytes.Of(kSizes);
}

void Case::Allocate() {
  request.inputs = {};
  // Spoiled sizes multiply; what takes too long says nothing.
  constexpr int64_t kMostElements = 1 << 16;
  for (Given& given : given_) {
    int64_t elements = 1;
    for (int i = 0; i < given.desc.rank; ++i) {
      if (elements * std::max<int64_t>(1, given.desc.dims[i]) > kMostElements) given.desc.dims[i] = 1;
      elements *= std::max<int64_t>(1, given.desc.dims[i]);
    }
    request.inputs.Add(given.name, given.desc);
  }
  request.inputs.Allocate();
  for (size_t i = 0; i < given_.size(); ++i) Fill(given_[i], request.inputs[i]);
}

void Case::Fill(const Given& given, const Tensor& tensor) {
  const auto elements = static_cast<size_t>(given.desc.Elements());
  const Filling& filling = given.filling;
  float floats[4];
  int64_t integers[4];
  for (int i = 0; i < 4; ++i) {
    floats[i] = bytes.Float();
    integers[i] = bytes.Int(filling.low, filling.high);
  }
  for (size_t i = 0; i < elements; ++i) {
    const int64_t integer = i < filling.exact.size() ? filling.exact[i] : integers[(i + i / 4) % 4];
    const float number = filling.exact.empty() ? floats[(i + i / 4) % 4] : static_cast<float>(integer);
    switch (given.desc.dtype) {
      case DType::kF32:
        tensor.As<float>()[i] = number;
        break;
      case DType::kF16:
        // Half of these bits are large numbers, some are NaN: what they are does not matter, that they vary does.
        tensor.As<uint16_t>()[i] = static_cast<uint16_t>(integers[i % 4] * 4099 + 0x3000);
        if (!filling.exact.empty()) kernels::StoreFloat(tensor.data, DType::kF16, static_cast<int64_t>(i), number);
        break;
      case DType::kBF16: {
        uint32_t bits;
        std::memcpy(&bits, &number, sizeof bits);
        tensor.As<uint16_t>()[i] = static_cast<uint16_t>(bits >> 16);
        break;
      }
      case DType::kI32:
        tensor.As<int32_t>()[i] = static_cast<int32_t>(integer);
        break;
      case DType::kI64:
        tensor.As<int64_t>()[i] = integer;
        break;
      default:
        tensor.As<int8_t>()[i] = static_cast<int8_t>(integer);
    }
  }
}

const std::map<std::string, Variants>& Recipes() {
  static const std::map<std::string, Variants> recipes = [] {
    std::map<std::string, Variants> all = {
        {"Activation", {{"", Activation}}},
        {"BlockAttention", {{"", BlockAttention}}},
        {"Cast", {{"", Cast}}},
        {"CausalConv1d", {{"", CausalConv1d}}},
        {"CompressedAttention", {{"", CompressedAttention}}},
        {"Concat", {{"", Concat}}},
        {"Cumsum", {{"", Cumsum}}},
        {"DynamicQuant", {{"", DynamicQuant}}},
        {"Elewise", {{"", Elewise}}},
        {"Fill", {{"", fuzz::Fill}}},
        {"FusedExperts", {{"of floats", [](Case& c) { FusedExperts(c, nullptr); }}}},
        {"FusedLinear", {{"of floats", [](Case& c) { FusedLinear(c, nullptr); }}}},
        {"GatedDeltaRule", {{"", GatedDeltaRule}}},
        {"Gather", {{"", Gather}}},
        {"GatherDequant", {{"of rows", [](Case& c) { GatherDequant(c, nullptr); }}}},
        {"GroupTopk", {{"", GroupTopk}}},
        {"GroupedMatmul", {{"of floats", [](Case& c) { GroupedMatmul(c, nullptr, false); }}}},
        {"HyperWeights", {{"", HyperWeights}}},
        {"LayerNorm", {{"", LayerNorm}}},
        {"LightningIndexer", {{"", LightningIndexer}, {"of blocks", BlockIndexer}}},
        {"Linear",
         {{"", Linear},
          {"of batches", [](Case& c) { BatchedLinear(c, false); }},
          {"of neighbours", [](Case& c) { BatchedLinear(c, true); }}}},
        {"MixStreams", {{"", MixStreams}}},
        {"MoeInitRouting", {{"", MoeInitRouting}}},
        {"MoeTokenUnpermute", {{"", MoeTokenUnpermute}}},
        {"PagedAttention", {}},
        {"QkvRopeCache", {{"", QkvRopeCache}}},
        {"RealGatedLru", {{"", RealGatedLru}}},
        {"Reduce", {{"", Reduce}}},
        {"Repeat", {{"", Repeat}}},
        {"ReshapeAndCache",
         {{"", [](Case& c) { ReshapeAndCache(c, false); }}, {"of keys", [](Case& c) { ReshapeAndCache(c, true); }}}},
        {"RmsNorm", {{"", RmsNorm}}},
        {"Rope", {{"", Rope}}},
        {"SelectiveScan",
         {{"", [](Case& c) { SelectiveScan(c, false); }}, {"by channel", [](Case& c) { SelectiveScan(c, true); }}}},
        {"SelfAttention",
         {{"on both sides", [](Case& c) { SelfAttention(c, {.both_sides = true}); }},
          {"to others", [](Case& c) { SelfAttention(c, {.others = true}); }},
          {"to others, latent", [](Case& c) { SelfAttention(c, {.latent = true, .others = true}); }}}},
        {"SetValue", {{"", SetValue}}},
        {"Sigmoid", {{"", Sigmoid}}},
        {"Slice", {{"", Slice}}},
        {"Softmax", {{"", Softmax}}},
        {"Sort", {{"", Sort}}},
        {"SparseAttention", {{"", SparseAttention}}},
        {"Split", {{"", Split}}},
        {"Transpose", {{"", Transpose}}},
        {"VectorNorm", {{"", VectorNorm}}},
        {"W4A16MatMul", {{"of rows", [](Case& c) { WeightQuantMatMul(c, 4, nullptr); }}}},
        {"W8A16MatMul", {{"of rows", [](Case& c) { WeightQuantMatMul(c, 8, nullptr); }}}},
        {"W8A8MatMul", {{"of rows", [](Case& c) { W8A8MatMul(c, nullptr); }}}},
        {"Where", {{"", Where}}},
        {"WindowPool", {{"", WindowPool}}},
    };
    for (const auto& [name, attends] : {std::pair{"", Attends{}}, std::pair{"with sinks", Attends{.sinks = true}},
                                        std::pair{"latent", Attends{.latent = true}},
                                        std::pair{"latent with sinks", Attends{.sinks = true, .latent = true}},
                                        std::pair{"of what is seen", Attends{.seen = true}},
                                        std::pair{"of what is seen, with sinks", Attends{.sinks = true, .seen = true}}}) {
      all["SelfAttention"].emplace_back(name, [own = attends](Case& c) { SelfAttention(c, own); });
      all["PagedAttention"].emplace_back(name, [own = attends](Case& c) { PagedAttention(c, own); });
    }
    for (const Form& form : Forms()) {
      const auto add = [&](const char* type, const auto& recipe) {
        all[type].emplace_back(form.name, [&form, recipe](Case& c) { recipe(c, &form); });
      };
      add("FusedLinear", FusedLinear);
      add(form.bits == 8 ? "W8A16MatMul" : "W4A16MatMul",
          [](Case& c, const Form* own) { WeightQuantMatMul(c, own->bits, own); });
      if (form.IsInt8()) add("W8A8MatMul", W8A8MatMul);
      if (form.IsInt8()) all["GroupedMatmul"].emplace_back(form.name + " by int8", [&form](Case& c) { GroupedMatmul(c, &form, true); });
      add("FusedExperts", FusedExperts);
      add("GroupedMatmul", [](Case& c, const Form* own) { GroupedMatmul(c, own, false); });
      if (!form.HasOffsets()) add("GatherDequant", GatherDequant);
    }
    return all;
  }();
  return recipes;
}

}  // namespace atb::fuzz
