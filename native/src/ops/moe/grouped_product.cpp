#include "ops/moe/grouped_product.h"

#include <algorithm>
#include <cstring>

#include "base/align.h"
#include "base/checked.h"
#include "kernels/pack.h"
#include "kernels/pack_integers.h"
#include "ops/elementwise/cast.h"
#include "ops/elementwise/static_quant.h"
#include "ops/linear/integer_activations.h"
#include "ops/linear/pieces.h"
#include "ops/linear/widened.h"
#include "ops/rows.h"

namespace atb {
namespace {

using kernels::GemmCall;
using kernels::PackedWeight;

/// How the product of one expert is cut, and the number of its first piece among those of all experts.
struct Cut {
  int64_t first;
  int64_t panel_pieces;
  Piece piece;
};

constexpr auto kFloat = static_cast<int64_t>(sizeof(float));

/// A row of k channels in another order, and as int8.
int64_t ChangedBytes(int64_t k, size_t size) {
  return CheckedAdd(Align(CheckedMul(k, static_cast<int64_t>(size))), Align(k));
}

/// A thread's memory for panels that become floats.
int64_t WidenedOf(const PackedWeight& weight) {
  return kernels::IsWidened(weight) ? static_cast<int64_t>(WidenedBytes(weight.k)) : 0;
}

/// The work of a call, with its workspace.
class Groups {
 public:
  Groups(const GroupedCall& call, const kernels::KernelTable& kernels, int threads, std::byte* workspace)
      : call_(call),
        kernels_(kernels),
        weight_(call.experts->first),
        is_integer_(kernels::TakesDigits(weight_)),
        shares_row_(call.x_count == 1 && call.x_rows != nullptr && std::ssize(call.groups) == call.each.m &&
                    call.inputs.channels == nullptr && call.inputs.scales == nullptr),
        size_(SizeOf(kernels::HasScales(weight_.format) ? call.each.x_dtype : kernels::DTypeOf(weight_.format))),
        row_bytes_(is_integer_ ? DigitBytes(weight_.k, call.each.planes) : weight_.k * static_cast<int64_t>(size_)),
        scratch_(workspace),
        cuts_(reinterpret_cast<Cut*>(workspace + MultiplyBytes(threads, kernels))),
        rows_(reinterpret_cast<std::byte*>(cuts_) + Align(call.groups.size() * sizeof(Cut))),
        scales_(reinterpret_cast<float*>(rows_ + Align(call.each.m * row_bytes_))),
        sums_(scales_ + Align(call.each.m * kFloat) / kFloat),
        sums_of_row_(kernels::WantsSums(weight_) ? kernels::GroupsOf(weight_.k, weight_.group) : 0),
        changed_(reinterpret_cast<std::byte*>(sums_) + Align(call.each.m * sums_of_row_ * kFloat)),
        widened_(changed_ + threads * ChangedBytes(weight_.k, size_)),
        biases_(reinterpret_cast<float*>(widened_ + threads * WidenedOf(weight_))) {}

  void Run(ThreadPool& pool) {
    MakeRows(pool);
    int64_t pieces = 0, most = INT64_MAX;
    for (size_t g = 0; g < call_.groups.size(); ++g) {
      const MultiplyCall own = CallOf(call_.groups[g], weight_);
      const Piece piece = CutPieces(own, kernels_, pool.threads());
      const int64_t panel_pieces = CeilDiv(weight_.panels, piece.panels);
      cuts_[g] = {pieces, panel_pieces, piece};
      pieces += CeilDiv(own.m, piece.rows) * panel_pieces;
      most = std::min(most, piece.most);
    }
    pool.ParallelRanges(pieces, std::max<int64_t>(1, most), [&](int64_t begin, int64_t end, int worker) {
      const Cut* const cuts = cuts_;
      const Cut* const last = cuts + call_.groups.size();
      const Cut* cut = std::upper_bound(cuts, last, begin, [](int64_t at, const Cut& c) { return at < c.first; }) - 1;
      for (; begin < end; ++cut) {
        const int64_t stop = std::min(end, cut + 1 == last ? end : cut[1].first);
        RunGroup(static_cast<size_t>(cut - cuts_), begin - cut->first, stop - cut->first, worker);
        begin = stop;
      }
    });
  }

 private:
  /// The product of an expert's rows.
  MultiplyCall CallOf(const ExpertRows& group, const PackedWeight& weight) const {
    MultiplyCall own = call_.each;
    own.weight = &weight;
    own.m = group.count;
    if (own.x_scales) own.x_scales += group.first;
    if (call_.inputs.scales) own.x_dtype = DType::kI8;
    return own;
  }

  const std::byte* SourceRow(int64_t sorted) const {
    const int64_t row = call_.x_rows ? call_.x_rows[sorted] : sorted;
    return static_cast<const std::byte*>(call_.each.x) + row * call_.each.x_stride * static_cast<int64_t>(size_);
  }

