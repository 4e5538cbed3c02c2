// Packing, and products with packed weights of every table that this machine runs, against sums in double.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "aligned.h"
#include "base/error.h"
#include "check.h"
#include "floats.h"
#include "kernels/convert.h"
#include "kernels/dispatch.h"
#include "kernels/pack.h"
#include "random.h"

namespace atb::kernels {
namespace {

/// A row-major matrix of floats of some dtype, filled with numbers that the dtype holds exactly.
struct Matrix {
  Matrix(DType type, int64_t rows_, int64_t columns_, uint32_t seed, int64_t stride_ = 0)
      : dtype(type), rows(rows_), columns(columns_), stride(stride_ ? stride_ : columns_) {
    bytes.resize(static_cast<size_t>(rows * stride) * SizeOf(type));
    int64_t i = 0;
    for (float x : test::Uniform<float>(rows * stride, -1, 1, seed)) StoreFloat(bytes.data(), dtype, i++, x);
  }
  /// All numbers, [rows, columns].
  std::vector<double> Wide() const {
    std::vector<double> wide;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t i = 0; i < columns; ++i) wide.push_back(At(r, i));
    return wide;
  }
  float At(int64_t row, int64_t column) const { return LoadFloat(bytes.data(), dtype, row * stride + column); }
  void Set(int64_t row, int64_t column, float value) { StoreFloat(bytes.data(), dtype, row * stride + column, value); }
  SourceMatrix Source(int64_t row = 0) const {
    return {bytes.data() + static_cast<size_t>(row * stride) * SizeOf(dtype), dtype, stride};
  }

  DType dtype;
  int64_t rows, columns, stride;
  std::vector<std::byte> bytes;
};

struct Packed {
  Packed(const Matrix& source, WeightFormat format, bool interleaved = false, int64_t piece = 16)
      : weight(PackedGeometry(format, source.rows, source.columns, interleaved)), memory(PackedBytes(weight)) {
    // Pieces from the last to the first: their order must not matter.
    for (int64_t row = (source.rows - 1) / piece * piece; row >= 0; row -= piece) {
      PackRows(weight, memory.data, row, std::min(row + piece, source.rows), source.Source(row));
    }
    weight.data = memory.data;
  }
  PackedWeight weight;
  Aligned memory;
};

// --- Packing ---

void EveryRowComesBackOutOfItsPanel() {
  for (DType dtype : kFloats) {
    for (int64_t n : {1, 15, 16, 17, 48, 50}) {
      for (int64_t k : {1, 2, 31, 32, 33, 64}) {
        for (int64_t piece : {1, 7, 16, 64}) {
          const Matrix source(dtype, n, k, 3);
          const Packed packed(source, FormatOf(dtype), false, piece);
          CHECK(DTypeOf(packed.weight.format) == dtype && packed.weight.panels == (n + 15) / 16);
          for (DType to : kFloats) {
            std::vector<std::byte> row(static_cast<size_t>(k) * SizeOf(to));
            for (int64_t r = 0; r < n; ++r) {
              UnpackRow(packed.weight, r, to, row.data());
              for (int64_t i = 0; i < k; ++i) {
                std::byte expected[4], got[4];
                StoreFloat(expected, to, 0, source.At(r, i));
                std::memcpy(got, row.data() + static_cast<size_t>(i) * SizeOf(to), SizeOf(to));
                CHECK(std::memcmp(expected, got, SizeOf(to)) == 0);
              }
            }
          }
        }
      }
    }
  }
}

void PaddingIsZero() {
  for (DType dtype : kFloats) {
    for (bool interleaved : {false, true}) {
      const Matrix source(dtype, 38, 33, 3);  // Halves of 19 rows: panels of 16 and 3.
      const Packed packed(source, FormatOf(dtype), interleaved);
      int64_t zeros = 0;
      const int64_t numbers = PackedBytes(packed.weight) / static_cast<int64_t>(SizeOf(dtype));
      for (int64_t i = 0; i < numbers; ++i) {
        const float value = LoadFloat(packed.memory.data, dtype, i);
        CHECK(!std::isnan(value));
        zeros += value == 0;
      }
      CHECK(zeros == numbers - 38 * 33);
    }
  }
}

void SourcesOfOtherDtypesAndOrdersAreConverted() {
  for (DType from : kFloats) {
    for (DType to : kFloats) {
      const Matrix source(from, 40, 32, 4);
      const Packed packed(source, FormatOf(to));
      // The transposed matrix [k, n], read with swapped strides, packs into the same bytes.
      Matrix turned(from, 32, 40, 5);
      for (int64_t r = 0; r < 40; ++r) {
        for (int64_t i = 0; i < 32; ++i) turned.Set(i, r, source.At(r, i));
      }
      Aligned memory(PackedBytes(packed.weight));
      PackRows(packed.weight, memory.data, 0, 40, {turned.bytes.data(), from, 1, 40});
      CHECK(std::memcmp(memory.data, packed.memory.data, static_cast<size_t>(PackedBytes(packed.weight))) == 0);
      std::vector<float> row(32);
      UnpackRow(packed.weight, 39, DType::kF32, row.data());
      for (int64_t i = 0; i < 32; ++i) {
        std::byte rounded[4];
        StoreFloat(rounded, to, 0, source.At(39, i));
        CHECK(row[static_cast<size_t>(i)] == LoadFloat(rounded, to, 0));
      }
    }
  }
}

void InterleavedPanelsAlternate() {
  const Matrix source(DType::kF32, 36, 5, 6);  // gate rows 0..17, up rows 18..35.
  const Packed packed(source, WeightFormat::kF32, true);
  const PackedWeight& w = packed.weight;
  CHECK(w.panels == 4);
  CHECK(PanelRow(w, 0) == 0 && PanelRow(w, 1) == 18 && PanelRow(w, 2) == 16 && PanelRow(w, 3) == 34);
  CHECK(PanelWidth(w, 1) == 16 && PanelWidth(w, 2) == 2 && PanelWidth(w, 3) == 2);
  std::vector<float> row(5);
  for (int64_t r = 0; r < 36; ++r) {
    UnpackRow(w, r, DType::kF32, row.data());
    for (int64_t i = 0; i < 5; ++i) CHECK(row[static_cast<size_t>(i)] == source.At(r, i));
  }
}

void ImpossibleGeometriesAreRefused() {
  const auto code = [](int64_t n, int64_t k, bool interleaved) -> std::string {
    try {
      PackedGeometry(WeightFormat::kBF16, n, k, interleaved);
    } catch (const Error& e) {
      return e.code();
    }
    return "";
  };
  CHECK(code(0, 4, false) == "NATIVE_SHAPE_MISMATCH");
  CHECK(code(4, -1, false) == "NATIVE_SHAPE_MISMATCH");
  CHECK(code(3, 4, true) == "NATIVE_SHAPE_MISMATCH");
  CHECK(code(int64_t{1} << 40, int64_t{1} << 40, false) == "NATIVE_SIZE_OVERFLOW");
  CHECK(code(2, 4, true).empty());
}

// --- Products ---

constexpr std::byte kGuard{0x5A};

/// One product with everything around it; `out` has columns of guard bytes behind each row.
struct Product {
  Product(const Matrix& x_, const Packed& w_, DType out_dtype_) : x(x_), w(w_), out_dtype(out_dtype_) {}

