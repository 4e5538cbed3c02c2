// Weights of e4m3: their codes, packing, and products of every table that this machine runs against sums in double.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "aligned.h"
#include "check.h"
#include "floats.h"
#include "kernels/convert.h"
#include "kernels/dispatch.h"
#include "kernels/pack.h"
#include "kernels/pack_integers.h"
#include "random.h"

namespace atb::kernels {
namespace {

/// Random codes, among them every one but NaN, with scales of groups.
struct Weight {
  Weight(int64_t n, int64_t k, int64_t group, bool interleaved = false, float scale = 0.01f)
      : packed(PackedGeometry(WeightFormat::kE4M3, n, k, interleaved)),
        groups(GroupsOf(k, group)),
        codes(static_cast<size_t>(n * k)),
        scales(static_cast<size_t>(n * groups)),
        memory(PackedBytes(packed)),
        scale_memory(ScalesBytes(ScalesGeometry(n, groups, interleaved))) {
    test::Random random(5);
    for (size_t i = 0; i < codes.size(); ++i) {
      codes[i] = static_cast<uint8_t>(i < 256 ? i : static_cast<size_t>(random.Below(256)));
      if ((codes[i] & 0x7F) == 0x7F) codes[i] = 1;
    }
    for (float& s : scales) s = scale * static_cast<float>(1 + random.Below(9));
    for (int64_t row = (n - 1) / 7 * 7; row >= 0; row -= 7) {  // Pieces in no order: it must not matter.
      const int64_t end = std::min(row + 7, n);
      PackRows(packed, memory.data, row, end, {&codes[static_cast<size_t>(row * k)], DType::kI8, k});
      PackScales(ScalesGeometry(n, groups, interleaved), reinterpret_cast<float*>(scale_memory.data), row, end,
                 &scales[static_cast<size_t>(row * groups)], groups);
    }
    packed.data = memory.data;
    packed.group = group;
    packed.scales = group ? reinterpret_cast<const float*>(scale_memory.data) : scales.data();
  }
  double At(int64_t row, int64_t i) const {
    const int64_t g = packed.group ? i / packed.group : 0;
    return static_cast<double>(E4M3ToF32(codes[static_cast<size_t>(row * packed.k + i)])) *
           static_cast<double>(scales[static_cast<size_t>(row * groups + g)]);
  }

  PackedWeight packed;
  int64_t groups;
  std::vector<uint8_t> codes;
  std::vector<float> scales;
  Aligned memory, scale_memory;
};

struct Rows {
  Rows(DType type, int64_t m_, int64_t k_, float high = 1)
      : dtype(type), m(m_), k(k_), bytes(static_cast<size_t>(m * k) * SizeOf(type)) {
    int64_t i = 0;
    for (float x : test::Uniform<float>(m * k, -high, high, 2)) StoreFloat(bytes.data(), dtype, i++, x);
  }
  float At(int64_t row, int64_t i) const { return LoadFloat(bytes.data(), dtype, row * k + i); }

  DType dtype;
  int64_t m, k;
  std::vector<std::byte> bytes;
};

struct Product {
  Product(const Rows& rows, const Weight& weight) : x(rows), w(weight) {}
  int64_t Columns() const { return gated ? w.packed.n / 2 : w.packed.n; }

  /// f32 [m, columns]; all rows in pieces of `rows`, all panels in pieces of `panels` (0: at once).
  std::vector<float> Run(const KernelTable& table, int64_t rows = 0, int64_t panels = 0) const {
    std::vector<float> out(static_cast<size_t>(x.m * Columns()), std::numeric_limits<float>::quiet_NaN());
    Aligned scratch(table.gemm_scratch_bytes);
    if (rows == 0) rows = x.m;
    if (panels == 0) panels = w.packed.panels;
    for (int64_t row = 0; row < x.m; row += rows) {
      const GemmCall call{.weight = &w.packed,
                          .x = x.bytes.data() + static_cast<size_t>(row * x.k) * SizeOf(x.dtype),
                          .m = std::min(rows, x.m - row),
                          .x_stride = x.k,
                          .bias = bias,
                          .bias_dtype = DType::kF32,
                          .activation = gated ? UnaryOp::kSwish : UnaryOp::kNone,
                          .gated = gated,
                          .residual = nullptr,
                          .out = out.data() + row * Columns(),
                          .out_dtype = DType::kF32,
                          .out_stride = Columns(),
                          .x_dtype = x.dtype};
      for (int64_t panel = 0; panel < w.packed.panels; panel += panels)
        table.gemm(call, panel, std::min(panel + panels, w.packed.panels), scratch.data);
    }
    return out;
  }

