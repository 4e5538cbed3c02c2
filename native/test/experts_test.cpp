// The operations of mixtures of experts against plain loops, at the edges of what a router may choose.
#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "check.h"
#include "kernels/dispatch.h"
#include "kernels/stack.h"
#include "op_runner.h"
#include "quantized_weight.h"

namespace atb::test {
namespace {

using kernels::KernelTable;
using kernels::PackedScales;
using kernels::PackedWeight;
using kernels::WeightNumbers;
using Numbers = std::vector<double>;

template <typename F>
void ForEachTable(F f) {
  for (const KernelTable* table : kernels::Available()) f(*table);
}

/// The largest error as a part of the largest number, since weights of four bits make small results; infinite where a
/// result is NaN.
double Gap(const Value& found, const Numbers& expected) {
  double most = 0;
  for (double number : expected) most = std::max(most, std::fabs(number));
  Numbers scaled = found.Numbers(), zeros(expected.size());
  CHECK(scaled.size() == expected.size());
  for (size_t i = 0; i < scaled.size(); ++i) scaled[i] = (scaled[i] - expected[i]) / most;
  return Distance(scaled, zeros);
}

double Rounded(double number, DType dtype) { return Value(dtype, {1}, {number}).Get(0); }

/// What the tokens of a step chose: ids[t * top_k + j].
struct Choices {
  int64_t tokens, top_k, experts;
  Numbers ids;