  /// Rows of floats that lie in order already, or are alone, are taken as they are.
  bool IsTaken(const ExpertRows& group) const {
    return call_.inputs.channels == nullptr && (call_.x_rows == nullptr || group.count == 1);
  }

  /// A sorted row as its expert wants it: as it lies, or in the worker's memory.
  const std::byte* RowFor(int64_t expert, int64_t sorted, int worker) const {
    const std::byte* row = SourceRow(sorted);
    std::byte* const own = changed_ + worker * ChangedBytes(weight_.k, size_);
    if (call_.inputs.channels) {
      const int32_t* const channels = call_.inputs.channels + expert * weight_.k;
      size_ == 4 ? Reorder<uint32_t>(row, channels, own) : Reorder<uint16_t>(row, channels, own);
      row = own;
    }
    if (call_.inputs.scales) row = Quantize(row, expert, own + Align(weight_.k * static_cast<int64_t>(size_)));
    return row;
  }

  template <class Element>
  void Reorder(const std::byte* row, const int32_t* channels, std::byte* to) const {
    const auto* from = reinterpret_cast<const Element*>(row);
    for (int64_t i = 0; i < weight_.k; ++i) {
      const auto channel = static_cast<uint32_t>(channels[i]);
      reinterpret_cast<Element*>(to)[i] = channel < static_cast<uint64_t>(weight_.k) ? from[channel] : Element{0};
    }
  }

  const std::byte* Quantize(const std::byte* row, int64_t expert, std::byte* to) const {
    const Tensor x{TensorDesc(call_.each.x_dtype, {weight_.k}), const_cast<std::byte*>(row)};
    const float scale = QuantNumber(*call_.inputs.scales, expert);
    const float offset = QuantNumber(*call_.inputs.offsets, expert);
    ForBlocks(weight_.k, [&](int64_t start, int64_t n) {
      float buffer[kBlockElements];
      const float* const numbers = LoadFloats(kernels_, x, start, n, buffer);
      auto* const integers = reinterpret_cast<int8_t*>(to) + start;
      for (int64_t i = 0; i < n; ++i) integers[i] = QuantizeStatically(numbers[i], scale, offset);
    });
    return to;
  }

  /// What is added to the sums of an expert, as it is added to them when they are scaled.
  void ScaleSumBias(int64_t g) const {
    const int64_t expert = call_.groups[static_cast<size_t>(g)].expert;
    const PackedWeight weight = (*call_.experts)(expert);
    const int32_t* const integers = call_.inputs.sum_bias + expert * weight.n;
    float* const to = biases_ + g * weight.n;
    for (int64_t i = 0; i < weight.n; ++i) to[i] = static_cast<float>(integers[i]) * weight.scales[i];
  }

  /// Brings each expert's rows together: numbers, or the digits that they are for integers.
  void MakeRows(ThreadPool& pool) {
    const int64_t k = weight_.k;
    if (is_integer_ && shares_row_) {
      MakeIntegers(CallOf({0, 0, 1}, weight_), SourceRow(0), 0, 0);
      return;
    }
    const auto make = [&](int64_t g, int worker) {
      const ExpertRows& group = call_.groups[static_cast<size_t>(g)];
      const auto row = [&](int64_t r) { return RowFor(group.expert, group.first + r, worker); };
      if (call_.inputs.sum_bias) ScaleSumBias(g);
      if (is_integer_) {
        const MultiplyCall own = CallOf(group, weight_);
        for (int64_t r = 0; r < group.count; ++r) MakeIntegers(own, row(r), group.first, r);
      } else if (!IsTaken(group)) {
        std::byte* const to = rows_ + group.first * row_bytes_;
        for (int64_t r = 0; r < group.count; ++r)
          std::memcpy(to + r * row_bytes_, row(r), static_cast<size_t>(row_bytes_));
      }
    };
    const auto count = static_cast<int64_t>(call_.groups.size());
    if (call_.each.m * k > kPieceElements) return pool.ParallelFor(count, make);
    for (int64_t g = 0; g < count; ++g) make(g, 0);
  }

  /// Row `row` of a product whose first sorted row is `first`, as digits, and what offsets of int8 want of it.
  void MakeIntegers(const MultiplyCall& own, const std::byte* x, int64_t first, int64_t row) const {
    std::byte* const to = rows_ + first * row_bytes_;
    MakeDigits(own, kernels_, x, row, to, scales_ + first);
    if (sums_of_row_ != 0) SumDigits(own, kernels_, row, to, SumsOf(first + row));
  }

  float* SumsOf(int64_t sorted) const { return sums_of_row_ ? sums_ + sorted * sums_of_row_ : nullptr; }

