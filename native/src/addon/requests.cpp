#include "addon/requests.h"

#include <limits>

#include "addon/values.h"

namespace atb::addon {
namespace {

constexpr int64_t kMaxInt32 = std::numeric_limits<int32_t>::max();
constexpr uint32_t kMaxWeights = 1 << 20;
constexpr uint32_t kMaxParts = 1 << 12;
constexpr uint32_t kMaxBiases = 1 << 20;
constexpr uint32_t kMaxCaches = 1 << 16;

/// Sets `to` to what a key of an object has, if it has one.
template <typename T, typename Read>
void Take(T& to, const Napi::Object& object, const char* key, const Where& outer, Read&& read) {
  const Napi::Value value = object.Get(key);
  if (!value.IsUndefined()) to = read(value, Where(outer, key));
}

float ReadFloat(const Napi::Value& value, const Where& where) { return static_cast<float>(ReadNumber(value, where)); }

std::string ReadName(const Napi::Value& value, const Where& where) { return ReadString(value, where); }

WeightLayout ReadLayout(const Napi::Value& value, const Where& where) {
  const std::string name = value.IsString() ? ReadString(value, where) : "";
  if (name == "plain") return WeightLayout::kPlain;
  if (name == "linear") return WeightLayout::kLinear;
  if (name == "linear-interleaved") return WeightLayout::kLinearInterleaved;
  FailArgument(where, "plain, linear or linear-interleaved", value);
}

PackedWords ReadWords(const Napi::Value& value, const Where& where) {
  const Napi::Object object = ReadObject(value, where);
  PackedWords words;
  words.bits = static_cast<int>(ReadInteger(object.Get("bits"), Where(where, "bits"), 2, 8));
  words.axis = static_cast<int>(ReadInteger(object.Get("axis"), Where(where, "axis"), 0, 1));
  words.count = ReadInteger(object.Get("count"), Where(where, "count"), 1, kMaxSafeInteger);
  words.minus = static_cast<int>(ReadInteger(object.Get("minus"), Where(where, "minus"), 0, 256));
  Take(words.awq, object, "awq", where, ReadBool);
  Take(words.is_signed, object, "signed", where, ReadBool);
  return words;
}

WeightPart ReadPart(const Napi::Value& value, const Where& where, int codes_within = 2);

CodedFloats ReadCodes(const Napi::Value& value, const Where& where, int codes_within) {
  const Napi::Object object = ReadObject(value, where);
  CodedFloats codes;
  codes.table = ReadFloat32s(object.Get("table"), Where(where, "table"));
  Take(codes.low_first, object, "lowFirst", where, ReadBool);
  codes.block = ReadInteger(object.Get("block"), Where(where, "block"), 1, kMaxSafeInteger);
  codes.scales =
      std::make_shared<const WeightPart>(ReadPart(object.Get("scales"), Where(where, "scales"), codes_within));
  return codes;
}

StoredBlocks ReadBlocks(const Napi::Value& value, const Where& where) {
  const Napi::Object object = ReadObject(value, where);
  const std::optional<BlockType> type = BlockTypeOf(ReadString(object.Get("type"), Where(where, "type")));
  if (!type) FailArgument(Where(where, "type"), "a type of blocks", object.Get("type"));
  const std::string content = ReadString(object.Get("content"), Where(where, "content"));
  if (content == "numbers") return {*type, BlockContent::kNumbers};
  if (content == "integers") return {*type, BlockContent::kIntegers};
  if (content == "int4" && HasInt4(*type)) return {*type, BlockContent::kInt4};
  if (content == "minimums") return {*type, BlockContent::kMinimums};
  if (content == "scales") return {*type, BlockContent::kScales};
  FailArgument(Where(where, "content"), "numbers, integers, int4 of 4 bits, scales or minimums", object.Get("content"));
}

/// `codes_within`: how deeply codes may have scales that are codes.
WeightPart ReadPart(const Napi::Value& value, const Where& where, int codes_within) {
  const Napi::Object object = ReadObject(value, where);
  WeightPart part;
  part.dtype = ReadDType(object.Get("dtype"), Where(where, "dtype"));
  part.shape = ReadShape(object.Get("shape"), Where(where, "shape"));
  Take(part.value, object, "value", where, ReadFloat);
  if (part.value) return part;
  part.file = ReadString(object.Get("file"), Where(where, "file"), kMaxPathBytes);
  part.offset = ReadInteger(object.Get("offset"), Where(where, "offset"), 0, kMaxSafeInteger);
  // Parts within one may hold fewer changes.
  const auto nested = [&](const Napi::Value& given, const Where& at) {
    if (codes_within == 0) FailArgument(at, "absent", given);
  };
  Take(part.words, object, "words", where, ReadWords);
  Take(part.codes, object, "codes", where, [&](const Napi::Value& codes, const Where& at) {
    nested(codes, at);
    return ReadCodes(codes, at, codes_within - 1);
  });
  Take(part.doubles, object, "doubles", where, ReadBool);
  Take(part.blocks, object, "blocks", where, ReadBlocks);
  Take(part.row_factors, object, "rowFactors", where, [&](const Napi::Value& factors, const Where& at) {
    nested(factors, at);
    return std::make_shared<const WeightPart>(ReadPart(factors, at, 0));
  });
  Take(part.transposed, object, "transposed", where, ReadBool);
  Take(part.row_order, object, "rowOrder", where, ReadInt32s);
  Take(part.unpaired, object, "unpaired", where, ReadBool);
  Take(part.column_order, object, "columnOrder", where, ReadInt32s);
  Take(part.unit_rows, object, "unitRows", where, ReadBool);
  Take(part.times, object, "times", where, ReadFloat);
  Take(part.plus, object, "plus", where, ReadFloat);
  return part;
}

WeightQuantize ReadQuantize(const Napi::Value& value, const Where& where) {
  const Napi::Object object = ReadObject(value, where);
  WeightQuantize quantize;
  quantize.bits = static_cast<int>(ReadInteger(object.Get("bits"), Where(where, "bits"), 4, 8));
  quantize.group_size = ReadInteger(object.Get("groupSize"), Where(where, "groupSize"), 0, kMaxSafeInteger);
  const Napi::Value activations = object.Get("activations");
  const std::string name = activations.IsString() ? ReadString(activations, Where(where, "activations")) : "";
  if (name != "float" && name != "int8") FailArgument(Where(where, "activations"), "float or int8", activations);
  quantize.activations = name == "int8" ? Activations::kInt8 : Activations::kFloat;
  const Napi::Value numbers = object.Get("numbers");
  const std::string kind = numbers.IsUndefined() ? "integers" : ReadString(numbers, Where(where, "numbers"));
  if (kind != "integers" && kind != "floats") FailArgument(Where(where, "numbers"), "integers or floats", numbers);
  if (kind == "floats") quantize.numbers = kernels::WeightNumbers::kFloats;
  quantize.scale_name = ReadString(object.Get("scaleName"), Where(where, "scaleName"));
  Take(quantize.offset_name, object, "offsetName", where, ReadName);
  Take(quantize.are_minimums, object, "areMinimums", where, ReadBool);
  return quantize;
}

WeightLoad ReadWeightLoad(const Napi::Value& value, const Where& where) {
  const Napi::Object object = ReadObject(value, where);
  WeightLoad load;
  load.name = ReadString(object.Get("name"), Where(where, "name"));
  load.dtype = ReadDType(object.Get("dtype"), Where(where, "dtype"));
  load.shape = ReadShape(object.Get("shape"), Where(where, "shape"));
  load.layout = ReadLayout(object.Get("layout"), Where(where, "layout"));
  Take(load.quantize, object, "quantize", where, ReadQuantize);
  const Where parts_where(where, "parts");
  const Napi::Array parts = ReadArray(object.Get("parts"), parts_where, kMaxParts);
  const uint32_t count = parts.Length();
  for (uint32_t i = 0; i < count; ++i) load.parts.push_back(ReadPart(parts.Get(i), Where(parts_where, i)));
  return load;
}

KvCacheDesc ReadKvCacheDesc(const Napi::Value& value, const Where& where) {
  const Napi::Object object = ReadObject(value, where);
  const auto read = [&](const char* key) {
    return ReadInteger(object.Get(key), Where(where, key), 1, kMaxSafeInteger);
  };
  KvCacheDesc cache;
  cache.key = ReadString(object.Get("key"), Where(where, "key"));
  Take(cache.value, object, "value", where, ReadName);
  cache.heads = read("heads");
  cache.key_size = read("keySize");
  cache.value_size = read("valueSize");
  if (!object.Get("numBlocks").IsUndefined()) cache.num_blocks = read("numBlocks");
  if (!object.Get("tokensPerRow").IsUndefined()) cache.tokens_per_row = read("tokensPerRow");
  return cache;
}

StateDesc ReadStateDesc(const Napi::Value& value, const Where& where) {
  const Napi::Object object = ReadObject(value, where);
  return {ReadString(object.Get("name"), Where(where, "name")),
          ReadInteger(object.Get("size"), Where(where, "size"), 1, kMaxSafeInteger)};
}

/// Calls add(what, its place, bias) for each of a list of pairs of something and its bias.
template <typename F>
void ReadBiases(const Napi::Value& value, const Where& where, F&& add) {
  const Napi::Array biases = ReadArray(value, where, kMaxBiases);
  const uint32_t count = biases.Length();
  for (uint32_t i = 0; i < count; ++i) {
    const Napi::HandleScope scope(value.Env());
    const Where pair_where(where, i);
    const Napi::Array pair = ReadArray(biases.Get(i), pair_where, 2);
    const double bias = ReadNumber(pair.Get(1u), Where(pair_where, int64_t{1}));
    add(pair.Get(0u), Where(pair_where, int64_t{0}), static_cast<float>(bias));
  }
}

TokenRules ReadTokenRules(const Napi::Value& value, const Where& where) {
  const Napi::Object object = ReadObject(value, where);
  TokenRules rules;
  ReadBiases(object.Get("sequenceBias"), Where(where, "sequenceBias"),
             [&](const Napi::Value& tokens, const Where& place, float bias) {
               rules.sequence_bias.push_back({ReadInt32s(tokens, place), bias});
             });
  rules.no_repeat_ngram = ReadInteger(object.Get("noRepeatNgram"), Where(where, "noRepeatNgram"), 0, kMaxInt32);
  rules.forced_last = ReadInt32s(object.Get("forcedLast"), Where(where, "forcedLast"));
  rules.last_at = ReadInteger(object.Get("lastAt"), Where(where, "lastAt"), 0, kMaxSafeInteger);
  rules.growing = ReadInt32s(object.Get("growing"), Where(where, "growing"));
  rules.growth_start = ReadInteger(object.Get("growthStart"), Where(where, "growthStart"), 0, kMaxSafeInteger);
  rules.growth = ReadNumber(object.Get("growth"), Where(where, "growth"));
  rules.not_first = ReadInt32s(object.Get("notFirst"), Where(where, "notFirst"));
  return rules;
}

Napi::Value MakeLogprobs(Napi::Env env, const TokenLogprobs& logprobs) {
  const size_t count = logprobs.top.size();
  Napi::Int32Array tokens = Napi::Int32Array::New(env, count);
  Napi::Float32Array values = Napi::Float32Array::New(env, count);
  for (size_t i = 0; i < count; ++i) {
    tokens[i] = logprobs.top[i].token;
    values[i] = logprobs.top[i].value;
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("logprob", Napi::Number::New(env, static_cast<double>(logprobs.logprob)));
  object.Set("topTokens", tokens);
  object.Set("topLogprobs", values);
  return object;
}

Napi::Value MakeTimings(Napi::Env env, const std::vector<StepTiming>& timings) {
  Napi::Array array = Napi::Array::New(env, timings.size());
  for (uint32_t i = 0; i < timings.size(); ++i) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("name", timings[i].name);
    object.Set("type", timings[i].type);
    object.Set("startMs", static_cast<double>(timings[i].start_ns) / 1e6);
    object.Set("durationMs", static_cast<double>(timings[i].duration_ns) / 1e6);
    array.Set(i, object);
  }
  return array;
}

}  // namespace

std::vector<WeightLoad> ReadWeightLoads(const Napi::Value& value) {
  const Where where("weights");
  const Napi::Array array = ReadArray(value, where, kMaxWeights);
  const uint32_t count = array.Length();
  std::vector<WeightLoad> loads;
  loads.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    const Napi::HandleScope scope(value.Env());
    loads.push_back(ReadWeightLoad(array.Get(i), Where(where, i)));
  }
  return loads;
}

