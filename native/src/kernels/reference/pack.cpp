#include <cstring>

#include "kernels/reference/kernels.h"

namespace atb::kernels::reference {

void PackLines(const void* rows, int64_t row_stride, int64_t units, void* out) {
  const auto* from = static_cast<const char*>(rows);
  auto* to = static_cast<char*>(out);
  for (int64_t i = 0; i < units; ++i) {
    for (int64_t c = 0; c < kPanelColumns; ++c)
      std::memcpy(to + (i * kPanelColumns + c) * 4, from + c * row_stride + i * 4, 4);
  }
}

}  // namespace atb::kernels::reference
