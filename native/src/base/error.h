#pragma once
#include <exception>
#include <string>

namespace atb {

/// A failure with a code that TypeScript can branch on (NATIVE_...). It is thrown while input is parsed, planned, bound
/// or validated, and never from Execute or a kernel.
class Error : public std::exception {
 public:
  Error(const char* code, std::string detail) : code_(code), detail_(std::move(detail)) {}
  const char* code() const noexcept { return code_; }
  const char* what() const noexcept override { return detail_.c_str(); }

 private:
  const char* code_;
  std::string detail_;
};

}  // namespace atb
