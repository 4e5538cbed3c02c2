#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace atb::guided {

/// The bytes that each token writes, as a tree in which tokens share their beginnings. Its nodes lie in the order of a
/// depth-first walk, so that skipping what a node begins is a jump.
class Vocabulary {
 public:
  /// Token t writes bytes[offsets[t] .. offsets[t + 1]); one that writes none, or more than kMaxTokenBytes, is never
  /// allowed. `ends` are the tokens that end a text. Throws NATIVE_VALUE_OUT_OF_RANGE for offsets that fall or leave
  /// the bytes and for ends beyond the tokens.
  Vocabulary(std::vector<uint8_t> bytes, std::vector<uint32_t> offsets, std::vector<int32_t> ends);

  static constexpr uint32_t kMaxTokenBytes = 4096;

  struct Node {
    uint32_t end;    ///< The node after those that this one begins.
    uint32_t first;  ///< Place in `sorted` of the first token that this node begins or ends.
    uint16_t depth;  ///< 1 for the first byte of a token.
    uint8_t byte;
    uint8_t groups;  ///< Bit g: a byte of group g follows in some token.
  };

  int32_t size() const { return static_cast<int32_t>(offsets_.size()) - 1; }
  /// One more than there are nodes: the last has no byte, and says how many tokens there are.
  const std::vector<Node>& nodes() const { return nodes_; }
  /// Tokens in the order of their bytes.
  const std::vector<int32_t>& sorted() const { return sorted_; }
  /// In rising order.
  const std::vector<int32_t>& ends() const { return ends_; }
  bool IsEnd(int32_t token) const;
  uint16_t depth() const { return depth_; }
  const uint8_t* BytesOf(int32_t token) const { return bytes_.data() + offsets_[static_cast<size_t>(token)]; }
  uint32_t LengthOf(int32_t token) const {
    return offsets_[static_cast<size_t>(token) + 1] - offsets_[static_cast<size_t>(token)];
  }

 private:
  void MakeNodes();

  std::vector<uint8_t> bytes_;
  std::vector<uint32_t> offsets_;
  std::vector<int32_t> ends_;
  std::vector<int32_t> sorted_;
  std::vector<Node> nodes_;
  uint16_t depth_ = 0;
};

}  // namespace atb::guided
