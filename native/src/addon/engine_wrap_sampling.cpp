// The methods of EngineWrap that choose tokens: samplers, and the grammars that they may keep to.
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "addon/engine_wrap.h"
#include "addon/requests.h"
#include "addon/values.h"

namespace atb::addon {

Napi::Value EngineWrap::SetVocabulary(const Info& info) {
  return CallAsync(
      info, [&] { return ReadVocabulary(info[0]); },
      [&](VocabularyTable table) { return grammars_->SetVocabulary(info.Env(), std::move(table)); });
}

Napi::Value EngineWrap::CompileGrammar(const Info& info) {
  return CallAsync(
      info, [&] { return ReadGrammar(info[0]); },
      [&](guided::GrammarSpec spec) { return grammars_->Compile(info.Env(), std::move(spec)); });
}

Napi::Value EngineWrap::GrammarAllows(const Info& info) {
  const auto read = [&] { return std::pair(grammars_->Of(info[0]), ReadBytes(info[1], "text")); };
  return Call(info, read, [&](const auto& arguments) {
    return Napi::Boolean::New(info.Env(), arguments.first->Allows(arguments.second));
  });
}

Napi::Value EngineWrap::FreeGrammar(const Info& info) {
  return Call(
      info, [&] { return info[0]; },
      [&](const Napi::Value& id) {
        grammars_->Free(id);
        return info.Env().Undefined();
      });
}

Napi::Value EngineWrap::CreateSampler(const Info& info) {
  const auto read = [&] { return std::make_shared<Sampler>(ReadSamplerOptions(info[0], *grammars_)); };
  return Call(info, read, [&](std::shared_ptr<Sampler> sampler) {
    const int id = NewId(samplers_);
    return Create(
        info.Env(), samplers_, id,
        [id, sampler = std::move(sampler)](Engine& engine) { engine.AddSampler(id, std::move(*sampler)); },
        [id](Engine& engine) { engine.RemoveSampler(id); });
  });
}

/// Tokens of a sampler, and what its engine does with them.
Napi::Value EngineWrap::TellSampler(const Info& info, void (Engine::*act)(int, std::span<const int32_t>)) {
  struct Arguments {
    int sampler;
    std::vector<int32_t> tokens;
  };
  const auto read = [&] {
    Arguments arguments{ReadSamplerId(info[0]), ReadInt32s(info[1], "tokens")};
    for (int32_t token : arguments.tokens)
      if (token < 0) FailArgument("tokens", "without negative tokens", info[1]);
    return arguments;
  };
  return Call(info, read, [&](Arguments arguments) {
    Post([arguments = std::move(arguments), act](Engine& engine) {
      (engine.*act)(arguments.sampler, arguments.tokens);
    });
    return info.Env().Undefined();
  });
}

Napi::Value EngineWrap::AppendTokens(const Info& info) { return TellSampler(info, &Engine::AppendTokens); }

Napi::Value EngineWrap::RetractTokens(const Info& info) { return TellSampler(info, &Engine::RetractTokens); }

Napi::Value EngineWrap::FreeSampler(const Info& info) {
  return Call(
      info, [&] { return ReadSamplerId(info[0]); },
      [&](int id) {
        Remove(samplers_, id);
        return info.Env().Undefined();
      });
}

}  // namespace atb::addon
