#include <algorithm>
#include <cmath>

#include "op_runner.h"

using namespace atb;        // NOLINT
using namespace atb::test;  // NOLINT

namespace {

using Numbers = std::vector<double>;

std::string CreateError(std::string_view type, const ParamObject& param) {
  return ErrorOf([&] { CreateOperation(type, param); });
}

void ReadersGiveValuesAndDefaults() {
  const ParamObject nested = {{"epsilon", 0.5}};
  const ParamObject object = {{"flag", true},           {"count", 3},  {"ratio", 0.25},
                              {"list", Numbers{1, -2}}, {"kind", "B"}, {"block", nested}};
  ParamReader reader("Op", object);
  CHECK(reader.Bool("flag", false) && reader.Int("count", 0, 0, 10) == 3 && reader.Number("ratio", 0) == 0.25);
  CHECK(reader.Ints("list") == (std::vector<int64_t>{1, -2}) && reader.Enum("kind", {"A", "B"}, 0) == 1);
  ParamReader block = reader.Object("block");
  CHECK(block.Number("epsilon", 0) == 0.5);
  block.Done();
  CHECK(!reader.Bool("no_flag", false) && reader.Int("no_count", 7, 0, 10) == 7 &&
        reader.Number("no_ratio", 1.5) == 1.5);
  CHECK(reader.Ints("no_list").empty() && reader.Enum("no_kind", {"A", "B"}, 1) == 1);
  ParamReader absent = reader.Object("no_block");
  CHECK(absent.Number("epsilon", 2) == 2);
  absent.Done();
  reader.Require("flag", true);
  reader.Require("missing", 5);
  reader.Done();
}

void ReadersNameWhatDoesNotFit() {
  const auto error = [](const Param& value, auto read) {
    const ParamObject object = {{"key", value}};
    return ErrorOf([&] {
      ParamReader reader("Op", object);
      read(reader);
      reader.Done();
    });
  };
  const auto as_bool = [](ParamReader& r) { r.Bool("key", false); };
  const auto as_int = [](ParamReader& r) { r.Int("key", 0, 1, 9); };
  const auto as_number = [](ParamReader& r) { r.Number("key", 0); };
  const auto as_enum = [](ParamReader& r) { r.Enum("key", {"X", "Y"}, 0); };
  const auto as_ints = [](ParamReader& r) { r.Ints("key"); };
  const auto as_object = [](ParamReader& r) { r.Object("key"); };
  const auto unread = [](ParamReader& r) { r.Bool("other", false); };
  CHECK(error(1, as_bool) == "NATIVE_PARAM_INVALID: Op: key must be true or false, found 1");
  CHECK(error(10, as_int) == "NATIVE_PARAM_INVALID: Op: key must be an integer from 1 to 9, found 10");
  CHECK(error(2.5, as_int) == "NATIVE_PARAM_INVALID: Op: key must be an integer from 1 to 9, found 2.5");
  CHECK(Has(error(true, as_int), {"found true"}) && Has(error(1e300, as_int), {"found 1e+300"}));
  for (double bad : Numbers{NAN, INFINITY, -1e39})
    CHECK(Has(error(bad, as_number), {"NATIVE_PARAM_INVALID", "finite number"}));
  CHECK(error("Z", as_enum) == "NATIVE_PARAM_INVALID: Op: key must be one of X, Y, found \"Z\"");
  CHECK(Has(error(0, as_enum), {"one of X, Y", "found 0"}));  // ATB would take integers for the first entry.
  CHECK(Has(error(Numbers{1, 2.5}, as_ints), {"a list of integers, found [1,2.5]"}));
  CHECK(Has(error(Numbers{NAN}, as_ints), {"a list of finite numbers"}));
  CHECK(Has(error(5, as_object), {"an object, found 5"}));
  CHECK(error("x", unread) == "NATIVE_PARAM_INVALID: Op: unknown key \"key\" (\"x\"); known here: other");
  CHECK(Has(error(3, [](ParamReader& r) { r.Require("key", 0); }),
            {"must be 0 (nothing else is implemented here), found 3"}));
  CHECK(
      Has(error(ParamObject{{"b", 1}}, [](ParamReader& r) { r.Object("key").Done(); }), {"Op.key: unknown key \"b\""}));
  CHECK(Has(error(Param(), as_bool), {"found nothing"}));
}

void UnknownOperationsNameTheKnownOnes() {
  const auto types = SupportedOperations();
  CHECK(std::ranges::is_sorted(types) && std::ranges::adjacent_find(types) == types.end());
  const auto error = CreateError("Gathre", {});
  CHECK(Has(error, {"NATIVE_OP_UNKNOWN", "\"Gathre\"", "known: "}));
  for (const std::string& type : types) CHECK(Has(error, {type}));
}

/// Each operation refuses keys that it does not read, and the values that it does not have.
void OperationsIgnoreNothing() {
  for (const std::string& type : SupportedOperations())
    CHECK(Has(CreateError(type, {{"noSuchKey", 1}}), {"NATIVE_PARAM_INVALID: " + type}));
  struct Case {
    const char* type;
    ParamObject param;
    const char* message;
  };
  const Case cases[] = {
      {"Activation", {}, "activationType must be a function"},
      {"Activation", {{"activationType", "ACTIVATION_MAX"}}, "one of ACTIVATION_UNDEFINED, ACTIVATION_RELU"},
      {"Activation", {{"activationType", "ACTIVATION_RELU"}, {"scale", 2.0}}, "scale must be 1 unless"},
      {"Activation", {{"activationType", "ACTIVATION_RELU"}, {"dim", 0}}, "dim must be -1"},
      {"Activation", {{"activationType", "ACTIVATION_SWISH"}, {"geluMode", "NONE_MODE"}}, "geluMode must be TANH_MODE"},
      {"Cast", {}, "dtype must be an aclDataType"},
      {"Cast", {{"dtype", "ACL_DOUBLE"}}, "ACL_BF16"},
      {"Cumsum", {{"axes", Numbers{0, 1}}}, "axes must be a list of one axis"},
      {"Elewise", {}, "elewiseType must be an operation"},
      {"Elewise", {{"elewiseType", "ELEWISE_QUANT"}}, "elewiseType must be one of"},
      {"Elewise", {{"elewiseType", "ELEWISE_ADD"}, {"mulsParam", ParamObject{{"varAttr", 2}}}}, "varAttr must be 0"},
      {"Elewise",
       {{"elewiseType", "ELEWISE_ADD"}, {"quantParam", ParamObject{{"inputScale", 2}}}},
       "inputScale must be 1"},
      {"Elewise", {{"elewiseType", "ELEWISE_COS"}, {"outTensorType", "ACL_FLOAT"}}, "outTensorType must be absent"},
      {"Fill", {{"value", Numbers{1}}}, "outDim must be"},
      {"Gather", {{"batchDims", 2}}, "batchDims must be an integer from 0 to 1"},
      {"LayerNorm", {}, "layerType must be one of LAYER_NORM_NORM"},
      {"LayerNorm", {{"layerType", "LAYER_NORM_PRENORM"}, {"normParam", ParamObject{}}}, "unknown key \"normParam\""},
      {"Reduce", {{"axis", Numbers{0}}}, "reduceType must be one of"},
      {"Repeat", {{"multiples", Numbers{0}}}, "multiples must be"},
      {"RmsNorm", {{"layerType", "RMS_NORM_UNDEFINED"}}, "layerType must be one of RMS_NORM_NORM"},
      {"RmsNorm",
       {{"layerType", "RMS_NORM_NORM"}, {"normParam", ParamObject{{"quantType", "QUANT_INT8"}}}},
       "quantType"},
      {"RmsNorm",
       {{"layerType", "RMS_NORM_NORM"}, {"normParam", ParamObject{{"epsilon", -1}}}},
       "epsilon must be at least"},
      {"RmsNorm", {{"layerType", "RMS_NORM_NORM"}, {"normParam", ParamObject{{"rstd", true}}}}, "rstd must be false"},
      {"Rope", {{"rotaryCoeff", 3}}, "rotaryCoeff must be even"},
      {"Rope", {{"cosFormat", 1}}, "cosFormat must be 0"},
      {"SetValue", {{"starts", Numbers{0}}, {"ends", Numbers{1}}}, "strides must be as long as starts"},
      {"Slice", {{"offsets", Numbers{0}}, {"size", Numbers{-2}}}, "size must be"},
      {"Softmax", {}, "axes must be"},
      {"Sort", {{"num", Numbers{0}}}, "num must be"},
      {"Split", {{"splitNum", 4}}, "splitNum must be an integer from 2 to 3"},
      {"Split", {{"splitDim", -1}, {"splitSizes", Numbers{1, 2}}}, "splitDim must be at least 0"},
      {"Split", {{"splitNum", 3}, {"splitSizes", Numbers{1, 2}}}, "a list of 3 sizes"},
      {"Transpose", {{"perm", Numbers{0, 0}}}, "a permutation"},
  };
  for (const Case& c : cases)
    CHECK(Has(CreateError(c.type, c.param), {std::string("NATIVE_PARAM_INVALID: ") + c.type, c.message}));
}

/// Wrong shapes and dtypes are refused with the operation, the tensor, what was expected and what was found.
void OperationsCheckTheirTensors() {
  const Value f(DType::kF32, {2, 4}, Numbers(8, 1)), h(DType::kF16, {2, 4}, Numbers(8, 1)), i(DType::kI32, {2}, {0, 1});
  const Value w(DType::kF32, {4}, Numbers(4, 1)), w3(DType::kF32, {3}, Numbers(3, 1));
  const auto& table = kernels::Select({});
  const auto error = [&](std::string_view type, const ParamObject& param, const std::vector<Value>& inputs) {
    return ErrorOf([&] { RunOp(type, param, inputs, table); });
  };
  const ParamObject add = {{"elewiseType", "ELEWISE_ADD"}}, norm = {{"layerType", "RMS_NORM_NORM"}};
  const ParamObject pre = {{"layerType", "RMS_NORM_PRENORM"}}, layer = {{"layerType", "LAYER_NORM_NORM"}};
  CHECK(error("Elewise", add, {f, h}) ==
        "NATIVE_DTYPE_MISMATCH: Elewise: in1 must be of in0's type f32, found f16[2,4]");
  CHECK(Has(error("Elewise", add, {f, w3}), {"NATIVE_SHAPE_MISMATCH: Elewise: in1", "found f32[3]"}));
  CHECK(Has(error("Elewise", {{"elewiseType", "ELEWISE_REALDIV"}}, {i, i}), {"NATIVE_DTYPE_MISMATCH: Elewise: in0"}));
  CHECK(Has(error("Elewise", {{"elewiseType", "ELEWISE_LOGICAL_AND"}}, {f, f}), {"in0 must be i8, found f32[2,4]"}));
  CHECK(Has(error("Elewise", {{"elewiseType", "ELEWISE_LESS"}, {"outTensorType", "ACL_FLOAT"}}, {f, f}),
            {"NATIVE_DTYPE_MISMATCH", "outTensorType must be i8 here, found f32"}));
  CHECK(Has(error("Elewise", {{"elewiseType", "ELEWISE_CAST"}, {"outTensorType", "ACL_INT32"}}, {f}),
            {"NATIVE_DTYPE_MISMATCH: Elewise: in0"}));
  CHECK(error("RmsNorm", norm, {f, w3}) == "NATIVE_SHAPE_MISMATCH: RmsNorm: in1 must be f32[4], found f32[3]");
  CHECK(error("RmsNorm", norm, {h, w}) == "NATIVE_DTYPE_MISMATCH: RmsNorm: in1 must be f16[4], found f32[4]");
  CHECK(Has(error("RmsNorm", norm, {i, w}), {"RmsNorm: in0 must be f32, f16 or bf16, found i32[2]"}));
  CHECK(Has(error("RmsNorm", pre, {f, w, w}), {"NATIVE_SHAPE_MISMATCH: RmsNorm: in1 must be f32[2,4], found f32[4]"}));
  CHECK(Has(error("LayerNorm", layer, {f, w, w}), {"NATIVE_SHAPE_MISMATCH: LayerNorm: in1 must be f32[8]"}));
  CHECK(Has(error("Activation", {{"activationType", "ACTIVATION_SWIGLU_FORWARD"}}, {w3}),
            {"in0 must be even along axis 0"}));
  CHECK(Has(error("Gather", {}, {f, w}), {"NATIVE_DTYPE_MISMATCH: Gather: in1 must be i32 or i64"}));
  CHECK(Has(error("Gather", {{"axis", 1}, {"batchDims", 1}}, {f, w3}), {"NATIVE_DTYPE_MISMATCH"}));
  CHECK(
      Has(error("Gather", {{"axis", 1}, {"batchDims", 1}}, {w3, i}), {"NATIVE_SHAPE_MISMATCH: Gather: in0", "axis 1"}));
  CHECK(Has(error("Concat", {}, {f, w}), {"NATIVE_SHAPE_MISMATCH: Concat: in1"}));
  CHECK(Has(error("Softmax", {{"axes", Numbers{0, 2}}}, {f}), {"NATIVE_SHAPE_MISMATCH: Softmax: in0"}));
  CHECK(Has(error("Sort", {{"num", Numbers{5}}}, {f}), {"NATIVE_SHAPE_MISMATCH: Sort: in0 must be of 5 to"}));
  CHECK(Has(error("Reduce", {{"reduceType", "REDUCE_SUM"}, {"axis", Numbers{0}}}, {i}),
            {"NATIVE_DTYPE_MISMATCH: Reduce"}));

  const Value cos(DType::kF32, {2, 2}, Numbers(4, 1)), three(DType::kF32, {2, 2, 2}, Numbers(8, 1));
  const ParamObject half = {{"rotaryCoeff", 2}};
  CHECK(error("Rope", half, {f, f, cos, cos, i}) == "nothing");
  CHECK(Has(error("Rope", half, {three, f, cos, cos, i}), {"Rope: in0 must be of rank 2 or 4"}));
  CHECK(Has(error("Rope", half, {f, Value(DType::kF32, {2, 3}, Numbers(6, 1)), cos, cos, i}),
            {"Rope: in1", "heads of 2"}));
  CHECK(
      Has(error("Rope", half, {f, Value(DType::kF32, {1, 4}, Numbers(4, 1)), cos, cos, i}), {"Rope: in1", "2 tokens"}));
  CHECK(Has(error("Rope", half, {f, h, cos, cos, i}), {"NATIVE_DTYPE_MISMATCH: Rope: in1"}));
  CHECK(Has(error("Rope", half, {f, f, cos, f, i}), {"NATIVE_SHAPE_MISMATCH: Rope: in3 must be f32[2,2]"}));
  CHECK(Has(error("Rope", {{"rotaryCoeff", 4}}, {f, f, cos, cos, i}), {"Rope: in2", "rotaryCoeff 4"}));

  // A packed weight is a tensor for Linear and Gather alone.
  Value packed = f;
  packed.desc.layout = Layout::kPackedLinear;
  CHECK(Has(error("Elewise", add, {packed, f}), {"NATIVE_LAYOUT_MISMATCH: Elewise: in0", "(packed weight)"}));
  CHECK(Has(error("Transpose", {{"perm", Numbers{1, 0}}}, {packed}), {"NATIVE_LAYOUT_MISMATCH: Transpose: in0"}));
}

}  // namespace

int main() {
  RUN(ReadersGiveValuesAndDefaults);
  RUN(ReadersNameWhatDoesNotFit);
  RUN(UnknownOperationsNameTheKnownOnes);
  RUN(OperationsIgnoreNothing);
  RUN(OperationsCheckTheirTensors);
}
