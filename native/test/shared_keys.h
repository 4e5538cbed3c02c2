#pragma once
// What tests of chosen keys and of chosen blocks share: a small cache whose keys all sequences have.
#include <algorithm>
#include <cmath>
#include <vector>

#include "attention_layer.h"

namespace atb::test {

constexpr int64_t kBlockSize = 96;  // Groups of integers have 32 slots then.
constexpr int64_t kBlocks = 9;

/// Queries of one sequence, the last of its first `context` keys, which are those of a prompt.
struct Sequence {
  int64_t context;
  int64_t queries;
};

/// Where the key of a position is: in blocks from the last one on.
inline int32_t SlotOf(int64_t position) {
  return static_cast<int32_t>((kBlocks - 1 - position / kBlockSize) * kBlockSize + position % kBlockSize);
}

/// The slots of the first `count` positions.
inline std::vector<int32_t> SlotsOf(int64_t count) {
  std::vector<int32_t> slots;
  for (int64_t position = 0; position < count; ++position) slots.push_back(SlotOf(position));
  return slots;
}

/// Block tables, lengths and numbers of queries, as operations over a paged cache read them.
class SequenceInputs {
 public:
  /// `width`: columns of the tables. What was added before is not to be read any more.
  void AddTo(std::vector<Tensor>& in, const std::vector<Sequence>& sequences, int64_t width) {
    tables_.clear();
    contexts_.clear();
    queries_.clear();
    for (const Sequence& s : sequences) {
      for (int64_t j = 0; j < width; ++j)
        tables_.push_back(static_cast<int32_t>(std::max<int64_t>(kBlocks - 1 - j, 0)));
      contexts_.push_back(static_cast<int32_t>(s.context));
      queries_.push_back(static_cast<int32_t>(s.queries));
    }
    in.push_back(Ints(tables_, {static_cast<int64_t>(sequences.size()), width}));
    in.push_back(Ints(contexts_));
    in.push_back(Ints(queries_));
  }

 private:
  std::vector<int32_t> tables_, contexts_, queries_;
};

/// Multiples of `step` up to `most`: sums of their products are exact.
inline Array Whole(Random& random, DType dtype, int64_t n, float most, float step = 1) {
  Array a = Normal(random, dtype, n, most / 2);
  for (int64_t i = 0; i < n; ++i) a.Set(i, std::clamp(std::round(a[i] / step) * step, -most, most));
  return a;
}

}  // namespace atb::test
