#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace atb::guided {

/// Which texts are allowed: a context-free grammar over bytes. Each rule is an automaton from its start to its end,
/// whose edges read a byte, read what another rule allows, or read nothing; rules share no nodes. Rule 0 is the whole
/// text.
struct GrammarSpec {
  struct Rule {
    int32_t start;
    int32_t end;
  };
  struct ByteEdge {
    int32_t from;
    int32_t to;
    uint8_t first;  ///< Reads any byte in [first, last].
    uint8_t last;
  };
  struct CallEdge {
    int32_t from;
    int32_t to;
    int32_t rule;
  };
  struct EmptyEdge {
    int32_t from;
    int32_t to;
  };

  int32_t nodes = 0;
  std::vector<Rule> rules = {};
  std::vector<ByteEdge> bytes = {};
  std::vector<CallEdge> calls = {};
  std::vector<EmptyEdge> empty = {};
};

/// The most nodes, and the most edges of a kind, of a grammar.
constexpr int64_t kMaxGrammarSize = 1 << 20;

/// Bytes fall into eight groups, by which large parts of a vocabulary are allowed at once: control characters, blank,
/// digits, letters, quote, backslash, other ASCII, and bytes of longer characters.
constexpr int kByteGroups = 8;
int ByteGroup(uint8_t byte);

/// A grammar made ready for reading: no empty edges, no left recursion, nothing that leads nowhere, and bytes that no
/// edge tells apart are one class.
class Grammar {
 public:
  /// Reads a byte of one of the classes [first, last].
  struct Move {
    int32_t first;
    int32_t last;
    int32_t to;
  };
  struct Call {
    int32_t rule;
    int32_t to;
    bool is_last;  ///< Nothing follows in the calling rule, which therefore ends where the called one does.
  };

  /// Throws NATIVE_GRAMMAR_INVALID for numbers out of range, for rules that begin with one another in a circle, and
  /// when no text ends; NATIVE_GRAMMAR_TOO_LARGE.
  explicit Grammar(GrammarSpec spec);

  int32_t classes() const { return classes_; }
  int32_t ClassOf(uint8_t byte) const { return class_of_[byte]; }
  /// The classes of a group's bytes.
  std::span<const int32_t> ClassesOf(int group) const { return classes_of_group_[static_cast<size_t>(group)]; }

  std::span<const Move> Moves(int32_t node) const { return Slice(moves_, move_begin_, node); }
  std::span<const Call> Calls(int32_t node) const { return Slice(calls_, call_begin_, node); }
  /// Whether the rule may end at the node.
  bool IsEnd(int32_t node) const { return is_end_[static_cast<size_t>(node)] != 0; }
  /// Bytes of the shortest text from the node to the end of its rule.
  int64_t Distance(int32_t node) const { return distance_[static_cast<size_t>(node)]; }
  int32_t Start(int32_t rule) const { return starts_[static_cast<size_t>(rule)]; }
  int32_t rules() const { return static_cast<int32_t>(starts_.size()); }
  /// A rule has a smaller rank than every rule that it may begin with.
  int32_t Rank(int32_t rule) const { return rank_[static_cast<size_t>(rule)]; }

 private:
  template <typename T>
  static std::span<const T> Slice(const std::vector<T>& all, const std::vector<int32_t>& begin, int32_t node) {
    const auto i = static_cast<size_t>(node);
    return {all.data() + begin[i], static_cast<size_t>(begin[i + 1] - begin[i])};
  }

  void MakeClasses(const GrammarSpec& spec);
  void Flatten(const GrammarSpec& spec);
  void RankRules(const GrammarSpec& spec);

  int32_t classes_ = 0;
  std::array<int32_t, 256> class_of_ = {};
  std::array<std::vector<int32_t>, kByteGroups> classes_of_group_ = {};
  std::vector<Move> moves_;
  std::vector<int32_t> move_begin_;
  std::vector<Call> calls_;
  std::vector<int32_t> call_begin_;
  std::vector<uint8_t> is_end_;
  std::vector<int64_t> distance_;
  std::vector<int32_t> starts_;
  std::vector<int32_t> rank_;
};

}  // namespace atb::guided
