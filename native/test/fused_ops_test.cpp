// The fused operations against the operations that they stand for.
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "caches.h"
#include "kernels/kv_pack.h"
#include "kernels/pack.h"
#include "op_runner.h"
#include "random.h"

namespace atb::test {
namespace {

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

/// Runs one operation as the graph does, on a workspace full of NaN and of exactly the size that it asks for; outputs
/// that are not given are made.
std::vector<Value> Run(std::string_view type, const ParamObject& param, const std::vector<Tensor>& in,
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
    if (given != in_place.end()) {
      CHECK(SameDesc(given->second.desc, results[i]));
      out.push_back(given->second);
      continue;
    }
    made[i] = Value(results[i]);
    out.push_back(made[i].tensor());
  }
  const size_t bytes = op->WorkspaceBytes(descs, threads, kernels);
  std::vector<std::byte> memory(bytes + 192, std::byte{0xFF});
  std::byte* workspace = memory.data() + 64 + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) % 64;
  op->Validate(in);
  op->Execute(in, out, {kernels, pool, workspace});
  if (barriers) *barriers = pool.barriers();
  for (std::byte* p = workspace + bytes; p < memory.data() + memory.size(); ++p) CHECK(*p == std::byte{0xFF});
  return made;
}

const ParamObject kPlainLinear = {{"hasBias", false}};
const ParamObject kNorm = {{"layerType", "RMS_NORM_NORM"}, {"normParam", ParamObject{{"epsilon", 1e-5}}}};

/// A norm, and the name by which FusedLinear knows it.
struct NamedNorm {
  std::string name;
  std::string op;
  ParamObject param;
};

std::vector<NamedNorm> Norms() {
  const ParamObject gemma = {{"epsilon", 1e-5}, {"modelType", "GEMMA_MODEL"}};
  const ParamObject layer = {{"epsilon", 1e-5}, {"beginNormAxis", 1}};
  return {{"rms", "RmsNorm", kNorm},
          {"rms-plus-one", "RmsNorm", {{"layerType", "RMS_NORM_NORM"}, {"normParam", gemma}}},
          {"layer", "LayerNorm", {{"layerType", "LAYER_NORM_NORM"}, {"normParam", layer}}}};
}

