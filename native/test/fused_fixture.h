#pragma once
#include <map>
#include <string>
#include <vector>

#include "kernels/pack.h"
#include "op_runner.h"
#include "random.h"

namespace atb::test {

using kernels::KernelTable;

/// A tensor of numbers in [-1, 1) that owns its bytes, 64-byte aligned.
class Numbers {
 public:
  Numbers(DType dtype, std::initializer_list<int64_t> shape, uint32_t seed)
      : desc_(dtype, shape), bytes_(desc_.Bytes() + 64) {
    const std::vector<float> numbers = Uniform<float>(desc_.Elements(), -1, 1, seed);
    kernels::Select("reference").from_f32(numbers.data(), data(), dtype, desc_.Elements());
  }
  std::byte* data() {
    const auto address = reinterpret_cast<uintptr_t>(bytes_.data());
    return bytes_.data() + (64 - address % 64) % 64;
  }
  Tensor tensor() { return {desc_, data()}; }
  std::vector<float> Floats() {
    std::vector<float> floats(static_cast<size_t>(desc_.Elements()));
    kernels::Select("reference").to_f32(data(), desc_.dtype, floats.data(), desc_.Elements());
    return floats;
  }

 private:
  TensorDesc desc_;
  std::vector<std::byte> bytes_;
};

/// A matrix as the loader packs it.
class PackedMatrix {
 public:
  PackedMatrix(const Tensor& source, bool interleaved)
      : weight_(kernels::PackedGeometry(kernels::FormatOf(source.desc.dtype), source.desc.dim(0), source.desc.dim(1),
                                        interleaved)),
        bytes_(static_cast<size_t>(kernels::PackedBytes(weight_)) + 64) {
    std::byte* data = bytes_.data() + (64 - reinterpret_cast<uintptr_t>(bytes_.data()) % 64) % 64;
    kernels::PackRows(weight_, data, 0, weight_.n, {source.data, source.desc.dtype, weight_.k});
    weight_.data = data;
    tensor_ = {source.desc, &weight_};
    tensor_.desc.layout = Layout::kPackedLinear;
  }
  Tensor tensor() const { return tensor_; }

 private:
  kernels::PackedWeight weight_;
  std::vector<std::byte> bytes_;
  Tensor tensor_;
};

/// Runs one operation; outputs that are not given are made.
inline std::vector<Value> Run(std::string_view type, const ParamObject& param, const std::vector<Tensor>& in,
                              const KernelTable& kernels, int threads, const std::map<size_t, Tensor>& in_place = {},
                              uint64_t* barriers = nullptr) {
  ThreadPool pool(threads);
  const auto op = CreateOperation(type, param);
  CHECK(op->NumInputs() == static_cast<int>(in.size()));
  std::vector<TensorDesc> descs, results(static_cast<size_t>(op->NumOutputs()));
  for (const Tensor& t : in) descs.push_back(t.desc);
  op->InferShape(descs, results);
  std::vector<Value> made(results.size());
  std::vector<Tensor> out;
  for (size_t i = 0; i < results.size(); ++i) {
    const auto given = in_place.find(i);
    if (given == in_place.end()) made[i] = Value(results[i]);
    out.push_back(given == in_place.end() ? made[i].tensor() : given->second);
  }
  Run(*op, in, out, kernels, pool);
  if (barriers) *barriers = pool.barriers();
  return made;
}

inline const ParamObject kNorm = {{"layerType", "RMS_NORM_NORM"}, {"normParam", ParamObject{{"epsilon", 1e-5}}}};

/// A norm, and the name by which FusedLinear knows it.
struct NamedNorm {
  std::string name;
  std::string op;
  ParamObject param;
};

inline std::vector<NamedNorm> Norms() {
  const ParamObject gemma = {{"epsilon", 1e-5}, {"modelType", "GEMMA_MODEL"}};
  const ParamObject layer = {{"epsilon", 1e-5}, {"beginNormAxis", 1}};
  return {{"rms", "RmsNorm", kNorm},
          {"rms-plus-one", "RmsNorm", {{"layerType", "RMS_NORM_NORM"}, {"normParam", gemma}}},
          {"layer", "LayerNorm", {{"layerType", "LAYER_NORM_NORM"}, {"normParam", layer}}}};
}

}  // namespace atb::test
