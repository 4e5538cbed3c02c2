#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace atb {

/// Memory as kernels want it, each byte `fill`: 0xFF is NaN in every float dtype, so that whatever is not written
/// shows.
struct Aligned {
  explicit Aligned(int64_t bytes, int fill = 0xFF)
      : size((static_cast<size_t>(bytes) + 64) / 64 * 64), data(static_cast<std::byte*>(std::aligned_alloc(64, size))) {
    std::memset(data, fill, size);
  }
  ~Aligned() { std::free(data); }
  Aligned(const Aligned&) = delete;
  Aligned& operator=(const Aligned&) = delete;

  size_t size;
  std::byte* data;
};

}  // namespace atb
