#include "weights/coded_floats.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/checked.h"
#include "base/error.h"
#include "kernels/convert.h"
#include "ops/check.h"
#include "weights/staging.h"
#include "weights/weight_part.h"

namespace atb {
namespace {

constexpr size_t kPairedTable = 16, kByteTable = 256;

bool ArePairs(const CodedFloats& codes) { return codes.table.size() == kPairedTable; }

/// `count` numbers of one block, of which the first has code `first` of `codes`. `shift`: of the first code of a byte.
template <typename T>
void DecodePairs(const std::array<T, kPairedTable>& numbers, const std::byte* codes, int64_t first, int64_t count,
                 int shift, T* to) {
  const auto at = [&](int64_t code) {
    const auto pair = static_cast<uint8_t>(codes[code / 2]);
    return numbers[pair >> (code % 2 == 0 ? shift : 4 - shift) & 0xF];
  };
  int64_t i = 0;
  if (first % 2 != 0 && count > 0) to[i++] = at(first);
  for (; i + 2 <= count; i += 2) {
    const auto pair = static_cast<uint8_t>(codes[(first + i) / 2]);
    to[i] = numbers[pair >> shift & 0xF];
    to[i + 1] = numbers[pair >> (4 - shift) & 0xF];
  }
  if (i < count) to[i] = at(first + i);
}

template <typename T>
void DecodeBlock(const CodedFloats& coded, DType dtype, float scale, const std::byte* codes, int64_t first,
                 int64_t count, T* to) {
  if (!ArePairs(coded)) {
    for (int64_t i = 0; i < count; ++i)
      kernels::StoreFloat(to, dtype, i, coded.table[static_cast<uint8_t>(codes[first + i])] * scale);
    return;
  }
  std::array<T, kPairedTable> numbers;
  for (size_t code = 0; code < kPairedTable; ++code)
    kernels::StoreFloat(numbers.data(), dtype, static_cast<int64_t>(code), coded.table[code] * scale);
  DecodePairs(numbers, codes, first, count, coded.low_first ? 0 : 4, to);
}

/// Scales [begin, begin + count) of a part's blocks.
void ReadScales(const PlannedPart& scales, int64_t begin, int64_t count, float* to,
                std::unique_ptr<CodeStaging>& staging) {
  auto* const bytes = reinterpret_cast<std::byte*>(to);
  const WeightPart& part = *scales.part;
  if (part.codes) {
    if (!staging) staging = std::make_unique<CodeStaging>();
    ReadCodes(scales, begin, count, bytes, *staging);
  } else if (part.value) {
    std::fill_n(to, count, *part.value);
  } else {
    constexpr auto kSize = static_cast<int64_t>(sizeof(float));
    scales.file->Read(static_cast<uint64_t>(part.offset + begin * kSize), {bytes, static_cast<size_t>(count * kSize)});
  }
  for (int64_t i = 0; i < count; ++i) {
    to[i] = to[i] * part.times + part.plus;
    if (!std::isfinite(to[i]))
      throw Error("NATIVE_VALUE_OUT_OF_RANGE", "weight \"" + std::string(scales.name) + "\": scales must be finite");
  }
}

}  // namespace

int64_t CodeBytes(const CodedFloats& codes, int64_t count) { return ArePairs(codes) ? CeilDiv(count, 2) : count; }

void CheckCodes(const WeightPart& part, const std::string& name) {
  const CodedFloats& codes = *part.codes;
  const auto fail = [&](const char* code, const std::string& what) {
    throw Error(code, "weight \"" + name + "\": " + what);
  };
  if (!IsFloat(part.dtype) || part.words) fail("NATIVE_ARGUMENT_INVALID", "codes stand for floats, not for words");
  if (codes.table.size() != kPairedTable && codes.table.size() != kByteTable)
    fail("NATIVE_ARGUMENT_INVALID", "a table of codes has 16 or 256 numbers");
  const auto is_finite = [](float number) { return std::isfinite(number); };
  if (ArePairs(codes) && !std::ranges::all_of(codes.table, is_finite))
    fail("NATIVE_VALUE_OUT_OF_RANGE", "a table of codes must be finite");
  if (codes.block < 1) fail("NATIVE_ARGUMENT_INVALID", "a block of codes has at least one");
  const WeightPart& scales = *codes.scales;
  const bool are_plain = scales.dtype == DType::kF32 && !scales.words && !scales.doubles && !scales.transposed &&
                         !scales.row_order && !scales.unit_rows;
  if (!are_plain) fail("NATIVE_ARGUMENT_INVALID", "scales of codes are f32 as they lie");
  if (scales.codes && (ArePairs(*scales.codes) || scales.codes->scales->codes))
    fail("NATIVE_ARGUMENT_INVALID", "scales of codes are f32, or codes of 256 with scales that are f32");
  const int64_t blocks = CeilDiv(Elements(part.shape), codes.block);
  if (Elements(scales.shape) != blocks) {
    fail("NATIVE_SHAPE_MISMATCH", std::to_string(blocks) + " blocks of codes need as many scales, found " +
                                      ToString(scales.dtype, scales.shape));
  }
}

void ReadCodes(const PlannedPart& planned, int64_t begin, int64_t count, std::byte* to, CodeStaging& staging) {
  const WeightPart& part = *planned.part;
  const CodedFloats& coded = *part.codes;
  const int64_t per_byte = ArePairs(coded) ? 2 : 1;
  const int64_t end = begin + count, first_byte = begin / per_byte;
  const int64_t bytes = CeilDiv(end, per_byte) - first_byte;
  std::byte* const codes = Grow(staging.codes, bytes);
  planned.file->Read(static_cast<uint64_t>(part.offset + first_byte), {codes, static_cast<size_t>(bytes)});
  const int64_t first_block = begin / coded.block;
  const int64_t blocks = CeilDiv(end, coded.block) - first_block;
  float* const scales = Grow(staging.scales, blocks);
  ReadScales(*planned.scales, first_block, blocks, scales, staging.of_scales);
  for (int64_t block = first_block; block < first_block + blocks; ++block) {
    const int64_t low = std::max(begin, block * coded.block), high = std::min(end, (block + 1) * coded.block);
    const float scale = scales[block - first_block];
    const int64_t first = low - first_byte * per_byte;
    if (part.dtype == DType::kF32) {
      DecodeBlock(coded, part.dtype, scale, codes, first, high - low, reinterpret_cast<float*>(to) + (low - begin));
    } else {
      DecodeBlock(coded, part.dtype, scale, codes, first, high - low, reinterpret_cast<uint16_t*>(to) + (low - begin));
    }
  }
}

}  // namespace atb
