#include "guided/grammar.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <queue>
#include <string>
#include <utility>

#include "base/error.h"

namespace atb::guided {
namespace {

constexpr int64_t kFar = std::numeric_limits<int64_t>::max();
/// Distances are sums; this many bytes are more than any text has.
constexpr int64_t kMaxDistance = int64_t{1} << 50;

[[noreturn]] void FailInvalid(std::string problem) { throw Error("NATIVE_GRAMMAR_INVALID", std::move(problem)); }

void CheckSize(size_t size) {
  if (size > static_cast<size_t>(kMaxGrammarSize))
    throw Error("NATIVE_GRAMMAR_TOO_LARGE",
                "the grammar has more than " + std::to_string(kMaxGrammarSize) + " nodes, or edges of one kind");
}

void CheckNumbers(const GrammarSpec& spec) {
  const auto node = [&](int32_t n) {
    if (n < 0 || n >= spec.nodes) FailInvalid("node " + std::to_string(n) + " does not exist");
  };
  CheckSize(static_cast<size_t>(std::max(spec.nodes, 0)));
  for (size_t size : {spec.rules.size(), spec.bytes.size(), spec.calls.size(), spec.empty.size()}) CheckSize(size);
  if (spec.rules.empty()) FailInvalid("there is no rule");
  for (const auto& rule : spec.rules) {
    node(rule.start);
    node(rule.end);
  }
  for (const auto& edge : spec.bytes) {
    node(edge.from);
    node(edge.to);
    if (edge.first > edge.last) FailInvalid("a range of bytes ends before it begins");
  }
  for (const auto& edge : spec.empty) {
    node(edge.from);
    node(edge.to);
  }
  for (const auto& edge : spec.calls) {
    node(edge.from);
    node(edge.to);
    if (edge.rule < 0 || edge.rule >= static_cast<int32_t>(spec.rules.size()))
      FailInvalid("rule " + std::to_string(edge.rule) + " does not exist");
  }
}

/// No edge leads from one rule's nodes to another's, or a rule could end where the other does.
void CheckApart(const GrammarSpec& spec) {
  std::vector<int32_t> parent(static_cast<size_t>(spec.nodes));
  std::iota(parent.begin(), parent.end(), 0);
  const auto root = [&](int32_t node) {
    while (parent[static_cast<size_t>(node)] != node) {
      int32_t& above = parent[static_cast<size_t>(node)];
      node = above = parent[static_cast<size_t>(above)];
    }
    return node;
  };
  const auto join = [&](int32_t a, int32_t b) { parent[static_cast<size_t>(root(a))] = root(b); };
  for (const auto& rule : spec.rules) join(rule.start, rule.end);
  for (const auto& edge : spec.bytes) join(edge.from, edge.to);
  for (const auto& edge : spec.calls) join(edge.from, edge.to);
  for (const auto& edge : spec.empty) join(edge.from, edge.to);
  std::vector<uint8_t> taken(parent.size(), 0);
  for (const auto& rule : spec.rules)
    if (std::exchange(taken[static_cast<size_t>(root(rule.start))], 1)) FailInvalid("two rules share nodes");
}

/// Numbers of edges by the node that they leave, or that they enter.
class Index {
 public:
  template <typename Edges, typename Key>
  Index(int32_t nodes, const Edges& edges, Key key) : begin_(static_cast<size_t>(nodes) + 1, 0) {
    for (const auto& edge : edges) ++begin_[static_cast<size_t>(key(edge)) + 1];
    for (size_t i = 1; i < begin_.size(); ++i) begin_[i] += begin_[i - 1];
    edges_.resize(edges.size());
    std::vector<int32_t> next(begin_.begin(), begin_.end() - 1);
    for (size_t i = 0; i < edges.size(); ++i) {
      int32_t& at = next[static_cast<size_t>(key(edges[i]))];
      edges_[static_cast<size_t>(at++)] = static_cast<int32_t>(i);
    }
  }
  std::span<const int32_t> Of(int32_t node) const {
    const auto i = static_cast<size_t>(node);
    return {edges_.data() + begin_[i], static_cast<size_t>(begin_[i + 1] - begin_[i])};
  }

