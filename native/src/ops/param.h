#pragma once
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace atb {

class Param;
using ParamObject = std::map<std::string, Param, std::less<>>;

/// An ATB operation param as plain data: the JSON object of ATB's BaseOperation dialect, already parsed.
/// Readers name each key with its default; keys that nobody reads are errors (see ParamReader).
class Param {
 public:
  using Value =
      std::variant<std::monostate, bool, double, std::string, std::vector<double>, std::shared_ptr<ParamObject>>;
  Param() = default;
  template <typename T>
  Param(T value) : value_(std::move(value)) {}                // NOLINT(google-explicit-constructor)
  Param(const char* text) : value_(std::string(text)) {}      // NOLINT(google-explicit-constructor)
  Param(int number) : value_(static_cast<double>(number)) {}  // NOLINT(google-explicit-constructor)
  Param(ParamObject object) : value_(std::make_shared<ParamObject>(std::move(object))) {}  // NOLINT
  const Value& value() const { return value_; }

 private:
  Value value_;
};

/// "0.5", "\"ACL_BF16\"", "[1,2]": a value for messages.
std::string ToString(const Param& param);

/// Reads one param object of one operation. Wrong types, unknown enum strings and out-of-range numbers throw
/// NATIVE_PARAM_INVALID naming operation, key, what was expected and found; Done() throws it for keys never read.
/// The object must outlive the reader.
class ParamReader {
 public:
  ParamReader(std::string op, const ParamObject& object) : op_(std::move(op)), object_(object) {}

  bool Bool(std::string_view key, bool fallback);
  /// Finite, and within f32.
  double Number(std::string_view key, double fallback);
  int64_t Int(std::string_view key, int64_t fallback, int64_t min, int64_t max);
  /// Empty when absent.
  std::vector<int64_t> Ints(std::string_view key);
  std::vector<double> Numbers(std::string_view key);
  /// Index of the string among `names`; the fallback is an index too.
  int Enum(std::string_view key, std::initializer_list<std::string_view> names, int fallback);
  /// A nested block, to be Done() on its own; an empty reader when absent.
  ParamReader Object(std::string_view key);
  /// A key that must hold this value when present, because nothing else is implemented.
  void Require(std::string_view key, const Param& value);
  void Done() const;
  /// For rules that tie keys together: throws NATIVE_PARAM_INVALID, "<op>: <key> must be <expected>, found <value>".
  [[noreturn]] void Fail(std::string_view key, const std::string& expected) const;

 private:
  const Param* Find(std::string_view key);

  std::string op_;
  const ParamObject& object_;
  std::vector<std::string> read_;
};

}  // namespace atb
