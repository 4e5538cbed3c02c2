#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace atb {

/// The memory of one thread's staging, with room for so many elements: it keeps the most that was ever wanted.
template <typename T>
T* Grow(std::vector<T>& memory, int64_t count) {
  if (memory.size() < static_cast<size_t>(count)) memory.resize(static_cast<size_t>(count));
  return memory.data();
}

}  // namespace atb
