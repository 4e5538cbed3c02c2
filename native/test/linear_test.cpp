// The Linear operation: its forms against sums in double, what it refuses, and the same bits from any number of
// threads.
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "check.h"
#include "floats.h"
#include "kernels/convert.h"
#include "kernels/dispatch.h"
#include "kernels/pack.h"
#include "ops/operation.h"
#include "random.h"

namespace atb {
namespace {

using kernels::KernelTable;
using kernels::LoadFloat;
using kernels::StoreFloat;

/// Memory of exactly a tensor's size, 64-byte aligned in front.
struct Buffer {
  explicit Buffer(TensorDesc desc, uint32_t seed = 0) : memory(desc.Bytes() + 64) {
    auto address = reinterpret_cast<uintptr_t>(memory.data());
    tensor = {desc, memory.data() + (64 - address % 64) % 64};
    if (seed == 0) return;
    int64_t i = 0;
    for (float x : test::Uniform<float>(desc.Elements(), -1, 1, seed)) StoreFloat(tensor.data, desc.dtype, i++, x);
  }
  float operator[](int64_t i) const { return LoadFloat(tensor.data, tensor.desc.dtype, i); }

  std::vector<std::byte> memory;
  Tensor tensor;
};

/// A matrix [n, k] as it is packed, or matrices [b, n, k] one behind the other.
struct PackedBuffer {
  explicit PackedBuffer(const Buffer& source)
      : weight(kernels::PackedGeometry(kernels::FormatOf(source.tensor.desc.dtype), source.tensor.desc.dim(-2),
                                       source.tensor.desc.dim(-1))),
        memory(TensorDesc(DType::kU8, {Matrices(source) * kernels::PackedBytes(weight)})) {
    const int64_t matrix = weight.n * weight.k * static_cast<int64_t>(SizeOf(source.tensor.desc.dtype));
    for (int64_t i = 0; i < Matrices(source); ++i) {
      kernels::PackRows(weight, memory.tensor.As<std::byte>() + i * kernels::PackedBytes(weight), 0, weight.n,
                        {source.tensor.As<std::byte>() + i * matrix, source.tensor.desc.dtype, weight.k});
    }
    weight.data = memory.tensor.data;
    tensor = {source.tensor.desc, &weight};
    tensor.desc.layout = Layout::kPackedLinear;
  }
  static int64_t Matrices(const Buffer& source) { return source.tensor.desc.rank == 3 ? source.tensor.desc.dim(0) : 1; }

