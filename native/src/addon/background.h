#pragma once
#include <napi.h>

#include <exception>
#include <functional>
#include <utility>

#include "addon/values.h"

namespace atb::addon {

/// Runs `work` on a thread of libuv's, then `finish` on JavaScript's, and settles a promise with what that returns.
class Background : public Napi::AsyncWorker {
 public:
  using Work = std::function<void()>;
  using Finish = std::function<Napi::Value(Napi::Env)>;

  static Napi::Value Start(Napi::Env env, Work work, Finish finish) {
    auto* background = new Background(env, std::move(work), std::move(finish));
    const Napi::Value promise = background->deferred_.Promise();
    background->Queue();
    return promise;
  }

 private:
  Background(Napi::Env env, Work work, Finish finish)
      : AsyncWorker(env), deferred_(env), work_(std::move(work)), finish_(std::move(finish)) {}

  void Execute() override {
    try {
      work_();
    } catch (...) {
      failure_ = std::current_exception();
    }
  }
  void OnOK() override {
    const Napi::HandleScope scope(Env());
    try {
      if (failure_) std::rethrow_exception(failure_);
      deferred_.Resolve(finish_(Env()));
    } catch (const Napi::Error& error) {
      deferred_.Reject(error.Value());
    } catch (...) {
      deferred_.Reject(MakeError(Env(), std::current_exception()));
    }
  }

  Napi::Promise::Deferred deferred_;
  Work work_;
  Finish finish_;
  std::exception_ptr failure_;
};

}  // namespace atb::addon
