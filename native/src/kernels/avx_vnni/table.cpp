#include "kernels/avx2/table.h"
#include "kernels/avx_vnni/kernels.h"
#include "kernels/tables.h"

namespace atb::kernels {
namespace {

constexpr KernelTable Table() {
  KernelTable table = avx2::kTable;
  table.isa = "avx_vnni";
  table.gemm = avx_vnni::Gemm;
  return table;
}

}  // namespace

constinit const KernelTable kAvxVnni = Table();

}  // namespace atb::kernels
