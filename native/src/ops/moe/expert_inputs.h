#pragma once
#include <span>

#include "ops/moe/grouped_product.h"

namespace atb {

/// The inputs of an operation that say what becomes of the rows of experts (ExpertInputs); 0: there is none.
struct ExpertInputPlaces {
  const char* op;
  int channels = 0;  ///< i32 [experts, k].
  /// Floats, one for each expert, behind the weight's scales; then an offset for each, int8 or floats.
  int scale = 0;
  int sum_bias = 0;  ///< i32 [experts, n].

  /// Throws what InferShape throws.
  void Check(std::span<const TensorDesc> in, const ExpertWeight::Sizes& sizes) const;
  ExpertInputs Resolve(std::span<const Tensor> in) const;
};

}  // namespace atb
