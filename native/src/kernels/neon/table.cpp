#include "kernels/neon/table.h"
#include "kernels/tables.h"

namespace atb::kernels {

const KernelTable kNeon = neon::kTable;

}  // namespace atb::kernels
