#pragma once
// Choices of routers at the edges of what these may be, matrices of experts in every form, and plain loops over them.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "kernels/stack.h"
#include "op_runner.h"
#include "quantized_weight.h"

namespace atb::test {

using kernels::KernelTable;
using kernels::PackedScales;
using kernels::PackedWeight;
using kernels::WeightNumbers;
using Numbers = std::vector<double>;

/// The largest error as a part of the largest number, since weights of four bits make small results; infinite where a
/// result is NaN.
inline double Gap(const Value& found, const Numbers& expected) {
  double most = 0;
  for (double number : expected) most = std::max(most, std::fabs(number));
  Numbers scaled = found.Numbers(), zeros(expected.size());
  CHECK(scaled.size() == expected.size());
  for (size_t i = 0; i < scaled.size(); ++i) scaled[i] = (scaled[i] - expected[i]) / most;
  return Distance(scaled, zeros);
}

inline double Rounded(double number, DType dtype) { return Value(dtype, {1}, {number}).Get(0); }

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
inline Choices ByLot(int64_t tokens, int64_t top_k, int64_t experts, const Numbers& open) {
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

inline std::vector<Choices> Edges() {
  return {
      {1, 1, 1, {0}},
      {1, 3, 5, {4, 0, 2}},        // One token, not in the order of experts.
      {1, 4, 3, {2, 0, 2, 0}},     // What no router chooses, but an operation accepts: experts twice.
      {37, 1, 4, Numbers(37, 2)},  // All tokens to one expert.
      ByLot(9, 2, 7, {1, 4, 5}),   // Nobody chose the first, the last and some between.
      ByLot(5, 3, 3, {0, 1, 2}),   // All tokens to all experts.
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
constexpr Form kForms[] = {{0, 0},
                           {8, 0},
                           {8, 32},
                           {4, 0},
                           {4, 32},
                           {8, 0, kFew},
                           {8, 32, kFew},
                           {4, 0, kFew},
                           {4, 32, kFew},
                           {4, 32, kFew, true},
                           {4, 16, kFew},
                           {8, 0, kWhole, false, true},
                           {4, 32, kWhole, false, true}};

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
      const void* source =
          form.bits == 0 ? static_cast<const void*>(floats_.At(static_cast<size_t>(e * n * k))) : q.data() + e * n * k;
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
      double weight =
          form_.bits == 0 ? floats_.Get(static_cast<size_t>(at * plain_.k + i)) : plain_.At(at, i, DType::kF32);
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
      CHECK(
          kernels::PackOffsets(own, kernels::MostOffset(weight_.format), offset_bytes_.data() + e * stride, offsets_));
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

/// The product of each sorted row with the matrix of its expert, in double.
inline Numbers Products(const Choices& choices, const Matrices& matrices, const Numbers& x, int64_t n, int64_t k) {
  Numbers products;
  const std::vector<int64_t> sorted = choices.Sorted();
  for (size_t r = 0; r < sorted.size(); ++r) {
    const auto expert = static_cast<int64_t>(choices.ids[static_cast<size_t>(sorted[r])]);
    for (int64_t c = 0; c < n; ++c) products.push_back(matrices.Product(expert, c, x, static_cast<int64_t>(r) * k));
  }
  return products;
}

/// An order of k channels for each expert.
inline Value OrdersOf(int64_t experts, int64_t k) {
  Numbers channels;
  for (int64_t e = 0; e < experts; ++e)
    for (int64_t i = 0; i < k; ++i) channels.push_back(static_cast<double>((i * 29 + 7 * e) % k));
  return Value(DType::kI32, {experts, k}, channels);
}

/// A scale for the inputs of each expert, and an offset.
inline std::vector<Value> InputScales(int64_t experts) {
  Numbers scales, offsets;
  for (int64_t e = 0; e < experts; ++e) {
    scales.push_back(0.004 + 0.001 * static_cast<double>(e));
    offsets.push_back(static_cast<double>(e % 3) - 1);
  }
  return {Value(DType::kF32, {experts, 1}, scales), Value(DType::kF32, {experts, 1}, offsets)};
}

/// The sum of each token's rows with their weights.
inline Numbers Combined(const Choices& choices, const Numbers& rows, const Value& probs, int64_t n) {
  Numbers sums(static_cast<size_t>(choices.tokens * n));
  const std::vector<int64_t> sorted = choices.Sorted();
  for (size_t r = 0; r < sorted.size(); ++r)
    for (int64_t c = 0; c < n; ++c)
      sums[static_cast<size_t>(sorted[r] / choices.top_k * n + c)] +=
          probs.Get(static_cast<size_t>(sorted[r])) * rows[r * static_cast<size_t>(n) + static_cast<size_t>(c)];
  return sums;
}

inline Value Probs(const Choices& choices, DType dtype) {
  return Value(dtype, {choices.tokens, choices.top_k}, Uniform(choices.tokens * choices.top_k, 0.0, 1.0, 8));
}

}  // namespace atb::test