PackedFile ReadPackedFileName(const Napi::Value& value) {
  const Where where("packed");
  const Napi::Object object = ReadObject(value, where);
  return {ReadString(object.Get("file"), Where(where, "file"), kMaxPathBytes),
          ReadString(object.Get("key"), Where(where, "key"), kMaxKeyBytes)};
}

KvCacheOptions ReadKvCacheOptions(const Napi::Value& value) {
  const Where where("options");
  const Napi::Object object = ReadObject(value, where);
  KvCacheOptions options;
  options.num_blocks = ReadInteger(object.Get("numBlocks"), Where(where, "numBlocks"), 1, kMaxSafeInteger);
  options.block_size = ReadInteger(object.Get("blockSize"), Where(where, "blockSize"), 1, kMaxSafeInteger);
  options.dtype = ReadDType(object.Get("dtype"), Where(where, "dtype"));
  const Where caches_where(where, "caches");
  const Napi::Array caches = ReadArray(object.Get("caches"), caches_where, kMaxCaches);
  const uint32_t count = caches.Length();
  for (uint32_t i = 0; i < count; ++i) {
    const Napi::HandleScope scope(value.Env());
    options.caches.push_back(ReadKvCacheDesc(caches.Get(i), Where(caches_where, i)));
  }
  if (object.Get("states").IsUndefined()) return options;
  const Where states_where(where, "states");
  const Napi::Array states = ReadArray(object.Get("states"), states_where, kMaxCaches);
  for (uint32_t i = 0; i < states.Length(); ++i) {
    const Napi::HandleScope scope(value.Env());
    options.states.push_back(ReadStateDesc(states.Get(i), Where(states_where, i)));
  }
  return options;
}

