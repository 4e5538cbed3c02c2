// Quantised weights for tests: in plain numbers, as plain tensors, and as the engine packs them.
#pragma once
#include <cstring>
#include <string>
#include <vector>

#include "kernels/convert.h"
#include "kernels/pack.h"
#include "kernels/pack_integers.h"
#include "op_runner.h"
#include "random.h"

namespace atb::test {

/// A quantised weight [n, k] in plain numbers, and the tensors that say it.
struct Weight {
  Weight(int bits_, int64_t n_, int64_t k_, int64_t group_, bool with_offset = false)
      : bits(bits_), n(n_), k(k_), group(group_), groups(kernels::GroupsOf(k_, group_)) {
    q = Integers(n * k, bits == 8 ? -128 : -8, bits == 8 ? 127 : 7, 11);
    scales = Uniform(n * groups, -0.02, 0.02, 12);
    offsets = with_offset ? Integers(n * groups, -3, 3, 13) : std::vector<double>(static_cast<size_t>(n * groups), 0.0);
  }
  double At(int64_t row, int64_t i, DType scale_dtype) const {
    const auto at = static_cast<size_t>(row * groups + (group ? i / group : 0));
    float scale[1];
    kernels::StoreFloat(scale, scale_dtype, 0, static_cast<float>(scales[at]));
    return (q[static_cast<size_t>(row * k + i)] + offsets[at]) * kernels::LoadFloat(scale, scale_dtype, 0);
  }
  /// [n, k] or [k, n], two int4 to a byte.
  Value Plain(bool transposed_b) const {
    const int64_t rows = transposed_b ? n : k, columns = transposed_b ? k : n;
    const auto at = [&](int64_t r, int64_t c) { return q[static_cast<size_t>(transposed_b ? r * k + c : c * k + r)]; };
    Value value(TensorDesc(DType::kI8, {rows, columns / (8 / bits)}));
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; c += 8 / bits) {
        const int low = static_cast<int>(at(r, c));
        const int byte = bits == 8 ? low : static_cast<int8_t>((low & 15) | static_cast<int>(at(r, c + 1)) * 16);
        value.Set(static_cast<size_t>(r * value.desc.dim(1) + c / (8 / bits)), byte);
      }
    }
    return value;
  }
  Value Numbers(const std::vector<double>& numbers, DType dtype, bool transposed_b) const {
    if (group == 0) return Value(dtype, {n}, numbers);
    if (transposed_b) return Value(dtype, {n, groups}, numbers);
    Value value(TensorDesc(dtype, {groups, n}));
    for (int64_t r = 0; r < n; ++r) {
      for (int64_t g = 0; g < groups; ++g)
        value.Set(static_cast<size_t>(g * n + r), numbers[static_cast<size_t>(r * groups + g)]);
    }
    return value;
  }

  int bits;
  int64_t n, k, group, groups;
  std::vector<double> q, scales, offsets;
};

/// As the engine holds a weight: RunOp takes a tensor's bytes, here those of the descriptions.
struct Packed {
  Packed(const Weight& w, bool interleaved)
      : weight(kernels::PackedGeometry(w.bits == 8 ? kernels::WeightFormat::kI8 : kernels::WeightFormat::kI4, w.n, w.k,
                                       interleaved)),
        scales(kernels::ScalesGeometry(w.n, w.groups, interleaved)),
        weight_bytes(static_cast<size_t>(kernels::PackedBytes(weight)) + 64),
        scale_numbers(static_cast<size_t>(kernels::ScalesBytes(scales)) / 4) {
    std::byte* data = weight_bytes.data();
    while (reinterpret_cast<uintptr_t>(data) % 64 != 0) ++data;
    std::vector<int8_t> q(w.q.begin(), w.q.end());
    kernels::PackRows(weight, data, 0, w.n, {q.data(), DType::kI8, w.k});
    weight.data = data;
    const std::vector<float> numbers(w.scales.begin(), w.scales.end());
    kernels::PackScales(scales, scale_numbers.data(), 0, w.n, numbers.data(), w.groups);
    scales.data = scale_numbers.data();
    weight_value =
        Describe(TensorDesc(DType::kI8, {w.n, w.k / (8 / w.bits)}), Layout::kPackedLinear, &weight, sizeof weight);
    scale_value = Describe(TensorDesc(DType::kF32, {w.n, w.groups}), Layout::kPackedScales, &scales, sizeof scales);
  }
  static Value Describe(TensorDesc desc, Layout layout, const void* data, size_t bytes) {
    desc.layout = layout;
    Value value;
    value.desc = desc;
    value.bytes.resize(bytes);
    std::memcpy(value.bytes.data(), data, bytes);
    return value;
  }
  kernels::PackedWeight weight;
  kernels::PackedScales scales;
  std::vector<std::byte> weight_bytes;
  std::vector<float> scale_numbers;
  Value weight_value, scale_value;
};

}  // namespace atb::test