  int64_t Columns() const { return swiglu ? w.weight.n / 2 : w.weight.n; }
  int64_t Stride() const { return Columns() + 3; }
  GemmCall Call(int64_t row, int64_t rows, std::vector<std::byte>& out) const {
    const auto x_at = static_cast<size_t>(row * x.stride) * SizeOf(x.dtype);
    const auto out_at = static_cast<size_t>(row * Stride()) * SizeOf(out_dtype);
    return {.weight = &w.weight,
            .x = x.bytes.data() + x_at,
            .m = rows,
            .x_stride = x.stride,
            .bias = bias ? bias->bytes.data() : nullptr,
            .bias_dtype = bias ? bias->dtype : DType::kF32,
            .activation = swiglu ? kernels::UnaryOp::kSwish : kernels::UnaryOp::kNone,
            .gated = swiglu,
            .residual = residual ? out.data() + out_at : nullptr,
            .out = out.data() + out_at,
            .out_dtype = out_dtype,
            .out_stride = Stride()};
  }
  std::vector<std::byte> Empty() const {
    std::vector<std::byte> out(static_cast<size_t>(x.rows * Stride()) * SizeOf(out_dtype), kGuard);
    for (int64_t r = 0; residual && r < x.rows; ++r) {
      for (int64_t j = 0; j < Columns(); ++j) StoreFloat(out.data(), out_dtype, r * Stride() + j, residual->At(r, j));
    }
    return out;
  }
  /// All rows in pieces of `rows`, all panels in pieces of `panels` (0: at once).
  std::vector<std::byte> Run(const KernelTable& table, int64_t rows = 0, int64_t panels = 0) const {
    std::vector<std::byte> out = Empty();
    Aligned scratch(table.gemm_scratch_bytes);
    if (rows == 0) rows = x.rows;
    if (panels == 0) panels = w.weight.panels;
    for (int64_t row = 0; row < x.rows; row += rows) {
      const GemmCall call = Call(row, std::min(rows, x.rows - row), out);
      for (int64_t panel = 0; panel < w.weight.panels; panel += panels) {
        table.gemm(call, panel, std::min(panel + panels, w.weight.panels), scratch.data);
      }
    }
    return out;
  }
  void CheckGuards(const std::vector<std::byte>& out) const {
    const size_t size = SizeOf(out_dtype);
    for (int64_t r = 0; r < x.rows; ++r) {
      for (size_t i = static_cast<size_t>(r * Stride() + Columns()) * size;
           i < static_cast<size_t>((r + 1) * Stride()) * size; ++i) {
        CHECK(out[i] == kGuard);
      }
    }
  }

