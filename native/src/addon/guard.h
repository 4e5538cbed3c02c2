#pragma once
#include <napi.h>

#include <exception>

#include "addon/values.h"

namespace atb::addon {

/// Calls `body`; what it throws becomes a JavaScript exception with a code. Everything that JavaScript calls goes
/// through here, because Node ends the process when a C++ exception reaches it.
template <typename Body>
Napi::Value Guard(Napi::Env env, Body&& body) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw Napi::Error(env, MakeError(env, std::current_exception()));
  }
}

/// Calls `body`, which returns a promise; when it throws instead, the result is a promise that rejects with that.
template <typename Body>
Napi::Value GuardPromise(Napi::Env env, Body&& body) {
  napi_value error;
  try {
    return body();
  } catch (const Napi::Error& thrown) {
    error = thrown.Value();
  } catch (...) {
    error = MakeError(env, std::current_exception());
  }
  const auto rejected = Napi::Promise::Deferred::New(env);
  rejected.Reject(error);
  return rejected.Promise();
}

}  // namespace atb::addon
