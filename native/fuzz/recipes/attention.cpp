#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <utility>

#include "draw.h"
#include "op_recipes.h"
#include "recipes/caches.h"

namespace atb::fuzz {
namespace {

void Rope(Case& c) {
  Draw d{c};
  const DType dtype = d.Float(), table = d.Float();
  constexpr int64_t kWidths[] = {4, 8, 16, 32, 64};
  const int64_t width = c.bytes.Of(kWidths), tokens = d.Int(1, 9);
  const int64_t coefficient = d.Flag() ? 2 : 4;
  const std::string q = c.Input(dtype, {tokens, width * d.Int(1, 4)});
  const std::string k = c.Input(dtype, {tokens, width * d.Int(1, 2)});
  const std::string cos = c.Input(table, {tokens, width});
  const std::string sin = c.Input(table, {tokens, width});
  c.Node("Rope", {{"rotaryCoeff", Num(width % (2 * coefficient) == 0 ? coefficient : 2)}},
         {q, k, cos, sin, c.Input(DType::kI32, {1}, {tokens, tokens, {tokens}})}, 2);
}

/// What scores become beside a scale and a mask.
void Bend(Draw& d, int64_t heads, ParamObject& param) {
  if (d.Flag()) param.emplace("softcap", Num(d.Int(0, 9)));
  if (d.Flag()) param.emplace("slopes", std::vector<double>(static_cast<size_t>(heads), 0.5));
}

/// What attention has beside queries, keys and values.
struct Attends {
  bool sinks = false;
  bool latent = false;      ///< Values are the first numbers of keys.
  bool both_sides = false;  ///< A mask leaves a window on both sides of each query (SelfAttention).
  bool others = false;      ///< Keys are those of other tokens (SelfAttention).
  bool seen = false;        ///< How many keys each query sees is said.
};

/// How many keys each of a sequence's last tokens sees: its own at least, never fewer than the one before.
void AddSeen(Draw& d, int64_t queries, int64_t context, Sizes& seen) {
  int64_t least = 0;
  for (int64_t i = 0; i < queries; ++i) {
    least = std::max(least, context - queries + i + 1);
    least = d.Flag() ? least : d.Int(least, std::max(least, context));
    seen.push_back(std::min(least, context));
  }
}

/// A mask [size, size] that lets each query see the keys up to `window` before and behind it.
std::string BandOf(Draw& d, DType dtype, int64_t size, int64_t window, bool multiplied) {
  // What is multiplied by -3e38 is 1 where a key is not seen; what is added is far below every score.
  const int64_t blocked = multiplied ? 1 : -60000;
  Sizes band;
  for (int64_t i = 0; i < size * size; ++i) band.push_back(std::abs(i / size - i % size) <= window ? 0 : blocked);
  return d.c.Input(dtype, {size, size}, {0, 0, band});
}

void SelfAttention(Case& c, const Attends& attends) {
  Draw d{c};
  const DType dtype = d.Float();
  const int64_t kv_heads = attends.latent ? 1 : d.Int(1, 3);
  const int64_t heads = kv_heads * d.Int(1, attends.latent ? 20 : 3), head_dim = 8 * d.Int(1, 4);
  const int64_t mask = attends.both_sides ? 4 : attends.others ? 5 : attends.seen ? 0 : d.Int(0, 3);
  const int64_t most = mask == 0 && heads * head_dim <= 64 && c.bytes.OneIn(8) ? 300 : 40;
  const int64_t batch = d.Int(1, 3);
  Sizes lengths;
  for (int64_t i = 0; i < (attends.others ? 2 * batch : batch); ++i) lengths.push_back(d.Int(0, most));
  const auto keys = lengths.end() - batch;
  const int64_t queries = std::accumulate(lengths.begin(), lengths.begin() + batch, int64_t{0});
  const int64_t tokens = std::accumulate(keys, lengths.end(), int64_t{0}),
                longest = *std::max_element(keys, lengths.end());
  const auto rows = [&](int64_t own, int64_t count) {
    return d.c.Input(dtype, d.c.bytes.Flag() ? Sizes{own, count, head_dim} : Sizes{own, count * head_dim});
  };
  ParamObject param{
      {"headNum", Num(heads)}, {"kvHeadNum", Num(kv_heads)}, {"qkScale", 0.25}, {"calcType", "PA_ENCODER"}};
  const bool precise = d.Flag();
  if (precise) param.emplace("kernelType", "KERNELTYPE_HIGH_PRECISION");
  Strings inputs{rows(queries, heads), rows(tokens, kv_heads)};
  if (attends.latent) {
    param.emplace("mlaVHeadSize", Num(8 * d.Int(1, head_dim / 8)));
  } else {
    inputs.push_back(rows(tokens, kv_heads));
  }
  Bend(d, heads, param);
  switch (mask) {
    case 0:
      param.emplace("causal", attends.seen || d.Flag());
      if (d.Flag()) param.emplace("windowSize", Num(d.Int(0, 50)));
      if (d.Flag()) param.emplace("chunkSize", Num(d.Int(0, 50)));
      break;
    case 1:
      param.emplace("maskType", "MASK_TYPE_NORM");
      inputs.push_back(c.Input(dtype, {longest, longest}));
      break;
    case 2:
      param.emplace("maskType", "MASK_TYPE_ALIBI");
      inputs.push_back(c.Input(dtype, {heads, longest, longest}));
      break;
    case 3:
      param.emplace("maskType", "MASK_TYPE_NORM");
      param.emplace("isTriuMask", 1);
      inputs.push_back(c.Input(dtype, {128, 128}));
      break;
    case 4:
      param.emplace("maskType", "MASK_TYPE_NORM");
      inputs.push_back(BandOf(d, dtype, longest, d.Int(0, 20), precise || dtype == DType::kBF16));
      break;
    default:
      break;
  }
  inputs.push_back(c.Input(DType::kI32, attends.others ? Sizes{2, batch} : Sizes{batch}, {0, 0, lengths}));
  if (attends.seen) {
    Sizes seen;
    for (const int64_t length : lengths) AddSeen(d, length, length, seen);
    param.emplace("hasSeen", true);
    inputs.push_back(c.Input(DType::kI32, {queries}, {0, 0, seen}));
  }
  if (attends.sinks) {
    param.emplace("hasSinks", true);
    inputs.push_back(c.Input(DType::kF32, {heads}));
  }
  c.Node("SelfAttention", param, inputs, 1);
}

void PagedAttention(Case& c, const Attends& attends) {
  Draw d{c};
  const DType dtype = d.Float();
  const int64_t kv_heads = attends.latent ? 1 : kKvHeads, heads = kv_heads * d.Int(1, attends.latent ? 40 : 4);
  // Tables may name a block several times, so that contexts are longer than a piece of keys.
  const int64_t batch = d.Int(1, 3), columns = c.bytes.OneIn(8) ? d.Int(9, 12) : d.Int(1, 3);
  const bool spec = attends.seen || d.Flag();
  Sizes contexts, queries, tables;
  int64_t tokens = 0;
  for (int64_t i = 0; i < batch; ++i) {
    contexts.push_back(d.Int(0, columns * kBlockSize));
    queries.push_back(spec ? d.Int(0, contexts.back()) % 24 : 1);
    tokens += queries.back();
    for (int64_t j = 0; j < columns; ++j) tables.push_back(d.Int(0, kBlocks - 1));
  }
  ParamObject param{{"headNum", Num(heads)}, {"kvHeadNum", Num(kv_heads)}, {"qkScale", 0.25}};
  if (attends.latent) param.emplace("mlaVHeadSize", Num(d.Flag() ? kHeadDim : kLatentKey));
  Strings inputs{c.Input(dtype, {tokens, heads, attends.latent ? kLatentKey : kHeadDim})};
  const Strings caches = attends.latent ? LatentCache(d, dtype) : Caches(d, dtype);
  inputs.insert(inputs.end(), caches.begin(), caches.end());
  inputs.push_back(c.Input(DType::kI32, {batch, columns}, {0, 0, tables}));
  inputs.push_back(c.Input(DType::kI32, {batch}, {0, 0, contexts}));
  if (spec) {
    param.emplace("calcType", "CALC_TYPE_SPEC");
    if (!attends.seen && d.Flag()) {
      param.emplace("maskType", "MASK_TYPE_SPEC");
      inputs.push_back(c.Input(dtype, {tokens, columns * kBlockSize}));
    } else {
      param.emplace("causal", true);
      if (d.Flag()) param.emplace("windowSize", Num(d.Int(0, 50)));
      if (d.Flag()) param.emplace("chunkSize", Num(d.Int(0, 50)));
    }
    inputs.push_back(c.Input(DType::kI32, {batch}, {0, 0, queries}));
    if (attends.seen) {
      Sizes seen;
      for (size_t i = 0; i < queries.size(); ++i) AddSeen(d, queries[i], contexts[i], seen);
      param.emplace("hasSeen", true);
      inputs.push_back(c.Input(DType::kI32, {tokens}, {0, 0, seen}));
    }
  } else if (d.Flag()) {
    param.emplace("maskType", "MASK_TYPE_ALIBI");
    inputs.push_back(c.Input(dtype, {batch, heads, 1, columns * kBlockSize}));
  } else if (d.Flag()) {
    param.emplace("windowSize", Num(d.Int(0, 50)));
    param.emplace("chunkSize", Num(d.Int(0, 50)));
  }
  Bend(d, heads, param);
  if (attends.sinks) {
    param.emplace("hasSinks", true);
    inputs.push_back(c.Input(DType::kF32, {heads}));
  }
  c.Node("PagedAttention", param, inputs, 1);
}

}  // namespace

RecipeTable AttentionRecipes() {
  RecipeTable all = {
      {"Rope", {{"", Rope}}},
      {"SelfAttention",
       {{"on both sides", [](Case& c) { SelfAttention(c, {.both_sides = true}); }},
        {"to others", [](Case& c) { SelfAttention(c, {.others = true}); }},
        {"to others, latent", [](Case& c) { SelfAttention(c, {.latent = true, .others = true}); }}}},
  };
  for (const auto& [name, attends] : {std::pair{"", Attends{}}, std::pair{"with sinks", Attends{.sinks = true}},
                                      std::pair{"latent", Attends{.latent = true}},
                                      std::pair{"latent with sinks", Attends{.sinks = true, .latent = true}},
                                      std::pair{"of what is seen", Attends{.seen = true}},
                                      std::pair{"of what is seen, with sinks", Attends{.sinks = true, .seen = true}}}) {
    all["SelfAttention"].emplace_back(name, [own = attends](Case& c) { SelfAttention(c, own); });
    all["PagedAttention"].emplace_back(name, [own = attends](Case& c) { PagedAttention(c, own); });
  }
  return all;
}

}  // namespace atb::fuzz
