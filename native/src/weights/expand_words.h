#pragma once
#include <cstdint>
#include <cstring>

#include "weights/weight_part.h"

namespace atb {

/// A number in each byte.
constexpr uint64_t InBytes(int number) { return uint64_t{0x0101010101010101} * static_cast<uint64_t>(number); }

/// Takes `minus` from eight numbers below 128, one in each byte: byte by byte, since each is made 128 too large before.
inline uint64_t Subtract(uint64_t numbers, int minus) {
  return ((numbers | InBytes(0x80)) - InBytes(minus)) ^ InBytes(0x80);
}

/// The eight integers of 4 bits of a word, in the bytes of the result.
inline uint64_t SpreadInt4(uint32_t word) {
  uint64_t x = word;
  x = (x | x << 16) & 0x0000FFFF0000FFFF;
  x = (x | x << 8) & 0x00FF00FF00FF00FF;
  return (x | x << 4) & InBytes(0x0F);
}

/// The integers of `words` words as int8, where they lie in order; `minus` is the middle of their range.
inline void ExpandWholeWords(const PackedWords& words, const uint32_t* from, int64_t count, int8_t* to) {
  if (words.bits == 8) {
    for (int64_t i = 0; i < count; ++i) {
      const uint32_t flipped = from[i] ^ 0x80808080u;  // x - 128 in each byte.
      std::memcpy(to + 4 * i, &flipped, sizeof flipped);
    }
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t numbers = Subtract(SpreadInt4(from[i]), words.minus);
    std::memcpy(to + 8 * i, &numbers, sizeof numbers);
  }
}

/// The integers of one word after the other.
template <typename T, int kBits>
void ExpandWords(const PackedWords& words, const uint32_t* from, int64_t count, T* to) {
  constexpr int kPerWord = 32 / kBits;
  constexpr uint32_t kMask = (1u << kBits) - 1;
  int shifts[kPerWord];
  for (int i = 0; i < kPerWord; ++i) shifts[i] = ShiftOf(words, i);
  const int64_t whole = count / kPerWord;
  const bool is_plain = !words.awq && words.minus == 1 << (kBits - 1);
  if constexpr (sizeof(T) == 1) {
    if (is_plain) ExpandWholeWords(words, from, whole, to);
  }
  const int64_t done = sizeof(T) == 1 && is_plain ? whole : 0;
  to += done * kPerWord;
  for (int64_t word = done; word < whole; ++word, to += kPerWord) {
    for (int i = 0; i < kPerWord; ++i)
      to[i] = static_cast<T>(static_cast<int>(from[word] >> shifts[i] & kMask) - words.minus);
  }
  for (int i = 0; i < count % kPerWord; ++i)
    to[i] = static_cast<T>(static_cast<int>(from[whole] >> shifts[i] & kMask) - words.minus);
}

/// Integer `number` of each word.
template <typename T>
void PickFromWords(const PackedWords& words, const uint32_t* from, int64_t number, int64_t count, T* to) {
  const int shift = ShiftOf(words, number);
  const uint32_t mask = (1u << words.bits) - 1;
  int64_t i = 0;
  if constexpr (sizeof(T) == 1) {
    constexpr int64_t kTogether = 16;
    typedef uint32_t Words __attribute__((vector_size(kTogether * sizeof(uint32_t))));
    typedef T Numbers __attribute__((vector_size(kTogether)));
    for (; i + kTogether <= count; i += kTogether) {
      Words together;
      std::memcpy(&together, from + i, sizeof together);
      const Numbers numbers =
          __builtin_convertvector((together >> shift & mask) - static_cast<uint32_t>(words.minus), Numbers);
      std::memcpy(to + i, &numbers, sizeof numbers);
    }
  }
  for (; i < count; ++i) to[i] = static_cast<T>(static_cast<int>(from[i] >> shift & mask) - words.minus);
}

}  // namespace atb
