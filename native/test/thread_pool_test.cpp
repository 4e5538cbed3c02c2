#include "base/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "check.h"

using atb::ThreadPool;

namespace {

void EveryChunkRunsExactlyOnce() {
  for (int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    CHECK(pool.threads() == threads);
    for (int64_t chunks : {0, 1, 2, 3, 7, 64, 1000}) {
      std::vector<int> runs(static_cast<size_t>(chunks));  // Not atomic: the pool must order them.
      for (int round = 0; round < 20; ++round)
        pool.ParallelFor(chunks, [&](int64_t chunk, int worker) {
          CHECK(worker >= 0 && worker < threads);
          ++runs[static_cast<size_t>(chunk)];
        });
      for (int count : runs) CHECK(count == 20);
    }
  }
}

void RangesCoverEveryChunkOnce() {
  for (int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    for (int64_t chunks : {0, 1, 2, 3, 7, 64, 1000}) {
      for (int64_t most : {0, 1, 5, 100000}) {
        std::vector<int> runs(static_cast<size_t>(chunks));  // Not atomic: the pool must order them.
        for (int round = 0; round < 20; ++round)
          pool.ParallelRanges(chunks, most, [&](int64_t begin, int64_t end, int worker) {
            CHECK(worker >= 0 && worker < threads);
            CHECK(begin < end);
            CHECK(threads == 1 || end - begin <= std::max<int64_t>(1, most));
            for (int64_t chunk = begin; chunk < end; ++chunk) ++runs[static_cast<size_t>(chunk)];
          });
        for (int count : runs) CHECK(count == 20);
      }
    }
  }
}

/// The last ranges are single chunks, whoever takes them.
void RangesGetShorter() {
  ThreadPool pool(4);
  std::vector<std::atomic<int64_t>> lengths(1000);
  pool.ParallelRanges(1000, 1000,
                      [&](int64_t begin, int64_t end, int) { lengths[static_cast<size_t>(begin)] = end - begin; });
  CHECK(lengths[0] == 250);
  CHECK(lengths[999] == 1);
  int64_t before = 1000;
  for (const auto& length : lengths) {
    if (length == 0) continue;
    CHECK(length <= before);
    before = length;
  }
}

void WorkersNeverShareAnIndex() {
  constexpr int kThreads = 4;
  ThreadPool pool(kThreads);
  std::vector<std::atomic<int>> busy(kThreads);
  for (int round = 0; round < 200; ++round)
    pool.ParallelFor(16, [&](int64_t, int worker) {
      CHECK(busy[static_cast<size_t>(worker)].fetch_add(1) == 0);
      busy[static_cast<size_t>(worker)].fetch_sub(1);
    });
}

/// Each region reads what the one before wrote: thousands of short regions, where a late thread could do harm.
void RegionsAreOrdered() {
  ThreadPool pool(4);
  std::vector<int64_t> a(32), b(32);
  std::iota(a.begin(), a.end(), 0);
  for (int round = 0; round < 3000; ++round) {
    const int64_t chunks = 2 + round % 31;
    pool.ParallelFor(chunks,
                     [&](int64_t i, int) { b[static_cast<size_t>(i)] = a[static_cast<size_t>(chunks - 1 - i)] + 1; });
    pool.ParallelFor(chunks,
                     [&](int64_t i, int) { a[static_cast<size_t>(i)] = b[static_cast<size_t>(chunks - 1 - i)] - 1; });
  }
  for (int64_t i = 0; i < 32; ++i) CHECK(a[static_cast<size_t>(i)] == i);
}

void BarriersCountRegionsThatCouldBeParallel() {
  ThreadPool alone(1), pool(2);
  for (ThreadPool* p : {&alone, &pool}) {
    p->ParallelFor(0, [](int64_t, int) {});
    p->ParallelFor(1, [](int64_t, int worker) { CHECK(worker == 0); });
    CHECK(p->barriers() == 0);
    p->ParallelFor(5, [](int64_t, int) {});
  }
  CHECK(alone.barriers() == 0);
  CHECK(pool.barriers() == 1);
}

/// A thread that is held up delays the chunk that it holds, and the others do the rest.
void WorkIsNotSplitInHalves() {
  ThreadPool pool(2);
  constexpr int64_t kChunks = 64;
  std::atomic<int> slow_chunks{0};
  std::atomic<int64_t> done{0};
  pool.ParallelFor(kChunks, [&](int64_t, int worker) {
    if (worker == 1) {
      ++slow_chunks;
      // As if descheduled until the other thread has done all that is left.
      const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
      while (done.load() < kChunks - 1 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    }
    ++done;
  });
  CHECK(done == kChunks);
  CHECK(slow_chunks <= 1);
}

void SleepersWakeUp() {
  ThreadPool pool(3);
  std::atomic<int64_t> sum{0};
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // Longer than they spin.
    pool.ParallelFor(6, [&](int64_t chunk, int) {
      if (chunk % 2 == 0) std::this_thread::sleep_for(std::chrono::microseconds(300));  // The caller sleeps as well.
      sum += chunk;
    });
  }
  CHECK(sum == 20 * 15);
}

void ThreadCountsAreChecked() {
  for (int threads : {0, -1, ThreadPool::kMaxThreads + 1}) {
    bool refused = false;
    try {
      ThreadPool pool(threads);
    } catch (const atb::Error& e) {
      refused = std::string(e.code()) == "NATIVE_THREADS_INVALID";
    }
    CHECK(refused);
  }
}

void PoolsComeAndGo() {
  for (int round = 0; round < 50; ++round) {
    ThreadPool pool(4);
    if (round % 2 == 0) pool.ParallelFor(8, [](int64_t, int) {});
  }
}

}  // namespace

int main() {
  RUN(EveryChunkRunsExactlyOnce);
  RUN(RangesCoverEveryChunkOnce);
  RUN(RangesGetShorter);
  RUN(WorkersNeverShareAnIndex);
  RUN(RegionsAreOrdered);
  RUN(BarriersCountRegionsThatCouldBeParallel);
  RUN(WorkIsNotSplitInHalves);
  RUN(SleepersWakeUp);
  RUN(ThreadCountsAreChecked);
  RUN(PoolsComeAndGo);
}