  const Rows& x;
  const Weight& w;
  bool gated = false;
  const float* bias = nullptr;
};

/// Sums of k products in f32.
void CheckProduct(const Product& p, const std::vector<float>& out) {
  for (int64_t r = 0; r < p.x.m; ++r) {
    for (int64_t j = 0; j < p.w.packed.n; ++j) {
      double sum = p.bias ? p.bias[j] : 0, magnitude = std::fabs(sum);
      for (int64_t i = 0; i < p.x.k; ++i) {
        const double product = static_cast<double>(p.x.At(r, i)) * p.w.At(j, i);
        sum += product;
        magnitude += std::fabs(product);
      }
      const double got = out[static_cast<size_t>(r * p.w.packed.n + j)];
      const bool close = std::fabs(got - sum) <= 0x1p-21 * magnitude + 1e-30;
      if (!close) std::fprintf(stderr, "row %ld column %ld: %.9g, exactly %.9g\n", r, j, got, sum);
      CHECK(close);
    }
  }
}

/// Against the definition: s eeee mmm with a bias of 7, and no infinity.
void CodesAreTheNumbersOfTheSpecification() {
  CHECK(E4M3ToF32(0x00) == 0 && E4M3ToF32(0x01) == 0x1p-9f && E4M3ToF32(0x07) == 7 * 0x1p-9f);
  CHECK(E4M3ToF32(0x08) == 0x1p-6f && E4M3ToF32(0x38) == 1 && E4M3ToF32(0x7E) == 448);
  for (int code = 0; code < 128; ++code) {
    if (code > 0 && code < 127)
      CHECK(E4M3ToF32(static_cast<uint8_t>(code)) > E4M3ToF32(static_cast<uint8_t>(code - 1)));
    CHECK(E4M3ToF32(static_cast<uint8_t>(code | 128)) == -E4M3ToF32(static_cast<uint8_t>(code)));
  }
}

void CodesComeBackOutOfTheirPanels() {
  for (bool interleaved : {false, true}) {
    for (int64_t n : {2, 16, 34, 50}) {
      for (int64_t k : {1, 3, 4, 31, 64, 65, 130}) {
        const Weight w(n, k, 0, interleaved);
        std::vector<int8_t> row(static_cast<size_t>(k));
        for (int64_t r = 0; r < n; ++r) {
          UnpackIntegers(w.packed, r, row.data());
          CHECK(std::memcmp(row.data(), &w.codes[static_cast<size_t>(r * k)], row.size()) == 0);
        }
        int64_t zeros = 0, expected = PackedBytes(w.packed) - n * k;
        for (uint8_t code : w.codes) expected += code == 0;
        for (int64_t i = 0; i < PackedBytes(w.packed); ++i) zeros += w.memory.data[i] == std::byte{0};
        CHECK(zeros == expected);
      }
    }
  }
}

/// A product with rows that have a single one reads every weight, subnormals too, exactly.
void EveryCodeIsExactInEveryTable() {
  const int64_t n = 16, k = 16;
  const Weight w(n, k, 0, false, 1.0f);
  for (const KernelTable* table : Available()) {
    for (DType dtype : kFloats) {
      Rows x(dtype, k, k);
      for (int64_t i = 0; i < k * k; ++i) StoreFloat(x.bytes.data(), dtype, i, i % (k + 1) == 0 ? 1.0f : 0.0f);
      for (int64_t rows : {1, 2, 16}) {
        const std::vector<float> out = Product(x, w).Run(*table, rows);
        for (int64_t i = 0; i < k; ++i) {
          for (int64_t j = 0; j < n; ++j) CHECK(static_cast<double>(out[static_cast<size_t>(i * n + j)]) == w.At(j, i));
        }
      }
    }
  }
}

void ProductsAreRightAtAllSizes() {
  for (const KernelTable* table : Available()) {
    for (DType dtype : kFloats) {
      for (int64_t group : {0, 32, 96, 128}) {
        for (int64_t k : {1, 31, 64, 100, 257}) {
          for (int64_t n : {1, 40, 145}) {
            const Weight w(n, k, group);
            for (int64_t m : {1, 2, 3, 9, 17, 33}) {
              if (m > 9 && (n != 40 || k < 100)) continue;
              const Rows x(dtype, m, k);
              CheckProduct(Product(x, w), Product(x, w).Run(*table));
            }
          }
        }
      }
    }
  }
}

/// Channels of several slices, rows of several blocks.
void LargeProductsAreRight() {
  const int64_t sizes[][4] = {{70, 40, 9000, 0},   {33, 17, 5000, 1024},  {1100, 20, 300, 128},
                              {35, 50, 2304, 128}, {290, 560, 2500, 128}, {290, 560, 2500, 0}};
  for (const KernelTable* table : Available()) {
    if (std::string(table->isa) == "reference") continue;
    for (const auto& [m, n, k, group] : sizes) {
      const Weight w(n, k, group);
      const Rows x(DType::kBF16, m, k);
      const std::vector<float> all = Product(x, w).Run(*table);
      for (int64_t row : {int64_t{0}, m / 2, m - 2}) {
        Rows some(DType::kBF16, 2, k);
        std::memcpy(some.bytes.data(), &x.bytes[static_cast<size_t>(row * k * 2)], some.bytes.size());
        const std::vector<float> two = Product(some, w).Run(*table);
        CheckProduct(Product(some, w), two);
        CHECK(std::memcmp(two.data(), &all[static_cast<size_t>(row * n)], two.size() * 4) == 0);
      }
    }
  }
}

/// The bits of a row are the same however many rows share the call and however panels are handed out. Small activations
/// give subnormal products and sums.
void RowsDoNotDependOnTheirCompany() {
  for (const KernelTable* table : Available()) {
    for (DType dtype : kFloats) {
      for (int64_t group : {0, 32, 128}) {
        for (float high : {1.0f, 1e-36f}) {
          const int64_t m = std::string(table->isa) == "reference" ? 19 : 70;
          if (m < 70 && (dtype != DType::kBF16 || high != 1)) continue;  // One loop does it all.
          const Weight w(150, 200, group, true);
          const Rows x(dtype, m, 200, dtype == DType::kF16 ? 1.0f : high);
          const std::vector<float> bias = test::Uniform<float>(150, -1, 1, 3);
          for (bool gated : {false, true}) {
            Product p(x, w);
            p.gated = gated;
            if (high == 1) p.bias = bias.data();
            const std::vector<float> together = p.Run(*table);
            for (int64_t rows : {1, 2, 3, 5, 16, 17, 32}) {
              for (int64_t panels : {2, 6, 0}) {
                const std::vector<float> apart = p.Run(*table, rows, panels);
                CHECK(std::memcmp(apart.data(), together.data(), apart.size() * 4) == 0);
              }
            }
          }
        }
      }
    }
  }
}

void ScalesMayBeAsSmallOrLargeAsF32Allows() {
  for (const KernelTable* table : Available()) {
    for (float scale : {1e-38f, 1e-42f, 1e30f}) {
      const Weight w(20, 150, 128, false, scale);
      const Rows x(DType::kBF16, 3, 150);
      const std::vector<float> out = Product(x, w).Run(*table);
      for (int64_t r = 0; r < 3; ++r) {
        for (int64_t j = 0; j < 20; ++j) {
          double sum = 0, magnitude = 0;
          for (int64_t i = 0; i < 150; ++i) {
            sum += static_cast<double>(x.At(r, i)) * w.At(j, i);
            magnitude += std::fabs(static_cast<double>(x.At(r, i)) * w.At(j, i));
          }
          CHECK(std::fabs(static_cast<double>(out[static_cast<size_t>(r * 20 + j)]) - sum) <=
                0x1p-20 * magnitude + 1e-44);
        }
      }
    }
  }
}

void ANanStaysInItsRow() {
  for (const KernelTable* table : Available()) {
    const Weight w(40, 97, 32);
    Rows x(DType::kBF16, 20, 97);
    const std::vector<float> clean = Product(x, w).Run(*table);
    StoreFloat(x.bytes.data(), DType::kBF16, 5 * 97 + 50, std::numeric_limits<float>::quiet_NaN());
    const std::vector<float> got = Product(x, w).Run(*table);
    for (size_t i = 0; i < got.size(); ++i) CHECK(i / 40 == 5 ? std::isnan(got[i]) : got[i] == clean[i]);
  }
}

}  // namespace
}  // namespace atb::kernels

int main() {
  using namespace atb::kernels;
  RUN(CodesAreTheNumbersOfTheSpecification);
  RUN(CodesComeBackOutOfTheirPanels);
  RUN(EveryCodeIsExactInEveryTable);
  RUN(ProductsAreRightAtAllSizes);
  RUN(LargeProductsAreRight);
  RUN(RowsDoNotDependOnTheirCompany);
  RUN(ScalesMayBeAsSmallOrLargeAsF32Allows);
  RUN(ANanStaysInItsRow);
  return 0;
}
