#pragma once
#include <cstdint>
#include <memory>
#include <type_traits>

namespace atb {

/// Threads that run the parallel parts of operations. The caller is worker 0; the pool adds threads 1 .. n-1.
/// Work is handed out chunk by chunk from one counter, so a descheduled thread delays one chunk, not a half; a thread
/// that has not woken up by the time the work is done is not waited for. Waiting spins briefly, then sleeps.
class ThreadPool {
 public:
  /// Throws NATIVE_THREADS_INVALID unless 1 <= threads <= kMaxThreads, NATIVE_THREADS_FAILED when the system refuses.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  static constexpr int kMaxThreads = 1024;

  int threads() const { return threads_; }

  /// Calls f(chunk, worker) once for each chunk in [0, chunks) and returns when all are done; no two calls at a time
  /// share a worker. f must neither throw nor call ParallelFor. One caller at a time.
  template <typename F>
  void ParallelFor(int64_t chunks, F&& f) {
    if (threads_ == 1 || chunks <= 1) {
      for (int64_t chunk = 0; chunk < chunks; ++chunk) f(chunk, 0);
      return;
    }
    using Function = std::remove_reference_t<F>;
    Run(
        chunks, [](void* context, int64_t chunk, int worker) { (*static_cast<Function*>(context))(chunk, worker); },
        const_cast<void*>(static_cast<const void*>(&f)));
  }

  /// ParallelFor calls so far that could use more than one thread: each ends in one barrier.
  uint64_t barriers() const { return barriers_; }

 private:
  using Body = void (*)(void* context, int64_t chunk, int worker);
  void Run(int64_t chunks, Body body, void* context);

  const int threads_;
  uint64_t barriers_ = 0;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace atb
