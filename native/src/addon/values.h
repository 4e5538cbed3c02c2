#pragma once
#include <napi.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "engine/tensor_bundle.h"
#include "tensor/tensor.h"

namespace atb::addon {

/// Where a value stands among the arguments, for messages: built into text only when one is needed.
struct Where {
  const Where* parent = nullptr;
  std::string_view key;
  int64_t index = -1;

  Where(std::string_view name) : key(name) {}  // NOLINT(google-explicit-constructor)
  Where(const char* name) : key(name) {}       // NOLINT(google-explicit-constructor)
  Where(const Where& outer, std::string_view name) : parent(&outer), key(name) {}
  Where(const Where& outer, int64_t i) : parent(&outer), index(i) {}
  std::string Text() const;
};

// Readers of JavaScript values. Each throws atb::Error NATIVE_ARGUMENT_INVALID that says where, what was expected and
// what was found; none converts, and none trusts a cast. Getters and proxies may run JavaScript while they read.

constexpr uint32_t kMaxNameBytes = 1024;
constexpr uint32_t kMaxPathBytes = 32768;

[[noreturn]] void FailArgument(const Where& where, std::string_view expected, const Napi::Value& found);

std::string ReadString(const Napi::Value& value, const Where& where, uint32_t max_bytes = kMaxNameBytes);
double ReadNumber(const Napi::Value& value, const Where& where);
int64_t ReadInteger(const Napi::Value& value, const Where& where, int64_t min, int64_t max);
bool ReadBool(const Napi::Value& value, const Where& where);
/// Any object but an array or a function.
Napi::Object ReadObject(const Napi::Value& value, const Where& where);
Napi::Array ReadArray(const Napi::Value& value, const Where& where, uint32_t max_length);
/// The enumerable string keys that are the object's own.
std::vector<std::string> ReadKeys(const Napi::Object& object, const Where& where, uint32_t max_keys);
std::vector<std::string> ReadStrings(const Napi::Value& value, const Where& where, uint32_t max_length);
DType ReadDType(const Napi::Value& value, const Where& where);
std::vector<int64_t> ReadShape(const Napi::Value& value, const Where& where);
/// A copy of an Int32Array.
std::vector<int32_t> ReadInt32s(const Napi::Value& value, const Where& where);

/// A tensor of JavaScript: dtype, shape, and the typed array, checked against them.
struct JsTensor {
  TensorDesc desc;
  Napi::TypedArray data;
};
JsTensor ReadTensor(const Napi::Value& value, const Where& where);
/// Copies the values to `to`, after looking again whether the array still has them: JavaScript may have run since.
void CopyValues(const JsTensor& tensor, void* to, const Where& where);
/// A copy of all tensors of a record.
TensorBundle ReadTensors(const Napi::Value& value, const Where& where);

// The other direction.

/// An Error with `code`.
Napi::Value MakeError(Napi::Env env, const char* code, const std::string& message);
const char* DTypeName(DType dtype);
/// A copy of a row-major tensor, {dtype, shape, data}.
Napi::Value MakeTensor(Napi::Env env, const Tensor& tensor);
Napi::Value MakeTensors(Napi::Env env, const TensorBundle& tensors);
Napi::Value MakeInt32s(Napi::Env env, const int32_t* values, size_t count);

}  // namespace atb::addon
