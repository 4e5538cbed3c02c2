#include "ops/moe/routing.h"

#include <algorithm>

#include "base/align.h"
#include "base/checked.h"
#include "kernels/convert.h"
#include "ops/check.h"
#include "ops/rows.h"

namespace atb {
namespace {

size_t Bytes32(int64_t count) {
  return static_cast<size_t>(Align(CheckedMul(count, static_cast<int64_t>(sizeof(int32_t)))));
}

/// A token's weights and places, in ascending order of the places.
constexpr int kRowBuffers = 4;

}  // namespace

size_t Routing::Bytes(int64_t tokens, int64_t top_k, int64_t experts) {
  const int64_t rows = CheckedMul(tokens, top_k);
  const auto groups = static_cast<size_t>(Align(CheckedMul(experts, static_cast<int64_t>(sizeof(ExpertRows)))));
  return 2 * Bytes32(rows) + Bytes32(experts) + groups;
}

Routing Routing::Sort(const Tensor& chosen, int64_t experts, std::byte* workspace) {
  const int64_t top_k = chosen.desc.dim(1), rows = chosen.desc.Elements();
  const auto* ids = chosen.As<const int32_t>();
  auto* const tokens = reinterpret_cast<int32_t*>(workspace);
  auto* const places = reinterpret_cast<int32_t*>(workspace + Bytes32(rows));
  auto* const next = reinterpret_cast<int32_t*>(workspace + 2 * Bytes32(rows));
  auto* const groups = reinterpret_cast<ExpertRows*>(workspace + 2 * Bytes32(rows) + Bytes32(experts));
  std::fill_n(next, experts, 0);
  for (int64_t i = 0; i < rows; ++i) ++next[ids[i]];
  int32_t first = 0;
  size_t count = 0;
  for (int64_t e = 0; e < experts; ++e) {
    const int32_t own = next[e];
    if (own > 0) groups[count++] = {e, first, own};
    next[e] = first;
    first += own;
  }
  for (int64_t i = 0; i < rows; ++i) {
    places[i] = next[ids[i]]++;
    tokens[places[i]] = static_cast<int32_t>(i / top_k);
  }
  return {{groups, count}, tokens, places};
}

void RequireChoices(const char* op, int input, const TensorDesc& chosen, int64_t tokens) {
  RequireDType(op, input, chosen, DType::kI32);
  RequireRank(op, input, chosen, 2, 2);
  if (chosen.dim(0) != tokens || chosen.dim(1) < 1 || tokens * chosen.dim(1) > INT32_MAX)
    FailShape(op, input, "[" + std::to_string(tokens) + ",chosen experts]", chosen);
}

void ValidateChoices(const char* op, int input, const Tensor& chosen, int64_t experts) {
  const auto* ids = chosen.As<const int32_t>();
  for (int64_t i = 0; i < chosen.desc.Elements(); ++i) {
    if (ids[i] >= 0 && ids[i] < experts) continue;
    FailValue(op, input, "numbers from 0 to " + std::to_string(experts - 1),
              std::to_string(ids[i]) + " at " + std::to_string(i));
  }
}

size_t CombineBytes(int threads, int64_t columns, int64_t top_k) {
  return RowBuffers::Bytes(threads, kRowBuffers, std::max(columns, top_k));
}

void CombineRows(const Tensor& rows, const int32_t* places, const Tensor& probs, const Tensor& out, const Context& ctx,
                 std::byte* workspace) noexcept {
  const int64_t top_k = probs.desc.dim(1), columns = rows.desc.dim(1);
  const RowBuffers buffers(workspace, kRowBuffers, std::max(columns, top_k));
  ForRows(ctx.pool, out.desc.dim(0), columns * top_k, [&](int64_t token, int worker) {
    auto* const order = reinterpret_cast<int32_t*>(buffers(worker, 0));
    for (int64_t j = 0; j < top_k; ++j) order[j] = static_cast<int32_t>(j);
    const int32_t* own = places + token * top_k;
    std::sort(order, order + top_k, [own](int32_t a, int32_t b) { return own[a] < own[b]; });
    float* const sum = FloatTarget(out, token * columns, buffers(worker, 1));
    float* const product = buffers(worker, 2);
    for (int64_t i = 0; i < top_k; ++i) {
      const float weight = kernels::LoadFloat(probs.data, probs.desc.dtype, token * top_k + order[i]);
      const float* row = LoadFloats(ctx.kernels, rows, own[order[i]] * columns, columns, buffers(worker, 3));
      ctx.kernels.unary(kernels::UnaryOp::kMuls, row, i == 0 ? sum : product, columns, weight);
      if (i > 0) ctx.kernels.binary(kernels::BinaryOp::kAdd, sum, product, sum, columns);
    }
    StoreFloats(ctx.kernels, out, token * columns, columns, sum);
  });
}

}  // namespace atb
