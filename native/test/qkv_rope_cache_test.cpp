// QkvRopeCache against the operations that it stands for.
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "caches.h"
#include "fused_fixture.h"
#include "kernels/kv_pack.h"

namespace atb::test {
namespace {

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
    const kernels::KvStore store{
        t.data, t.desc.dtype, t.desc.layout == Layout::kValueCache, kBlocks, kBlockSize, kKvHeads, d};
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
  std::vector<Value> parts =
      Run("Split", {{"splitDim", 1}, {"splitNum", 3}, {"splitSizes", sizes}}, {qkv.tensor()}, kernels, 1);
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
  ForEachTable([](const KernelTable& kernels) {
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
                        {qkv.tensor(), found.keys, found.values, Ints(slots), cos.tensor(), sin.tensor()}, kernels,
                        threads, {{1, found.keys}, {2, found.values}});
                CHECK(SameDesc(made[0].desc, queries.desc) && made[0].bytes == queries.bytes);
                CHECK(found.Same(expected));
              }
            }
  });
}

/// In f32, where nothing is rounded between the operations.
void RotatedKeysBecomeTheSameIntegers() {
  ForEachTable([](const KernelTable& kernels) {
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
  ForEachTable([](const KernelTable& kernels) {
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
  ForEachTable([&](const KernelTable& kernels) {
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
        if (dtype == DType::kF32 || !norm || !form.rotate) CHECK(made.bytes == queries.bytes && found.Same(expected));
      }
  });
}

void QkvRopeCacheTakesOneBarrierInDecode() {
  const KernelTable& kernels = *kernels::Available()[0];
  constexpr int64_t batch = 32, d = 128;
  uint64_t barriers = 0;
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
  RUN(RotatedKeysReachTheCacheBitForBit);
  RUN(RotatedKeysBecomeTheSameIntegers);
  RUN(HeadNormsAreRoundedOnceWithTheRotation);
  RUN(HeadsTakeEveryForm);
  RUN(QkvRopeCacheTakesOneBarrierInDecode);
  RUN(QkvRopeCacheRefusesWhatDoesNotFit);
}
