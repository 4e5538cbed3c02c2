#include "kernels/avx512/kernels.h"
#include "kernels/avx512/vec.h"
#include "kernels/simd/index_scores.h"

namespace atb::kernels::avx512 {

void IndexScores(const IndexCall& call) { simd::IndexScores<Vec, 8, 2>(call); }

}  // namespace atb::kernels::avx512
