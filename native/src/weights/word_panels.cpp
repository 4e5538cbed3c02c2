#include "weights/word_panels.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/align.h"
#include "kernels/pack.h"
#include "weights/staging.h"

namespace atb {
namespace {

constexpr int64_t kLineChannels = 8;  ///< Of an int4 panel: a word of each column.
constexpr int64_t kWord = sizeof(uint32_t);
constexpr int64_t kLineBytes = kernels::kPanelColumns * kWord;
/// Channels of a tile: eight lines, which follow one another.
constexpr int64_t kTile = kernels::kIntegerTileK;
/// Integers of files are 8 too large.
constexpr uint32_t kToSigned = 0x88888888u;

/// Four words at a time, in whatever the machine has for that.
typedef uint32_t FourWords __attribute__((vector_size(16)));

/// The four lower halves of bytes 0, 1, 2, 3.
template <typename T>
T SpreadFour(T x) {
  x = (x | x << 8) & 0x00FF00FFu;
  return (x | x << 4) & 0x0F0F0F0Fu;
}

/// Words of eight channels each, as a line holds them: the first four in the lower halves of its bytes.
void ChannelsOfWords(const uint32_t* from, int64_t count, uint32_t* to) {
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t word = from[i] ^ kToSigned;
    to[i] = SpreadFour(word & 0xFFFFu) | SpreadFour(word >> 16) << 4;
  }
}

/// Swaps the parts of two words that `mask` and `shift` say.
template <typename T>
void Swap(T& low, T& high, int shift, uint32_t mask) {
  const T change = (low >> shift ^ high) & mask;
  high ^= change;
  low ^= change << shift;
}

/// All outputs are read; a part that wants less than this share of them reads its own.
constexpr int64_t kLeastShare = 4;

int64_t StoredOutputs(const WeightPart& part) { return part.words->axis == 0 ? part.shape[1] : part.shape[1] * 8; }

/// Eight words of eight numbers of 4 bits: number i of word k becomes number k of word i.
template <typename T>
void TransposeNumbers(T (&words)[8]) {
  for (int k = 0; k < 4; ++k) Swap(words[k], words[k + 4], 16, 0x0000FFFFu);
  for (int k : {0, 1, 4, 5}) Swap(words[k], words[k + 2], 8, 0x00FF00FFu);
  for (int k : {0, 2, 4, 6}) Swap(words[k], words[k + 1], 4, 0x0F0F0F0Fu);
}

/// The order in which a line has its channels.
constexpr int kLineOrder[] = {0, 4, 1, 5, 2, 6, 3, 7};

/// Eight rows of words of eight columns each; the result has a word for each column. `shifts`: where a word has each.
void ChannelsOfRows(const uint32_t* rows, int64_t row_words, const std::array<int, 8>& shifts, uint32_t* to) {
  const auto store = [&](const auto& words, int64_t first, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      for (size_t column = 0; column < 8; ++column) {
        uint32_t word;
        std::memcpy(&word, reinterpret_cast<const uint32_t*>(&words[shifts[column] / 4]) + i, sizeof word);
        to[(first + i) * 8 + static_cast<int64_t>(column)] = word ^ kToSigned;
      }
    }
  };
  int64_t i = 0;
  for (; i + 4 <= row_words; i += 4) {
    FourWords words[8];
    for (int k = 0; k < 8; ++k) std::memcpy(&words[k], rows + kLineOrder[k] * row_words + i, sizeof words[k]);
    TransposeNumbers(words);
    store(words, i, 4);
  }
  for (; i < row_words; ++i) {
    uint32_t words[8];
    for (int k = 0; k < 8; ++k) words[k] = rows[kLineOrder[k] * row_words + i];
    TransposeNumbers(words);
    store(words, i, 1);
  }
}

