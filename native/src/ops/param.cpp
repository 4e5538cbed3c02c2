#include "ops/param.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdio>

#include "base/error.h"

namespace atb {
namespace {

/// The largest integer up to which a double holds every integer.
constexpr double kMaxInteger = 9007199254740992.0;

bool IsInteger(double number) { return std::fabs(number) <= kMaxInteger && number == std::floor(number); }

std::string NumberText(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", number);
  return text;
}

std::string RangeText(int64_t min, int64_t max) {
  return "an integer from " + std::to_string(min) + " to " + std::to_string(max);
}

const ParamObject kEmpty;

}  // namespace

std::string ToString(const Param& param) {
  struct Printer {
    std::string operator()(std::monostate) const { return "nothing"; }
    std::string operator()(bool value) const { return value ? "true" : "false"; }
    std::string operator()(double value) const { return NumberText(value); }
    std::string operator()(const std::string& value) const { return '"' + value.substr(0, 100) + '"'; }
    std::string operator()(const std::vector<double>& values) const {
      std::string text = "[";
      for (size_t i = 0; i < values.size() && i < 16; ++i) {
        if (i > 0) text += ',';
        text += NumberText(values[i]);
      }
      return text + (values.size() > 16 ? ",...]" : "]");
    }
    std::string operator()(const std::shared_ptr<ParamObject>&) const { return "an object"; }
  };
  return std::visit(Printer{}, param.value());
}

const Param* ParamReader::Find(std::string_view key) {
  read_.emplace_back(key);
  const auto found = object_.find(key);
  return found == object_.end() ? nullptr : &found->second;
}

void ParamReader::Fail(std::string_view key, const std::string& expected) const {
  const auto found = object_.find(key);
  const std::string value = found == object_.end() ? "nothing" : ToString(found->second);
  throw Error("NATIVE_PARAM_INVALID", op_ + ": " + std::string(key) + " must be " + expected + ", found " + value);
}

bool ParamReader::Bool(std::string_view key, bool fallback) {
  const Param* param = Find(key);
  if (!param) return fallback;
  if (const bool* value = std::get_if<bool>(&param->value())) return *value;
  Fail(key, "true or false");
}

double ParamReader::Number(std::string_view key, double fallback) {
  const Param* param = Find(key);
  if (!param) return fallback;
  if (const double* value = std::get_if<double>(&param->value()); value && std::fabs(*value) <= FLT_MAX) return *value;
  Fail(key, "a finite number");
}

int64_t ParamReader::Int(std::string_view key, int64_t fallback, int64_t min, int64_t max) {
  if (object_.contains(key)) return RequiredInt(key, min, max);
  read_.emplace_back(key);
  return fallback;
}

int64_t ParamReader::RequiredInt(std::string_view key, int64_t min, int64_t max) {
  const Param* param = Find(key);
  if (!param) Fail(key, RangeText(min, max));
  if (const double* value = std::get_if<double>(&param->value()); value && IsInteger(*value))
    if (const auto integer = static_cast<int64_t>(*value); integer >= min && integer <= max) return integer;
  Fail(key, RangeText(min, max));
}

std::vector<double> ParamReader::Numbers(std::string_view key) {
  const Param* param = Find(key);
  if (!param) return {};
  const auto* values = std::get_if<std::vector<double>>(&param->value());
  if (!values || !std::ranges::all_of(*values, [](double v) { return std::fabs(v) <= FLT_MAX; }))
    Fail(key, "a list of finite numbers");
  return *values;
}

std::vector<int64_t> ParamReader::Ints(std::string_view key) {
  const std::vector<double> values = Numbers(key);
  if (!std::ranges::all_of(values, IsInteger)) Fail(key, "a list of integers");
  return {values.begin(), values.end()};
}

int ParamReader::Enum(std::string_view key, std::initializer_list<std::string_view> names, int fallback) {
  const Param* param = Find(key);
  if (!param) return fallback;
  if (const auto* value = std::get_if<std::string>(&param->value())) {
    const auto found = std::ranges::find(names, std::string_view(*value));
    if (found != names.end()) return static_cast<int>(found - names.begin());
  }
  std::string choices;
  for (std::string_view name : names) choices += (choices.empty() ? "" : ", ") + std::string(name);
  Fail(key, (names.size() > 1 ? "one of " : "") + choices);
}

ParamReader ParamReader::Object(std::string_view key) {
  const Param* param = Find(key);
  const std::string name = op_ + "." + std::string(key);
  if (!param) return {name, kEmpty};
  if (const auto* value = std::get_if<std::shared_ptr<ParamObject>>(&param->value()); value && *value)
    return {name, **value};
  Fail(key, "an object");
}

void ParamReader::Require(std::string_view key, const Param& value) {
  const Param* param = Find(key);
  if (param && ToString(*param) != ToString(value)) Fail(key, ToString(value) + " (nothing else is implemented here)");
}

void ParamReader::Done() const {
  for (const auto& [key, value] : object_) {
    if (std::ranges::find(read_, key) != read_.end()) continue;
    std::string known;
    for (const std::string& name : read_) known += (known.empty() ? "" : ", ") + name;
    throw Error("NATIVE_PARAM_INVALID", op_ + ": unknown key \"" + key + "\" (" + ToString(value) +
                                            "); known here: " + (known.empty() ? "none" : known));
  }
}

}  // namespace atb
