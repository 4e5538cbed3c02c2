#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "guided/grammar.h"

namespace atb::guided {

/// Reads a grammar's texts byte by byte. A state stands for everything that the text so far may be the beginning of;
/// equal ones are one, and each is worked out once, when it is first needed. So reading costs one look into a table for
/// most bytes, whatever the grammar's form (lazy subset construction over a graph-structured stack).
class Automaton {
 public:
  using State = int32_t;
  static constexpr State kDead = -1;
  /// Bytes of the shortest text that completes one which cannot be completed.
  static constexpr int64_t kNever = int64_t{1} << 51;

  /// Throws NATIVE_GRAMMAR_TOO_LARGE when the first state is too large. `grammar` must not be null.
  explicit Automaton(std::shared_ptr<const Grammar> grammar);

  const Grammar& grammar() const { return *grammar_; }
  State start() const { return start_; }
  /// The state after one more byte, kDead when no text goes on so. Throws NATIVE_GRAMMAR_TOO_LARGE for a text that the
  /// grammar explains in too many ways.
  State Next(State state, uint8_t byte) { return NextByClass(state, grammar_->ClassOf(byte)); }
  State NextByClass(State state, int32_t byte_class) {
    const State known = next_[Cell(state, byte_class)];
    return known != kUnknown ? known : Advance(state, byte_class);
  }
  /// Whether the text may end here.
  bool Accepts(State state) const { return states_[static_cast<size_t>(state)].accepts; }
  /// Bytes of the shortest text that ends from here; 0 where it may end.
  int64_t Distance(State state) const { return states_[static_cast<size_t>(state)].distance; }
  /// Bit g: every byte of group g leads back to the state itself.
  uint8_t LoopingGroups(State state);
  /// Bytes of memory that the states take.
  size_t bytes() const { return bytes_; }

 private:
  static constexpr State kUnknown = -2;

  /// Where a rule's automaton stands, and what follows when the rule ends.
  struct Item {
    int32_t node;
    int32_t follow;
    auto operator<=>(const Item&) const = default;
  };
  /// What follows the end of a rule: one of these nodes, each with what follows its own rule in turn. Follow 0 is the
  /// end of the whole text.
  struct Follow {
    std::vector<Item> items;
    int64_t distance;
  };
  struct StateData {
    std::vector<Item> items;  ///< Sorted; rules that begin here are not among them.
    std::vector<Item> reads;  ///< All that reads a byte, the rules that begin here included.
    int64_t distance;
    bool accepts;
    int16_t looping;  ///< LoopingGroups, or -1 while it is not known.
  };

  size_t Cell(State state, int32_t byte_class) const {
    return static_cast<size_t>(state) * static_cast<size_t>(grammar_->classes()) + static_cast<size_t>(byte_class);
  }
  State Advance(State state, int32_t byte_class);
  State Intern(std::vector<Item> items);
  int32_t InternFollow(std::vector<Item> items);
  std::vector<Item> Predict(const std::vector<Item>& items);

  std::shared_ptr<const Grammar> grammar_;
  std::vector<StateData> states_;
  std::vector<State> next_;
  std::vector<Follow> follows_;
  std::unordered_multimap<uint64_t, State> state_index_;
  std::unordered_multimap<uint64_t, int32_t> follow_index_;
  std::vector<std::vector<Item>> callers_;  ///< By rule, while a state is made: what follows it there.
  size_t bytes_ = 0;
  State start_ = kDead;
};

}  // namespace atb::guided