/// Words of eight channels each that are anywhere in words [.., stride]: `channels` says where.
void ChannelsInOrder(const uint32_t* words, int64_t stride, const int32_t* channels, int64_t count, uint32_t* to) {
  const uint32_t* from[8];
  int shifts[8];
  for (int place = 0; place < 8; ++place) {
    const int32_t channel = channels[kLineOrder[place]];
    from[place] = words + channel / kLineChannels * stride;
    shifts[place] = 4 * (channel % kLineChannels);
  }
  constexpr int64_t kTogether = 16;
  int64_t i = 0;
  for (; i + kTogether <= count; i += kTogether) {
    uint32_t line[kTogether];
    std::fill_n(line, kTogether, kToSigned);
    for (int place = 0; place < 8; ++place)
      for (int64_t j = 0; j < kTogether; ++j) line[j] ^= (from[place][i + j] >> shifts[place] & 0xFu) << 4 * place;
    std::memcpy(to + i, line, sizeof line);
  }
  for (; i < count; ++i) {
    to[i] = kToSigned;
    for (int place = 0; place < 8; ++place) to[i] ^= (from[place][i] >> shifts[place] & 0xFu) << 4 * place;
  }
}

/// Lines of 64 channels of outputs [first, first + outputs).
struct Lines {
  const uint32_t* words;  ///< [count][outputs]
  int64_t count;
  int64_t first;
  int64_t outputs;
};

/// Rows [begin, end) of the part, those that the lines have, as columns of a panel from `to` on.
void PackColumns(const PlannedPart& part, int64_t begin, int64_t end, const Lines& lines, std::byte* to) {
  int64_t sources[kernels::kPanelColumns], columns[kernels::kPanelColumns], count = 0;
  for (int64_t row = begin; row < end; ++row) {
    const int64_t source = SourceRow(*part.part, row) - lines.first;
    if (source < 0 || source >= lines.outputs) continue;
    sources[count] = source;
    columns[count++] = row - begin;
  }
  bool follow = count == kernels::kPanelColumns;
  for (int64_t i = 1; follow && i < count; ++i) follow = sources[i] == sources[0] + i;
  const uint32_t* from = lines.words;
  for (int64_t line = 0; line < lines.count; ++line, to += kLineBytes, from += lines.outputs) {
    if (follow) {
      std::memcpy(to, from + sources[0], static_cast<size_t>(kLineBytes));
      continue;
    }
    for (int64_t i = 0; i < count; ++i) std::memcpy(to + columns[i] * kWord, from + sources[i], sizeof(uint32_t));
  }
}

/// Channels from `channel` on, which a tile of each panel begins with.
void PackTile(const PlannedPart& part, const Lines& lines, int64_t channel, const WordTarget& target) {
  const kernels::PackedWeight& weight = target.weight;
  const int64_t last = part.first_row + part.rows;
  for (int64_t matrix = part.first_row / weight.n; matrix * weight.n < last; ++matrix) {
    std::byte* panel = target.data + matrix * kernels::PackedBytes(weight) + channel / kLineChannels * kLineBytes;
    for (int64_t p = 0; p < weight.panels; ++p, panel += weight.panel_stride) {
      const int64_t row = matrix * weight.n + kernels::PanelRow(weight, p);
      const int64_t from = std::max(row, part.first_row);
      const int64_t to = std::min(row + kernels::PanelWidth(weight, p), last);
      if (from < to) PackColumns(part, from - part.first_row, to - part.first_row, lines, panel + (from - row) * kWord);
    }
  }
}

