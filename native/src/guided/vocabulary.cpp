#include "guided/vocabulary.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "base/error.h"
#include "guided/grammar.h"

namespace atb::guided {

Vocabulary::Vocabulary(std::vector<uint8_t> bytes, std::vector<uint32_t> offsets, std::vector<int32_t> ends)
    : bytes_(std::move(bytes)), offsets_(std::move(offsets)), ends_(std::move(ends)) {
  const bool are_ordered = !offsets_.empty() && std::is_sorted(offsets_.begin(), offsets_.end());
  if (!are_ordered || offsets_.back() > bytes_.size())
    throw Error("NATIVE_VALUE_OUT_OF_RANGE", "offsets must not fall, nor leave the bytes");
  std::sort(ends_.begin(), ends_.end());
  ends_.erase(std::unique(ends_.begin(), ends_.end()), ends_.end());
  for (int32_t token : ends_)
    if (token < 0 || token >= size())
      throw Error("NATIVE_VALUE_OUT_OF_RANGE", "token " + std::to_string(token) + " does not exist");
  for (int32_t token = 0; token < size(); ++token)
    if (LengthOf(token) > 0 && LengthOf(token) <= kMaxTokenBytes && !IsEnd(token)) sorted_.push_back(token);
  std::sort(sorted_.begin(), sorted_.end(), [&](int32_t a, int32_t b) {
    const int order = std::memcmp(BytesOf(a), BytesOf(b), std::min(LengthOf(a), LengthOf(b)));
    if (order != 0) return order < 0;
    return LengthOf(a) != LengthOf(b) ? LengthOf(a) < LengthOf(b) : a < b;
  });
  MakeNodes();
}

bool Vocabulary::IsEnd(int32_t token) const { return std::binary_search(ends_.begin(), ends_.end(), token); }

void Vocabulary::MakeNodes() {
  std::vector<uint32_t> path;  // Nodes of the latest token's bytes.
  const auto close = [&](size_t depth) {
    while (path.size() > depth) {
      Node& node = nodes_[path.back()];
      node.end = static_cast<uint32_t>(nodes_.size());
      path.pop_back();
      if (path.empty()) continue;
      Node& parent = nodes_[path.back()];
      parent.groups = static_cast<uint8_t>(parent.groups | node.groups | 1 << ByteGroup(node.byte));
    }
  };
  for (size_t i = 0; i < sorted_.size(); ++i) {
    const uint8_t* bytes = BytesOf(sorted_[i]);
    const uint32_t length = LengthOf(sorted_[i]);
    size_t shared = 0;
    while (shared < path.size() && shared < length && nodes_[path[shared]].byte == bytes[shared]) ++shared;
    close(shared);
    for (size_t d = shared; d < length; ++d) {
      path.push_back(static_cast<uint32_t>(nodes_.size()));
      nodes_.push_back({0, static_cast<uint32_t>(i), static_cast<uint16_t>(d + 1), bytes[d], 0});
    }
    depth_ = std::max(depth_, static_cast<uint16_t>(length));
  }
  close(0);
  const auto count = static_cast<uint32_t>(nodes_.size());
  nodes_.push_back({count + 1, static_cast<uint32_t>(sorted_.size()), 0, 0, 0});
}

}  // namespace atb::guided
