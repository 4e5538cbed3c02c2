#include "kernels/avx2/table.h"
#include "kernels/tables.h"

namespace atb::kernels {

constinit const KernelTable kAvx2 = avx2::kTable;

}  // namespace atb::kernels
