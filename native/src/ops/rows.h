#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/align.h"
#include "ops/operation.h"

namespace atb {

/// Elements that make a piece of parallel work worth handing out. They take about 5 microseconds, a barrier 0.2 to 1.
constexpr int64_t kPieceElements = 16384;

/// Elements that an operation converts and computes at a time, when it does not need to see whole rows. So its buffers
/// stay in L1.
constexpr int64_t kBlockElements = 1024;

/// Calls f(row, worker) for each row, in parallel where there is enough work.
template <typename F>
void ForRows(ThreadPool& pool, int64_t rows, int64_t row_elements, F&& f) {
  const int64_t per_piece = std::max<int64_t>(1, kPieceElements / std::max<int64_t>(1, row_elements));
  pool.ParallelFor(CeilDiv(rows, per_piece), [&](int64_t piece, int worker) {
    const int64_t end = std::min(rows, (piece + 1) * per_piece);
    for (int64_t row = piece * per_piece; row < end; ++row) f(row, worker);
  });
}

/// Calls f(start, count) for the blocks of one row of n elements.
template <typename F>
void ForBlocks(int64_t n, F&& f) {
  for (int64_t start = 0; start < n; start += kBlockElements) f(start, std::min(kBlockElements, n - start));
}

inline std::byte* ElementAt(const Tensor& tensor, int64_t element) {
  return tensor.As<std::byte>() + static_cast<size_t>(element) * SizeOf(tensor.desc.dtype);
}

/// n elements as f32: the tensor's own bytes when they are f32, else `buffer` with the converted ones.
inline const float* LoadFloats(const kernels::KernelTable& kernels, const Tensor& tensor, int64_t first, int64_t n,
                               float* buffer) {
  const std::byte* source = ElementAt(tensor, first);
  if (tensor.desc.dtype == DType::kF32) return reinterpret_cast<const float*>(source);
  kernels.to_f32(source, tensor.desc.dtype, buffer, n);
  return buffer;
}

/// Where to compute n elements of an output: in the output itself when it is f32, else in `buffer`, from which
/// StoreFloats rounds them into the output.
inline float* FloatTarget(const Tensor& tensor, int64_t first, float* buffer) {
  return tensor.desc.dtype == DType::kF32 ? reinterpret_cast<float*>(ElementAt(tensor, first)) : buffer;
}

inline void StoreFloats(const kernels::KernelTable& kernels, const Tensor& tensor, int64_t first, int64_t n,
                        const float* values) {
  std::byte* target = ElementAt(tensor, first);
  if (reinterpret_cast<const std::byte*>(values) != target) kernels.from_f32(values, target, tensor.desc.dtype, n);
}

/// Rows of f32 in the workspace: each worker has `count` rows of `size` elements.
class RowBuffers {
 public:
  static size_t Bytes(int threads, int count, int64_t size) {
    return static_cast<size_t>(threads) * static_cast<size_t>(count) * Stride(size) * sizeof(float);
  }
  RowBuffers(std::byte* workspace, int count, int64_t size)
      : base_(reinterpret_cast<float*>(workspace)), count_(count), stride_(Stride(size)) {}
  float* operator()(int worker, int buffer) const {
    return base_ + (static_cast<size_t>(worker) * static_cast<size_t>(count_) + static_cast<size_t>(buffer)) * stride_;
  }

 private:
  /// Whole cache lines, so that workers do not share one.
  static size_t Stride(int64_t size) { return Align(static_cast<size_t>(size) * sizeof(float)) / sizeof(float); }

  float* base_;
  int count_;
  size_t stride_;
};

}  // namespace atb
