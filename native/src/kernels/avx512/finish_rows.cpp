#include "kernels/simd/finish_rows.h"
#include "kernels/avx512/kernels.h"
#include "kernels/avx512/vec.h"

namespace atb::kernels::avx512 {

simd::RowFinisher FinisherOf(const GemmCall& call) { return simd::FinisherFor<Vec>(call); }

}  // namespace atb::kernels::avx512
