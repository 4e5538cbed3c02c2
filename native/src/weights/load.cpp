#include "weights/load.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>

#include "base/checked.h"
#include "kernels/group_numbers.h"
#include "kernels/pack.h"
#include "kernels/pack_integers.h"
#include "ops/check.h"
#include "weights/integer_rows.h"
#include "weights/packed_file.h"
#include "weights/run_all.h"
#include "weights/shrink_scales.h"
#include "weights/staging.h"
#include "weights/stored_scales.h"
#include "weights/word_panels.h"

namespace atb {
namespace {

/// A weight to load that was checked: its parts fit together and lie inside their files.
struct Plan {
  const WeightLoad* load;
  DType dtype = DType::kF32;  ///< What the parts are converted to before they are packed.
  std::vector<PlannedPart> parts;
  int64_t rows = 0;  ///< Of all parts together, as are the elements.
  int64_t elements = 0;
  int64_t bytes = 0;  ///< Of the loaded weight in memory.
  TensorDesc desc;
  /// Matrices of a stack, which are packed one behind the other; what follows is the first one's.
  int64_t experts = 1;
  std::optional<kernels::PackedWeight> packed;
  StoredTensor* target = nullptr;
  // For a weight of integers: whether its scales are made with it, and where they go. For groups of scales, also those
  // that are a load of their own: the order of the panels of their weight.
  bool makes_scales = false;
  std::optional<kernels::PackedScales> order;
  /// They are scales of groups of 4-bit numbers, which ShrinkScales looks at: of this format.
  std::optional<kernels::WeightFormat> shrinks_for;
  bool are_scales = false;  ///< They belong to stored integers, and must be finite.
  int most_offset = 0;      ///< They are offsets, of at most this magnitude; 0: they are not.
  bool are_minimums = false;
  /// Scales or minimums of blocks that can be stored as f16: whether they have steps.
  std::optional<bool> steps;
  StoredTensor* scale_target = nullptr;

