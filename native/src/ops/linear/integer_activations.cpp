#include "ops/linear/integer_activations.h"

#include <algorithm>
#include <cstring>

#include "base/align.h"
#include "base/checked.h"
#include "kernels/pack_integers.h"
#include "ops/rows.h"

namespace atb {
namespace {

using kernels::kBlockRows;
using kernels::kIntegerTileK;

/// Floats of m rows, in whole lines.
int64_t FloatBytes(int64_t m, int64_t columns) {
  return Align(CheckedMul(CheckedMul(m, columns), static_cast<int64_t>(sizeof(float))));
}

/// A thread's copy: the rows, their scales and sums, and a line that says whether they are made.
int64_t CopyBytes(int64_t m, int64_t k, int64_t row_bytes) {
  const int64_t floats = CheckedAdd(FloatBytes(m, 1), FloatBytes(m, MostGroups(k)));
  return CheckedAdd(CheckedMul(m, row_bytes), CheckedAdd(floats, 64));
}

/// Whether a thread makes the rows in less time than a barrier and the wait for other threads take.
bool AreFew(int64_t m, int64_t k) { return m <= IntegerActivations::kFewRows && m * k <= kPieceElements; }

}  // namespace

int64_t MostGroups(int64_t k) { return CeilDiv(k, kernels::kGroupStep); }

int64_t DigitBytes(int64_t k, int planes) { return CheckedMul(planes, RoundUp(k, kIntegerTileK)); }

size_t IntegerActivations::Bytes(int threads, int64_t m, int64_t k, int planes) {
  const int64_t row_bytes = DigitBytes(k, planes);
  const int64_t own = CheckedMul(threads, CopyBytes(std::min(m, kFewRows), k, row_bytes));
  return static_cast<size_t>(std::max(own, CopyBytes(m, k, row_bytes)));
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
  std::byte* at = workspace_ + (own_ ? worker : 0) * CopyBytes(call_.m, call_.weight->k, row_bytes_);
  std::byte* scales = at + call_.m * row_bytes_;
  std::byte* sums = scales + FloatBytes(call_.m, 1);
  std::byte* ready = sums + FloatBytes(call_.m, MostGroups(call_.weight->k));
  return {at, reinterpret_cast<float*>(scales), reinterpret_cast<float*>(sums), reinterpret_cast<bool*>(ready)};
}

kernels::DigitMatrix IntegerActivations::Of(int worker) const {
  const Copy copy = CopyOf(worker);
  if (own_ && !*copy.ready) {
    const void* x = source_.rows ? source_.rows(source_.context, worker) : call_.x;
    for (int64_t row = 0; row < call_.m; ++row) Make(x, row, copy);
    *copy.ready = true;
  }
  const float* const sums = kernels::WantsSums(*call_.weight) ? copy.sums : nullptr;
  return {reinterpret_cast<const int8_t*>(copy.rows), call_.planes, copy.scales, sums};
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
  if (!kernels::WantsSums(*call_.weight)) return;
  const int64_t groups = kernels::GroupsOf(call_.weight->k, call_.weight->group);
  SumDigits(call_, kernels_, row, to.rows, to.sums + row * groups);
}

void SumDigits(const MultiplyCall& call, const kernels::KernelTable& kernels, int64_t row, const std::byte* blocks,
               float* sums) {
  const int64_t block_rows = kBlockRows[call.planes], first_row = row / block_rows * block_rows;
  const int64_t plane_stride = std::min(block_rows, call.m - first_row) * kIntegerTileK;
  const int64_t step = plane_stride * call.planes;
  const int64_t k = call.weight->k, channels = call.weight->group ? call.weight->group : k;
  const std::byte* const block = blocks + first_row * DigitBytes(k, call.planes);
  const auto* digits = reinterpret_cast<const int8_t*>(block) + (row - first_row) * kIntegerTileK;
  for (int64_t first = 0; first < k; first += channels, ++sums) {
    int64_t sum = 0;
    // Groups end between halves of tiles, and behind the last channel there are zeros.
    for (int64_t i = first; i < std::min(first + channels, k);) {
      const int64_t at = i % kIntegerTileK;
      const int64_t count = std::min(kIntegerTileK - at, RoundUp(first + channels - i, kernels::kGroupStep));
      const int8_t* const line = digits + i / kIntegerTileK * step + at;
      int64_t tile = 0;
      for (int plane = 0; plane < call.planes; ++plane)
        tile = tile * 256 + kernels.sum_digits(line + plane * plane_stride, count);
      sum += tile;
      i += count;
    }
    *sums = static_cast<float>(sum);
  }
}

}  // namespace atb
