// Weights that are changed while they are read, against the change made by hand: element by element, in every layout
// and format.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "base/error.h"
#include "check.h"
#include "floats.h"
#include "kernels/convert.h"
#include "kernels/dispatch.h"
#include "kernels/pack_integers.h"
#include "temporary_folder.h"
#include "throws.h"
#include "weights/load.h"
#include "weights/row_major.h"

namespace atb {
namespace {

using kernels::LoadFloat;
using kernels::StoreFloat;
using Order = std::vector<int32_t>;

constexpr WeightLayout kLayouts[] = {WeightLayout::kPlain, WeightLayout::kLinear, WeightLayout::kLinearInterleaved};

std::vector<float> Random(int64_t count, uint32_t seed) {
  std::vector<float> numbers(static_cast<size_t>(count));
  for (float& x : numbers) {
    seed = seed * 1664525u + 1013904223u;
    x = static_cast<float>(static_cast<int32_t>(seed)) * 0x1p-31f;
  }
  return numbers;
}

/// Numbers as a dtype, after `offset` other bytes.
std::vector<std::byte> Stored(const std::vector<float>& numbers, DType dtype, size_t offset = 0) {
  std::vector<std::byte> aligned(numbers.size() * SizeOf(dtype));
  for (size_t i = 0; i < numbers.size(); ++i) StoreFloat(aligned.data(), dtype, static_cast<int64_t>(i), numbers[i]);
  std::vector<std::byte> bytes(offset, std::byte{0xEE});
  bytes.insert(bytes.end(), aligned.begin(), aligned.end());
  return bytes;
}

std::atomic<int64_t> meter{0};
using Tensors = std::map<std::string, std::vector<std::byte>>;

/// Loads and copies out again.
Tensors Load(const std::vector<WeightLoad>& loads, int threads = 2) {
  static const std::atomic<bool> never{false};
  ThreadPool pool(threads);
  uint64_t read = 0, total = 0;
  std::mutex mutex;
  const auto progress = [&](uint64_t now, uint64_t all) {
    const std::lock_guard lock(mutex);
    read = std::max(read, now);
    total = all;
  };
  Tensors tensors;
  for (const LoadedWeight& weight : LoadWeights(loads, {pool, kernels::Select(), &meter, never, progress})) {
    std::vector<std::byte>& bytes = tensors[weight.name];
    bytes.resize(RowMajorDesc(weight.stored->tensor.desc).Bytes());
    CopyRowMajor(weight.stored->tensor, bytes.data(), pool);
  }
  CHECK(read == total);
  return tensors;
}

/// A matrix [rows, columns] of a file, a change of it, and what the change makes of it, by definition.
struct Case {
  int64_t rows, columns;
  bool transposed = false;
  std::optional<Order> order = std::nullopt;
  float times = 1, plus = 0;
  bool unit_rows = false;