  Value AsValue() const { return Value(DType::kI32, {tokens, top_k}, ids); }
  /// Choices t * top_k + j sorted by expert; those of one expert in the order of tokens.
  std::vector<int64_t> Sorted() const {
    std::vector<int64_t> sorted(ids.size());
    std::iota(sorted.begin(), sorted.end(), 0);
    std::stable_sort(sorted.begin(), sorted.end(),
                     [&](int64_t a, int64_t b) { return ids[static_cast<size_t>(a)] < ids[static_cast<size_t>(b)]; });
    return sorted;
  }
  /// How many choices fall on the experts up to each one.
  Numbers Ends() const {
    Numbers ends(static_cast<size_t>(experts));
    for (double id : ids) ++ends[static_cast<size_t>(id)];
    std::partial_sum(ends.begin(), ends.end(), ends.begin());
    return ends;
  }
};

/// Choices by lot among the experts in `open`.
Choices ByLot(int64_t tokens, int64_t top_k, int64_t experts, const Numbers& open) {
  Choices choices{tokens, top_k, experts, {}};
  Random random(5);
  for (int64_t t = 0; t < tokens; ++t) {
    Numbers order = open;
    for (size_t i = order.size(); i > 1; --i)
      std::swap(order[i - 1], order[static_cast<size_t>(random.Below(static_cast<int64_t>(i)))]);
    choices.ids.insert(choices.ids.end(), order.begin(), order.begin() + top_k);
  }
  return choices;
}

std::vector<Choices> Edges() {
  return {
      {1, 1, 1, {0}},
      {1, 3, 5, {4, 0, 2}},                   // One token, not in the order of experts.
      {1, 4, 3, {2, 0, 2, 0}},                // What no router chooses, but an operation accepts: experts twice.
      {37, 1, 4, Numbers(37, 2)},             // All tokens to one expert.
      ByLot(9, 2, 7, {1, 4, 5}),              // Nobody chose the first, the last and some between.
      ByLot(5, 3, 3, {0, 1, 2}),              // All tokens to all experts.
      ByLot(70, 2, 5, {0, 1, 2, 3, 4}),
  };
}

/// How matrices of experts are held: floats; or integers, or floats of as few bits, with a scale for each output or for
/// each group of channels, which may be kept as the exponent of a power of two; and integers with offsets.
struct Form {
  int bits;
  int64_t group;
  WeightNumbers numbers = WeightNumbers::kIntegers;
  bool has_exponents = false;
  bool has_offsets = false;
};
constexpr WeightNumbers kFew = WeightNumbers::kFloats, kWhole = WeightNumbers::kIntegers;
constexpr Form kForms[] = {{0, 0},       {8, 0},        {8, 32},       {4, 0},        {4, 32},
                           {8, 0, kFew}, {8, 32, kFew}, {4, 0, kFew},  {4, 32, kFew}, {4, 32, kFew, true},
                           {4, 16, kFew}, {8, 0, kWhole, false, true}, {4, 32, kWhole, false, true}};

/// Matrices [n, k] of experts in plain numbers, and as the engine packs them.
class Matrices {
 public:
  Matrices(const Form& form, DType dtype, int64_t experts, int64_t n, int64_t k, bool interleaved = false)
      : form_(form), n_(n), plain_(form.bits == 4 ? 4 : 8, experts * n, k, form.group, form.has_offsets) {
    if (form.bits == 0) floats_ = Value(dtype, {experts, n, k}, Uniform(experts * n * k, -1.0, 1.0, 3));
    weight_ = kernels::PackedGeometry(
        form.bits == 0 ? kernels::FormatOf(dtype) : kernels::FormatOf(form.bits, form.numbers), n, k, interleaved);
    weight_.group = form.group;
    scales_ = kernels::ScalesGeometry(n, plain_.groups, interleaved);
    const auto stride = static_cast<size_t>(kernels::PackedBytes(weight_));
    bytes_.resize(static_cast<size_t>(experts) * stride + 64);
    std::byte* data = bytes_.data();
    while (reinterpret_cast<uintptr_t>(data) % 64 != 0) ++data;
    scale_bytes_.resize(static_cast<size_t>(experts * kernels::ScalesStride(scales_)) / sizeof(float));
    std::vector<int8_t> q(plain_.q.begin(), plain_.q.end());
    if (form.numbers == kFew) TakeForCodes(q);
    if (form.has_exponents)
      for (double& scale : plain_.scales) scale = std::exp2(std::round(scale * 200) - 6);
    const std::vector<float> scales(plain_.scales.begin(), plain_.scales.end());
    for (int64_t e = 0; e < experts; ++e) {
      const void* source = form.bits == 0 ? static_cast<const void*>(floats_.At(static_cast<size_t>(e * n * k)))
                                          : q.data() + e * n * k;
      kernels::PackRows(weight_, data + static_cast<size_t>(e) * stride, 0, n,
                        {source, form.bits == 0 ? dtype : DType::kI8, k});
      kernels::PackScales(scales_, scale_bytes_.data() + e * kernels::ScalesStride(scales_) / 4, 0, n,
                          scales.data() + e * n * plain_.groups, plain_.groups);
    }
    weight_.data = data;
    scales_.data = scale_bytes_.data();
    if (form.has_exponents) KeepExponents(experts);
    const TensorDesc desc(form.bits == 0 ? dtype : DType::kI8, {experts, n, form.bits == 4 ? k / 2 : k});
    inputs.push_back(Packed::Describe(desc, Layout::kPackedLinear, &weight_, sizeof weight_));
    if (form.bits == 0) return;
    inputs.push_back(form.group == 0 ? Value(DType::kF32, {experts, n, 1}, plain_.scales)
                                     : Packed::Describe(TensorDesc(DType::kF32, {experts, n, plain_.groups}),
                                                        Layout::kPackedScales, &scales_, sizeof scales_));
    if (!form.has_offsets) return;
    KeepOffsets(experts, interleaved);
    inputs.push_back(Packed::Describe(TensorDesc(DType::kF32, {experts, n, plain_.groups}), Layout::kPackedScales,
                                      &offsets_, sizeof offsets_));
  }
  Matrices(const Matrices&) = delete;
  Matrices& operator=(const Matrices&) = delete;

