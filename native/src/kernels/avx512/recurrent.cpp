#include "kernels/avx512/kernels.h"
#include "kernels/avx512/vec.h"
#include "kernels/simd/recurrent.h"

namespace atb::kernels::avx512 {

void Recur(const RecurrentCall& call) { simd::Recur<Vec>(call); }
void Conv(const ConvCall& call) { simd::Conv<Vec>(call); }

}  // namespace atb::kernels::avx512
