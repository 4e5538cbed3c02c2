#pragma once
#include <napi.h>

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "engine/tensor_bundle.h"
#include "tensor/tensor.h"

namespace atb::addon {

/// The largest integer up to which all of JavaScript's numbers are exact.
constexpr int64_t kMaxSafeInteger = (int64_t{1} << 53) - 1;
/// Of a graph, and of what one call is given.
constexpr uint32_t kMaxTensors = 1 << 16;

/// Where a value stands among the arguments ("options.caches[2].key"). It becomes text only when a message needs it.
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

// Readers of JavaScript values. Each throws NATIVE_ARGUMENT_INVALID, which says where the value stands, what was
// expected and what was found. None converts a value, and each checks a value's type before it casts. Reading may run
// JavaScript: getters and proxies.

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
/// The enumerable string keys of the object, without inherited ones.
std::vector<std::string> ReadKeys(const Napi::Object& object, const Where& where, uint32_t max_keys);
std::vector<std::string> ReadStrings(const Napi::Value& value, const Where& where, uint32_t max_length);
DType ReadDType(const Napi::Value& value, const Where& where);
std::vector<int64_t> ReadShape(const Napi::Value& value, const Where& where);
/// A copy of a Uint8Array.
std::vector<uint8_t> ReadBytes(const Napi::Value& value, const Where& where);
/// A copy of an Int32Array.
std::vector<int32_t> ReadInt32s(const Napi::Value& value, const Where& where);
/// A copy of a Float32Array.
std::vector<float> ReadFloat32s(const Napi::Value& value, const Where& where);

/// A tensor of JavaScript: dtype and shape, and a typed array that was checked against both.
struct JsTensor {
  TensorDesc desc;
  Napi::TypedArray data;
};
JsTensor ReadTensor(const Napi::Value& value, const Where& where);
/// Copies the values to `to`. Looks first whether the array still has them, since JavaScript may have run in between.
void CopyValues(const JsTensor& tensor, void* to, const Where& where);
/// A copy of all tensors of a record.
TensorBundle ReadTensors(const Napi::Value& value, const Where& where);

// Makers of JavaScript values.

/// An Error with `code`: that of an atb::Error, NATIVE_OUT_OF_MEMORY, or NATIVE_INTERNAL for what nobody expected.
/// Takes no memory but JavaScript's.
Napi::Value MakeError(Napi::Env env, const std::exception_ptr& failure);
/// A copy of a row-major tensor, {dtype, shape, data}.
Napi::Value MakeTensor(Napi::Env env, const Tensor& tensor);
Napi::Value MakeTensors(Napi::Env env, const TensorBundle& tensors);
Napi::Value MakeInt32s(Napi::Env env, const int32_t* values, size_t count);

}  // namespace atb::addon
