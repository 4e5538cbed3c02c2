#include "kernels/avx2/kernels.h"
#include "kernels/avx2/vec.h"
#include "kernels/simd/index_scores.h"

namespace atb::kernels::avx2 {

void IndexScores(const IndexCall& call) { simd::IndexScores<Vec, 4, 1>(call); }

}  // namespace atb::kernels::avx2
