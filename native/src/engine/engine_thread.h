#pragma once
#include <condition_variable>
#include <functional>
#include <list>
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
  /// A list, because moving, joining and emptying lists takes no memory.
  using Tasks = std::list<Task>;

  /// `last` is what Finish calls. It is given here, so that Finish needs no memory. Throws what Engine throws, and
  /// NATIVE_THREADS_FAILED.
  EngineThread(int threads, std::string_view isa, std::function<void()> last);
  /// Stop.
  ~EngineThread();
  EngineThread(const EngineThread&) = delete;
  EngineThread& operator=(const EngineThread&) = delete;

  /// For the methods that any thread may call while tasks run. Must not be called after Finish or Stop.
  const Engine& engine() const { return *engine_; }
  /// For as long as buffers count themselves in it.
  const std::shared_ptr<EngineShared>& shared() const { return shared_; }

  /// Tasks that are posted after Finish or Stop never run. Throws std::bad_alloc, and then the task is not posted.
  void Post(Task task);
  /// Posts tasks that were made in advance, and leaves the list empty.
  void Post(Tasks& tasks) noexcept;
  /// Runs the tasks that were posted, frees the engine, then calls `last`: all on the engine's thread. Returns at once.
  void Finish() noexcept;
  /// Drops the tasks that have not begun, ends the current one before its next operation, and frees the engine. Returns
  /// when this is done.
  void Stop() noexcept;

 private:
  void Loop();

  /// Declared first: it must outlive the buffers that count themselves in it.
  const std::shared_ptr<EngineShared> shared_ = std::make_shared<EngineShared>();
  std::unique_ptr<Engine> engine_;
  std::mutex mutex_;
  std::condition_variable wake_;
  Tasks tasks_;
  bool closed_ = false;  ///< No more tasks are taken; the thread ends when those it has are done.
  std::function<void()> last_;
  std::thread thread_;  ///< Declared last: it uses all of the above.
};

}  // namespace atb
