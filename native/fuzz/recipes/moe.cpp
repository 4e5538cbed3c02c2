#include "draw.h"
#include "op_recipes.h"
#include "stored_tensors.h"

namespace atb::fuzz {
namespace {

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
std::string OrderOfExperts(Case& c, int64_t k) { return c.Input(DType::kI32, {kExperts, k}, {0, k, {}}); }

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
  c.Node("GroupTopk", param, {c.Input(d.Float(), {d.Int(1, 40), groups * size}), c.Input(DType::kI32, {d.Int(1, 9)})},
         1);
}

void MoeInitRouting(Case& c) {
  Draw d{c};
  const int64_t tokens = d.Int(1, 40), top_k = d.Int(1, 8), experts = d.Int(1, 40);
  c.Node("MoeInitRouting", {{"topkNum", Num(top_k)}, {"expertNum", Num(experts)}},
         {c.Input(c.bytes.Of(kAll), {tokens, d.Dim()}), c.Input(DType::kI32, {tokens, top_k}, {0, experts - 1, {}})},
         3);
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

}  // namespace

RecipeTable MoeRecipes() {
  RecipeTable all = {
      {"FusedExperts", {{"of floats", [](Case& c) { FusedExperts(c, nullptr); }}}},
      {"GroupTopk", {{"", GroupTopk}}},
      {"GroupedMatmul", {{"of floats", [](Case& c) { GroupedMatmul(c, nullptr, false); }}}},
      {"MoeInitRouting", {{"", MoeInitRouting}}},
      {"MoeTokenUnpermute", {{"", MoeTokenUnpermute}}},
      {"VectorNorm", {{"", VectorNorm}}},
  };
  for (const Form& form : Forms()) {
    Variants& grouped = all["GroupedMatmul"];
    if (form.IsInt8())
      grouped.emplace_back(form.name + " by int8", [&form](Case& c) { GroupedMatmul(c, &form, true); });
    grouped.emplace_back(form.name, [&form](Case& c) { GroupedMatmul(c, &form, false); });
    all["FusedExperts"].emplace_back(form.name, [&form](Case& c) { FusedExperts(c, &form); });
  }
  return all;
}

}  // namespace atb::fuzz
