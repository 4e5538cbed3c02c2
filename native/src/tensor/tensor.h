#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "tensor/dtype.h"

namespace atb {

/// The largest rank that ATB has.
constexpr int kMaxRank = 8;

/// How the bytes of a tensor lie in memory. Shapes are always the logical ones.
enum class Layout : uint8_t {
  kRowMajor,      ///< Dense, the last dimension contiguous.
  kPackedLinear,  ///< `data` points to a kernels::PackedWeight: a linear's weight [n, k], repacked when it was loaded;
                  ///< of [experts, n, k] to that of the first one (kernels/stack.h).
  kKeyCache,      ///< [blocks, block_size, kv_heads, head_dim], stored per (block, head) as kernels/kv_layout.h says.
  kValueCache,    ///< The same for values.
  kPackedScales,  ///< `data` points to kernels::PackedScales: the scales [n, groups] of a packed weight's integers.
};

/// A dtype, a layout and a shape. It has a fixed size, so that copies allocate nothing.
struct TensorDesc {
  DType dtype = DType::kF32;
  Layout layout = Layout::kRowMajor;
  uint8_t rank = 0;
  std::array<int64_t, kMaxRank> dims{};

  TensorDesc() = default;
  TensorDesc(DType type, std::initializer_list<int64_t> shape) : dtype(type), rank(static_cast<uint8_t>(shape.size())) {
    size_t i = 0;
    for (int64_t d : shape) dims[i++] = d;
  }

  std::span<const int64_t> shape() const { return {dims.data(), rank}; }
  int64_t dim(int i) const { return dims[static_cast<size_t>(i < 0 ? rank + i : i)]; }
  int64_t Elements() const {
    int64_t n = 1;
    for (int64_t d : shape()) n *= d;
    return n;
  }
  /// Bytes of a row-major tensor of this description.
  size_t Bytes() const { return static_cast<size_t>(Elements()) * SizeOf(dtype); }
  bool SameShape(const TensorDesc& other) const {
    if (rank != other.rank) return false;
    for (int i = 0; i < rank; ++i)
      if (dim(i) != other.dim(i)) return false;
    return true;
  }
};

inline bool SameDesc(const TensorDesc& a, const TensorDesc& b) {
  return a.dtype == b.dtype && a.layout == b.layout && a.SameShape(b);
}

/// The text of a description in messages: "bf16[17,2048]".
std::string ToString(const TensorDesc& desc);

/// A description and the bytes that it describes, which belong to somebody else.
struct Tensor {
  TensorDesc desc;
  void* data = nullptr;

  template <typename T>
  T* As() const {
    return static_cast<T*>(data);
  }
};

/// Number `index` of an operation's tensors, or of their descriptions.
template <typename T>
const T& At(std::span<const T> tensors, int index) {
  return tensors[static_cast<size_t>(index)];
}

}  // namespace atb
