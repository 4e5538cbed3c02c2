#include "kernels/neon/kernels.h"
#include "kernels/neon/vec.h"
#include "kernels/simd/index_scores.h"

namespace atb::kernels::neon {

void IndexScores(const IndexCall& call) { simd::IndexScores<Vec, 4, 1>(call); }

}  // namespace atb::kernels::neon
