// W8A16MatMul, W4A16MatMul, DynamicQuant, W8A8MatMul and GatherDequant: against their formulas in double, with weights
// in every place and order, and what they refuse.
#include <algorithm>
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
using test::Has;
using test::HasShape;
using test::Integers;
using test::Packed;
using test::RunOp;
using test::Tolerance;
using test::Uniform;
using test::Value;
using test::Weight;

const char* OpOf(int bits) { return bits == 8 ? "W8A16MatMul" : "W4A16MatMul"; }

/// x w^T + bias in double; the tolerance covers x taken as 16 bits of its row's largest number, and one rounding.
void CheckProduct(const Value& got, const Value& x, const Weight& w, const Value* bias, DType scale_dtype) {
  const int64_t m = x.desc.Elements() / w.k;
  CHECK(got.desc.dim(-1) == w.n && got.desc.Elements() == m * w.n);
  for (int64_t r = 0; r < m; ++r) {
    double max = 0;
    for (int64_t i = 0; i < w.k; ++i) max = std::max(max, std::fabs(x.Get(static_cast<size_t>(r * w.k + i))));
    for (int64_t j = 0; j < w.n; ++j) {
      double sum = bias ? bias->Get(static_cast<size_t>(j)) : 0, weights = 0;
      for (int64_t i = 0; i < w.k; ++i) {
        sum += x.Get(static_cast<size_t>(r * w.k + i)) * w.At(j, i, scale_dtype);
        weights += std::fabs(w.At(j, i, scale_dtype));
      }
      const double unit = x.desc.dtype == DType::kF32 ? 0x1p-22 : 0x1p-15;
      const double error = std::fabs(got.Get(static_cast<size_t>(r * w.n + j)) - sum);
      CHECK(error <= max * weights * unit + Tolerance(got.desc.dtype) * std::fabs(sum) + 1e-5);
    }
  }
}

template <typename F>
void ForEachTable(F f) {
  for (const KernelTable* table : kernels::Available()) f(*table);
}

void PlainWeightsOfEitherOrderAreMultiplied() {
  ForEachTable([](const KernelTable& table) {
    for (int bits : {8, 4}) {
      for (DType dtype : kFloats) {
        for (bool transposed : {true, false}) {
          for (int64_t group : {0, 32, 64}) {
            for (bool offset : {false, true}) {
              const Weight w(bits, 34, 150, group, offset);
              const DType scale_dtype = group == 32 ? DType::kF32 : dtype;
              for (int64_t m : {1, 5, 33}) {
                const Value x(dtype, {m, w.k}, Uniform(m * w.k, -1.0, 1.0, 3));
                const Value bias(group == 0 ? DType::kF32 : dtype, {w.n}, Uniform(w.n, -1.0, 1.0, 4));
                const ParamObject param{
                    {"transposeB", transposed}, {"quantGroupSize", static_cast<int>(group)}, {"hasBias", true}};
                const auto out = RunOp(OpOf(bits), param,
                                       {x, w.Plain(transposed), w.Numbers(w.scales, scale_dtype, transposed),
                                        w.Numbers(w.offsets, dtype, transposed), bias},
                                       table);
                CHECK(out[0].desc.dtype == dtype);
                CheckProduct(out[0], x, w, &bias, scale_dtype);
              }
            }
          }
        }
      }
    }
  });
}

void PackedAndPlainWeightsGiveTheSameBits() {
  ForEachTable([](const KernelTable& table) {
    for (int bits : {8, 4}) {
      for (int64_t group : {0, 32, 128}) {
        const Weight w(bits, 38, 200, group);
        const Value x(DType::kBF16, {2, 3, w.k}, Uniform(6 * w.k, -1.0, 1.0, 3)), zero(DType::kF32, {1}, {0});
        const ParamObject param{
            {"transposeB", true}, {"quantGroupSize", static_cast<int>(group)}, {"outDataType", "ACL_FLOAT"}};
        const Value scales = w.Numbers(w.scales, DType::kF32, true);
        const auto plain =
            RunOp(OpOf(bits), param, {x, w.Plain(true), scales, w.Numbers(w.offsets, DType::kBF16, true)}, table);
        CHECK(HasShape(plain[0], {2, 3, 38}) && plain[0].desc.dtype == DType::kF32);
        CheckProduct(plain[0], x, w, nullptr, DType::kF32);
        for (bool interleaved : {false, true}) {
          const Packed packed(w, interleaved);
          for (bool ordered : {false, true}) {
            if (ordered && group == 0) continue;
            const auto out = RunOp(OpOf(bits), param,
                                   {x, packed.weight_value, ordered ? packed.scale_value : scales, zero}, table, 3);
            CHECK(out[0].bytes == plain[0].bytes);
          }
        }
      }
    }
  });
}

