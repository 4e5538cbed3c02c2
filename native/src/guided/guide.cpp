#include "guided/guide.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <limits>
#include <string>
#include <utility>

#include "base/error.h"

namespace atb::guided {
namespace {

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

/// Copies the logits of tokens with a bit. The others, and those beyond the bits, get -inf. Goes through the rarer
/// kind.
void CopyAllowed(const std::vector<uint64_t>& bits, std::span<const float> logits, std::vector<float>& row) {
  row.assign(logits.begin(), logits.end());
  for (size_t begin = 0; begin < row.size(); begin += 64) {
    const size_t count = std::min(row.size() - begin, size_t{64});
    const uint64_t exist = ~uint64_t{0} >> (64 - count);
    const uint64_t allowed = begin / 64 < bits.size() ? bits[begin / 64] & exist : 0;
    if (std::popcount(allowed) > 32) {
      for (uint64_t left = exist & ~allowed; left != 0; left &= left - 1)
        row[begin + static_cast<size_t>(std::countr_zero(left))] = kForbidden;
    } else {
      std::fill_n(row.begin() + static_cast<int64_t>(begin), count, kForbidden);
      for (uint64_t left = allowed; left != 0; left &= left - 1) {
        const size_t token = begin + static_cast<size_t>(std::countr_zero(left));
        row[token] = logits[token];
      }
    }
  }
}

}  // namespace

Guide::Guide(std::shared_ptr<TokenMasks> masks, int64_t max_tokens)
    : masks_(std::move(masks)), tokens_left_(max_tokens) {
  const int64_t shortest = masks_->ShortestText();
  if (shortest > max_tokens)
    throw Error("NATIVE_GRAMMAR_NO_ROOM", "the shortest text that is allowed has " + std::to_string(shortest) +
                                              " bytes, and may need as many tokens; " + std::to_string(max_tokens) +
                                              " are asked for");
}

void Guide::Restrict(std::span<const float> logits, std::vector<float>& row, std::vector<int32_t>& tokens) {
  row.clear();
  tokens.clear();
  if (is_over_) return;
  const auto has = [&](int32_t token) { return token < static_cast<int64_t>(logits.size()); };
  try {
    masks_->WithMask(place_, text_, tokens_left_ - 1, [&](const TokenMask& mask) {
      const std::vector<int32_t>& ends = masks_->vocabulary().ends();
      if (!mask.bits.empty()) {
        CopyAllowed(mask.bits, logits, row);
        if (mask.may_end)
          for (int32_t end : ends)
            if (has(end)) row[static_cast<size_t>(end)] = logits[static_cast<size_t>(end)];
        return;
      }
      std::copy_if(mask.tokens.begin(), mask.tokens.end(), std::back_inserter(tokens), has);
      if (!mask.may_end) return;
      const auto middle = static_cast<int64_t>(tokens.size());
      std::copy_if(ends.begin(), ends.end(), std::back_inserter(tokens), has);
      std::inplace_merge(tokens.begin(), tokens.begin() + middle, tokens.end());
    });
  } catch (const Error&) {
    is_over_ = true;
    return;
  }
  for (int32_t token : tokens) row.push_back(logits[static_cast<size_t>(token)]);
}

void Guide::Append(int32_t token) try {
  --tokens_left_;
  if (is_over_) return;
  const Vocabulary& vocabulary = masks_->vocabulary();
  if (token < 0 || token >= vocabulary.size() || vocabulary.IsEnd(token) || vocabulary.LengthOf(token) == 0) {
    is_over_ = true;
    return;
  }
  const std::span<const uint8_t> bytes(vocabulary.BytesOf(token), vocabulary.LengthOf(token));
  is_over_ = !masks_->Read(place_, text_, bytes);
  if (!is_over_) text_.insert(text_.end(), bytes.begin(), bytes.end());
} catch (const Error&) {
  is_over_ = true;
}

}  // namespace atb::guided
