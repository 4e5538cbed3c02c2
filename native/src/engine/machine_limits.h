#pragma once
#include <cstddef>
#include <span>

#include "base/thread_pool.h"
#include "kernels/kernel_table.h"

namespace atb {

/// The most that the machine gives to all threads together. Profiles and benchmarks compare speeds with it.
struct MachineLimits {
  double read_bytes_per_second;  ///< Streamed reading of memory.
  double flops;                  ///< Of products in the table's widest instructions, with operands in L2.
};

/// Fills memory with bf16 numbers of both signs around 0.01, because some instructions take longer for subnormal
/// numbers and infinities.
void FillOrdinary(std::span<std::byte> memory);
/// Reads `memory`, a whole number of megabytes, once. Returns bytes per second.
double ReadSpeed(std::span<const std::byte> memory, ThreadPool& pool);
/// Floating point operations per second of the table's yardstick on each thread. `memory`: kYardstickBytes at least,
/// and as many for each thread, so that no two threads share theirs.
double ProductSpeed(std::span<const std::byte> memory, ThreadPool& pool, const kernels::KernelTable& kernels);

/// Takes about half a second, and 512 MB of memory while it runs. Throws NATIVE_OUT_OF_MEMORY.
MachineLimits MeasureLimits(ThreadPool& pool, const kernels::KernelTable& kernels);

}  // namespace atb