void IntegersAreExact() {
  ForEachTable([](const KernelTable& table) {
    for (DType dtype : kFloats) {
      const Value x(dtype, {2, 4}, {1, 2, 3, 4, -1, 0.5, 0, 10});
      const Value w(DType::kI8, {2, 4}, {1, -2, 3, -4, 127, -128, 0, 1}), scale(dtype, {2}, {0.5, 2}),
          none(dtype, {2}, {0, 0});
      const auto out = RunOp("W8A16MatMul", {{"transposeB", true}}, {x, w, scale, none}, table);
      CHECK(out[0].Numbers() == (std::vector<double>{-5, -250, -21, -362}));
      // -1, 7 | 2, -8 to a byte; the first in the lower half.
      const Value w4(DType::kI8, {1, 2}, {0x7F, -128 + 2});
      const auto out4 =
          RunOp("W4A16MatMul", {{"transposeB", true}}, {x, w4, Value(dtype, {1}, {1}), Value(dtype, {1}, {0})}, table);
      CHECK(out4[0].Numbers() == (std::vector<double>{-1 + 14 + 6 - 32, 1 + 3.5 - 80}));
    }
  });
}

void PackedWeightsWithOffsetsAreRefused() {
  const Weight w(8, 20, 64, 0);
  const Packed packed(w, false);
  const Value x(DType::kF32, {1, 64}, Uniform(64, -1.0, 1.0, 1)), scales = w.Numbers(w.scales, DType::kF32, true);
  std::vector<double> offsets(20, 0.0);
  offsets[19] = 1;
  const auto run = [&](const Value& offset) {
    return ErrorOf([&] {
      RunOp("W8A16MatMul", {{"transposeB", true}}, {x, packed.weight_value, scales, offset}, kernels::Select());
    });
  };
  CHECK(Has(run(Value(DType::kF32, {20}, offsets)), {"NATIVE_VALUE_OUT_OF_RANGE", "in3", "packed with their weight"}));
  CHECK(Has(run(Value(DType::kF32, {1}, {0.5})), {"NATIVE_VALUE_OUT_OF_RANGE"}));
  CHECK(run(Value(DType::kF32, {20}, std::vector<double>(20, 0.0))) == "nothing");
  // Weights that are not packed are multiplied as floats then, which rows of int8 are not.
  const ParamObject int8{{"transposeB", true}, {"int8Activations", true}};
  CHECK(Has(ErrorOf([&] {
              RunOp("W8A16MatMul", int8, {x, w.Plain(true), scales, Value(DType::kF32, {20}, offsets)},
                    kernels::Select());
            }),
            {"NATIVE_VALUE_OUT_OF_RANGE", "in3"}));
}

