#include "engine/engine_thread.h"

#include <string>
#include <system_error>

#include "base/error.h"

namespace atb {

EngineThread::EngineThread(int threads, std::string_view isa)
    : engine_(std::make_unique<Engine>(threads, isa, shared_)) {
  try {
    thread_ = std::thread([this] { Loop(); });
  } catch (const std::system_error& e) {
    throw Error("NATIVE_THREADS_FAILED", std::string("the system gives no more threads: ") + e.what());
  }
}

EngineThread::~EngineThread() { Stop(); }

void EngineThread::Post(Task task) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  tasks_.push_back(std::move(task));
  wake_.notify_one();
}

void EngineThread::Finish(std::function<void()> last) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  closed_ = true;
  last_ = std::move(last);
  wake_.notify_one();
}

void EngineThread::Stop() noexcept {
  std::deque<Task> dropped;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    shared_.stop = true;
    dropped.swap(tasks_);
    last_ = nullptr;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void EngineThread::Loop() {
  for (;;) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return closed_ || !tasks_.empty(); });
    if (tasks_.empty()) break;
    const Task task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task(*engine_);
  }
  engine_.reset();
  std::function<void()> last;
  {
    const std::lock_guard lock(mutex_);
    last = std::move(last_);
  }
  if (last) last();
}

}  // namespace atb
