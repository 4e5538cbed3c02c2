// The KV cache: its size, and what ReshapeAndCache writes into it.
#include <atomic>

#include "attention_layer.h"

namespace atb::test {
namespace {

void WritesOutOfOrderKeepTheirSlots() {
  ThreadPool pool(2);
  for (DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    const Heads heads{2, 1, 24};
    KvCache cache({1, 3, 32, 2, 24, dtype});
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

/// Half of bf16's bytes, and a scale of 4 bytes for each token and head.
void IntegersTakeAByteEach() {
  const KvCache cache({2, 10, 128, 4, 64, DType::kI8});
  CHECK(cache.bytes() == 2 * 2 * 10 * 128 * 4 * (64 + 4));
  CHECK(cache.Keys(1).desc.dtype == DType::kI8 && cache.Keys(1).desc.SameShape(TensorDesc(DType::kI8, {10, 128, 4, 64})));
  // Values are padded to 48, keys not.
  CHECK(KvCache({1, 3, 32, 2, 40, DType::kI8}).bytes() == 3 * 32 * 2 * (40 + 4 + 48 + 4));
}

void CachesAreSizedByTheirOptions() {
  std::atomic<int64_t> meter = 0;
  {
    KvCache cache({3, 10, 128, 4, 80, DType::kBF16}, &meter);
    // Keys are padded to 96, values not.
    CHECK(cache.bytes() == 3 * 10 * 128 * 4 * (96 + 80) * 2 && meter == static_cast<int64_t>(cache.bytes()));
    CHECK(cache.Keys(2).desc.SameShape(TensorDesc(DType::kBF16, {10, 128, 4, 80})));
    CHECK(cache.Keys(0).desc.layout == Layout::kKeyCache && cache.Values(0).desc.layout == Layout::kValueCache);
    for (int64_t i = 0; i < 3; ++i) {
      CHECK(reinterpret_cast<uintptr_t>(cache.Keys(i).data) % 64 == 0 &&
            reinterpret_cast<uintptr_t>(cache.Values(i).data) % 64 == 0);
    }
    const auto* last = cache.Values(2).As<std::byte>() + 10 * 128 * 4 * 80 * 2 - 1;
    CHECK(last - cache.Keys(0).As<std::byte>() + 1 == static_cast<int64_t>(cache.bytes()) && *last == std::byte{0});
  }
  CHECK(meter == 0);
  const auto code = [](KvCacheOptions o) { return CodeOf([&] { KvCache cache(o); }); };
  CHECK(code({0, 1, 32, 1, 8, DType::kF32}) == "NATIVE_PARAM_INVALID");
  CHECK(code({1, -1, 32, 1, 8, DType::kF32}) == "NATIVE_PARAM_INVALID");
  CHECK(code({1, 1, 48, 1, 8, DType::kF32}) == "NATIVE_PARAM_INVALID");
  CHECK(code({1, 1, 32, 1, 12, DType::kF32}) == "NATIVE_PARAM_INVALID");
  CHECK(code({1, 1, 32, 1, 264, DType::kF32}) == "NATIVE_PARAM_INVALID");
  CHECK(code({1, 1, 32, 1, 8, DType::kI32}) == "NATIVE_PARAM_INVALID");
  CHECK(code({1 << 30, 1 << 30, 1 << 30, 1 << 30, 256, DType::kF32}) == "NATIVE_SIZE_OVERFLOW");
  CHECK(code({1 << 20, 1 << 10, 1 << 10, 8, 128, DType::kF32}) == "NATIVE_OUT_OF_MEMORY");
}

}  // namespace
}  // namespace atb::test

int main() {
  using namespace atb::test;
  RUN(WritesOutOfOrderKeepTheirSlots);
  RUN(CachesAreSizedByTheirOptions);
  RUN(IntegersTakeAByteEach);
  return 0;
}
