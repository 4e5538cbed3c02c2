#include "ops/kv_tensor.h"

#include "ops/check.h"

namespace atb {

void RequireKvCache(const char* op, int input, const TensorDesc& desc, bool values) {
  const Layout own = values ? Layout::kValueCache : Layout::kKeyCache;
  if (desc.layout != own && desc.layout != Layout::kRowMajor) {
    const char* expected = values ? "a cache of values, or row-major" : "a cache of keys, or row-major";
    throw InputError("NATIVE_LAYOUT_MISMATCH", op, input, expected, ToString(desc));
  }
  if (!IsFloat(desc.dtype)) FailDType(op, input, "f32, f16 or bf16", desc);
  RequireRank(op, input, desc, 4, 4);
  if (desc.dim(1) < 1) FailShape(op, input, "of blocks of at least one slot", desc);
  if (desc.layout == own && desc.dim(1) % kernels::kMinBlockSize != 0)
    FailShape(op, input, "of blocks of a multiple of 32 slots", desc);
}

kernels::KvStore StoreOf(const Tensor& cache) {
  const TensorDesc& d = cache.desc;
  return {cache.data, d.dtype, d.layout == Layout::kValueCache, d.dim(0), d.dim(1), d.dim(2), d.dim(3)};
}

size_t KvCacheBytes(const TensorDesc& desc) {
  if (desc.layout == Layout::kRowMajor) return desc.Bytes();
  return static_cast<size_t>(StoreOf({desc, nullptr}).BlockBytes() * desc.dim(0));
}

}  // namespace atb
