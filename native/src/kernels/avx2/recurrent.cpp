#include "kernels/avx2/kernels.h"
#include "kernels/avx2/vec.h"
#include "kernels/simd/recurrent.h"

namespace atb::kernels::avx2 {

void Recur(const RecurrentCall& call) { simd::Recur<Vec>(call); }
void Conv(const ConvCall& call) { simd::Conv<Vec>(call); }

}  // namespace atb::kernels::avx2
