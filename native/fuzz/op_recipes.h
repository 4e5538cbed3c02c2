#pragma once
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "case.h"

namespace atb::fuzz {

/// What adds an operation that is accepted to a case, with the name of what is special about it, which may be empty.
using Variants = std::vector<std::pair<std::string, std::function<void(Case&)>>>;
/// For each type of operation its variants: those that a type has by its params, and one for each form of a weight.
using RecipeTable = std::map<std::string, Variants>;

/// Those of all operations that the engine has.
const RecipeTable& Recipes();

// Those of one kind, in recipes/.
RecipeTable AttentionRecipes();
RecipeTable CacheRecipes();
RecipeTable ConvolutionRecipes();
RecipeTable ElementwiseRecipes();
RecipeTable LinearRecipes();
RecipeTable MoeRecipes();
RecipeTable MovementRecipes();
RecipeTable NormRecipes();
RecipeTable RecurrentRecipes();
RecipeTable ReductionRecipes();
RecipeTable SparseAttentionRecipes();
RecipeTable StreamsRecipes();

}  // namespace atb::fuzz
