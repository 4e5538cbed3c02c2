#include "addon/requests.h"

#include <limits>

#include "addon/values.h"

namespace atb::addon {
namespace {

constexpr int64_t kMaxSafe = (int64_t{1} << 53) - 1;
constexpr int64_t kMaxInt32 = std::numeric_limits<int32_t>::max();
constexpr uint32_t kMaxWeights = 1 << 20;
constexpr uint32_t kMaxParts = 1 << 12;
constexpr uint32_t kMaxBiases = 1 << 20;
constexpr uint32_t kMaxCaches = 1 << 16;

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
  words.count = ReadInteger(object.Get("count"), Where(where, "count"), 1, kMaxSafe);
  words.minus = static_cast<int>(ReadInteger(object.Get("minus"), Where(where, "minus"), 0, 256));
  const Napi::Value awq = object.Get("awq");
  if (!awq.IsUndefined()) words.awq = ReadBool(awq, Where(where, "awq"));
  const Napi::Value is_signed = object.Get("signed");
  if (!is_signed.IsUndefined()) words.is_signed = ReadBool(is_signed, Where(where, "signed"));
  return words;
}

WeightPart ReadPart(const Napi::Value& value, const Where& where, int codes_within = 2);

CodedFloats ReadCodes(const Napi::Value& value, const Where& where, int codes_within) {
  const Napi::Object object = ReadObject(value, where);
  CodedFloats codes;
  codes.table = ReadFloat32s(object.Get("table"), Where(where, "table"));
  const Napi::Value low = object.Get("lowFirst");
  if (!low.IsUndefined()) codes.low_first = ReadBool(low, Where(where, "lowFirst"));
  codes.block = ReadInteger(object.Get("block"), Where(where, "block"), 1, kMaxSafe);
  codes.scales = std::make_shared<const WeightPart>(ReadPart(object.Get("scales"), Where(where, "scales"), codes_within));
  return codes;
}

StoredBlocks ReadBlocks(const Napi::Value& value, const Where& where) {
  const Napi::Object object = ReadObject(value, where);
  const std::optional<BlockType> type = BlockTypeOf(ReadString(object.Get("type"), Where(where, "type")));
  if (!type) FailArgument(Where(where, "type"), "a type of blocks", object.Get("type"));
  const std::string content = ReadString(object.Get("content"), Where(where, "content"));
  if (content == "numbers") return {*type, BlockContent::kNumbers};
  if (content == "integers") return {*type, BlockContent::kIntegers};
  if (content == "scales") return {*type, BlockContent::kScales};
  FailArgument(Where(where, "content"), "numbers, integers or scales", object.Get("content"));
}

/// `codes_within`: how deeply codes may have scales that are codes.
WeightPart ReadPart(const Napi::Value& value, const Where& where, int codes_within) {
  const Napi::Object object = ReadObject(value, where);
  WeightPart part;
  part.dtype = ReadDType(object.Get("dtype"), Where(where, "dtype"));
  part.shape = ReadShape(object.Get("shape"), Where(where, "shape"));
  const Napi::Value constant = object.Get("value");
  if (!constant.IsUndefined()) {
    part.value = static_cast<float>(ReadNumber(constant, Where(where, "value")));
    return part;
  }
  part.file = ReadString(object.Get("file"), Where(where, "file"), kMaxPathBytes);
  part.offset = ReadInteger(object.Get("offset"), Where(where, "offset"), 0, kMaxSafe);
  const Napi::Value words = object.Get("words");
  if (!words.IsUndefined()) part.words = ReadWords(words, Where(where, "words"));
  const Napi::Value codes = object.Get("codes");
  if (!codes.IsUndefined() && codes_within == 0) FailArgument(Where(where, "codes"), "absent", codes);
  if (!codes.IsUndefined()) part.codes = ReadCodes(codes, Where(where, "codes"), codes_within - 1);
  const Napi::Value doubles = object.Get("doubles");
  if (!doubles.IsUndefined()) part.doubles = ReadBool(doubles, Where(where, "doubles"));
  const Napi::Value blocks = object.Get("blocks");
  if (!blocks.IsUndefined()) part.blocks = ReadBlocks(blocks, Where(where, "blocks"));
  const Napi::Value factors = object.Get("rowFactors");
  if (!factors.IsUndefined() && codes_within == 0) FailArgument(Where(where, "rowFactors"), "absent", factors);
  if (!factors.IsUndefined())
    part.row_factors = std::make_shared<const WeightPart>(ReadPart(factors, Where(where, "rowFactors"), 0));
  const Napi::Value transposed = object.Get("transposed");
  if (!transposed.IsUndefined()) part.transposed = ReadBool(transposed, Where(where, "transposed"));
  const Napi::Value order = object.Get("rowOrder");
  if (!order.IsUndefined()) part.row_order = ReadInt32s(order, Where(where, "rowOrder"));
  const Napi::Value unpaired = object.Get("unpaired");
  if (!unpaired.IsUndefined()) part.unpaired = ReadBool(unpaired, Where(where, "unpaired"));
  const Napi::Value columns = object.Get("columnOrder");
  if (!columns.IsUndefined()) part.column_order = ReadInt32s(columns, Where(where, "columnOrder"));
  const Napi::Value unit = object.Get("unitRows");
  if (!unit.IsUndefined()) part.unit_rows = ReadBool(unit, Where(where, "unitRows"));
  const Napi::Value times = object.Get("times");
  if (!times.IsUndefined()) part.times = static_cast<float>(ReadNumber(times, Where(where, "times")));
  const Napi::Value plus = object.Get("plus");
  if (!plus.IsUndefined()) part.plus = static_cast<float>(ReadNumber(plus, Where(where, "plus")));
  return part;
}

WeightQuantize ReadQuantize(const Napi::Value& value, const Where& where) {
  const Napi::Object object = ReadObject(value, where);
  WeightQuantize quantize;
  quantize.bits = static_cast<int>(ReadInteger(object.Get("bits"), Where(where, "bits"), 4, 8));
  quantize.group_size = ReadInteger(object.Get("groupSize"), Where(where, "groupSize"), 0, kMaxSafe);
  const Napi::Value activations = object.Get("activations");
  const std::string name = activations.IsString() ? ReadString(activations, Where(where, "activations")) : "";
  if (name != "float" && name != "int8") FailArgument(Where(where, "activations"), "float or int8", activations);
  quantize.activations = name == "int8" ? Activations::kInt8 : Activations::kFloat;
  const Napi::Value numbers = object.Get("numbers");
  const std::string kind = numbers.IsUndefined() ? "integers" : ReadString(numbers, Where(where, "numbers"));
  if (kind != "integers" && kind != "floats") FailArgument(Where(where, "numbers"), "integers or floats", numbers);
  if (kind == "floats") quantize.numbers = kernels::WeightNumbers::kFloats;
  quantize.scale_name = ReadString(object.Get("scaleName"), Where(where, "scaleName"));
  const Napi::Value offsets = object.Get("offsetName");
  if (!offsets.IsUndefined()) quantize.offset_name = ReadString(offsets, Where(where, "offsetName"));
  return quantize;
}

WeightLoad ReadWeightLoad(const Napi::Value& value, const Where& where) {
  const Napi::Object object = ReadObject(value, where);
  WeightLoad load;
  load.name = ReadString(object.Get("name"), Where(where, "name"));
  load.dtype = ReadDType(object.Get("dtype"), Where(where, "dtype"));
  load.shape = ReadShape(object.Get("shape"), Where(where, "shape"));
  load.layout = ReadLayout(object.Get("layout"), Where(where, "layout"));
  const Napi::Value quantize = object.Get("quantize");
  if (!quantize.IsUndefined()) load.quantize = ReadQuantize(quantize, Where(where, "quantize"));
  const Where parts_where(where, "parts");
  const Napi::Array parts = ReadArray(object.Get("parts"), parts_where, kMaxParts);
  const uint32_t count = parts.Length();
  for (uint32_t i = 0; i < count; ++i) load.parts.push_back(ReadPart(parts.Get(i), Where(parts_where, i)));
  return load;
}

KvCacheDesc ReadKvCacheDesc(const Napi::Value& value, const Where& where) {
  const Napi::Object object = ReadObject(value, where);
  const auto read = [&](const char* key) { return ReadInteger(object.Get(key), Where(where, key), 1, kMaxSafe); };
  KvCacheDesc cache;
  cache.key = ReadString(object.Get("key"), Where(where, "key"));
  const Napi::Value name = object.Get("value");
  if (!name.IsUndefined()) cache.value = ReadString(name, Where(where, "value"));
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
          ReadInteger(object.Get("size"), Where(where, "size"), 1, kMaxSafe)};
}

