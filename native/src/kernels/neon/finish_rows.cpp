#include "kernels/simd/finish_rows.h"
#include "kernels/neon/kernels.h"
#include "kernels/neon/vec.h"

namespace atb::kernels::neon {

simd::RowFinisher FinisherOf(const GemmCall& call) { return simd::FinisherFor<Vec>(call); }

}  // namespace atb::kernels::neon
