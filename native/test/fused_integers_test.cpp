// FusedLinear with weights of integers, against the operations that it stands for.
#include <cmath>
#include <string>
#include <vector>

#include "check.h"
#include "kernels/dispatch.h"
#include "op_runner.h"
#include "quantized_weight.h"

namespace atb {
namespace {

using kernels::KernelTable;
using test::Distance;
using test::ForEachTable;
using test::Has;
using test::HasShape;
using test::Packed;
using test::RunOp;
using test::Tolerance;
using test::Uniform;
using test::Value;
using test::Weight;

/// How a weight's integers are multiplied.
struct Form {
  int bits;
  int group;
  bool int8_activations;
};
constexpr Form kForms[] = {{8, 0, false}, {8, 0, true},  {8, 64, false}, {4, 32, false},
                           {4, 0, false}, {4, 32, true}, {4, 0, true}};

ParamObject FusedParam(const Form& form) {
  return {{"weightBits", form.bits}, {"quantGroupSize", form.group}, {"int8Activations", form.int8_activations}};
}

/// The product by its own operations; f32, when `wide`.
Value Product(const Form& form, const Value& x, const Value& weight, const Value& scales, const KernelTable& table,
              bool wide) {
  const char* out = wide ? "ACL_FLOAT" : "ACL_DT_UNDEFINED";
  if (form.int8_activations && form.bits == 8) {
    const bool bf16 = x.desc.dtype == DType::kBF16;
    const auto rows = RunOp("DynamicQuant", {}, {x}, table);
    return RunOp("W8A8MatMul",
                 {{"transposeB", true},
                  {"hasPerTokenScale", true},
                  {"isBF16", bf16},
                  {"outDataType", x.desc.dtype == DType::kF32 ? "ACL_FLOAT" : out}},
                 {rows[0], weight, scales, rows[1]}, table)[0];
  }
  const char* op = form.bits == 8 ? "W8A16MatMul" : "W4A16MatMul";
  return RunOp(op,
               {{"transposeB", true},
                {"quantGroupSize", form.group},
                {"outDataType", out},
                {"int8Activations", form.int8_activations}},
               {x, weight, scales, Value(DType::kF32, {1}, {0})}, table)[0];
}

void PlainProductsAndNormsAreThoseOfTheirOperations() {
  ForEachTable([](const KernelTable& table) {
    for (const Form& form : kForms) {
      for (DType dtype : kFloats) {
        for (int64_t m : {1, 5, 17, 33, 70}) {
          const Weight w(form.bits, 38, 150, form.group);
          const Packed packed(w, false);
          const Value x(dtype, {m, w.k}, Uniform(m * w.k, -1.0, 1.0, 3));
          const Value gamma(dtype, {w.k}, Uniform(w.k, -1.0, 1.0, 4));
          const Value plain = w.Plain(true), numbers = w.Numbers(w.scales, DType::kF32, true);
          const Value normed =
              RunOp("RmsNorm", {{"layerType", "RMS_NORM_NORM"}, {"normParam", ParamObject{{"epsilon", 1e-5}}}},
                    {x, gamma}, table)[0];
          ParamObject param = FusedParam(form), with_norm = FusedParam(form);
          with_norm["normEpsilon"] = 1e-5;
          const Value product = Product(form, x, plain, numbers, table, false);
          const Value of_normed = Product(form, normed, plain, numbers, table, false);
          for (int threads : {1, 3}) {
            for (bool is_packed : {false, true}) {
              const Value& weight = is_packed ? packed.weight_value : plain;
              const Value& scales = is_packed && form.group ? packed.scale_value : numbers;
              const auto fused = RunOp("FusedLinear", param, {x, weight, scales}, table, threads);
              CHECK(HasShape(fused[0], {m, 38}) && fused[0].bytes == product.bytes);
              const auto fused_norm = RunOp("FusedLinear", with_norm, {x, gamma, weight, scales}, table, threads);
              CHECK(fused_norm[0].bytes == of_normed.bytes);
            }
          }
        }
      }
    }
  });
}

void EpiloguesAreRoundedOnce() {
  ForEachTable([](const KernelTable& table) {
    for (const Form& form : kForms) {
      for (bool swiglu : {false, true}) {
        for (int64_t m : {3, 37}) {
          const DType dtype = DType::kBF16;
          const Weight w(form.bits, 2 * 24, 96, form.group);  // Neither gate nor up fills its last panel.
          const Packed packed(w, swiglu);
          const int64_t columns = swiglu ? w.n / 2 : w.n;
          const Value x(dtype, {m, w.k}, Uniform(m * w.k, -1.0, 1.0, 3));
          const Value bias(dtype, {w.n}, Uniform(w.n, -1.0, 1.0, 4));
          const Value residual(dtype, {m, columns}, Uniform(m * columns, -1.0, 1.0, 5));
          const Value plain = w.Plain(true), numbers = w.Numbers(w.scales, DType::kF32, true);
          const Value sums = Product(form, x, plain, numbers, table, true);
          const auto at = [&](int64_t r, int64_t c) {
            return sums.Get(static_cast<size_t>(r * w.n + c)) + bias.Get(static_cast<size_t>(c));
          };
          std::vector<double> expected;
          for (int64_t r = 0; r < m; ++r)
            for (int64_t c = 0; c < columns; ++c) {
              const double gate = at(r, c);
              const double value = swiglu ? gate / (1 + std::exp(-gate)) * at(r, columns + c) : gate;
              expected.push_back(value + residual.Get(static_cast<size_t>(r * columns + c)));
            }
          ParamObject param = FusedParam(form);
          param["hasBias"] = param["hasResidual"] = true;
          if (swiglu) param["activation"] = "swiglu";
          for (bool is_packed : {false, true}) {
            const Value& weight = is_packed ? packed.weight_value : plain;
            const Value& scales = is_packed && form.group ? packed.scale_value : numbers;
            const Value found = RunOp("FusedLinear", param, {x, weight, scales, bias, residual}, table)[0];
            CHECK(HasShape(found, {m, columns}) && Distance(found.Numbers(), expected) <= Tolerance(dtype));
          }
        }
      }
    }
  });
}

void WhatDoesNotFitIsRefused() {
  const KernelTable& table = kernels::Select("reference");
  const Weight w(8, 20, 64, 0), odd(8, 19, 64, 0), grouped(4, 20, 64, 32);
  const Packed plain(w, false), packed(grouped, true);
  const Value x(DType::kF32, {1, 64}, Uniform(64, -1.0, 1.0, 1));
  const Value narrow(DType::kF32, {1, 63}, Uniform(63, -1.0, 1.0, 1));
  const Value scales = w.Numbers(w.scales, DType::kF32, true), few(DType::kF32, {19}, Uniform(19, -1.0, 1.0, 1));
  const auto error = [&](ParamObject param, const std::vector<Value>& in) {
    return ErrorOf([&] { RunOp("FusedLinear", param, in, table); });
  };
  const ParamObject eight = {{"weightBits", 8}}, gate = {{"weightBits", 8}, {"activation", "swiglu"}};
  CHECK(Has(error(eight, {narrow, w.Plain(true), scales}), {"NATIVE_SHAPE_MISMATCH", "in1"}));
  CHECK(Has(error(eight, {x, w.Plain(true), few}), {"NATIVE_SHAPE_MISMATCH", "in2"}));
  CHECK(Has(error(eight, {x, x, scales}), {"NATIVE_DTYPE_MISMATCH", "in1"}));
  CHECK(Has(error(gate, {x, odd.Plain(true), few}), {"NATIVE_SHAPE_MISMATCH", "even"}));
  CHECK(Has(error(gate, {x, plain.weight_value, scales}), {"NATIVE_LAYOUT_MISMATCH", "alternate"}));
  CHECK(Has(error(eight, {x, packed.weight_value, scales}), {"NATIVE_SHAPE_MISMATCH", "in1"}));
  const auto code = [](const ParamObject& param) { return ErrorOf([&] { CreateOperation("FusedLinear", param); }); };
  CHECK(Has(code({{"weightBits", 5}}), {"NATIVE_PARAM_INVALID", "weightBits"}));
  CHECK(Has(code({{"quantGroupSize", 32}}), {"NATIVE_PARAM_INVALID", "quantGroupSize"}));
  CHECK(Has(code({{"int8Activations", true}}), {"NATIVE_PARAM_INVALID", "int8Activations"}));
  CHECK(Has(code({{"weightBits", 4}, {"weightNumbers", "floats"}, {"int8Activations", true}}),
            {"NATIVE_PARAM_INVALID", "int8Activations"}));
}

}  // namespace
}  // namespace atb

int main() {
  using namespace atb;
  RUN(PlainProductsAndNormsAreThoseOfTheirOperations);
  RUN(EpiloguesAreRoundedOnce);
  RUN(WhatDoesNotFitIsRefused);
  return 0;
}
