#pragma once
#include <algorithm>
#include <span>

#include "ops/operation.h"

namespace atb {

// What operations with a recurrent state have in common. Their last four inputs are the state, f32 [blocks, numbers],
// and how a step goes through it: i32 [batch], the block with a sequence's state before its first token, -1 at its
// beginning; i32 [tokens], the block that gets the state behind each token, -1 where none does; i32 [batch], how many
// of the tokens each sequence brings. So every block of the KV cache has the state behind the last of its tokens that
// were computed, and is shared, copied and found by its content as keys and values are.

/// The inputs' places, of which `state` is the first.
struct StateInputs {
  const char* op;
  int state;

  int from() const { return state + 1; }
  int to() const { return state + 2; }
  int lengths() const { return state + 3; }
  int count() const { return state + 4; }

  /// Throws unless their descriptions are as said above, for a state of `numbers`.
  void Check(std::span<const TensorDesc> in, int64_t tokens, int64_t numbers) const;
  /// Throws NATIVE_VALUE_OUT_OF_RANGE for blocks that there are not, and lengths that do not add up.
  void Validate(std::span<const Tensor> in) const;
};

/// The tokens that one sequence of a step brings, and where its states are.
struct StateSequence {
  int64_t begin;
  int64_t end;
  int64_t from;       ///< A block, or -1.
  const int32_t* to;  ///< By token of the step.
};

/// `index` counts the sequences.
StateSequence SequenceOf(const StateInputs& inputs, std::span<const Tensor> in, int64_t index);

/// Makes the output that is the state like the input, unless it is the same memory.
void KeepState(const Tensor& in, const Tensor& out);

/// Calls f(token, count, block) for the sequence's tokens in pieces of at most `most`, each of which ends where a state
/// is stored, in `block`, or has none to store, -1.
template <typename F>
void ForStatePieces(const StateSequence& sequence, int64_t most, F&& f) {
  for (int64_t token = sequence.begin; token < sequence.end;) {
    const int64_t limit = std::min(sequence.end, token + most);
    int64_t end = token + 1;
    while (end < limit && sequence.to[end - 1] < 0) ++end;
    f(token, end - token, static_cast<int64_t>(sequence.to[end - 1]));
    token = end;
  }
}

}  // namespace atb
