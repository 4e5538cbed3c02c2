// The KV cache: its size, what ReshapeAndCache writes into it, and which caches attention reads.
#include <atomic>

#include "attention_layer.h"

namespace atb::test {
namespace {

void WritesOutOfOrderKeepTheirSlots() {
  ThreadPool pool(2);
  for (DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    const Heads heads{2, 1, 24};
    KvCache cache(SameCaches(1, 3, 32, 2, 24, dtype));
    for (const Tensor& t : {cache.Keys(0), cache.Values(0)}) std::memset(t.data, 0xFF, 3 * 32 * 2 * 24 * SizeOf(dtype));
    Prompt p(heads, dtype, 6, 5);
    // Offset 3 of block 1 before its offset 0, a token that is not cached, and a slot written twice.
    std::vector<int32_t> slots = {35, 32, -1, 33, 34, 34};
    Run(*CreateOperation("ReshapeAndCache", {}),
        {Floats(p.k, {6, 2, 24}), Floats(p.v, {6, 2, 24}), cache.Keys(0), cache.Values(0), Ints(slots)},
        {cache.Keys(0), cache.Values(0)}, kernels::Select(), pool);
    const int64_t token_of[] = {1, 3, 5, 0};
    for (bool values : {false, true}) {
      const kernels::KvStore store{(values ? cache.Values(0) : cache.Keys(0)).data, dtype, values, 3, 32, 2, 24};
      Array& rows = values ? p.v : p.k;
      for (int64_t head = 0; head < 2; ++head) {
        Array back(dtype, 32 * 24);
        kernels::ReadSlots(store, 32, head, back.data(), 24, 32);
        for (int64_t i = 0; i < 32 * 24; ++i) {
          const int64_t slot = i / 24;
          CHECK(back[i] == (slot < 4 ? rows[(token_of[slot] * 2 + head) * 24 + i % 24] : 0));
        }
      }
    }
  }
}

/// All heads of all caches, whatever their layout, and nothing beside the block.
void ABlockIsCopiedWhole() {
  for (DType dtype : {DType::kF32, DType::kBF16, DType::kI8}) {
    const KvCache cache(SameCaches(2, 4, 32, 3, 24, dtype));
    auto* bytes = cache.Keys(0).As<std::byte>();
    for (size_t i = 0; i < cache.bytes(); ++i) bytes[i] = static_cast<std::byte>((i * 2654435761u) >> 13);
    std::vector<std::byte> expected(bytes, bytes + cache.bytes());
    for (size_t i = 0; i < 2; ++i) {
      for (bool values : {false, true}) {
        const Tensor& tensor = values ? cache.Values(i) : cache.Keys(i);
        const auto size = static_cast<size_t>(kernels::KvStore{nullptr, dtype, values, 4, 32, 3, 24}.HeadBytes());
        std::byte* first = expected.data() + (tensor.As<std::byte>() - bytes);
        for (size_t head = 0; head < 3; ++head)
          std::memcpy(first + (4 * head + 3) * size, first + (4 * head + 1) * size, size);
      }
    }
    cache.CopyBlock(1, 3);
    CHECK(std::memcmp(bytes, expected.data(), expected.size()) == 0);
  }
}

/// Of a number of its own, and no copy of a sequence's block touches them.
void ACacheMayHaveBlocksOfItsOwn() {
  KvCacheOptions options = SameCaches(2, 4, 32, 1, 8, DType::kF32);
  options.caches[1].num_blocks = 2;
  const KvCache cache(options);
  CHECK(cache.bytes() == 2 * (4 + 2) * 32 * 8 * 4);
  CHECK(cache.Keys(1).desc.SameShape(TensorDesc(DType::kF32, {2, 32, 1, 8})));
  const size_t own = 2 * 32 * 8 * sizeof(float);
  for (const Tensor& tensor : {cache.Keys(1), cache.Values(1)}) std::memset(tensor.data, 1, own);
  std::memset(cache.Keys(0).data, 2, 32 * 8 * sizeof(float));
  cache.CopyBlock(0, 3);
  CHECK(cache.Keys(0).As<std::byte>()[3 * 32 * 8 * sizeof(float)] == std::byte{2});
  for (const Tensor& tensor : {cache.Keys(1), cache.Values(1)})
    for (size_t i = 0; i < own; ++i) CHECK(tensor.As<std::byte>()[i] == std::byte{1});
  options.caches[1].num_blocks = -1;
  CHECK(CodeOf([&] { KvCache refused(options); }) == "NATIVE_PARAM_INVALID");
}

/// Half of bf16's bytes, and a scale of 4 bytes for each token and head.
void IntegersTakeAByteEach() {
  const KvCache cache(SameCaches(2, 10, 128, 4, 64, DType::kI8));
  CHECK(cache.bytes() == 2 * 2 * 10 * 128 * 4 * (64 + 4));
  CHECK(cache.Keys(1).desc.dtype == DType::kI8 &&
        cache.Keys(1).desc.SameShape(TensorDesc(DType::kI8, {10, 128, 4, 64})));
  // Values are padded to 48, keys not.
  CHECK(KvCache(SameCaches(1, 3, 32, 2, 40, DType::kI8)).bytes() == 3 * 32 * 2 * (40 + 4 + 48 + 4));
}

void CachesAreSizedByTheirOptions() {
  std::atomic<int64_t> meter = 0;
  {
    KvCache cache(SameCaches(3, 10, 128, 4, 80, DType::kBF16), &meter);
    // Keys are padded to 96, values not.
    CHECK(cache.bytes() == 3 * 10 * 128 * 4 * (96 + 80) * 2 && meter == static_cast<int64_t>(cache.bytes()));
    CHECK(cache.Keys(2).desc.SameShape(TensorDesc(DType::kBF16, {10, 128, 4, 80})));
    CHECK(cache.Keys(0).desc.layout == Layout::kKeyCache && cache.Values(0).desc.layout == Layout::kValueCache);
    for (size_t i = 0; i < 3; ++i) {
      CHECK(reinterpret_cast<uintptr_t>(cache.Keys(i).data) % 64 == 0 &&
            reinterpret_cast<uintptr_t>(cache.Values(i).data) % 64 == 0);
    }
    const auto* last = cache.Values(2).As<std::byte>() + 10 * 128 * 4 * 80 * 2 - 1;
    CHECK(last - cache.Keys(0).As<std::byte>() + 1 == static_cast<int64_t>(cache.bytes()) && *last == std::byte{0});
  }
  CHECK(meter == 0);
  const auto code = [](int64_t layers, int64_t blocks, int64_t block_size, int64_t heads, int64_t size, DType dtype) {
    return CodeOf([&] { KvCache cache(SameCaches(layers, blocks, block_size, heads, size, dtype)); });
  };
  CHECK(code(1, 0, 32, 1, 8, DType::kF32) == "NATIVE_PARAM_INVALID");
  CHECK(code(1, -1, 32, 1, 8, DType::kF32) == "NATIVE_PARAM_INVALID");
  CHECK(code(1, 1, 48, 1, 8, DType::kF32) == "NATIVE_PARAM_INVALID");
  CHECK(code(1, 1, 32, 0, 8, DType::kF32) == "NATIVE_PARAM_INVALID");
  CHECK(code(1, 1, 32, 1, 12, DType::kF32) == "NATIVE_PARAM_INVALID");
  CHECK(code(1, 1, 32, 1, 584, DType::kF32) == "NATIVE_PARAM_INVALID");
  CHECK(code(1, 1, 32, 1, 8, DType::kI32) == "NATIVE_PARAM_INVALID");
  CHECK(code(1, 1 << 30, 1 << 30, 1 << 30, 256, DType::kF32) == "NATIVE_SIZE_OVERFLOW");
  CHECK(code(1 << 10, 1 << 20, 1 << 10, 8, 128, DType::kF32) == "NATIVE_OUT_OF_MEMORY");
}

void EachCacheHasItsOwnSize() {
  const KvCacheOptions options{
      .num_blocks = 4,
      .block_size = 64,
      .dtype = DType::kF32,
      .caches = {{"wide", "wide_values", 2, 192, 128}, {"narrow", "narrow_values", 1, 16, 24}}};
  const KvCache cache(options);
  CHECK(cache.bytes() == 4 * 64 * 4 * (2 * (192 + 128) + 16 + 24));
  CHECK(cache.Keys(0).desc.SameShape(TensorDesc(DType::kF32, {4, 64, 2, 192})));
  CHECK(cache.Values(0).desc.SameShape(TensorDesc(DType::kF32, {4, 64, 2, 128})));
  CHECK(cache.Keys(1).desc.SameShape(TensorDesc(DType::kF32, {4, 64, 1, 16})));
  CHECK(cache.Values(1).desc.SameShape(TensorDesc(DType::kF32, {4, 64, 1, 24})));
  const Tensor* tensors[] = {&cache.Keys(0), &cache.Values(0), &cache.Keys(1), &cache.Values(1)};
  for (size_t i = 0; i + 1 < 4; ++i)
    CHECK(tensors[i]->As<std::byte>() + tensors[i]->desc.Bytes() == tensors[i + 1]->As<std::byte>());
}

KvCacheOptions Latent(DType dtype) {
  return {.num_blocks = 3, .block_size = 32, .dtype = dtype, .caches = {{"latent", std::nullopt, 1, 576, 512}}};
}

void ValuesThatAreAPartOfTheKeysTakeNoMemory() {
  const KvCache cache(Latent(DType::kBF16));
  CHECK(cache.bytes() == 3 * 32 * 576 * 2);
  CHECK(cache.Keys(0).data != nullptr && cache.Values(0).data == nullptr);
  KvCacheOptions longer = Latent(DType::kBF16);
  longer.caches[0].value_size = 584;
  CHECK(CodeOf([&] { KvCache cannot(longer); }) == "NATIVE_PARAM_INVALID");
}

void AModelMayHaveNoCaches() {
  std::atomic<int64_t> meter = 0;
  const KvCache none({.num_blocks = 1, .block_size = 32, .dtype = DType::kF32, .caches = {}}, &meter);
  CHECK(none.bytes() == 0 && meter == 0);
}

void NamesAreGivenOnce() {
  const auto code = [](std::vector<KvCacheDesc> caches) {
    return CodeOf([&] { KvCache({.num_blocks = 1, .block_size = 32, .dtype = DType::kF32, .caches = caches}); });
  };
  CHECK(code({{"k", "v", 1, 8, 8}, {"k2", "v2", 1, 8, 8}}) == "nothing");
  CHECK(code({{"k", "k", 1, 8, 8}}) == "NATIVE_PARAM_INVALID");
  CHECK(code({{"k", "v", 1, 8, 8}, {"k2", "v", 1, 8, 8}}) == "NATIVE_PARAM_INVALID");
  CHECK(code({{"k", "v", 1, 8, 8}, {"v", std::nullopt, 1, 8, 8}}) == "NATIVE_PARAM_INVALID");
  CHECK(code({{"", "v", 1, 8, 8}}) == "NATIVE_PARAM_INVALID");
  CHECK(code({{"k", "", 1, 8, 8}}) == "NATIVE_PARAM_INVALID");
}

/// Keys as large as MLA's beside values of another size: each row lies where it was put, and nothing else changes.
void KeysAndValuesOfDifferentSizesAreWritten() {
  ThreadPool pool(2);
  for (const KernelTable* kernels : kernels::Available()) {
    for (DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
      for (DType stored : {dtype, DType::kI8}) {
        KvCacheOptions options = Latent(stored);
        options.caches[0].value = "values";
        options.caches[0].value_size = 40;
        const KvCache cache(options);
        Random random(3);
        Array k = Normal(random, dtype, 2 * 576, 1.0f);
        Array v = Normal(random, dtype, 2 * 40, 1.0f);
        std::vector<int32_t> slots = {70, 32};
        Run(*CreateOperation("ReshapeAndCache", {}),
            {Floats(k, {2, 1, 576}), Floats(v, {2, 1, 40}), cache.Keys(0), cache.Values(0), Ints(slots)},
            {cache.Keys(0), cache.Values(0)}, *kernels, pool);
        for (bool values : {false, true}) {
          const Tensor& tensor = values ? cache.Values(0) : cache.Keys(0);
          const int64_t size = values ? 40 : 576;
          Array& rows = values ? v : k;
          const kernels::KvStore store{tensor.data, stored, values, 3, 32, 1, size};
          for (int64_t slot = 0; slot < 96; ++slot) {
            const int64_t row = slot == 70 ? 0 : slot == 32 ? 1 : -1;
            Array back(dtype, size);
            std::vector<int8_t> integers(static_cast<size_t>(size));
            float scale = 0;
            if (stored == DType::kI8) {
              kernels::ReadIntegers(store, slot, 0, integers.data(), size, &scale, 1);
            } else {
              kernels::ReadSlots(store, slot, 0, back.data(), size, 1);
            }
            for (int64_t d = 0; d < size; ++d) {
              const float expected = row < 0 ? 0 : rows[row * size + d];
              if (stored == DType::kI8) {
                CHECK(std::abs(scale * integers[static_cast<size_t>(d)] - expected) <= scale * 0.501f);
              } else {
                CHECK(back[d] == expected);
              }
            }
          }
        }
      }
    }
  }
}

/// Attention's kernels want keys and values of one size, or values that are parts of keys: other caches are refused
/// before anything is read.
void AttentionRefusesCachesThatItsKernelsCannotRead() {
  ThreadPool pool(1);
  const KernelTable& kernels = kernels::Select("reference");
  const auto paged = [&](const Tensor& keys, const Tensor& values, int64_t size) {
    const int64_t value_size = values.desc.dim(3);
    Array q(DType::kF32, size), out(DType::kF32, value_size);
    std::vector<int32_t> table = {0}, context = {1};
    return CodeOf([&] {
      Run(*CreateOperation("PagedAttention", {{"headNum", 1}, {"kvHeadNum", 1}, {"qkScale", 1}}),
          {Floats(q, {1, 1, size}), keys, values, Ints(table, {1, 1}), Ints(context)},
          {Floats(out, {1, 1, value_size})}, kernels, pool);
    });
  };
  const KvCacheOptions options{.num_blocks = 1,
                               .block_size = 32,
                               .dtype = DType::kF32,
                               .caches = {{"k", "v", 1, 16, 16},
                                          {"k2", "v2", 1, 24, 16},
                                          {"k3", "v3", 1, 576, 576},
                                          {"k4", "v4", 2, 16, 16},
                                          {"latent", {}, 1, 16, 8}}};
  const KvCache cache(options);
  CHECK(paged(cache.Keys(0), cache.Values(0), 16) == "nothing");
  CHECK(paged(cache.Keys(1), cache.Values(1), 24) == "nothing");
  CHECK(paged(cache.Keys(1), cache.Values(1), 16) == "NATIVE_SHAPE_MISMATCH");
  CHECK(paged(cache.Keys(2), cache.Values(2), 576) == "nothing");
  CHECK(paged(cache.Keys(0), cache.Values(3), 16) == "NATIVE_SHAPE_MISMATCH");
  CHECK(paged(cache.Keys(4), cache.Keys(4), 16) == "NATIVE_LAYOUT_MISMATCH");

  Array q(DType::kF32, 24), k(DType::kF32, 16), v(DType::kF32, 24), out(DType::kF32, 24);
  std::vector<int32_t> lengths = {1};
  const ParamObject prefill = {{"headNum", 1}, {"kvHeadNum", 1}, {"qkScale", 1}, {"calcType", "PA_ENCODER"}};
  CHECK(CodeOf([&] {
          Run(*CreateOperation("SelfAttention", prefill),
              {Floats(q, {1, 1, 24}), Floats(k, {1, 1, 16}), Floats(v, {1, 1, 24}), Ints(lengths)},
              {Floats(out, {1, 1, 24})}, kernels, pool);
        }) == "NATIVE_SHAPE_MISMATCH");
}

}  // namespace
}  // namespace atb::test

int main() {
  using namespace atb::test;
  RUN(WritesOutOfOrderKeepTheirSlots);
  RUN(CachesAreSizedByTheirOptions);
  RUN(IntegersTakeAByteEach);
  RUN(ABlockIsCopiedWhole);
  RUN(ACacheMayHaveBlocksOfItsOwn);
  RUN(EachCacheHasItsOwnSize);
  RUN(ValuesThatAreAPartOfTheKeysTakeNoMemory);
  RUN(AModelMayHaveNoCaches);
  RUN(NamesAreGivenOnce);
  RUN(KeysAndValuesOfDifferentSizesAreWritten);
  RUN(AttentionRefusesCachesThatItsKernelsCannotRead);
  return 0;
}
