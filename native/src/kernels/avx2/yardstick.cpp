#include "kernels/simd/yardstick.h"
#include "kernels/avx2/kernels.h"
#include "kernels/avx2/vec.h"

namespace atb::kernels::avx2 {

int64_t Yardstick(const void* memory) { return simd::Yardstick<Vec, 1>(memory); }

}  // namespace atb::kernels::avx2
