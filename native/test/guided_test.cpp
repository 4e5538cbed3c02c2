#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "check.h"
#include "guided/automaton.h"
#include "guided/guide.h"
#include "guided/token_masks.h"
#include "kernels/dispatch.h"
#include "sampling/sampler.h"
#include "throws.h"

namespace atb::guided {
namespace {

/// Builds a spec edge by edge.
struct Builder {
  GrammarSpec spec;

  int32_t Node() { return spec.nodes++; }
  int32_t Rule() {
    const int32_t start = Node();
    spec.rules.push_back({start, Node()});
    return static_cast<int32_t>(spec.rules.size()) - 1;
  }
  int32_t Start(int32_t rule) const { return spec.rules[static_cast<size_t>(rule)].start; }
  int32_t End(int32_t rule) const { return spec.rules[static_cast<size_t>(rule)].end; }
  void Byte(int32_t from, int32_t to, char first, char last) {
    spec.bytes.push_back({from, to, static_cast<uint8_t>(first), static_cast<uint8_t>(last)});
  }
  void Call(int32_t from, int32_t to, int32_t rule) { spec.calls.push_back({from, to, rule}); }
  void Empty(int32_t from, int32_t to) { spec.empty.push_back({from, to}); }
  /// A chain of bytes; returns its last node.
  int32_t Text(int32_t from, std::string_view text) {
    for (char c : text) {
      const int32_t to = Node();
      Byte(from, to, c, c);
      from = to;
    }
    return from;
  }
};

std::span<const uint8_t> Bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

std::shared_ptr<const Vocabulary> MakeVocabulary(const std::vector<std::string>& tokens, std::vector<int32_t> ends) {
  std::vector<uint8_t> bytes;
  std::vector<uint32_t> offsets = {0};
  for (const std::string& token : tokens) {
    bytes.insert(bytes.end(), token.begin(), token.end());
    offsets.push_back(static_cast<uint32_t>(bytes.size()));
  }
  return std::make_shared<const Vocabulary>(std::move(bytes), std::move(offsets), std::move(ends));
}

/// The texts of up to `most` bytes that each rule allows: what the edges say, applied until nothing is added.
std::vector<std::set<std::string>> Texts(const GrammarSpec& spec, size_t most) {
  std::vector<std::set<std::string>> from(static_cast<size_t>(spec.nodes));  // From a node to its rule's end.
  for (const auto& rule : spec.rules) from[static_cast<size_t>(rule.end)].insert("");
  const auto total = [&] {
    size_t sum = 0;
    for (const auto& texts : from) sum += texts.size();
    return sum;
  };
  for (size_t before = 0; before != total();) {
    before = total();
    for (const auto& edge : spec.empty) {
      const auto texts = from[static_cast<size_t>(edge.to)];
      from[static_cast<size_t>(edge.from)].insert(texts.begin(), texts.end());
    }
    for (const auto& edge : spec.bytes)
      for (const std::string& text : std::set<std::string>(from[static_cast<size_t>(edge.to)]))
        if (text.size() < most)
          for (int b = edge.first; b <= edge.last; ++b)
            from[static_cast<size_t>(edge.from)].insert(static_cast<char>(b) + text);
    for (const auto& edge : spec.calls) {
      const auto inner = from[static_cast<size_t>(spec.rules[static_cast<size_t>(edge.rule)].start)];
      for (const std::string& text : std::set<std::string>(from[static_cast<size_t>(edge.to)]))
        for (const std::string& called : inner)
          if (called.size() + text.size() <= most) from[static_cast<size_t>(edge.from)].insert(called + text);
    }
  }
  std::vector<std::set<std::string>> texts;
  for (const auto& rule : spec.rules) texts.push_back(from[static_cast<size_t>(rule.start)]);
  return texts;
}

GrammarSpec RandomSpec(std::mt19937& random) {
  const auto below = [&](int n) { return static_cast<int32_t>(random() % static_cast<unsigned>(n)); };
  Builder b;
  const int rules = 1 + below(3);
  for (int r = 0; r < rules; ++r) b.Rule();
  for (int32_t r = 0; r < rules; ++r) {
    std::vector<int32_t> nodes = {b.Start(r), b.End(r)};
    for (int n = below(4); n > 0; --n) nodes.push_back(b.Node());
    const auto node = [&] { return nodes[static_cast<size_t>(below(static_cast<int>(nodes.size())))]; };
    for (int e = 1 + below(6); e > 0; --e) {
      const int kind = below(8);
      const char first = static_cast<char>('a' + below(2));
      if (kind < 4) {
        b.Byte(node(), node(), first, below(4) == 0 ? 'b' : first);
      } else if (kind < 7) {
        b.Call(node(), node(), below(rules));
      } else {
        b.Empty(node(), node());
      }
    }
  }
  return b.spec;
}

void RandomGrammarsAllowWhatTheirRulesSay() {
  constexpr size_t kMost = 7;
  std::mt19937 random(7);
  int compared = 0;
  int recursive = 0;
  for (int round = 0; round < 10000; ++round) {
    const GrammarSpec spec = RandomSpec(random);
    std::shared_ptr<const Grammar> grammar;
    try {
      grammar = std::make_shared<const Grammar>(spec);
    } catch (const Error&) {
      continue;  // No text ends, or a circle of beginnings.
    }
    const std::set<std::string> texts = Texts(spec, kMost)[0];
    Automaton automaton(grammar);
    std::vector<std::pair<std::string, Automaton::State>> alive = {{"", automaton.start()}};
    while (!alive.empty()) {
      const auto [text, state] = alive.back();
      alive.pop_back();
      CHECK(automaton.Accepts(state) == texts.contains(text));
      // The nearest text that begins so; texts are enumerated up to kMost bytes.
      size_t nearest = std::string::npos;
      for (auto other = texts.lower_bound(text); other != texts.end() && other->starts_with(text); ++other)
        nearest = std::min(nearest, other->size() - text.size());
      const auto distance = static_cast<size_t>(automaton.Distance(state));
      if (text.size() + distance <= kMost || nearest != std::string::npos) CHECK(distance == nearest);
      for (char c : {'a', 'b', 'c'}) {
        const std::string longer = text + c;
        if (longer.size() > kMost) continue;
        const Automaton::State next = automaton.Next(state, static_cast<uint8_t>(c));
        if (next != Automaton::kDead) {
          alive.push_back({longer, next});
        } else {
          const auto found = texts.lower_bound(longer);
          CHECK(found == texts.end() || !found->starts_with(longer));
        }
      }
    }
    ++compared;
    recursive += spec.calls.empty() ? 0 : 1;
  }
  CHECK(compared > 2000);
  CHECK(recursive > 1000);
}

/// sum = sum "+" digits | digits, with nested brackets: left recursion, and recursion in the middle.
GrammarSpec Sums() {
  Builder b;
  const int32_t sum = b.Rule();
  const int32_t term = b.Rule();
  const int32_t after = b.Node();
  const int32_t plus = b.Node();
  b.Call(b.Start(sum), after, sum);
  b.Byte(after, plus, '+', '+');
  b.Call(plus, b.End(sum), term);
  b.Call(b.Start(sum), b.End(sum), term);
  const int32_t open = b.Node();
  const int32_t inner = b.Node();
  b.Byte(b.Start(term), open, '(', '(');
  b.Call(open, inner, sum);
  b.Byte(inner, b.End(term), ')', ')');
  b.Byte(b.Start(term), b.End(term), '0', '9');
  b.Byte(b.End(term), b.End(term), '0', '9');
  return b.spec;
}

/// A string in quotes, of any bytes but quotes, in a list.
GrammarSpec Strings() {
  Builder b;
  const int32_t list = b.Rule();
  const int32_t text = b.Rule();
  const int32_t open = b.Node();
  const int32_t item = b.Node();
  b.Byte(b.Start(list), open, '[', '[');
  b.Call(open, item, text);
  b.Byte(item, open, ',', ',');
  b.Byte(item, b.End(list), ']', ']');
  const int32_t body = b.Node();
  b.Byte(b.Start(text), body, '"', '"');
  b.Byte(body, body, 0, '!');
  b.Byte(body, body, '#', '\x7f');
  b.Byte(body, body, '\x80', '\xff');
  b.Byte(body, b.End(text), '"', '"');
  return b.spec;
}

std::vector<int32_t> Allowed(TokenMasks& masks, const std::string& text, int64_t within) {
  TokenMasks::Place place;
  std::vector<int32_t> tokens;
  masks.WithMask(place, Bytes(text), within, [&](const TokenMask& mask) {
    tokens = mask.tokens;
    for (size_t t = 0; t < mask.bits.size() * 64; ++t)
      if (mask.bits[t / 64] >> (t % 64) & 1) tokens.push_back(static_cast<int32_t>(t));
    CHECK(static_cast<int64_t>(tokens.size()) == mask.count);
    if (mask.may_end) tokens.push_back(-1);
  });
  std::sort(tokens.begin(), tokens.end());
  return tokens;
}

/// Each token by itself against the automaton, on texts of two grammars and a vocabulary of random pieces.
void MasksAreWhatEachTokenSays() {
  std::mt19937 random(3);
  std::vector<std::string> tokens = {"", "</s>"};
  const std::string_view letters = "[]\",+()0123456789abcdefghijk \n\\\xc3\xa9";
  for (int i = 0; i < 3000; ++i) {
    std::string token;
    for (int n = 1 + static_cast<int>(random() % 5); n > 0; --n) token += letters[random() % letters.size()];
    tokens.push_back(token);
  }
  tokens.push_back(std::string(Vocabulary::kMaxTokenBytes + 1, 'a'));
  const auto vocabulary = MakeVocabulary(tokens, {1});
  for (const GrammarSpec& spec : {Sums(), Strings()}) {
    const auto grammar = std::make_shared<const Grammar>(spec);
    // The second forgets everything before nearly every mask.
    TokenMasks masks(grammar, vocabulary);
    TokenMasks forgetful(grammar, vocabulary, 4096);
    Automaton automaton(grammar);
    std::string text;
    for (int step = 0; step < 60; ++step) {
      Automaton::State state = automaton.start();
      for (char c : text) state = automaton.Next(state, static_cast<uint8_t>(c));
      for (const int64_t within : {int64_t{1} << 40, int64_t{3}, int64_t{1}}) {
        std::vector<int32_t> expected;
        if (automaton.Accepts(state)) expected.push_back(-1);
        for (size_t t = 2; t < tokens.size() - 1; ++t) {
          Automaton::State next = state;
          for (char c : tokens[t])
            if (next != Automaton::kDead) next = automaton.Next(next, static_cast<uint8_t>(c));
          if (next != Automaton::kDead && automaton.Distance(next) <= within)
            expected.push_back(static_cast<int32_t>(t));
        }
        CHECK(Allowed(masks, text, within) == expected);
        CHECK(Allowed(forgetful, text, within) == expected);
      }
      std::vector<int32_t> next = Allowed(masks, text, int64_t{1} << 40);
      std::erase(next, -1);
      if (next.empty()) break;
      text += tokens[static_cast<size_t>(next[random() % next.size()])];
    }
    CHECK(text.size() > 20);
  }
}

/// However the logits lie, the text is whole when the tokens run out.
void TextsAreWholeWithinTheirTokens() {
  std::vector<std::string> tokens = {"</s>"};
  for (const char* token : {"(", ")", "+", "1", "((", "(1", "1)", "+1", "))", "12", "((((", "1+1"})
    tokens.push_back(token);
  const auto vocabulary = MakeVocabulary(tokens, {0});
  const auto masks = std::make_shared<TokenMasks>(std::make_shared<const Grammar>(Sums()), vocabulary);
  const RowWork work{kernels::Select()};
  SamplerScratch scratch{work};
  std::mt19937 random(5);
  int cut = 0;
  for (int round = 0; round < 2000; ++round) {
    const int64_t most = 1 + static_cast<int64_t>(random() % 12);
    Sampler sampler({.seed = random(), .grammar = masks, .max_tokens = most});
    std::string text;
    bool ended = false;
    for (int64_t n = 0; n < most && !ended; ++n) {
      std::vector<float> logits(tokens.size() + 3);
      for (float& logit : logits) logit = static_cast<float>(random() % 1000) / 100;
      const int32_t token = sampler.Sample(logits, scratch).token;
      CHECK(token >= 0 && token < static_cast<int32_t>(tokens.size()));
      ended = token == 0;
      if (!ended) text += tokens[static_cast<size_t>(token)];
    }
    if (!ended) ++cut;
    CHECK(masks->Allows(Bytes(text)));
  }
  CHECK(cut > 100);
  CheckThrows("NATIVE_GRAMMAR_NO_ROOM", [&] { const Sampler sampler({.grammar = masks, .max_tokens = 0}); });
}

void AppendedTokensCount() {
  const auto vocabulary = MakeVocabulary({"</s>", "(", "1", ")", "x"}, {0});
  const auto masks = std::make_shared<TokenMasks>(std::make_shared<const Grammar>(Sums()), vocabulary);
  const RowWork work{kernels::Select()};
  SamplerScratch scratch{work};
  const std::vector<float> logits = {4, 0, 0, 0, 9};
  Sampler sampler({.temperature = 0, .grammar = masks, .max_tokens = 10});
  sampler.Append(1);
  sampler.Append(2);
  CHECK(sampler.Sample(logits, scratch).token == 2);
  sampler.Append(3);
  CHECK(sampler.Sample(logits, scratch).token == 0);
  // The text has ended.
  CHECK(sampler.Sample(logits, scratch).token == kNoneAllowed);
  Sampler stray({.temperature = 0, .grammar = masks, .max_tokens = 10});
  stray.Append(4);
  CHECK(stray.Sample(logits, scratch).token == kNoneAllowed);
  // The vocabulary writes no digit but 1, and that is forbidden.
  Sampler stuck({.temperature = 0, .logit_bias = {{1, -INFINITY}, {2, -INFINITY}}, .grammar = masks, .max_tokens = 9});
  CHECK(stuck.Sample(logits, scratch).token == kNoneAllowed);
}

void Refused(const GrammarSpec& spec) { const Grammar grammar(spec); }

void RefusesWhatIsNoGrammar() {
  CheckThrows("NATIVE_GRAMMAR_INVALID", [] { Refused(GrammarSpec{}); });
  Builder endless;
  endless.Rule();
  endless.Call(endless.Start(0), endless.End(0), 0);
  CheckThrows("NATIVE_GRAMMAR_INVALID", [&] { Refused(endless.spec); });
  // a = b "x" | "y"; b = a "z"
  Builder circle;
  const int32_t a = circle.Rule();
  const int32_t b = circle.Rule();
  const int32_t x = circle.Node();
  const int32_t z = circle.Node();
  circle.Call(circle.Start(a), x, b);
  circle.Byte(x, circle.End(a), 'x', 'x');
  circle.Byte(circle.Start(a), circle.End(a), 'y', 'y');
  circle.Call(circle.Start(b), z, a);
  circle.Byte(z, circle.End(b), 'z', 'z');
  CheckThrows("NATIVE_GRAMMAR_INVALID", [&] { Refused(circle.spec); });
  GrammarSpec outside = Sums();
  outside.bytes[0].to = outside.nodes;
  CheckThrows("NATIVE_GRAMMAR_INVALID", [&] { Refused(outside); });
  outside = Sums();
  outside.calls[0].rule = -1;
  CheckThrows("NATIVE_GRAMMAR_INVALID", [&] { Refused(outside); });
  Builder shared;
  shared.Rule();
  shared.Rule();
  shared.Byte(shared.Start(0), shared.End(0), 'a', 'a');
  shared.Empty(shared.Start(1), shared.End(0));
  CheckThrows("NATIVE_GRAMMAR_INVALID", [&] { Refused(shared.spec); });
  outside = Sums();
  outside.nodes = kMaxGrammarSize + 1;
  CheckThrows("NATIVE_GRAMMAR_TOO_LARGE", [&] { Refused(outside); });
  CheckThrows("NATIVE_VALUE_OUT_OF_RANGE", [] { const Vocabulary v({1, 2}, {0, 2, 1}, {}); });
  CheckThrows("NATIVE_VALUE_OUT_OF_RANGE", [] { const Vocabulary v({1, 2}, {0, 3}, {}); });
  CheckThrows("NATIVE_VALUE_OUT_OF_RANGE", [] { const Vocabulary v({1, 2}, {0, 2}, {1}); });
}

}  // namespace
}  // namespace atb::guided

int main() {
  using namespace atb::guided;
  RUN(RandomGrammarsAllowWhatTheirRulesSay);
  RUN(MasksAreWhatEachTokenSays);
  RUN(TextsAreWholeWithinTheirTokens);
  RUN(AppendedTokensCount);
  RUN(RefusesWhatIsNoGrammar);
}