float ReadFloat(const Napi::Object& object, const char* key, const Where& where) {
  return static_cast<float>(ReadNumber(object.Get(key), Where(where, key)));
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
  options.num_blocks = ReadInteger(object.Get("numBlocks"), Where(where, "numBlocks"), 1, kMaxSafe);
  options.block_size = ReadInteger(object.Get("blockSize"), Where(where, "blockSize"), 1, kMaxSafe);
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

namespace {

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
  rules.last_at = ReadInteger(object.Get("lastAt"), Where(where, "lastAt"), 0, kMaxSafe);
  rules.growing = ReadInt32s(object.Get("growing"), Where(where, "growing"));
  rules.growth_start = ReadInteger(object.Get("growthStart"), Where(where, "growthStart"), 0, kMaxSafe);
  rules.growth = ReadNumber(object.Get("growth"), Where(where, "growth"));
  rules.not_first = ReadInt32s(object.Get("notFirst"), Where(where, "notFirst"));
  return rules;
}

}  // namespace

SamplerOptions ReadSamplerOptions(const Napi::Value& value, const Grammars& grammars) {
  const Where where("options");
  const Napi::Object object = ReadObject(value, where);
  SamplerOptions options;
  options.temperature = ReadFloat(object, "temperature", where);
  options.top_k = ReadInteger(object.Get("topK"), Where(where, "topK"), 0, kMaxInt32);
  options.top_p = ReadFloat(object, "topP", where);
  options.min_p = ReadFloat(object, "minP", where);
  options.repetition_penalty = ReadFloat(object, "repetitionPenalty", where);
  options.frequency_penalty = ReadFloat(object, "frequencyPenalty", where);
  options.presence_penalty = ReadFloat(object, "presencePenalty", where);
  options.seed = static_cast<uint64_t>(ReadInteger(object.Get("seed"), Where(where, "seed"), 0, kMaxSafe));
  options.top_logprobs =
      static_cast<int32_t>(ReadInteger(object.Get("topLogprobs"), Where(where, "topLogprobs"), -1, kMaxInt32));
  options.prompt_tokens = ReadInt32s(object.Get("promptTokens"), Where(where, "promptTokens"));
  const Napi::Value grammar = object.Get("grammar");
  if (!grammar.IsUndefined()) {
    options.grammar = grammars.Of(grammar);
    options.max_tokens = ReadInteger(object.Get("maxTokens"), Where(where, "maxTokens"), 0, kMaxSafe);
  }
  const Napi::Value ends = object.Get("endTokens");
  if (!ends.IsUndefined()) {
    options.end_tokens = ReadInt32s(ends, Where(where, "endTokens"));
    options.min_tokens = ReadInteger(object.Get("minTokens"), Where(where, "minTokens"), 0, kMaxSafe);
  }
  const Napi::Value rules = object.Get("rules");
  if (!rules.IsUndefined()) options.rules = ReadTokenRules(rules, Where(where, "rules"));
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
    const Napi::Value samplers = object.Get("samplers");
    if (!samplers.IsUndefined()) request.samplers = ReadInt32s(samplers, Where(where, "samplers"));
    const Napi::Value drafts = object.Get("drafts");
    if (!drafts.IsUndefined()) request.drafts = ReadInt32s(drafts, Where(where, "drafts"));
    const Napi::Value logits = object.Get("logits");
    if (!logits.IsUndefined()) request.logits = ReadBool(logits, Where(where, "logits"));
    const Napi::Value profile = object.Get("profile");
    if (!profile.IsUndefined()) request.profile = ReadBool(profile, Where(where, "profile"));
  }
  request.inputs = ReadTensors(inputs, "inputs");
  return request;
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
