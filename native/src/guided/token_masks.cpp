#include "guided/token_masks.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace atb::guided {
namespace {

/// Fewer tokens than this are kept as a list, which takes less memory than a bit for each token.
constexpr size_t kMaxListed = 512;
/// What a node begins is looked at as a whole where it is at least this many nodes.
constexpr uint32_t kManyNodes = 16;
constexpr int64_t kAny = std::numeric_limits<int64_t>::max();

/// Collects tokens: first as a list, then as bits.
class MaskMaker {
 public:
  explicit MaskMaker(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {}

  /// Adds the tokens sorted[first .. last), each of which leaves `distance` bytes to the end of a text.
  void Add(uint32_t first, uint32_t last, int64_t distance) {
    if (first == last) return;
    mask_.count += last - first;
    mask_.farthest = std::max(mask_.farthest, distance);
    const auto& sorted = vocabulary_.sorted();
    if (mask_.bits.empty() && mask_.tokens.size() + (last - first) <= kMaxListed) {
      mask_.tokens.insert(mask_.tokens.end(), sorted.begin() + first, sorted.begin() + last);
      return;
    }
    if (mask_.bits.empty()) {
      mask_.bits.assign((static_cast<size_t>(vocabulary_.size()) + 63) / 64, 0);
      for (int32_t token : std::exchange(mask_.tokens, {})) Set(token);
    }
    for (uint32_t i = first; i < last; ++i) Set(sorted[i]);
  }
  TokenMask Take() {
    std::sort(mask_.tokens.begin(), mask_.tokens.end());
    return std::move(mask_);
  }

 private:
  void Set(int32_t token) { mask_.bits[static_cast<size_t>(token) / 64] |= uint64_t{1} << (token % 64); }

  const Vocabulary& vocabulary_;
  TokenMask mask_;
};

}  // namespace

TokenMasks::TokenMasks(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const Vocabulary> vocabulary,
                       size_t max_bytes)
    : grammar_(std::move(grammar)),
      vocabulary_(std::move(vocabulary)),
      max_bytes_(max_bytes),
      automaton_(std::make_unique<Automaton>(grammar_)) {}

/// Begins anew when the states take too much room, and finds the place again where that has happened.
void TokenMasks::Refresh(Place& place, std::span<const uint8_t> before) {
  if (automaton_->bytes() + mask_bytes_ > max_bytes_) {
    masks_.clear();
    mask_bytes_ = 0;
    automaton_ = std::make_unique<Automaton>(grammar_);
    ++epoch_;
  }
  if (place.epoch == epoch_) return;
  Automaton::State state = automaton_->start();
  for (uint8_t byte : before) state = automaton_->Next(state, byte);
  place = {epoch_, state};
}

bool TokenMasks::Read(Place& place, std::span<const uint8_t> before, std::span<const uint8_t> bytes) {
  const std::lock_guard lock(mutex_);
  Refresh(place, before);
  Automaton::State state = place.state;
  for (uint8_t byte : bytes) {
    state = automaton_->Next(state, byte);
    if (state == Automaton::kDead) return false;
  }
  place.state = state;
  return true;
}

int64_t TokenMasks::ShortestText() {
  const std::lock_guard lock(mutex_);
  return automaton_->Distance(automaton_->start());
}

bool TokenMasks::Allows(std::span<const uint8_t> text) {
  Place place;
  if (!Read(place, {}, text)) return false;
  const std::lock_guard lock(mutex_);
  Refresh(place, text);
  return automaton_->Accepts(place.state);
}

const TokenMask& TokenMasks::Kept(Automaton::State state) {
  const auto known = masks_.find(state);
  if (known != masks_.end()) return known->second;
  const TokenMask& mask = masks_.emplace(state, Make(state, kAny)).first->second;
  mask_bytes_ += mask.tokens.size() * sizeof(int32_t) + mask.bits.size() * sizeof(uint64_t) + sizeof(TokenMask) + 64;
  return mask;
}

/// Walks the vocabulary's tree. Where a state stays the same for every byte that can follow, all tokens below are
/// allowed without a look at them: so most of a vocabulary costs nothing inside a string.
TokenMask TokenMasks::Make(Automaton::State state, int64_t within) {
  MaskMaker mask(*vocabulary_);
  const std::vector<Vocabulary::Node>& nodes = vocabulary_->nodes();
  path_.resize(static_cast<size_t>(vocabulary_->depth()) + 1);
  path_[0] = state;
  const auto count = static_cast<uint32_t>(nodes.size()) - 1;
  for (uint32_t i = 0; i < count;) {
    const Vocabulary::Node& node = nodes[i];
    const Automaton::State next = automaton_->Next(path_[node.depth - 1u], node.byte);
    if (next == Automaton::kDead) {
      i = node.end;
      continue;
    }
    const int64_t distance = automaton_->Distance(next);
    const bool is_near = distance <= within;
    if (is_near && node.end - i >= kManyNodes && (node.groups & ~automaton_->LoopingGroups(next)) == 0) {
      mask.Add(node.first, nodes[node.end].first, distance);
      i = node.end;
      continue;
    }
    if (is_near) mask.Add(node.first, nodes[i + 1].first, distance);
    path_[node.depth] = next;
    ++i;
  }
  TokenMask made = mask.Take();
  made.may_end = automaton_->Accepts(state);
  return made;
}

}  // namespace atb::guided
