#pragma once
#include <cstdint>

#include "kernels/packed_weight.h"

namespace atb::kernels {

struct Place {
  int64_t panel;
  int64_t column;
};

/// Where row `row` of a matrix of n rows lies.
inline Place PlaceOf(int64_t n, bool interleaved, int64_t row) {
  const int64_t rows = interleaved ? n / 2 : n;
  const int64_t panel = row % rows / kPanelColumns;
  return {interleaved ? 2 * panel + row / rows : panel, row % rows % kPanelColumns};
}

}  // namespace atb::kernels
