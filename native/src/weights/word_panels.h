#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/packed_weight.h"
#include "weights/weight_part.h"

namespace atb {

/// A weight of int4 to pack: matrices [n, k], one behind the other.
struct WordTarget {
  kernels::PackedWeight weight;  ///< The first one.
  std::byte* data;               ///< Zeros so far: what pads a panel is not written.
};

/// Some channels of some of the outputs that a part's file holds, both from multiples of 64 on.
struct WordBlock {
  int64_t first_channel;
  int64_t last_channel;  ///< Behind the last.
  int64_t first_output;
  int64_t last_output;
};

/// Whether the words of a part hold the channels of all outputs, row by row ([k / 8, n] or [k, n / 8], as GPTQ and AWQ
/// have them, unsigned). Then a word becomes int4 of panels without becoming numbers in between.
bool HoldsChannels(const PlannedPart& part, const kernels::PackedWeight& weight);

/// The blocks of such a part. They are whole rows of the file, if its channels are in order; else all channels of some
/// outputs, because neighbours may be anywhere.
std::vector<WordBlock> WordBlocks(const PlannedPart& part);

/// Packs a block. Returns the bytes of the file that it has. Throws NATIVE_FILE_ERROR, NATIVE_FILE_TRUNCATED.
int64_t PackWords(const PlannedPart& part, const WordBlock& block, const WordTarget& target, ReadStaging& staging);

}  // namespace atb
