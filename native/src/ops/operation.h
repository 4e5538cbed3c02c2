#pragma once
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

/// What an engine lends an operation while it runs. Passed, never looked up.
struct Context {
  const kernels::KernelTable& kernels;
  ThreadPool& pool;
  std::byte* workspace = nullptr;  ///< At least WorkspaceBytes() long, 64-byte aligned; contents undefined.
};

/// One ATB operation. Params are parsed when it is made; shapes are checked by InferShape; data that indexes memory
/// (ids, slots, block tables, lengths) is checked by Validate; so Execute cannot fail.
class Operation {
 public:
  virtual ~Operation() = default;
  virtual int NumInputs() const = 0;
  virtual int NumOutputs() const = 0;

  /// Writes the outputs' descriptions. Throws NATIVE_SHAPE_MISMATCH / NATIVE_DTYPE_MISMATCH naming what does not fit.
  /// Called at each step, so it must not allocate when it succeeds.
  virtual void InferShape(std::span<const TensorDesc> in, std::span<TensorDesc> out) const = 0;
  /// Scratch that Execute needs beside inputs and outputs, in bytes; monotonic in the inputs' sizes.
  virtual size_t WorkspaceBytes(std::span<const TensorDesc> /*in*/, int /*threads*/,
                                const kernels::KernelTable&) const {
    return 0;
  }
  /// Throws NATIVE_VALUE_OUT_OF_RANGE when data would lead Execute out of bounds.
  virtual void Validate(std::span<const Tensor> /*in*/) const {}
  /// Whether `output` may be given the very bytes of `input` (then of the same dtype and shape), as ATB does for caches
  /// and Rope. A graph that asks for it elsewhere is refused.
  virtual bool InPlace(int /*input*/, int /*output*/) const { return false; }
  /// Outputs alias inputs only where InPlace allows it.
  virtual void Execute(std::span<const Tensor> in, std::span<const Tensor> out, const Context& ctx) const noexcept = 0;
};

/// `type` is ATB's op type ("RmsNorm"). Throws NATIVE_OP_UNKNOWN or NATIVE_PARAM_INVALID.
std::unique_ptr<Operation> CreateOperation(std::string_view type, const ParamObject& param);
/// Every type that CreateOperation knows, sorted.
std::vector<std::string> SupportedOperations();

}  // namespace atb
