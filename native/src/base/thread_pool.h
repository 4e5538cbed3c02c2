#pragma once
#include <cstdint>
#include <memory>
#include <type_traits>

namespace atb {

/// Threads that run the parallel parts of operations. The caller is worker 0; the pool adds threads 1 .. n-1.
/// Work is handed out chunk by chunk from one counter, so that a thread which the system suspends delays one chunk, and
/// not an equal share of the work. A thread that has not woken up by the time the work is done is not waited for. A
/// thread that waits spins briefly, then sleeps.
class ThreadPool {
 public:
  /// Throws NATIVE_THREADS_INVALID unless 1 <= threads <= kMaxThreads, NATIVE_THREADS_FAILED when the system refuses.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  static constexpr int kMaxThreads = 1024;

  int threads() const { return threads_; }

  /// Calls f(chunk, worker) once for each chunk in [0, chunks) and returns when all are done. Calls that run at the
  /// same time have different workers. f must neither throw nor call ParallelFor. There must be one caller at a time.
  template <typename F>
  void ParallelFor(int64_t chunks, F&& f) {
    ParallelRanges(chunks, 1, [&f](int64_t begin, int64_t end, int worker) {
      for (int64_t chunk = begin; chunk < end; ++chunk) f(chunk, worker);
    });
  }

  /// As ParallelFor, but calls f(begin, end, worker) for ranges of at most `most` chunks. Ranges are long while much
  /// work is left, and single chunks in the end, so that all threads finish at about the same time.
  template <typename F>
  void ParallelRanges(int64_t chunks, int64_t most, F&& f) {
    if (threads_ == 1 || chunks <= 1) {
      if (chunks > 0) f(int64_t{0}, chunks, 0);
      return;
    }
    using Function = std::remove_reference_t<F>;
    const auto body = [](void* context, int64_t begin, int64_t end, int worker) {
      (*static_cast<Function*>(context))(begin, end, worker);
    };
    Run(chunks, most, body, const_cast<void*>(static_cast<const void*>(&f)));
  }

  /// Barriers so far: one for each parallel call that could use more than one thread.
  uint64_t barriers() const { return barriers_; }

 private:
  using Body = void (*)(void* context, int64_t begin, int64_t end, int worker);
  void Run(int64_t chunks, int64_t most, Body body, void* context);

  const int threads_;
  uint64_t barriers_ = 0;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace atb
