#include "kernels/pack_integers.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/checked.h"
#include "kernels/group_numbers.h"
#include "kernels/panel_place.h"

namespace atb::kernels {
namespace {

/// A line of a panel, 64 bytes, holds four bytes of each of its 16 columns: a quad of int8, or two quads of int4.
constexpr int64_t kQuad = 4;
constexpr int64_t kLineBytes = kPanelColumns * kQuad;

int64_t PaddedChannels(int64_t k) { return (k + kIntegerTileK - 1) / kIntegerTileK * kIntegerTileK; }

/// Channels of each column in one line.
int64_t LineChannels(WeightFormat format) { return HoldsPairs(format) ? 2 * kQuad : kQuad; }

/// Where a line has byte i of a column. Four columns of kE4M3 begin with the pairs of their first two channels.
int64_t ByteAt(WeightFormat format, int64_t column, int64_t i) {
  if (format != WeightFormat::kE4M3) return column * kQuad + i;
  return column / 4 * 16 + i / 2 * 8 + column % 4 * 2 + i % 2;
}

/// Brings lines of quads into the order of kE4M3.
void OrderPairs(std::byte* panel, int64_t lines) {
  for (int64_t at = 0; at < lines * kLineBytes; at += 16) {
    uint16_t quads[8], pairs[8];
    std::memcpy(quads, panel + at, sizeof quads);
    for (int i = 0; i < 8; ++i) pairs[i % 2 * 4 + i / 2] = quads[i];
    std::memcpy(panel + at, pairs, sizeof pairs);
  }
}

/// The int4 in the lower half of a byte.
int8_t Lower(int8_t both) { return static_cast<int8_t>(static_cast<int8_t>(both * 16) >> 4); }

/// Two quads of a column as a line of int4 holds them: the first in the lower halves of the bytes.
uint32_t JoinQuads(const int8_t* from) {
  uint32_t low, high;
  std::memcpy(&low, from, sizeof low);
  std::memcpy(&high, from + kQuad, sizeof high);
  constexpr uint32_t kLow = 0x0F0F0F0Fu;
  return (low & kLow) | (high & kLow) << 4;
}

/// Writes one column of a line from contiguous channels.
void PackLine(WeightFormat format, std::byte* line, int64_t column, const int8_t* from) {
  if (HoldsPairs(format)) {
    const uint32_t joined = JoinQuads(from);
    std::memcpy(line + column * kQuad, &joined, sizeof joined);
    return;
  }
  for (int64_t i = 0; i < kQuad; ++i) line[ByteAt(format, column, i)] = static_cast<std::byte>(from[i]);
}

/// Writes the first `lines` lines of a panel from sixteen rows, one for each column.
void PackWholeLines(WeightFormat format, const int8_t* rows, int64_t row_stride, int64_t lines, std::byte* panel,
                    const KernelTable& kernels) {
  if (!HoldsPairs(format)) {
    kernels.pack_lines(rows, row_stride, lines, panel);
    if (format == WeightFormat::kE4M3) OrderPairs(panel, lines);
    return;
  }
  constexpr int64_t kStep = 64;
  uint32_t joined[kPanelColumns][kStep];
  for (int64_t first = 0; first < lines; first += kStep) {
    const int64_t count = std::min(kStep, lines - first);
    for (int64_t c = 0; c < kPanelColumns; ++c) {
      const int8_t* from = rows + c * row_stride + first * 2 * kQuad;
      for (int64_t i = 0; i < count; ++i) joined[c][i] = JoinQuads(from + i * 2 * kQuad);
    }
    kernels.pack_lines(joined, sizeof joined[0], count, panel + first * kLineBytes);
  }
}

}  // namespace

float E4M3ToF32(uint8_t code) {
  // The bits of an f32 whose exponent's bias is larger by 120. Of subnormals, too.
  const float size = std::bit_cast<float>(static_cast<uint32_t>(code & 0x7F) << 20) * 0x1p120f;
  return code & 0x80 ? -size : size;
}

int8_t TwiceE2M1(int8_t code) {
  constexpr int8_t kSizes[] = {0, 1, 2, 3, 4, 6, 8, 12};
  const int8_t size = kSizes[code & 7];
  return code & 8 ? static_cast<int8_t>(-size) : size;
}

void PackIntegers(const PackedWeight& weight, std::byte* panel, int64_t column, int64_t count, const int8_t* rows,
                  int64_t row_stride, int64_t column_stride, const KernelTable& kernels) {
  const int64_t channels = LineChannels(weight.format);
  const bool fast = column_stride == 1 && count == kPanelColumns;
  const int64_t whole = fast ? weight.k / channels : 0;
  if (fast) PackWholeLines(weight.format, rows, row_stride, whole, panel, kernels);
  const int64_t lines = PaddedChannels(weight.k) / channels;
  for (int64_t line = whole; line < lines; ++line) {
    for (int64_t c = 0; c < count; ++c) {
      int8_t values[2 * kQuad] = {};
      const int64_t first = line * channels;
      for (int64_t i = 0; i < channels && first + i < weight.k; ++i)
        values[i] = rows[c * row_stride + (first + i) * column_stride];
      PackLine(weight.format, panel + line * kLineBytes, column + c, values);
    }
  }
}

void ZeroIntegers(const PackedWeight& weight, std::byte* panel, int64_t column) {
  const int64_t lines = PaddedChannels(weight.k) / LineChannels(weight.format);
  constexpr int8_t kZeros[2 * kQuad] = {};
  for (int64_t line = 0; line < lines; ++line) PackLine(weight.format, panel + line * kLineBytes, column, kZeros);
}

void UnpackIntegers(const PackedWeight& weight, int64_t row, int8_t* out) {
  const Place place = PlaceOf(weight.n, weight.interleaved, row);
  const auto* line_at = static_cast<const int8_t*>(weight.data) + place.panel * weight.panel_stride;
  const int64_t channels = LineChannels(weight.format);
  for (int64_t first = 0; first < weight.k; first += channels, line_at += kLineBytes) {
    int8_t line[2 * kQuad];
    for (int64_t i = 0; i < kQuad; ++i) line[i] = line_at[ByteAt(weight.format, place.column, i)];
    if (HoldsPairs(weight.format)) {
      for (int64_t i = 0; i < kQuad; ++i) {
        line[kQuad + i] = static_cast<int8_t>(line[i] >> 4);
        line[i] = Lower(line[i]);
      }
    }
    std::memcpy(out + first, line, static_cast<size_t>(std::min(channels, weight.k - first)));
  }
}

void ExpandInt4(const std::byte* pairs, int64_t count, int8_t* out) {
  for (int64_t i = 0; i < count / 2; ++i) {
    const auto both = static_cast<int8_t>(pairs[i]);
    out[2 * i] = Lower(both);
    out[2 * i + 1] = static_cast<int8_t>(both >> 4);
  }
  if (count % 2 != 0) out[count - 1] = Lower(static_cast<int8_t>(pairs[count / 2]));
}

void CompressInt4(const int8_t* values, int64_t count, std::byte* pairs) {
  for (int64_t i = 0; i < count / 2; ++i)
    pairs[i] = static_cast<std::byte>((values[2 * i] & 0x0F) | (values[2 * i + 1] & 0x0F) << 4);
  if (count % 2 != 0) pairs[count / 2] = static_cast<std::byte>(values[count - 1] & 0x0F);
}

int64_t GroupsOf(int64_t k, int64_t group) { return group == 0 ? 1 : (k + group - 1) / group; }

PackedScales ScalesGeometry(int64_t n, int64_t groups, bool interleaved) {
  const PackedWeight like = PackedGeometry(WeightFormat::kF32, n, groups, interleaved);
  return {.n = n, .groups = groups, .panels = like.panels, .interleaved = interleaved};
}

int64_t ScalesBytes(const PackedScales& scales) {
  return scales.panels * scales.groups * kPanelColumns * static_cast<int64_t>(sizeof(float));
}

void PackScales(const PackedScales& scales, float* data, int64_t row_begin, int64_t row_end, const float* source,
                int64_t row_stride, int64_t column_stride) {
  const int64_t rows = scales.interleaved ? scales.n / 2 : scales.n;
  for (int64_t row = row_begin; row < row_end; ++row, source += row_stride) {
    const Place place = PlaceOf(scales.n, scales.interleaved, row);
    float* to = data + place.panel * scales.groups * kPanelColumns + place.column;
    // The last row of a matrix also writes zeros to the columns behind it.
    const int64_t last = row % rows == rows - 1 ? kPanelColumns - place.column : 1;
    for (int64_t g = 0; g < scales.groups; ++g) {
      to[g * kPanelColumns] = source[g * column_stride];
      for (int64_t c = 1; c < last; ++c) to[g * kPanelColumns + c] = 0;
    }
  }
}

float ScaleOf(const PackedScales& scales, int64_t row, int64_t group) {
  const Place place = PlaceOf(scales.n, scales.interleaved, row);
  const int64_t at = (place.panel * scales.groups + group) * kPanelColumns + place.column;
  if (scales.numbers.Any()) return GroupNumber(scales.numbers, place.panel, scales.groups, group, place.column);
  if (scales.offsets) return scales.offsets[at];
  if (scales.exponents) return std::ldexp(1.0f, scales.exponents[at] - 127);
  return scales.multipliers ? scales.data[row] * static_cast<float>(scales.multipliers[at]) : scales.data[at];
}

bool FindMultipliers(const float* scales, int64_t groups, int most, float* scale, int8_t* multipliers) {
  float largest = 0;
  int64_t not_a_number = 0;
  for (int64_t g = 0; g < groups; ++g) {
    largest = std::max(largest, std::fabs(scales[g]));
    not_a_number += std::isnan(scales[g]);
  }
  if (not_a_number == groups || (largest == 0 && not_a_number == 0)) {
    std::fill_n(multipliers, groups, int8_t{0});
    *scale = scales[0];
    return true;
  }
  if (not_a_number > 0 || !std::isfinite(largest)) return false;
  for (int m = most; m > 0; --m) {
    const float one = largest / static_cast<float>(m);
    int64_t found = 0;
    while (found < groups) {
      const float multiple = std::nearbyint(scales[found] / one);
      if (!(std::fabs(multiple) <= static_cast<float>(most)) || multiple * one != scales[found]) break;
      multipliers[found++] = static_cast<int8_t>(multiple);
    }
    if (found < groups) continue;
    *scale = one;
    return true;
  }
  return false;
}

int64_t MultipliersAt(const PackedScales& scales) {
  return (scales.n * static_cast<int64_t>(sizeof(float)) + 63) / 64 * 64;
}

int64_t MultiplierBytes(const PackedScales& scales) {
  return MultipliersAt(scales) + scales.panels * scales.groups * kPanelColumns;
}

void PutMultipliers(const PackedScales& scales, int64_t row, const int8_t* found, int8_t* multipliers) {
  const Place place = PlaceOf(scales.n, scales.interleaved, row);
  int8_t* to = multipliers + place.panel * scales.groups * kPanelColumns + place.column;
  for (int64_t g = 0; g < scales.groups; ++g) to[g * kPanelColumns] = found[g];
}

bool PackMultipliers(const PackedScales& scales, int most, std::byte* data, PackedScales& packed) {
  auto* own = reinterpret_cast<float*>(data);
  auto* multipliers = reinterpret_cast<int8_t*>(data + MultipliersAt(scales));
  std::memset(multipliers, 0, static_cast<size_t>(scales.panels * scales.groups * kPanelColumns));
  std::vector<float> row(static_cast<size_t>(scales.groups));
  std::vector<int8_t> found(static_cast<size_t>(scales.groups));
  for (int64_t r = 0; r < scales.n; ++r) {
    for (int64_t g = 0; g < scales.groups; ++g) row[static_cast<size_t>(g)] = ScaleOf(scales, r, g);
    if (!FindMultipliers(row.data(), scales.groups, most, &own[r], found.data())) return false;
    PutMultipliers(scales, r, found.data(), multipliers);
  }
  packed = scales;
  packed.data = own;
  packed.multipliers = multipliers;
  return true;
}

int64_t OffsetBytes(const PackedScales& scales) {
  return scales.panels * scales.groups * kPanelColumns * static_cast<int64_t>(sizeof(int16_t));
}

bool PackOffsets(const PackedScales& floats, int most, std::byte* data, PackedScales& packed) {
  auto* const offsets = reinterpret_cast<int16_t*>(data);
  const int64_t count = floats.panels * floats.groups * kPanelColumns;
  for (int64_t i = 0; i < count; ++i) {
    const float offset = floats.data[i];
    if (!(std::fabs(offset) <= static_cast<float>(most)) || std::nearbyint(offset) != offset) return false;
    offsets[i] = static_cast<int16_t>(offset);
  }
  packed = floats;
  packed.data = nullptr;
  packed.offsets = offsets;
  return true;
}

int64_t ExponentBytes(const PackedScales& scales) { return scales.panels * scales.groups * kPanelColumns; }

bool PackExponents(const PackedScales& scales, std::byte* data, PackedScales& packed) {
  auto* exponents = reinterpret_cast<uint8_t*>(data);
  for (int64_t i = 0; i < ExponentBytes(scales); ++i) {
    int exponent = 0;
    const bool power = std::frexp(scales.data[i], &exponent) == 0.5f && exponent <= 128;
    if (!power && scales.data[i] != 0) return false;
    exponents[i] = static_cast<uint8_t>(power ? exponent + 126 : 0);
  }
  packed = scales;
  packed.data = nullptr;
  packed.exponents = exponents;
  return true;
}

}  // namespace atb::kernels