  /// x, of which elements start at `first`, times row `row` of an expert.
  double Product(int64_t expert, int64_t row, const Numbers& x, int64_t first) const {
    double sum = 0;
    for (int64_t i = 0; i < plain_.k; ++i) {
      const int64_t at = expert * n_ + row;
      double weight = form_.bits == 0 ? floats_.Get(static_cast<size_t>(at * plain_.k + i))
                                      : plain_.At(at, i, DType::kF32);
      if (form_.group == kernels::kWidenedGroup) weight = Rounded(weight, DType::kBF16);
      sum += weight * x[static_cast<size_t>(first + i)];
    }
    return sum;
  }

  std::vector<Value> inputs;  ///< The weight; of integers, with its scales, and its offsets where it has some.

 private:
  /// Makes the plain numbers those that the bytes stand for as floats, none of them NaN.
  void TakeForCodes(std::vector<int8_t>& q) {
    for (size_t i = 0; i < q.size(); ++i) {
      if (form_.bits == 8 && (q[i] & 0x7F) == 0x7F) q[i] = static_cast<int8_t>(q[i] - 1);
      plain_.q[i] = form_.bits == 8 ? static_cast<double>(kernels::E4M3ToF32(static_cast<uint8_t>(q[i])))
                                    : 0.5 * kernels::TwiceE2M1(q[i]);
    }
  }

  void KeepExponents(int64_t experts) {
    const PackedScales floats = scales_;
    const int64_t stride = kernels::ScalesBytes(floats) / 4;
    exponents_.resize(static_cast<size_t>(experts * stride));
    for (int64_t e = experts - 1; e >= 0; --e)
      CHECK(kernels::PackExponents(kernels::ExpertOf(floats, e), exponents_.data() + e * stride, scales_));
  }

  void KeepOffsets(int64_t experts, bool interleaved) {
    const PackedScales order = kernels::ScalesGeometry(n_, plain_.groups, interleaved);
    const int64_t numbers = kernels::ScalesBytes(order) / 4, stride = kernels::OffsetBytes(order);
    const std::vector<float> offsets(plain_.offsets.begin(), plain_.offsets.end());
    offset_bytes_.resize(static_cast<size_t>(experts * stride));
    std::vector<float> floats(static_cast<size_t>(numbers));
    PackedScales own = order;
    own.data = floats.data();
    for (int64_t e = experts - 1; e >= 0; --e) {
      kernels::PackScales(order, floats.data(), 0, n_, offsets.data() + e * n_ * plain_.groups, plain_.groups);
      CHECK(kernels::PackOffsets(own, kernels::MostOffset(weight_.format), offset_bytes_.data() + e * stride, offsets_));
    }
  }

  Form form_;
  int64_t n_;
  Weight plain_;  ///< Of all experts, one below the other.
  Value floats_;
  PackedWeight weight_;
  PackedScales scales_;
  std::vector<std::byte> bytes_;
  std::vector<float> scale_bytes_;
  std::vector<std::byte> exponents_;
  PackedScales offsets_;
  std::vector<std::byte> offset_bytes_;
};

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

/// The product of each sorted row with the matrix of its expert, in double.
Numbers Products(const Choices& choices, const Matrices& matrices, const Numbers& x, int64_t n, int64_t k) {
  Numbers products;
  const std::vector<int64_t> sorted = choices.Sorted();
  for (size_t r = 0; r < sorted.size(); ++r) {
    const auto expert = static_cast<int64_t>(choices.ids[static_cast<size_t>(sorted[r])]);
    for (int64_t c = 0; c < n; ++c)
      products.push_back(matrices.Product(expert, c, x, static_cast<int64_t>(r) * k));
  }
  return products;
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
          const ParamObject param = {{"transposeB", true}, {"quantType", quant}, {"hasBias", has_bias},
                                     {"outDataType", out_type(dtype)}};
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
        const ParamObject param = {{"transposeB", true}, {"quantType", form.bits == 8 ? 2 : 3},
                                   {"int8Activations", true}, {"outDataType", "ACL_FLOAT"}};
        const std::vector<Value> in = {x, matrices.inputs[0], matrices.inputs[1], none, ends};
        CHECK(Gap(RunOp("GroupedMatmul", param, in, table)[0], expected) <= Tolerance(DType::kF32));
      });
    }
  }
}