void WeightsPackedForOtherOperationsAreRefused() {
  const Weight eight(8, 20, 64, 0), four(4, 20, 128, 32);
  const Packed packed8(eight, false), packed4(four, false), packed4i(four, true);
  const Value x(DType::kF32, {1, 64}, Uniform(64, -1.0, 1.0, 1)), x4(DType::kF32, {1, 128}, Uniform(128, -1.0, 1.0, 1)),
      zero(DType::kF32, {1}, {0});
  const auto run = [&](const char* op, int group, const Value& in, const Value& weight, const Value& scales) {
    return ErrorOf([&] { RunOp(op, {{"quantGroupSize", group}}, {in, weight, scales, zero}, kernels::Select()); });
  };
  const Value scales8 = eight.Numbers(eight.scales, DType::kF32, true);
  CHECK(run("W8A16MatMul", 0, x, packed8.weight_value, scales8) == "nothing");
  CHECK(run("W4A16MatMul", 32, x4, packed4.weight_value, packed4.scale_value) == "nothing");
  // An int4 weight [20, 128] looks like an int8 one [20, 64].
  CHECK(Has(run("W8A16MatMul", 0, x, packed4.weight_value, scales8), {"NATIVE_LAYOUT_MISMATCH", "int8 [20,64]"}));
  CHECK(Has(run("W4A16MatMul", 32, x4, packed8.weight_value, packed4.scale_value), {"NATIVE_LAYOUT_MISMATCH"}));
  CHECK(Has(run("W4A16MatMul", 32, x4, packed4.weight_value, packed4i.scale_value), {"NATIVE_LAYOUT_MISMATCH", "in2"}));
  CHECK(Has(run("W4A16MatMul", 32, x4, four.Plain(true), packed4.scale_value), {"NATIVE_"}));
  // Scales of other weights have the same shape in forms that kernels do not read here.
  const Weight grouped(8, 20, 128, 32);
  const Packed packed8g(grouped, false);
  const auto as = [](const kernels::PackedScales& form) {
    return Packed::Describe(TensorDesc(DType::kF32, {20, 4}), Layout::kPackedScales, &form, sizeof form);
  };
  kernels::PackedScales powers = packed4.scales, products = packed4.scales;
  powers.exponents = reinterpret_cast<const uint8_t*>(packed4.scale_numbers.data());
  products.multipliers = reinterpret_cast<const int8_t*>(packed4.scale_numbers.data());
  CHECK(run("W4A16MatMul", 32, x4, packed4.weight_value, as(products)) == "nothing");
  CHECK(Has(run("W4A16MatMul", 32, x4, packed4.weight_value, as(powers)), {"NATIVE_LAYOUT_MISMATCH", "in2", "int4"}));
  CHECK(
      Has(run("W8A16MatMul", 32, x4, packed8g.weight_value, as(products)), {"NATIVE_LAYOUT_MISMATCH", "in2", "int8"}));
}

void DynamicQuantRoundsEachRow() {
  ForEachTable([](const KernelTable& table) {
    for (DType dtype : kFloats) {
      const Value x(dtype, {2, 1, 4}, {127, -63.5, 0.5, 1.5, 0, -0.25, 0.125, 0});
      const auto out = RunOp("DynamicQuant", {}, {x}, table);
      CHECK(HasShape(out[0], {2, 1, 4}) && out[0].desc.dtype == DType::kI8 && HasShape(out[1], {2, 1}));
      CHECK(out[0].Numbers() == (std::vector<double>{127, -64, 0, 2, 0, -127, 64, 0}));
      CHECK(out[1].Get(0) == 1.0 && out[1].Get(1) == static_cast<double>(0.25f / 127.0f));
      for (int64_t k : {1, 63, 64, 200}) {
        const Value rows(dtype, {70, k}, Uniform(70 * k, -5.0, 5.0, 2));
        const auto got = RunOp("DynamicQuant", {}, {rows}, table);
        for (int64_t r = 0; r < 70; ++r) {
          float max = 0;
          for (int64_t i = 0; i < k; ++i)
            max = std::max(max, std::fabs(static_cast<float>(rows.Get(static_cast<size_t>(r * k + i)))));
          CHECK(static_cast<float>(got[1].Get(static_cast<size_t>(r))) == max / 127);
          for (int64_t i = 0; i < k; ++i) {
            const auto at = static_cast<size_t>(r * k + i);
            CHECK(got[0].Get(at) == std::nearbyint(static_cast<float>(rows.Get(at)) / (max / 127)));
          }
        }
      }
    }
  });
}

