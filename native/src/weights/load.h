#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/kernel_table.h"
#include "kernels/pack_integers.h"
#include "weights/stored_tensor.h"
#include "weights/weight_part.h"

namespace atb {

enum class WeightLayout : uint8_t {
  kPlain,              ///< Row-major.
  kLinear,             ///< A matrix [n, k], or a stack [experts, n, k] of them, packed for products.
  kLinearInterleaved,  ///< Likewise, the panels of its upper and lower half of rows alternating.
};

/// What a weight of integers will be multiplied by.
enum class Activations : uint8_t {
  kFloat,
  kInt8,  ///< W8A8MatMul: such weights have 8 bits and one scale for each output.
};

/// A weight of integers, to be packed: out of parts of floats, which are rounded, or of parts that are integers
/// already.
struct WeightQuantize {
  int bits = 8;            ///< Or 4: parts of integers hold two to a byte, the first in the lower half.
  int64_t group_size = 0;  ///< Input channels that share a scale; 0: all of an output's.
  Activations activations = Activations::kFloat;  ///< Only checked: the integers are the same.
  /// Where the scales [n, groups] go, f32. Scales of integers that are there already are another load of this name
  /// among the same loads.
  std::string scale_name;
  /// For integers that are there already: another load of this name brings offsets [n, groups], so that a weight is
  /// scale * (integer + offset). They are whole numbers, and lie as the panels do. Empty: there are none.
  std::string offset_name{};
  /// Floats of so few bits are there already, in parts of e4m3 or, two to a byte, of u8.
  kernels::WeightNumbers numbers = kernels::WeightNumbers::kIntegers;
  /// The offsets are minimums (kernels::PackedWeight): any numbers.
  bool are_minimums = false;
};

/// A weight to make: its parts, changed as they say, one below the other, converted to `dtype`, laid out. Floats
/// convert into each other, and integers into floats; other dtypes must be the parts' own. With `quantize`, `shape` is
/// that of the parts together (parts of words are [n, k] whatever their bits), and the result int8 [n, k] or [n, k / 2]
/// whatever `dtype` says. A part's arithmetic is done in f32 and rounded once: to `dtype`, or to integers. Int4 cannot
/// be transposed, because a byte holds two of a row.
struct WeightLoad {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  WeightLayout layout = WeightLayout::kPlain;
  std::vector<WeightPart> parts;
  std::optional<WeightQuantize> quantize;
};

struct PackedFile;

struct LoadContext {
  ThreadPool& pool;
  const kernels::KernelTable& kernels;
  std::atomic<int64_t>* meter;         ///< Counts the tensors' bytes.
  const std::atomic<bool>& cancelled;  ///< Ends the load soon after it becomes true, with NATIVE_DISPOSED.
  /// Called with bytes read so far and in all, from any thread, now and then and at the end. May be empty.
  std::function<void(uint64_t, uint64_t)> progress;
  /// What these loads made before, to be read in place of the parts. May be null.
  const PackedFile* packed = nullptr;
};

struct LoadedWeight {
  std::string name;
  std::shared_ptr<const StoredTensor> stored;
};

/// Reads weights on all threads, each byte about once. Beyond the weights themselves it holds about 2 MB per thread, or
/// 12 MB where tensors are transposed (more when 16 rows of a matrix are larger). Everything is checked before anything
/// is allocated. Scales of groups, and offsets, follow the panels of their weight. Throws NATIVE_SHAPE_MISMATCH,
/// NATIVE_DTYPE_MISMATCH, NATIVE_ARGUMENT_INVALID, NATIVE_FILE_ERROR, NATIVE_FILE_TRUNCATED, NATIVE_OUT_OF_MEMORY,
/// NATIVE_VALUE_OUT_OF_RANGE for stored scales that are not finite and offsets that are no whole numbers,
/// NATIVE_DISPOSED, and what ReadPackedFile throws.
std::vector<LoadedWeight> LoadWeights(std::span<const WeightLoad> loads, const LoadContext& context);

}  // namespace atb
