#include "addon/values.h"

#include <cmath>
#include <cstring>

#include "base/checked.h"

namespace atb::addon {
namespace {

/// A larger typed array is refused, because V8 ends the process when it cannot allocate a buffer.
constexpr size_t kMaxArrayBytes = size_t{1} << 32;

struct DTypeRow {
  DType dtype;
  napi_typedarray_type array;
  const char* array_name;
};

constexpr DTypeRow kDTypes[] = {
    {DType::kF32, napi_float32_array, "Float32Array"},   {DType::kF16, napi_uint16_array, "Uint16Array"},
    {DType::kBF16, napi_uint16_array, "Uint16Array"},    {DType::kI8, napi_int8_array, "Int8Array"},
    {DType::kU8, napi_uint8_array, "Uint8Array"},        {DType::kI32, napi_int32_array, "Int32Array"},
    {DType::kI64, napi_bigint64_array, "BigInt64Array"}, {DType::kE4M3, napi_uint8_array, "Uint8Array"},
    {DType::kE8M0, napi_uint8_array, "Uint8Array"},
};

const DTypeRow& RowOf(DType dtype) {
  for (const DTypeRow& row : kDTypes)
    if (row.dtype == dtype) return row;
  return kDTypes[0];
}

struct ArrayView {
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
};

/// Returns false when the value is not a typed array of a kind that this version of Node-API knows.
bool Look(const Napi::Value& value, ArrayView& view) {
  if (!value.IsTypedArray()) return false;
  napi_value buffer;
  size_t offset;
  return napi_get_typedarray_info(value.Env(), value, &view.type, &view.length, &view.data, &buffer, &offset) ==
         napi_ok;
}

std::string Describe(const Napi::Value& value) {
  switch (value.Type()) {
    case napi_undefined:
      return "nothing";
    case napi_null:
      return "null";
    case napi_boolean:
      return value.As<Napi::Boolean>().Value() ? "true" : "false";
    case napi_number: {
      char text[32];
      std::snprintf(text, sizeof text, "%.17g", value.As<Napi::Number>().DoubleValue());
      return text;
    }
    case napi_string: {
      char text[64];
      size_t bytes = 0;
      napi_get_value_string_utf8(value.Env(), value, text, sizeof text, &bytes);
      return '"' + std::string(text, bytes) + (bytes + 1 == sizeof text ? "...\"" : "\"");
    }
    case napi_function:
      return "a function";
    case napi_bigint:
      return "a bigint";
    case napi_object:
      if (value.IsArray()) return "an array of " + std::to_string(value.As<Napi::Array>().Length());
      if (ArrayView view; Look(value, view)) {
        for (const DTypeRow& row : kDTypes)
          if (row.array == view.type) return "a " + std::string(row.array_name) + " of " + std::to_string(view.length);
        return "another typed array";
      }
      return "an object";
    default:
      return "another value";
  }
}

template <typename T>
std::vector<T> ReadNumbers(const Napi::Value& value, const Where& where, napi_typedarray_type type,
                           const char* expected) {
  ArrayView view;
  if (!Look(value, view) || view.type != type) FailArgument(where, expected, value);
  const auto* values = static_cast<const T*>(view.data);
  return view.length == 0 ? std::vector<T>() : std::vector<T>(values, values + view.length);
}

}  // namespace

std::string Where::Text() const {
  const std::string outer = parent != nullptr ? parent->Text() : "";
  if (index >= 0) return outer + '[' + std::to_string(index) + ']';
  return outer.empty() ? std::string(key) : outer + '.' + std::string(key);
}

void FailArgument(const Where& where, std::string_view expected, const Napi::Value& found) {
  throw Error("NATIVE_ARGUMENT_INVALID",
              where.Text() + " must be " + std::string(expected) + ", found " + Describe(found));
}

std::string ReadString(const Napi::Value& value, const Where& where, uint32_t max_bytes) {
  size_t bytes = 0;
  if (!value.IsString() || napi_get_value_string_utf8(value.Env(), value, nullptr, 0, &bytes) != napi_ok)
    FailArgument(where, "a string", value);
  if (bytes > max_bytes) FailArgument(where, "a string of at most " + std::to_string(max_bytes) + " bytes", value);
  std::string text = value.As<Napi::String>().Utf8Value();
  if (text.find('\0') != std::string::npos) FailArgument(where, "a string without NUL", value);
  return text;
}

double ReadNumber(const Napi::Value& value, const Where& where) {
  if (!value.IsNumber()) FailArgument(where, "a number", value);
  return value.As<Napi::Number>().DoubleValue();
}

int64_t ReadInteger(const Napi::Value& value, const Where& where, int64_t min, int64_t max) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  // The comparison is one of doubles, because casting a double that does not fit an integer is undefined behaviour.
  if (!(number >= static_cast<double>(min) && number <= static_cast<double>(max)) || number != std::trunc(number))
    FailArgument(where, "an integer from " + std::to_string(min) + " to " + std::to_string(max), value);
  return static_cast<int64_t>(number);
}