  int64_t Columns() const { return load->shape.back(); }  ///< Of a matrix of parts: two int4 are one column.
  int64_t Rows() const { return load->shape[load->shape.size() - 2]; }
  bool WantsRows() const {
    return std::ranges::any_of(parts, [](const PlannedPart& planned) { return planned.WantsRows(); });
  }
  /// Bytes hold two integers each.
  bool IsOfPairs() const {
    return kernels::HoldsPairs(packed->format) && !makes_scales && !IsOfWords() && !IsUnpaired();
  }
  bool IsUnpaired() const { return !parts.empty() && parts.front().part->unpaired; }
  bool IsOfWords() const { return !parts.empty() && parts.front().part->words.has_value(); }
  bool IsTransposed() const {
    return std::ranges::any_of(parts, [](const PlannedPart& planned) { return planned.part->transposed; });
  }
};

/// What one thread reads and lays out at a time: elements [begin, end) of a weight. Of a packed one they are whole
/// panels of one matrix, of an interleaved one those of one of its halves. Or a block of a part of words.
struct Piece {
  const Plan* plan;
  int64_t begin = 0;
  int64_t end = 0;
  const PlannedPart* part = nullptr;
  WordBlock block{};
};

void AddPart(Plan& plan, const WeightPart& part, Files& files) {
  const WeightLoad& load = *plan.load;
  const auto fail = [&](const char* code, const std::string& expected, const std::vector<int64_t>& shape) {
    throw Error(code, "weight \"" + load.name + "\": a part in " + part.file + " must be " + expected + ", found " +
                          ToString(part.dtype, shape));
  };
  const bool raw = load.quantize && SizeOf(plan.dtype) == 1 && (part.words || SizeOf(part.dtype) == 1);
  const bool to_float = IsFloat(plan.dtype) && (IsFloat(part.dtype) || !load.quantize);
  if (!raw && !to_float && (part.dtype != plan.dtype || part.words))
    fail("NATIVE_DTYPE_MISMATCH", ToString(plan.dtype, load.shape), part.shape);
  if (raw && load.quantize->bits == 4 && part.transposed && !part.words && !part.unpaired)
    fail("NATIVE_ARGUMENT_INVALID", "as its rows are, because int4 cannot be transposed", part.shape);
  if (raw && part.words && (part.words->bits == 2 ? 8 : part.words->bits) != load.quantize->bits)
    fail("NATIVE_ARGUMENT_INVALID", "of " + std::to_string(load.quantize->bits) + " bits", part.shape);
  if (raw && !plan.parts.empty() && (plan.IsOfWords() != part.words.has_value() || plan.IsUnpaired() != part.unpaired))
    fail("NATIVE_ARGUMENT_INVALID", "of words or unpaired as the parts before, or not as they are", part.shape);
  if (part.unpaired && (!raw || load.quantize->bits != 4 || part.dtype != DType::kI8))
    fail("NATIVE_ARGUMENT_INVALID", "i8 for integers of 4 bits, as what is unpaired", part.shape);
  if (part.row_factors && plan.dtype != DType::kF32)
    fail("NATIVE_ARGUMENT_INVALID", "without factors of rows, which are for f32", part.shape);
  if (part.HasArithmetic() && !IsFloat(plan.dtype))
    fail("NATIVE_ARGUMENT_INVALID", "without times and plus, which are for floats", part.shape);
  PlannedPart planned = PlanPart(part, load.name, files);
  const std::vector<int64_t> shape = ShapeOf(planned);
  const bool is_alike = shape.size() == load.shape.size() &&
                        (shape.empty() || std::equal(shape.begin() + 1, shape.end(), load.shape.begin() + 1));
  // A stack may come matrix by matrix, one of vectors by parts of its rows.
  const bool is_matrix = load.shape.size() == 3 && shape.size() == 2 && shape[1] == load.shape[2];
  const bool is_row = load.shape.size() == 2 && shape.size() == 1 && load.layout == WeightLayout::kPlain &&
                      shape[0] > 0 && load.shape[1] % shape[0] == 0;
  const bool fits = is_alike || is_matrix || (is_row && !load.quantize);
  if (!fits) fail("NATIVE_SHAPE_MISMATCH", "rows of " + ToString(load.dtype, load.shape), shape);
  // A row of a whole stack is a matrix, of which pieces take panels.
  if (load.layout != WeightLayout::kPlain && shape.size() == 3 && planned.WantsRows())
    fail("NATIVE_ARGUMENT_INVALID", "a matrix, where rows are ordered or divided by their length", shape);
  planned.first_row = plan.rows;
  if (!plan.parts.empty() && plan.parts.front().columns != planned.columns)
    fail("NATIVE_SHAPE_MISMATCH", "rows as the other parts have", shape);
  plan.rows = CheckedAdd(plan.rows, planned.rows);
  plan.elements = CheckedAdd(plan.elements, CheckedMul(planned.rows, planned.columns));
  plan.parts.push_back(planned);
}

/// Of all experts.
int64_t ScaleBytes(const Plan& plan) {
  if (plan.steps) return CheckedMul(plan.experts, Align(kernels::ShortBytes(*plan.order, *plan.steps)));
  if (plan.order) return CheckedMul(plan.experts, kernels::ScalesBytes(*plan.order));
  return CheckedMul(CheckedMul(plan.experts, plan.packed->n), static_cast<int64_t>(sizeof(float)));
}

/// What the scales or offsets that are made with a plan may become.
ScaleForms FormsOf(const Plan& plan) {
  if (plan.most_offset != 0) return ScaleForms::kOffsets;
  if (!plan.shrinks_for) return ScaleForms::kPlanned;
  // Our own int4 has scales that are products, whatever the numbers are.
  if (plan.makes_scales) return ScaleForms::kProducts;
  return *plan.shrinks_for == kernels::WeightFormat::kE2M1 ? ScaleForms::kOfE2M1 : ScaleForms::kOfInt4;
}

/// Of the scales that are made with a weight.
int64_t MadeScaleBytes(const Plan& plan) {
  if (FormsOf(plan) != ScaleForms::kProducts) return ScaleBytes(plan);
  return CheckedMul(plan.experts, Align(kernels::MultiplierBytes(*plan.order)));
}

void PlanIntegers(Plan& plan) {
  const WeightLoad& load = *plan.load;
  const WeightQuantize& quantize = *load.quantize;
  const auto fail = [&](const std::string& expected) {
    throw Error("NATIVE_ARGUMENT_INVALID", "weight \"" + load.name + "\": " + expected);
  };
  if (load.layout == WeightLayout::kPlain) fail("integers must be packed (layout linear or linear-interleaved)");
  if (quantize.bits != 4 && quantize.bits != 8) fail("bits must be 4 or 8, found " + std::to_string(quantize.bits));
  const int64_t group = quantize.group_size;
  const bool are_pairs = quantize.numbers == kernels::WeightNumbers::kFloats && quantize.bits == 4;
  const bool is_widened = are_pairs && group == kernels::kWidenedGroup;
  if (group < 0 || group > kernels::kMaxGroup || (group % kernels::kGroupStep != 0 && !is_widened)) {
    fail("groupSize must be 0 or a multiple of " + std::to_string(kernels::kGroupStep) + " up to " +
         std::to_string(kernels::kMaxGroup) + ", found " + std::to_string(group));
  }
  const bool is_w8a8 = quantize.bits == 8 && quantize.activations == Activations::kInt8;
  if (is_w8a8 && group != 0) fail("8 bits with int8 activations want groupSize 0");
  if (quantize.scale_name.empty() || quantize.scale_name == load.name) fail("scaleName must be another name");

  plan.makes_scales = IsFloat(plan.dtype);
  const bool are_floats = quantize.numbers == kernels::WeightNumbers::kFloats;
  for (const WeightPart& part : load.parts) {
    const bool is_e4m3 = part.dtype == DType::kE4M3;
    if (is_e4m3 != (are_floats && quantize.bits == 8) || (are_floats && !is_e4m3 && part.dtype != DType::kU8))
      fail(std::string("floats of 8 bits are parts of e4m3 and those of 4 bits of u8, found ") + ToString(part.dtype));
  }
  if (are_floats && (!quantize.offset_name.empty() || quantize.activations == Activations::kInt8))
    fail("floats have no offsets, and are multiplied with floats");
  const int64_t per_byte = 8 / quantize.bits;
  const bool single = plan.makes_scales || plan.IsOfWords() || plan.IsUnpaired();
  const int64_t k = single ? plan.Columns() : CheckedMul(plan.Columns(), per_byte);
  if (k % per_byte != 0)
    throw Error("NATIVE_SHAPE_MISMATCH", "weight \"" + load.name + "\" has an odd number of input channels for int4");
  const bool interleaved = load.layout == WeightLayout::kLinearInterleaved;
  plan.packed =
      kernels::PackedGeometry(kernels::FormatOf(quantize.bits, quantize.numbers), plan.Rows(), k, interleaved);
  plan.packed->group = group;
  plan.desc.dtype = DType::kI8;
  plan.desc.dims[plan.desc.rank - 1u] = k / per_byte;
  const int64_t groups = kernels::GroupsOf(k, group);
  if (group) plan.order = kernels::ScalesGeometry(plan.Rows(), groups, interleaved);
  const bool has_offsets = !quantize.offset_name.empty();
  if (has_offsets && (plan.makes_scales || is_w8a8))
    fail("offsets are for stored integers, and not for 8 bits with int8 activations");
  if (group != 0 && quantize.bits == 4 && !has_offsets && !is_widened) plan.shrinks_for = plan.packed->format;
}

/// Finds a load that brings numbers of the shape of a weight's scales.
Plan& FindLike(const Plan& weight, const std::string& name, const char* what, std::vector<Plan>& plans) {
  const auto found = std::ranges::find_if(plans, [&](const Plan& plan) { return plan.load->name == name; });
  std::vector<int64_t> wanted = weight.load->shape;
  wanted.back() = kernels::GroupsOf(weight.packed->k, weight.packed->group);
  const auto fail = [&](const char* code, const std::string& instead) {
    throw Error(code, "weight \"" + weight.load->name + "\" needs " + what + " \"" + name + "\" as plain " +
                          ToString(DType::kF32, wanted) + ", found " + instead);
  };
  if (found == plans.end()) fail("NATIVE_ARGUMENT_INVALID", "none among the loads");
  const WeightLoad& load = *found->load;
  if (load.dtype != DType::kF32 || load.layout != WeightLayout::kPlain || load.quantize)
    fail("NATIVE_DTYPE_MISMATCH", ToString(load.dtype, load.shape));
  const bool fits =
      load.shape == wanted || (weight.packed->group == 0 && load.shape == std::vector<int64_t>{weight.packed->n});
  if (!fits) fail("NATIVE_SHAPE_MISMATCH", ToString(load.dtype, load.shape));
  if (found->order || found->are_scales) fail("NATIVE_ARGUMENT_INVALID", "those of another weight");
  return *found;
}

/// Gives scales or offsets the order of the panels of their weight.
void OrderLike(Plan& plan, const Plan& weight, const kernels::PackedScales& order) {
  plan.order = order;
  plan.experts = weight.experts;
  if (kernels::AreIntegers(weight.packed->format) && weight.packed->group != 0) plan.steps = StepsOf(plan.parts);
  plan.bytes = ScaleBytes(plan);
  plan.desc.layout = Layout::kPackedScales;
}

/// Finds the load that brings the scales of stored integers. Scales of groups must lie as the panels of their weight
/// do.
void PlanStoredScales(const Plan& weight, std::vector<Plan>& plans) {
  Plan& scales = FindLike(weight, weight.load->quantize->scale_name, "scales", plans);
  scales.are_scales = true;
  if (!weight.order) return;
  OrderLike(scales, weight, *weight.order);
  if (!scales.steps) scales.shrinks_for = weight.shrinks_for;
}

/// Likewise offsets, where there are some.
void PlanStoredOffsets(const Plan& weight, std::vector<Plan>& plans) {
  const std::string& name = weight.load->quantize->offset_name;
  if (name.empty()) return;
  Plan& offsets = FindLike(weight, name, "offsets", plans);
  if (offsets.load->shape.size() != weight.load->shape.size())
    throw Error("NATIVE_SHAPE_MISMATCH", "weight \"" + weight.load->name + "\" needs offsets of as many dimensions");
  offsets.are_minimums = weight.load->quantize->are_minimums;
  if (offsets.are_minimums && weight.packed->group == 0)
    throw Error("NATIVE_ARGUMENT_INVALID", "weight \"" + weight.load->name + "\": minimums are those of groups");
  if (!offsets.are_minimums) offsets.most_offset = kernels::MostOffset(weight.packed->format);
  const int64_t groups = kernels::GroupsOf(weight.packed->k, weight.packed->group);
  OrderLike(offsets, weight, kernels::ScalesGeometry(weight.packed->n, groups, weight.packed->interleaved));
}

/// Scales that are made with a weight need a name that no other tensor of the load has.
void RequireOwnNames(std::span<const Plan> plans) {
  std::set<std::string_view> names;
  for (const Plan& plan : plans) names.insert(plan.load->name);
  for (const Plan& plan : plans) {
    if (!plan.makes_scales || names.insert(plan.load->quantize->scale_name).second) continue;
    throw Error("NATIVE_ARGUMENT_INVALID", "weight \"" + plan.load->name + "\": scaleName \"" +
                                               plan.load->quantize->scale_name + "\" is another tensor's name");
  }
}

Plan PlanWeight(const WeightLoad& load, Files& files) {
  Plan plan;
  plan.load = &load;
  plan.dtype = load.quantize ? PartsDType(load.parts, load.dtype) : load.dtype;
  const auto wrong = [&](const std::string& why) {
    throw Error("NATIVE_SHAPE_MISMATCH", "weight \"" + load.name + "\" " + ToString(load.dtype, load.shape) + why);
  };
  if (load.shape.size() > kMaxRank) wrong(" are too many");
  const int64_t elements = Elements(load.shape);
  for (const WeightPart& part : load.parts) AddPart(plan, part, files);
  if (plan.elements != elements) wrong(" has parts of " + std::to_string(plan.elements) + " elements in all");

  plan.desc.dtype = load.dtype;
  plan.desc.rank = static_cast<uint8_t>(load.shape.size());
  std::copy(load.shape.begin(), load.shape.end(), plan.desc.dims.begin());
  if (load.layout == WeightLayout::kPlain && !load.quantize) {
    plan.bytes = CheckedMul(elements, static_cast<int64_t>(SizeOf(load.dtype)));
    return plan;
  }
  if (load.shape.size() != 2 && load.shape.size() != 3) wrong(" must be a matrix, or a stack of them, to be packed");
  if (load.shape.size() == 3) plan.experts = load.shape[0];
  if (plan.experts < 1) wrong(" is a stack of nothing");
  plan.desc.layout = Layout::kPackedLinear;
  if (load.quantize) {
    PlanIntegers(plan);
    plan.bytes = CheckedMul(plan.experts, kernels::PackedBytes(*plan.packed));
    return plan;
  }
  if (!IsFloat(load.dtype))
    throw Error("NATIVE_DTYPE_MISMATCH", "weight \"" + load.name + "\" must be a float to be packed");
  plan.packed = kernels::PackedGeometry(kernels::FormatOf(load.dtype), plan.Rows(), plan.Columns(),
                                        load.layout == WeightLayout::kLinearInterleaved);
  plan.bytes = CheckedMul(plan.experts, kernels::PackedBytes(*plan.packed));
  return plan;
}

void AddPieces(const Plan& plan, std::vector<Piece>& pieces) {
  const auto holds_channels = [&](const PlannedPart& part) { return HoldsChannels(part, *plan.packed); };
  if (plan.packed && std::ranges::all_of(plan.parts, holds_channels)) {
    for (const PlannedPart& part : plan.parts)
      for (const WordBlock& block : WordBlocks(part)) pieces.push_back({&plan, 0, 0, &part, block});
    return;
  }
  int64_t unit = 1;
  int64_t section = plan.elements / plan.experts;  // A piece belongs to one matrix.
  // Scales are packed by whole rows.
  if ((plan.order && !plan.packed) || plan.WantsRows()) unit = std::max<int64_t>(1, plan.parts[0].columns);
  if (plan.packed) {
    unit = kernels::kPanelColumns * plan.Columns();
    if (plan.packed->interleaved) section /= 2;  // So that panels begin where each matrix begins.
  }
  // Rows of bytes may be longer, and of words they are: blocks of columns are read in fewer calls.
  const int64_t widest = plan.IsOfWords() ? 1 : static_cast<int64_t>(sizeof(float));
  const int64_t piece_bytes = plan.IsTransposed() ? kTransposedPieceBytes : kPieceBytes;
  const int64_t step = std::max<int64_t>(1, piece_bytes / widest / unit) * unit;
  for (int64_t first = 0; first < plan.elements; first += section) {
    for (int64_t begin = first; begin < first + section; begin += step) {
      pieces.push_back({&plan, begin, std::min(begin + step, first + section)});
    }
  }
}

/// One thread's staging memory.
struct Staging {
  ReadStaging read;
  std::vector<std::byte> converted;
  IntegerStaging integers;
};

/// Reads elements [begin, end) of the parts, converted, to `to`. Returns the bytes read.
int64_t ReadElements(const Plan& plan, int64_t begin, int64_t end, std::byte* to, Staging& staging,
                     const kernels::KernelTable& kernels) {
  int64_t bytes = 0;
  for (const PlannedPart& part : plan.parts) {
    const int64_t part_begin = part.first_row * part.columns;
    const int64_t first = std::max(begin, part_begin);
    const int64_t last = std::min(end, part_begin + part.rows * part.columns);
    if (first >= last) continue;
    std::byte* into = to + (first - begin) * static_cast<int64_t>(SizeOf(plan.dtype));
    bytes += ReadPart(part, first - part_begin, last - part_begin, plan.dtype, into, staging.read, kernels);
  }
  return bytes;
}

IntegerTarget TargetOf(const Plan& plan, int64_t expert) {
  std::byte* panels = plan.target->bytes.data() + expert * kernels::PackedBytes(*plan.packed);
  IntegerTarget target{*plan.packed, panels, {}, nullptr};
  if (plan.order) target.order = *plan.order;
  if (plan.scale_target) {
    std::byte* scales = plan.scale_target->bytes.data() + expert * (MadeScaleBytes(plan) / plan.experts);
    target.scales = reinterpret_cast<float*>(scales);
    if (plan.scale_target->scales.multipliers != nullptr)
      target.multipliers = reinterpret_cast<int8_t*>(scales + kernels::MultipliersAt(target.order));
  }
  return target;
}

int64_t LoadPiece(const Piece& piece, Staging& staging, const kernels::KernelTable& kernels) {
  const Plan& plan = *piece.plan;
  std::byte* data = plan.target->bytes.data();
  if (piece.part != nullptr) return PackWords(*piece.part, piece.block, {*plan.packed, data}, staging.read);
  const auto size = static_cast<int64_t>(SizeOf(plan.dtype));
  if (!plan.packed && !plan.order)
    return ReadElements(plan, piece.begin, piece.end, data + piece.begin * size, staging, kernels);

  std::byte* rows = Grow(staging.converted, (piece.end - piece.begin) * size);
  const int64_t bytes = ReadElements(plan, piece.begin, piece.end, rows, staging, kernels);
  const int64_t count = (piece.end - piece.begin) / plan.Columns();
  const int64_t expert = piece.begin / (plan.elements / plan.experts);
  const int64_t begin = piece.begin / plan.Columns() - expert * plan.Rows(), end = begin + count;
  if (plan.steps) {
    std::byte* const numbers = data + expert * (ScaleBytes(plan) / plan.experts);
    const auto* const from = reinterpret_cast<const float*>(rows);
    if (!kernels::PackShorts(*plan.order, *plan.steps, numbers, begin, end, from, plan.Columns()))
      throw Error("NATIVE_VALUE_OUT_OF_RANGE", "weight \"" + plan.load->name + "\": its numbers must fit f16");
  } else if (!plan.packed) {
    auto* const scales = reinterpret_cast<float*>(data + expert * kernels::ScalesBytes(*plan.order));
    kernels::PackScales(*plan.order, scales, begin, end, reinterpret_cast<const float*>(rows), plan.Columns());
  } else if (!plan.load->quantize) {
    std::byte* const panels = data + expert * kernels::PackedBytes(*plan.packed);
    kernels::PackRows(*plan.packed, panels, begin, end, {rows, plan.dtype, plan.packed->k}, kernels);
  } else if (plan.makes_scales) {
    QuantizeRows(TargetOf(plan, expert), kernels, rows, plan.dtype, begin, count, staging.integers);
  } else {
    const int64_t bytes_read = piece.end - piece.begin;
    if (plan.packed->format == kernels::WeightFormat::kE4M3) RequireNumbers(plan.load->name, rows, bytes_read);
    if (plan.IsUnpaired()) RequireInt4(plan.load->name, rows, bytes_read);
    PackIntegerRows(TargetOf(plan, expert), kernels, rows, begin, count, plan.IsOfPairs(), staging.integers);
  }
  return bytes;
}

std::shared_ptr<StoredTensor> Allocate(const Plan& plan, std::atomic<int64_t>* meter) {
  auto stored = std::make_shared<StoredTensor>();
  stored->bytes = Buffer(static_cast<size_t>(plan.bytes), meter);
  stored->tensor.desc = plan.desc;
  if (plan.packed) {
    stored->packed = *plan.packed;
    stored->packed.data = stored->bytes.data();
    stored->tensor.data = &stored->packed;
  } else if (plan.order) {
    stored->scales = *plan.order;
    stored->scales.are_minimums = plan.are_minimums;
    PointAt(stored->scales, plan.steps, stored->bytes.data());
    stored->tensor.data = &stored->scales;
  } else {
    stored->tensor.data = stored->bytes.data();
  }
  return stored;
}

/// The scales that are made with a weight of integers: [n, groups] of each matrix.
std::shared_ptr<StoredTensor> AllocateScales(const Plan& plan, std::atomic<int64_t>* meter) {
  auto stored = std::make_shared<StoredTensor>();
  stored->bytes = Buffer(static_cast<size_t>(MadeScaleBytes(plan)), meter);
  stored->tensor = {plan.desc, stored->bytes.data()};
  stored->tensor.desc.dtype = DType::kF32;
  stored->tensor.desc.layout = Layout::kRowMajor;
  stored->tensor.desc.dims[plan.desc.rank - 1u] = plan.order ? plan.order->groups : 1;
  if (plan.order) {
    stored->scales = *plan.order;
    stored->scales.data = reinterpret_cast<const float*>(stored->bytes.data());
    stored->tensor.data = &stored->scales;
    stored->tensor.desc.layout = Layout::kPackedScales;
    if (FormsOf(plan) == ScaleForms::kProducts)
      stored->scales.multipliers =
          reinterpret_cast<const int8_t*>(stored->bytes.data() + kernels::MultipliersAt(stored->scales));
  }
  return stored;
}

void ShrinkAll(std::span<const Plan> plans, const LoadContext& context) {
  std::vector<const Plan*> scales;
  for (const Plan& plan : plans) {
    if (plan.shrinks_for && !plan.packed) scales.push_back(&plan);
  }
  RunAll(static_cast<int64_t>(scales.size()), context, [&](int64_t i, int) {
    const Plan& plan = *scales[static_cast<size_t>(i)];
    ShrinkScales(*plan.target, plan.experts, *plan.shrinks_for, context.meter);
  });
}

/// What scales and offsets of stored integers must be is known when they have been read.
void SettleStored(std::span<const Plan> plans, const LoadContext& context) {
  RunAll(static_cast<int64_t>(plans.size()), context, [&](int64_t i, int) {
    const Plan& plan = plans[static_cast<size_t>(i)];
    if ((plan.are_scales || plan.are_minimums) && !plan.steps) RequireFinite(*plan.target, plan.load->name);
    if (plan.most_offset != 0)
      NarrowOffsets(*plan.target, plan.experts, plan.most_offset, plan.load->name, context.meter);
  });
}

}  // namespace

std::vector<LoadedWeight> LoadWeights(std::span<const WeightLoad> loads, const LoadContext& context) {
  Files files;
  std::vector<Plan> plans;
  plans.reserve(loads.size());
  int64_t result_bytes = 0;
  int64_t file_bytes = 0;
  for (const WeightLoad& load : loads) {
    plans.push_back(PlanWeight(load, files));
    for (const PlannedPart& part : plans.back().parts) file_bytes = CheckedAdd(file_bytes, part.FileBytes());
  }
  for (const Plan& plan : plans)
    if (plan.load->quantize && !plan.makes_scales) PlanStoredScales(plan, plans);
  for (const Plan& plan : plans)
    if (plan.load->quantize && !plan.makes_scales) PlanStoredOffsets(plan, plans);
  RequireOwnNames(plans);
  for (const Plan& plan : plans) {
    result_bytes = CheckedAdd(result_bytes, plan.bytes);
    if (plan.makes_scales) result_bytes = CheckedAdd(result_bytes, MadeScaleBytes(plan));
  }
  RequireMemory(result_bytes);

  std::vector<LoadedWeight> results;
  std::vector<PackedTensor> tensors;
  std::vector<Piece> pieces;
  for (Plan& plan : plans) {
    auto stored = Allocate(plan, context.meter);
    plan.target = stored.get();
    tensors.push_back({plan.target, plan.experts, plan.packed ? ScaleForms::kPlanned : FormsOf(plan)});
    results.push_back({plan.load->name, std::move(stored)});
    if (plan.makes_scales) {
      auto scales = AllocateScales(plan, context.meter);
      plan.scale_target = scales.get();
      tensors.push_back({plan.scale_target, plan.experts, FormsOf(plan)});
      results.push_back({plan.load->quantize->scale_name, std::move(scales)});
    }
    AddPieces(plan, pieces);
  }
  if (context.packed != nullptr) {
    ReadPackedFile(*context.packed, tensors, context);
    return results;
  }

  Progress progress(static_cast<uint64_t>(file_bytes), context.progress);
  std::vector<Staging> staging(static_cast<size_t>(context.pool.threads()));
  RunAll(static_cast<int64_t>(pieces.size()), context, [&](int64_t i, int worker) {
    Staging& own = staging[static_cast<size_t>(worker)];
    progress.Add(static_cast<uint64_t>(LoadPiece(pieces[static_cast<size_t>(i)], own, context.kernels)));
  });
  SettleStored(plans, context);
  ShrinkAll(plans, context);
  return results;
}

}  // namespace atb
