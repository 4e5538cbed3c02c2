#pragma once
#include <cmath>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "check.h"
#include "floats.h"
#include "kernels/convert.h"
#include "run_operation.h"
#include "throws.h"

namespace atb::test {

/// A tensor that owns its bytes.
struct Value {
  TensorDesc desc;
  std::vector<std::byte> bytes;

  Value() = default;
  explicit Value(const TensorDesc& d) : desc(d), bytes(d.Bytes(), std::byte{0xFF}) {}
  /// Rounds the numbers to the dtype.
  Value(DType dtype, std::initializer_list<int64_t> shape, const std::vector<double>& numbers)
      : Value(TensorDesc(dtype, shape)) {
    CHECK(static_cast<int64_t>(numbers.size()) == desc.Elements());
    for (size_t i = 0; i < numbers.size(); ++i) Set(i, numbers[i]);
  }

  Tensor tensor() { return {desc, bytes.data()}; }
  std::byte* At(size_t i) { return bytes.data() + i * SizeOf(desc.dtype); }

  void Set(size_t i, double number) {
    const auto put = [&](auto typed) { std::memcpy(At(i), &typed, sizeof typed); };
    switch (desc.dtype) {
      case DType::kI8:
        return put(static_cast<int8_t>(number));
      case DType::kU8:
        return put(static_cast<uint8_t>(number));
      case DType::kI32:
        return put(static_cast<int32_t>(number));
      case DType::kI64:
        return put(static_cast<int64_t>(number));
      default:
        kernels::StoreFloat(At(i), desc.dtype, 0, static_cast<float>(number));
    }
  }

  double Get(size_t i) const {
    const std::byte* at = bytes.data() + i * SizeOf(desc.dtype);
    const auto get = [&](auto typed) {
      std::memcpy(&typed, at, sizeof typed);
      return static_cast<double>(typed);
    };
    switch (desc.dtype) {
      case DType::kI8:
        return get(int8_t{});
      case DType::kU8:
        return get(uint8_t{});
      case DType::kI32:
        return get(int32_t{});
      case DType::kI64:
        return get(int64_t{});
      default:
        return static_cast<double>(kernels::LoadFloat(at, desc.dtype, 0));
    }
  }

  std::vector<double> Numbers() const {
    std::vector<double> numbers;
    for (size_t i = 0; i < static_cast<size_t>(desc.Elements()); ++i) numbers.push_back(Get(i));
    return numbers;
  }
};

inline bool HasShape(const Value& value, std::initializer_list<int64_t> shape) {
  return value.desc.SameShape(TensorDesc(value.desc.dtype, shape));
}

/// Largest |found - expected| / (1 + |expected|); infinite when NaN or infinity stands where it should not.
inline double Distance(const std::vector<double>& found, const std::vector<double>& expected) {
  CHECK(found.size() == expected.size());
  double worst = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    if (found[i] == expected[i] || (std::isnan(found[i]) && std::isnan(expected[i]))) continue;
    const double d = std::fabs(found[i] - expected[i]) / (1 + std::fabs(expected[i]));
    worst = std::isnan(d) ? INFINITY : std::max(worst, d);
  }
  return worst;
}

/// One rounding to the dtype, relative to 1 + |x|; f32 gets the error of a short sum too.
inline double Tolerance(DType dtype) {
  return dtype == DType::kBF16 ? 1.0 / 256 : dtype == DType::kF16 ? 1.0 / 2048 : 4e-6;
}

/// Rounds the numbers to the dtype.
inline std::vector<double> Rounded(const std::vector<double>& numbers, DType dtype) {
  return Value(dtype, {static_cast<int64_t>(numbers.size())}, numbers).Numbers();
}

/// Calls f with each table that this machine runs.
template <typename F>
void ForEachTable(F&& f) {
  for (const kernels::KernelTable* table : kernels::Available()) f(*table);
}

/// Runs one operation on outputs full of NaN, and gives these; of an operation in place what it made of its inputs.
inline std::vector<Value> RunOp(std::string_view type, const ParamObject& param, std::vector<Value> inputs,
                                const kernels::KernelTable& kernels, int threads = 2) {
  ThreadPool pool(threads);
  const auto op = CreateOperation(type, param);
  CHECK(op->NumInputs() == static_cast<int>(inputs.size()));
  std::vector<TensorDesc> in_descs, out_descs(static_cast<size_t>(op->NumOutputs()));
  for (const Value& input : inputs) in_descs.push_back(input.desc);
  op->InferShape(in_descs, out_descs);
  std::vector<Value> outputs(out_descs.begin(), out_descs.end());
  std::vector<Tensor> in, out;
  for (Value& input : inputs) in.push_back(input.tensor());
  for (Value& output : outputs) out.push_back(output.tensor());
  Run(*op, in, out, kernels, pool);
  return outputs.empty() ? inputs : outputs;
}

/// Whether the text contains all the parts.
inline bool Has(const std::string& text, std::initializer_list<std::string_view> parts) {
  bool all = true;
  for (std::string_view part : parts) {
    if (text.find(part) != std::string::npos) continue;
    std::fprintf(stderr, "\"%s\" lacks \"%s\"\n", text.c_str(), std::string(part).c_str());
    all = false;
  }
  return all;
}

}  // namespace atb::test
