#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/thread_pool.h"
#include "check.h"
#include "kernels/dispatch.h"
#include "ops/operation.h"

namespace atb::test {

/// Runs one operation as an engine does, on a workspace of the bytes that it asks for, full of NaN and between guards.
inline void Run(const Operation& op, const std::vector<Tensor>& in, const std::vector<Tensor>& out,
                const kernels::KernelTable& kernels, ThreadPool& pool) {
  CHECK(op.NumInputs() == static_cast<int>(in.size()) && op.NumOutputs() == static_cast<int>(out.size()));
  std::vector<TensorDesc> descs, results(out.size());
  for (const Tensor& t : in) descs.push_back(t.desc);
  op.InferShape(descs, results);
  for (size_t i = 0; i < out.size(); ++i) CHECK(SameDesc(results[i], out[i].desc));
  constexpr size_t kGuard = 64;
  const size_t bytes = op.WorkspaceBytes(descs, pool.threads(), kernels);
  std::vector<std::byte> memory(bytes + 3 * kGuard, std::byte{0xFF});
  std::byte* const end = memory.data() + memory.size();
  std::byte* const workspace = memory.data() + 2 * kGuard - reinterpret_cast<uintptr_t>(memory.data()) % kGuard;
  op.Validate(in);
  op.Execute(in, out, {kernels, pool, workspace});
  const auto untouched = [](std::byte byte) { return byte == std::byte{0xFF}; };
  CHECK(std::all_of(memory.data(), workspace, untouched) && std::all_of(workspace + bytes, end, untouched));
}

}  // namespace atb::test
