#include "base/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "base/error.h"

namespace atb {
namespace {

/// How long a thread spins before it sleeps. The gaps between two parallel regions of a step are shorter: a few
/// microseconds. Waking a thread takes 5 to 15 microseconds, so spinning for longer than a few wake-ups would only take
/// time from other processes.
constexpr auto kSpinTime = std::chrono::microseconds(40);
/// Pauses between two looks at the clock: about a microsecond.
constexpr int kSpinBatch = 16;

inline void Pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Returns true as soon as `ready()` holds, or false when it does not within kSpinTime.
template <typename Ready>
bool SpinUntil(Ready ready) {
  const auto end = std::chrono::steady_clock::now() + kSpinTime;
  do {
    for (int i = 0; i < kSpinBatch; ++i) {
      if (ready()) return true;
      Pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return ready();
}

constexpr uint64_t kChunkBits = 32;
constexpr uint64_t kChunkMask = (uint64_t{1} << kChunkBits) - 1;
constexpr int64_t kMaxChunks = static_cast<int64_t>(kChunkMask);

}  // namespace

/// One parallel region at a time. `ticket` is (region << 32 | chunks not yet claimed). A thread claims chunks by
/// lowering it with a compare-exchange, which fails when the thread has read the ticket of an earlier region. The other
/// fields of a region are written before its ticket and stay until all its chunks are done, so that a thread whose
/// claim succeeds has read the fields of that very region.
struct ThreadPool::State {
  alignas(64) std::atomic<uint64_t> ticket{0};
  std::atomic<uint32_t> chunks{0};
  std::atomic<int64_t> end_chunk{0};
  std::atomic<int64_t> most{1};  ///< Chunks that are claimed at once.
  std::atomic<Body> body{nullptr};
  std::atomic<void*> context{nullptr};
  /// Chunks of the region that are finished.
  alignas(64) std::atomic<uint32_t> done{0};
  std::atomic<bool> caller_sleeps{false};
  /// Changes with each region. Workers sleep on it; it has 32 bits because a futex waits on as many.
  alignas(64) std::atomic<uint32_t> alarm{0};
  std::atomic<int> sleepers{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  int64_t shares = 1;  ///< A claim takes 1 / shares of the chunks that are left.

  /// Claims and runs chunks of the current region until none is left.
  void Work(int worker) {
    uint32_t finished = 0;
    uint64_t seen = ticket.load(std::memory_order_acquire);
    while (const auto left = static_cast<int64_t>(seen & kChunkMask)) {
      const Body run = body.load(std::memory_order_relaxed);
      void* const with = context.load(std::memory_order_relaxed);
      const int64_t end = end_chunk.load(std::memory_order_relaxed);
      const int64_t claim = std::clamp<int64_t>(left / shares, 1, most.load(std::memory_order_relaxed));
      const uint64_t after = seen - static_cast<uint64_t>(claim);
      if (!ticket.compare_exchange_weak(seen, after, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
      run(with, end - left, end - left + claim, worker);
      finished += static_cast<uint32_t>(claim);
      seen = ticket.load(std::memory_order_acquire);
    }
    if (finished == 0) return;
    const uint32_t total = done.fetch_add(finished, std::memory_order_seq_cst) + finished;
    if (total == chunks.load(std::memory_order_relaxed) && caller_sleeps.load(std::memory_order_seq_cst))
      done.notify_one();
  }

  void Loop(int worker) {
    uint32_t heard = 0;
    for (;;) {
      const auto rings = [&] { return alarm.load(std::memory_order_acquire) != heard; };
      if (!SpinUntil(rings)) {
        sleepers.fetch_add(1, std::memory_order_seq_cst);
        alarm.wait(heard, std::memory_order_seq_cst);
        sleepers.fetch_sub(1, std::memory_order_relaxed);
      }
      heard = alarm.load(std::memory_order_acquire);
      if (stop.load(std::memory_order_acquire)) return;
      Work(worker);
    }
  }

  void Ring() {
    alarm.fetch_add(1, std::memory_order_seq_cst);
    if (sleepers.load(std::memory_order_seq_cst) > 0) alarm.notify_all();
  }

  /// Ends the threads, also those of a pool whose construction failed halfway.
  ~State() {
    stop.store(true, std::memory_order_release);
    Ring();
    for (std::thread& thread : threads) thread.join();
  }
};

ThreadPool::ThreadPool(int threads) : threads_(threads) {
  if (threads < 1 || threads > kMaxThreads)
    throw Error("NATIVE_THREADS_INVALID",
                "threads must be 1 to " + std::to_string(kMaxThreads) + ", found " + std::to_string(threads));
  state_ = std::make_unique<State>();
  state_->shares = threads;
  try {
    state_->threads.reserve(static_cast<size_t>(threads - 1));
    for (int worker = 1; worker < threads; ++worker)
      state_->threads.emplace_back([state = state_.get(), worker] { state->Loop(worker); });
  } catch (const std::system_error& e) {
    throw Error("NATIVE_THREADS_FAILED", std::string("the system gives no more threads: ") + e.what());
  }
}

ThreadPool::~ThreadPool() = default;

void ThreadPool::Run(int64_t chunks, int64_t most, Body body, void* context) {
  State& s = *state_;
  for (int64_t first = 0; first < chunks; first += kMaxChunks) {
    const int64_t count = std::min(chunks - first, kMaxChunks);
    ++barriers_;
    // The earlier region has no chunk left, so no thread can claim one and use these fields before the ticket is set.
    s.body.store(body, std::memory_order_relaxed);
    s.context.store(context, std::memory_order_relaxed);
    s.end_chunk.store(first + count, std::memory_order_relaxed);
    s.most.store(std::max<int64_t>(1, most), std::memory_order_relaxed);
    s.done.store(0, std::memory_order_relaxed);
    const uint64_t region = (s.ticket.load(std::memory_order_relaxed) >> kChunkBits) + 1;
    s.chunks.store(static_cast<uint32_t>(count), std::memory_order_relaxed);
    s.ticket.store(region << kChunkBits | static_cast<uint64_t>(count), std::memory_order_release);
    s.Ring();
    s.Work(0);
    const auto finished = [&] { return s.done.load(std::memory_order_acquire) == static_cast<uint32_t>(count); };
    if (SpinUntil(finished)) continue;
    s.caller_sleeps.store(true, std::memory_order_seq_cst);
    for (uint32_t now; (now = s.done.load(std::memory_order_seq_cst)) != static_cast<uint32_t>(count);)
      s.done.wait(now);
    s.caller_sleeps.store(false, std::memory_order_relaxed);
  }
}

}  // namespace atb
