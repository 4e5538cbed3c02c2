// FusedLinear and FusedMultiply against the operations that they stand for.
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "fused_fixture.h"

namespace atb::test {
namespace {

const ParamObject kPlainLinear = {{"hasBias", false}};

/// The element of a tensor that broadcasts to `shape` at this place of it.
double ElementAt(Numbers& numbers, const std::vector<int64_t>& shape, int64_t place) {
  const TensorDesc desc = numbers.tensor().desc;
  int64_t element = 0, stride = 1;
  for (int64_t axis = static_cast<int64_t>(shape.size()) - 1; axis >= 0; place /= shape[static_cast<size_t>(axis--)]) {
    const int64_t own = axis - static_cast<int64_t>(shape.size()) + desc.rank;
    if (own < 0 || desc.dim(static_cast<int>(own)) == 1) continue;
    element += place % shape[static_cast<size_t>(axis)] * stride;
    stride *= desc.dim(static_cast<int>(own));
  }
  return static_cast<double>(numbers.Floats()[static_cast<size_t>(element)]);
}

void ProductsAreAddedByDefinition() {
  ForEachTable([](const KernelTable& kernels) {
    for (DType dtype : kFloats) {
      const std::vector<int64_t> shape = {3, 2, 5, 21};
      for (bool repeats : {false, true}) {
        Numbers x(dtype, {3, 2, 5, 21}, 1), rows(dtype, {2, 5, 21}, 2), column(dtype, {3, 2, 5, 1}, 3),
            z(dtype, {5, 1}, 4);
        Numbers& y = repeats ? column : rows;
        std::vector<double> added, sums(3 * 5 * 21, 0);
        for (int64_t i = 0; i < 3 * 2 * 5 * 21; ++i) {
          const double product = ElementAt(x, shape, i) * ElementAt(y, shape, i);
          added.push_back(product + ElementAt(z, shape, i));
          sums[static_cast<size_t>(i / (2 * 5 * 21) * 5 * 21 + i % (5 * 21))] += product;
        }
        const auto check = [&](const std::vector<Tensor>& in, const char* follow, const std::vector<double>& expected) {
          for (int threads : {1, 2}) {
            const Value found = Run("FusedMultiply", {{"follow", follow}}, in, kernels, threads)[0];
            CHECK(Distance(found.Numbers(), expected) <= Tolerance(dtype));
          }
        };
        check({x.tensor(), y.tensor(), z.tensor()}, "add", added);
        check({y.tensor(), x.tensor(), z.tensor()}, "add", added);
        check({x.tensor(), y.tensor()}, "sum", sums);
        check({y.tensor(), x.tensor()}, "sum", sums);
      }
    }
    Value counts(DType::kI32, {2, 2}, {1, 2, 3, 4}), two(DType::kI32, {1}, {2});
    const std::vector<Tensor> in = {counts.tensor(), two.tensor(), counts.tensor()};
    CHECK(Run("FusedMultiply", {{"follow", "add"}}, in, kernels, 1)[0].Numbers() == std::vector<double>({3, 6, 9, 12}));
  });
  CHECK(Has(ErrorOf([] { CreateOperation("FusedMultiply", {}); }), {"NATIVE_PARAM_INVALID", "follow"}));
}

void NormalisedRowsAreThoseOfTheNorms() {
  // Fewer and more rows than each thread normalises for itself; k is no multiple of a tile.
  ForEachTable([](const KernelTable& kernels) {
    for (DType dtype : kFloats)
      for (int64_t m : {1, 5, 32, 33, 70})
        for (const NamedNorm& norm : Norms()) {
          Numbers x(dtype, {m, 72}, 1), gamma(dtype, {72}, 2), beta(dtype, {72}, 4), w(dtype, {200, 72}, 3);
          std::vector<Tensor> in = {x.tensor(), gamma.tensor()};
          if (norm.name == "layer") in.push_back(beta.tensor());
          Value normed = Run(norm.op, norm.param, in, kernels, 2)[0];
          const Value expected = Run("Linear", kPlainLinear, {normed.tensor(), w.tensor()}, kernels, 2)[0];
          const PackedMatrix packed(w.tensor(), false);
          in.push_back(w.tensor());
          for (int threads : {1, 2, 5}) {
            for (const Tensor& weight : {w.tensor(), packed.tensor()}) {
              const ParamObject param = {{"normEpsilon", 1e-5}, {"normType", norm.name}};
              in.back() = weight;
              const Value found = Run("FusedLinear", param, in, kernels, threads)[0];
              CHECK(SameDesc(found.desc, expected.desc) && found.bytes == expected.bytes);
            }
          }
        }
  });
}

void NormsAddTheResidualBeforeTheyRound() {
  ForEachTable([](const KernelTable& kernels) {
    for (DType dtype : kFloats)
      for (const NamedNorm& norm : {Norms()[0], Norms()[1]}) {
        Numbers x(dtype, {37, 72}, 1), gamma(dtype, {72}, 2), residual(dtype, {37, 72}, 3);
        ParamObject adding = norm.param;
        adding["hasResidual"] = true;
        const Value found = Run(norm.op, adding, {x.tensor(), gamma.tensor(), residual.tensor()}, kernels, 2)[0];
        std::vector<double> expected = Run(norm.op, norm.param, {x.tensor(), gamma.tensor()}, kernels, 2)[0].Numbers();
        const std::vector<float> added = residual.Floats();
        for (size_t i = 0; i < expected.size(); ++i) expected[i] += added[i];
        // The norm alone is rounded once more.
        CHECK(Distance(found.Numbers(), expected) <= (dtype == DType::kF32 ? 1e-6 : 2 * Tolerance(dtype)));
      }
  });
  const ParamObject sum = {{"layerType", "RMS_NORM_PRENORM"}, {"hasResidual", true}};
  CHECK(Has(ErrorOf([&] { CreateOperation("RmsNorm", sum); }), {"NATIVE_PARAM_INVALID", "hasResidual"}));
}

/// What FusedLinear should give, in double from the rounded inputs.
std::vector<double> Expected(Numbers& x, Numbers* gamma, Numbers& w, Numbers* bias, Numbers* residual, bool swiglu,
                             DType dtype, int64_t m, int64_t n, int64_t k) {
  std::vector<float> rows = x.Floats();
  if (gamma) {
    const std::vector<float> g = gamma->Floats();
    for (int64_t r = 0; r < m; ++r) {
      double square = 0;
      for (int64_t i = 0; i < k; ++i) square += double(rows[size_t(r * k + i)]) * rows[size_t(r * k + i)];
      for (int64_t i = 0; i < k; ++i) {
        float& value = rows[size_t(r * k + i)];
        value = static_cast<float>(value / std::sqrt(square / double(k) + 1e-5) * g[size_t(i)]);
        std::byte stored[4];
        kernels::StoreFloat(stored, dtype, 0, value);
        value = kernels::LoadFloat(stored, dtype, 0);
      }
    }
  }
  const std::vector<float> weights = w.Floats();
  const auto dot = [&](int64_t r, int64_t c) {
    double sum = bias ? bias->Floats()[size_t(c)] : 0;
    for (int64_t i = 0; i < k; ++i) sum += double(rows[size_t(r * k + i)]) * weights[size_t(c * k + i)];
    return sum;
  };
  const int64_t columns = swiglu ? n / 2 : n;
  std::vector<double> out;
  for (int64_t r = 0; r < m; ++r)
    for (int64_t c = 0; c < columns; ++c) {
      double value = dot(r, c);
      if (swiglu) value = value / (1 + std::exp(-value)) * dot(r, n / 2 + c);
      if (residual) value += residual->Floats()[size_t(r * columns + c)];
      out.push_back(value);
    }
  return out;
}

void ActivationsAreThoseOfTheOperation() {
  constexpr int64_t m = 37, n = 2 * 24, k = 40;
  const auto activation = [](const char* type, const char* mode = "TANH_MODE") {
    return ParamObject{{"activationType", type}, {"geluMode", mode}};
  };
  const ParamObject relu = activation("ACTIVATION_RELU"), swish = activation("ACTIVATION_SWISH");
  const ParamObject erf = activation("ACTIVATION_GELU", "NONE_MODE"), tanh = activation("ACTIVATION_GELU");
  const std::map<std::string, ParamObject> forms = {
      {"relu", relu},   {"gelu", erf},     {"gelu-tanh", tanh}, {"fast-gelu", activation("ACTIVATION_FAST_GELU")},
      {"swish", swish}, {"swiglu", swish}, {"geglu", erf},      {"geglu-tanh", tanh},
      {"relu2", relu}};
  ForEachTable([&](const KernelTable& kernels) {
    for (DType dtype : kFloats) {
      Numbers x(dtype, {m, k}, 1), w(dtype, {n, k}, 2), bias(dtype, {n}, 3);
      const ParamObject wide = {{"hasBias", true}, {"outDataType", "ACL_FLOAT"}};
      Value product = Run("Linear", wide, {x.tensor(), w.tensor(), bias.tensor()}, kernels, 2)[0];
      for (const auto& [name, param] : forms) {
        const bool gated = name.find("glu") != std::string::npos;
        const int64_t columns = gated ? n / 2 : n;
        Numbers residual(DType::kF32, {m, columns}, 4);
        const std::vector<float> added = residual.Floats();
        const std::vector<double> sums = product.Numbers();
        const std::vector<double> activated = Run("Activation", param, {product.tensor()}, kernels, 2)[0].Numbers();
        const PackedMatrix packed(w.tensor(), gated);
        ParamObject fused = wide;
        fused["activation"] = name;
        for (bool has_residual : {false, true}) {
          std::vector<double> expected;
          for (int64_t r = 0; r < m; ++r)
            for (int64_t c = 0; c < columns; ++c) {
              const double act = activated[size_t(r * n + c)];
              const double up = gated ? sums[size_t(r * n + n / 2 + c)] : name == "relu2" ? act : 1;
              expected.push_back(act * up + (has_residual ? added[size_t(r * columns + c)] : 0));
            }
          fused["hasResidual"] = has_residual;
          for (const Tensor& weight : {w.tensor(), packed.tensor()}) {
            std::vector<Tensor> in = {x.tensor(), weight, bias.tensor()};
            if (has_residual) in.push_back(residual.tensor());
            const Value found = Run("FusedLinear", fused, in, kernels, 2)[0];
            CHECK(HasShape(found, {m, columns}) && Distance(found.Numbers(), expected) <= 1e-6);
          }
        }
      }
    }
  });
}

void EveryFormIsItsSum() {
  constexpr int64_t n = 2 * 24, k = 40;  // Neither gate nor up fills its last panel.
  ForEachTable([](const KernelTable& kernels) {
    for (DType dtype : kFloats)
      for (int form = 0; form < 32; ++form) {
        const bool norm = form & 1, has_bias = form & 2, swiglu = form & 4, has_residual = form & 8, wide = form & 16;
        const DType out_dtype = wide ? DType::kF32 : dtype;
        for (int64_t m : {3, 37}) {
          Numbers x(dtype, {m, k}, 1), gamma(dtype, {k}, 2), w(dtype, {n, k}, 3), bias(dtype, {n}, 4);
          Numbers residual(out_dtype, {m, swiglu ? n / 2 : n}, 5);
          const PackedMatrix packed(w.tensor(), swiglu);
          for (const Tensor& weight : {w.tensor(), packed.tensor()}) {
            std::vector<Tensor> in = {x.tensor()};
            if (norm) in.push_back(gamma.tensor());
            in.push_back(weight);
            if (has_bias) in.push_back(bias.tensor());
            if (has_residual) in.push_back(residual.tensor());
            ParamObject param = {{"transposeB", true}, {"hasBias", has_bias}, {"hasResidual", has_residual}};
            if (norm) param["normEpsilon"] = 1e-5;
            if (swiglu) param["activation"] = "swiglu";
            if (wide) param["outDataType"] = "ACL_FLOAT";
            const Value found = Run("FusedLinear", param, in, kernels, 2)[0];
            CHECK(found.desc.dtype == out_dtype && HasShape(found, {m, swiglu ? n / 2 : n}));
            const std::vector<double> expected = Expected(x, norm ? &gamma : nullptr, w, has_bias ? &bias : nullptr,
                                                          has_residual ? &residual : nullptr, swiglu, dtype, m, n, k);
            // A normalised row may round the other way than the reference: its error is one rounding of each factor.
            const double tolerance = norm ? std::max(4 * Tolerance(dtype), 2e-5) : std::max(Tolerance(out_dtype), 2e-5);
            CHECK(Distance(found.Numbers(), expected) <= tolerance);
          }
        }
      }
  });
}

void RowsDoNotDependOnTheirCompany() {
  ForEachTable([](const KernelTable& kernels) {
    for (DType dtype : kFloats) {
      constexpr int64_t m = 70, n = 96, k = 64;
      Numbers x(dtype, {m, k}, 1), gamma(dtype, {k}, 2), w(dtype, {n, k}, 3), residual(dtype, {m, n / 2}, 4);
      const PackedMatrix packed(w.tensor(), true);
      const ParamObject param = {{"normEpsilon", 1e-5}, {"activation", "swiglu"}, {"hasResidual", true}};
      const auto rows = [&](int64_t begin, int64_t count, int threads) {
        Tensor part = x.tensor(), added = residual.tensor();
        part.data = x.data() + static_cast<size_t>(begin * k) * SizeOf(dtype);
        added.data = residual.data() + static_cast<size_t>(begin * n / 2) * SizeOf(dtype);
        part.desc.dims[0] = added.desc.dims[0] = count;
        return Run("FusedLinear", param, {part, gamma.tensor(), packed.tensor(), added}, kernels, threads)[0].bytes;
      };
      const std::vector<std::byte> all = rows(0, m, 2);
      const size_t row_bytes = all.size() / m;
      for (int64_t count : {1, 3, 17, 32, 33})
        for (int threads : {1, 3}) {
          const std::vector<std::byte> some = rows(m - count, count, threads);
          CHECK(std::equal(some.begin(), some.end(), all.end() - static_cast<int64_t>(row_bytes * size_t(count))));
        }
    }
  });
}

void FusedLinearRefusesWhatDoesNotFit() {
  const KernelTable& kernels = kernels::Select("reference");
  Numbers x(DType::kBF16, {2, 8}, 1), gamma(DType::kBF16, {8}, 1), w(DType::kBF16, {6, 8}, 1),
      odd(DType::kBF16, {5, 8}, 1);
  Numbers narrow(DType::kBF16, {6, 7}, 1), half(DType::kBF16, {2, 3}, 1), f32(DType::kF32, {2, 6}, 1);
  const PackedMatrix plain(w.tensor(), false);
  const auto error = [&](const ParamObject& param, const std::vector<Tensor>& in) {
    return ErrorOf([&] { Run("FusedLinear", param, in, kernels, 1); });
  };
  const ParamObject norm = {{"normEpsilon", 1e-5}}, swiglu = {{"activation", "swiglu"}}, sum = {{"hasResidual", true}};
  CHECK(Has(error({}, {x.tensor(), narrow.tensor()}), {"NATIVE_SHAPE_MISMATCH", "in1", "k 8"}));
  CHECK(Has(error(norm, {x.tensor(), w.tensor(), w.tensor()}), {"NATIVE_SHAPE_MISMATCH", "in1"}));
  CHECK(Has(error(swiglu, {x.tensor(), odd.tensor()}), {"NATIVE_SHAPE_MISMATCH", "even"}));
  CHECK(Has(error(sum, {x.tensor(), w.tensor(), half.tensor()}), {"NATIVE_SHAPE_MISMATCH", "in2"}));
  CHECK(Has(error(sum, {x.tensor(), w.tensor(), f32.tensor()}), {"NATIVE_DTYPE_MISMATCH", "in2"}));
  CHECK(Has(error({}, {x.tensor(), f32.tensor()}), {"NATIVE_DTYPE_MISMATCH", "in1"}));
  CHECK(Has(error(swiglu, {x.tensor(), plain.tensor()}), {"NATIVE_LAYOUT_MISMATCH", "in1", "alternate"}));
  for (const auto& [key, value] : std::map<std::string, Param>{{"transposeB", false},
                                                               {"normEpsilon", -1.0},
                                                               {"normType", "layer"},
                                                               {"activation", "tanh"},
                                                               {"outDataType", "ACL_BF16"},
                                                               {"other", 1}})
    CHECK(Has(ErrorOf([key = key, value = value] { CreateOperation("FusedLinear", {{key, value}}); }),
              {"NATIVE_PARAM_INVALID", key}));
}

void FusedLinearTakesOneBarrierInDecode() {
  const KernelTable& kernels = *kernels::Available()[0];
  constexpr int64_t batch = 32, k = 1024;
  uint64_t barriers = 0;
  Numbers x(DType::kBF16, {batch, k}, 1), gamma(DType::kBF16, {k}, 2), w(DType::kBF16, {512, k}, 3);
  const PackedMatrix packed(w.tensor(), false);
  Run("FusedLinear", {{"normEpsilon", 1e-5}}, {x.tensor(), gamma.tensor(), packed.tensor()}, kernels, 2, {}, &barriers);
  CHECK(barriers == 1);
}

}  // namespace
}  // namespace atb::test

int main() {
  using namespace atb::test;
  RUN(ProductsAreAddedByDefinition);
  RUN(NormalisedRowsAreThoseOfTheNorms);
  RUN(NormsAddTheResidualBeforeTheyRound);
  RUN(ActivationsAreThoseOfTheOperation);
  RUN(EveryFormIsItsSum);
  RUN(RowsDoNotDependOnTheirCompany);
  RUN(FusedLinearRefusesWhatDoesNotFit);
  RUN(FusedLinearTakesOneBarrierInDecode);
}
