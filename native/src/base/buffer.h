#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/align.h"

namespace atb {

/// Bytes of memory that this machine has, or its container where that has less.
uint64_t PhysicalMemoryBytes();

/// Throws NATIVE_OUT_OF_MEMORY when the machine cannot hold `bytes` beside all buffers of this process. The system
/// itself promises more than it has, and ends a process that uses all of it.
void RequireMemory(int64_t bytes);

/// Zeroed bytes, aligned to kAlignment. A large buffer consists of fresh pages, huge ones where the system has them.
/// The system provides each page when it is first touched, and gets it back as soon as the buffer is freed.
class Buffer {
 public:
  Buffer() = default;
  /// Throws NATIVE_OUT_OF_MEMORY, before anything is reserved where RequireMemory(bytes) does. `meter` counts the
  /// bytes for as long as the buffer lives; it must live longer.
  explicit Buffer(size_t bytes, std::atomic<int64_t>* meter = nullptr);
  ~Buffer() { Free(); }
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  std::byte* data() const { return data_; }
  size_t size() const { return bytes_; }

 private:
  void Free() noexcept;

  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
  std::atomic<int64_t>* meter_ = nullptr;
};

}  // namespace atb
