#include <algorithm>
#include <numeric>
#include <random>

#include "kernels/pack.h"
#include "op_runner.h"
#include "random.h"

using namespace atb;        // NOLINT
using namespace atb::test;  // NOLINT

namespace {

using Numbers = std::vector<double>;
using Inputs = std::vector<Value>;

constexpr DType kAll[] = {DType::kF32, DType::kF16, DType::kBF16, DType::kI8, DType::kU8, DType::kI32, DType::kI64};

const kernels::KernelTable& Table() { return kernels::Select({}); }

Numbers Count(size_t n) {
  Numbers numbers(n);
  std::iota(numbers.begin(), numbers.end(), 0.0);
  return numbers;
}

void GatherTakesAlongAnyAxis() {
  for (DType dtype : kAll)
    for (DType index : {DType::kI32, DType::kI64}) {
      const Value x(dtype, {3, 4}, Count(12));
      auto y = RunOp("Gather", {}, {x, Value(index, {2}, {2, 0})}, Table());
      CHECK(HasShape(y[0], {2, 4}) && y[0].Numbers() == (Numbers{8, 9, 10, 11, 0, 1, 2, 3}));
      y = RunOp("Gather", {{"axis", 1}}, {x, Value(index, {2, 1}, {3, 1})}, Table());
      CHECK(HasShape(y[0], {3, 2, 1}) && y[0].Numbers() == (Numbers{3, 1, 7, 5, 11, 9}));
      y = RunOp("Gather", {{"axis", 1}, {"batchDims", 1}}, {x, Value(index, {3, 2}, {0, 1, 2, 3, 0, 0})}, Table());
      CHECK(HasShape(y[0], {3, 2}) && y[0].Numbers() == (Numbers{0, 1, 6, 7, 8, 8}));
      y = RunOp("Gather", {{"axis", 2}, {"batchDims", 1}},
                {Value(dtype, {2, 2, 3}, Count(12)), Value(index, {2, 1}, {2, 0})}, Table());
      CHECK(HasShape(y[0], {2, 2, 1}) && y[0].Numbers() == (Numbers{2, 5, 6, 9}));
      y = RunOp("Gather", {}, {x, Value(index, {0}, {})}, Table());
      CHECK(HasShape(y[0], {0, 4}));
    }
}

/// Along the last axis single numbers are taken, and more of them than one piece of work has.
void GatherTakesManyNumbers() {
  constexpr int64_t kCount = 2 * 4096 + 5;
  Numbers indices;
  for (int64_t i = 0; i < 3 * kCount; ++i) indices.push_back(static_cast<double>(i * i % 7));
  const Numbers shared(indices.begin(), indices.begin() + kCount);
  for (DType dtype : kFloats) {
    const Value x(dtype, {3, 7}, Count(21));
    const auto y = RunOp("Gather", {{"axis", 1}}, {x, Value(DType::kI32, {kCount}, shared)}, Table());
    const auto z =
        RunOp("Gather", {{"axis", 1}, {"batchDims", 1}}, {x, Value(DType::kI64, {3, kCount}, indices)}, Table());
    CHECK(HasShape(y[0], {3, kCount}) && HasShape(z[0], {3, kCount}));
    for (int64_t i = 0; i < 3 * kCount; ++i) {
      const double first = static_cast<double>(i / kCount * 7);
      CHECK(y[0].Get(i) == first + shared[static_cast<size_t>(i % kCount)]);
      CHECK(z[0].Get(i) == first + indices[static_cast<size_t>(i)]);
    }
  }
}

void GatherReadsRowsOfPackedWeights() {
  Random random(1);
  for (DType dtype : kFloats)
    for (int64_t n : {1, 16, 33})
      for (int64_t k : {1, 31, 32, 65}) {
        const Numbers numbers = random.Uniform(n * k, -2.0, 2.0);
        Value x(dtype, {n, k}, numbers);
        kernels::PackedWeight weight = kernels::PackedGeometry(kernels::FormatOf(dtype), n, k);
        std::vector<std::byte> bytes(static_cast<size_t>(kernels::PackedBytes(weight)) + 64);
        std::byte* data = bytes.data();
        while (reinterpret_cast<uintptr_t>(data) % 64 != 0) ++data;
        kernels::PackRows(weight, data, 0, n, {x.bytes.data(), dtype, k});
        weight.data = data;
        Tensor packed{x.desc, &weight};
        packed.desc.layout = Layout::kPackedLinear;
        Value indices(DType::kI64, {4}, {0, static_cast<double>(n - 1), static_cast<double>(n / 2), 0});
        const Value expected = RunOp("Gather", {}, {x, indices}, Table())[0];

        const auto op = CreateOperation("Gather", {});
        Value y(expected.desc);
        const Tensor in[] = {packed, indices.tensor()}, out[] = {y.tensor()};
        const TensorDesc descs[] = {in[0].desc, in[1].desc};
        TensorDesc shape[1];
        op->InferShape(descs, shape);
        CHECK(shape[0].SameShape(expected.desc) && shape[0].layout == Layout::kRowMajor);
        op->Validate(in);
        ThreadPool pool(2);
        op->Execute(in, out, {Table(), pool});
        CHECK(y.bytes == expected.bytes);

        weight.n += 1;
        CHECK(Has(ErrorOf([&] { op->Validate(in); }), {"NATIVE_LAYOUT_MISMATCH", "Gather: in0"}));
      }
}

void GatherChecksItsIndices() {
  const Value x(DType::kF32, {3, 2}, Count(6));
  for (double bad : {-1.0, 3.0, 4294967296.0}) {
    const auto error = ErrorOf([&] { RunOp("Gather", {}, {x, Value(DType::kI64, {3}, {0, bad, 1})}, Table()); });
    CHECK(Has(error, {"NATIVE_VALUE_OUT_OF_RANGE", "Gather: in1", "from 0 to 2", " at 1"}));
  }
}

void SplitCutsInTwoOrThree() {
  for (DType dtype : kAll) {
    const Value x(dtype, {2, 6}, Count(12));
    auto y = RunOp("Split", {{"splitDim", 1}, {"splitNum", 2}}, {x}, Table());
    CHECK(HasShape(y[0], {2, 3}) && y[0].Numbers() == (Numbers{0, 1, 2, 6, 7, 8}));
    CHECK(y[1].Numbers() == (Numbers{3, 4, 5, 9, 10, 11}));
    y = RunOp("Split", {{"splitDim", 1}, {"splitNum", 3}, {"splitSizes", Numbers{3, 1, 2}}}, {x}, Table());
    CHECK(y[1].Numbers() == (Numbers{3, 9}) && y[2].Numbers() == (Numbers{4, 5, 10, 11}));
    y = RunOp("Split", {{"splitDim", -2}}, {x}, Table());
    CHECK(HasShape(y[1], {1, 6}) && y[1].Get(0) == 6);
  }
  const Value x(DType::kF32, {2, 5}, Count(10));
  CHECK(Has(ErrorOf([&] { RunOp("Split", {{"splitDim", 1}}, {x}, Table()); }),
            {"NATIVE_SHAPE_MISMATCH: Split: in0 must be a multiple of 2 long along axis 1, found f32[2,5]"}));
  CHECK(Has(ErrorOf([&] { RunOp("Split", {{"splitDim", 2}}, {x}, Table()); }), {"NATIVE_SHAPE_MISMATCH", "axis 2"}));
}

void ConcatJoinsTwo() {
  for (DType dtype : kAll) {
    const Value a(dtype, {2, 2}, {1, 2, 3, 4}), b(dtype, {2, 1}, {10, 20});
    CHECK(RunOp("Concat", {{"concatDim", 1}}, {a, b}, Table())[0].Numbers() == (Numbers{1, 2, 10, 3, 4, 20}));
    CHECK(RunOp("Concat", {{"concatDim", -1}}, {a, b}, Table())[0].Numbers() == (Numbers{1, 2, 10, 3, 4, 20}));
    const auto error = ErrorOf([&] { RunOp("Concat", {}, {a, b}, Table()); });
    CHECK(Has(error, {"NATIVE_SHAPE_MISMATCH: Concat: in1"}));
  }
}

void SliceCountsFromEitherEnd() {
  for (DType dtype : kAll) {
    const Value x(dtype, {2, 3, 4}, Count(24));
    const auto slice = [&](const Numbers& offsets, const Numbers& size) {
      return RunOp("Slice", {{"offsets", offsets}, {"size", size}}, {x}, Table())[0];
    };
    CHECK(slice({0, -2, 1}, {1, 1, -1}).Numbers() == (Numbers{5, 6, 7}));
    CHECK(slice({1, 0, 2}, {1, 2, 2}).Numbers() == (Numbers{14, 15, 18, 19}));
    CHECK(slice({0, 0, 0}, {-1, -1, -1}).bytes == x.bytes);
    CHECK(HasShape(slice({2, 0, 0}, {0, 3, 4}), {0, 3, 4}));
    CHECK(Has(ErrorOf([&] { slice({0, -4, 0}, {1, 1, 1}); }), {"NATIVE_SHAPE_MISMATCH", "axis 1"}));
    CHECK(Has(ErrorOf([&] { slice({0, 0, 1}, {1, 1, 4}); }), {"NATIVE_SHAPE_MISMATCH", "axis 2"}));
    CHECK(Has(ErrorOf([&] { slice({0, 0}, {1, 1}); }), {"NATIVE_SHAPE_MISMATCH", "rank 2"}));
  }
}

void SetValueWritesABox() {
  for (DType dtype : kAll) {
    const Value x(dtype, {3, 4}, Count(12)), box(dtype, {2, 2}, {50, 51, 52, 53});
    const ParamObject param = {{"starts", Numbers{0, 1}}, {"ends", Numbers{3, 3}}, {"strides", Numbers{2, 1}}};
    CHECK(RunOp("SetValue", param, {x, box}, Table())[0].Numbers() ==
          (Numbers{0, 50, 51, 3, 4, 5, 6, 7, 8, 52, 53, 11}));
  }
  const Value x(DType::kF32, {2}, {0, 0});
  const ParamObject past = {{"starts", Numbers{0}}, {"ends", Numbers{3}}, {"strides", Numbers{1}}};
  CHECK(Has(ErrorOf([&] { RunOp("SetValue", past, {x, Value(DType::kF32, {3}, {1, 2, 3})}, Table()); }),
            {"NATIVE_SHAPE_MISMATCH", "in0"}));
}

void TransposeMovesAxes() {
  for (DType dtype : kAll) {
    Value x(dtype, {2, 3, 4}, Count(24));
    const std::vector<Numbers> perms = {{0, 1, 2}, {1, 0, 2}, {2, 1, 0}, {0, 2, 1}, {1, 2, 0}};
    for (const Numbers& perm : perms) {
      const Value y = RunOp("Transpose", {{"perm", perm}}, {x}, Table())[0];
      const int64_t strides[] = {12, 4, 1};
      const auto at = [&](size_t i) { return static_cast<size_t>(perm[i]); };
      size_t i = 0;
      for (int64_t a = 0; a < y.desc.dim(0); ++a)
        for (int64_t b = 0; b < y.desc.dim(1); ++b)
          for (int64_t c = 0; c < y.desc.dim(2); ++c)
            CHECK(y.Get(i++) ==
                  x.Get(static_cast<size_t>(a * strides[at(0)] + b * strides[at(1)] + c * strides[at(2)])));
    }
  }
}

void RepeatTiles() {
  for (DType dtype : kAll) {
    const Value x(dtype, {2, 2}, {1, 2, 3, 4});
    CHECK(RunOp("Repeat", {{"multiples", Numbers{2, 1}}}, {x}, Table())[0].Numbers() ==
          (Numbers{1, 2, 3, 4, 1, 2, 3, 4}));
    CHECK(RunOp("Repeat", {{"multiples", Numbers{1, 2}}}, {x}, Table())[0].Numbers() ==
          (Numbers{1, 2, 1, 2, 3, 4, 3, 4}));
    const Value y = RunOp("Repeat", {{"multiples", Numbers{2, 1, 3}}}, {x}, Table())[0];
    CHECK(HasShape(y, {2, 2, 6}) && y.Get(5) == 2 && y.Get(6) == 3 && y.Get(23) == 4);
  }
  const TensorDesc huge[] = {TensorDesc(DType::kI8, {int64_t{1} << 40})};
  TensorDesc out[1];
  const auto repeat = CreateOperation("Repeat", {{"multiples", Numbers{2147483647}}});
  CHECK(Has(ErrorOf([&] { repeat->InferShape(huge, out); }), {"NATIVE_SIZE_OVERFLOW"}));
}

void SortIsStableAndDescending() {
  for (const kernels::KernelTable* table : kernels::Available())
    for (DType dtype : kFloats) {
      const Value x(dtype, {2, 5}, {1, 3, 2, 3, -1, 0, NAN, 5, 5, 5});
      const auto y = RunOp("Sort", {{"num", Numbers{3}}}, {x}, *table);
      CHECK(HasShape(y[0], {2, 3}) && y[1].desc.dtype == DType::kI32);
      CHECK(y[1].Numbers() == (Numbers{1, 3, 2, 1, 2, 3}));
      CHECK(Distance(y[0].Numbers(), {3, 3, 2, NAN, 5, 5}) == 0);
      Numbers many(5000);
      std::mt19937 rng(3);
      for (double& v : many) v = static_cast<double>(rng() % 100) / 4;
      const Value row(dtype, {1, 5000}, many);
      std::vector<size_t> order(5000);
      std::iota(order.begin(), order.end(), size_t{0});
      std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return row.Get(a) > row.Get(b); });
      const auto sorted = RunOp("Sort", {{"num", Numbers{5000}}}, {row}, *table);
      for (size_t i = 0; i < 5000; ++i) CHECK(sorted[1].Get(i) == static_cast<double>(order[i]));
    }
}