/// An order of k channels for each expert.
Value OrdersOf(int64_t experts, int64_t k) {
  Numbers channels;
  for (int64_t e = 0; e < experts; ++e)
    for (int64_t i = 0; i < k; ++i) channels.push_back(static_cast<double>((i * 29 + 7 * e) % k));
  return Value(DType::kI32, {experts, k}, channels);
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
      for (const Form& form : {Form{0, 0}, Form{8, 0}, Form{4, 32}, Form{8, 32, kFew}, Form{4, 32, kWhole, false, true}}) {
        const Matrices matrices(form, dtype, choices.experts, n, k);
        const Numbers expected = Products(choices, matrices, rows, n, k);
        std::vector<Value> in = {x, matrices.inputs[0]};
        if (form.bits != 0) in.insert(in.end(), {matrices.inputs[1], form.has_offsets ? matrices.inputs[2] : none});
        in.insert(in.end(), {channels, ends});
        const ParamObject param = {{"transposeB", true}, {"quantType", form.bits == 0 ? 0 : form.bits == 8 ? 2 : 3},
                                   {"hasChannels", true}, {"outDataType", "ACL_FLOAT"}};
        ForEachTable([&](const KernelTable& table) {
          CHECK(Gap(RunOp("GroupedMatmul", param, in, table)[0], expected) <= Tolerance(dtype));
        });
      }
    }
  }
}

/// A scale for the inputs of each expert, and an offset.
std::vector<Value> InputScales(int64_t experts) {
  Numbers scales, offsets;
  for (int64_t e = 0; e < experts; ++e) {
    scales.push_back(0.004 + 0.001 * static_cast<double>(e));
    offsets.push_back(static_cast<double>(e % 3) - 1);
  }
  return {Value(DType::kF32, {experts, 1}, scales), Value(DType::kF32, {experts, 1}, offsets)};
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
        const ParamObject param = {{"transposeB", true}, {"quantType", 1}, {"staticActivations", true},
                                   {"hasBias", has_bias}, {"outDataType", "ACL_FLOAT"}};
        ForEachTable([&](const KernelTable& table) {
          CHECK(Gap(RunOp("GroupedMatmul", param, in, table)[0], expected) <= Tolerance(DType::kF32));
        });
      }
    }
  }
}

/// The sum of each token's rows with their weights.
Numbers Combined(const Choices& choices, const Numbers& rows, const Value& probs, int64_t n) {
  Numbers sums(static_cast<size_t>(choices.tokens * n));
  const std::vector<int64_t> sorted = choices.Sorted();
  for (size_t r = 0; r < sorted.size(); ++r)
    for (int64_t c = 0; c < n; ++c)
      sums[static_cast<size_t>(sorted[r] / choices.top_k * n + c)] +=
          probs.Get(static_cast<size_t>(sorted[r])) * rows[r * static_cast<size_t>(n) + static_cast<size_t>(c)];
  return sums;
}

