#include "kernels/simd/yardstick.h"
#include "kernels/avx512/kernels.h"
#include "kernels/avx512/vec.h"

namespace atb::kernels::avx512 {

int64_t Yardstick(const void* memory) { return simd::Yardstick<Vec, 4>(memory); }

}  // namespace atb::kernels::avx512
