#pragma once
// Kernel tables for tests of products with integers.
#include <vector>

#include "kernels/dispatch.h"

#ifdef ATB_AVX_VNNI_TWIN
namespace atb::kernels::avx_vnni_twin {
void Gemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* scratch);
}
#endif

namespace atb::kernels {

/// The tables that this machine can run, and of `avx_vnni`, where it has AVX-512's form of its instruction, that form.
inline const std::vector<const KernelTable*>& TestedTables() {
  static const std::vector<const KernelTable*> tables = [] {
    std::vector<const KernelTable*> found(Available().begin(), Available().end());
#ifdef ATB_AVX_VNNI_TWIN
    const KernelTable* avx2 = nullptr;
    bool has_form = false;
    for (const KernelTable* table : found) {
      if (table->isa == std::string_view("avx2")) avx2 = table;
      if (table->isa == std::string_view("avx512")) has_form = true;
    }
    if (avx2 && has_form) {
      static KernelTable twin = *avx2;
      twin.isa = "avx_vnni_twin";
      twin.gemm = avx_vnni_twin::Gemm;
      found.push_back(&twin);
    }
#endif
    return found;
  }();
  return tables;
}

}  // namespace atb::kernels