void W8A8MultipliesIntegersExactly() {
  ForEachTable([](const KernelTable& table) {
    for (int64_t m : {1, 3, 20, 50}) {
      const int64_t n = 35, k = 130;
      const Value x(DType::kI8, {m, k}, Integers(m * k, -128, 127, 1)),
          w(DType::kI8, {n, k}, Integers(n * k, -128, 127, 2));
      const Value scale(DType::kF32, {n}, Uniform(n, -0.01, 0.01, 3)), rows(DType::kF32, {m}, Uniform(m, -0.1, 0.1, 4));
      const Value bias(DType::kF32, {n}, Uniform(n, -1.0, 1.0, 5));
      const Value ibias(DType::kI32, {n}, Integers(n, -1000, 1000, 6));
      for (const bool per_row : {false, true}) {
        for (int which : {0, 1, 2}) {
          if (per_row && which == 2) continue;
          ParamObject param{{"transposeB", true},
                            {"hasPerTokenScale", per_row},
                            {"hasBias", which > 0},
                            {"outDataType", "ACL_FLOAT"}};
          std::vector<Value> in{x, w, scale};
          if (per_row) in.push_back(rows);
          if (which > 0) in.push_back(which == 1 ? bias : ibias);
          const auto out = RunOp("W8A8MatMul", param, in, table);
          CHECK(HasShape(out[0], {m, n}) && out[0].desc.dtype == DType::kF32);
          for (int64_t r = 0; r < m; ++r) {
            for (int64_t j = 0; j < n; ++j) {
              double sum = which == 2 ? ibias.Get(static_cast<size_t>(j)) : 0;
              for (int64_t i = 0; i < k; ++i)
                sum += x.Get(static_cast<size_t>(r * k + i)) * w.Get(static_cast<size_t>(j * k + i));
              sum *= scale.Get(static_cast<size_t>(j)) * (per_row ? rows.Get(static_cast<size_t>(r)) : 1);
              if (which == 1) sum += bias.Get(static_cast<size_t>(j));
              const double got = out[0].Get(static_cast<size_t>(r * n + j));
              CHECK(std::fabs(got - sum) <= 4e-7 * (std::fabs(sum) + 10));
            }
          }
          for (bool bf16 : {true, false}) {
            param.erase("outDataType");
            param["isBF16"] = bf16;
            const auto half = RunOp("W8A8MatMul", param, in, table);
            CHECK(half[0].desc.dtype == (bf16 ? DType::kBF16 : DType::kF16));
            CHECK(Distance(half[0].Numbers(), out[0].Numbers()) <= Tolerance(half[0].desc.dtype));
          }
        }
      }
    }
  });
}

/// DynamicQuant and W8A8MatMul against the product of floats: what int8 activations lose.
void DynamicActivationsApproximateTheProduct() {
  const int64_t m = 9, n = 64, k = 256;
  const Weight w(8, n, k, 0);
  const Packed packed(w, false);
  const Value x(DType::kBF16, {m, k}, Uniform(m * k, -1.0, 1.0, 3)), zero(DType::kF32, {1}, {0}),
      scales = w.Numbers(w.scales, DType::kF32, true);
  const KernelTable& table = kernels::Select();
  const auto digits = RunOp("DynamicQuant", {}, {x}, table);
  const auto got =
      RunOp("W8A8MatMul", {{"hasPerTokenScale", true}}, {digits[0], packed.weight_value, scales, digits[1]}, table);
  const auto exact = RunOp("W8A16MatMul", {}, {x, packed.weight_value, scales, zero}, table);
  double error = 0, total = 0;
  for (size_t i = 0; i < static_cast<size_t>(m * n); ++i) {
    error += std::pow(got[0].Get(i) - exact[0].Get(i), 2);
    total += std::pow(exact[0].Get(i), 2);
  }
  CHECK(error > 0 && error < 1e-4 * total);
}

/// Products of the whole numbers of DynamicQuant with the weight, each row times its scale.
void Int8ActivationsAreThoseOfDynamicQuant() {
  ForEachTable([](const KernelTable& table) {
    for (int bits : {8, 4}) {
      for (int64_t group : {0, 32, 128}) {
        for (DType dtype : kFloats) {
          for (int64_t m : {1, 5, 33}) {
            const Weight w(bits, 38, 150, group);
            const Packed packed(w, false);
            const Value x(dtype, {m, w.k}, Uniform(m * w.k, -1.0, 1.0, 3)), zero(DType::kF32, {1}, {0});
            const Value scales = w.Numbers(w.scales, DType::kF32, true);
            const auto rows = RunOp("DynamicQuant", {}, {x}, table);
            std::vector<double> expected;
            for (int64_t r = 0; r < m; ++r)
              for (int64_t j = 0; j < w.n; ++j) {
                double sum = 0;
                for (int64_t i = 0; i < w.k; ++i)
                  sum += rows[0].Get(static_cast<size_t>(r * w.k + i)) * w.At(j, i, DType::kF32);
                expected.push_back(sum * rows[1].Get(static_cast<size_t>(r)));
              }
            const ParamObject param{{"transposeB", true},
                                    {"quantGroupSize", static_cast<int>(group)},
                                    {"int8Activations", true},
                                    {"outDataType", "ACL_FLOAT"}};
            const Value plain = RunOp(OpOf(bits), param, {x, w.Plain(true), scales, zero}, table)[0];
            CHECK(Distance(plain.Numbers(), expected) <= 1e-5);
            const Value found = RunOp(OpOf(bits), param,
                                      {x, packed.weight_value, group ? packed.scale_value : scales, zero}, table, 3)[0];
            CHECK(found.bytes == plain.bytes);
          }
        }
      }
    }
  });
}

