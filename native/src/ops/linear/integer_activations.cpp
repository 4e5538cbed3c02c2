#include "ops/linear/integer_activations.h"

#include <algorithm>
#include <cstring>

#include "base/align.h"
#include "base/checked.h"
#include "ops/rows.h"

namespace atb {
namespace {

using kernels::kBlockRows;
using kernels::kIntegerTileK;

/// A thread's copy: the rows, their scales, and a line that says whether they are made.
int64_t CopyBytes(int64_t m, int64_t row_bytes) {
  const int64_t scales = Align(CheckedMul(m, static_cast<int64_t>(sizeof(float))));
  return CheckedAdd(CheckedMul(m, row_bytes), scales + 64);
}

/// Whether a thread makes the rows in less time than a barrier and the wait for other threads take.
bool AreFew(int64_t m, int64_t k) { return m <= IntegerActivations::kFewRows && m * k <= kPieceElements; }

}  // namespace

int64_t DigitBytes(int64_t k, int planes) { return CheckedMul(planes, RoundUp(k, kIntegerTileK)); }

size_t IntegerActivations::Bytes(int threads, int64_t m, int64_t k, int planes) {
  const int64_t row_bytes = DigitBytes(k, planes);
  const int64_t own = CheckedMul(threads, CopyBytes(std::min(m, kFewRows), row_bytes));
  return static_cast<size_t>(std::max(own, CopyBytes(m, row_bytes)));
}

IntegerActivations::IntegerActivations(const MultiplyCall& call, const kernels::KernelTable& kernels, ThreadPool& pool,
                         std::byte* workspace, const RowSource& source)
    : call_(call),
      kernels_(kernels),
      workspace_(workspace),
      source_(source),
      row_bytes_(DigitBytes(call.weight->k, call.planes)),
      own_(call.m <= kFewRows && (source.rows || AreFew(call.m, call.weight->k))) {
  if (own_) {
    for (int worker = 0; worker < pool.threads(); ++worker) *CopyOf(worker).ready = false;
    return;
  }
  const Copy shared = CopyOf(0);
  const void* x = source.rows ? source.rows(source.context, 0) : call.x;
  ForRows(pool, call.m, call.weight->k, [&](int64_t row, int) { Make(x, row, shared); });
}

IntegerActivations::Copy IntegerActivations::CopyOf(int worker) const {
  std::byte* at = workspace_ + (own_ ? worker : 0) * CopyBytes(call_.m, row_bytes_);
  std::byte* scales = at + call_.m * row_bytes_;
  const int64_t scale_bytes = Align(call_.m * static_cast<int64_t>(sizeof(float)));
  return {at, reinterpret_cast<float*>(scales), reinterpret_cast<bool*>(scales + scale_bytes)};
}

kernels::DigitMatrix IntegerActivations::Of(int worker) const {
  const Copy copy = CopyOf(worker);
  if (own_ && !*copy.ready) {
    const void* x = source_.rows ? source_.rows(source_.context, worker) : call_.x;
    for (int64_t row = 0; row < call_.m; ++row) Make(x, row, copy);
    *copy.ready = true;
  }
  return {reinterpret_cast<const int8_t*>(copy.rows), call_.planes, copy.scales};
}

void MakeDigits(const MultiplyCall& call, const kernels::KernelTable& kernels, const void* x, int64_t row,
                std::byte* blocks, float* scales) {
  const int64_t k = call.weight->k;
  const int64_t block_rows = kBlockRows[call.planes];
  const int64_t first = row / block_rows * block_rows;
  const int64_t rows = std::min(block_rows, call.m - first);
  auto* out = reinterpret_cast<int8_t*>(blocks + first * DigitBytes(k, call.planes)) + (row - first) * kIntegerTileK;
  const int64_t step = rows * call.planes * kIntegerTileK;
  if (call.x_dtype != DType::kI8) {
    scales[row] = kernels.quantize(x, call.x_dtype, k, call.planes, out, step, rows * kIntegerTileK);
    return;
  }
  const auto* from = static_cast<const std::byte*>(x);
  for (int64_t i = 0; i < k; i += kIntegerTileK, out += step) {
    const int64_t count = std::min(kIntegerTileK, k - i);
    std::memcpy(out, from + i, static_cast<size_t>(count));
    std::memset(out + count, 0, static_cast<size_t>(kIntegerTileK - count));
  }
  scales[row] = call.x_scales ? call.x_scales[row] : 1.0f;
}

void IntegerActivations::Make(const void* x, int64_t row, const Copy& to) const {
  const auto* from =
      static_cast<const std::byte*>(x) + row * call_.x_stride * static_cast<int64_t>(SizeOf(call_.x_dtype));
  MakeDigits(call_, kernels_, from, row, to.rows, to.scales);
}

}  // namespace atb
