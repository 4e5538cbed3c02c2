#pragma once
#include <string>

#include "draw.h"
#include "stored_tensors.h"

namespace atb::fuzz {

/// Names of a cache of keys and one of values: the engine's own, or row-major ones that are given.
inline Strings Caches(Draw& d, DType dtype) {
  if (d.Int(0, 2) == 0)
    return {d.c.Input(dtype, {kBlocks, kBlockSize, kKvHeads, kHeadDim}),
            d.c.Input(dtype, {kBlocks, kBlockSize, kKvHeads, kHeadDim})};
  const std::string kind = d.Flag() ? "i8" : NameOf(dtype);
  return {d.c.Own("keys_" + kind), d.c.Own("values_" + kind)};
}

/// Likewise the one cache of latent attention.
inline Strings LatentCache(Draw& d, DType dtype) {
  if (d.Int(0, 2) == 0) return {d.c.Input(dtype, {kBlocks, kBlockSize, 1, kLatentKey})};
  return {d.c.Own(std::string("latent_") + (d.Flag() ? "i8" : NameOf(dtype)))};
}

}  // namespace atb::fuzz