  const Matrix& x;
  const Packed& w;
  DType out_dtype;
  bool swiglu = false;
  const Matrix* bias = nullptr;
  const Matrix* residual = nullptr;
};

double UnitOf(DType dtype) { return dtype == DType::kF32 ? 0x1p-23 : dtype == DType::kF16 ? 0x1p-10 : 0x1p-7; }

struct Exact {
  double value;
  double error;  ///< What a chain of k rounded additions may miss.
};

/// Roundings of a chain of k additions behave like a random walk: sqrt(k) half units of the sum of magnitudes; eight
/// more units for luck with small k. A lost or doubled product, or a stray row, is 1/k of that sum: far more.
/// `x`, `w`: a row of each.
Exact Dot(const Product& p, const double* x, const double* w, int64_t column) {
  double sum = 0, magnitude = 0;
  for (int64_t i = 0; i < p.x.columns; ++i) {
    const double product = x[i] * w[i];
    sum += product;
    magnitude += std::fabs(product);
  }
  if (p.bias) sum += p.bias->At(0, column);
  const double k = static_cast<double>(p.x.columns);
  return {sum, (8 + std::sqrt(k)) * 0x1p-24 * (magnitude + std::fabs(sum))};
}

/// What a product comes to, [rows, columns].
std::vector<Exact> ExactOf(const Product& p, const Matrix& w) {
  const std::vector<double> xs = p.x.Wide(), ws = w.Wide();
  const auto dot = [&](int64_t row, int64_t column) {
    return Dot(p, &xs[static_cast<size_t>(row * w.columns)], &ws[static_cast<size_t>(column * w.columns)], column);
  };
  std::vector<Exact> exact;
  for (int64_t r = 0; r < p.x.rows; ++r) {
    for (int64_t j = 0; j < p.Columns(); ++j) {
      Exact e = dot(r, j);
      if (p.swiglu) {
        const Exact up = dot(r, p.Columns() + j);
        const double silu = e.value / (1 + std::exp(-e.value));
        // The slope of silu is at most 1.1; its own arithmetic adds a few units.
        e = {silu * up.value, 1.1 * e.error * std::fabs(up.value) + std::fabs(silu) * (up.error + 4 * 0x1p-23)};
      }
      if (p.residual) e.value += p.residual->At(r, j);
      exact.push_back(e);
    }
  }
  return exact;
}

/// On every table, or on all but the reference.
void CheckProduct(const Product& p, const Matrix& w, bool with_reference = true) {
  const std::vector<Exact> exact = ExactOf(p, w);
  for (const KernelTable* table : Available()) {
    if (!with_reference && std::string(table->isa) == "reference") continue;
    const std::vector<std::byte> out = p.Run(*table);
    for (size_t i = 0; i < exact.size(); ++i) {
      const Exact& e = exact[i];
      const auto r = static_cast<int64_t>(i) / p.Columns(), j = static_cast<int64_t>(i) % p.Columns();
      const double got = LoadFloat(out.data(), p.out_dtype, r * p.Stride() + j);
      const double rounding = 0.5 * UnitOf(p.out_dtype) * (std::fabs(e.value) + e.error) + 0x1p-25;
      const bool close = std::fabs(got - e.value) <= e.error + rounding;
      if (!close) std::fprintf(stderr, "%s row %ld column %ld: %.9g, exactly %.9g\n", table->isa, r, j, got, e.value);
      CHECK(close);
    }
    p.CheckGuards(out);
  }
}

template <typename F>
void ForEachTableAndFormat(F f) {
  for (const KernelTable* table : Available()) {
    for (DType dtype : kFloats) f(*table, dtype);
  }
}

void ProductsOfRaggedSizesAreRight() {
  for (DType dtype : kFloats) {
    for (int64_t k : {1, 2, 31, 32, 33, 100, 257}) {
      for (int64_t n : {1, 15, 16, 17, 100, 129}) {
        const Matrix w(dtype, n, k, 1);
        const Packed packed(w, FormatOf(dtype));
        for (int64_t m : {1, 2, 15, 16, 17, 33, 70}) {
          const Matrix x(dtype, m, k, 2);
          const Product p(x, packed, DType::kF32);
          CheckProduct(p, w);
        }
      }
    }
  }
}

/// More channels than are multiplied in one go, more rows than are kept at once.
void LargeProductsAreRight() {
  for (DType dtype : kFloats) {
    const std::array<int64_t, 3> sizes[] = {{35, 50, 8201}, {57, 36, 4130}, {1049, 40, 70}, {545, 20, 4130}};
    for (const auto& [m, n, k] : sizes) {
      const Matrix w(dtype, n, k, 1), x(dtype, m, k, 2);
      const Packed packed(w, FormatOf(dtype));
      const Product p(x, packed, DType::kF32);
      CheckProduct(p, w, m < 500);
    }
  }
}

void EpiloguesAreRightInEveryDtype() {
  for (DType dtype : kFloats) {
    for (DType out : kFloats) {
      for (int64_t m : {1, 17, 33}) {
        for (int64_t n : {16, 34, 100}) {
          const Matrix w(dtype, n, 65, 1), x(dtype, m, 65, 2, 70);
          const Matrix bias_own(dtype, 1, n, 3), bias_f32(DType::kF32, 1, n, 4), residual(out, m, n, 5);
          const Packed plain(w, FormatOf(dtype)), interleaved(w, FormatOf(dtype), true);
          for (const Packed* packed : {&plain, &interleaved}) {
            for (bool swiglu : {false, true}) {
              if (swiglu && packed == &plain) continue;
              for (const Matrix* bias : {static_cast<const Matrix*>(nullptr), &bias_own, &bias_f32}) {
                for (const Matrix* added : {static_cast<const Matrix*>(nullptr), &residual}) {
                  Product p(x, *packed, out);
                  p.swiglu = swiglu;
                  p.bias = bias;
                  p.residual = added;
                  CheckProduct(p, w);
                }
              }
            }
          }
        }
      }
    }
  }
}

/// The bits of a row are the same however many rows share the call and however panels are handed out.
void RowsDoNotDependOnTheirCompany() {
  ForEachTableAndFormat([](const KernelTable& table, DType dtype) {
    const int64_t sizes[][3] = {{37, 100, 97}, {70, 130, 4200}};
    for (const auto& [m, n, k] : sizes) {
      if (std::string(table.isa) == "reference" && k > 1000) continue;
      const Matrix w(dtype, n, k, 1), x(dtype, m, k, 2), bias(DType::kF32, 1, n, 3);
      const Packed packed(w, FormatOf(dtype), true);
      for (bool swiglu : {false, true}) {
        Product p(x, packed, DType::kF32);
        p.swiglu = swiglu;
        p.bias = &bias;
        const std::vector<std::byte> together = p.Run(table);
        for (int64_t rows : {1, 2, 3, 5, 16, 17, 32}) {
          for (int64_t panels : {2, 4, 6, 0}) CHECK(p.Run(table, rows, panels) == together);
        }
      }
    }
  });
}

void ANanStaysInItsRow() {
  ForEachTableAndFormat([](const KernelTable& table, DType dtype) {
    for (int64_t k : {1, 31, 33, 64, 97}) {
      for (int64_t m : {3, 17, 40}) {
        const Matrix w(dtype, 40, k, 1);
        const Packed packed(w, FormatOf(dtype));
        const Matrix clean(dtype, m, k, 2);
        const std::vector<std::byte> expected = Product(clean, packed, DType::kF32).Run(table);
        for (int64_t bad : {int64_t{0}, int64_t{1}, m - 1}) {
          Matrix x = clean;
          for (int64_t i = 0; i < k; ++i) x.Set(bad, i, std::numeric_limits<float>::quiet_NaN());
          const Product p(x, packed, DType::kF32);
          const std::vector<std::byte> got = p.Run(table);
          for (int64_t r = 0; r < m; ++r) {
            const auto bytes = static_cast<size_t>(p.Stride()) * 4;
            if (r != bad) CHECK(std::memcmp(&got[r * bytes], &expected[r * bytes], bytes) == 0);
            if (r == bad) CHECK(std::isnan(LoadFloat(got.data(), DType::kF32, r * p.Stride() + 39)));
          }
        }
      }
    }
  });
}

}  // namespace
}  // namespace atb::kernels

int main() {
  using namespace atb::kernels;
  RUN(EveryRowComesBackOutOfItsPanel);
  RUN(PaddingIsZero);
  RUN(SourcesOfOtherDtypesAndOrdersAreConverted);
  RUN(InterleavedPanelsAlternate);
  RUN(ImpossibleGeometriesAreRefused);
  RUN(ProductsOfRaggedSizesAreRight);
  RUN(LargeProductsAreRight);
  RUN(EpiloguesAreRightInEveryDtype);
  RUN(RowsDoNotDependOnTheirCompany);
  RUN(ANanStaysInItsRow);
  return 0;
}
