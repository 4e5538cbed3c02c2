// Convolutions over squares of rows against their definition in double.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "op_runner.h"
#include "random.h"
#include "tested_tables.h"
#include "throws.h"

namespace atb::test {
namespace {

using Numbers = std::vector<double>;

struct Squares {
  int64_t side, kernel, stride, before, out_side, channels;
  bool has_bias = false;
  int64_t count = 2;

  ParamObject param() const {
    return {{"side", static_cast<double>(side)},     {"kernel", static_cast<double>(kernel)},
            {"stride", static_cast<double>(stride)}, {"before", static_cast<double>(before)},
            {"outSide", static_cast<double>(out_side)}, {"hasBias", has_bias}};
  }
};

/// A picture of [side][side][channels] and a kernel of [column][line][channels].
Numbers ByDefinition(const Squares& s, const Numbers& rows, const Numbers& weight, const Numbers& bias) {
  Numbers out;
  for (int64_t square = 0; square < s.count; ++square)
    for (int64_t y = 0; y < s.out_side; ++y)
      for (int64_t x = 0; x < s.out_side; ++x)
        for (int64_t c = 0; c < s.channels; ++c) {
          double sum = s.has_bias ? bias[static_cast<size_t>(c)] : 0;
          for (int64_t i = 0; i < s.kernel; ++i)
            for (int64_t j = 0; j < s.kernel; ++j) {
              const int64_t from_y = y * s.stride + i - s.before, from_x = x * s.stride + j - s.before;
              if (from_y < 0 || from_y >= s.side || from_x < 0 || from_x >= s.side) continue;
              sum += weight[static_cast<size_t>((j * s.kernel + i) * s.channels + c)] *
                     rows[static_cast<size_t>(((square * s.side + from_y) * s.side + from_x) * s.channels + c)];
            }
          out.push_back(sum);
        }
  return out;
}

void Agrees(const Squares& s) {
  Random random(3);
  const Numbers given = random.Normal<double>(s.count * s.side * s.side * s.channels, 1);
  const Value weight(DType::kF32, {s.kernel * s.kernel, s.channels},
                     random.Normal<double>(s.kernel * s.kernel * s.channels, 0.3));
  const Value bias(DType::kF32, {s.channels}, random.Normal<double>(s.channels, 1));
  for (const kernels::KernelTable* table : kernels::Available()) {
    for (DType dtype : kFloats) {
      const Value rows(dtype, {s.count * s.side * s.side, s.channels}, given);
      std::vector<Value> inputs{rows, weight};
      if (s.has_bias) inputs.push_back(bias);
      const Value found = RunOp("DepthwiseConv", s.param(), inputs, *table).at(0);
      CHECK(HasShape(found, {s.count * s.out_side * s.out_side, s.channels}));
      CHECK(Distance(found.Numbers(), ByDefinition(s, rows.Numbers(), weight.Numbers(), bias.Numbers())) <=
            Tolerance(dtype));
    }
  }
}

void ConvolutionsAgree() {
  Agrees({.side = 5, .kernel = 3, .stride = 1, .before = 1, .out_side = 5, .channels = 17, .has_bias = true});
  Agrees({.side = 6, .kernel = 5, .stride = 2, .before = 1, .out_side = 3, .channels = 70});  // As "same" pads it.
  Agrees({.side = 4, .kernel = 3, .stride = 2, .before = 0, .out_side = 2, .channels = 3});
  Agrees({.side = 40, .kernel = 7, .stride = 1, .before = 3, .out_side = 40, .channels = 8});  // More than a piece.
  Agrees({.side = 2, .kernel = 5, .stride = 1, .before = 4, .out_side = 6, .channels = 1, .has_bias = true});
}

void WhatDoesNotFitIsRefused() {
  const auto with = [](int64_t before, int64_t out_side) {
    const Squares squares{.side = 4, .kernel = 3, .stride = 2, .before = before, .out_side = out_side, .channels = 1};
    return ErrorOf([&] { CreateOperation("DepthwiseConv", squares.param()); });
  };
  CHECK(with(0, 2) == "nothing");
  CHECK(Has(with(0, 3), {"NATIVE_PARAM_INVALID", "outSide", "the last one sees a row"}));
  CHECK(Has(with(3, 2), {"NATIVE_PARAM_INVALID", "before", "less than kernel"}));
  CHECK(Has(ErrorOf([] { CreateOperation("DepthwiseConv", {{"side", 4}}); }),
            {"NATIVE_PARAM_INVALID", "kernel", "an integer from 1 to 16"}));
  const Squares squares{.side = 4, .kernel = 3, .stride = 2, .before = 0, .out_side = 2, .channels = 2};
  const auto run = [&](int64_t rows, int64_t taps) {
    return ErrorOf([&] {
      RunOp("DepthwiseConv", squares.param(),
            {Value(TensorDesc(DType::kF32, {rows, 2})), Value(TensorDesc(DType::kF32, {taps, 2}))},
            kernels::Select("reference"));
    });
  };
  CHECK(Has(run(17, 9), {"NATIVE_SHAPE_MISMATCH", "in0", "a multiple of 16", "17"}));
  CHECK(Has(run(16, 8), {"NATIVE_SHAPE_MISMATCH", "in1", "[9, 2]"}));
}

}  // namespace
}  // namespace atb::test

int main() {
  using namespace atb::test;
  RUN(ConvolutionsAgree);
  RUN(WhatDoesNotFitIsRefused);
  return 0;
}
