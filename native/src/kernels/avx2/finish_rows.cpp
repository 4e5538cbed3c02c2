#include "kernels/simd/finish_rows.h"
#include "kernels/avx2/kernels.h"
#include "kernels/avx2/vec.h"

namespace atb::kernels::avx2 {

simd::RowFinisher FinisherOf(const GemmCall& call) { return simd::FinisherFor<Vec>(call); }

}  // namespace atb::kernels::avx2
