#pragma once
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>

#include "base/error.h"
#include "weights/load.h"

namespace atb {

/// Calls f(i, worker) for each i, on all threads. Throws what the first failing call throws, or NATIVE_DISPOSED when
/// the load is cancelled.
template <typename F>
void RunAll(int64_t count, const LoadContext& context, F&& f) {
  std::atomic<bool> failed{false};
  std::mutex mutex;
  std::exception_ptr error;
  context.pool.ParallelFor(count, [&](int64_t i, int worker) {
    if (failed.load(std::memory_order_relaxed) || context.cancelled.load(std::memory_order_relaxed)) return;
    try {
      f(i, worker);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!failed.exchange(true)) error = std::current_exception();
    }
  });
  if (error) std::rethrow_exception(error);
  if (context.cancelled) throw Error("NATIVE_DISPOSED", "the engine was disposed while it loaded weights");
}

/// Counts the bytes that were read, and reports about 200 times.
class Progress {
 public:
  Progress(uint64_t total, const std::function<void(uint64_t, uint64_t)>& report) : total_(total), report_(report) {}

  void Add(uint64_t bytes) {
    const uint64_t now = loaded_.fetch_add(bytes) + bytes;
    if (!report_ || bytes == 0) return;
    const uint64_t step = total_ / 200 + 1;
    if (now == total_ || now / step != (now - bytes) / step) report_(now, total_);
  }

 private:
  uint64_t total_;
  const std::function<void(uint64_t, uint64_t)>& report_;
  std::atomic<uint64_t> loaded_{0};
};

}  // namespace atb
