// The operations of mixtures of experts against plain loops, at the edges of what a router may choose.
#include <algorithm>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "experts_fixture.h"

namespace atb::test {
namespace {

void RowsAreSortedByTheirExperts() {
  for (const Choices& choices : Edges()) {
    for (int64_t columns : {1, 17, 72}) {
      const Value x(DType::kBF16, {choices.tokens, columns}, Uniform(choices.tokens * columns, -1.0, 1.0, 1));
      const std::vector<int64_t> sorted = choices.Sorted();
      Numbers rows, places(sorted.size());
      for (size_t i = 0; i < sorted.size(); ++i) {
        places[static_cast<size_t>(sorted[i])] = static_cast<double>(i);
        for (int64_t c = 0; c < columns; ++c)
          rows.push_back(x.Get(static_cast<size_t>(sorted[i] / choices.top_k * columns + c)));
      }
      const ParamObject param = {{"topkNum", double(choices.top_k)}, {"expertNum", double(choices.experts)}};
      ForEachTable([&](const KernelTable& table) {
        const auto found = RunOp("MoeInitRouting", param, {x, choices.AsValue()}, table);
        CHECK(found[0].Numbers() == rows && found[1].Numbers() == places && found[2].Numbers() == choices.Ends());
      });
    }
  }
}

void EachRowMeetsTheMatrixOfItsExpert() {
  constexpr int64_t n = 33, k = 72;
  const auto out_type = [](DType dtype) {
    return dtype == DType::kF32 ? "ACL_FLOAT" : dtype == DType::kF16 ? "ACL_FLOAT16" : "ACL_BF16";
  };
  for (const Choices& choices : Edges()) {
    const auto m = static_cast<int64_t>(choices.ids.size());
    const Value ends(DType::kI64, {choices.experts}, choices.Ends());
    const Value none(DType::kF32, {1}, {0});
    for (DType dtype : kFloats) {
      const Value x(dtype, {m, k}, Uniform(m * k, -1.0, 1.0, 2));
      const Value bias(dtype, {choices.experts, n}, Uniform(choices.experts * n, -1.0, 1.0, 4));
      for (const Form& form : kForms) {
        const Matrices matrices(form, dtype, choices.experts, n, k);
        Numbers expected = Products(choices, matrices, x.Numbers(), n, k);
        const int quant = form.bits == 0 ? 0 : form.bits == 8 ? 2 : 3;
        for (bool has_bias : {false, true}) {
          std::vector<Value> in = {x};
          in.push_back(matrices.inputs[0]);
          if (has_bias) {
            in.push_back(bias);
            const std::vector<int64_t> sorted = choices.Sorted();
            for (size_t i = 0; i < expected.size(); ++i) {
              const double expert = choices.ids[static_cast<size_t>(sorted[i / n])];
              expected[i] += bias.Get(static_cast<size_t>(expert) * n + i % n);
            }
          }
          if (form.bits != 0) in.insert(in.end(), {matrices.inputs[1], form.has_offsets ? matrices.inputs[2] : none});
          in.push_back(ends);
          const ParamObject param = {
              {"transposeB", true}, {"quantType", quant}, {"hasBias", has_bias}, {"outDataType", out_type(dtype)}};
          ForEachTable([&](const KernelTable& table) {
            const Value found = RunOp("GroupedMatmul", param, in, table)[0];
            CHECK(HasShape(found, {m, n}) && Gap(found, expected) <= Tolerance(dtype));
          });
        }
      }
    }
  }
}

void IntegerRowsMeetTheMatrixOfTheirExpert() {
  constexpr int64_t n = 33, k = 72;
  for (const Choices& choices : Edges()) {
    const auto m = static_cast<int64_t>(choices.ids.size());
    const Matrices matrices({8, 0}, DType::kF32, choices.experts, n, k);
    const Value x(DType::kI8, {m, k}, Integers(m * k, -128, 127, 6));
    const Value scales(DType::kF32, {m}, Uniform(m, 0.001, 0.01, 7));
    Numbers expected = Products(choices, matrices, x.Numbers(), n, k);
    for (size_t i = 0; i < expected.size(); ++i) expected[i] *= scales.Get(i / n);
    const Value ends(DType::kI64, {choices.experts}, choices.Ends());
    const ParamObject param = {{"transposeB", true}, {"quantType", 4}, {"outDataType", "ACL_FLOAT"}};
    ForEachTable([&](const KernelTable& table) {
      const std::vector<Value> in = {x, matrices.inputs[0], matrices.inputs[1], scales, ends};
      CHECK(Gap(RunOp("GroupedMatmul", param, in, table)[0], expected) <= Tolerance(DType::kF32));
    });
  }
}

void RowsBecomeInt8BeforeTheyMeetTheirExpert() {
  constexpr int64_t n = 33, k = 72;
  for (const Choices& choices : Edges()) {
    const auto m = static_cast<int64_t>(choices.ids.size());
    const Value x(DType::kBF16, {m, k}, Uniform(m * k, -1.0, 1.0, 6));
    const Value ends(DType::kI64, {choices.experts}, choices.Ends()), none(DType::kF32, {1}, {0});
    for (const Form& form : {Form{8, 0}, Form{4, 32}}) {
      const Matrices matrices(form, DType::kF32, choices.experts, n, k);
      ForEachTable([&](const KernelTable& table) {
        const auto rows = RunOp("DynamicQuant", {}, {x}, table);
        Numbers expected = Products(choices, matrices, rows[0].Numbers(), n, k);
        for (size_t i = 0; i < expected.size(); ++i) expected[i] *= rows[1].Get(i / n);
        const ParamObject param = {{"transposeB", true},
                                   {"quantType", form.bits == 8 ? 2 : 3},
                                   {"int8Activations", true},
                                   {"outDataType", "ACL_FLOAT"}};
        const std::vector<Value> in = {x, matrices.inputs[0], matrices.inputs[1], none, ends};
        CHECK(Gap(RunOp("GroupedMatmul", param, in, table)[0], expected) <= Tolerance(DType::kF32));
      });
    }
  }
}

void ExpertsReadChannelsInOrdersOfTheirOwn() {
  constexpr int64_t n = 33, k = 72;
  for (const Choices& choices : Edges()) {
    const auto m = static_cast<int64_t>(choices.ids.size());
    const Value ends(DType::kI64, {choices.experts}, choices.Ends()), none(DType::kF32, {1}, {0});
    Value channels = OrdersOf(choices.experts, k);
    channels.Set(5, k);  // There is no such channel.
    for (DType dtype : kFloats) {
      const Value x(dtype, {m, k}, Uniform(m * k, -1.0, 1.0, 2));
      Numbers rows;
      const std::vector<int64_t> sorted = choices.Sorted();
      for (size_t r = 0; r < sorted.size(); ++r)
        for (size_t i = 0; i < k; ++i) {
          const auto expert = static_cast<size_t>(choices.ids[static_cast<size_t>(sorted[r])]);
          const auto channel = static_cast<size_t>(channels.Get(expert * k + i));
          rows.push_back(channel < k ? x.Get(r * k + channel) : 0);
        }
      for (const Form& form :
           {Form{0, 0}, Form{8, 0}, Form{4, 32}, Form{8, 32, kFew}, Form{4, 32, kWhole, false, true}}) {
        const Matrices matrices(form, dtype, choices.experts, n, k);
        const Numbers expected = Products(choices, matrices, rows, n, k);
        std::vector<Value> in = {x, matrices.inputs[0]};
        if (form.bits != 0) in.insert(in.end(), {matrices.inputs[1], form.has_offsets ? matrices.inputs[2] : none});
        in.insert(in.end(), {channels, ends});
        const ParamObject param = {{"transposeB", true},
                                   {"quantType", form.bits == 0   ? 0
                                                 : form.bits == 8 ? 2
                                                                  : 3},
                                   {"hasChannels", true},
                                   {"outDataType", "ACL_FLOAT"}};
        ForEachTable([&](const KernelTable& table) {
          CHECK(Gap(RunOp("GroupedMatmul", param, in, table)[0], expected) <= Tolerance(dtype));
        });
      }
    }
  }
}

void RowsBecomeInt8ByTheScaleOfTheirExpert() {
  constexpr int64_t n = 33, k = 72;
  for (const Choices& choices : Edges()) {
    const auto m = static_cast<int64_t>(choices.ids.size());
    const Value ends(DType::kI64, {choices.experts}, choices.Ends());
    const Matrices matrices({8, 0}, DType::kF32, choices.experts, n, k);
    const std::vector<Value> of_inputs = InputScales(choices.experts);
    const Value sums(DType::kI32, {choices.experts, n}, Integers(choices.experts * n, -1000, 1000, 11));
    for (DType dtype : kFloats) {
      const Value x(dtype, {m, k}, Uniform(m * k, -1.0, 1.0, 2));  // Some are beyond what int8 holds.
      const std::vector<int64_t> sorted = choices.Sorted();
      Numbers whole;
      for (size_t i = 0; i < static_cast<size_t>(m * k); ++i) {
        const auto expert = static_cast<size_t>(choices.ids[static_cast<size_t>(sorted[i / k])]);
        const float scaled = static_cast<float>(x.Get(i)) / static_cast<float>(of_inputs[0].Get(expert));
        const float number = std::nearbyint(scaled + static_cast<float>(of_inputs[1].Get(expert)));
        whole.push_back(std::clamp(number, -128.0f, 127.0f));
      }
      for (bool has_bias : {false, true}) {
        Numbers expected = Products(choices, matrices, whole, n, k);
        std::vector<Value> in = {x, matrices.inputs[0]};
        if (has_bias) in.push_back(sums);
        for (size_t i = 0; has_bias && i < expected.size(); ++i) {
          const auto expert = static_cast<size_t>(choices.ids[static_cast<size_t>(sorted[i / n])]);
          expected[i] += sums.Get(expert * n + i % n) * matrices.inputs[1].Get(expert * n + i % n);
        }
        in.insert(in.end(), {matrices.inputs[1], of_inputs[0], of_inputs[1], ends});
        const ParamObject param = {{"transposeB", true},
                                   {"quantType", 1},
                                   {"staticActivations", true},
                                   {"hasBias", has_bias},
                                   {"outDataType", "ACL_FLOAT"}};
        ForEachTable([&](const KernelTable& table) {
          CHECK(Gap(RunOp("GroupedMatmul", param, in, table)[0], expected) <= Tolerance(DType::kF32));
        });
      }
    }
  }
}

void TokensAreTheSumsOfTheirRows() {
  for (const Choices& choices : Edges()) {
    const std::vector<int64_t> sorted = choices.Sorted();
    const auto m = static_cast<int64_t>(sorted.size());
    Value places(TensorDesc(DType::kI32, {m}));
    for (size_t i = 0; i < sorted.size(); ++i) places.Set(static_cast<size_t>(sorted[i]), static_cast<double>(i));
    for (DType dtype : kFloats)
      for (int64_t n : {1, 17, 72}) {
        const Value rows(dtype, {m, n}, Uniform(m * n, -1.0, 1.0, 9));
        const Value probs = Probs(choices, dtype);
        const Numbers expected = Combined(choices, rows.Numbers(), probs, n);
        ForEachTable([&](const KernelTable& table) {
          const Value found = RunOp("MoeTokenUnpermute", {}, {rows, places, probs}, table)[0];
          CHECK(HasShape(found, {choices.tokens, n}) && Distance(found.Numbers(), expected) <= Tolerance(dtype));
        });
      }
  }
}

void TheBestGroupsStay() {
  struct Groups {
    int64_t experts, groups, kept, scored;
  };
  constexpr int64_t tokens = 19;
  for (const Groups& g : {Groups{1, 1, 1, 1}, Groups{8, 4, 1, 1}, Groups{15, 5, 2, 2}, Groups{15, 5, 5, 3},
                          Groups{6, 6, 3, 1}, Groups{128, 8, 4, 2}}) {
    const int64_t size = g.experts / g.groups;
    for (DType dtype : kFloats) {
      // Few different numbers, so that groups are often equal.
      const Value x(dtype, {tokens, g.experts}, Integers(tokens * g.experts, -2, 2, 10));
      Numbers expected = x.Numbers();
      for (auto row = expected.begin(); row != expected.end(); row += g.experts) {
        std::vector<std::pair<double, int64_t>> order;
        for (int64_t group = 0; group < g.groups; ++group) {
          Numbers own(row + group * size, row + (group + 1) * size);
          std::sort(own.rbegin(), own.rend());
          order.emplace_back(-std::accumulate(own.begin(), own.begin() + g.scored, 0.0), group);
        }
        std::sort(order.begin(), order.end());
        for (int64_t i = g.kept; i < g.groups; ++i)
          std::fill_n(row + order[static_cast<size_t>(i)].second * size, size, 0.0);
      }
      ParamObject param = {{"groupNum", double(g.groups)}, {"k", double(g.kept)}};
      if (g.scored > 1) param.insert({{"n", double(g.scored)}, {"groupMultiFlag", 1}});
      const Value indices(DType::kI32, {4}, {0, 1, 2, 3});
      ForEachTable([&](const KernelTable& table) {
        CHECK(RunOp("GroupTopk", param, {x, indices}, table)[0].Numbers() == expected);
      });
    }
  }
}

void NormsAreSumsOfMagnitudes() {
  for (DType dtype : kFloats)
    for (int64_t n : {1, 8, 17, 1100}) {
      const Value x(dtype, {3, 1, 5, n}, Uniform(15 * n, -1.0, 1.0, 12));
      Numbers expected;
      for (size_t row = 0; row < 15; ++row) {
        float sum = 0;
        for (int64_t i = 0; i < n; ++i)
          sum += std::fabs(static_cast<float>(x.Get(row * static_cast<size_t>(n) + static_cast<size_t>(i))));
        expected.push_back(Rounded(sum, dtype));
      }
      ForEachTable([&](const KernelTable& table) {
        const Value found = RunOp("VectorNorm", {}, {x}, table)[0];
        CHECK(HasShape(found, {3, 1, 5, 1}) && found.Numbers() == expected);
      });
    }
}

void WhatDoesNotFitIsRefused() {
  const KernelTable& table = *kernels::Available().front();
  const Value x(DType::kF32, {2, 32}, Numbers(64, 0.5));
  const ParamObject sorting = {{"topkNum", 2}, {"expertNum", 3}};
  for (double id : {-1, 3}) {
    const Value chosen(DType::kI32, {2, 2}, {0, 1, 2, id});
    CHECK(Has(ErrorOf([&] { RunOp("MoeInitRouting", sorting, {x, chosen}, table); }),
              {"NATIVE_VALUE_OUT_OF_RANGE", "MoeInitRouting", "in1", "0 to 2", "at 3"}));
  }
  const Matrices matrices({0, 0}, DType::kF32, 3, 16, 32);
  const ParamObject product = {{"transposeB", true}, {"outDataType", "ACL_FLOAT"}};
  for (const Numbers& ends : {Numbers{1, 0, 2}, Numbers{0, 1, 1}, Numbers{0, 1, 3}})
    CHECK(Has(ErrorOf([&] {
                RunOp("GroupedMatmul", product, {x, matrices.inputs[0], Value(DType::kI64, {3}, ends)}, table);
              }),
              {"NATIVE_VALUE_OUT_OF_RANGE", "GroupedMatmul", "in2"}));
  const Matrices pairs({4, 32}, DType::kF32, 3, 16, 32), powers({4, 32, kFew, true}, DType::kF32, 3, 16, 32);
  const std::vector<Value> mixed = {x, pairs.inputs[0], powers.inputs[1], Value(DType::kF32, {1}, {0}),
                                    Value(DType::kI64, {3}, {0, 1, 2})};
  const ParamObject int4 = {{"transposeB", true}, {"quantType", 3}};
  CHECK(Has(ErrorOf([&] { RunOp("GroupedMatmul", int4, mixed, table); }),
            {"NATIVE_LAYOUT_MISMATCH", "GroupedMatmul", "in2", "scales of the weight's groups"}));
  // Offsets are zeros, or packed with integers of the same groups.
  const auto with_offsets = [&](const Value& offsets) {
    const std::vector<Value> in = {x, pairs.inputs[0], pairs.inputs[1], offsets, Value(DType::kI64, {3}, {0, 1, 2})};
    return ErrorOf([&] { RunOp("GroupedMatmul", int4, in, table); });
  };
  const Matrices shifted({4, 0, kWhole, false, true}, DType::kF32, 3, 16, 64);
  CHECK(Has(with_offsets(Value(DType::kF32, {1}, {1})),
            {"NATIVE_VALUE_OUT_OF_RANGE", "in3", "packed with their weight"}));
  CHECK(with_offsets(shifted.inputs[2]) == "nothing");
  CHECK(Has(with_offsets(pairs.inputs[1]), {"NATIVE_LAYOUT_MISMATCH", "in3", "offsets of the weight's groups"}));
  // What becomes of rows has a row, or a number, for each expert.
  ParamObject changed = {{"transposeB", true}, {"quantType", 2}, {"hasChannels", true}};
  const Matrices bytes({8, 0}, DType::kF32, 3, 16, 32);
  const Value ends(DType::kI64, {3}, {0, 1, 2}), one(DType::kF32, {1}, {1});
  const auto rows_of = [&](const std::vector<Value>& beside) {
    std::vector<Value> in = {x, bytes.inputs[0], bytes.inputs[1]};
    in.insert(in.end(), beside.begin(), beside.end());
    in.push_back(ends);
    return ErrorOf([&] { RunOp("GroupedMatmul", changed, in, table); });
  };
  const Value nothing(DType::kF32, {1}, {0});
  CHECK(rows_of({nothing, OrdersOf(3, 32)}) == "nothing");
  CHECK(Has(rows_of({nothing, OrdersOf(3, 16)}), {"NATIVE_SHAPE_MISMATCH", "in4", "[3,32]"}));
  CHECK(Has(rows_of({nothing, Value(DType::kI64, {3, 32}, Numbers(96, 0))}), {"NATIVE_DTYPE_MISMATCH", "in4"}));
  changed = {{"transposeB", true}, {"quantType", 1}, {"staticActivations", true}};
  CHECK(rows_of(InputScales(3)) == "nothing");
  CHECK(Has(rows_of({one, one}), {"NATIVE_SHAPE_MISMATCH", "in3", "each of 3 experts"}));
  changed.erase("staticActivations");
  CHECK(Has(rows_of(InputScales(3)), {"NATIVE_PARAM_INVALID", "staticActivations", "true with quantType 1"}));
  const Value places(DType::kI32, {2}, {0, 2}), probs(DType::kF32, {1, 2}, {1, 1});
  CHECK(Has(ErrorOf([&] { RunOp("MoeTokenUnpermute", {}, {x, places, probs}, table); }),
            {"NATIVE_VALUE_OUT_OF_RANGE", "MoeTokenUnpermute", "in1"}));
  const Value indices(DType::kI32, {1}, {0});
  CHECK(Has(ErrorOf([&] { RunOp("GroupTopk", {{"groupNum", 5}, {"k", 1}}, {x, indices}, table); }),
            {"NATIVE_SHAPE_MISMATCH", "GroupTopk", "in0", "5 groups"}));
}

}  // namespace
}  // namespace atb::test

int main() {
  using namespace atb::test;
  RUN(RowsAreSortedByTheirExperts);
  RUN(EachRowMeetsTheMatrixOfItsExpert);
  RUN(IntegerRowsMeetTheMatrixOfTheirExpert);
  RUN(RowsBecomeInt8BeforeTheyMeetTheirExpert);
  RUN(ExpertsReadChannelsInOrdersOfTheirOwn);
  RUN(RowsBecomeInt8ByTheScaleOfTheirExpert);
  RUN(TokensAreTheSumsOfTheirRows);
  RUN(TheBestGroupsStay);
  RUN(NormsAreSumsOfMagnitudes);
  RUN(WhatDoesNotFitIsRefused);
}
