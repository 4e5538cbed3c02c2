// Grammars: any edges between a few nodes, and vocabularies of short tokens. Which texts are allowed is compared with a
// recogniser that tries everything, which tokens may follow with a walk over each, and what a sampler writes must be a
// whole text. Now and then the numbers are any at all: then what is no grammar must be refused.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "bytes.h"
#include "guided/automaton.h"
#include "guided/token_masks.h"
#include "kernels/dispatch.h"
#include "sampling/sampler.h"

using namespace atb;
using namespace atb::guided;

namespace {

constexpr uint8_t kFirst = 'a', kLast = 'e';

[[noreturn]] void Fail(const char* problem) {
  std::fprintf(stderr, "guided: %s\n", problem);
  std::abort();
}

/// Rules of a few nodes each, which no other rule has.
GrammarSpec MakeSpec(fuzz::Bytes& bytes, bool wild) {
  GrammarSpec spec;
  const int64_t rules = bytes.Int(1, 4);
  for (int64_t r = 0; r < rules; ++r) {
    const int32_t base = spec.nodes;
    spec.nodes += static_cast<int32_t>(bytes.Int(1, 5));
    const auto node = [&] {
      const int32_t any = static_cast<int32_t>(bytes.Int(-1, spec.nodes));
      return wild && bytes.OneIn(4) ? any : static_cast<int32_t>(bytes.Int(base, spec.nodes - 1));
    };
    spec.rules.push_back({node(), node()});
    for (int64_t i = bytes.Int(0, 6); i > 0; --i) {
      const auto first = wild ? bytes.Raw<uint8_t>() : static_cast<uint8_t>(bytes.Int(kFirst, kLast));
      const auto last = static_cast<uint8_t>(wild ? bytes.Int(first - bytes.OneIn(50), 255) : bytes.Int(first, kLast));
      spec.bytes.push_back({node(), node(), first, last});
    }
    for (int64_t i = bytes.Int(0, 3); i > 0; --i)
      spec.calls.push_back({node(), node(), static_cast<int32_t>(bytes.Int(wild ? -1 : 0, wild ? rules : rules - 1))});
    for (int64_t i = bytes.Int(0, 2); i > 0; --i) spec.empty.push_back({node(), node()});
  }
  return spec;
}

std::vector<uint8_t> Text(fuzz::Bytes& bytes, int64_t longest) {
  std::vector<uint8_t> text(static_cast<size_t>(bytes.Int(0, longest)));
  for (uint8_t& byte : text) byte = static_cast<uint8_t>(bytes.Int(kFirst, kLast));
  return text;
}

/// Whether the grammar allows a text of less than 32 bytes: tries where each rule can end from each place, until
/// nothing new is found. Bit j of a set of places: after j bytes.
bool Recognises(const GrammarSpec& spec, const std::vector<uint8_t>& text) {
  const size_t places = text.size() + 1;
  std::vector<std::vector<uint32_t>> ends(spec.rules.size(), std::vector<uint32_t>(places, 0));
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t r = 0; r < spec.rules.size(); ++r) {
      for (size_t begin = 0; begin < places; ++begin) {
        std::vector<uint32_t> at(static_cast<size_t>(spec.nodes), 0);
        at[static_cast<size_t>(spec.rules[r].start)] = uint32_t{1} << begin;
        for (bool grows = true; grows;) {
          grows = false;
          const auto reach = [&](int32_t node, uint32_t found) {
            uint32_t& known = at[static_cast<size_t>(node)];
            grows = grows || (known | found) != known;
            known |= found;
          };
          for (const auto& edge : spec.empty) reach(edge.to, at[static_cast<size_t>(edge.from)]);
          for (size_t i = begin; i < places; ++i) {
            const auto is_at = [&](int32_t node) { return (at[static_cast<size_t>(node)] >> i & 1) != 0; };
            for (const auto& edge : spec.bytes)
              if (is_at(edge.from) && i < text.size() && edge.first <= text[i] && text[i] <= edge.last)
                reach(edge.to, uint32_t{1} << (i + 1));
            for (const auto& edge : spec.calls)
              if (is_at(edge.from)) reach(edge.to, ends[static_cast<size_t>(edge.rule)][i]);
          }
        }
        const uint32_t found = at[static_cast<size_t>(spec.rules[r].end)];
        changed = changed || found != ends[r][begin];
        ends[r][begin] = found;
      }
    }
  }
  return (ends[0][0] >> text.size() & 1) != 0;
}

/// Tokens of up to three bytes. All single bytes are among them unless it is wild: else no text need be possible.
std::shared_ptr<const Vocabulary> MakeVocabulary(fuzz::Bytes& bytes, bool wild) {
  std::vector<uint8_t> written;
  std::vector<uint32_t> offsets{0};
  const auto add = [&](const std::vector<uint8_t>& token) {
    written.insert(written.end(), token.begin(), token.end());
    offsets.push_back(static_cast<uint32_t>(written.size()));
  };
  // More than 512 are kept as bits, not as a list.
  const int64_t many = bytes.OneIn(8) ? 700 : bytes.Int(0, 20);
  for (int64_t i = 0; i < many; ++i) add(Text(bytes, 3));
  if (!wild)
    for (uint8_t byte = kFirst; byte <= kLast; ++byte) add({byte});
  if (wild && bytes.OneIn(8)) std::reverse(offsets.begin(), offsets.end());
  const auto size = static_cast<int64_t>(offsets.size()) - 1;
  std::vector<int32_t> ends;
  // The single bytes are the last ones, and end nothing.
  if (wild) {
    for (int64_t i = bytes.Int(0, 2); i > 0; --i) ends.push_back(static_cast<int32_t>(bytes.Int(-1, size)));
  } else {
    offsets.push_back(offsets.back());
    ends.push_back(static_cast<int32_t>(size));
    if (many > 0 && bytes.Flag()) ends.push_back(static_cast<int32_t>(bytes.Int(0, many - 1)));
  }
  return std::make_shared<const Vocabulary>(std::move(written), std::move(offsets), std::move(ends));
}