Value Probs(const Choices& choices, DType dtype) {
  return Value(dtype, {choices.tokens, choices.top_k}, Uniform(choices.tokens * choices.top_k, 0.0, 1.0, 8));
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

/// What gates let through; clamped as gpt-oss does it, or in one of two other forms.
enum class Gates { kSwiglu, kGeglu, kClamped, kClampedGates, kClampedActivated };
constexpr Gates kGates[] = {Gates::kSwiglu, Gates::kGeglu, Gates::kClamped, Gates::kClampedGates,
                            Gates::kClampedActivated};
/// So low that biases alone meet it.
constexpr double kLimit = 0.75, kGateScale = 1.702;

double Through(Gates gates, double gate, double up) {
  if (gates == Gates::kGeglu) return gate * 0.5 * (1 + std::erf(gate / std::sqrt(2.0))) * up;
  if (gates == Gates::kSwiglu) return gate / (1 + std::exp(-gate)) * up;
  up = std::clamp(up, -kLimit, kLimit);
  if (gates == Gates::kClampedActivated) return std::min(gate / (1 + std::exp(-gate)), kLimit) * up;
  gate = std::min(gate, kLimit);
  if (gates == Gates::kClampedGates) return gate / (1 + std::exp(-gate)) * up;
  return gate / (1 + std::exp(-kGateScale * gate)) * (up + 1);
}

ParamObject FusedParam(const Form& form, Gates gates, bool has_bias) {
  ParamObject param = {{"activation", gates == Gates::kGeglu ? "geglu" : "swiglu"},
                       {"gateUpBits", form.bits},
                       {"downBits", form.bits},
                       {"gateUpOffset", form.has_offsets},
                       {"downOffset", form.has_offsets},
                       {"hasBias", has_bias}};
  if (gates == Gates::kClamped) param.insert({{"limit", kLimit}, {"gateScale", kGateScale}});
  if (gates == Gates::kClampedGates) param.insert({{"limit", kLimit}, {"clampForm", "gates"}});
  if (gates == Gates::kClampedActivated) param.insert({{"limit", kLimit}, {"clampForm", "activated"}});
  return param;
}

/// What stands beside the matrices: of gate and up, and of down.
struct Beside {
  std::vector<Value> gate_up, down;
};

std::vector<Value> FusedInputs(const Value& x, const Choices& choices, const Value& probs, const Matrices& gate_up,
                               const Matrices& down, const Beside& beside) {
  std::vector<Value> in = {x, choices.AsValue(), probs};
  for (const auto& more : {gate_up.inputs, beside.gate_up, down.inputs, beside.down})
    in.insert(in.end(), more.begin(), more.end());
  return in;
}

/// With biases where there are any.
std::vector<Value> FusedInputs(const Value& x, const Choices& choices, const Value& probs, const Matrices& gate_up,
                               const Matrices& down, const std::vector<Value>& biases = {}) {
  return FusedInputs(x, choices, probs, gate_up, down,
                     biases.empty() ? Beside{} : Beside{{biases[0]}, {biases[1]}});
}

/// Of gate and up, and of down.
std::vector<Value> BiasesOf(DType dtype, int64_t experts, int64_t width, int64_t hidden) {
  return {Value(dtype, {experts, 2 * width}, Uniform(experts * 2 * width, -1.0, 1.0, 13)),
          Value(dtype, {experts, hidden}, Uniform(experts * hidden, -1.0, 1.0, 14))};
}

/// Channels that fill tiles, and such that do not: what rows take in memory depends on that.
void FusedExpertsAreTheirMlps(int64_t hidden) {
  constexpr int64_t width = 26;
  for (const Choices& choices : Edges()) {
    const std::vector<int64_t> sorted = choices.Sorted();
    for (DType dtype : kFloats) {
      const Value x(dtype, {choices.tokens, hidden}, Uniform(choices.tokens * hidden, -1.0, 1.0, 2));
      const Value probs = Probs(choices, DType::kF32);
      Numbers rows;
      for (int64_t choice : sorted)
        for (int64_t c = 0; c < hidden; ++c)
          rows.push_back(x.Get(static_cast<size_t>(choice / choices.top_k * hidden + c)));
      for (const Form& form : kForms) {
        const Matrices gate_up(form, dtype, choices.experts, 2 * width, hidden, true);
        const Matrices down(form, dtype, choices.experts, hidden, width);
        const Numbers gated = Products(choices, gate_up, rows, 2 * width, hidden);
        for (Gates gates : kGates) {
          const bool has_bias = gates >= Gates::kClamped;
          // All forms of weights end in one epilogue, which has three ways to clamp.
          if (gates > Gates::kClamped && &form != kForms) continue;
          const std::vector<Value> biases =
              has_bias ? BiasesOf(dtype, choices.experts, width, hidden) : std::vector<Value>{};
          const auto with_bias = [&](size_t matrix, size_t row, size_t column, double product) {
            if (!has_bias) return product;
            const auto expert = static_cast<size_t>(choices.ids[static_cast<size_t>(sorted[row])]);
            return product + biases[matrix].Get(expert * static_cast<size_t>(biases[matrix].desc.dim(1)) + column);
          };
          Numbers mixed;
          for (size_t r = 0; r < choices.ids.size(); ++r)
            for (size_t i = 0; i < width; ++i) {
              const double gate = with_bias(0, r, i, gated[r * 2 * width + i]);
              const double up = with_bias(0, r, width + i, gated[r * 2 * width + width + i]);
              mixed.push_back(Rounded(Through(gates, gate, up), dtype));
            }
          Numbers results = Products(choices, down, mixed, hidden, width);
          for (size_t i = 0; i < results.size(); ++i)
            results[i] = with_bias(1, i / static_cast<size_t>(hidden), i % static_cast<size_t>(hidden), results[i]);
          const Numbers expected = Combined(choices, results, probs, hidden);
          const std::vector<Value> in = FusedInputs(x, choices, probs, gate_up, down, biases);
          ForEachTable([&](const KernelTable& table) {
            // The reference computes row by row and is slow: one width is enough.
            if (hidden > 100 && &table == &kernels::Select("reference")) return;
            const Value found = RunOp("FusedExperts", FusedParam(form, gates, has_bias), in, table)[0];
            // What gates let through may be rounded to a neighbour.
            CHECK(HasShape(found, {choices.tokens, hidden}) && Gap(found, expected) <= 2 * Tolerance(dtype));
          });
        }
      }
    }
  }
}

void FusedExpertsAreTheirMlps() {
  for (int64_t hidden : {72, 128}) FusedExpertsAreTheirMlps(hidden);
}

/// What a token gives alone and among others, on each table.
void RequireAlike(const Choices& choices, const Value& x, const Value& probs, const ParamObject& param,
                  const Matrices& gate_up, const Matrices& down, const Beside& beside) {
  const DType dtype = x.desc.dtype;
  const auto hidden = static_cast<size_t>(x.desc.dim(1));
  ForEachTable([&](const KernelTable& table) {
    const Value all = RunOp("FusedExperts", param, FusedInputs(x, choices, probs, gate_up, down, beside), table)[0];
    const size_t row_bytes = hidden * SizeOf(dtype);
    for (size_t t : {0, 7, 32}) {
      Choices own{1, choices.top_k, choices.experts, {}};
      Numbers own_probs, own_x;
      for (size_t j = 3; j-- > 0;) {
        own.ids.push_back(choices.ids[t * 3 + j]);
        own_probs.push_back(probs.Get(t * 3 + j));
      }
      for (size_t c = 0; c < hidden; ++c) own_x.push_back(x.Get(t * hidden + c));
      const Value row(dtype, {1, static_cast<int64_t>(hidden)}, own_x), weights(DType::kF32, {1, 3}, own_probs);
      const Value alone =
          RunOp("FusedExperts", param, FusedInputs(row, own, weights, gate_up, down, beside), table, 3)[0];
      CHECK(std::memcmp(alone.bytes.data(), all.bytes.data() + t * row_bytes, row_bytes) == 0);
    }
  });
}

void NeitherCompanyNorOrderChangesAToken() {
  constexpr int64_t hidden = 72, width = 26;
  const Choices choices = ByLot(33, 3, 5, {0, 1, 3, 4});
  const Value probs = Probs(choices, DType::kF32);
  for (DType dtype : kFloats) {
    const Value x(dtype, {choices.tokens, hidden}, Uniform(choices.tokens * hidden, -1.0, 1.0, 2));
    for (const Form& form : kForms) {
      const Matrices gate_up(form, dtype, choices.experts, 2 * width, hidden, true);
      const Matrices down(form, dtype, choices.experts, hidden, width);
      const std::vector<Value> biases = BiasesOf(dtype, choices.experts, width, hidden);
      ParamObject param = FusedParam(form, Gates::kClamped, true);
      RequireAlike(choices, x, probs, param, gate_up, down, {{biases[0]}, {biases[1]}});
      param.insert({{"gateUpChannels", true}});
      const Value channels = OrdersOf(choices.experts, hidden);
      RequireAlike(choices, x, probs, param, gate_up, down, {{channels, biases[0]}, {biases[1]}});
      if (form.bits != 8 || form.group != 0 || form.numbers == kFew || form.has_offsets) continue;
      param.insert({{"staticActivations", true}});
      const std::vector<Value> scales = InputScales(choices.experts);
      const auto sums = [&](int64_t n) {
        return Value(DType::kI32, {choices.experts, n}, Integers(choices.experts * n, -1000, 1000, 11));
      };
      RequireAlike(choices, x, probs, param, gate_up, down,
                   {{scales[0], scales[1], channels, sums(2 * width)}, {scales[0], scales[1], sums(hidden)}});
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
  // Int8 rows are for integers, and scales of a form for weights whose kernels read that.
  const Matrices integers({8, 0}, DType::kF32, 3, 32, 32, true), down({8, 0}, DType::kF32, 3, 32, 16);
  const Matrices codes({8, 0, kFew}, DType::kF32, 3, 32, 32, true);
  const Choices choices{2, 1, 3, {0, 2}};
  const ParamObject int8 = {{"gateUpBits", 8}, {"downBits", 8}, {"int8Activations", true}};
  const auto fused = [&](const Matrices& gate_up) {
    const std::vector<Value> in = FusedInputs(x, choices, Probs(choices, DType::kF32), gate_up, down);
    return ErrorOf([&] { RunOp("FusedExperts", int8, in, table); });
  };
  CHECK(fused(integers) == "nothing");
  CHECK(Has(fused(codes), {"NATIVE_LAYOUT_MISMATCH", "FusedExperts", "in3", "packed as integers"}));
  // Biases have a row for each expert.
  const std::vector<Value> biases = {Value(DType::kF32, {3, 32}, Numbers(96, 0)),
                                     Value(DType::kF32, {2, 32}, Numbers(64, 0))};
  const std::vector<Value> biased = FusedInputs(x, choices, Probs(choices, DType::kF32), integers, down, biases);
  CHECK(Has(ErrorOf([&] { RunOp("FusedExperts", FusedParam({8, 0}, Gates::kClamped, true), biased, table); }),
            {"NATIVE_SHAPE_MISMATCH", "FusedExperts", "in8", "[3,32]"}));
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
  CHECK(Has(with_offsets(Value(DType::kF32, {1}, {1})), {"NATIVE_VALUE_OUT_OF_RANGE", "in3", "packed with their weight"}));
  CHECK(with_offsets(shifted.inputs[2]) == "nothing");
  CHECK(Has(with_offsets(pairs.inputs[1]), {"NATIVE_LAYOUT_MISMATCH", "in3", "offsets of the weight's groups"}));
  CHECK(Has(ErrorOf([&] { RunOp("FusedExperts", {{"gateUpOffset", true}}, {}, table); }),
            {"NATIVE_PARAM_INVALID", "gateUpOffset", "false but with integers"}));
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
  const ParamObject not_int8 = {{"gateUpBits", 4}, {"downBits", 8}, {"staticActivations", true}};
  CHECK(Has(ErrorOf([&] { RunOp("FusedExperts", not_int8, {}, table); }),
            {"NATIVE_PARAM_INVALID", "staticActivations", "symmetric weights of int8"}));
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
  RUN(FusedExpertsAreTheirMlps);
  RUN(NeitherCompanyNorOrderChangesAToken);
  RUN(TheBestGroupsStay);
  RUN(NormsAreSumsOfMagnitudes);
  RUN(WhatDoesNotFitIsRefused);
}