void WhereAndFillChooseElements() {
  for (DType dtype : kAll) {
    const Value condition(DType::kI8, {2, 1}, {1, 0}), x(dtype, {1, 3}, {1, 2, 3}),
        y(dtype, {2, 3}, {4, 5, 6, 7, 8, 9});
    CHECK(RunOp("Where", {}, {condition, x, y}, Table())[0].Numbers() == (Numbers{1, 2, 3, 7, 8, 9}));
  }
  for (DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kI32}) {
    const Value x(dtype, {2, 2}, {1, 2, 3, 4}), mask(DType::kI8, {2}, {0, 1});
    CHECK(RunOp("Fill", {{"withMask", true}, {"value", Numbers{-9}}}, {x, mask}, Table())[0].Numbers() ==
          (Numbers{1, -9, 3, -9}));
  }
  const Value x(DType::kI32, {2}, {1, 2}), mask(DType::kI8, {2}, {0, 1});
  CHECK(Has(ErrorOf([&] { RunOp("Fill", {{"withMask", true}, {"value", Numbers{0.5}}}, {x, mask}, Table()); }),
            {"NATIVE_DTYPE_MISMATCH", "Fill: in0"}));
  const Value wide(DType::kI8, {2, 2}, {0, 1, 0, 1});
  CHECK(Has(ErrorOf([&] { RunOp("Fill", {{"withMask", true}, {"value", Numbers{5}}}, {x, wide}, Table()); }),
            {"NATIVE_SHAPE_MISMATCH", "Fill: in1"}));
  const Value filled = RunOp("Fill", {{"value", Numbers{1.5}}, {"outDim", Numbers{2, 3}}}, {}, Table())[0];
  CHECK(HasShape(filled, {2, 3}) && filled.desc.dtype == DType::kF16 && filled.Numbers() == Numbers(6, 1.5));
}

