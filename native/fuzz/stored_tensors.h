#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "kernels/pack_integers.h"

namespace atb::fuzz {

// Weights are [48, 64], interleaved ones [64, 64].
constexpr int64_t kRows = 48, kInterleavedRows = 64, kChannels = 64;
// Those of experts are [3, 64, 64], interleaved, and [3, 48, 32].
constexpr int64_t kExperts = 3, kExpertWidth = kInterleavedRows / 2;
// Caches are [4, 32, 2, 16]; that of latent attention has one head of 24 numbers, the first 16 of which are the values.
constexpr int64_t kBlocks = 4, kBlockSize = 32, kKvHeads = 2, kHeadDim = 16, kLatentKey = 24;

/// A way to hold a weight of integers, or of floats of as few bits.
struct Form {
  /// What makes the weight, and what its scales become.
  enum class Source {
    kRounded,   ///< Floats that are rounded when they are loaded: int4 gets products of scales and multipliers.
    kStored,    ///< Bytes that are there already, with scales of any size.
    kProducts,  ///< Likewise, with scales that are such products.
    kPowers,    ///< Likewise, with scales that are powers of two.
    kWords,     ///< 32-bit words as GPTQ has them, with offsets.
    kAwqWords,  ///< Words in the order of AWQ, with offsets.
  };
  std::string name;
  int bits;
  int64_t group;
  Source source;
  kernels::WeightNumbers numbers = kernels::WeightNumbers::kIntegers;

  bool HasOffsets() const { return source == Source::kWords || source == Source::kAwqWords; }
  bool AreIntegers() const { return numbers == kernels::WeightNumbers::kIntegers; }
  bool IsInt8() const { return bits == 8 && group == 0 && !HasOffsets() && AreIntegers(); }
};

/// All of them.
const std::vector<Form>& Forms();

/// Puts the weights and caches that recipes use into an engine. Of floats they are "linear_f32" and so on, of forms
/// "linear_" and the form's name, with "_scales" and "_offsets" behind it; "interleaved_", "experts_" and
/// "interleaved_experts_" likewise. Caches are "keys_bf16", "values_bf16" and so on, and
/// "latent_bf16". Throws atb::Error when one of them is refused.
void LoadTensors(Engine& engine);
/// The names of all these.
std::vector<std::string> TensorNames();

/// "f32", "f16" or "bf16".
const char* NameOf(DType dtype);

}  // namespace atb::fuzz
