// Products with weights, and rows of weights of integers.
#include "draw.h"
#include "op_recipes.h"
#include "stored_tensors.h"

namespace atb::fuzz {
namespace {

void DynamicQuant(Case& c) {
  Draw d{c};
  const Sizes shape = d.Shape(d.Int(1, 4));
  c.Node("DynamicQuant", {}, {c.Input(d.Float(), shape)}, 2);
}

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
  ParamObject param{
      {"transposeA", transpose_a}, {"transposeB", transposed}, {"hasBias", bias}, {"enAccum", accumulate}};
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
  Strings inputs;       ///< The weight and its scales.
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
  IntegerWeightChoice weight{
      {c.Own(name), c.Own(name + "_scales")}, "", interleaved ? kInterleavedRows : kRows, kChannels};
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
  constexpr const char* kActivations[] = {"none",      "relu",  "relu2",  "gelu",  "gelu-tanh",
                                          "fast-gelu", "swish", "swiglu", "geglu", "geglu-tanh"};
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

}  // namespace

RecipeTable LinearRecipes() {
  RecipeTable all = {
      {"DynamicQuant", {{"", DynamicQuant}}},
      {"FusedLinear", {{"of floats", [](Case& c) { FusedLinear(c, nullptr); }}}},
      {"GatherDequant", {{"of rows", [](Case& c) { GatherDequant(c, nullptr); }}}},
      {"Linear",
       {{"", Linear},
        {"of batches", [](Case& c) { BatchedLinear(c, false); }},
        {"of neighbours", [](Case& c) { BatchedLinear(c, true); }}}},
      {"W4A16MatMul", {{"of rows", [](Case& c) { WeightQuantMatMul(c, 4, nullptr); }}}},
      {"W8A16MatMul", {{"of rows", [](Case& c) { WeightQuantMatMul(c, 8, nullptr); }}}},
      {"W8A8MatMul", {{"of rows", [](Case& c) { W8A8MatMul(c, nullptr); }}}},
  };
  for (const Form& form : Forms()) {
    const auto add = [&](const char* type, const auto& recipe) {
      all[type].emplace_back(form.name, [&form, recipe](Case& c) { recipe(c, &form); });
    };
    add("FusedLinear", FusedLinear);
    add(form.bits == 8 ? "W8A16MatMul" : "W4A16MatMul",
        [](Case& c, const Form* own) { WeightQuantMatMul(c, own->bits, own); });
    if (form.IsInt8()) add("W8A8MatMul", W8A8MatMul);
    if (!form.HasOffsets()) add("GatherDequant", GatherDequant);
  }
  return all;
}

}  // namespace atb::fuzz