/// Long enough to be shared among threads, and to be cut when it is one row.
void BigCopiesAreShared() {
  const Value x(DType::kI32, {3, 70001}, Count(210003));
  const auto parts =
      RunOp("Split", {{"splitDim", 1}, {"splitNum", 2}, {"splitSizes", Numbers{70000, 1}}}, {x}, Table(), 3);
  CHECK(parts[0].Get(70000) == 70001 && parts[0].Get(209999) == 210001 && parts[1].Get(2) == 210002);
  const Value back = RunOp("Concat", {{"concatDim", 1}}, {parts[0], parts[1]}, Table(), 3)[0];
  CHECK(back.bytes == x.bytes);
  CHECK(RunOp("Transpose", {{"perm", Numbers{1, 0}}}, {x}, Table(), 3)[0].Get(4) == 70002);
  const Value line(DType::kI32, {70001}, Count(70001));
  const Value part = RunOp("Slice", {{"offsets", Numbers{1}}, {"size", Numbers{69999}}}, {line}, Table(), 3)[0];
  for (size_t i = 0; i < 69999; ++i) CHECK(part.Get(i) == static_cast<double>(i + 1));
}

}  // namespace

int main() {
  RUN(GatherTakesAlongAnyAxis);
  RUN(GatherTakesManyNumbers);
  RUN(GatherReadsRowsOfPackedWeights);
  RUN(GatherChecksItsIndices);
  RUN(SplitCutsInTwoOrThree);
  RUN(ConcatJoinsTwo);
  RUN(SliceCountsFromEitherEnd);
  RUN(SetValueWritesABox);
  RUN(TransposeMovesAxes);
  RUN(RepeatTiles);
  RUN(SortIsStableAndDescending);
  RUN(WhereAndFillChooseElements);
  RUN(BigCopiesAreShared);
}
