#include "weights/gguf_blocks.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "kernels/convert.h"
#include "kernels/packed_weight.h"
#include "weights/staging.h"
#include "weights/weight_part.h"

namespace atb {
namespace {

/// Half of a group: what shares a scale in some types.
constexpr int64_t kHalf = kBlockGroup / 2;
constexpr int64_t kGroupsOfLongBlock = 8;

/// 32 numbers, of which number i is scale[i / 16] * integers[i] - below[i / 16], each operation rounded to f32.
struct BlockGroup {
  std::array<int16_t, kBlockGroup> integers;
  std::array<float, 2> scale;
  std::array<float, 2> below;
};

struct TypeFacts {
  std::string_view name;
  int64_t groups;  ///< Of a block.
  int64_t bytes;   ///< Of a block.
  BlockScales scales;
  /// Whether the numbers of a group share one scale and one minimum.
  bool are_integers = true;
  bool have_4_bits = false;
};

constexpr std::array<TypeFacts, 13> kTypes = {{
    {"Q4_0", 1, 18, BlockScales::kHalves, true, true},
    {"Q4_1", 1, 20, BlockScales::kHalves, true, true},
    {"Q5_0", 1, 22, BlockScales::kHalves},
    {"Q5_1", 1, 24, BlockScales::kHalves},
    {"Q8_0", 1, 34, BlockScales::kHalves},
    {"Q2_K", kGroupsOfLongBlock, 84, BlockScales::kSteps, false},
    {"Q3_K", kGroupsOfLongBlock, 110, BlockScales::kSteps, false},
    {"Q4_K", kGroupsOfLongBlock, 144, BlockScales::kSteps, true, true},
    {"Q5_K", kGroupsOfLongBlock, 176, BlockScales::kSteps},
    {"Q6_K", kGroupsOfLongBlock, 210, BlockScales::kSteps, false},
    {"IQ4_NL", 1, 18, BlockScales::kHalves},
    {"IQ4_XS", kGroupsOfLongBlock, 136, BlockScales::kSteps},
    {"MXFP4", 1, 17, BlockScales::kFloats},
}};

constexpr const TypeFacts& FactsOf(BlockType type) { return kTypes[static_cast<size_t>(type)]; }

/// The numbers that codes of IQ4_NL and IQ4_XS stand for.
constexpr std::array<int16_t, 16> kUnevenSteps = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                  1,    13,   25,  38,  53,  69,  89,  113};
/// Twice the numbers of e2m1.
constexpr std::array<int16_t, 16> kTwiceE2M1 = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

float HalfAt(const uint8_t* at) { return kernels::F16ToF32(static_cast<uint16_t>(at[0] | at[1] << 8)); }

/// Integer i is of the low half of byte i, integer 16 + i of its high half.
template <typename F>
void FromHalves(const uint8_t* bytes, BlockGroup& group, F integer_of) {
  for (int64_t i = 0; i < kHalf; ++i) {
    group.integers[i] = integer_of(bytes[i] & 0xF, i);
    group.integers[kHalf + i] = integer_of(bytes[i] >> 4, kHalf + i);
  }
}

void SetScale(BlockGroup& group, float scale, float below = 0) {
  group.scale = {scale, scale};
  group.below = {below, below};
}

/// The 6-bit scale and minimum of group g, of the twelve bytes of Q4_K and Q5_K.
std::array<int, 2> ScaleAndMinimum(const uint8_t* packed, int64_t g) {
  if (g < 4) return {packed[g] & 0x3F, packed[g + 4] & 0x3F};
  return {(packed[g + 4] & 0xF) | (packed[g - 4] >> 2 & 0x30), packed[g + 4] >> 4 | (packed[g] >> 2 & 0x30)};
}

/// The 6-bit scale of half group s, of the twelve bytes of Q3_K.
int ScaleOfQ3(const uint8_t* packed, int64_t s) {
  const int low = packed[s % 8] >> (s < 8 ? 0 : 4) & 0xF;
  return (low | (packed[8 + s % 4] >> (2 * (s / 4)) & 3) << 4) - 32;
}

/// e8m0 / 2, whose two smallest are subnormal.
float HalfOfExponent(uint8_t exponent) { return std::ldexp(1.0f, exponent - 128); }

// A function for each type, in which loops over integers are unrolled, and left out where only scales are wanted.

template <BlockType kType>
__attribute__((always_inline)) inline void DecodeShort(const uint8_t* block, BlockGroup& group) {
  switch (kType) {
    case BlockType::kQ4_0:
      SetScale(group, HalfAt(block));
      return FromHalves(block + 2, group, [](int code, int64_t) { return static_cast<int16_t>(code - 8); });
    case BlockType::kQ4_1:
      SetScale(group, HalfAt(block), -HalfAt(block + 2));
      return FromHalves(block + 4, group, [](int code, int64_t) { return static_cast<int16_t>(code); });
    case BlockType::kQ5_0:
    case BlockType::kQ5_1: {
      constexpr bool has_minimum = kType == BlockType::kQ5_1;
      const uint8_t* const high = block + (has_minimum ? 4 : 2);
      const int minus = has_minimum ? 0 : 16;
      SetScale(group, HalfAt(block), has_minimum ? -HalfAt(block + 2) : 0);
      return FromHalves(high + 4, group, [=](int code, int64_t i) {
        return static_cast<int16_t>((code | (high[i / 8] >> (i % 8) & 1) << 4) - minus);
      });
    }
    case BlockType::kQ8_0:
      SetScale(group, HalfAt(block));
      for (int64_t i = 0; i < kBlockGroup; ++i) group.integers[i] = static_cast<int8_t>(block[2 + i]);
      return;
    case BlockType::kIQ4NL:
      SetScale(group, HalfAt(block));
      return FromHalves(block + 2, group, [](int code, int64_t) { return kUnevenSteps[code]; });
    default:
      SetScale(group, HalfOfExponent(block[0]));
      return FromHalves(block + 1, group, [](int code, int64_t) { return kTwiceE2M1[code]; });
  }
}

/// Of a block of 256 numbers. Two bits of each stand in 32 bytes for 128 of them, four in 32 bytes for 64.
template <BlockType kType>
__attribute__((always_inline)) inline void DecodeLong(const uint8_t* block, int64_t g, BlockGroup& group) {
  const int64_t half = g / 4, quarter = g % 4;
  const auto set = [&](auto integer_of) {
    for (int64_t i = 0; i < kBlockGroup; ++i) group.integers[i] = static_cast<int16_t>(integer_of(i));
  };
  const auto scales = [&](float unit, auto scale_of) {
    for (int64_t h = 0; h < 2; ++h) group.scale[h] = unit * static_cast<float>(scale_of(2 * g + h));
    group.below = {0, 0};
  };
  switch (kType) {
    case BlockType::kQ2K: {
      const uint8_t* const codes = block + 16;
      const float unit = HalfAt(codes + 64), minimum = HalfAt(codes + 66);
      scales(unit, [&](int64_t s) { return block[s] & 0xF; });
      for (int64_t h = 0; h < 2; ++h) group.below[h] = minimum * static_cast<float>(block[2 * g + h] >> 4);
      return set([from = codes + half * 32, shift = 2 * quarter](int64_t i) { return from[i] >> shift & 3; });
    }
    case BlockType::kQ3K: {
      const uint8_t* const codes = block + 32;
      const uint8_t* const packed = codes + 64;
      scales(HalfAt(packed + 12), [&](int64_t s) { return ScaleOfQ3(packed, s); });
      return set([=, from = codes + half * 32, shift = 2 * quarter](int64_t i) {
        return (from[i] >> shift & 3) - 4 + (block[i] >> g & 1) * 4;
      });
    }
    case BlockType::kQ4K:
    case BlockType::kQ5K: {
      constexpr bool has_high = kType == BlockType::kQ5K;
      const auto [scale, minimum] = ScaleAndMinimum(block + 4, g);
      SetScale(group, HalfAt(block) * static_cast<float>(scale), HalfAt(block + 2) * static_cast<float>(minimum));
      const uint8_t* const high = block + 16;
      const uint8_t* const codes = (has_high ? high + 32 : high) + g / 2 * 32;
      const int shift = static_cast<int>(g % 2 * 4);
      if (!has_high) return set([=](int64_t i) { return codes[i] >> shift & 0xF; });
      return set([=](int64_t i) { return (codes[i] >> shift & 0xF) | (high[i] >> g & 1) << 4; });
    }
    case BlockType::kQ6K: {
      const uint8_t* const high = block + 128;
      const uint8_t* const packed = high + 64;
      scales(HalfAt(packed + 16), [&](int64_t s) { return static_cast<int8_t>(packed[s]); });
      const uint8_t* const low_from = block + half * 64 + quarter % 2 * 32;
      return set([=, high_from = high + half * 32, low_shift = quarter / 2 * 4, high_shift = 2 * quarter](int64_t i) {
        return ((low_from[i] >> low_shift & 0xF) | (high_from[i] >> high_shift & 3) << 4) - 32;
      });
    }
    default: {
      const int high = (block[2] | block[3] << 8) >> (2 * g) & 3;
      const int low = block[4 + g / 2] >> (g % 2 * 4) & 0xF;
      SetScale(group, HalfAt(block) * static_cast<float>((low | high << 4) - 32));
      FromHalves(block + 8 + g * kHalf, group, [](int code, int64_t) { return kUnevenSteps[code]; });
    }
  }
}

using Numbers = std::array<float, kBlockGroup>;

Numbers NumbersOf(const BlockGroup& group) {
  Numbers numbers;
  for (int64_t half = 0; half < 2; ++half) {
    const float scale = group.scale[half], below = group.below[half];
    const int16_t* const integers = group.integers.data() + half * kHalf;
    float* const to = numbers.data() + half * kHalf;
    for (int64_t i = 0; i < kHalf; ++i) to[i] = scale * static_cast<float>(integers[i]) - below;
  }
  return numbers;
}

/// The largest size of a number. Sizes are ordered as their bits are, of which a loop takes many at once.
float LargestOf(const Numbers& numbers) {
  uint32_t largest = 0;
  for (float number : numbers) largest = std::max(largest, std::bit_cast<uint32_t>(number) & 0x7FFFFFFFu);
  return std::bit_cast<float>(largest);
}

using BlockNumbers = std::array<Numbers, kGroupsOfLongBlock>;

/// A scale for each group of a block by which its largest number becomes at most 127: as small as may be where scales
/// are an f16 for the block times whole numbers up to 63.
std::array<float, kGroupsOfLongBlock> ScalesOf(const BlockNumbers& numbers) {
  constexpr float kMostInteger = 127, kMostStep = 63;
  std::array<float, kGroupsOfLongBlock> scales;
  std::ranges::transform(numbers, scales.begin(), [](const Numbers& own) { return LargestOf(own) / kMostInteger; });
  const float least = *std::ranges::max_element(scales) / kMostStep;
  const uint16_t nearest = kernels::F32ToF16(least);
  const float half =
      kernels::F16ToF32(kernels::F16ToF32(nearest) < least ? static_cast<uint16_t>(nearest + 1) : nearest);
  for (float& scale : scales) scale = half == 0 ? 0 : half * std::ceil(scale / half);
  return scales;
}

using Integers = std::array<int8_t, kBlockGroup>;

/// Numbers as integers of the scale. Adding and taking away 1.5 * 2^23 rounds to the nearest, ties to even.
Integers RoundedTo(float scale, const Numbers& numbers) {
  constexpr float kRounds = 12582912.0f;
  const float inverse = scale == 0 ? 0 : 1 / scale;
  Integers integers;
  for (int64_t i = 0; i < kBlockGroup; ++i)
    integers[i] = static_cast<int8_t>(static_cast<int32_t>(numbers[i] * inverse + kRounds - kRounds));
  return integers;
}

template <BlockType kType>
__attribute__((always_inline)) inline BlockGroup Decode(const uint8_t* block, int64_t group) {
  BlockGroup decoded;
  if constexpr (FactsOf(kType).groups == 1) {
    DecodeShort<kType>(block, decoded);
  } else {
    DecodeLong<kType>(block, group, decoded);
  }
  return decoded;
}

/// Calls f with the type as a constant.
template <typename F>
void WithType(BlockType type, F f) {
  [&]<size_t... kTypeNumbers>(std::index_sequence<kTypeNumbers...>) {
    (void)((static_cast<size_t>(type) == kTypeNumbers &&
            (f.template operator()<static_cast<BlockType>(kTypeNumbers)>(), true)) ||
           ...);
  }(std::make_index_sequence<kTypes.size()>());
}

/// What is wanted of a tensor: elements [begin, end) of the content, of which `to` is the first.
struct Wanted {
  int64_t begin, end;
  std::byte* to;

