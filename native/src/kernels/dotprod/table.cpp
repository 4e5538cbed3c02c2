#include "kernels/dotprod/kernels.h"
#include "kernels/neon/table.h"
#include "kernels/tables.h"

namespace atb::kernels {
namespace {

constexpr KernelTable Table() {
  KernelTable table = neon::kTable;
  table.isa = "dotprod";
  table.sum_digits = dotprod::SumDigits;
  table.gemm = dotprod::Gemm;
  table.attend = dotprod::Attend;
  return table;
}

}  // namespace

constinit const KernelTable kDotprod = Table();

}  // namespace atb::kernels
