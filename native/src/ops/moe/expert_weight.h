#pragma once
#include <cstdint>
#include <span>

#include "kernels/packed_weight.h"
#include "ops/operation.h"

namespace atb {

/// The matrices [n, k] of all experts, ready to be multiplied one at a time.
struct Experts {
  kernels::PackedWeight first;  ///< With its scales.
  int64_t scales_stride = 0;    ///< Bytes from one expert's scales, and multipliers, to those of the next.
  int64_t offsets_stride = 0;   ///< Bytes from one expert's offsets, or minimums, to those of the next.

  kernels::PackedWeight operator()(int64_t expert) const;
};

/// An input [experts, n, k] of an operation, packed when the engine loaded it; of integers, with its scales.
struct ExpertWeight {
  const char* op;
  int input;
  int bits = 0;              ///< 0: floats. 8, or 4 with two to a byte.
  int scale_input = 0;       ///< f32 [experts, n, groups].
  bool interleaved = false;  ///< Rows [0, n / 2) and [n / 2, n) are gate and up: their panels alternate.
  bool int8_rows = false;    ///< They are multiplied with rows of int8, so that they must be integers.
  /// Of integers that are not symmetric: offsets [experts, n, groups], packed with them; 0: there are none.
  int offset_input = 0;

  struct Sizes {
    int64_t experts, n, k;
  };

  /// Throws what InferShape throws unless the weight has k input channels, and x's dtype where it is floats.
  Sizes Check(std::span<const TensorDesc> in, DType x, int64_t k) const;
  /// Throws what InferShape throws unless an input is what is added to each expert's products, [experts, n].
  void CheckBias(std::span<const TensorDesc> in, int bias, const Sizes& sizes) const;
  /// Throws NATIVE_LAYOUT_MISMATCH unless what is packed was packed for this operation.
  void Validate(std::span<const Tensor> in) const;
  Experts Resolve(std::span<const Tensor> in) const;
  Sizes SizesOf(const TensorDesc& weight) const;
  /// Whether the weight may be widened (kernels::IsWidened), by its number of groups.
  bool MayWiden(std::span<const TensorDesc> in) const;

 private:
  void CheckOffsets(const TensorDesc& offsets, const Sizes& sizes) const;
};

}  // namespace atb
