#include "addon/grammars.h"

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "addon/background.h"
#include "addon/values.h"
#include "base/error.h"

namespace atb::addon {
namespace {

/// Calls f with each `width` numbers of an Int32Array.
template <typename F>
void ReadRows(const Napi::Object& object, const char* key, const Where& outer, size_t width, F&& f) {
  const Where where(outer, key);
  const Napi::Value value = object.Get(key);
  const std::vector<int32_t> numbers = ReadInt32s(value, where);
  if (numbers.size() % width != 0) FailArgument(where, std::to_string(width) + " numbers for each", value);
  for (size_t i = 0; i < numbers.size(); i += width) f(numbers.data() + i);
}

uint8_t ReadByte(int32_t number) {
  if (number < 0 || number > 255) throw Error("NATIVE_GRAMMAR_INVALID", std::to_string(number) + " is not a byte");
  return static_cast<uint8_t>(number);
}

}  // namespace

VocabularyTable ReadVocabulary(const Napi::Value& value) {
  const Where where("vocabulary");
  const Napi::Object object = ReadObject(value, where);
  VocabularyTable table;
  table.bytes = ReadBytes(object.Get("bytes"), Where(where, "bytes"));
  for (int32_t offset : ReadInt32s(object.Get("offsets"), Where(where, "offsets")))
    table.offsets.push_back(static_cast<uint32_t>(offset));
  table.ends = ReadInt32s(object.Get("ends"), Where(where, "ends"));
  return table;
}

guided::GrammarSpec ReadGrammar(const Napi::Value& value) {
  const Where where("grammar");
  const Napi::Object object = ReadObject(value, where);
  guided::GrammarSpec spec;
  spec.nodes =
      static_cast<int32_t>(ReadInteger(object.Get("nodes"), Where(where, "nodes"), 0, guided::kMaxGrammarSize));
  ReadRows(object, "rules", where, 2, [&](const int32_t* n) { spec.rules.push_back({n[0], n[1]}); });
  ReadRows(object, "bytes", where, 4,
           [&](const int32_t* n) { spec.bytes.push_back({n[0], n[1], ReadByte(n[2]), ReadByte(n[3])}); });
  ReadRows(object, "calls", where, 3, [&](const int32_t* n) { spec.calls.push_back({n[0], n[1], n[2]}); });
  ReadRows(object, "empty", where, 2, [&](const int32_t* n) { spec.empty.push_back({n[0], n[1]}); });
  return spec;
}

Napi::Value Grammars::SetVocabulary(Napi::Env env, VocabularyTable table) {
  struct Content {
    VocabularyTable table;
    std::shared_ptr<const guided::Vocabulary> made;
  };
  auto content = std::make_shared<Content>(Content{std::move(table), {}});
  return Background::Start(
      env,
      [content] {
        auto& [bytes, offsets, ends] = content->table;
        content->made =
            std::make_shared<const guided::Vocabulary>(std::move(bytes), std::move(offsets), std::move(ends));
      },
      [content, self = shared_from_this()](Napi::Env now) {
        self->vocabulary_ = content->made;
        return now.Undefined();
      });
}

Napi::Value Grammars::Compile(Napi::Env env, guided::GrammarSpec spec) {
  struct Content {
    guided::GrammarSpec spec;
    std::shared_ptr<guided::TokenMasks> made;
  };
  if (!vocabulary_) throw Error("NATIVE_ORDER_INVALID", "setVocabulary comes before compileGrammar");
  auto content = std::make_shared<Content>(Content{std::move(spec), {}});
  return Background::Start(
      env,
      [content, vocabulary = vocabulary_] {
        auto grammar = std::make_shared<const guided::Grammar>(std::move(content->spec));
        content->made = std::make_shared<guided::TokenMasks>(std::move(grammar), vocabulary);
      },
      [content, self = shared_from_this()](Napi::Env now) {
        if (self->latest_id_ == std::numeric_limits<int>::max())
          throw Error("NATIVE_GRAMMAR_TOO_LARGE", "there are no more ids for grammars");
        self->grammars_.emplace(++self->latest_id_, content->made);
        return Napi::Number::New(now, self->latest_id_);
      });
}

std::shared_ptr<guided::TokenMasks> Grammars::Of(const Napi::Value& id) const {
  const auto found = grammars_.find(static_cast<int>(ReadInteger(id, "grammar", 0, std::numeric_limits<int>::max())));
  if (found == grammars_.end())
    throw Error("NATIVE_GRAMMAR_UNKNOWN", "there is no grammar " + id.ToString().Utf8Value());
  return found->second;
}

void Grammars::Free(const Napi::Value& id) {
  Of(id);
  grammars_.erase(static_cast<int>(id.As<Napi::Number>().Int32Value()));
}

}  // namespace atb::addon
