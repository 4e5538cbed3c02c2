// Packed bytes of every format and table against the definitions in packed_weight.h, element by element.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "aligned.h"
#include "check.h"
#include "kernels/convert.h"
#include "kernels/dispatch.h"
#include "kernels/pack.h"
#include "kernels/pack_integers.h"

namespace atb::kernels {
namespace {

constexpr WeightFormat kFormats[] = {WeightFormat::kBF16, WeightFormat::kF32, WeightFormat::kF16, WeightFormat::kI8,
                                     WeightFormat::kI4};

/// Every bit pattern, NaNs too: what needs no conversion is moved as it is.
std::vector<std::byte> Bytes(int64_t size) {
  std::vector<std::byte> bytes(static_cast<size_t>(size));
  uint32_t state = 1;
  for (std::byte& byte : bytes) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<std::byte>(state >> 24);
  }
  return bytes;
}

struct Shape {
  WeightFormat format;
  int64_t n, k;
  bool interleaved;
  int64_t element() const { return static_cast<int64_t>(SizeOf(DTypeOf(format))); }
};

/// Byte `byte` of element (row, i) of the panel's column, put where the definition says.
void Place(const Shape& s, int64_t column, int64_t i, int64_t byte, std::byte value, std::byte* panel) {
  switch (s.format) {
    case WeightFormat::kBF16:
      panel[i / 32 * 1024 + i % 32 / 2 * 64 + column * 4 + i % 2 * 2 + byte] = value;
      return;
    case WeightFormat::kF32:
      panel[i * 64 + column * 4 + byte] = value;
      return;
    case WeightFormat::kF16:
      panel[i * 32 + column * 2 + byte] = value;
      return;
    case WeightFormat::kI8:
      panel[i / 64 * 1024 + i % 64 / 4 * 64 + column * 4 + i % 4] = value;
      return;
    case WeightFormat::kI4: {
      std::byte& both = panel[i / 64 * 512 + i % 64 / 8 * 64 + column * 4 + i % 4];
      const std::byte half = value & std::byte{0x0F};
      both |= i % 8 < 4 ? half : half << 4;
      return;
    }
  }
}

/// The packed bytes of row-major elements `stride` elements apart.
void Define(const Shape& s, const PackedWeight& weight, const std::byte* rows, int64_t stride, std::byte* data) {
  const int64_t half = s.interleaved ? s.n / 2 : s.n;
  for (int64_t row = 0; row < s.n; ++row) {
    const int64_t r = row % half;
    const int64_t panel = s.interleaved ? r / 16 * 2 + row / half : r / 16;
    for (int64_t i = 0; i < s.k; ++i) {
      for (int64_t byte = 0; byte < s.element(); ++byte) {
        const std::byte value = rows[(row * stride + i) * s.element() + byte];
        Place(s, r % 16, i, byte, value, data + panel * weight.panel_stride);
      }
    }
  }
}

void CheckShape(const Shape& s, const KernelTable& table) {
  PackedWeight weight = PackedGeometry(s.format, s.n, s.k, s.interleaved);
  const int64_t size = PackedBytes(weight), stride = s.k + 3;
  std::vector<std::byte> memory = Bytes(s.n * stride * s.element() + 1);
  const std::byte* rows = memory.data() + 1;  // Nothing is aligned in a file.
  Aligned expected(size, 0);
  Define(s, weight, rows, stride, expected.data);
  for (int64_t piece : {int64_t{7}, int64_t{16}, int64_t{48}, s.n}) {
    Aligned packed(size, 0xEE);
    for (int64_t row = 0; row < s.n; row += piece) {
      PackRows(weight, packed.data, row, std::min(row + piece, s.n),
               {rows + row * stride * s.element(), DTypeOf(s.format), stride}, table);
    }
    const bool same = std::memcmp(packed.data, expected.data, static_cast<size_t>(size)) == 0;
    if (!same) std::fprintf(stderr, "%s format %d [%d,%d]\n", table.isa, int(s.format), int(s.n), int(s.k));
    CHECK(same);
    for (size_t i = static_cast<size_t>(size); i < packed.size; ++i) CHECK(packed.data[i] == std::byte{0xEE});
  }
  weight.data = expected.data;
  std::vector<std::byte> row(static_cast<size_t>(s.k * s.element()) + 1, std::byte{0xEE});
  for (int64_t r = 0; r < s.n; ++r) {
    const std::byte* source = rows + r * stride * s.element();
    if (AreIntegers(s.format)) {
      UnpackIntegers(weight, r, reinterpret_cast<int8_t*>(row.data()));
    } else {
      UnpackRow(weight, r, DTypeOf(s.format), row.data());
    }
    for (size_t i = 0; i + 1 < row.size(); ++i) {
      const int got = static_cast<int8_t>(row[i]), from = static_cast<int8_t>(source[i]);
      CHECK(got == (s.format != WeightFormat::kI4 ? from : (from & 0x0F) - (from & 0x08 ? 16 : 0)));
    }
    CHECK(row.back() == std::byte{0xEE});
  }
}

void PanelsFollowTheirDefinition() {
  for (const KernelTable* table : Available()) {
    for (WeightFormat format : kFormats) {
      for (int64_t n : {1, 16, 17, 50, 64}) {
        for (int64_t k : {1, 3, 7, 8, 30, 31, 32, 33, 63, 64, 65, 127, 130, 520, 1056, 1063})
          CheckShape({format, n, k, false}, *table);
      }
      for (int64_t k : {5, 64, 99}) {
        CheckShape({format, 40, k, true}, *table);
        CheckShape({format, 64, k, true}, *table);
      }
    }
  }
}

void LinesHoldSixteenRows() {
  for (const KernelTable* table : Available()) {
    for (int64_t units = 0; units < 70; ++units) {
      const int64_t stride = units * 4 + 5;
      const std::vector<std::byte> rows = Bytes(16 * stride + 3);
      Aligned lines(units * 64, 0xEE);
      table->pack_lines(rows.data() + 3, stride, units, lines.data);
      for (int64_t i = 0; i < units * 64; ++i)
        CHECK(lines.data[i] == rows[static_cast<size_t>(3 + i / 4 % 16 * stride + i / 64 * 4 + i % 4)]);
      for (size_t i = static_cast<size_t>(units * 64); i < lines.size; ++i) CHECK(lines.data[i] == std::byte{0xEE});
    }
  }
}

void PairsOfInt4ComeApartAndTogether() {
  for (int64_t count : {0, 1, 2, 3, 16, 33, 100}) {
    const std::vector<std::byte> pairs = Bytes((count + 1) / 2);
    std::vector<int8_t> values(static_cast<size_t>(count) + 1, 99);
    ExpandInt4(pairs.data(), count, values.data());
    CHECK(values.back() == 99);
    for (int64_t i = 0; i < count; ++i) {
      const int half = static_cast<int>(pairs[static_cast<size_t>(i / 2)]) >> (i % 2 * 4) & 0x0F;
      CHECK(values[static_cast<size_t>(i)] == (half < 8 ? half : half - 16));
    }
    std::vector<std::byte> again(pairs.size() + 1, std::byte{0xEE});
    CompressInt4(values.data(), count, again.data());
    CHECK(again.back() == std::byte{0xEE});
    for (size_t i = 0; i < pairs.size(); ++i)
      CHECK(again[i] == (count % 2 != 0 && i + 1 == pairs.size() ? pairs[i] & std::byte{0x0F} : pairs[i]));
  }
}

/// A panel of e2m1 numbers becomes the panel that their floats are packed to.
void PanelsOfE2M1BecomeFloats() {
  for (int64_t k : {16, 32, 80, 130}) {
    const PackedWeight codes = PackedGeometry(WeightFormat::kE2M1, kPanelColumns, k);
    const int64_t groups = GroupsOf(k, kWidenedGroup);
    std::vector<int8_t> numbers(static_cast<size_t>(kPanelColumns * k));
    std::vector<float> scales(static_cast<size_t>(groups * kPanelColumns)), floats(numbers.size());
    for (size_t i = 0; i < scales.size(); ++i) scales[i] = 0.001f + 0.0137f * static_cast<float>(i % 29);
    for (int64_t row = 0; row < kPanelColumns; ++row)
      for (int64_t i = 0; i < k; ++i) {
        const auto at = static_cast<size_t>(row * k + i);
        numbers[at] = static_cast<int8_t>((row * 5 + i * 3) % 16);
        const float size = 0.5f * std::fabs(static_cast<float>(TwiceE2M1(numbers[at])));
        const float product = std::copysign(size, numbers[at] >= 8 ? -1.0f : 1.0f) *
                              scales[static_cast<size_t>(i / kWidenedGroup * kPanelColumns + row)];
        floats[at] = Bf16ToF32(F32ToBf16(product));
      }
    Aligned panel(PackedBytes(codes));
    PackRows(codes, panel.data, 0, kPanelColumns, {numbers.data(), DType::kI8, k});
    for (DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
      const PackedWeight weight = PackedGeometry(FormatOf(dtype), kPanelColumns, k);
      Aligned expected(PackedBytes(weight)), found(PackedBytes(weight));
      PackRows(weight, expected.data, 0, kPanelColumns, {floats.data(), DType::kF32, k});
      for (const KernelTable* table : Available()) {
        std::memset(found.data, 0xFF, static_cast<size_t>(PackedBytes(weight)));
        table->widen_e2m1(panel.data, scales.data(), k, dtype, found.data);
        CHECK(std::memcmp(found.data, expected.data, static_cast<size_t>(PackedBytes(weight))) == 0);
      }
    }
  }
}

}  // namespace
}  // namespace atb::kernels

int main() {
  using namespace atb::kernels;
  RUN(PanelsFollowTheirDefinition);
  RUN(LinesHoldSixteenRows);
  RUN(PairsOfInt4ComeApartAndTogether);
  RUN(PanelsOfE2M1BecomeFloats);
  return 0;
}