  /// Writes those of a group's elements that are wanted, where its first element is `first`.
  template <typename Elements>
  __attribute__((always_inline)) void Put(int64_t first, const Elements& elements) const {
    constexpr auto kSize = static_cast<int64_t>(sizeof elements[0]);
    constexpr auto kCount = static_cast<int64_t>(sizeof elements / kSize);
    std::byte* const at = to + (first - begin) * kSize;
    if (first >= begin && first + kCount <= end) {
      std::memcpy(at, elements.data(), sizeof elements);
      return;
    }
    const int64_t low = std::max(begin - first, int64_t{0}), high = std::min(end - first, kCount);
    if (low < high) std::memcpy(at + low * kSize, elements.data() + low, static_cast<size_t>((high - low) * kSize));
  }
};

/// Writes what is wanted of one block, of which `first` is the first element. False where its scales are not finite.
template <BlockType kType, BlockContent kContent>
bool PutBlock(const uint8_t* block, int64_t first, const Wanted& wanted) {
  constexpr TypeFacts kFacts = FactsOf(kType);
  constexpr bool kIsRounded =
      !kFacts.are_integers && (kContent == BlockContent::kIntegers || kContent == BlockContent::kScales);
  float none = 0;  // NaN where some number is not finite.
  BlockNumbers numbers;
  for (int64_t g = 0; g < kFacts.groups; ++g) {
    const BlockGroup group = Decode<kType>(block, g);
    none += group.scale[0] * 0 + group.scale[1] * 0 + group.below[0] * 0 + group.below[1] * 0;
    if constexpr (kIsRounded) {
      numbers[static_cast<size_t>(g)] = NumbersOf(group);
    } else if constexpr (kContent == BlockContent::kNumbers) {
      wanted.Put(first + g * kBlockGroup, NumbersOf(group));
    } else if constexpr (kContent == BlockContent::kScales) {
      wanted.Put(first + g, std::array{group.scale[0]});
    } else if constexpr (kContent == BlockContent::kMinimums) {
      wanted.Put(first + g, std::array{kFacts.are_integers ? group.below[0] : 0.0f});
    } else {
      constexpr bool kIsLess = kContent == BlockContent::kInt4 && kType != BlockType::kQ4_0;
      Integers integers;
      for (int64_t i = 0; i < kBlockGroup; ++i)
        integers[i] = static_cast<int8_t>(group.integers[i] - (kIsLess ? kernels::kHalfOfInt4 : 0));
      wanted.Put(first + g * kBlockGroup, integers);
    }
  }
  if constexpr (kIsRounded) {
    const auto scales = ScalesOf(numbers);
    for (size_t g = 0; g < scales.size(); ++g) {
      none += scales[g] * 0;
      if constexpr (kContent == BlockContent::kScales) {
        wanted.Put(first + static_cast<int64_t>(g), std::array{scales[g]});
      } else {
        wanted.Put(first + static_cast<int64_t>(g) * kBlockGroup, RoundedTo(scales[g], numbers[g]));
      }
    }
  }
  return none == 0;
}

using PutOne = bool (*)(const uint8_t* block, int64_t first, const Wanted& wanted);

PutOne PutterOf(const StoredBlocks& blocks) {
  PutOne put = nullptr;
  WithType(blocks.type, [&]<BlockType kType>() {
    switch (blocks.content) {
      case BlockContent::kNumbers: put = PutBlock<kType, BlockContent::kNumbers>; break;
      case BlockContent::kIntegers: put = PutBlock<kType, BlockContent::kIntegers>; break;
      case BlockContent::kInt4: put = PutBlock<kType, BlockContent::kInt4>; break;
      case BlockContent::kScales: put = PutBlock<kType, BlockContent::kScales>; break;
      case BlockContent::kMinimums: put = PutBlock<kType, BlockContent::kMinimums>; break;
    }
  });
  return put;
}

}  // namespace