template <typename F>
void ForKernels(F&& f) {
  for (const KernelTable* kernels : kernels::Available()) f(*kernels);
}

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
  ForKernels([](const KernelTable& kernels) {
    for (DType dtype : kFloats) {
      const std::vector<int64_t> shape = {3, 2, 5, 21};
      for (bool repeats : {false, true}) {
        Numbers x(dtype, {3, 2, 5, 21}, 1), rows(dtype, {2, 5, 21}, 2), column(dtype, {3, 2, 5, 1}, 3), z(dtype, {5, 1}, 4);
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
  ForKernels([](const KernelTable& kernels) {
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
  ForKernels([](const KernelTable& kernels) {
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
      {"swish", swish}, {"swiglu", swish}, {"geglu", erf},      {"geglu-tanh", tanh}, {"relu2", relu}};
  ForKernels([&](const KernelTable& kernels) {
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
              expected.push_back(act * up +
                                 (has_residual ? added[size_t(r * columns + c)] : 0));
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
  ForKernels([](const KernelTable& kernels) {
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
  ForKernels([](const KernelTable& kernels) {
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
  Numbers x(DType::kBF16, {2, 8}, 1), gamma(DType::kBF16, {8}, 1), w(DType::kBF16, {6, 8}, 1), odd(DType::kBF16, {5, 8}, 1);
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
  for (const auto& [key, value] : std::map<std::string, Param>{
           {"transposeB", false}, {"normEpsilon", -1.0}, {"normType", "layer"}, {"activation", "tanh"},
           {"outDataType", "ACL_BF16"}, {"other", 1}})
    CHECK(Has(ErrorOf([key = key, value = value] { CreateOperation("FusedLinear", {{key, value}}); }), {"NATIVE_PARAM_INVALID", key}));
}

constexpr int64_t kHeads = 6, kKvHeads = 2, kBlocks = 6, kBlockSize = 32;
constexpr int64_t Width(int64_t d) { return (kHeads + 2 * kKvHeads) * d; }

/// A layer's caches with NaN everywhere: row-major, or in the engine's own layout.
struct Caches {
  Caches(DType dtype, bool own, int64_t d) : cache(SameCaches(1, kBlocks, kBlockSize, kKvHeads, d, dtype)) {
    if (own) {
      keys = cache.Keys(0);
      values = cache.Values(0);
    } else {
      for (Value& v : plain) v = Value(TensorDesc(dtype, {kBlocks, kBlockSize, kKvHeads, d}));
      keys = plain[0].tensor();
      values = plain[1].tensor();
    }
    bytes[0] = Size(keys, d);
    bytes[1] = Size(values, d);
    std::memset(keys.data, 0xFF, bytes[0]);
    std::memset(values.data, 0xFF, bytes[1]);
  }
  static size_t Size(const Tensor& t, int64_t d) {
    if (t.desc.layout == Layout::kRowMajor) return t.desc.Bytes();
    const kernels::KvStore store{t.data, t.desc.dtype, t.desc.layout == Layout::kValueCache, kBlocks, kBlockSize,
                                 kKvHeads, d};
    return static_cast<size_t>(store.BlockBytes() * kBlocks);
  }
  bool Same(const Caches& other) const {
    return std::memcmp(keys.data, other.keys.data, bytes[0]) == 0 &&
           std::memcmp(values.data, other.values.data, bytes[1]) == 0;
  }
  KvCache cache;
  Value plain[2];
  Tensor keys, values;
  size_t bytes[2];
};

/// Slots of a step: several sequences, in order or not, with gaps, with padding and with one slot twice.
std::vector<int32_t> SlotsOf(const std::string& kind, int64_t tokens) {
  std::vector<int32_t> slots;
  for (int32_t t = 0; t < tokens; ++t) {
    if (kind == "in order") slots.push_back(t);
    if (kind == "backwards") slots.push_back(static_cast<int32_t>(tokens) - 1 - t);
    if (kind == "scattered") slots.push_back(t * 37 % static_cast<int32_t>(kBlocks * kBlockSize));
    if (kind == "padded") slots.push_back(t % 5 == 4 ? -1 : 40 + t);
    if (kind == "repeated") slots.push_back(t / 2);
  }
  return slots;
}

Tensor Ints(std::vector<int32_t>& v) { return {TensorDesc(DType::kI32, {static_cast<int64_t>(v.size())}), v.data()}; }

/// What happens to heads between Split and ReshapeAndCache.
struct HeadForm {
  bool rotate = true;
  const ParamObject* norm = &kNorm;
};

/// Queries and caches as Split, (RmsNorm,) (Rope) and ReshapeAndCache make them; norms are rounded as they round them.
Value Unfused(Numbers& qkv, Numbers& cos, Numbers& sin, Caches& caches, std::vector<int32_t>& slots, Numbers* gammas[2],
              int64_t d, const KernelTable& kernels, const HeadForm& form = {}) {
  const int64_t tokens = qkv.tensor().desc.dim(0);
  const std::vector<double> sizes = {double(kHeads * d), double(kKvHeads * d), double(kKvHeads * d)};
  std::vector<Value> parts = Run("Split", {{"splitDim", 1}, {"splitNum", 3}, {"splitSizes", sizes}}, {qkv.tensor()}, kernels, 1);
  for (size_t i = 0; i < 2 && gammas; ++i) {
    Tensor heads = parts[i].tensor();
    heads.desc = TensorDesc(heads.desc.dtype, {tokens, i == 0 ? kHeads : kKvHeads, d});
    Value normed = Run("RmsNorm", *form.norm, {heads, gammas[i]->tensor()}, kernels, 1)[0];
    parts[i].bytes = normed.bytes;
  }
  std::vector<int32_t> lengths = {static_cast<int32_t>(tokens)};
  if (form.rotate) {
    std::vector<Value> rotated =
        Run("Rope", {{"rotaryCoeff", 2}},
            {parts[0].tensor(), parts[1].tensor(), cos.tensor(), sin.tensor(), Ints(lengths)}, kernels, 1);
    for (size_t i = 0; i < 2; ++i) parts[i].bytes = rotated[i].bytes;
  }
  Tensor k = parts[1].tensor(), v = parts[2].tensor();
  k.desc = v.desc = TensorDesc(k.desc.dtype, {tokens, kKvHeads, d});
  Run("ReshapeAndCache", {}, {k, v, caches.keys, caches.values, Ints(slots)}, kernels, 1,
      {{0, caches.keys}, {1, caches.values}});
  return parts[0];
}

ParamObject RopeParam(int64_t d) {
  return {{"headNum", double(kHeads)}, {"kvHeadNum", double(kKvHeads)}, {"headDim", double(d)}, {"rotaryCoeff", 2}};
}

void RotatedKeysReachTheCacheBitForBit() {
  ForKernels([](const KernelTable& kernels) {
    for (DType dtype : kFloats)
      for (int64_t d : {16, 40})
        for (const char* kind : {"in order", "backwards", "scattered", "padded", "repeated"})
          for (int64_t tokens : {0, 1, 33, 120})
            for (bool own : {false, true}) {
              Numbers qkv(dtype, {tokens, Width(d)}, 1), cos(dtype, {tokens, d}, 2), sin(dtype, {tokens, d}, 3);
              std::vector<int32_t> slots = SlotsOf(kind, tokens);
              Caches expected(dtype, own, d);
              const Value queries = Unfused(qkv, cos, sin, expected, slots, nullptr, d, kernels);
              for (int threads : {1, 3}) {
                Caches found(dtype, own, d);
                const std::vector<Value> made =
                    Run("QkvRopeCache", RopeParam(d),
                        {qkv.tensor(), found.keys, found.values, Ints(slots), cos.tensor(), sin.tensor()}, kernels, threads,
                        {{1, found.keys}, {2, found.values}});
                CHECK(SameDesc(made[0].desc, queries.desc) && made[0].bytes == queries.bytes);
                CHECK(found.Same(expected));
              }
            }
  });
}

/// In f32, where nothing is rounded between the operations.
void RotatedKeysBecomeTheSameIntegers() {
  ForKernels([](const KernelTable& kernels) {
    for (int64_t d : {16, 40})
      for (const char* kind : {"in order", "backwards", "scattered", "padded", "repeated"})
        for (int64_t tokens : {1, 120}) {
          Numbers qkv(DType::kF32, {tokens, Width(d)}, 1), cos(DType::kF32, {tokens, d}, 2),
              sin(DType::kF32, {tokens, d}, 3);
          std::vector<int32_t> slots = SlotsOf(kind, tokens);
          Caches expected(DType::kI8, true, d);
          Unfused(qkv, cos, sin, expected, slots, nullptr, d, kernels);
          for (int threads : {1, 3}) {
            Caches found(DType::kI8, true, d);
            Run("QkvRopeCache", RopeParam(d),
                {qkv.tensor(), found.keys, found.values, Ints(slots), cos.tensor(), sin.tensor()}, kernels, threads,
                {{1, found.keys}, {2, found.values}});
            CHECK(found.Same(expected));
          }
        }
  });
}

void HeadNormsAreRoundedOnceWithTheRotation() {
  ForKernels([](const KernelTable& kernels) {
    for (DType dtype : kFloats) {
      constexpr int64_t d = 24, tokens = 50;
      Numbers qkv(dtype, {tokens, Width(d)}, 1), cos(dtype, {tokens, d}, 2), sin(dtype, {tokens, d}, 3);
      Numbers q_gamma(dtype, {d}, 4), k_gamma(dtype, {d}, 5);
      Numbers* gammas[] = {&q_gamma, &k_gamma};
      std::vector<int32_t> slots = SlotsOf("in order", tokens);
      Caches expected(dtype, false, d), found(dtype, false, d);
      const Value queries = Unfused(qkv, cos, sin, expected, slots, gammas, d, kernels);
      ParamObject param = RopeParam(d);
      param["normEpsilon"] = 1e-5;
      const std::vector<Tensor> in = {qkv.tensor(), found.keys,   found.values,     Ints(slots),
                                      cos.tensor(), sin.tensor(), q_gamma.tensor(), k_gamma.tensor()};
      const Value made = Run("QkvRopeCache", param, in, kernels, 2, {{1, found.keys}, {2, found.values}})[0];
      // The unfused norm is rounded before the rotation, which adds two of its products.
      const double tolerance = 4 * Tolerance(dtype);
      CHECK(Distance(made.Numbers(), queries.Numbers()) <= tolerance);
      CHECK(Distance(found.plain[0].Numbers(), expected.plain[0].Numbers()) <= tolerance);
      CHECK(found.plain[1].bytes == expected.plain[1].bytes);
      if (dtype == DType::kF32) CHECK(made.bytes == queries.bytes && found.Same(expected));
    }
  });
}

void HeadsTakeEveryForm() {
  const NamedNorm gemma = Norms()[1];
  ForKernels([&](const KernelTable& kernels) {
    for (DType dtype : kFloats)
      for (int bits = 0; bits < 8; ++bits) {
        const bool norm = bits & 1, plus_one = bits & 2;
        const HeadForm form{.rotate = (bits & 4) != 0, .norm = plus_one ? &gemma.param : &kNorm};
        if (!norm && plus_one) continue;
        constexpr int64_t d = 24, tokens = 50;
        Numbers qkv(dtype, {tokens, Width(d)}, 1), cos(dtype, {tokens, d}, 2), sin(dtype, {tokens, d}, 3);
        Numbers q_gamma(dtype, {d}, 4), k_gamma(dtype, {d}, 5);
        Numbers* gammas[] = {&q_gamma, &k_gamma};
        std::vector<int32_t> slots = SlotsOf("scattered", tokens);
        Caches expected(dtype, true, d), found(dtype, true, d);
        const Value queries = Unfused(qkv, cos, sin, expected, slots, norm ? gammas : nullptr, d, kernels, form);
        ParamObject param = RopeParam(d);
        std::vector<Tensor> in = {qkv.tensor(), found.keys, found.values, Ints(slots)};
        if (form.rotate) in.insert(in.end(), {cos.tensor(), sin.tensor()});
        if (!form.rotate) param["rotaryCoeff"] = 0;
        if (norm) {
          param["normEpsilon"] = 1e-5;
          param["normType"] = plus_one ? gemma.name : "rms";
          in.insert(in.end(), {q_gamma.tensor(), k_gamma.tensor()});
        }
        const Value made = Run("QkvRopeCache", param, in, kernels, 2, {{1, found.keys}, {2, found.values}})[0];
        // As above, where there are norm and rotation.
        CHECK(Distance(made.Numbers(), queries.Numbers()) <= 4 * Tolerance(dtype));
        if (dtype == DType::kF32 || !norm || !form.rotate)
          CHECK(made.bytes == queries.bytes && found.Same(expected));
      }
  });
}

void EachTakesOneBarrierInDecode() {
  const KernelTable& kernels = *kernels::Available()[0];
  constexpr int64_t batch = 32, k = 1024, d = 128;
  uint64_t barriers = 0;
  Numbers x(DType::kBF16, {batch, k}, 1), gamma(DType::kBF16, {k}, 2), w(DType::kBF16, {512, k}, 3);
  const PackedMatrix packed(w.tensor(), false);
  Run("FusedLinear", {{"normEpsilon", 1e-5}}, {x.tensor(), gamma.tensor(), packed.tensor()}, kernels, 2, {}, &barriers);
  CHECK(barriers == 1);

  Numbers qkv(DType::kBF16, {batch, Width(d)}, 1), cos(DType::kBF16, {batch, d}, 2), sin(DType::kBF16, {batch, d}, 3);
  Caches caches(DType::kBF16, true, d);
  std::vector<int32_t> slots = SlotsOf("scattered", batch);
  Run("QkvRopeCache", RopeParam(d), {qkv.tensor(), caches.keys, caches.values, Ints(slots), cos.tensor(), sin.tensor()},
      kernels, 2, {{1, caches.keys}, {2, caches.values}}, &barriers);
  CHECK(barriers == 1);
}

void QkvRopeCacheRefusesWhatDoesNotFit() {
  const KernelTable& kernels = kernels::Select("reference");
  constexpr int64_t d = 16;
  Numbers qkv(DType::kBF16, {2, Width(d)}, 1), other(DType::kBF16, {2, Width(d) + d}, 1), cos(DType::kBF16, {2, d}, 1);
  Numbers wide(DType::kBF16, {2, 2 * d}, 1);
  Caches caches(DType::kBF16, true, d), f32(DType::kF32, true, d), deep(DType::kBF16, true, 2 * d);
  std::vector<int32_t> slots = {0, 1}, three = {0, 1, 2}, beyond = {0, kBlocks * kBlockSize};
  const auto error = [&](Tensor x, Tensor table, Caches& cache, std::vector<int32_t>& at) {
    return ErrorOf([&] {
      Run("QkvRopeCache", RopeParam(d), {x, cache.keys, cache.values, Ints(at), table, table}, kernels, 1,
          {{1, cache.keys}, {2, cache.values}});
    });
  };
  CHECK(error(qkv.tensor(), cos.tensor(), caches, slots) == "nothing");
  CHECK(Has(error(other.tensor(), cos.tensor(), caches, slots), {"NATIVE_SHAPE_MISMATCH", "in0"}));
  CHECK(Has(error(qkv.tensor(), wide.tensor(), caches, slots), {"NATIVE_SHAPE_MISMATCH", "in4", "[2,16]"}));
  CHECK(Has(error(qkv.tensor(), cos.tensor(), f32, slots), {"NATIVE_DTYPE_MISMATCH", "in1"}));
  CHECK(Has(error(qkv.tensor(), cos.tensor(), deep, slots), {"NATIVE_SHAPE_MISMATCH", "in1"}));
  CHECK(Has(error(qkv.tensor(), cos.tensor(), caches, three), {"NATIVE_SHAPE_MISMATCH", "in3"}));
  CHECK(Has(error(qkv.tensor(), cos.tensor(), caches, beyond), {"NATIVE_VALUE_OUT_OF_RANGE", "in3", "192"}));
  for (const char* key : {"headNum", "kvHeadNum", "headDim"}) {
    ParamObject param = RopeParam(d);
    param.erase(key);
    CHECK(Has(ErrorOf([&] { CreateOperation("QkvRopeCache", param); }), {"NATIVE_PARAM_INVALID", key}));
  }
  ParamObject interleaved = RopeParam(d);
  ParamObject without_norm = RopeParam(d);
  without_norm["normType"] = "rms-plus-one";
  CHECK(Has(ErrorOf([&] { CreateOperation("QkvRopeCache", without_norm); }), {"NATIVE_PARAM_INVALID", "normType"}));
  interleaved["rotaryCoeff"] = 4;
  CHECK(Has(ErrorOf([&] { CreateOperation("QkvRopeCache", interleaved); }), {"NATIVE_PARAM_INVALID", "rotaryCoeff"}));
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
  RUN(RotatedKeysReachTheCacheBitForBit);
  RUN(RotatedKeysBecomeTheSameIntegers);
  RUN(HeadNormsAreRoundedOnceWithTheRotation);
  RUN(HeadsTakeEveryForm);
  RUN(EachTakesOneBarrierInDecode);
  RUN(QkvRopeCacheRefusesWhatDoesNotFit);
}