SamplerOptions ReadSamplerOptions(const Napi::Value& value, const Grammars& grammars) {
  const Where where("options");
  const Napi::Object object = ReadObject(value, where);
  const auto number = [&](const char* key) { return ReadFloat(object.Get(key), Where(where, key)); };
  SamplerOptions options;
  options.temperature = number("temperature");
  options.top_k = ReadInteger(object.Get("topK"), Where(where, "topK"), 0, kMaxInt32);
  options.top_p = number("topP");
  options.min_p = number("minP");
  options.repetition_penalty = number("repetitionPenalty");
  options.frequency_penalty = number("frequencyPenalty");
  options.presence_penalty = number("presencePenalty");
  options.seed = static_cast<uint64_t>(ReadInteger(object.Get("seed"), Where(where, "seed"), 0, kMaxSafeInteger));
  options.top_logprobs =
      static_cast<int32_t>(ReadInteger(object.Get("topLogprobs"), Where(where, "topLogprobs"), -1, kMaxInt32));
  options.prompt_tokens = ReadInt32s(object.Get("promptTokens"), Where(where, "promptTokens"));
  const Napi::Value grammar = object.Get("grammar");
  if (!grammar.IsUndefined()) {
    options.grammar = grammars.Of(grammar);
    options.max_tokens = ReadInteger(object.Get("maxTokens"), Where(where, "maxTokens"), 0, kMaxSafeInteger);
  }
  const Napi::Value ends = object.Get("endTokens");
  if (!ends.IsUndefined()) {
    options.end_tokens = ReadInt32s(ends, Where(where, "endTokens"));
    options.min_tokens = ReadInteger(object.Get("minTokens"), Where(where, "minTokens"), 0, kMaxSafeInteger);
  }
  Take(options.rules, object, "rules", where, ReadTokenRules);
  ReadBiases(object.Get("logitBias"), Where(where, "logitBias"),
             [&](const Napi::Value& token, const Where& place, float bias) {
               options.logit_bias.emplace_back(static_cast<int32_t>(ReadInteger(token, place, 0, kMaxInt32)), bias);
             });
  return options;
}

