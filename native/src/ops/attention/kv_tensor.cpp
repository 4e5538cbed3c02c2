#include "ops/attention/kv_tensor.h"

#include <algorithm>

#include "base/align.h"
#include "ops/check.h"

namespace atb {
namespace {

/// How many rows become integers at a time.
constexpr int64_t kIntegersRun = 32;

int64_t RowBytes(int64_t head_dim) { return RoundUp(head_dim, 64); }

}  // namespace

void RequireKvCache(const char* op, int input, const TensorDesc& desc, bool values, const TensorDesc& rows) {
  const Layout own = values ? Layout::kValueCache : Layout::kKeyCache;
  if (desc.layout != own && desc.layout != Layout::kRowMajor) {
    const char* expected = values ? "a cache of values, or row-major" : "a cache of keys, or row-major";
    throw InputError("NATIVE_LAYOUT_MISMATCH", op, input, expected, ToString(desc));
  }
  const bool integers = desc.dtype == DType::kI8 && desc.layout == own;
  if (!integers && !IsFloat(desc.dtype)) FailDType(op, input, "f32, f16 or bf16", desc);
  RequireRank(op, input, desc, 4, 4);
  if (!integers && desc.dtype != rows.dtype) FailDType(op, input, "of the dtype of " + ToString(rows), desc);
  if (integers && desc.dim(3) % 8 != 0) FailShape(op, input, "of heads of a multiple of 8", desc);
  if (desc.dim(1) < 1) FailShape(op, input, "of blocks of at least one slot", desc);
  if (desc.layout == own && desc.dim(1) % kernels::kMinBlockSize != 0)
    FailShape(op, input, "of blocks of a multiple of 32 slots", desc);
}

void RequireHeads(const char* op, int input, const TensorDesc& cache, int64_t heads, int64_t head_dim) {
  if (cache.dim(2) == heads && cache.dim(3) == head_dim) return;
  FailShape(op, input, "[blocks,block_size," + std::to_string(heads) + "," + std::to_string(head_dim) + "]", cache);
}

void RequireValuesLike(const char* op, int input, const TensorDesc& values, const TensorDesc& keys) {
  const int64_t size = values.dim(3);
  TensorDesc alike = keys;
  alike.dims[3] = size;
  if (!values.SameShape(alike) || values.dtype != keys.dtype || size < 8 || size % 8 != 0 ||
      size > kernels::kMaxHeadDim || (values.layout == Layout::kRowMajor) != (keys.layout == Layout::kRowMajor))
    FailShape(op, input, "of the kind, blocks and heads of the key cache " + ToString(keys), values);
}

void ValidateSlots(const char* op, int input, const Tensor& slots, const TensorDesc& keys, const TensorDesc& values) {
  const int64_t total = std::min(keys.dim(0) * keys.dim(1), values.dim(0) * values.dim(1));
  const auto* own = slots.As<const int32_t>();
  for (int64_t t = 0; t < slots.desc.Elements(); ++t)
    if (own[t] >= total) FailValue(op, input, "slots below " + std::to_string(total), std::to_string(own[t]));
}

kernels::KvStore StoreOf(const Tensor& cache) {
  const TensorDesc& d = cache.desc;
  return {cache.data, d.dtype, d.layout == Layout::kValueCache, d.dim(0), d.dim(1), d.dim(2), d.dim(3)};
}

size_t SlotBufferBytes(const TensorDesc& cache) {
  if (cache.dtype != DType::kI8) return 0;
  return static_cast<size_t>(kIntegersRun) * (static_cast<size_t>(RowBytes(cache.dim(3))) + sizeof(float));
}

void WriteRows(const kernels::KvStore& store, const kernels::KernelTable& kernels, int64_t slot, int64_t head,
               const void* rows, DType dtype, int64_t row_stride, int64_t count, std::byte* buffer) {
  if (store.dtype != DType::kI8) return kernels::WriteSlots(store, slot, head, rows, row_stride, count);
  const int64_t stride = RowBytes(store.head_dim);
  auto* integers = reinterpret_cast<int8_t*>(buffer);
  auto* scales = reinterpret_cast<float*>(buffer + kIntegersRun * stride);
  const auto* from = static_cast<const std::byte*>(rows);
  for (int64_t i = 0; i < count; i += kIntegersRun) {
    const int64_t n = std::min(kIntegersRun, count - i);
    for (int64_t k = 0; k < n; ++k) {
      const std::byte* row = from + (i + k) * row_stride * static_cast<int64_t>(SizeOf(dtype));
      scales[k] = kernels.quantize(row, dtype, store.head_dim, 1, integers + k * stride, 64, 0);
    }
    kernels::WriteIntegers(store, slot + i, head, integers, stride, scales, n);
  }
}

size_t KvCacheBytes(const TensorDesc& desc) {
  if (desc.layout == Layout::kRowMajor) return desc.Bytes();
  return static_cast<size_t>(StoreOf({desc, nullptr}).BlockBytes() * desc.dim(0));
}

}  // namespace atb
