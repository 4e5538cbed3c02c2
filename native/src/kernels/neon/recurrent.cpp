#include "kernels/neon/kernels.h"
#include "kernels/neon/vec.h"
#include "kernels/simd/recurrent.h"

namespace atb::kernels::neon {

void Recur(const RecurrentCall& call) { simd::Recur<Vec>(call); }
void Conv(const ConvCall& call) { simd::Conv<Vec>(call); }

}  // namespace atb::kernels::neon
