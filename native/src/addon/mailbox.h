#pragma once
#include <node_api.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/engine.h"

namespace atb::addon {

struct Failure {
  std::string code;
  std::string message;
};

/// The Failure of the exception that is being handled.
Failure CurrentFailure();

/// How one asynchronous call ended.
struct Completion {
  uint64_t call;
  std::variant<std::monostate, StepResult, ForwardResult, MachineLimits, Failure> result;
};

/// Messages of the engine's thread, and the bell that makes JavaScript's thread read them. The bell is rung once for
/// all the messages that are waiting.
class Mailbox {
 public:
  struct Content {
    std::vector<Completion> completions;
    std::map<uint64_t, std::pair<uint64_t, uint64_t>> progress;  ///< By call: bytes so far, and of all.
    bool finished = false;                                       ///< The engine is gone and its thread about to end.
  };

  /// Called on JavaScript's thread, before anything is posted.
  void SetBell(napi_threadsafe_function bell) { bell_ = bell; }

  // Called on the engine's threads.
  void Complete(Completion completion) {
    const std::lock_guard lock(mutex_);
    content_.completions.push_back(std::move(completion));
    Ring();
  }
  void Progress(uint64_t call, uint64_t now, uint64_t total) {
    const std::lock_guard lock(mutex_);
    auto& latest = content_.progress[call];
    latest = {std::max(latest.first, now), total};
    Ring();
  }
  void Finish() {
    const std::lock_guard lock(mutex_);
    content_.finished = true;
    Ring();
  }

  /// Called on JavaScript's thread.
  Content Take() {
    const std::lock_guard lock(mutex_);
    rung_ = false;
    return std::exchange(content_, {});
  }

 private:
  void Ring() {
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