/// Walks along a text, and compares the tokens that may follow with a walk over each.
void CheckMasks(fuzz::Bytes& bytes, const std::shared_ptr<const Grammar>& grammar, TokenMasks& masks) {
  Automaton automaton(grammar);
  const Vocabulary& vocabulary = masks.vocabulary();
  TokenMasks::Place place;
  Automaton::State state = automaton.start();
  std::vector<uint8_t> before;
  for (uint8_t byte : Text(bytes, 4)) {
    const Automaton::State next = automaton.Next(state, byte);
    if (masks.Read(place, before, {&byte, 1}) != (next != Automaton::kDead)) Fail("masks read otherwise");
    if (next == Automaton::kDead) break;
    before.push_back(byte);
    state = next;
  }
  if (automaton.Accepts(state) != (automaton.Distance(state) == 0)) Fail("a distance of 0 says something else");
  const int64_t within = bytes.OneIn(3) ? int64_t{1} << 40 : bytes.Int(0, 6);
  std::vector<int32_t> expected;
  for (int32_t token = 0; token < vocabulary.size(); ++token) {
    if (vocabulary.IsEnd(token) || vocabulary.LengthOf(token) == 0) continue;
    Automaton::State at = state;
    for (uint32_t i = 0; i < vocabulary.LengthOf(token) && at != Automaton::kDead; ++i)
      at = automaton.Next(at, vocabulary.BytesOf(token)[i]);
    if (at != Automaton::kDead && automaton.Distance(at) <= within) expected.push_back(token);
  }
  masks.WithMask(place, before, within, [&](const TokenMask& mask) {
    std::vector<int32_t> found = mask.tokens;
    for (size_t i = 0; i < mask.bits.size() * 64; ++i)
      if ((mask.bits[i / 64] >> (i % 64) & 1) != 0) found.push_back(static_cast<int32_t>(i));
    if (found != expected || mask.count != static_cast<int64_t>(expected.size())) Fail("another mask");
    if (mask.may_end != automaton.Accepts(state)) Fail("a mask ends otherwise");
  });
}

/// A sequence that a sampler writes. Where every byte is a token, it must be a whole text whatever is drawn.
void CheckSampler(fuzz::Bytes& bytes, const std::shared_ptr<TokenMasks>& masks, bool sure) {
  const Vocabulary& vocabulary = masks->vocabulary();
  SamplerOptions options;
  options.temperature = static_cast<float>(bytes.Int(0, 4));
  if (bytes.OneIn(3)) options.top_k = bytes.Int(1, 5);
  if (bytes.OneIn(3)) options.top_p = static_cast<float>(bytes.Int(0, 255)) / 255;
  if (bytes.OneIn(3)) options.repetition_penalty = 1.5f;
  options.seed = bytes.Raw<uint64_t>();
  options.grammar = masks;
  options.max_tokens = bytes.Int(0, 12);
  SamplerScratch scratch{{*kernels::Available()[0]}};
  Sampler sampler(options);
  std::vector<uint8_t> text;
  for (int64_t i = 0; i < options.max_tokens; ++i) {
    std::vector<float> logits(static_cast<size_t>(vocabulary.size()));
    for (float& logit : logits) logit = static_cast<float>(bytes.Int(-64, 64)) / 16;
    if (logits.empty()) return;
    const int32_t token = sampler.Sample(logits, scratch).token;
    if (token == kNoneAllowed) {
      if (sure) Fail("no token is allowed");
      return;
    }
    if (token < 0 || token >= vocabulary.size()) Fail("a token that does not exist");
    if (vocabulary.IsEnd(token)) break;
    text.insert(text.end(), vocabulary.BytesOf(token), vocabulary.BytesOf(token) + vocabulary.LengthOf(token));
  }
  if (sure && !masks->Allows(text)) Fail("a text that is not whole");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Bytes bytes(data, size);
  const bool wild = bytes.OneIn(8);
  const GrammarSpec spec = MakeSpec(bytes, wild);
  try {
    const auto grammar = std::make_shared<const Grammar>(spec);
    // With little room, states are forgotten and found again.
    const size_t room = bytes.Flag() ? TokenMasks::kMaxBytes : static_cast<size_t>(bytes.Int(0, 20000));
    const auto masks = std::make_shared<TokenMasks>(grammar, MakeVocabulary(bytes, wild), room);
    for (int i = 0; i < 4; ++i) {
      const std::vector<uint8_t> text = Text(bytes, 6);
      const bool allowed = masks->Allows(text);
      if (!wild && allowed != Recognises(spec, text)) Fail("another text is allowed");
    }
    CheckMasks(bytes, grammar, *masks);
    CheckSampler(bytes, masks, !wild);
  } catch (const Error&) {
    // What is no grammar, or has no text that is short enough, is refused.
  }
  return 0;
}
