#pragma once
#include <napi.h>

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "guided/token_masks.h"

namespace atb::addon {

/// The arguments of setVocabulary and compileGrammar of src/native/binding.ts. Throw NATIVE_ARGUMENT_INVALID,
/// NATIVE_GRAMMAR_INVALID.
struct VocabularyTable {
  std::vector<uint8_t> bytes;
  std::vector<uint32_t> offsets;
  std::vector<int32_t> ends;
};
VocabularyTable ReadVocabulary(const Napi::Value& value);
guided::GrammarSpec ReadGrammar(const Napi::Value& value);

/// The vocabulary of an engine's model and the grammars that were compiled for it, by id. Both are made on a thread of
/// their own, so that neither JavaScript nor the engine waits; all else happens on JavaScript's thread.
class Grammars : public std::enable_shared_from_this<Grammars> {
 public:
  /// A promise of nothing.
  Napi::Value SetVocabulary(Napi::Env env, VocabularyTable table);
  /// A promise of the id. Throws NATIVE_ORDER_INVALID without a vocabulary.
  Napi::Value Compile(Napi::Env env, guided::GrammarSpec spec);
  /// Throws NATIVE_GRAMMAR_UNKNOWN.
  std::shared_ptr<guided::TokenMasks> Of(const Napi::Value& id) const;
  /// The samplers that use it keep it.
  void Free(const Napi::Value& id);
  void Clear() { grammars_.clear(); }

 private:
  std::shared_ptr<const guided::Vocabulary> vocabulary_;
  std::map<int, std::shared_ptr<guided::TokenMasks>> grammars_;
  int latest_id_ = 0;
};

}  // namespace atb::addon
