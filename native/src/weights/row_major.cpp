#include "weights/row_major.h"

#include <cstring>
#include <vector>

#include "base/error.h"
#include "kernels/pack.h"
#include "kernels/pack_integers.h"
#include "kernels/stack.h"

namespace atb {
namespace {

using kernels::PackedScales;
using kernels::PackedWeight;

void CopyWeight(const PackedWeight& weight, DType dtype, std::byte* to, ThreadPool& pool) {
  const bool pairs = kernels::HoldsPairs(weight.format);
  const int64_t row_bytes = pairs ? (weight.k + 1) / 2 : weight.k * static_cast<int64_t>(SizeOf(dtype));
  std::vector<std::vector<int8_t>> rows(pairs ? static_cast<size_t>(pool.threads()) : 0);
  for (std::vector<int8_t>& row : rows) row.resize(static_cast<size_t>(weight.k));
  pool.ParallelFor(weight.n, [&](int64_t row, int worker) {
    std::byte* at = to + row * row_bytes;
    if (pairs) {
      int8_t* integers = rows[static_cast<size_t>(worker)].data();
      kernels::UnpackIntegers(weight, row, integers);
      kernels::CompressInt4(integers, weight.k, at);
    } else if (kernels::HasScales(weight.format)) {
      kernels::UnpackIntegers(weight, row, reinterpret_cast<int8_t*>(at));
    } else {
      kernels::UnpackRow(weight, row, dtype, at);
    }
  });
}

}  // namespace

TensorDesc RowMajorDesc(const TensorDesc& desc) {
  if (desc.layout == Layout::kKeyCache || desc.layout == Layout::kValueCache)
    throw Error("NATIVE_LAYOUT_MISMATCH", ToString(desc) + " cannot be copied out of the engine");
  TensorDesc plain = desc;
  plain.layout = Layout::kRowMajor;
  return plain;
}

void CopyRowMajor(const Tensor& tensor, void* to, ThreadPool& pool) {
  const int64_t experts = tensor.desc.rank == 3 ? tensor.desc.dim(0) : 1;
  if (tensor.desc.layout == Layout::kPackedLinear) {
    const auto each = static_cast<int64_t>(tensor.desc.Bytes()) / experts;
    for (int64_t e = 0; e < experts; ++e) {
      const PackedWeight weight = kernels::ExpertOf(*tensor.As<const PackedWeight>(), e);
      CopyWeight(weight, tensor.desc.dtype, static_cast<std::byte*>(to) + e * each, pool);
    }
  } else if (tensor.desc.layout == Layout::kPackedScales) {
    for (int64_t e = 0; e < experts; ++e) {
      const PackedScales scales = kernels::ExpertOf(*tensor.As<const PackedScales>(), e);
      auto* const own = static_cast<float*>(to) + e * scales.n * scales.groups;
      pool.ParallelFor(scales.n, [&](int64_t row, int) {
        for (int64_t g = 0; g < scales.groups; ++g) own[row * scales.groups + g] = kernels::ScaleOf(scales, row, g);
      });
    }
  } else if (tensor.desc.Bytes() > 0) {
    std::memcpy(to, tensor.data, tensor.desc.Bytes());
  }
}

}  // namespace atb
