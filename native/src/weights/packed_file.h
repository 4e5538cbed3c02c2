#pragma once
#include <atomic>
#include <cstdint>
#include <span>
#include <string>

#include "weights/load.h"
#include "weights/scale_form.h"
#include "weights/stored_tensor.h"

namespace atb {

/// A file of what LoadWeights made of some loads: its tensors' bytes as they lie in memory, so that the next start only
/// copies them.
struct PackedFile {
  std::string path;
  /// Everything that decides these bytes; kept in the file, and compared as a text. At most kMaxKeyBytes.
  std::string key;
};
constexpr uint32_t kMaxKeyBytes = 1 << 20;

/// A tensor that is planned and allocated, with scales as floats and offsets likewise, and without its numbers.
struct PackedTensor {
  StoredTensor* stored;
  int64_t experts;  ///< Matrices in it.
  ScaleForms forms = ScaleForms::kPlanned;
};

/// Fills the tensors on all threads, each byte copied once and summed while it is in the cache. What the file says of a
/// tensor can only choose among the forms of its scales: no file makes the engine read or write beyond its memory.
/// Throws NATIVE_PACKED_UNUSABLE when it cannot be read, has another key, or is damaged; then the tensors are not to be
/// used. Throws NATIVE_OUT_OF_MEMORY, NATIVE_DISPOSED.
void ReadPackedFile(const PackedFile& file, std::span<const PackedTensor> tensors, const LoadContext& context);

/// Writes a new file. Throws NATIVE_FILE_ERROR, and NATIVE_DISPOSED soon after `cancelled` becomes true; what it has
/// written by then is the caller's to remove, as it is to give the file its name only when it is complete.
void WritePackedFile(const PackedFile& file, std::span<const LoadedWeight> weights, const std::atomic<bool>& cancelled);

/// The key of a file whose size is right. Throws NATIVE_PACKED_UNUSABLE.
std::string ReadPackedKey(const std::string& path);

}  // namespace atb
