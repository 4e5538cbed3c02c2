// Attention to chosen keys, blocks and entries, and what chooses them.
#include "draw.h"
#include "op_recipes.h"
#include "recipes/caches.h"

namespace atb::fuzz {
namespace {

/// A latent cache of blocks of tokens, and one that has a row for every `rate` of these.
struct EntryCaches {
  std::string tokens, entries;

  EntryCaches(Draw& d, DType dtype, int64_t rate) {
    tokens = LatentCache(d, dtype)[0];
    const bool is_given = tokens[0] == 'i' && rate > 0;
    const int64_t rows = is_given ? (kBlockSize + rate - 1) / rate : 0;
    entries = is_given ? d.c.Input(dtype, {kBlocks, rows, 1, kLatentKey}) : tokens;
  }
};

/// Sequences that bring some queries each, over the paged cache.
struct SparseSteps {
  Sizes contexts, queries, tables;
  int64_t columns, tokens = 0;

  explicit SparseSteps(Draw& d) : columns(d.c.bytes.OneIn(8) ? d.Int(9, 12) : d.Int(1, 3)) {
    for (int64_t i = d.Int(1, 3); i > 0; --i) {
      contexts.push_back(d.Int(0, columns * kBlockSize));
      queries.push_back(d.Int(0, contexts.back()) % 24);
      tokens += queries.back();
      for (int64_t j = 0; j < columns; ++j) tables.push_back(d.Int(0, kBlocks - 1));
    }
  }
  void Add(Case& c, Strings& inputs) const {
    const auto batch = static_cast<int64_t>(contexts.size());
    inputs.push_back(c.Input(DType::kI32, {batch, columns}, {0, 0, tables}));
    inputs.push_back(c.Input(DType::kI32, {batch}, {0, 0, contexts}));
    inputs.push_back(c.Input(DType::kI32, {batch}, {0, 0, queries}));
  }
};

void LightningIndexer(Case& c) {
  Draw d{c};
  const DType dtype = d.Float();
  const SparseSteps steps(d);
  const int64_t heads = d.Int(1, 9);
  Strings inputs{c.Input(dtype, {steps.tokens, heads, kLatentKey}), c.Input(DType::kF32, {steps.tokens, heads})};
  const int64_t rate = d.Flag() ? d.Int(2, 40) : 0;
  inputs.push_back(EntryCaches(d, dtype, rate).entries);
  steps.Add(c, inputs);
  ParamObject param{{"headNum", Num(heads)}, {"topK", Num(d.Int(1, 80))}};
  if (rate > 0) {
    param.emplace("tokensPerKey", Num(rate));
    if (d.Flag()) param.emplace("givesTokens", true);
    inputs.push_back(c.Input(DType::kI32, {1}, {0, 0, {kBlockSize}}));
  }
  c.Node("LightningIndexer", param, inputs, 1);
}

/// Of which each head chooses blocks for itself.
void BlockIndexer(Case& c) {
  Draw d{c};
  const DType dtype = d.Float();
  const SparseSteps steps(d);
  const int64_t heads = d.Int(1, 9), top = d.Int(1, 8);
  Strings inputs{c.Input(dtype, {steps.tokens, heads, kLatentKey}), LatentCache(d, dtype)[0]};
  steps.Add(c, inputs);
  const ParamObject param{{"headNum", Num(heads)},
                          {"topK", Num(top)},
                          {"blockSize", Num(d.Int(1, 70))},
                          {"localBlocks", Num(d.Int(0, top))}};
  c.Node("LightningIndexer", param, inputs, 1);
}

void BlockAttention(Case& c) {
  Draw d{c};
  const DType dtype = d.Float();
  const SparseSteps steps(d);
  const int64_t heads = kKvHeads * d.Int(1, 4), most = d.Int(1, 4), block = 32 * d.Int(1, 3);
  Sizes chosen;
  for (size_t i = 0; i < steps.contexts.size(); ++i) {
    for (int64_t row = 0; row < steps.queries[i] * kKvHeads; ++row) {
      const int64_t seen = steps.contexts[i] - steps.queries[i] + row / kKvHeads + 1, step = d.Int(1, 2);
      for (int64_t j = 0; j < most; ++j) chosen.push_back(j * step * block < seen ? j * step : -1);
    }
  }
  Strings inputs{c.Input(dtype, {steps.tokens, heads, kHeadDim})};
  const Strings caches = Caches(d, dtype);
  inputs.insert(inputs.end(), caches.begin(), caches.end());
  steps.Add(c, inputs);
  inputs.push_back(c.Input(DType::kI32, {steps.tokens, kKvHeads * most}, {0, 0, chosen}));
  const ParamObject param{
      {"headNum", Num(heads)}, {"kvHeadNum", Num(kKvHeads)}, {"qkScale", 0.25}, {"blockSize", Num(block)}};
  c.Node("BlockAttention", param, inputs, 1);
}

void CompressedAttention(Case& c) {
  Draw d{c};
  const DType dtype = d.Float();
  const SparseSteps steps(d);
  const int64_t heads = d.Int(1, 40), rate = d.Int(0, 40), most = d.Int(1, 20);
  const bool chooses = rate > 0 && d.Flag();
  const EntryCaches caches(d, dtype, rate);
  Strings inputs{c.Input(dtype, {steps.tokens, heads, kLatentKey}), caches.tokens};
  steps.Add(c, inputs);
  inputs.push_back(d.Vector(DType::kF32, heads));
  ParamObject param{{"headNum", Num(heads)}, {"qkScale", 0.25}, {"windowSize", Num(d.Int(1, 90))}};
  if (rate > 0) {
    param.emplace("tokensPerEntry", Num(rate));
    inputs.push_back(caches.entries);
  }
  if (chooses) {
    Sizes chosen;
    for (size_t i = 0; i < steps.contexts.size(); ++i) {
      for (int64_t query = 0; query < steps.queries[i]; ++query) {
        const int64_t ended = (steps.contexts[i] - steps.queries[i] + query + 1) / rate;
        for (int64_t j = 0; j < most; ++j) chosen.push_back(j < ended ? j : -1);
      }
    }
    param.emplace("hasChosen", true);
    inputs.push_back(c.Input(DType::kI32, {steps.tokens, most}, {0, 0, chosen}));
  }
  c.Node("CompressedAttention", param, inputs, 1);
}

void SparseAttention(Case& c) {
  Draw d{c};
  const DType dtype = d.Float();
  const SparseSteps steps(d);
  const int64_t heads = d.Int(1, 40), most = d.Int(1, 80);
  Sizes chosen;
  for (size_t i = 0; i < steps.contexts.size(); ++i) {
    for (int64_t query = 0; query < steps.queries[i]; ++query) {
      const int64_t seen = steps.contexts[i] - steps.queries[i] + query + 1, step = d.Int(1, 3);
      for (int64_t j = 0; j < most; ++j) chosen.push_back(j * step < seen ? j * step : -1);
    }
  }
  Strings inputs{c.Input(dtype, {steps.tokens, heads, kLatentKey}), LatentCache(d, dtype)[0]};
  steps.Add(c, inputs);
  inputs.push_back(c.Input(DType::kI32, {steps.tokens, most}, {0, 0, chosen}));
  const int64_t values = d.Flag() ? kHeadDim : kLatentKey;
  const bool sinks = d.Flag();
  if (sinks) inputs.push_back(c.Input(DType::kF32, {heads}));
  const ParamObject param{
      {"headNum", Num(heads)}, {"qkScale", 0.25}, {"mlaVHeadSize", Num(values)}, {"hasSinks", sinks}};
  c.Node("SparseAttention", param, inputs, 1);
}

}  // namespace

RecipeTable SparseAttentionRecipes() {
  return {
      {"BlockAttention", {{"", BlockAttention}}},
      {"CompressedAttention", {{"", CompressedAttention}}},
      {"LightningIndexer", {{"", LightningIndexer}, {"of blocks", BlockIndexer}}},
      {"SparseAttention", {{"", SparseAttention}}},
  };
}

}  // namespace atb::fuzz
