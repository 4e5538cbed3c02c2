#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "engine/engine.h"

namespace atb {

/// An engine and the thread that it lives on. Tasks run one after another, in the order in which they were posted.
class EngineThread {
 public:
  /// Tasks handle their own failures; they must not throw.
  using Task = std::function<void(Engine&)>;

  /// Throws what Engine throws, and NATIVE_THREADS_FAILED.
  EngineThread(int threads, std::string_view isa);
  /// Stop.
  ~EngineThread();
  EngineThread(const EngineThread&) = delete;
  EngineThread& operator=(const EngineThread&) = delete;

  /// For what may be asked from any thread while tasks run. Gone after Finish and Stop.
  const Engine& engine() const { return *engine_; }
  EngineShared& shared() { return shared_; }

  /// Tasks that are posted after Finish or Stop never run.
  void Post(Task task);
  /// Lets the tasks that were posted run, frees the engine, then calls `last`, all on the engine's thread. Does not
  /// wait.
  void Finish(std::function<void()> last);
  /// Drops the tasks that have not begun, ends the one that runs at its next operation, frees the engine. Waits.
  void Stop() noexcept;

 private:
  void Loop();

  EngineShared shared_;  ///< First: buffers of the engine and of waiting tasks count themselves out of it.
  std::unique_ptr<Engine> engine_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> tasks_;
  bool closed_ = false;  ///< Nothing more is posted; the thread ends when the tasks are done.
  std::function<void()> last_;
  std::thread thread_;  ///< Last: it uses all of the above.
};

}  // namespace atb