StepRequest ReadStep(int graph, const Napi::Value& inputs, const Napi::Value& options) {
  StepRequest request;
  request.graph = graph;
  if (!options.IsUndefined()) {
    const Where where("options");
    const Napi::Object object = ReadObject(options, where);
    Take(request.samplers, object, "samplers", where, ReadInt32s);
    Take(request.drafts, object, "drafts", where, ReadInt32s);
    Take(request.logits, object, "logits", where, ReadBool);
    Take(request.profile, object, "profile", where, ReadBool);
  }
  request.inputs = ReadTensors(inputs, "inputs");
  return request;
}

Napi::Value MakeStepResult(Napi::Env env, const StepResult& result) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("tokens", MakeInt32s(env, result.tokens.data(), result.tokens.size()));
  Napi::Array logprobs = Napi::Array::New(env, result.logprobs.size());
  for (uint32_t i = 0; i < result.logprobs.size(); ++i)
    logprobs.Set(i, result.logprobs[i] ? MakeLogprobs(env, *result.logprobs[i]) : env.Undefined());
  object.Set("logprobs", logprobs);
  if (result.logits.size() > 0) object.Set("logits", MakeTensor(env, result.logits[0]));
  if (!result.plan_reason.empty()) object.Set("planReason", result.plan_reason);
  if (!result.timings.empty()) object.Set("timings", MakeTimings(env, result.timings));
  return object;
}

Napi::Value MakeForwardResult(Napi::Env env, const ForwardResult& result) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("outputs", MakeTensors(env, result.outputs));
  object.Set("intermediates", MakeTensors(env, result.intermediates));
  return object;
}

Napi::Value MakeLimits(Napi::Env env, const MachineLimits& limits) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("readBytesPerSecond", Napi::Number::New(env, limits.read_bytes_per_second));
  object.Set("flops", Napi::Number::New(env, limits.flops));
  return object;
}

Napi::Value MakeGraphStats(Napi::Env env, const GraphStats& stats) {
  const auto number = [&](uint64_t value) { return Napi::Number::New(env, static_cast<double>(value)); };
  Napi::Object object = Napi::Object::New(env);
  object.Set("runs", number(stats.counters.runs));
  object.Set("plans", number(stats.counters.plans));
  object.Set("lastPlanReason", stats.counters.last_plan_reason);
  object.Set("arenaBytes", number(stats.counters.arena_bytes));
  object.Set("barriers", number(stats.barriers));
  return object;
}

}  // namespace atb::addon