 private:
  std::vector<int32_t> begin_;
  std::vector<int32_t> edges_;
};

constexpr auto kFrom = [](const auto& edge) { return edge.from; };
constexpr auto kTo = [](const auto& edge) { return edge.to; };

/// The shortest way from each node to the end of its rule, in bytes. Nearest nodes first: once a rule's start has its
/// distance, so have the edges that call the rule (Knuth's generalisation of Dijkstra's algorithm).
std::vector<int64_t> Distances(const GrammarSpec& spec) {
  const Index bytes(spec.nodes, spec.bytes, kTo);
  const Index empty(spec.nodes, spec.empty, kTo);
  const Index calls(spec.nodes, spec.calls, kTo);
  const Index callers(static_cast<int32_t>(spec.rules.size()), spec.calls, [](const auto& edge) { return edge.rule; });
  const Index starts(spec.nodes, spec.rules, [](const auto& rule) { return rule.start; });
  std::vector<int64_t> distance(static_cast<size_t>(spec.nodes), kFar);
  std::vector<uint8_t> done(distance.size(), 0);
  using Entry = std::pair<int64_t, int32_t>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
  const auto relax = [&](int32_t node, int64_t through) {
    int64_t& known = distance[static_cast<size_t>(node)];
    if (through >= known) return;
    known = through;
    queue.push({through, node});
  };
  const auto relax_call = [&](const GrammarSpec::CallEdge& edge) {
    const auto start = static_cast<size_t>(spec.rules[static_cast<size_t>(edge.rule)].start);
    const auto to = static_cast<size_t>(edge.to);
    if (done[start] && done[to]) relax(edge.from, std::min(distance[start] + distance[to], kMaxDistance));
  };
  for (const auto& rule : spec.rules) relax(rule.end, 0);
  while (!queue.empty()) {
    const auto [at, node] = queue.top();
    queue.pop();
    if (std::exchange(done[static_cast<size_t>(node)], 1)) continue;
    for (int32_t e : bytes.Of(node)) relax(spec.bytes[static_cast<size_t>(e)].from, std::min(at + 1, kMaxDistance));
    for (int32_t e : empty.Of(node)) relax(spec.empty[static_cast<size_t>(e)].from, at);
    for (int32_t e : calls.Of(node)) relax_call(spec.calls[static_cast<size_t>(e)]);
    for (int32_t rule : starts.Of(node))
      for (int32_t e : callers.Of(rule)) relax_call(spec.calls[static_cast<size_t>(e)]);
  }
  return distance;
}

/// Drops the edges from which no text ends, so that nothing that is read leads nowhere.
void DropDeadEnds(GrammarSpec& spec) {
  const std::vector<int64_t> distance = Distances(spec);
  const auto is_dead = [&](int32_t node) { return distance[static_cast<size_t>(node)] == kFar; };
  if (is_dead(spec.rules[0].start)) FailInvalid("no text ends: every rule of the grammar calls itself again");
  std::erase_if(spec.bytes, [&](const auto& edge) { return is_dead(edge.to); });
  std::erase_if(spec.empty, [&](const auto& edge) { return is_dead(edge.to); });
  std::erase_if(spec.calls, [&](const auto& edge) {
    return is_dead(edge.to) || is_dead(spec.rules[static_cast<size_t>(edge.rule)].start);
  });
}

/// The nodes that are reached from one by empty edges, itself first.
class Closure {
 public:
  Closure(int32_t nodes, const std::vector<GrammarSpec::EmptyEdge>& edges)
      : edges_(edges), from_(nodes, edges, kFrom), seen_(static_cast<size_t>(nodes), 0) {}

  const std::vector<int32_t>& Of(int32_t node) {
    nodes_.assign(1, node);
    seen_[static_cast<size_t>(node)] = ++mark_;
    for (size_t i = 0; i < nodes_.size(); ++i)
      for (int32_t e : from_.Of(nodes_[i])) {
        const int32_t to = edges_[static_cast<size_t>(e)].to;
        if (std::exchange(seen_[static_cast<size_t>(to)], mark_) != mark_) nodes_.push_back(to);
      }
    return nodes_;
  }

