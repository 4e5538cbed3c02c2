#pragma once
#include <cstdint>

#include "tensor/dtype.h"

namespace atb::kernels {

/// Output columns of one panel: one AVX-512 register of f32, one AMX tile of columns.
constexpr int64_t kPanelColumns = 16;
/// Input channels of one bf16 tile: 16 rows of pairs of channels, 1 KB. It is one AMX B tile.
constexpr int64_t kTileK = 32;
/// Input channels of one int8 tile: 16 rows of four channels (a quad), 1 KB. It is one AMX B tile.
constexpr int64_t kIntegerTileK = 64;
/// The size of a group of channels that share a scale is a multiple of this, and at most kMaxGroup.
constexpr int64_t kGroupStep = 32;
constexpr int64_t kMaxGroup = 1024;
/// But for groups of e2m1 numbers that are so small: they become bf16 panel by panel, right before they are multiplied.
constexpr int64_t kWidenedGroup = 16;

/// Where scales are powers of two, the sums of about so many channels, a span of whole groups, leave the integers
/// together (ExponentSpan): twice an e2m1 number times 8, 4, 2 or 1 is an integer of 8 bits. Of an output's groups in a
/// span, those whose exponents are up to 3 below the largest, E, are summed as integers, in units of 2^(E - 3); then
/// those from 4 to 7 below it, and so on: kExponentWindows windows. What is smaller yet is added group by group before
/// them.
constexpr int64_t kExponentSpan = 1024;
constexpr int kExponentWindows = 4;
/// What a unit of each window's sums counts, in 2^E.
constexpr float kWindowUnits[kExponentWindows] = {0x1p-3f, 0x1p-7f, 0x1p-11f, 0x1p-15f};

/// Input channels of one line of a kE4M3 panel, 64 bytes.
constexpr int64_t kLineE4M3 = 4;

/// How the panels of a packed weight hold its numbers. Zeros pad n to whole panels, and k as each format says.
enum class WeightFormat : uint8_t {
  /// bf16 [n/16][k/32][16 k-pairs][16 columns][2]: an AMX tile per 1 KB; k padded to 32.
  kBF16,
  /// f32 [n/16][k][16 columns].
  kF32,
  /// f16 [n/16][k][16 columns].
  kF16,
  /// int8 [n/16][k/64][16 k-quads][16 columns][4]: an AMX tile per 1 KB; k padded to 64.
  kI8,
  /// int4, two's complement [n/16][k/64][8 pairs of k-quads][16 columns][4]: the even quad in the lower halves of the
  /// bytes, the odd one in the upper halves; k padded to 64.
  kI4,
  /// e2m1 codes (sign, two bits of exponent, one of mantissa) in the order of kI4: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their
  /// negatives. Twice such a number is an integer, so they are multiplied with digits.
  kE2M1,
  /// e4m3 codes [n/16][k/4][4 fours of columns][2 k-pairs][4 columns][2]: widened to bf16, half a line is a pair of
  /// channels of all 16 columns; k padded to 64. Multiplied as floats. The codes of NaN, 0x7F and 0xFF, would count as
  /// 480 and -480: the loader refuses them.
  kE4M3,
};
constexpr int kWeightFormats = 7;

/// Groups of channels that share a half where they have steps: a super-block of GGUF's K quants.
constexpr int64_t kStepGroups = 8;

/// Numbers of groups, of which one pointer or the last two are not null. Files of GGUF hold theirs as f16; or as an f16
/// for kStepGroups groups times a step of each group, a product that is exact in f32.
struct GroupNumbers {
  const float* floats = nullptr;     ///< [panels][groups][16 columns]
  const uint16_t* halves = nullptr;  ///< f16 [panels][groups, or with steps ceil(groups / kStepGroups)][16 columns].
  const int8_t* steps = nullptr;     ///< [panels][groups][16 columns]

  bool Any() const { return floats || halves; }
};

/// A linear's weight [n, k], repacked once into column panels. Plain data: kernels and the loader share it.
struct PackedWeight {
  WeightFormat format;
  int64_t n;             ///< Output features.
  int64_t k;             ///< Input features.
  int64_t panels;        ///< ceil(n / 16); of an interleaved weight 2 * ceil(n / 2 / 16).
  int64_t panel_stride;  ///< Bytes from one panel to the next.
  const void* data;      ///< 64-byte aligned.
  bool interleaved;      ///< Panels alternate between rows [0, n/2) and [n/2, n) (gate, up), for a fused SwiGLU.
  // For formats with scales, and only while they are multiplied: a weight is scale * number, or
  // scale * multiplier * number.
  int64_t group = 0;              ///< Channels that share a scale; 0: all channels of an output share one.
  const float* scales = nullptr;  ///< [n] when group is 0 or there are multipliers, else [panels][groups][16 columns].
  /// For kI4 only, from -15 to 15, and for kE2M1, from 0 to 8: [panels][groups][16 columns], or null. A multiplier
  /// times an int4, or times twice an e2m1 number, is an integer of 8 bits, so that sums over all channels stay
  /// integers.
  const int8_t* multipliers = nullptr;
  /// For kE2M1 only, in place of scales: [panels][groups][16 columns], or null. A scale is 2^(exponent - 127). Products
  /// are summed as kExponentSpan says.
  const uint8_t* exponents = nullptr;
  /// Of integers: [panels][groups][16 columns], or null: a weight is scale * (integer + offset). There are no
  /// multipliers then. An int4 and its offset are an integer of 8 bits, which is multiplied as one; what the offset of
  /// an int8 gives is added to its group's sum.
  const int16_t* offsets = nullptr;
  /// For integers with groups, in place of scales: f16.
  GroupNumbers short_scales{};
  /// Of integers with groups and a scale for each: a weight is scale * integer - minimum, of kI4
  /// scale * (integer + kHalfOfInt4) - minimum, as files of GGUF have it. There are no offsets then.
  GroupNumbers minimums{};
};

/// Int4 with minimums, from -8 to 7, stand for numbers from 0 to 15, and are multiplied as these.
constexpr int kHalfOfInt4 = 8;

/// Whether a weight becomes floats before kernels multiply it.
constexpr bool IsWidened(const PackedWeight& weight) {
  return weight.format == WeightFormat::kE2M1 && weight.group == kWidenedGroup;
}

/// Whether offsets are added to the sums of products, not to integers.
constexpr bool AddsOffsets(const PackedWeight& weight) { return weight.offsets && weight.format == WeightFormat::kI8; }
/// Whether a product needs the sums of a row's numbers over groups (DigitMatrix).
inline bool WantsSums(const PackedWeight& weight) { return weight.minimums.Any() || AddsOffsets(weight); }

/// The scales [n, groups] of a weight with groups, in the order of its panels. Each is a float; or, with multipliers,
/// the product of its output's scale and a multiplier; or, with exponents, a power of two; or an f16, perhaps
/// times a step. In the same form, the offsets of a weight: whole numbers; and its minimums.
struct PackedScales {
  int64_t n;
  int64_t groups;
  int64_t panels;
  bool interleaved;
  const float* data = nullptr;  ///< [panels][groups][16 columns], zeros where a panel has no row; [n] with multipliers.
  const int8_t* multipliers = nullptr;  ///< [panels][groups][16 columns], or null.
  const uint8_t* exponents = nullptr;   ///< Likewise, in place of data.
  const int16_t* offsets = nullptr;     ///< Likewise, of offsets: then there is nothing else.
  GroupNumbers numbers{};               ///< In place of data: scales that are f16, and minimums.
  bool are_minimums = false;
};

}  // namespace atb::kernels