std::optional<BlockType> BlockTypeOf(std::string_view name) {
  const auto found = std::ranges::find(kTypes, name, &TypeFacts::name);
  if (found == kTypes.end()) return std::nullopt;
  return static_cast<BlockType>(found - kTypes.begin());
}

BlockScales ScalesOf(BlockType type) { return FactsOf(type).scales; }

bool HasInt4(BlockType type) { return FactsOf(type).have_4_bits; }

int64_t ElementsOfGroup(BlockContent content) {
  return content == BlockContent::kScales || content == BlockContent::kMinimums ? 1 : kBlockGroup;
}

int64_t ElementsOfBlock(const StoredBlocks& blocks) {
  return FactsOf(blocks.type).groups * ElementsOfGroup(blocks.content);
}

int64_t BlockBytes(const StoredBlocks& blocks, int64_t elements) {
  return CheckedMul(CeilDiv(elements, ElementsOfBlock(blocks)), FactsOf(blocks.type).bytes);
}

void ReadBlocks(const PlannedPart& planned, int64_t begin, int64_t count, std::byte* to,
                std::vector<std::byte>& staging) {
  const StoredBlocks& stored = *planned.part->blocks;
  const int64_t size = FactsOf(stored.type).bytes, elements = ElementsOfBlock(stored);
  const int64_t first = begin / elements, blocks = CeilDiv(begin + count, elements) - first;
  std::byte* const bytes = Grow(staging, blocks * size);
  planned.file->Read(static_cast<uint64_t>(planned.part->offset + first * size),
                     {bytes, static_cast<size_t>(blocks * size)});
  const PutOne put = PutterOf(stored);
  const Wanted wanted{begin, begin + count, to};
  for (int64_t b = 0; b < blocks; ++b) {
    if (put(reinterpret_cast<const uint8_t*>(bytes + b * size), (first + b) * elements, wanted)) continue;
    throw Error("NATIVE_VALUE_OUT_OF_RANGE", "weight \"" + std::string(planned.name) + "\": scales must be finite");
  }
}

}  // namespace atb
