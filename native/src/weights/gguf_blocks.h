#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace atb {

/// The types of quantised tensors in GGUF files that are read. Numbers lie in blocks of 32, or of 256 where the name
/// has K or XS, along the rows of a tensor; each block holds its own scales.
enum class BlockType : uint8_t {
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ2K,
  kQ3K,
  kQ4K,
  kQ5K,
  kQ6K,
  kIQ4NL,
  kIQ4XS,
  kMXFP4
};

/// By the name that GGUF gives it, "Q4_K"; nothing for any other.
std::optional<BlockType> BlockTypeOf(std::string_view name);

/// Numbers that are decoded together and, as integers, share a scale.
constexpr int64_t kBlockGroup = 32;

/// What is made of a tensor of blocks [n, k].
enum class BlockContent : uint8_t {
  kNumbers,   ///< f32 [n, k]: the numbers as ggml defines them, bit for bit.
  /// i8 [n, k]: integers of which each 32 share a scale and a minimum, exactly or, of types whose groups are smaller, to
  /// the nearest.
  kIntegers,
  kInt4,      ///< Likewise from -8 to 7, of types that have 4 bits: where there are minimums, less 8.
  kScales,    ///< f32 [n, k / 32]: these scales.
  kMinimums,  ///< f32 [n, k / 32]: numbers are scale * integer - minimum.
};

/// How a file holds the numbers of a part.
struct StoredBlocks {
  BlockType type = BlockType::kQ8_0;
  BlockContent content = BlockContent::kNumbers;
};

/// Elements of the content that one block holds.
int64_t ElementsOfBlock(const StoredBlocks& blocks);

/// Bytes in the file of so many elements of the content: those of whole blocks.
int64_t BlockBytes(const StoredBlocks& blocks, int64_t elements);

/// How scales, and minimums, of a type can be stored, exactly.
enum class BlockScales : uint8_t {
  kFloats,
  kHalves,  ///< f16
  kSteps,   ///< A whole number for each group times an f16 for each block.
};
BlockScales ScalesOf(BlockType type);
/// Whether the integers of a type have 4 bits.
bool HasInt4(BlockType type);

struct PlannedPart;

/// Writes elements [begin, begin + count) of the content of a part, f32 or i8. `staging` is one thread's memory. Throws
/// NATIVE_FILE_ERROR, NATIVE_FILE_TRUNCATED, and NATIVE_VALUE_OUT_OF_RANGE for numbers that are not finite.
void ReadBlocks(const PlannedPart& planned, int64_t begin, int64_t count, std::byte* to,
                std::vector<std::byte>& staging);

}  // namespace atb
