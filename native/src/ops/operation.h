#pragma once
#include <array>
#include <cassert>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/kernel_table.h"
#include "ops/param.h"
#include "tensor/tensor.h"

namespace atb {

/// What an engine lends to an operation while it runs. It is passed as an argument; there is no global one.
struct Context {
  const kernels::KernelTable& kernels;
  ThreadPool& pool;
  std::byte* workspace = nullptr;  ///< At least WorkspaceBytes() long, 64-byte aligned; contents undefined.
};

/// The descriptions of an operation's inputs, copied without an allocation.
class InputDescs {
 public:
  explicit InputDescs(std::span<const Tensor> in) : count_(in.size()) {
    assert(count_ <= descs_.size());
    for (size_t i = 0; i < count_; ++i) descs_[i] = in[i].desc;
  }
  operator std::span<const TensorDesc>() const { return std::span(descs_).first(count_); }  // NOLINT

 private:
  std::array<TensorDesc, 16> descs_;
  size_t count_;
};

/// One ATB operation. Its params are parsed when it is made. InferShape checks shapes, and Validate checks data that
/// indexes memory: ids, slots, block tables, lengths. So Execute cannot fail.
class Operation {
 public:
  virtual ~Operation() = default;
  virtual int NumInputs() const = 0;
  virtual int NumOutputs() const = 0;

  /// Writes the outputs' descriptions. Throws NATIVE_SHAPE_MISMATCH / NATIVE_DTYPE_MISMATCH naming what does not fit.
  /// Called at each step, so it must not allocate when it succeeds.
  virtual void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const = 0;
  /// Bytes of working memory that Execute needs beside inputs and outputs. Larger inputs never need less.
  virtual size_t WorkspaceBytes(std::span<const TensorDesc> /*in*/, int /*threads*/,
                                const kernels::KernelTable&) const {
    return 0;
  }
  /// Throws NATIVE_VALUE_OUT_OF_RANGE when data would lead Execute out of bounds.
  virtual void Validate(std::span<const Tensor> /*in*/) const {}
  /// Whether `output` may have the same memory as `input`, which then has the same dtype and shape: ATB does so for
  /// caches and Rope. A graph that asks for it where this is false is refused.
  virtual bool InPlace(int /*input*/, int /*output*/) const { return false; }
  /// Outputs alias inputs only where InPlace allows it.
  virtual void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept = 0;
};

/// `type` is ATB's op type ("RmsNorm"). Throws NATIVE_OP_UNKNOWN or NATIVE_PARAM_INVALID.
std::unique_ptr<Operation> CreateOperation(std::string_view type, const ParamObject& param);
/// Every type that CreateOperation knows, sorted.
std::vector<std::string> SupportedOperations();

}  // namespace atb
