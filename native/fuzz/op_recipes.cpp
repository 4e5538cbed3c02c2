#include "op_recipes.h"

namespace atb::fuzz {

const RecipeTable& Recipes() {
  static const RecipeTable recipes = [] {
    RecipeTable all;
    for (const auto kind :
         {AttentionRecipes, CacheRecipes, ConvolutionRecipes, ElementwiseRecipes, LinearRecipes, MoeRecipes,
          MovementRecipes, NormRecipes, RecurrentRecipes, ReductionRecipes, SparseAttentionRecipes, StreamsRecipes})
      all.merge(kind());
    return all;
  }();
  return recipes;
}

}  // namespace atb::fuzz