void RowsAreGatheredAsFloats() {
  ForEachTable([](const KernelTable& table) {
    for (int bits : {8, 4}) {
      for (int64_t group : {0, 32}) {
        const Weight w(bits, 20, 70, group);
        const Packed packed(w, true);
        const Value ids(DType::kI32, {2, 2}, {19, 0, 7, 7}), scales = w.Numbers(w.scales, DType::kF32, true);
        for (const char* name : {"ACL_FLOAT", "ACL_FLOAT16", "ACL_BF16"}) {
          const ParamObject param{
              {"weightBits", bits}, {"quantGroupSize", static_cast<int>(group)}, {"outDataType", name}};
          for (bool plain : {true, false}) {
            const auto out =
                RunOp("GatherDequant", param,
                      {plain ? w.Plain(true) : packed.weight_value, ids, group && !plain ? packed.scale_value : scales},
                      table);
            CHECK(HasShape(out[0], {2, 2, 70}));
            for (size_t i = 0; i < 4; ++i) {
              for (int64_t j = 0; j < 70; ++j) {
                const double expected = w.At(static_cast<int64_t>(ids.Get(i)), j, DType::kF32);
                CHECK(std::fabs(out[0].Get(i * 70 + static_cast<size_t>(j)) - expected) <=
                      Tolerance(out[0].desc.dtype) * std::fabs(expected));
              }
            }
          }
        }
      }
    }
  });
  const Weight w(8, 20, 70, 0);
  CHECK(Has(ErrorOf([&] {
              RunOp("GatherDequant", {{"outDataType", "ACL_FLOAT"}},
                    {w.Plain(true), Value(DType::kI64, {1}, {20}), w.Numbers(w.scales, DType::kF32, true)},
                    kernels::Select());
            }),
            {"NATIVE_VALUE_OUT_OF_RANGE", "20 at 0"}));
}

void NoRowsAreNoWork() {
  const Weight w(8, 20, 70, 0);
  const auto out = RunOp("W8A16MatMul", {{"transposeB", true}},
                         {Value(DType::kF32, {0, 70}, {}), w.Plain(true), w.Numbers(w.scales, DType::kF32, true),
                          Value(DType::kF32, {1}, {0})},
                         kernels::Select());
  CHECK(HasShape(out[0], {0, 20}));
  CHECK(HasShape(RunOp("DynamicQuant", {}, {Value(DType::kF32, {0, 70}, {})}, kernels::Select())[0], {0, 70}));
}

void WrongParamsAreRefused() {
  const auto code = [](const char* op, const ParamObject& param) {
    const std::string error = ErrorOf([&] { CreateOperation(op, param); });
    return error.substr(0, error.find(':'));
  };
  for (const char* op : {"W8A16MatMul", "W4A16MatMul"}) {
    CHECK(code(op, {}) == "nothing");
    CHECK(code(op, {{"quantGroupSize", 128}}) == "nothing");
    for (int group : {-32, 16, 33, 2048}) CHECK(code(op, {{"quantGroupSize", group}}) == "NATIVE_PARAM_INVALID");
    CHECK(code(op, {{"outDataType", "ACL_FLOAT16"}}) == "NATIVE_PARAM_INVALID");
    CHECK(code(op, {{"isBF16", true}}) == "NATIVE_PARAM_INVALID");
  }
  CHECK(code("W8A8MatMul", {{"quantGroupSize", 0}}) == "NATIVE_PARAM_INVALID");
  CHECK(code("W8A8MatMul", {{"isBF16", 1}}) == "NATIVE_PARAM_INVALID");
  CHECK(code("DynamicQuant", {{"symmetric", true}}) == "NATIVE_PARAM_INVALID");
  CHECK(code("GatherDequant", {}) == "NATIVE_PARAM_INVALID");
  CHECK(code("GatherDequant", {{"outDataType", "ACL_INT8"}}) == "NATIVE_PARAM_INVALID");
  CHECK(code("GatherDequant", {{"outDataType", "ACL_BF16"}, {"weightBits", 5}}) == "NATIVE_PARAM_INVALID");
}

