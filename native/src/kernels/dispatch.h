#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "kernels/kernel_table.h"

namespace atb::kernels {

/// The tables of this build that this CPU and operating system can run, best first ("amx", "avx512", "avx2" or "dotprod",
/// "neon"; then "reference").
std::span<const KernelTable* const> Available();
/// A table, and what this machine lacks for it: features of the CPU, or what the operating system must save or grant.
struct TableState {
  std::string_view isa;
  std::vector<std::string_view> missing;
  /// Whether this build has it.
  bool is_built;
};
/// Every table for this kind of CPU, best first.
std::vector<TableState> States();
/// The best table, or exactly the one named. Throws NATIVE_ISA_UNSUPPORTED, naming the choices.
const KernelTable& Select(std::string_view isa = {});

}  // namespace atb::kernels