  int64_t N() const { return order ? static_cast<int64_t>(order->size()) : transposed ? columns : rows; }
  int64_t K() const { return transposed ? rows : columns; }
  WeightPart Part(const std::string& file, DType dtype, int64_t offset = 0) const {
    return {file, offset, dtype, {rows, columns}, transposed, order, times, plus, unit_rows};
  }
  /// `numbers` as the file has them, rounded to its dtype.
  std::vector<float> Changed(const std::vector<float>& numbers) const {
    std::vector<float> result;
    for (int64_t row = 0; row < N(); ++row) {
      const int64_t from = order ? (*order)[static_cast<size_t>(row)] : row;
      const auto number = [&](int64_t i) {
        return numbers[static_cast<size_t>(transposed ? i * columns + from : from * columns + i)];
      };
      double squares = 0;
      for (int64_t i = 0; i < K(); ++i) squares += double{number(i)} * number(i);
      const float length = unit_rows ? static_cast<float>(std::sqrt(squares)) : 1;
      for (int64_t i = 0; i < K(); ++i) {
        const float product = number(i) / length * times;
        result.push_back(product + plus);
      }
    }
    return result;
  }
};

std::vector<float> Rounded(std::vector<float> numbers, DType dtype) {
  const std::vector<std::byte> bytes = Stored(numbers, dtype);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = LoadFloat(bytes.data(), dtype, static_cast<int64_t>(i));
  return numbers;
}

/// The orders that models need, and some that none does: each is about n rows.
std::vector<Order> Orders(int64_t n) {
  Order reversed, evens, repeated, far, middle;
  const auto last = static_cast<int32_t>(n - 1);
  for (int32_t i = 0; i <= last; ++i) reversed.push_back(last - i);
  for (int32_t i = 0; i <= last; i += 2) evens.push_back(i);
  for (int32_t i = 1; i <= last; i += 2) evens.push_back(i);
  for (int32_t i = 0; i <= last; ++i) repeated.push_back(i / 3);
  for (int32_t i = 0; i <= last; ++i) far.push_back(static_cast<int32_t>(int64_t{i} * 7919 % n));
  for (int32_t i = last / 3; i < last - last / 3; ++i) middle.push_back(i);
  if (middle.size() % 2 != 0) middle.pop_back();
  return {reversed, evens, repeated, far, middle};
}

void CheckFloats(const TemporaryFolder& folder, const Case& matrix, DType from, DType to, WeightLayout layout,
                 int threads = 2) {
  const std::vector<float> numbers = Random(matrix.rows * matrix.columns, 7);
  const std::string file = folder.Write("w", Stored(numbers, from, 3));
  const Tensors loaded = Load({{"w", to, {matrix.N(), matrix.K()}, layout, {matrix.Part(file, from, 3)}, {}}}, threads);
  CHECK(loaded.at("w") == Stored(matrix.Changed(Rounded(numbers, from)), to));
}

void RowsMeetTheirFactors() {
  const TemporaryFolder folder;
  constexpr int64_t rows = 50, columns = 37;
  const std::vector<float> numbers = Random(rows * columns, 7), factors = Random(rows, 8);
  const Case reversed{rows, columns, false, Orders(rows)[0], 0.5f};
  for (DType from : kFloats) {
    const auto own =
        std::make_shared<const WeightPart>(WeightPart{folder.Write("f", Stored(factors, from, 5)), 5, from, {rows, 1}});
    WeightPart part = reversed.Part(folder.Write("w", Stored(numbers, from, 3)), from, 3);
    part.row_factors = own;
    std::vector<float> expected = reversed.Changed(Rounded(numbers, from));
    const std::vector<float> rounded = Rounded(factors, from);
    for (int64_t i = 0; i < rows * columns; ++i)
      expected[static_cast<size_t>(i)] *= rounded[static_cast<size_t>(rows - 1 - i / columns)];
    const auto load = [&](DType to) { return Load({{"w", to, {rows, columns}, WeightLayout::kPlain, {part}, {}}}, 2); };
    CHECK(load(DType::kF32).at("w") == Stored(expected, DType::kF32));
    CheckThrows("NATIVE_ARGUMENT_INVALID", [&] { load(DType::kF16); });
    part.plus = 1;
    CheckThrows("NATIVE_ARGUMENT_INVALID", [&] { load(DType::kF32); });
    part.plus = 0;
    part.row_factors = std::make_shared<const WeightPart>(WeightPart{own->file, 5, from, {rows - 1}});
    CheckThrows("NATIVE_ARGUMENT_INVALID", [&] { load(DType::kF32); });
  }
}

/// Bytes that hold the numbers of two rows, two's complement, the first in the lower half.
void BytesHoldTwoRows() {
  const TemporaryFolder folder;
  constexpr int64_t rows = 12, columns = 37;
  std::vector<std::byte> bytes;
  for (int64_t i = 0; i < rows / 2 * columns; ++i) bytes.push_back(static_cast<std::byte>(i * 37 % 256));
  WeightPart part{folder.Write("w", bytes), 0, DType::kI8, {rows / 2, columns}};
  part.words = PackedWords{4, 0, rows, 8, false, true};
  part.row_order = std::vector<int32_t>{3, 2, 0, 1, 11, 10};
  std::vector<float> expected;
  for (int32_t row : *part.row_order)
    for (int64_t i = 0; i < columns; ++i) {
      const int number = std::to_integer<int>(bytes[static_cast<size_t>(row / 2 * columns + i)]) >> row % 2 * 4 & 15;
      expected.push_back(static_cast<float>(number < 8 ? number : number - 16));
    }
  const auto load = [&] { return Load({{"w", DType::kF32, {6, columns}, WeightLayout::kPlain, {part}, {}}}, 1); };
  CHECK(load().at("w") == Stored(expected, DType::kF32));
  part.words->count = rows + 1;
  CheckThrows("NATIVE_SHAPE_MISMATCH", load);
}

void FloatsAreChangedInEveryLayout() {
  const TemporaryFolder folder;
  for (WeightLayout layout : kLayouts) {
    for (DType from : kFloats) {
      for (DType to : kFloats) {
        CheckFloats(folder, {50, 37, true}, from, to, WeightLayout::kPlain);
        CheckFloats(folder, {37, 50, true}, from, to, layout);
        CheckFloats(folder, {36, 33, false, {}, 0.3f, 1.0f}, from, to, layout);
        CheckFloats(folder, {36, 34, true, {}, -2.0f, 0.1f}, from, to, layout);
        CheckFloats(folder, {36, 33, false, {}, 1.0f, 0.0f, true}, from, to, layout);
        CheckFloats(folder, {34, 36, true, Orders(36)[1], 3.0f, 0.5f, true}, from, to, layout);
        for (const Order& order : Orders(36)) {
          CheckFloats(folder, {36, 33, false, order}, from, to, layout);
          CheckFloats(folder, {33, 36, true, order, 1.5f, -1.0f}, from, to, layout);
        }
      }
    }
  }
}

void LargeMatricesAreChangedPieceByPiece() {
  const TemporaryFolder folder;
  for (const WeightLayout layout : kLayouts) {
    // Columns that fill several blocks, rows that fill several windows and pieces.
    CheckFloats(folder, {1500, 2100, true}, DType::kBF16, DType::kBF16, layout, 3);
    CheckFloats(folder, {1030, 900, false, Orders(1030)[1]}, DType::kBF16, DType::kF32, layout, 3);
  }
  for (const Order& order : Orders(3000)) {
    CheckFloats(folder, {3000, 400, false, order}, DType::kBF16, DType::kBF16, WeightLayout::kLinear, 3);
    CheckFloats(folder, {400, 3000, true, order}, DType::kF32, DType::kBF16, WeightLayout::kLinear, 3);
  }
  // Rows that are larger than a piece, and many that are tiny.
  CheckFloats(folder, {3, 1 << 19, false, {}, 1.0f, 0.0f, true}, DType::kBF16, DType::kF32, WeightLayout::kPlain);
  CheckFloats(folder, {3, 1 << 19, false, Order{2, 0}}, DType::kF32, DType::kF32, WeightLayout::kPlain);
  CheckFloats(folder, {1 << 20, 3, true, Order{2, 0}}, DType::kBF16, DType::kBF16, WeightLayout::kPlain);
  CheckFloats(folder, {70000, 1, false, Orders(70000)[3]}, DType::kBF16, DType::kF32, WeightLayout::kPlain);
}

void VectorsAndStacksHaveRowsToo() {
  const TemporaryFolder folder;
  const std::vector<float> numbers = Random(30, 5);
  const std::string file = folder.Write("w", Stored(numbers, DType::kF32));
  const Order order{4, 0, 0, 3};
  const auto load = [&](std::vector<int64_t> stored, std::vector<int64_t> shape) {
    WeightPart part{file, 0, DType::kF32, std::move(stored)};
    part.row_order = order;
    part.plus = 1;
    return Load({{"w", DType::kF32, std::move(shape), WeightLayout::kPlain, {part}, {}}}).at("w");
  };
  CHECK(load({30}, {4}) == Stored(Case{30, 1, false, order, 1, 1}.Changed(numbers), DType::kF32));
  CHECK(load({5, 2, 3}, {4, 2, 3}) == Stored(Case{5, 6, false, order, 1, 1}.Changed(numbers), DType::kF32));
}

void PartsWithDifferentChangesAreOneWeight() {
  const TemporaryFolder folder;
  const std::vector<float> numbers = Random(64 * 48, 3);
  const std::string file = folder.Write("w", Stored(numbers, DType::kBF16)),
                    other = folder.Write("v", Stored(numbers, DType::kF32));
  const std::vector<float> rounded = Rounded(numbers, DType::kBF16);
  const Case ordered{64, 48, false, Orders(64)[1]}, transposed{48, 64, true, Order{5, 4, 63}},
      scaled{64, 48, false, {}, 3};
  WeightPart zeros{"", 0, DType::kF32, {7, 48}};
  zeros.value = -0.25f;
  std::vector<float> expected = ordered.Changed(rounded);
  const auto append = [&](const std::vector<float>& rows) {
    expected.insert(expected.end(), rows.begin(), rows.end());
  };
  append(transposed.Changed(numbers));
  append(std::vector<float>(7 * 48, -0.25f));
  append(scaled.Changed(rounded));
  const std::vector<WeightPart> parts = {ordered.Part(file, DType::kBF16), transposed.Part(other, DType::kF32), zeros,
                                         scaled.Part(file, DType::kBF16)};
  for (WeightLayout layout : kLayouts) {
    for (DType to : kFloats) CHECK(Load({{"w", to, {138, 48}, layout, parts, {}}}).at("w") == Stored(expected, to));
  }
}

/// Integers that come of floats which were changed by hand, and of such that the loader changes.
void WhatBecomesIntegersIsChangedBefore() {
  const TemporaryFolder folder;
  const std::vector<Case> cases = {{46, 96, false, Orders(46)[1]},
                                   {96, 46, true},
                                   {96, 46, true, Orders(46)[3], 0.7f},
                                   {46, 96, false, {}, 0.3f, 0.01f}};
  for (const Case& matrix : cases) {
    for (DType dtype : kFloats) {
      const std::vector<float> numbers = Random(matrix.rows * matrix.columns, 9);
      const std::vector<float> changed = matrix.Changed(Rounded(numbers, dtype));
      const std::string file = folder.Write("w", Stored(numbers, dtype)),
                        plain = folder.Write("p", Stored(changed, DType::kF32));
      const int64_t n = matrix.N(), k = matrix.K();
      for (int bits : {8, 4}) {
        for (int64_t group : {0, 32}) {
          for (WeightLayout layout : {WeightLayout::kLinear, WeightLayout::kLinearInterleaved}) {
            const auto load = [&](const WeightPart& part) {
              return Load(
                  {{"w", DType::kF32, {n, k}, layout, {part}, WeightQuantize{bits, group, Activations::kFloat, "s"}}});
            };
            const Tensors found = load(matrix.Part(file, dtype));
            CHECK(found.at("w").size() == static_cast<size_t>(n * k * bits / 8));
            CHECK(found == load({plain, 0, DType::kF32, {n, k}}));
          }
        }
      }
    }
  }
}

void StoredIntegersMoveWithTheirScales() {
  const TemporaryFolder folder;
  const int64_t n = 46, k = 96;
  const std::vector<float> numbers = Random(n * k, 13);
  const std::string floats = folder.Write("f", Stored(numbers, DType::kF32));
  for (int bits : {8, 4}) {
    for (int64_t group : {0, 32}) {
      const WeightQuantize quantize{bits, group, Activations::kFloat, "s"};
      const WeightLoad load{"w",     DType::kF32, {n, k}, WeightLayout::kLinear, {{floats, 0, DType::kF32, {n, k}}},
                            quantize};
      const Tensors whole = Load({load});
      const int64_t columns = k * bits / 8, groups = kernels::GroupsOf(k, group);
      const std::string file = folder.Write("w", whole.at("w")), scale_file = folder.Write("s", whole.at("s"));
      for (const Order& order : Orders(n)) {
        const auto rows = static_cast<int64_t>(order.size());
        for (WeightLayout layout : {WeightLayout::kLinear, WeightLayout::kLinearInterleaved}) {
          WeightPart part{file, 0, DType::kI8, {n, columns}}, scales{scale_file, 0, DType::kF32, {n, groups}};
          part.row_order = scales.row_order = order;
          scales.times = 2;
          const Tensors found = Load({{"w", DType::kI8, {rows, columns}, layout, {part}, quantize},
                                      {"s", DType::kF32, {rows, groups}, WeightLayout::kPlain, {scales}, {}}});
          for (int64_t row = 0; row < rows; ++row) {
            const int64_t from = order[static_cast<size_t>(row)];
            CHECK(std::memcmp(&found.at("w")[static_cast<size_t>(row * columns)],
                              &whole.at("w")[static_cast<size_t>(from * columns)], static_cast<size_t>(columns)) == 0);
            for (int64_t g = 0; g < groups; ++g) {
              CHECK(LoadFloat(found.at("s").data(), DType::kF32, row * groups + g) ==
                    2 * LoadFloat(whole.at("s").data(), DType::kF32, from * groups + g));
            }
          }
        }
      }
    }
  }
}

void BytesAreTransposedToo() {
  const TemporaryFolder folder;
  for (DType dtype : {DType::kI8, DType::kI32, DType::kI64}) {
    const auto size = SizeOf(dtype);
    std::vector<std::byte> bytes(6 * size), expected(6 * size);
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 37);
    for (size_t i = 0; i < 6; ++i) std::memcpy(&expected[i * size], &bytes[(i % 2 * 3 + i / 2) * size], size);
    const std::string file = folder.Write("w", bytes);
    CHECK(Load({{"w", dtype, {3, 2}, WeightLayout::kPlain, {{file, 0, dtype, {2, 3}, true}}, {}}}).at("w") == expected);
  }
}

void WhatDoesNotFitIsRefusedBeforeAnythingIsAllocated() {
  const TemporaryFolder folder;
  const std::string file = folder.Write("w", Random(64, 1));
  const int64_t held = meter;
  const auto load = [&](const WeightPart& part, std::vector<int64_t> shape = {8, 8}, DType dtype = DType::kF32) {
    Load({{"w", dtype, std::move(shape), WeightLayout::kPlain, {part}, {}}});
  };
  const auto ordered = [&](Order order, std::vector<int64_t> shape = {8, 8}) {
    WeightPart part{file, 0, DType::kF32, {8, 8}};
    part.row_order = std::move(order);
    load(part, std::move(shape));
  };
  ordered({0, 1, 2, 3, 4, 5, 6, 7});
  ordered({7, 7}, {2, 8});
  ordered({}, {0, 8});
  CheckThrows("NATIVE_ARGUMENT_INVALID", [&] { ordered({0, 1, 2, 3, 4, 5, 6, 8}); });
  CheckThrows("NATIVE_ARGUMENT_INVALID", [&] { ordered({0, 1, 2, 3, 4, 5, 6, -1}); });
  CheckThrows("NATIVE_ARGUMENT_INVALID", [&] { ordered({std::numeric_limits<int32_t>::max()}, {1, 8}); });
  CheckThrows("NATIVE_ARGUMENT_INVALID", [&] { ordered({std::numeric_limits<int32_t>::min()}, {1, 8}); });
  CheckThrows("NATIVE_SHAPE_MISMATCH", [&] { ordered({0, 1, 2, 3, 4, 5, 6}); });
  CheckThrows("NATIVE_SHAPE_MISMATCH", [&] { ordered({0, 1, 2, 3, 4, 5, 6, 7, 0}); });
  // Of the transpose, columns are what is ordered.
  load({file, 0, DType::kF32, {4, 16}, true, Order{15}}, {1, 4});
  CheckThrows("NATIVE_ARGUMENT_INVALID", [&] { load({file, 0, DType::kF32, {16, 4}, true, Order{15}}, {1, 16}); });
  CheckThrows("NATIVE_SHAPE_MISMATCH", [&] { load({file, 0, DType::kF32, {4, 16}, true}, {4, 16}); });
  CheckThrows("NATIVE_SHAPE_MISMATCH", [&] { load({file, 0, DType::kF32, {64}, true}, {64}); });
  CheckThrows("NATIVE_SHAPE_MISMATCH", [&] { load({file, 0, DType::kF32, {2, 4, 8}, true}, {2, 4, 8}); });
  CheckThrows("NATIVE_SHAPE_MISMATCH", [&] { load({file, 0, DType::kF32, {}, false, Order{0}}, {1}); });
  // The whole tensor must be in the file, also where few of its rows are wanted.
  CheckThrows("NATIVE_FILE_TRUNCATED", [&] { load({file, 0, DType::kF32, {9, 8}, false, Order{0}}, {1, 8}); });
  CheckThrows("NATIVE_FILE_TRUNCATED", [&] { load({file, 4, DType::kF32, {8, 8}, true}); });
  CheckThrows("NATIVE_SIZE_OVERFLOW",
              [&] { load({file, 0, DType::kF32, {int64_t{1} << 40, int64_t{1} << 40}, true, Order{0}}, {1, 8}); });
  // Numbers are changed where they are floats.
  const float infinity = std::numeric_limits<float>::infinity();
  CheckThrows("NATIVE_ARGUMENT_INVALID", [&] { load({file, 0, DType::kF32, {8, 8}, false, {}, infinity}); });
  CheckThrows("NATIVE_ARGUMENT_INVALID", [&] { load({file, 0, DType::kF32, {8, 8}, false, {}, 1, -infinity}); });
  CheckThrows("NATIVE_ARGUMENT_INVALID",
              [&] { load({file, 0, DType::kI32, {8, 8}, false, {}, 2}, {8, 8}, DType::kI32); });
  WeightPart constant{"", 0, DType::kF32, {8, 8}};
  constant.value = 1.0f;
  load(constant);
  CheckThrows("NATIVE_DTYPE_MISMATCH", [&] { load(constant, {8, 8}, DType::kI32); });
  CheckThrows("NATIVE_SHAPE_MISMATCH", [&] { load(constant, {8, 9}); });
  constant.transposed = true;
  CheckThrows("NATIVE_ARGUMENT_INVALID", [&] { load(constant); });
  // Rows of a stack that is packed are rows of its matrices, so that these come one by one where rows are changed.
  const auto stack = [&](std::vector<WeightPart> parts, WeightLayout layout) {
    Load({{"w", DType::kF32, {2, 4, 8}, layout, std::move(parts), {}}});
  };
  const WeightPart both{file, 0, DType::kF32, {2, 4, 8}, false, Order{1, 0}};
  WeightPart divided{file, 0, DType::kF32, {2, 4, 8}};
  divided.unit_rows = true;
  const WeightPart one{file, 0, DType::kF32, {4, 8}, false, Order{1, 0, 3, 2}};
  for (WeightLayout layout : {WeightLayout::kLinear, WeightLayout::kLinearInterleaved}) {
    stack({one, one}, layout);
    CheckThrows("NATIVE_ARGUMENT_INVALID", [&] { stack({both}, layout); });
    CheckThrows("NATIVE_ARGUMENT_INVALID", [&] { stack({divided}, layout); });
  }
  // Two int4 of a row share a byte.
  const auto integers = [&](int bits) {
    Load({{"w",
           DType::kI8,
           {8, 8},
           WeightLayout::kLinear,
           {{file, 0, DType::kI8, {8, 8}, true}},
           WeightQuantize{bits, 0, Activations::kFloat, "s"}},
          {"s", DType::kF32, {8}, WeightLayout::kPlain, {{file, 0, DType::kF32, {8}}}, {}}});
  };
  integers(8);
  CheckThrows("NATIVE_ARGUMENT_INVALID", [&] { integers(4); });
  CHECK(meter == held);
}

}  // namespace
}  // namespace atb

int main() {
  using namespace atb;
  RUN(RowsMeetTheirFactors);
  RUN(BytesHoldTwoRows);
  RUN(FloatsAreChangedInEveryLayout);
  RUN(LargeMatricesAreChangedPieceByPiece);
  RUN(VectorsAndStacksHaveRowsToo);
  RUN(PartsWithDifferentChangesAreOneWeight);
  RUN(WhatBecomesIntegersIsChangedBefore);
  RUN(StoredIntegersMoveWithTheirScales);
  RUN(BytesAreTransposedToo);
  RUN(WhatDoesNotFitIsRefusedBeforeAnythingIsAllocated);
  return 0;
}