bool ReadBool(const Napi::Value& value, const Where& where) {
  if (!value.IsBoolean()) FailArgument(where, "true or false", value);
  return value.As<Napi::Boolean>().Value();
}

Napi::Object ReadObject(const Napi::Value& value, const Where& where) {
  if (value.Type() != napi_object || value.IsArray()) FailArgument(where, "an object", value);
  return value.As<Napi::Object>();
}

Napi::Array ReadArray(const Napi::Value& value, const Where& where, uint32_t max_length) {
  if (!value.IsArray()) FailArgument(where, "an array", value);
  Napi::Array array = value.As<Napi::Array>();
  if (array.Length() > max_length) FailArgument(where, "an array of at most " + std::to_string(max_length), value);
  return array;
}

std::vector<std::string> ReadKeys(const Napi::Object& object, const Where& where, uint32_t max_keys) {
  napi_value names = nullptr;
  const auto filter = static_cast<napi_key_filter>(napi_key_enumerable | napi_key_skip_symbols);
  const napi_status status =
      napi_get_all_property_names(object.Env(), object, napi_key_own_only, filter, napi_key_numbers_to_strings, &names);
  if (status != napi_ok) throw Napi::Error::New(object.Env());
  return ReadStrings(Napi::Value(object.Env(), names), where, max_keys);
}

std::vector<std::string> ReadStrings(const Napi::Value& value, const Where& where, uint32_t max_length) {
  const Napi::Array array = ReadArray(value, where, max_length);
  const uint32_t length = array.Length();
  std::vector<std::string> strings;
  strings.reserve(length);
  for (uint32_t i = 0; i < length; ++i) strings.push_back(ReadString(array.Get(i), Where(where, i)));
  return strings;
}

DType ReadDType(const Napi::Value& value, const Where& where) {
  const std::string name = value.IsString() ? ReadString(value, where) : "";
  for (const DTypeRow& row : kDTypes)
    if (name == ToString(row.dtype)) return row.dtype;
  FailArgument(where, "a dtype (f32, f16, bf16, i8, u8, i32, i64)", value);
}

std::vector<int64_t> ReadShape(const Napi::Value& value, const Where& where) {
  const Napi::Array array = ReadArray(value, where, kMaxRank);
  const uint32_t rank = array.Length();
  std::vector<int64_t> shape;
  for (uint32_t i = 0; i < rank; ++i) shape.push_back(ReadInteger(array.Get(i), Where(where, i), 0, kMaxSafeInteger));
  return shape;
}

std::vector<uint8_t> ReadBytes(const Napi::Value& value, const Where& where) {
  return ReadNumbers<uint8_t>(value, where, napi_uint8_array, "a Uint8Array");
}

std::vector<int32_t> ReadInt32s(const Napi::Value& value, const Where& where) {
  return ReadNumbers<int32_t>(value, where, napi_int32_array, "an Int32Array");
}

std::vector<float> ReadFloat32s(const Napi::Value& value, const Where& where) {
  return ReadNumbers<float>(value, where, napi_float32_array, "a Float32Array");
}

JsTensor ReadTensor(const Napi::Value& value, const Where& where) {
  const Napi::Object object = ReadObject(value, where);
  const DType dtype = ReadDType(object.Get("dtype"), Where(where, "dtype"));
  const std::vector<int64_t> shape = ReadShape(object.Get("shape"), Where(where, "shape"));
  TensorDesc desc(dtype, {});
  desc.rank = static_cast<uint8_t>(shape.size());
  int64_t elements = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    desc.dims[i] = shape[i];
    elements = CheckedMul(elements, shape[i]);
  }
  const Napi::Value data = object.Get("data");
  const DTypeRow& row = RowOf(dtype);
  ArrayView view;
  if (!Look(data, view) || view.type != row.array) {
    throw Error("NATIVE_DTYPE_MISMATCH", where.Text() + ".data must be a " + row.array_name + " for " +
                                             ToString(dtype) + ", found " + Describe(data));
  }
  if (static_cast<uint64_t>(elements) != view.length) {
    throw Error("NATIVE_SHAPE_MISMATCH", where.Text() + ".data must have " + std::to_string(elements) +
                                             " elements for " + ToString(desc) + ", found " +
                                             std::to_string(view.length));
  }
  return {desc, data.As<Napi::TypedArray>()};
}