 private:
  const std::vector<GrammarSpec::EmptyEdge>& edges_;
  Index from_;
  std::vector<int32_t> seen_;
  std::vector<int32_t> nodes_;
  int32_t mark_ = 0;
};

/// A rule that may read nothing also is an empty edge wherever it is called.
void SkipEmptyRules(GrammarSpec& spec) {
  std::vector<uint8_t> added(spec.rules.size(), 0);
  for (bool changed = true; changed;) {
    changed = false;
    Closure closure(spec.nodes, spec.empty);
    std::vector<int32_t> found;
    for (size_t r = 0; r < spec.rules.size(); ++r) {
      if (added[r]) continue;
      const std::vector<int32_t>& reached = closure.Of(spec.rules[r].start);
      if (std::find(reached.begin(), reached.end(), spec.rules[r].end) == reached.end()) continue;
      added[r] = 1;
      found.push_back(static_cast<int32_t>(r));
    }
    if (found.empty()) break;
    std::vector<uint8_t> is_new(spec.rules.size(), 0);
    for (int32_t r : found) is_new[static_cast<size_t>(r)] = 1;
    for (const auto& call : spec.calls)
      if (is_new[static_cast<size_t>(call.rule)]) spec.empty.push_back({call.from, call.to});
    CheckSize(spec.empty.size());
    changed = true;
  }
}

/// R = R a | b reads b and then any number of a: the edge that calls R where R begins goes, and R's end leads to where
/// that edge led. A new start keeps the edge for those who come back to the old one.
void UnrollLeftRecursion(GrammarSpec& spec) {
  const std::vector<GrammarSpec::EmptyEdge> empty = spec.empty;
  Closure closure(spec.nodes, empty);
  const Index bytes_from(spec.nodes, spec.bytes, kFrom);
  const Index calls_from(spec.nodes, spec.calls, kFrom);
  for (size_t r = 0; r < spec.rules.size(); ++r) {
    GrammarSpec::Rule& rule = spec.rules[r];
    const std::vector<int32_t> begins = closure.Of(rule.start);
    const auto is_left = [&](int32_t e) { return spec.calls[static_cast<size_t>(e)].rule == static_cast<int32_t>(r); };
    bool recurs = false;
    for (int32_t node : begins)
      for (int32_t e : calls_from.Of(node)) recurs = recurs || is_left(e);
    if (!recurs) continue;
    const int32_t start = spec.nodes++;
    for (int32_t node : begins) {
      if (node == rule.end) spec.empty.push_back({start, node});
      for (int32_t e : bytes_from.Of(node)) {
        GrammarSpec::ByteEdge edge = spec.bytes[static_cast<size_t>(e)];
        edge.from = start;
        spec.bytes.push_back(edge);
      }
      for (int32_t e : calls_from.Of(node)) {
        GrammarSpec::CallEdge edge = spec.calls[static_cast<size_t>(e)];
        edge.from = start;
        if (is_left(e))
          spec.empty.push_back({rule.end, edge.to});
        else
          spec.calls.push_back(edge);
      }
    }
    rule.start = start;
  }
}

}  // namespace

int ByteGroup(uint8_t byte) {
  if (byte >= 0x80) return 7;
  if (byte < 0x20 || byte == 0x7f) return 0;
  if (byte == ' ') return 1;
  if (byte >= '0' && byte <= '9') return 2;
  if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z')) return 3;
  if (byte == '"') return 4;
  if (byte == '\\') return 5;
  return 6;
}

Grammar::Grammar(GrammarSpec spec) {
  CheckNumbers(spec);
  CheckApart(spec);
  DropDeadEnds(spec);
  SkipEmptyRules(spec);
  UnrollLeftRecursion(spec);
  MakeClasses(spec);
  Flatten(spec);
  RankRules(spec);
  distance_ = Distances(spec);
}

void Grammar::MakeClasses(const GrammarSpec& spec) {
  std::array<bool, 257> cut = {};
  cut[0] = true;
  for (const auto& edge : spec.bytes) {
    cut[edge.first] = true;
    cut[static_cast<size_t>(edge.last) + 1] = true;
  }
  for (size_t b = 1; b < 256; ++b)
    if (ByteGroup(static_cast<uint8_t>(b)) != ByteGroup(static_cast<uint8_t>(b - 1))) cut[b] = true;
  for (size_t b = 0; b < 256; ++b) {
    if (cut[b]) {
      const auto group = static_cast<size_t>(ByteGroup(static_cast<uint8_t>(b)));
      classes_of_group_[group].push_back(classes_++);
    }
    class_of_[b] = classes_ - 1;
  }
}

/// Gives each node the edges of the nodes that it reaches by empty ones.
void Grammar::Flatten(const GrammarSpec& spec) {
  Closure closure(spec.nodes, spec.empty);
  const Index bytes_from(spec.nodes, spec.bytes, kFrom);
  const Index calls_from(spec.nodes, spec.calls, kFrom);
  std::vector<uint8_t> ends(static_cast<size_t>(spec.nodes), 0);
  for (const auto& rule : spec.rules) ends[static_cast<size_t>(rule.end)] = 1;
  // Other nodes are never stood on.
  std::vector<uint8_t> entered(static_cast<size_t>(spec.nodes), 0);
  for (const auto& rule : spec.rules) entered[static_cast<size_t>(rule.start)] = 1;
  for (const auto& edge : spec.bytes) entered[static_cast<size_t>(edge.to)] = 1;
  for (const auto& edge : spec.calls) entered[static_cast<size_t>(edge.to)] = 1;

  is_end_.assign(static_cast<size_t>(spec.nodes), 0);
  move_begin_.push_back(0);
  call_begin_.push_back(0);
  for (int32_t node = 0; node < spec.nodes; ++node) {
    if (entered[static_cast<size_t>(node)]) {
      for (int32_t reached : closure.Of(node)) {
        if (ends[static_cast<size_t>(reached)]) is_end_[static_cast<size_t>(node)] = 1;
        for (int32_t e : bytes_from.Of(reached)) {
          const auto& edge = spec.bytes[static_cast<size_t>(e)];
          moves_.push_back({class_of_[edge.first], class_of_[edge.last], edge.to});
        }
        for (int32_t e : calls_from.Of(reached)) {
          const auto& edge = spec.calls[static_cast<size_t>(e)];
          calls_.push_back({edge.rule, edge.to, false});
        }
      }
      CheckSize(moves_.size() / 4);
      CheckSize(calls_.size() / 4);
    }
    move_begin_.push_back(static_cast<int32_t>(moves_.size()));
    call_begin_.push_back(static_cast<int32_t>(calls_.size()));
  }
  for (Call& call : calls_) call.is_last = IsEnd(call.to) && Moves(call.to).empty() && Calls(call.to).empty();
  for (const auto& rule : spec.rules) starts_.push_back(rule.start);
}

/// A depth-first walk over "may begin with"; the order in which it leaves the rules, reversed.
void Grammar::RankRules(const GrammarSpec& spec) {
  enum : uint8_t { kNew, kOpen, kLeft };
  std::vector<uint8_t> state(spec.rules.size(), kNew);
  rank_.assign(spec.rules.size(), 0);
  auto rank = static_cast<int32_t>(spec.rules.size());
  std::vector<std::pair<int32_t, size_t>> path;
  for (int32_t root = 0; root < rules(); ++root) {
    if (state[static_cast<size_t>(root)] != kNew) continue;
    path.assign(1, {root, 0});
    state[static_cast<size_t>(root)] = kOpen;
    while (!path.empty()) {
      const auto [rule, next] = path.back();
      const std::span<const Call> calls = Calls(Start(rule));
      if (next == calls.size()) {
        state[static_cast<size_t>(rule)] = kLeft;
        rank_[static_cast<size_t>(rule)] = --rank;
        path.pop_back();
        continue;
      }
      ++path.back().second;
      const int32_t called = calls[next].rule;
      if (state[static_cast<size_t>(called)] == kOpen)
        FailInvalid("rules " + std::to_string(rule) + " and " + std::to_string(called) +
                    " begin with one another in a circle");
      if (state[static_cast<size_t>(called)] == kNew) {
        state[static_cast<size_t>(called)] = kOpen;
        path.push_back({called, 0});
      }
    }
  }
}

}  // namespace atb::guided
