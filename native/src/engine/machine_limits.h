#pragma once
#include "base/thread_pool.h"
#include "kernels/kernel_table.h"

namespace atb {

/// What the machine gives at most, all threads together: the yardsticks of profiles and benchmarks.
struct MachineLimits {
  double read_bytes_per_second;  ///< Streamed reading of memory.
  double flops;                  ///< Products in the table's widest instructions, operands in L2.
};

/// Takes about half a second and 512 MB for its time. Throws NATIVE_OUT_OF_MEMORY.
MachineLimits MeasureLimits(ThreadPool& pool, const kernels::KernelTable& kernels);

}  // namespace atb