  kernels::PackedWeight weight;
  Buffer memory;
  Tensor tensor;
};

/// Runs an operation as the graph does and hands back its output.
Buffer Run(const ParamObject& param, const std::vector<Tensor>& in, const KernelTable& table, int threads = 2) {
  const auto op = CreateOperation("Linear", param);
  CHECK(op->NumInputs() == static_cast<int>(in.size()) && op->NumOutputs() == 1);
  std::vector<TensorDesc> descs;
  for (const Tensor& t : in) descs.push_back(t.desc);
  std::array<TensorDesc, 1> out_desc;
  op->InferShape(descs, out_desc);
  Buffer out(out_desc[0]);
  const auto bytes = static_cast<int64_t>(op->WorkspaceBytes(descs, threads, table));
  constexpr int64_t kGuard = 64;
  Buffer workspace(TensorDesc(DType::kU8, {bytes + kGuard}));
  std::memset(workspace.tensor.data, 0xFF, static_cast<size_t>(bytes + kGuard));
  ThreadPool pool(threads);
  op->Execute(in, std::array{out.tensor}, {table, pool, workspace.tensor.As<std::byte>()});
  for (int64_t i = bytes; i < bytes + kGuard; ++i) CHECK(workspace.tensor.As<uint8_t>()[i] == 0xFF);
  return out;
}

bool SameBits(const Buffer& a, const Buffer& b) {
  return a.tensor.desc.SameShape(b.tensor.desc) && a.tensor.desc.dtype == b.tensor.desc.dtype &&
         std::memcmp(a.tensor.data, b.tensor.data, a.tensor.desc.Bytes()) == 0;
}

/// One output is sum over i of x[x_first + i * x_step] * w[w_first + i * w_step] + bias.
void CheckOutput(double got, const Buffer& x, int64_t x_first, int64_t x_step, const Buffer& w, int64_t w_first,
                 int64_t w_step, int64_t k, double bias, DType out) {
  double sum = bias, magnitude = std::fabs(bias);
  for (int64_t i = 0; i < k; ++i) {
    const double product = static_cast<double>(x[x_first + i * x_step]) * w[w_first + i * w_step];
    sum += product;
    magnitude += std::fabs(product);
  }
  // f32 sums of k products (a random walk of half units, see gemm_test), then one rounding to the output's dtype.
  const double unit = out == DType::kF32 ? 0x1p-24 : out == DType::kF16 ? 0x1p-11 : 0x1p-8;
  CHECK(std::fabs(got - sum) <=
        (8 + std::sqrt(static_cast<double>(k))) * 0x1p-24 * magnitude + unit * std::fabs(sum) + 0x1p-25);
}

void ForEachTableAndDType(const std::function<void(const KernelTable&, DType)>& f) {
  for (const KernelTable* table : kernels::Available()) {
    for (DType dtype : kFloats) f(*table, dtype);
  }
}

void PlainAndPackedWeightsGiveTheSameBits() {
  ForEachTableAndDType([](const KernelTable& table, DType dtype) {
    for (int64_t m : {1, 5, 33, 70}) {
      const int64_t n = 100, k = 65;
      const Buffer x(TensorDesc(dtype, {m, k}), 1), w(TensorDesc(dtype, {n, k}), 2), bias(TensorDesc(dtype, {n}), 3);
      const PackedBuffer packed(w);
      const Buffer plain = Run({}, {x.tensor, w.tensor, bias.tensor}, table);
      CHECK(plain.tensor.desc.dtype == dtype && plain.tensor.desc.dim(0) == m && plain.tensor.desc.dim(1) == n);
      CHECK(SameBits(plain, Run({}, {x.tensor, packed.tensor, bias.tensor}, table)));
      for (int64_t r = 0; r < m; ++r) {
        for (int64_t j = 0; j < n; ++j) CheckOutput(plain[r * n + j], x, r * k, 1, w, j * k, 1, k, bias[j], dtype);
      }
      // Logits: f32 out of 16-bit inputs. A bias may be f32 whatever x is, and [1, n].
      const Buffer bias_f32(TensorDesc(DType::kF32, {1, n}), 4);
      const Buffer wide = Run({{"outDataType", "ACL_FLOAT"}}, {x.tensor, packed.tensor, bias_f32.tensor}, table);
      CHECK(wide.tensor.desc.dtype == DType::kF32);
      for (int64_t j = 0; j < n; ++j) CheckOutput(wide[j], x, 0, 1, w, j * k, 1, k, bias_f32[j], DType::kF32);
    }
  });
}

void MatricesOfBatchesMayBeSmall() {
  ForEachTableAndDType([](const KernelTable& table, DType dtype) {
    const int64_t batches = 3, m = 4;
    // On both sides of the depth up to which they are not packed, and wider than what is summed at a time.
    for (int64_t k : {1, 4, 16, 17}) {
      for (int64_t n : {7, 1030}) {
        const Buffer x(TensorDesc(dtype, {batches, m, k}), 1), w(TensorDesc(dtype, {batches, k, n}), 2);
        const ParamObject param{{"hasBias", false}, {"transposeB", false}};
        const Buffer out = Run(param, {x.tensor, w.tensor}, table, 1);
        for (int64_t r = 0; r < batches * m; ++r) {
          const int64_t first = r / m * k * n;
          for (int64_t j = 0; j < n; ++j) CheckOutput(out[r * n + j], x, r * k, 1, w, first + j, n, k, 0, dtype);
        }
        CHECK(SameBits(out, Run(param, {x.tensor, w.tensor}, table, 3)));
        // The first of them alone.
        const Tensor x_alone{TensorDesc(dtype, {1, m, k}), x.tensor.data};
        const Tensor w_alone{TensorDesc(dtype, {1, k, n}), w.tensor.data};
        const Buffer alone = Run(param, {x_alone, w_alone}, table);
        for (int64_t i = 0; i < m * n; ++i) CHECK(alone[i] == out[i]);
      }
    }
  });
}

void ThreadsDoNotChangeABit() {
  ForEachTableAndDType([](const KernelTable& table, DType dtype) {
    for (int64_t m : {1, 40, 600}) {
      if (std::string(table.isa) == "reference" && m > 100) continue;
      const Buffer x(TensorDesc(dtype, {m, 96}), 1), w(TensorDesc(dtype, {80, 96}), 2);
      const ParamObject param{{"hasBias", false}};
      const Buffer one = Run(param, {x.tensor, w.tensor}, table, 1);
      for (int threads : {2, 3, 8}) CHECK(SameBits(one, Run(param, {x.tensor, w.tensor}, table, threads)));
    }
  });
}

void TransposedOperandsAreTakenAsTheyLie() {
  ForEachTableAndDType([](const KernelTable& table, DType dtype) {
    const int64_t m = 7, n = 33, k = 40;
    const Buffer x(TensorDesc(dtype, {k, m}), 1), w(TensorDesc(dtype, {k, n}), 2);
    const ParamObject param{{"transposeA", true}, {"transposeB", false}, {"hasBias", false}};
    const Buffer y = Run(param, {x.tensor, w.tensor}, table);
    CHECK(y.tensor.desc.dim(0) == m && y.tensor.desc.dim(1) == n);
    for (int64_t r = 0; r < m; ++r) {
      for (int64_t j = 0; j < n; ++j) CheckOutput(y[r * n + j], x, r, m, w, j, n, k, 0, dtype);
    }
  });
}

void BatchesShareAWeightOrBringTheirOwn() {
  ForEachTableAndDType([](const KernelTable& table, DType dtype) {
    const int64_t b = 3, m = 5, n = 20, k = 17;
    for (bool own : {false, true}) {
      for (bool transposed : {false, true}) {
        const Buffer x(transposed ? TensorDesc(dtype, {b, k, m}) : TensorDesc(dtype, {b, m, k}), 1);
        const Buffer w(own ? TensorDesc(dtype, {b, n, k}) : TensorDesc(dtype, {n, k}), 2);
        const Buffer y = Run({{"hasBias", false}, {"transposeA", transposed}}, {x.tensor, w.tensor}, table);
        CHECK(y.tensor.desc.rank == 3 && y.tensor.desc.dim(0) == b && y.tensor.desc.dim(1) == m &&
              y.tensor.desc.dim(2) == n);
        for (int64_t i = 0; i < b; ++i) {
          for (int64_t r = 0; r < m; ++r) {
            const int64_t first = i * m * k + (transposed ? r : r * k);
            for (int64_t j = 0; j < n; ++j) {
              const int64_t row = (own ? i * n : 0) + j;
              CheckOutput(y[(i * m + r) * n + j], x, first, transposed ? m : 1, w, row * k, 1, k, 0, dtype);
            }
          }
        }
      }
    }
  });
}

/// Packed matrices of batches, one behind the other: batches of x in front, or behind its rows, as ATB's einsum has
/// them.
void PackedBatchesAreMultipliedWhereTheyLie() {
  ForEachTableAndDType([](const KernelTable& table, DType dtype) {
    const int64_t b = 3, n = 44, k = 24;
    for (int64_t m : {1, 5, 300}) {
      if (std::string(table.isa) == "reference" && m > 100) continue;
      const Buffer x(TensorDesc(dtype, {b, m, k}), 1), w(TensorDesc(dtype, {b, n, k}), 2);
      const PackedBuffer packed(w);
      const ParamObject bare{{"hasBias", false}};
      const Buffer plain = Run(bare, {x.tensor, w.tensor}, table);
      const Buffer in_front = Run(bare, {x.tensor, packed.tensor}, table);
      CHECK(SameBits(plain, in_front));
      Buffer swapped(TensorDesc(dtype, {m, b, k}));
      for (int64_t i = 0; i < b * m * k; ++i)
        StoreFloat(swapped.tensor.data, dtype, ((i / k % m) * b + i / k / m) * k + i % k, x[i]);
      const ParamObject einsum{{"hasBias", false}, {"matmulType", "MATMUL_EIN_SUM"}};
      for (int threads : {1, 2, 7}) {
        const Buffer y = Run(einsum, {swapped.tensor, packed.tensor}, table, threads);
        CHECK(y.tensor.desc.SameShape(TensorDesc(dtype, {m, b, n})));
        for (int64_t i = 0; i < b * m * n; ++i) CHECK(y[((i / n % m) * b + i / n / m) * n + i % n] == plain[i]);
      }
    }
  });
}

void AccumulationAddsToAnF32Tensor() {
  for (const KernelTable* table : kernels::Available()) {
    const int64_t m = 4, n = 18, k = 32;
    const Buffer x(TensorDesc(DType::kBF16, {m, k}), 1), w(TensorDesc(DType::kBF16, {n, k}), 2);
    const Buffer sum(TensorDesc(DType::kF32, {m, n}), 3);
    const ParamObject param{{"hasBias", false}, {"enAccum", true}};
    const Buffer y = Run(param, {x.tensor, w.tensor, sum.tensor}, *table);
    CHECK(y.tensor.desc.dtype == DType::kF32);
    for (int64_t r = 0; r < m; ++r) {
      for (int64_t j = 0; j < n; ++j)
        CheckOutput(y[r * n + j], x, r * k, 1, w, j * k, 1, k, sum[r * n + j], DType::kF32);
    }
    CHECK(CreateOperation("Linear", param)->InPlace(2, 0));
  }
  CHECK(!CreateOperation("Linear", {})->InPlace(0, 0));
}

void NoRowsAreNoWork() {
  const Buffer x(TensorDesc(DType::kF32, {0, 8})), w(TensorDesc(DType::kF32, {4, 8}), 1);
  CHECK(Run({{"hasBias", false}}, {x.tensor, w.tensor}, kernels::Select()).tensor.desc.Elements() == 0);
}

std::string CodeOf(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    CHECK(std::strncmp(e.what(), "Linear: ", 8) == 0);
    return e.code();
  }
  return "";
}

void WrongParamsAreRefused() {
  const auto code = [](const ParamObject& param) { return CodeOf([&] { CreateOperation("Linear", param); }); };
  CHECK(code({}).empty());
  CHECK(code({{"outDataType", "ACL_DT_UNDEFINED"}}).empty());
  CHECK(code({{"outDataType", "ACL_INT8"}}) == "NATIVE_PARAM_INVALID");
  // These mean int8 inputs with scales.
  for (const char* type : {"ACL_FLOAT16", "ACL_BF16"}) {
    CHECK(code({{"outDataType", type}}).empty());
    CHECK(code({{"outDataType", type}, {"transposeA", true}}) == "NATIVE_PARAM_INVALID");
    CHECK(code({{"outDataType", type}, {"matmulType", "MATMUL_EIN_SUM"}, {"hasBias", false}}) ==
          "NATIVE_PARAM_INVALID");
  }
  CHECK(code({{"enAccum", true}}) == "NATIVE_PARAM_INVALID");  // hasBias is true by default.
  CHECK(code({{"transposeB", 1}}) == "NATIVE_PARAM_INVALID");
  CHECK(code({{"transposeC", true}}) == "NATIVE_PARAM_INVALID");
  CHECK(code({{"matmulType", "MATMUL_EIN_SUM"}}) == "NATIVE_PARAM_INVALID");  // hasBias is true by default.
  CHECK(code({{"matmulType", "MATMUL_EIN_SUM"}, {"hasBias", false}}).empty());
}

void WrongShapesAndDtypesAreRefused() {
  const auto code = [](const ParamObject& param, const std::vector<TensorDesc>& in) {
    return CodeOf([&] {
      std::array<TensorDesc, 1> out;
      CreateOperation("Linear", param)->InferShape(in, out);
    });
  };
  const DType b = DType::kBF16, f = DType::kF32;
  const ParamObject bare{{"hasBias", false}};
  CHECK(code(bare, {{b, {2, 8}}, {b, {4, 8}}}).empty());
  CHECK(code(bare, {{b, {2, 8}}, {b, {8, 4}}}) == "NATIVE_SHAPE_MISMATCH");
  CHECK(code(bare, {{b, {2, 8}}, {f, {4, 8}}}) == "NATIVE_DTYPE_MISMATCH");
  CHECK(code(bare, {{DType::kI8, {2, 8}}, {DType::kI8, {4, 8}}}) == "NATIVE_DTYPE_MISMATCH");
  CHECK(code(bare, {{b, {8}}, {b, {4, 8}}}) == "NATIVE_SHAPE_MISMATCH");
  CHECK(code(bare, {{b, {2, 8}}, {b, {3, 4, 8}}}) == "NATIVE_SHAPE_MISMATCH");
  CHECK(code(bare, {{b, {2, 5, 8}}, {b, {3, 4, 8}}}) == "NATIVE_SHAPE_MISMATCH");
  CHECK(code(bare, {{b, {2, 0}}, {b, {4, 0}}}) == "NATIVE_SHAPE_MISMATCH");
  CHECK(code({}, {{b, {2, 8}}, {b, {4, 8}}, {b, {5}}}) == "NATIVE_SHAPE_MISMATCH");
  CHECK(code({}, {{b, {2, 8}}, {b, {4, 8}}, {DType::kF16, {4}}}) == "NATIVE_DTYPE_MISMATCH");
  CHECK(code({}, {{b, {3, 2, 8}}, {b, {3, 4, 8}}, {b, {4}}}) == "NATIVE_SHAPE_MISMATCH");
  CHECK(code({{"hasBias", false}, {"enAccum", true}}, {{b, {2, 8}}, {b, {4, 8}}, {b, {2, 4}}}) ==
        "NATIVE_DTYPE_MISMATCH");
  TensorDesc keys(b, {1, 32, 1, 8});
  keys.layout = Layout::kKeyCache;
  CHECK(code(bare, {keys, {b, {4, 8}}}) == "NATIVE_LAYOUT_MISMATCH");
}

}  // namespace
}  // namespace atb

int main() {
  using namespace atb;
  RUN(PlainAndPackedWeightsGiveTheSameBits);
  RUN(MatricesOfBatchesMayBeSmall);
  RUN(ThreadsDoNotChangeABit);
  RUN(TransposedOperandsAreTakenAsTheyLie);
  RUN(BatchesShareAWeightOrBringTheirOwn);
  RUN(PackedBatchesAreMultipliedWhereTheyLie);
  RUN(AccumulationAddsToAnF32Tensor);
  RUN(NoRowsAreNoWork);
  RUN(WrongParamsAreRefused);
  RUN(WrongShapesAndDtypesAreRefused);
  return 0;
}
