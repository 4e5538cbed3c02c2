#pragma once
#include <node_api.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <list>
#include <map>
#include <mutex>
#include <new>
#include <utility>
#include <variant>

#include "engine/engine.h"

namespace atb::addon {

/// How one asynchronous call ended. A failure is the exception itself, because keeping that takes no memory.
struct Completion {
  uint64_t call;
  std::variant<std::monostate, StepResult, ForwardResult, MachineLimits, std::exception_ptr> result;
};

/// Messages of the engine's thread, and the bell that makes JavaScript's thread read them. The bell is rung once for
/// all the messages that are waiting.
class Mailbox {
 public:
  struct Content {
    std::list<Completion> completions;
    std::map<uint64_t, std::pair<uint64_t, uint64_t>> progress;  ///< By call: bytes so far, and of all.
    bool finished = false;                                       ///< The engine is gone and its thread about to end.
  };

  /// Called on JavaScript's thread, before anything is posted.
  void SetBell(napi_threadsafe_function bell) { bell_ = bell; }

  // Called on the engine's threads, which have nobody to throw to: what they hand over must need no memory.

  /// Takes the completions out of a list that was made in advance.
  void Complete(std::list<Completion>& completions) noexcept {
    const std::lock_guard lock(mutex_);
    content_.completions.splice(content_.completions.end(), completions);
    Ring();
  }
  /// A report for which there is no memory is left out: the next one says more.
  void Progress(uint64_t call, uint64_t now, uint64_t total) noexcept {
    const std::lock_guard lock(mutex_);
    try {
      auto& latest = content_.progress[call];
      latest = {std::max(latest.first, now), total};
    } catch (const std::bad_alloc&) {
      return;
    }
    Ring();
  }
  void Finish() noexcept {
    const std::lock_guard lock(mutex_);
    content_.finished = true;
    Ring();
  }

  /// Called on JavaScript's thread.
  Content Take() noexcept {
    const std::lock_guard lock(mutex_);
    rung_ = false;
    return std::exchange(content_, {});
  }

 private:
  void Ring() noexcept {
    if (std::exchange(rung_, true)) return;
    // The call fails only when JavaScript is ending, and then nobody waits for an answer.
    napi_call_threadsafe_function(bell_, nullptr, napi_tsfn_nonblocking);
  }

  std::mutex mutex_;
  Content content_;
  bool rung_ = false;
  napi_threadsafe_function bell_ = nullptr;
};

}  // namespace atb::addon
