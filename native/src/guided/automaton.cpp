#include "guided/automaton.h"

#include <algorithm>
#include <queue>
#include <string>

#include "base/error.h"

namespace atb::guided {
namespace {

constexpr int32_t kEndOfText = 0;
/// A state of a grammar that can be read in one way has a handful.
constexpr size_t kMaxItems = 1 << 16;
/// One walk over a vocabulary may meet many states; those of grammars that are of use take a few MiB.
constexpr size_t kMaxBytes = 128 << 20;

template <typename Items>
uint64_t Hash(const Items& items, uint64_t seed) {
  uint64_t hash = seed + 0x9e3779b97f4a7c15u;
  for (const auto& item : items) {
    hash ^= static_cast<uint64_t>(static_cast<uint32_t>(item.node)) << 32 | static_cast<uint32_t>(item.follow);
    hash *= 0xff51afd7ed558ccdu;
    hash ^= hash >> 32;
  }
  return hash;
}

template <typename Items>
void SortUnique(Items& items) {
  std::sort(items.begin(), items.end());
  items.erase(std::unique(items.begin(), items.end()), items.end());
}

void CheckItems(size_t count) {
  if (count > kMaxItems)
    throw Error("NATIVE_GRAMMAR_TOO_LARGE",
                "the grammar explains a text in more than " + std::to_string(kMaxItems) + " ways");
}

}  // namespace

Automaton::Automaton(std::shared_ptr<const Grammar> grammar) : grammar_(std::move(grammar)) {
  callers_.resize(static_cast<size_t>(grammar_->rules()));
  follows_.push_back({{}, 0});
  start_ = Intern({{grammar_->Start(0), kEndOfText}});
}

uint8_t Automaton::LoopingGroups(State state) {
  const auto i = static_cast<size_t>(state);
  if (states_[i].looping < 0) {
    int16_t groups = 0;
    for (int group = 0; group < kByteGroups; ++group) {
      const auto loops = [&](int32_t byte_class) { return NextByClass(state, byte_class) == state; };
      const auto classes = grammar_->ClassesOf(group);
      if (std::all_of(classes.begin(), classes.end(), loops)) groups = static_cast<int16_t>(groups | 1 << group);
    }
    states_[i].looping = groups;
  }
  return static_cast<uint8_t>(states_[i].looping);
}

Automaton::State Automaton::Advance(State state, int32_t byte_class) {
  std::vector<Item> items;
  for (const Item& item : states_[static_cast<size_t>(state)].reads)
    for (const Grammar::Move& move : grammar_->Moves(item.node))
      if (move.first <= byte_class && byte_class <= move.last) items.push_back({move.to, item.follow});
  const State next = items.empty() ? kDead : Intern(std::move(items));
  next_[Cell(state, byte_class)] = next;
  return next;
}

/// Ends the rules that may end, then looks whether the state is known.
Automaton::State Automaton::Intern(std::vector<Item> items) {
  SortUnique(items);
  std::vector<Item> ended;
  bool accepts = false;
  for (bool is_growing = true; is_growing;) {
    const size_t before = items.size();
    for (size_t i = 0; i < before; ++i) {
      const Item item = items[i];
      if (!grammar_->IsEnd(item.node)) continue;
      if (std::binary_search(ended.begin(), ended.end(), item)) continue;
      if (item.follow == kEndOfText) accepts = true;
      const auto& after = follows_[static_cast<size_t>(item.follow)].items;
      items.insert(items.end(), after.begin(), after.end());
      CheckItems(items.size());
    }
    ended.assign(items.begin(), items.begin() + static_cast<int64_t>(before));
    SortUnique(items);
    is_growing = items.size() > before;
  }
  int64_t distance = kNever;
  for (const Item& item : items) {
    const int64_t after = follows_[static_cast<size_t>(item.follow)].distance;
    distance = std::min(distance, grammar_->Distance(item.node) + after);
  }
  // What only ends has ended.
  std::erase_if(items, [&](const Item& item) {
    return grammar_->Moves(item.node).empty() && grammar_->Calls(item.node).empty();
  });

  const uint64_t hash = Hash(items, accepts ? 1 : 0);
  const auto [first, last] = state_index_.equal_range(hash);
  for (auto known = first; known != last; ++known) {
    const StateData& data = states_[static_cast<size_t>(known->second)];
    if (data.accepts == accepts && data.items == items) return known->second;
  }
  StateData data{std::move(items), {}, distance, accepts, -1};
  data.reads = Predict(data.items);
  if (bytes_ > kMaxBytes) throw Error("NATIVE_GRAMMAR_TOO_LARGE", "the grammar's states take more than 128 MiB");
  const auto state = static_cast<State>(states_.size());
  const auto classes = static_cast<size_t>(grammar_->classes());
  next_.resize(next_.size() + classes, kUnknown);
  bytes_ += classes * sizeof(State) + (data.items.size() + data.reads.size()) * sizeof(Item) + sizeof(StateData) + 64;
  state_index_.emplace(hash, state);
  states_.push_back(std::move(data));
  return state;
}

/// Adds the rules that begin here, callers before those they call, so that all that follows a rule is known when it is
/// added. A call that is its rule's last leaves nothing behind: what follows the caller follows the called.
std::vector<Automaton::Item> Automaton::Predict(const std::vector<Item>& items) {
  std::vector<Item> reads;
  using Ranked = std::pair<int32_t, int32_t>;
  std::priority_queue<Ranked, std::vector<Ranked>, std::greater<>> begun;
  const auto add = [&](const Item& item) {
    if (!grammar_->Moves(item.node).empty()) reads.push_back(item);
    for (const Grammar::Call& call : grammar_->Calls(item.node)) {
      std::vector<Item>& follow = callers_[static_cast<size_t>(call.rule)];
      if (follow.empty()) begun.push({grammar_->Rank(call.rule), call.rule});
      if (call.is_last) {
        // kEndOfText has no items of its own.
        if (item.follow == kEndOfText) follow.push_back({call.to, kEndOfText});
        const auto& after = follows_[static_cast<size_t>(item.follow)].items;
        follow.insert(follow.end(), after.begin(), after.end());
      } else {
        follow.push_back({call.to, item.follow});
      }
      CheckItems(follow.size());
    }
  };
  try {
    for (const Item& item : items) add(item);
    while (!begun.empty()) {
      const int32_t rule = begun.top().second;
      begun.pop();
      add({grammar_->Start(rule), InternFollow(std::exchange(callers_[static_cast<size_t>(rule)], {}))});
      CheckItems(reads.size());
    }
  } catch (...) {
    for (auto& follow : callers_) follow.clear();
    throw;
  }
  return reads;
}

int32_t Automaton::InternFollow(std::vector<Item> items) {
  SortUnique(items);
  const uint64_t hash = Hash(items, 0);
  const auto [first, last] = follow_index_.equal_range(hash);
  for (auto known = first; known != last; ++known)
    if (follows_[static_cast<size_t>(known->second)].items == items) return known->second;
  int64_t distance = kNever;
  for (const Item& item : items) {
    const int64_t after = follows_[static_cast<size_t>(item.follow)].distance;
    distance = std::min(distance, grammar_->Distance(item.node) + after);
  }
  const auto follow = static_cast<int32_t>(follows_.size());
  bytes_ += items.size() * sizeof(Item) + sizeof(Follow) + 64;
  follow_index_.emplace(hash, follow);
  follows_.push_back({std::move(items), distance});
  return follow;
}

}  // namespace atb::guided
