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
/// An operation reads each key with its default. A key that it does not read is an error (see ParamReader).
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

/// The most heads that a param may name.
constexpr int64_t kMostHeads = 1 << 16;

/// The text of a value in messages: `0.5`, `"ACL_BF16"`, `[1,2]`.
std::string ToString(const Param& param);

/// Reads one param object of one operation. Wrong types, unknown enum strings and numbers out of range throw
/// NATIVE_PARAM_INVALID, which names the operation, the key, what was expected and what was found. Done() throws it for
/// a key that was never read.
/// The object must outlive the reader.
class ParamReader {
 public:
  ParamReader(std::string op, const ParamObject& object) : op_(std::move(op)), object_(object) {}

  bool Bool(std::string_view key, bool fallback);
  /// A number that is finite and fits f32.
  double Number(std::string_view key, double fallback);
  int64_t Int(std::string_view key, int64_t fallback, int64_t min, int64_t max);
  /// Of a key that must be there.
  int64_t RequiredInt(std::string_view key, int64_t min, int64_t max);
  /// The result is empty when the key is absent.
  std::vector<int64_t> Ints(std::string_view key);
  std::vector<double> Numbers(std::string_view key);
  /// Index of the string among `names`; the fallback is an index too.
  int Enum(std::string_view key, std::initializer_list<std::string_view> names, int fallback);
  /// A reader of a nested block, which needs a Done() of its own. It reads an empty block when the key is absent.
  ParamReader Object(std::string_view key);
  /// Requires that the key is absent or holds this value, because nothing else is implemented.
  void Require(std::string_view key, const Param& value);
  void Done() const;
  /// For rules that concern several keys. Throws NATIVE_PARAM_INVALID, "<op>: <key> must be <expected>, found <value>".
  [[noreturn]] void Fail(std::string_view key, const std::string& expected) const;

 private:
  const Param* Find(std::string_view key);

  std::string op_;
  const ParamObject& object_;
  std::vector<std::string> read_;
};

}  // namespace atb
