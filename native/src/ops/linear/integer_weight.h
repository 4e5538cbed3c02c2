#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "kernels/pack_integers.h"
#include "ops/operation.h"

namespace atb {

/// What the products with weights of integers, or of floats of as few bits, have in common: the two inputs that are the
/// weight and its scales. In models they were packed when the engine loaded them. In tests and experiments they may be
/// row-major; then they are packed for each call.
struct IntegerWeight {
  const char* op;
  int bits;          ///< 8, or 4 with two to a byte along the last axis, the first in the lower half.
  bool transpose_b;  ///< A row-major weight is [n, k], else [k, n]; a packed one is [n, k] whatever this says.
  int64_t group;     ///< Channels that share a scale; 0: all channels of an output.
  int weight_input = 1;
  int scale_input = 2;
  int offset_input = 0;      ///< Of the offsets, packed as the scales are; 0: none.
  bool interleaved = false;  ///< Rows [0, n / 2) and [n / 2, n) are gate and up: for SwiGLU their panels alternate.
  kernels::WeightNumbers numbers = kernels::WeightNumbers::kIntegers;

  struct Sizes {
    int64_t n, k, groups;
    bool rows_are_outputs;  ///< The weight and its scales lie in memory output by output.
  };

  /// Reads the key quantGroupSize: 0, or a multiple of 32 up to 1024. Throws NATIVE_PARAM_INVALID.
  static int64_t ReadGroup(ParamReader& reader, int bits, kernels::WeightNumbers numbers);
  /// Reads the key weightNumbers: "integers" or "floats". Throws NATIVE_PARAM_INVALID.
  static kernels::WeightNumbers ReadNumbers(ParamReader& reader);

  /// Throws what InferShape throws unless the weight is int8, of k input channels where k is given, and the scales fit:
  /// [n], [n, 1] or [1, n] without groups, else [n, groups] ([groups, n] like a weight [k, n]).
  Sizes Check(std::span<const TensorDesc> in, std::optional<int64_t> k) const;
  /// Throws unless another input has the shape of the scales.
  void CheckLikeScales(int input, const TensorDesc& desc, const Sizes& sizes) const;
  /// Throws NATIVE_LAYOUT_MISMATCH unless what is packed was packed for this operation.
  void Validate(std::span<const Tensor> in) const;

  /// Bytes of the workspace that Resolve needs, 64-byte aligned.
  int64_t Bytes(std::span<const TensorDesc> in, int threads) const;
  /// The weight with its scales, ready to be multiplied.
  kernels::PackedWeight Resolve(std::span<const Tensor> in, const Context& ctx, std::byte* workspace) const;

  Sizes SizesOf(const TensorDesc& weight) const;
  kernels::WeightFormat Format() const { return kernels::FormatOf(bits, numbers); }
  /// Writes the integers, or the codes, of output `row` to `out`, as int8. In a row-major [k, n] they lie apart.
  void Row(const Tensor& weight, const Sizes& sizes, int64_t row, int8_t* out) const;
  /// The number that an integer or a code stands for.
  float NumberOf(int8_t code) const;
  /// The scale, or the offset, of a group of a row. The tensor has any float dtype.
  static float ScaleAt(const Tensor& scales, const Sizes& sizes, int64_t row, int64_t group);

 private:
  kernels::PackedWeight Geometry(const Sizes& sizes) const;
};

}  // namespace atb
