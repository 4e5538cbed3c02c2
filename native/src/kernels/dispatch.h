#pragma once
#include <span>
#include <string_view>

#include "kernels/kernel_table.h"

namespace atb::kernels {

/// The tables that this CPU and operating system can run, best first ("amx", "avx512", "avx2", "reference").
std::span<const KernelTable* const> Available();
/// The best table, or exactly the one named. Throws NATIVE_ISA_UNSUPPORTED, naming the choices.
const KernelTable& Select(std::string_view isa = {});

}  // namespace atb::kernels
