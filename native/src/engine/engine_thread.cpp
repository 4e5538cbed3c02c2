#include "engine/engine_thread.h"

#include <string>
#include <system_error>

#include "base/error.h"

namespace atb {

EngineThread::EngineThread(int threads, std::string_view isa, std::function<void()> last)
    : engine_(std::make_unique<Engine>(threads, isa, *shared_)), last_(std::move(last)) {
  try {
    thread_ = std::thread([this] { Loop(); });
  } catch (const std::system_error& e) {
    throw Error("NATIVE_THREADS_FAILED", std::string("the system gives no more threads: ") + e.what());
  }
}

EngineThread::~EngineThread() { Stop(); }

void EngineThread::Post(Task task) {
  Tasks tasks;
  tasks.push_back(std::move(task));
  Post(tasks);
}

void EngineThread::Post(Tasks& tasks) noexcept {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  tasks_.splice(tasks_.end(), tasks);
  wake_.notify_one();
}

void EngineThread::Finish() noexcept {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  closed_ = true;
  wake_.notify_one();
}

void EngineThread::Stop() noexcept {
  Tasks dropped;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    shared_->stop = true;
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
