#include <algorithm>
#include <cmath>
#include <functional>

#include "base/buffer.h"
#include "op_runner.h"
#include "random.h"

using namespace atb;        // NOLINT
using namespace atb::test;  // NOLINT

namespace {

using Numbers = std::vector<double>;
using Inputs = std::vector<Value>;

/// Every kernel table with every float dtype.
void ForAll(const std::function<void(const kernels::KernelTable&, DType)>& f) {
  for (const kernels::KernelTable* table : kernels::Available())
    for (DType dtype : kFloats) f(*table, dtype);
}

/// One function of each element, long enough for several blocks and a ragged end.
void CheckUnary(std::string_view type, const ParamObject& param, const std::function<double(double)>& f,
                bool positive = false) {
  ForAll([&](const kernels::KernelTable& table, DType dtype) {
    Numbers numbers = Normal(3 * 1033, 2.0, 7);
    if (positive)
      for (double& x : numbers) x = std::fabs(x) + 0.1;
    const Value x(dtype, {3, 1033}, numbers);
    Numbers expected;
    for (double v : x.Numbers()) expected.push_back(f(v));
    const auto y = RunOp(type, param, {x}, table);
    CHECK(HasShape(y[0], {3, 1033}) && y[0].desc.dtype == dtype);
    CHECK(Distance(y[0].Numbers(), expected) <= Tolerance(dtype));
  });
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

void ActivationsFollowTheirFormulas() {
  const auto param = [](const char* type) { return ParamObject{{"activationType", type}}; };
  CheckUnary("Activation", param("ACTIVATION_RELU"), [](double x) { return std::max(x, 0.0); });
  CheckUnary("Activation", param("ACTIVATION_GELU"),
             [](double x) { return 0.5 * x * (1 + std::tanh(0.79788456 * (x + 0.044715 * x * x * x))); });
  CheckUnary("Activation", {{"activationType", "ACTIVATION_GELU"}, {"geluMode", "NONE_MODE"}},
             [](double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); });
  CheckUnary("Activation", param("ACTIVATION_FAST_GELU"),
             [](double x) { return x * std::exp(0.851 * (x - std::fabs(x))) / (1 + std::exp(-1.702 * std::fabs(x))); });
  CheckUnary("Activation", param("ACTIVATION_SWISH"), [](double x) { return x * Sigmoid(x); });
  CheckUnary("Activation", {{"activationType", "ACTIVATION_SWISH"}, {"scale", 1.6}},
             [](double x) { return x * Sigmoid(1.6 * x); });
  CheckUnary("Activation", param("ACTIVATION_SIGMOID"), Sigmoid);
  CheckUnary("Activation", param("ACTIVATION_LOG"), [](double x) { return std::log(x); }, true);
  CheckUnary("Sigmoid", {}, Sigmoid);
}

void SwigluCutsItsAxisInTwo() {
  ForAll([](const kernels::KernelTable& table, DType dtype) {
    const ParamObject last = {{"activationType", "ACTIVATION_SWIGLU_FORWARD"}, {"dim", -1}};
    const Value x(dtype, {2, 2100}, Normal(4200, 1.0, 3));
    auto y = RunOp("Activation", last, {x}, table);
    Numbers expected;
    for (size_t row = 0; row < 2; ++row)
      for (size_t i = 0; i < 1050; ++i) {
        const double gate = x.Get(row * 2100 + i), up = x.Get(row * 2100 + 1050 + i);
        expected.push_back(gate * Sigmoid(gate) * up);
      }
    CHECK(HasShape(y[0], {2, 1050}));
    CHECK(Distance(y[0].Numbers(), expected) <= Tolerance(dtype));
    // Along axis 0, rows 0 and 1 of the same numbers are gate and up.
    y = RunOp("Activation", {{"activationType", "ACTIVATION_SWIGLU_FORWARD"}, {"dim", 0}}, {x}, table);
    CHECK(HasShape(y[0], {1, 2100}));
    CHECK(std::fabs(y[0].Get(5) - x.Get(5) * Sigmoid(x.Get(5)) * x.Get(2105)) <= 2 * Tolerance(dtype));
  });
}

void SwigluClampsInThreeForms() {
  static constexpr double kLimit = 0.75, kScale = 1.702;
  static constexpr const char* kForms[] = {"plus-one", "gates", "activated"};
  ForAll([](const kernels::KernelTable& table, DType dtype) {
    const Value x(dtype, {1, 2100}, Normal(2100, 2.0, 3));
    for (const std::string form : kForms) {
      Numbers expected;
      for (size_t i = 0; i < 1050; ++i) {
        const double gate = x.Get(i), up = std::clamp(x.Get(1050 + i), -kLimit, kLimit);
        const double clamped = std::min(gate, kLimit);
        if (form == "activated") expected.push_back(std::min(gate * Sigmoid(kScale * gate), kLimit) * up);
        if (form == "gates") expected.push_back(clamped * Sigmoid(kScale * clamped) * up);
        if (form == "plus-one") expected.push_back(clamped * Sigmoid(kScale * clamped) * (up + 1));
      }
      const ParamObject param = {{"activationType", "ACTIVATION_SWIGLU_FORWARD"},
                                 {"limit", kLimit},
                                 {"gateScale", kScale},
                                 {"clampForm", form}};
      CHECK(Distance(RunOp("Activation", param, {x}, table)[0].Numbers(), expected) <= Tolerance(dtype));
    }
  });
  const auto error = [](const ParamObject& more) {
    ParamObject param = {{"activationType", "ACTIVATION_SWIGLU_FORWARD"}};
    param.insert(more.begin(), more.end());
    const Value x(DType::kF32, {1, 2}, {1, 2});
    return ErrorOf([&] { RunOp("Activation", param, {x}, kernels::Select("reference")); });
  };
  CHECK(Has(error({{"clampForm", "gates"}}), {"NATIVE_PARAM_INVALID", "clampForm", "plus-one without limit"}));
  CHECK(Has(error({{"limit", 7}, {"clampForm", "up"}}), {"NATIVE_PARAM_INVALID", "clampForm", "activated"}));
}

void SwigluBackwardIsTheDerivative() {
  const auto& table = kernels::Select("reference");
  const Numbers a = {0.3, -1.2, 2.0}, b = {1.1, 0.4, -0.7}, dy = {0.5, -2.0, 1.5};
  const Value x(DType::kF32, {1, 6}, {a[0], a[1], a[2], b[0], b[1], b[2]});
  const auto dx = RunOp("Activation", {{"activationType", "ACTIVATION_SWIGLU_BACKWARD"}},
                        {Value(DType::kF32, {1, 3}, dy), x}, table);
  const auto f = [](double gate, double up) { return gate * Sigmoid(gate) * up; };
  for (size_t i = 0; i < 3; ++i) {
    constexpr double h = 1e-5;
    const double da = dy[i] * (f(a[i] + h, b[i]) - f(a[i] - h, b[i])) / (2 * h);
    const double db = dy[i] * (f(a[i], b[i] + h) - f(a[i], b[i] - h)) / (2 * h);
    CHECK(std::fabs(dx[0].Get(i) - da) < 1e-5 && std::fabs(dx[0].Get(i + 3) - db) < 1e-5);
  }
}

void ElewiseFollowsItsFormulas() {
  const auto param = [](const char* type) { return ParamObject{{"elewiseType", type}}; };
  CheckUnary("Elewise", {{"elewiseType", "ELEWISE_MULS"}, {"mulsParam", ParamObject{{"varAttr", 0.375}}}},
             [](double x) { return 0.375 * x; });
  CheckUnary("Elewise", param("ELEWISE_COS"), [](double x) { return std::cos(x); });
  CheckUnary("Elewise", param("ELEWISE_SIN"), [](double x) { return std::sin(x); });
  CheckUnary("Elewise", param("ELEWISE_NEG"), [](double x) { return -x; });
  CheckUnary("Elewise", param("ELEWISE_TANH"), [](double x) { return std::tanh(x); });
  struct Case {
    const char* type;
    double (*f)(double a, double b);
    bool compares;
  };
  const Case cases[] = {
      {"ELEWISE_ADD", [](double a, double b) { return a + b; }, false},
      {"ELEWISE_SUB", [](double a, double b) { return a - b; }, false},
      {"ELEWISE_MUL", [](double a, double b) { return a * b; }, false},
      {"ELEWISE_REALDIV", [](double a, double b) { return a / b; }, false},
      {"ELEWISE_LESS", [](double a, double b) { return a < b ? 1.0 : 0.0; }, true},
      {"ELEWISE_GREATER", [](double a, double b) { return a > b ? 1.0 : 0.0; }, true},
      {"ELEWISE_EQUAL", [](double a, double b) { return a == b ? 1.0 : 0.0; }, true},
  };
  for (const Case& c : cases)
    ForAll([&](const kernels::KernelTable& table, DType dtype) {
      Numbers left = Normal(2 * 1030, 1.0, 1), right = Normal(2 * 1030, 1.0, 2);
      for (double& x : right) x = std::fabs(x) + 0.5;  // Quotients stay small.
      for (size_t i = 0; i < left.size(); i += 5) left[i] = right[i];
      const Value a(dtype, {2, 1030}, left), b(dtype, {2, 1030}, right);
      const auto y = RunOp("Elewise", param(c.type), {a, b}, table);
      CHECK(y[0].desc.dtype == (c.compares ? DType::kI8 : dtype));
      Numbers expected;
      for (size_t i = 0; i < left.size(); ++i) expected.push_back(c.f(a.Get(i), b.Get(i)));
      CHECK(Distance(y[0].Numbers(), expected) <= (c.compares ? 0 : Tolerance(dtype)));
    });
}

void ElewiseBroadcastsLikeNumpy() {
  ForAll([](const kernels::KernelTable& table, DType dtype) {
    const ParamObject add = {{"elewiseType", "ELEWISE_ADD"}};
    auto y = RunOp("Elewise", add, {Value(dtype, {1, 3}, {1, 2, 3}), Value(dtype, {2, 1}, {10, 20})}, table);
    CHECK(HasShape(y[0], {2, 3}) && y[0].Numbers() == (Numbers{11, 12, 13, 21, 22, 23}));
    y = RunOp("Elewise", add, {Value(dtype, {2, 1, 2}, {1, 2, 3, 4}), Value(dtype, {3, 1}, {10, 20, 30})}, table);
    CHECK(HasShape(y[0], {2, 3, 2}));
    CHECK(y[0].Numbers() == (Numbers{11, 12, 21, 22, 31, 32, 13, 14, 23, 24, 33, 34}));
    y = RunOp("Elewise", add, {Value(dtype, {2, 2}, {1, 2, 3, 4}), Value(dtype, {}, {10})}, table);
    CHECK(HasShape(y[0], {2, 2}) && y[0].Numbers() == (Numbers{11, 12, 13, 14}));
    y = RunOp("Elewise", add, {Value(dtype, {0, 3}, {}), Value(dtype, {1, 3}, {1, 2, 3})}, table);
    CHECK(HasShape(y[0], {0, 3}));
  });
}

void ElewiseTakesIntegersAndMasks() {
  const auto& table = kernels::Select({});
  for (DType dtype : {DType::kI32, DType::kI64}) {
    const Value a(dtype, {1, 3}, {5, -7, 100}), b(dtype, {2, 1}, {3, -7});
    CHECK(RunOp("Elewise", {{"elewiseType", "ELEWISE_ADD"}}, {a, b}, table)[0].Numbers() ==
          (Numbers{8, -4, 103, -2, -14, 93}));
    CHECK(RunOp("Elewise", {{"elewiseType", "ELEWISE_MUL"}}, {a, b}, table)[0].Get(4) == 49);
    CHECK(RunOp("Elewise", {{"elewiseType", "ELEWISE_LESS"}}, {a, b}, table)[0].Numbers() ==
          (Numbers{0, 1, 0, 0, 0, 0}));
  }
  // Wraps instead of being undefined.
  const Value big(DType::kI32, {1}, {2147483647}), one(DType::kI32, {1}, {1});
  CHECK(RunOp("Elewise", {{"elewiseType", "ELEWISE_ADD"}}, {big, one}, table)[0].Get(0) == -2147483648.0);
  const Value a(DType::kI8, {4}, {0, 0, 1, 5}), b(DType::kI8, {4}, {0, 1, 0, -1});
  CHECK(RunOp("Elewise", {{"elewiseType", "ELEWISE_LOGICAL_AND"}}, {a, b}, table)[0].Numbers() ==
        (Numbers{0, 0, 0, 1}));
  CHECK(RunOp("Elewise", {{"elewiseType", "ELEWISE_LOGICAL_OR"}}, {a, b}, table)[0].Numbers() == (Numbers{0, 1, 1, 1}));
  CHECK(RunOp("Elewise", {{"elewiseType", "ELEWISE_LOGICAL_NOT"}}, {a}, table)[0].Numbers() == (Numbers{1, 1, 0, 0}));
}

void CastsRoundAndSaturate() {
  for (const kernels::KernelTable* table : kernels::Available()) {
    const auto cast = [&](const Value& x, const char* to) {
      return RunOp("Elewise", {{"elewiseType", "ELEWISE_CAST"}, {"outTensorType", to}}, {x}, *table)[0];
    };
    const Value x(DType::kF32, {5}, {1.0 + 1.0 / 2048, 1.0 + 3.0 / 2048, 70000, -0.0, 1.0 + 1.0 / 256});
    CHECK(cast(x, "ACL_FLOAT16").Numbers() == (Numbers{1.0, 1.0 + 4.0 / 2048, INFINITY, -0.0, 1.0 + 1.0 / 256}));
    CHECK(cast(x, "ACL_BF16").Numbers()[4] == 1.0);
    CHECK(RunOp("Elewise", {{"elewiseType", "ELEWISE_CAST"}}, {x}, *table)[0].desc.dtype == DType::kF16);
    CHECK(cast(Value(DType::kI64, {2}, {-3, 4294967297.0}), "ACL_INT32").Numbers() == (Numbers{-3, 1}));
    const Value odd(DType::kF32, {6}, {-1.9, 2.9, NAN, 1e30, -INFINITY, 200});
    CHECK(RunOp("Cast", {{"dtype", "ACL_INT8"}}, {odd}, *table)[0].Numbers() == (Numbers{-1, 2, 0, 127, -128, 127}));
    CHECK(RunOp("Cast", {{"dtype", "ACL_FLOAT"}}, {Value(DType::kU8, {2}, {0, 255})}, *table)[0].Numbers() ==
          (Numbers{0, 255}));
  }
}

Numbers RmsReference(const Numbers& x, const Numbers& gamma, double epsilon) {
  Numbers y;
  for (size_t row = 0; row < x.size() / gamma.size(); ++row) {
    double sum = 0;
    for (size_t i = 0; i < gamma.size(); ++i) sum += x[row * gamma.size() + i] * x[row * gamma.size() + i];
    const double rms = std::sqrt(sum / static_cast<double>(gamma.size()) + epsilon);
    for (size_t i = 0; i < gamma.size(); ++i) y.push_back(x[row * gamma.size() + i] / rms * gamma[i]);
  }
  return y;
}

void RmsNormHasThreeForms() {
  ForAll([](const kernels::KernelTable& table, DType dtype) {
    const Value x(dtype, {5, 37}, Normal(185, 1.0, 1)), residual(dtype, {5, 37}, Normal(185, 1.0, 2));
    const Value bias(dtype, {1, 37}, Normal(37, 1.0, 3)), gamma(dtype, {37}, Normal(37, 1.0, 4));
    auto y = RunOp("RmsNorm", {{"layerType", "RMS_NORM_NORM"}, {"normParam", ParamObject{{"epsilon", 0.5}}}},
                   {x, gamma}, table);
    CHECK(Distance(y[0].Numbers(), RmsReference(x.Numbers(), gamma.Numbers(), 0.5)) <= Tolerance(dtype));

    y = RunOp("RmsNorm", {{"layerType", "RMS_NORM_NORM"}, {"normParam", ParamObject{{"modelType", "GEMMA_MODEL"}}}},
              {x, gamma}, table);
    Numbers gemma = gamma.Numbers();
    for (double& g : gemma) g += 1;
    CHECK(Distance(y[0].Numbers(), RmsReference(x.Numbers(), gemma, 1e-5)) <= Tolerance(dtype));

    for (bool has_bias : {false, true}) {
      Numbers s = x.Numbers();
      for (size_t i = 0; i < s.size(); ++i) s[i] += residual.Get(i) + (has_bias ? bias.Get(i % 37) : 0);
      const Inputs inputs = has_bias ? Inputs{x, bias, residual, gamma} : Inputs{x, residual, gamma};
      const ParamObject block = {{"epsilon", 1e-3}, {"hasBias", has_bias}};
      y = RunOp("RmsNorm", {{"layerType", "RMS_NORM_PRENORM"}, {"preNormParam", block}}, inputs, table);
      CHECK(y.size() == 2);
      CHECK(Distance(y[0].Numbers(), RmsReference(s, gamma.Numbers(), 1e-3)) <= Tolerance(dtype));
      CHECK(Distance(y[1].Numbers(), s) <= Tolerance(dtype));
      y = RunOp("RmsNorm", {{"layerType", "RMS_NORM_POSTNORM"}, {"postNormParam", block}}, inputs, table);
      CHECK(y.size() == 1 && Distance(y[0].Numbers(), RmsReference(s, gamma.Numbers(), 1e-3)) <= Tolerance(dtype));
    }
    // A head at a time: [tokens, heads, head size].
    const Value heads(dtype, {2, 3, 37}, Normal(222, 1.0, 5));
    y = RunOp("RmsNorm", {{"layerType", "RMS_NORM_NORM"}}, {heads, gamma}, table);
    CHECK(HasShape(y[0], {2, 3, 37}));
    CHECK(Distance(y[0].Numbers(), RmsReference(heads.Numbers(), gamma.Numbers(), 1e-5)) <= Tolerance(dtype));
  });
}

Numbers LayerNormReference(const Numbers& x, const Numbers& gamma, const Numbers& beta, double epsilon) {
  Numbers y;
  const size_t size = gamma.size();
  for (size_t row = 0; row < x.size() / size; ++row) {
    double mean = 0, var = 0;
    for (size_t i = 0; i < size; ++i) mean += x[row * size + i] / static_cast<double>(size);
    for (size_t i = 0; i < size; ++i) var += std::pow(x[row * size + i] - mean, 2) / static_cast<double>(size);
    for (size_t i = 0; i < size; ++i)
      y.push_back((x[row * size + i] - mean) / std::sqrt(var + epsilon) * gamma[i] + beta[i]);
  }
  return y;
}

void LayerNormHasThreeForms() {
  ForAll([](const kernels::KernelTable& table, DType dtype) {
    const Value x(dtype, {2, 3, 24}, Normal(144, 1.0, 1)), residual(dtype, {2, 3, 24}, Normal(144, 1.0, 2));
    const Value gamma(dtype, {24}, Normal(24, 1.0, 3)), beta(dtype, {24}, Normal(24, 1.0, 4));
    const auto norm = [](int axis) {
      return ParamObject{
          {"layerType", "LAYER_NORM_NORM"},
          {"normParam", ParamObject{{"epsilon", 1e-3}, {"beginNormAxis", axis}, {"beginParamsAxis", 0}}}};
    };
    auto y = RunOp("LayerNorm", norm(2), {x, gamma, beta}, table);
    CHECK(Distance(y[0].Numbers(), LayerNormReference(x.Numbers(), gamma.Numbers(), beta.Numbers(), 1e-3)) <=
          2 * Tolerance(dtype));
    const Value gamma2(dtype, {3, 24}, Normal(72, 1.0, 5)), beta2(dtype, {3, 24}, Normal(72, 1.0, 6));
    y = RunOp("LayerNorm", norm(1), {x, gamma2, beta2}, table);
    CHECK(Distance(y[0].Numbers(), LayerNormReference(x.Numbers(), gamma2.Numbers(), beta2.Numbers(), 1e-3)) <=
          2 * Tolerance(dtype));

    Numbers s = x.Numbers();
    for (size_t i = 0; i < s.size(); ++i) s[i] += 0.5 * residual.Get(i);
    const ParamObject block = {{"epsilon", 1e-3}, {"zoomScaleValue", 0.5}};
    const Numbers expected = LayerNormReference(s, gamma.Numbers(), beta.Numbers(), 1e-3);
    y = RunOp("LayerNorm", {{"layerType", "LAYER_NORM_PRENORM"}, {"preNormParam", block}}, {x, residual, gamma, beta},
              table);
    CHECK(Distance(y[0].Numbers(), expected) <= 2 * Tolerance(dtype) &&
          Distance(y[1].Numbers(), s) <= Tolerance(dtype));
    y = RunOp("LayerNorm", {{"layerType", "LAYER_NORM_POSTNORM"}, {"postNormParam", block}}, {x, residual, gamma, beta},
              table);
    CHECK(y.size() == 1 && Distance(y[0].Numbers(), expected) <= 2 * Tolerance(dtype));
  });
}

void RopeRotatesGroupsOfAHead() {
  ForAll([](const kernels::KernelTable& table, DType dtype) {
    constexpr size_t kTokens = 3, kWidth = 8;
    const Value q(dtype, {3, 32}, Normal(96, 1.0, 1)), k(dtype, {3, 16}, Normal(48, 1.0, 2));
    const Value lengths(DType::kI32, {1}, {3});
    for (DType table_dtype : {dtype, DType::kF32})
      for (size_t coefficient : {size_t{2}, size_t{4}, kWidth}) {
        const Value cos(table_dtype, {3, 8}, Normal(24, 1.0, 3)), sin(table_dtype, {3, 8}, Normal(24, 1.0, 4));
        const auto y =
            RunOp("Rope", {{"rotaryCoeff", static_cast<int>(coefficient)}}, {q, k, cos, sin, lengths}, table);
        const size_t group = 2 * kWidth / coefficient;
        for (size_t which = 0; which < 2; ++which) {
          const Value& x = which == 0 ? q : k;
          const size_t hidden = which == 0 ? 32 : 16;
          Numbers expected;
          for (size_t i = 0; i < kTokens * hidden; ++i) {
            const size_t in_group = i % group, at = i / hidden * kWidth + i % kWidth;
            const double other = in_group < group / 2 ? -x.Get(i + group / 2) : x.Get(i - group / 2);
            expected.push_back(x.Get(i) * cos.Get(at) + other * sin.Get(at));
          }
          CHECK(Distance(y[which].Numbers(), expected) <= 2 * Tolerance(dtype));
        }
      }
    // [B, S, N, D] is the same numbers.
    const Value cos(dtype, {3, 8}, Normal(24, 1.0, 3)), sin(dtype, {3, 8}, Normal(24, 1.0, 4));
    Value q4 = q, k4 = k;
    q4.desc = TensorDesc(dtype, {1, 3, 4, 8});
    k4.desc = TensorDesc(dtype, {1, 3, 2, 8});
    const auto flat = RunOp("Rope", {{"rotaryCoeff", 2}}, {q, k, cos, sin, lengths}, table);
    const auto four = RunOp("Rope", {{"rotaryCoeff", 2}}, {q4, k4, cos, sin, lengths}, table);
    CHECK(four[0].bytes == flat[0].bytes && four[1].bytes == flat[1].bytes && HasShape(four[1], {1, 3, 2, 8}));
  });
}

void SoftmaxJoinsNeighbouringAxes() {
  ForAll([](const kernels::KernelTable& table, DType dtype) {
    const Value x(dtype, {2, 3, 5}, Normal(30, 3.0, 1));
    const auto expected = [&](const std::function<bool(size_t, size_t)>& together) {
      Numbers y;
      for (size_t i = 0; i < 30; ++i) {
        double sum = 0;
        for (size_t j = 0; j < 30; ++j)
          if (together(i, j)) sum += std::exp(x.Get(j) - x.Get(i));
        y.push_back(1 / sum);
      }
      return y;
    };
    const auto run = [&](const Numbers& axes) { return RunOp("Softmax", {{"axes", axes}}, {x}, table)[0].Numbers(); };
    const double tolerance = Tolerance(dtype);
    CHECK(Distance(run({-1}), expected([](size_t i, size_t j) { return i / 5 == j / 5; })) <= tolerance);
    CHECK(Distance(run({1, 2}), expected([](size_t i, size_t j) { return i / 15 == j / 15; })) <= tolerance);
    CHECK(Distance(run({1}), expected([](size_t i, size_t j) { return i / 15 == j / 15 && i % 5 == j % 5; })) <=
          tolerance);
    CHECK(Distance(run({0, 1}), expected([](size_t i, size_t j) { return i % 5 == j % 5; })) <= tolerance);
  });
}

void ReduceRemovesItsAxes() {
  ForAll([](const kernels::KernelTable& table, DType dtype) {
    const Value x(dtype, {2, 3, 2}, {1, -2, 3, 4, 5, -6, 7, 8, -9, 10, 11, 12});
    const auto run = [&](const char* type, const Numbers& axes) {
      return RunOp("Reduce", {{"reduceType", type}, {"axis", axes}}, {x}, table)[0];
    };
    CHECK(run("REDUCE_SUM", {2}).Numbers() == (Numbers{-1, 7, -1, 15, 1, 23}));
    CHECK(run("REDUCE_SUM", {1}).Numbers() == (Numbers{9, -4, 9, 30}));
    CHECK(run("REDUCE_SUM", {0, 2}).Numbers() == (Numbers{14, 8, 22}) && HasShape(run("REDUCE_SUM", {0, 2}), {3}));
    CHECK(run("REDUCE_MAX", {1, 2}).Numbers() == (Numbers{5, 12}));
    CHECK(run("REDUCE_MIN", {-3}).Numbers() == (Numbers{1, -2, -9, 4, 5, -6}));
    CHECK(HasShape(run("REDUCE_MAX", {0, 1, 2}), {}) && run("REDUCE_MAX", {0, 1, 2}).Get(0) == 12);
    // More columns than are reduced together.
    const Value wide(dtype, {2, 3, 1100}, Normal(6600, 1.0, 2));
    Numbers sums;
    for (size_t i = 0; i < 2200; ++i) {
      const size_t first = i / 1100 * 3300 + i % 1100;
      sums.push_back(wide.Get(first) + wide.Get(first + 1100) + wide.Get(first + 2200));
    }
    const Value summed = RunOp("Reduce", {{"reduceType", "REDUCE_SUM"}, {"axis", Numbers{1}}}, {wide}, table)[0];
    CHECK(HasShape(summed, {2, 1100}) && Distance(summed.Numbers(), sums) <= 8 * Tolerance(dtype));
    const Value hole(dtype, {3}, {1, NAN, 2});
    CHECK(std::isnan(RunOp("Reduce", {{"reduceType", "REDUCE_MAX"}, {"axis", Numbers{0}}}, {hole}, table)[0].Get(0)));
  });
  const Value ints(DType::kI32, {2, 2}, {3, -4, 2000000000, 7});
  CHECK(
      RunOp("Reduce", {{"reduceType", "REDUCE_MAX"}, {"axis", Numbers{1}}}, {ints}, kernels::Select({}))[0].Numbers() ==
      (Numbers{3, 2000000000}));
}

void CumsumRunsAlongItsAxis() {
  ForAll([](const kernels::KernelTable& table, DType dtype) {
    const Value x(dtype, {2, 3}, {1, 2, 3, 10, 20, 30});
    const auto run = [&](int axis, bool exclusive, bool reverse) {
      return RunOp("Cumsum",
                   {{"axes", Numbers{static_cast<double>(axis)}}, {"exclusive", exclusive}, {"reverse", reverse}}, {x},
                   table)[0]
          .Numbers();
    };
    CHECK(run(1, false, false) == (Numbers{1, 3, 6, 10, 30, 60}));
    CHECK(run(-1, true, false) == (Numbers{0, 1, 3, 0, 10, 30}));
    CHECK(run(1, false, true) == (Numbers{6, 5, 3, 60, 50, 30}));
    CHECK(run(0, true, true) == (Numbers{10, 20, 30, 0, 0, 0}));
  });
}

/// Wherever an operation lets an output take an input's place, the result is the same.
void InPlaceGivesTheSameBytes() {
  ForAll([](const kernels::KernelTable& table, DType dtype) {
    ThreadPool pool(2);
    const Value x(dtype, {6, 40}, Normal(240, 1.0, 1)), y(dtype, {6, 40}, Normal(240, 1.0, 2));
    const Value g(dtype, {40}, Normal(40, 1.0, 3));
    const Value cos(dtype, {6, 8}, Normal(48, 1.0, 4)), sin(dtype, {6, 8}, Normal(48, 1.0, 5));
    const Value lengths(DType::kI32, {1}, {6});
    int places = 0;
    const auto check = [&](std::string_view type, const ParamObject& param, const Inputs& inputs) {
      const std::vector<Value> expected = RunOp(type, param, inputs, table);
      const auto op = CreateOperation(type, param);
      for (int i = 0; i < op->NumInputs(); ++i)
        for (int o = 0; o < op->NumOutputs(); ++o) {
          if (!op->InPlace(i, o)) continue;
          Inputs own = inputs;
          std::vector<Value> results = expected;
          std::vector<Tensor> in, out;
          std::vector<TensorDesc> descs;
          for (Value& v : own) in.push_back(v.tensor());
          for (Value& v : own) descs.push_back(v.desc);
          for (Value& v : results) out.push_back(v.tensor());
          out[static_cast<size_t>(o)].data = in[static_cast<size_t>(i)].data;
          const Buffer workspace(op->WorkspaceBytes(descs, 2, table) + 1);
          op->Execute(in, out, {table, pool, workspace.data()});
          CHECK(own[static_cast<size_t>(i)].bytes == expected[static_cast<size_t>(o)].bytes);
          ++places;
        }
    };
    check("Elewise", {{"elewiseType", "ELEWISE_ADD"}}, {x, y});
    check("Elewise", {{"elewiseType", "ELEWISE_SUB"}}, {x, y});
    check("Elewise", {{"elewiseType", "ELEWISE_COS"}}, {x});
    check("Activation", {{"activationType", "ACTIVATION_GELU"}}, {x});
    check("RmsNorm", {{"layerType", "RMS_NORM_PRENORM"}}, {x, y, g});
    check("RmsNorm", {{"layerType", "RMS_NORM_POSTNORM"}, {"postNormParam", ParamObject{{"hasBias", true}}}},
          {x, g, y, g});
    check("LayerNorm", {{"layerType", "LAYER_NORM_PRENORM"}}, {x, y, g, g});
    check("Rope", {{"rotaryCoeff", 2}}, {x, y, cos, sin, lengths});
    check("Rope", {{"rotaryCoeff", 8}}, {x, y, cos, sin, lengths});
    CHECK(places == 4 + 1 + 1 + 4 + 2 + 4 + 2 + 2);
  });
}

/// What a row becomes does not depend on how many rows there are, nor on the number of threads.
void RowsAreIndependent() {
  ForAll([](const kernels::KernelTable& table, DType dtype) {
    constexpr int64_t kRows = 37, kSize = 1001;
    const Value gamma(dtype, {kSize}, Normal(kSize, 1.0, 2)), all(dtype, {kRows, kSize}, Normal(kRows * kSize, 1.0, 1));
    const auto check = [&](std::string_view type, const ParamObject& param, bool weighted) {
      const auto inputs = [&](const Value& x) { return weighted ? Inputs{x, gamma} : Inputs{x}; };
      const Value together = RunOp(type, param, inputs(all), table, 3)[0];
      for (int64_t row : {int64_t{0}, int64_t{1}, int64_t{17}, kRows - 1}) {
        Value one(TensorDesc(dtype, {1, kSize}));
        std::memcpy(one.bytes.data(), all.bytes.data() + static_cast<size_t>(row) * one.bytes.size(), one.bytes.size());
        const Value alone = RunOp(type, param, inputs(one), table, 1)[0];
        CHECK(std::memcmp(alone.bytes.data(), together.bytes.data() + static_cast<size_t>(row) * alone.bytes.size(),
                          alone.bytes.size()) == 0);
      }
    };
    check("RmsNorm", {{"layerType", "RMS_NORM_NORM"}}, true);
    check("Activation", {{"activationType", "ACTIVATION_SWISH"}}, false);
    check("Activation", {{"activationType", "ACTIVATION_GELU"}}, false);
    check("Softmax", {{"axes", Numbers{-1}}}, false);
    check("Elewise", {{"elewiseType", "ELEWISE_MUL"}}, true);
  });
}

}  // namespace

int main() {
  RUN(ActivationsFollowTheirFormulas);
  RUN(SwigluCutsItsAxisInTwo);
  RUN(SwigluClampsInThreeForms);
  RUN(SwigluBackwardIsTheDerivative);
  RUN(ElewiseFollowsItsFormulas);
  RUN(ElewiseBroadcastsLikeNumpy);
  RUN(ElewiseTakesIntegersAndMasks);
  RUN(CastsRoundAndSaturate);
  RUN(RmsNormHasThreeForms);
  RUN(LayerNormHasThreeForms);
  RUN(RopeRotatesGroupsOfAHead);
  RUN(SoftmaxJoinsNeighbouringAxes);
  RUN(ReduceRemovesItsAxes);
  RUN(CumsumRunsAlongItsAxis);
  RUN(InPlaceGivesTheSameBytes);
  RUN(RowsAreIndependent);
}
