#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/buffer.h"

namespace atb {

/// The memory of intermediates. Graphs that never run at the same time may share one: nothing in it is needed after a
/// run but outputs, which are read before the next.
class Arena {
 public:
  /// `meter` as for Buffer.
  explicit Arena(std::atomic<int64_t>* meter = nullptr) : meter_(meter) {}

  /// Makes it hold at least so many bytes. What was in it is lost where it grows. Throws NATIVE_OUT_OF_MEMORY, and is
  /// empty then.
  void Reserve(size_t bytes) {
    if (bytes <= buffer_.size()) return;
    buffer_ = Buffer();  // Frees the old bytes before it takes new ones.
    buffer_ = Buffer(bytes, meter_);
  }
  void Free() { buffer_ = Buffer(); }

  std::byte* data() const { return buffer_.data(); }
  size_t size() const { return buffer_.size(); }

 private:
  std::atomic<int64_t>* meter_;
  Buffer buffer_;
};

}  // namespace atb
