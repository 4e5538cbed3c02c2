// What writes keys and values.
#include "draw.h"
#include "op_recipes.h"
#include "recipes/caches.h"

namespace atb::fuzz {
namespace {

std::string Slots(Draw& d, int64_t tokens) {
  Sizes slots;
  for (int64_t i = 0; i < tokens; ++i) slots.push_back(d.Int(-1, kBlocks * kBlockSize - 1));
  return d.c.Input(DType::kI32, {tokens}, {0, 0, slots});
}

/// Keys and values, or keys alone.
void ReshapeAndCache(Case& c, bool bypass) {
  Draw d{c};
  const DType dtype = d.Float();
  const int64_t tokens = d.Int(1, 9);
  Strings inputs{bypass ? c.Input(dtype, {tokens, 1, kLatentKey}) : c.Input(dtype, {tokens, kKvHeads, kHeadDim})};
  if (!bypass) inputs.push_back(c.Input(dtype, {tokens, kKvHeads, kHeadDim}));
  const Strings caches = bypass ? LatentCache(d, dtype) : Caches(d, dtype);
  inputs.insert(inputs.end(), caches.begin(), caches.end());
  inputs.push_back(Slots(d, tokens));
  ParamObject param;
  if (bypass) param.emplace("kvCacheCfg", "K_CACHE_V_BYPASS");
  c.Node("ReshapeAndCache", param, inputs, 0, caches);
}

void QkvRopeCache(Case& c) {
  Draw d{c};
  const DType dtype = d.Float();
  const int64_t heads = kKvHeads * d.Int(1, 4), tokens = d.Int(1, 9);
  const bool norm = d.Flag();
  Strings inputs{c.Input(dtype, {tokens, (heads + 2 * kKvHeads) * kHeadDim})};
  const Strings caches = Caches(d, dtype);
  inputs.insert(inputs.end(), caches.begin(), caches.end());
  inputs.push_back(Slots(d, tokens));
  const bool rotate = d.Flag();
  const DType table = d.Float();
  for (int i = 0; rotate && i < 2; ++i) inputs.push_back(c.Input(table, {tokens, kHeadDim}));
  ParamObject param{{"headNum", Num(heads)},
                    {"kvHeadNum", Num(kKvHeads)},
                    {"headDim", Num(kHeadDim)},
                    {"rotaryCoeff", rotate ? 2 : 0}};
  if (norm) {
    param.emplace("normType", d.Flag() ? "rms-plus-one" : "rms");
    param.emplace("normEpsilon", 1e-6);
    for (int i = 0; i < 2; ++i) inputs.push_back(d.Vector(dtype, kHeadDim));
  }
  c.Node("QkvRopeCache", param, inputs, 1, caches);
}

}  // namespace

RecipeTable CacheRecipes() {
  return {
      {"QkvRopeCache", {{"", QkvRopeCache}}},
      {"ReshapeAndCache",
       {{"", [](Case& c) { ReshapeAndCache(c, false); }}, {"of keys", [](Case& c) { ReshapeAndCache(c, true); }}}},
  };
}

}  // namespace atb::fuzz
