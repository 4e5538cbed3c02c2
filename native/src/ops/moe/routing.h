#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "ops/moe/grouped_product.h"
#include "tensor/tensor.h"

namespace atb {

/// The choices of all tokens, sorted by expert; choices of one expert keep the order of tokens.
struct Routing {
  std::span<const ExpertRows> groups;  ///< Of the experts that were chosen, in ascending order.
  const int32_t* tokens;               ///< [tokens * top_k] Of each sorted row.
  const int32_t* places;               ///< [tokens * top_k] The sorted row of choice t * top_k + j.

  static size_t Bytes(int64_t tokens, int64_t top_k, int64_t experts);
  /// `chosen` is i32 [tokens, top_k] of experts within [0, experts).
  static Routing Sort(const Tensor& chosen, int64_t experts, std::byte* workspace);
};

/// The tensor of choices is i32 [tokens, top_k].
void RequireChoices(const char* op, int input, const TensorDesc& chosen, int64_t tokens);
/// Throws NATIVE_VALUE_OUT_OF_RANGE unless all choices are within [0, experts).
void ValidateChoices(const char* op, int input, const Tensor& chosen, int64_t experts);

/// out[t] is the sum of probs[t, j] * rows[places[t, j]] in the ascending order of their places, which is that of their
/// experts: so the sum of a token does not depend on the order in which it chose. It is computed in f32 and rounded
/// once. `workspace` has CombineBytes.
void CombineRows(const Tensor& rows, const int32_t* places, const Tensor& probs, const Tensor& out, const Context& ctx,
                 std::byte* workspace) noexcept;
size_t CombineBytes(int threads, int64_t columns, int64_t top_k);

}  // namespace atb