void CopyValues(const JsTensor& tensor, void* to, const Where& where) {
  ArrayView view;
  if (!Look(tensor.data, view) || view.length != static_cast<uint64_t>(tensor.desc.Elements()))
    throw Error("NATIVE_SHAPE_MISMATCH", where.Text() + ".data changed while it was read");
  if (view.length > 0) std::memcpy(to, view.data, tensor.desc.Bytes());
}

TensorBundle ReadTensors(const Napi::Value& value, const Where& where) {
  const Napi::Object object = ReadObject(value, where);
  std::vector<JsTensor> read;
  TensorBundle bundle;
  for (std::string& name : ReadKeys(object, where, kMaxTensors)) {
    const Napi::Value tensor = object.Get(name);
    // An input whose value is undefined counts as not given.
    if (tensor.IsUndefined()) continue;
    read.push_back(ReadTensor(tensor, Where(where, name)));
    bundle.Add(std::move(name), read.back().desc);
  }
  bundle.Allocate();
  for (size_t i = 0; i < read.size(); ++i) CopyValues(read[i], bundle[i].data, Where(where, bundle.tensors()[i].name));
  return bundle;
}

Napi::Value MakeError(Napi::Env env, const std::exception_ptr& failure) {
  const auto make = [env](const char* code, const char* message) {
    napi_value code_value, text, error;
    if (napi_create_string_utf8(env, code, NAPI_AUTO_LENGTH, &code_value) != napi_ok ||
        napi_create_string_utf8(env, message, NAPI_AUTO_LENGTH, &text) != napi_ok ||
        napi_create_error(env, code_value, text, &error) != napi_ok)
      throw Napi::Error::New(env);
    return Napi::Value(env, error);
  };
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return make(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return make("NATIVE_OUT_OF_MEMORY", "the system gives no more memory");
  } catch (const std::exception& error) {
    return make("NATIVE_INTERNAL", error.what());
  } catch (...) {
    return make("NATIVE_INTERNAL", "an exception of unknown type");
  }
}

Napi::Value MakeTensor(Napi::Env env, const Tensor& tensor) {
  const size_t bytes = tensor.desc.Bytes();
  if (bytes > kMaxArrayBytes)
    throw Error("NATIVE_OUT_OF_MEMORY", ToString(tensor.desc) + " is too large for a typed array");
  Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, bytes);
  if (bytes > 0) std::memcpy(buffer.Data(), tensor.data, bytes);
  napi_value data = nullptr;
  const auto elements = static_cast<size_t>(tensor.desc.Elements());
  if (napi_create_typedarray(env, RowOf(tensor.desc.dtype).array, elements, buffer, 0, &data) != napi_ok)
    throw Napi::Error::New(env);
  Napi::Array shape = Napi::Array::New(env, tensor.desc.rank);
  for (uint32_t i = 0; i < tensor.desc.rank; ++i)
    shape.Set(i, Napi::Number::New(env, static_cast<double>(tensor.desc.dims[i])));
  Napi::Object object = Napi::Object::New(env);
  object.Set("dtype", ToString(tensor.desc.dtype));
  object.Set("shape", shape);
  object.Set("data", Napi::Value(env, data));
  return object;
}

Napi::Value MakeTensors(Napi::Env env, const TensorBundle& tensors) {
  Napi::Object object = Napi::Object::New(env);
  for (const NamedTensor& named : tensors.tensors()) object.Set(named.name, MakeTensor(env, named.tensor));
  return object;
}

Napi::Value MakeInt32s(Napi::Env env, const int32_t* values, size_t count) {
  Napi::Int32Array array = Napi::Int32Array::New(env, count);
  if (count > 0) std::memcpy(array.Data(), values, count * sizeof(int32_t));
  return array;
}

}  // namespace atb::addon