void WrongShapesAndDtypesAreRefused() {
  const auto code = [](const char* op, const ParamObject& param, const std::vector<TensorDesc>& in) {
    const std::string error = ErrorOf([&] {
      std::vector<TensorDesc> out(2);
      CreateOperation(op, param)->InferShape(in, out);
    });
    return error.substr(0, error.find(':'));
  };
  const DType b = DType::kBF16, i = DType::kI8, f = DType::kF32;
  const ParamObject transposed{{"transposeB", true}}, grouped{{"transposeB", true}, {"quantGroupSize", 32}};
  CHECK(code("W8A16MatMul", transposed, {{b, {2, 64}}, {i, {6, 64}}, {b, {6}}, {b, {6, 1}}}) == "nothing");
  CHECK(code("W8A16MatMul", {}, {{b, {2, 64}}, {i, {64, 6}}, {b, {1, 6}}, {b, {1}}}) == "nothing");
  CHECK(code("W8A16MatMul", {}, {{b, {2, 64}}, {i, {6, 64}}, {b, {6}}, {b, {6}}}) == "NATIVE_SHAPE_MISMATCH");
  // Rows without channels do not fit a weight that has some.
  CHECK(code("W8A16MatMul", transposed, {{b, {2, 0}}, {i, {6, 64}}, {b, {6}}, {b, {6}}}) == "NATIVE_SHAPE_MISMATCH");
  CHECK(code("W4A16MatMul", transposed, {{b, {2, 0}}, {i, {6, 32}}, {b, {6}}, {b, {6}}}) == "NATIVE_SHAPE_MISMATCH");
  CHECK(code("W8A8MatMul", transposed, {{i, {2, 0}}, {i, {6, 64}}, {b, {6}}}) == "NATIVE_SHAPE_MISMATCH");
  CHECK(code("W8A16MatMul", transposed, {{b, {2, 64}}, {b, {6, 64}}, {b, {6}}, {b, {6}}}) == "NATIVE_DTYPE_MISMATCH");
  CHECK(code("W8A16MatMul", transposed, {{i, {2, 64}}, {i, {6, 64}}, {b, {6}}, {b, {6}}}) == "NATIVE_DTYPE_MISMATCH");
  CHECK(code("W8A16MatMul", transposed, {{b, {64}}, {i, {6, 64}}, {b, {6}}, {b, {6}}}) == "NATIVE_SHAPE_MISMATCH");
  CHECK(code("W8A16MatMul", transposed, {{b, {2, 64}}, {i, {6, 64}}, {b, {5}}, {b, {6}}}) == "NATIVE_SHAPE_MISMATCH");
  CHECK(code("W8A16MatMul", transposed, {{b, {2, 64}}, {i, {6, 64}}, {i, {6}}, {b, {6}}}) == "NATIVE_DTYPE_MISMATCH");
  CHECK(code("W8A16MatMul", transposed, {{b, {2, 64}}, {i, {6, 64}}, {b, {6}}, {b, {7}}}) == "NATIVE_SHAPE_MISMATCH");
  CHECK(code("W8A16MatMul", grouped, {{b, {2, 64}}, {i, {6, 64}}, {b, {6, 2}}, {b, {6, 2}}}) == "nothing");
  CHECK(code("W8A16MatMul", grouped, {{b, {2, 64}}, {i, {6, 64}}, {b, {2, 6}}, {b, {6, 2}}}) ==
        "NATIVE_SHAPE_MISMATCH");
  CHECK(code("W8A16MatMul", {{"quantGroupSize", 32}}, {{b, {2, 64}}, {i, {64, 6}}, {b, {2, 6}}, {b, {2, 6}}}) ==
        "nothing");
  CHECK(code("W4A16MatMul", transposed, {{b, {2, 64}}, {i, {6, 32}}, {b, {6}}, {b, {6}}}) == "nothing");
  CHECK(code("W4A16MatMul", transposed, {{b, {2, 64}}, {i, {6, 64}}, {b, {6}}, {b, {6}}}) == "NATIVE_SHAPE_MISMATCH");
  CHECK(code("W4A16MatMul", {}, {{b, {2, 64}}, {i, {64, 3}}, {b, {6}}, {b, {6}}}) == "nothing");
  ParamObject biased = transposed;
  biased["hasBias"] = true;
  CHECK(code("W8A16MatMul", biased, {{b, {2, 64}}, {i, {6, 64}}, {b, {6}}, {b, {6}}, {f, {6}}}) == "nothing");
  CHECK(code("W8A16MatMul", biased, {{b, {2, 64}}, {i, {6, 64}}, {b, {6}}, {b, {6}}, {DType::kF16, {6}}}) ==
        "NATIVE_DTYPE_MISMATCH");
  TensorDesc ordered(f, {6, 2});
  ordered.layout = Layout::kPackedScales;
  CHECK(code("W8A16MatMul", grouped, {{b, {2, 64}}, {i, {6, 64}}, ordered, {b, {1}}}) == "NATIVE_LAYOUT_MISMATCH");
  TensorDesc packed(i, {6, 64});
  packed.layout = Layout::kPackedLinear;
  CHECK(code("W8A16MatMul", grouped, {{b, {2, 64}}, packed, ordered, {b, {1}}}) == "nothing");
  CHECK(code("W8A16MatMul", transposed, {{b, {2, 64}}, packed, ordered, {b, {1}}}) == "NATIVE_LAYOUT_MISMATCH");
  CHECK(code("W8A16MatMul", transposed, {{b, {1, 131072}}, {i, {1, 131072}}, {f, {1}}, {f, {1}}}) ==
        "NATIVE_SHAPE_MISMATCH");

  const ParamObject rows{{"transposeB", true}, {"hasPerTokenScale", true}};
  CHECK(code("W8A8MatMul", transposed, {{i, {2, 64}}, {i, {6, 64}}, {f, {6}}}) == "nothing");
  CHECK(code("W8A8MatMul", transposed, {{b, {2, 64}}, {i, {6, 64}}, {f, {6}}}) == "NATIVE_DTYPE_MISMATCH");
  CHECK(code("W8A8MatMul", rows, {{i, {2, 64}}, {i, {6, 64}}, {f, {6}}, {f, {2}}}) == "nothing");
  CHECK(code("W8A8MatMul", rows, {{i, {2, 64}}, {i, {6, 64}}, {f, {6}}, {f, {3}}}) == "NATIVE_SHAPE_MISMATCH");
  CHECK(code("W8A8MatMul", rows, {{i, {2, 64}}, {i, {6, 64}}, {f, {6}}, {b, {2}}}) == "NATIVE_DTYPE_MISMATCH");
  ParamObject integer_bias = rows;
  integer_bias["hasBias"] = true;
  CHECK(code("W8A8MatMul", integer_bias, {{i, {2, 64}}, {i, {6, 64}}, {f, {6}}, {f, {2}}, {DType::kI32, {6}}}) ==
        "NATIVE_DTYPE_MISMATCH");
  CHECK(code("DynamicQuant", {}, {{i, {2, 64}}}) == "NATIVE_DTYPE_MISMATCH");
}

}  // namespace
}  // namespace atb

int main() {
  using namespace atb;
  RUN(PlainWeightsOfEitherOrderAreMultiplied);
  RUN(PackedAndPlainWeightsGiveTheSameBits);
  RUN(IntegersAreExact);
  RUN(PackedWeightsWithOffsetsAreRefused);
  RUN(WeightsPackedForOtherOperationsAreRefused);
  RUN(DynamicQuantRoundsEachRow);
  RUN(W8A8MultipliesIntegersExactly);
  RUN(DynamicActivationsApproximateTheProduct);
  RUN(Int8ActivationsAreThoseOfDynamicQuant);
  RUN(RowsAreGatheredAsFloats);
  RUN(NoRowsAreNoWork);
  RUN(WrongParamsAreRefused);
  RUN(WrongShapesAndDtypesAreRefused);
  return 0;
}