  /// Pieces [begin, end) of an expert's own.
  void RunGroup(size_t g, int64_t begin, int64_t end, int worker) const {
    const ExpertRows& group = call_.groups[g];
    const Cut& cut = cuts_[g];
    const PackedWeight weight = (*call_.experts)(group.expert);
    const MultiplyCall own = CallOf(group, weight);
    GemmCall product = KernelCall(own);
    const auto bytes_of = [](DType dtype) { return static_cast<int64_t>(SizeOf(dtype)); };
    if (is_integer_) {
      const int64_t first = shares_row_ ? 0 : group.first;
      product.digits = {reinterpret_cast<const int8_t*>(rows_ + first * row_bytes_), own.planes, scales_ + first,
                        SumsOf(first)};
    } else if (IsTaken(group)) {
      product.x = SourceRow(group.first);
    } else {
      product.x = rows_ + group.first * row_bytes_;
      product.x_stride = weight.k;
    }
    if (call_.inputs.sum_bias) {
      product.bias = biases_ + static_cast<int64_t>(g) * weight.n;
      product.bias_dtype = DType::kF32;
    } else if (product.bias)
      product.bias = static_cast<const std::byte*>(product.bias) + group.expert * weight.n * bytes_of(own.bias_dtype);
    product.out = static_cast<std::byte*>(product.out) + group.first * own.out_stride * bytes_of(own.out_dtype);
    const int64_t stride = is_integer_ ? row_bytes_ : product.x_stride * static_cast<int64_t>(size_);
    std::byte* const scratch = scratch_ + static_cast<size_t>(worker) * MultiplyBytes(1, kernels_);
    while (begin < end) {
      const int64_t block = begin / cut.panel_pieces;
      const int64_t stop = std::min(end, (block + 1) * cut.panel_pieces);
      const int64_t row = block * cut.piece.rows;
      const GemmCall part = RowsOf(product, row, std::min(cut.piece.rows, group.count - row), stride);
      const int64_t from = begin - block * cut.panel_pieces, to = stop - block * cut.panel_pieces;
      RunKernel(part, from * cut.piece.panels, std::min(to * cut.piece.panels, weight.panels), kernels_, scratch,
                widened_ + worker * WidenedOf(weight));
      begin = stop;
    }
  }

  const GroupedCall& call_;
  const kernels::KernelTable& kernels_;
  const PackedWeight& weight_;
  bool is_integer_;
  bool shares_row_;  ///< All sorted rows are one row, which no expert has twice.
  size_t size_;      ///< Of an element of x.
  int64_t row_bytes_;
  std::byte* scratch_;
  Cut* cuts_;
  std::byte* rows_;
  float* scales_;
  float* sums_;          ///< [m, groups], where the weights are int8 with offsets.
  int64_t sums_of_row_;  ///< 0 where they have none.
  std::byte* changed_;   ///< For each thread a row in another order, and one of int8.
  std::byte* widened_;   ///< Of each thread, where the weights are widened.
  float* biases_;        ///< [groups, n], where sums have a bias.
};

}  // namespace

size_t GroupedBytes(int threads, const kernels::KernelTable& kernels, const GroupedSizes& sizes) {
  const auto& [m, weight, planes, element, has_sum_bias, widens] = sizes;
  // Whether a weight with scales holds integers, which digits are multiplied with, is known when it is there.
  const int64_t digits = planes ? DigitBytes(weight.k, planes) : 0;
  const int64_t row_bytes = std::max(digits, CheckedMul(weight.k, static_cast<int64_t>(element)));
  const int64_t most = std::min(m, weight.experts);
  const int64_t cuts = Align(CheckedMul(most, static_cast<int64_t>(sizeof(Cut))));
  // For each row its numbers, a scale, and sums.
  const int64_t floats = planes ? CheckedAdd(1, MostGroups(weight.k)) : 1;
  const int64_t scales = Align(CheckedMul(m, kFloat));
  const int64_t rows = CheckedAdd(Align(CheckedMul(m, row_bytes)), CheckedMul(floats, scales));
  const int64_t biases = has_sum_bias ? CheckedMul(CheckedMul(most, weight.n), kFloat) : 0;
  const int64_t widened = widens ? static_cast<int64_t>(WidenedBytes(weight.k)) : 0;
  const int64_t of_thread = CheckedAdd(ChangedBytes(weight.k, element), widened);
  const int64_t changed = CheckedAdd(CheckedMul(threads, of_thread), biases);
  return MultiplyBytes(threads, kernels) + static_cast<size_t>(CheckedAdd(CheckedAdd(cuts, rows), changed));
}

void MultiplyGroups(const GroupedCall& call, const kernels::KernelTable& kernels, ThreadPool& pool,
                    std::byte* workspace) noexcept {
  if (call.groups.empty()) return;
  Groups(call, kernels, pool.threads(), workspace).Run(pool);
}

}  // namespace atb
