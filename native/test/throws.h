#pragma once
#include <cstdio>
#include <string>

#include "base/error.h"
#include "check.h"

namespace atb {

/// Checks that `f` throws an Error with this code.
template <typename F>
void CheckThrows(const char* code, F&& f) {
  try {
    f();
  } catch (const Error& error) {
    if (std::string(error.code()) != code) std::fprintf(stderr, "%s: %s\n", error.code(), error.what());
    CHECK(std::string(error.code()) == code);
    return;
  }
  std::fprintf(stderr, "expected %s\n", code);
  CHECK(!"thrown");
}

/// The error that f throws, as "CODE: message"; "nothing" when it throws none.
template <typename F>
std::string ErrorOf(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return std::string(error.code()) + ": " + error.what();
  }
  return "nothing";
}

/// Its code alone.
template <typename F>
std::string CodeOf(F&& f) {
  const std::string error = ErrorOf(f);
  return error.substr(0, error.find(':'));
}

}  // namespace atb
