#include "tensor/tensor.h"

namespace atb {

const char* ToString(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "f32";
    case DType::kF16:
      return "f16";
    case DType::kBF16:
      return "bf16";
    case DType::kI8:
      return "i8";
    case DType::kU8:
      return "u8";
    case DType::kI32:
      return "i32";
    case DType::kI64:
      return "i64";
    case DType::kE4M3:
      return "e4m3";
    case DType::kE8M0:
      return "e8m0";
  }
  return "?";
}

std::string ToString(const TensorDesc& desc) {
  std::string text = ToString(desc.dtype);
  text += '[';
  for (int i = 0; i < desc.rank; ++i) {
    if (i > 0) text += ',';
    text += std::to_string(desc.dim(i));
  }
  text += ']';
  switch (desc.layout) {
    case Layout::kRowMajor:
      break;
    case Layout::kPackedLinear:
      return text + " (packed weight)";
    case Layout::kKeyCache:
      return text + " (key cache)";
    case Layout::kValueCache:
      return text + " (value cache)";
    case Layout::kPackedScales:
      return text + " (packed scales)";
  }
  return text;
}

}  // namespace atb
