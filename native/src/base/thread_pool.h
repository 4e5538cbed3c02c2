#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace atb {

/// Threads that run the parallel parts of operations. The caller is worker 0; the pool adds threads 1 .. n-1.
/// Work is handed out chunk by chunk from one counter, so a descheduled thread delays one chunk, not a half.
/// Waiting spins briefly, then sleeps.
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }

  /// Calls f(chunk, worker) once for each chunk in [0, chunks) and returns when all are done. f must not throw.
  template <typename F>
  void ParallelFor(int64_t chunks, F&& f) {
    Run(chunks, [](void* context, int64_t chunk, int worker) { (*static_cast<F*>(context))(chunk, worker); }, &f);
  }

  /// ParallelFor calls so far that needed more than one thread: each ends in one barrier.
  uint64_t barriers() const { return barriers_; }

 private:
  using Body = void (*)(void* context, int64_t chunk, int worker);
  void Run(int64_t chunks, Body body, void* context);

  int threads_;
  uint64_t barriers_ = 0;
  struct State;
  State* state_;
};

}  // namespace atb
