#pragma once
#include <cstddef>
#include <span>

#include "base/thread_pool.h"
#include "kernels/kernel_table.h"

namespace atb {

/// What the machine gives at most, all threads together: the yardsticks of profiles and benchmarks.
struct MachineLimits {
  double read_bytes_per_second;  ///< Streamed reading of memory.
  double flops;                  ///< Products in the table's widest instructions, operands in L2.
};

/// Ordinary bf16 numbers of both signs around 0.01: on subnormals and infinities some instructions take longer.
void FillOrdinary(std::span<std::byte> memory);
/// Bytes per second of streamed reading of `memory`, whole megabytes, once.
double ReadSpeed(std::span<const std::byte> memory, ThreadPool& pool);
/// Floating point operations per second of the table's yardstick on each thread. `memory`: kYardstickBytes at least,
/// and as many for each thread, lest they share them.
double ProductSpeed(std::span<const std::byte> memory, ThreadPool& pool, const kernels::KernelTable& kernels);

/// Takes about half a second and 512 MB for its time. Throws NATIVE_OUT_OF_MEMORY.
MachineLimits MeasureLimits(ThreadPool& pool, const kernels::KernelTable& kernels);

}  // namespace atb