/// The words of a block, as the file has them: those of all channels, of as many outputs.
const uint32_t* ReadBlock(const PlannedPart& planned, const WordBlock& block, ReadStaging& staging) {
  const WeightPart& part = *planned.part;
  const bool along_channels = part.words->axis == 0;
  const int64_t stored = part.shape[1];
  const int64_t first = along_channels ? block.first_channel / kLineChannels : block.first_channel;
  const int64_t rows = (block.last_channel - block.first_channel) / (along_channels ? kLineChannels : 1);
  const int64_t column = along_channels ? block.first_output : block.first_output / 8;
  const int64_t columns =
      along_channels ? block.last_output - block.first_output : CeilDiv(block.last_output - block.first_output, 8);
  uint32_t* const words = Grow(staging.words, rows * columns);
  const auto read = [&](int64_t word, int64_t count, uint32_t* to) {
    planned.file->Read(static_cast<uint64_t>(part.offset + word * kWord),
                       {reinterpret_cast<std::byte*>(to), static_cast<size_t>(count * kWord)});
  };
  if (columns == stored) {
    read(first * stored, rows * stored, words);
  } else {
    for (int64_t row = 0; row < rows; ++row) read((first + row) * stored + column, columns, words + row * columns);
  }
  return words;
}

}  // namespace

bool HoldsChannels(const PlannedPart& planned, const kernels::PackedWeight& weight) {
  const WeightPart& part = *planned.part;
  if (!part.words || !part.transposed || part.dtype != DType::kI32) return false;
  const PackedWords& words = *part.words;
  const bool along_channels = words.axis == 0;
  const bool in_order = along_channels ? !words.awq : !part.column_order;
  return words.bits == 4 && words.minus == 8 && !words.is_signed && in_order &&
         weight.format == kernels::WeightFormat::kI4 && weight.k % kLineChannels == 0 &&
         kLeastShare * planned.rows >= StoredOutputs(part);
}

std::vector<WordBlock> WordBlocks(const PlannedPart& planned) {
  const WeightPart& part = *planned.part;
  const int64_t k = planned.columns, outputs = StoredOutputs(part);
  std::vector<WordBlock> blocks;
  if (part.column_order) {
    const int64_t step = std::max<int64_t>(1, 2 * kPieceBytes / (k / 2) / kTile) * kTile;
    for (int64_t first = 0; first < outputs; first += step)
      blocks.push_back({0, k, first, std::min(first + step, outputs)});
    return blocks;
  }
  // The words, and as many bytes of lines, lie in the cache together.
  const int64_t step = std::max<int64_t>(1, kPieceBytes / 2 / (kTile / 2 * outputs)) * kTile;
  for (int64_t first = 0; first < k; first += step) blocks.push_back({first, std::min(first + step, k), 0, outputs});
  return blocks;
}

int64_t PackWords(const PlannedPart& planned, const WordBlock& block, const WordTarget& target, ReadStaging& staging) {
  const WeightPart& part = *planned.part;
  const PackedWords& words = *part.words;
  const uint32_t* const read = ReadBlock(planned, block, staging);
  const int64_t outputs = block.last_output - block.first_output;
  std::array<int, 8> shifts;
  for (size_t i = 0; i < shifts.size(); ++i) shifts[i] = ShiftOf(words, static_cast<int64_t>(i));
  uint32_t* const lines = Grow(staging.lines, kTile / kLineChannels * outputs);
  for (int64_t channel = block.first_channel; channel < block.last_channel; channel += kTile) {
    const int64_t count = std::min(kTile, block.last_channel - channel) / kLineChannels;
    for (int64_t line = 0; line < count; ++line) {
      const int64_t first = channel + line * kLineChannels, row = first - block.first_channel;
      uint32_t* const to = lines + line * outputs;
      if (words.axis == 1) {
        ChannelsOfRows(read + row * (outputs / 8), outputs / 8, shifts, to);
      } else if (part.column_order) {
        ChannelsInOrder(read, outputs, part.column_order->data() + first, outputs, to);
      } else {
        ChannelsOfWords(read + row / kLineChannels * outputs, outputs, to);
      }
    }
    PackTile(planned, {lines, count, block.first_output, outputs}, channel, target);
  }
  // Of the rows that the part takes; those that it does not take are of no account.
  const int64_t all = StoredOutputs(part), taken = planned.rows;
  return planned.columns / 2 * (taken * block.last_output / all - taken * block.first_output / all) *
         (block.last_channel - block.first_channel) / planned.columns;
}

}  // namespace atb
