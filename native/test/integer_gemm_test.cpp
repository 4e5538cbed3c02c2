// Products with weights of integers, of every table that this machine runs, against sums in double; and all tables'
// bits against the reference's.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "integer_gemm_fixture.h"
#include "tested_tables.h"

namespace atb::kernels {
namespace {

constexpr std::byte kGuard{0x5A};

struct Product {
  Product(const Rows& x_, const Weight& w_, int planes_, DType out_dtype_)
      : x(x_), w(w_), planes(planes_), out_dtype(out_dtype_) {}

  int64_t Columns() const { return swiglu ? w.packed.n / 2 : w.packed.n; }
  int64_t Stride() const { return Columns() + 3; }

  /// All rows in pieces of `rows`, all panels in pieces of `panels` (0: at once).
  std::vector<std::byte> Run(const KernelTable& table, int64_t rows = 0, int64_t panels = 0) const {
    std::vector<std::byte> out(static_cast<size_t>(x.m * Stride()) * SizeOf(out_dtype), kGuard);
    for (int64_t r = 0; residual && r < x.m; ++r) {
      for (int64_t j = 0; j < Columns(); ++j) StoreFloat(out.data(), out_dtype, r * Stride() + j, residual->At(r, j));
    }
    Aligned scratch(table.gemm_scratch_bytes);
    if (rows == 0) rows = x.m;
    if (panels == 0) panels = w.packed.panels;
    for (int64_t row = 0; row < x.m; row += rows) {
      const int64_t count = std::min(rows, x.m - row);
      const Digits digits(table, x, row, count, planes, &w.packed);
      const auto out_at = static_cast<size_t>(row * Stride()) * SizeOf(out_dtype);
      const GemmCall call{.weight = &w.packed,
                          .x = nullptr,
                          .m = count,
                          .x_stride = 0,
                          .bias = bias ? bias->bytes.data() : nullptr,
                          .bias_dtype = bias ? bias->dtype : DType::kF32,
                          .activation = swiglu ? kernels::UnaryOp::kSwish : kernels::UnaryOp::kNone,
                          .gated = swiglu,
                          .residual = residual ? out.data() + out_at : nullptr,
                          .out = out.data() + out_at,
                          .out_dtype = out_dtype,
                          .out_stride = Stride(),
                          .digits = digits.Matrix()};
      for (int64_t panel = 0; panel < w.packed.panels; panel += panels)
        table.gemm(call, panel, std::min(panel + panels, w.packed.panels), scratch.data);
    }
    return out;
  }

  const Rows& x;
  const Weight& w;
  int planes;
  DType out_dtype;
  bool swiglu = false;
  const Rows* bias = nullptr;
  const Rows* residual = nullptr;
};

double UnitOf(DType dtype) { return dtype == DType::kF32 ? 0x1p-23 : dtype == DType::kF16 ? 0x1p-10 : 0x1p-7; }

struct Exact {
  double value;
  double error;
};

/// The numbers of one output's weights, and how large what is summed of each may be.
struct Line {
  Line(const Weight& w, int64_t column) {
    for (int64_t i = 0; i < w.packed.k; ++i) {
      numbers.push_back(w.At(column, i));
      magnitudes.push_back(w.Magnitude(column, i));
      sum += std::fabs(numbers.back());
    }
  }
  std::vector<double> numbers, magnitudes;
  double sum = 0;
};

/// Exact sums of exact products but for half a unit of each activation (a unit being 2^-7, 2^-14 or 2^-22 of the row's
/// largest), and two roundings per group in f32.
Exact Dot(const Product& p, int64_t row, int64_t column, const Line& line) {
  double sum = 0, magnitude = 0, max = 0;
  for (size_t i = 0; i < line.numbers.size(); ++i) {
    const auto x = static_cast<double>(p.x.At(row, static_cast<int64_t>(i)));
    sum += x * line.numbers[i];
    magnitude += std::fabs(x) * line.magnitudes[i];
    max = std::max(max, std::fabs(x));
  }
  if (p.bias) sum += p.bias->At(0, column);
  const double unit = max * (p.planes == 1 ? 1.0 / 127 : p.planes == 2 ? 0x1p-14 : 0x1p-22);
  const double groups = 4 + 2 * std::sqrt(static_cast<double>(p.w.groups));
  return {sum, 0.5 * unit * line.sum + groups * 0x1p-23 * (magnitude + std::fabs(sum))};
}

void CheckProduct(const Product& p, const std::vector<const KernelTable*>& tables) {
  std::vector<std::vector<std::byte>> outs;
  for (const KernelTable* table : tables) outs.push_back(p.Run(*table));
  for (int64_t j = 0; j < p.Columns(); ++j) {
    const Line line(p.w, j), ups(p.w, p.swiglu ? p.Columns() + j : j);
    for (int64_t r = 0; r < p.x.m; ++r) {
      Exact e = Dot(p, r, j, line);
      if (p.swiglu) {
        const Exact up = Dot(p, r, p.Columns() + j, ups);
        const double silu = e.value / (1 + std::exp(-e.value));
        e = {silu * up.value,
             1.1 * e.error * (std::fabs(up.value) + up.error) + std::fabs(silu) * (up.error + 4 * 0x1p-23)};
      }
      if (p.residual) e.value += p.residual->At(r, j);
      const double rounding = 0.5 * UnitOf(p.out_dtype) * (std::fabs(e.value) + e.error) + 0x1p-25;
      for (size_t t = 0; t < outs.size(); ++t) {
        const double got = LoadFloat(outs[t].data(), p.out_dtype, r * p.Stride() + j);
        const bool close = std::fabs(got - e.value) <= e.error + rounding;
        if (!close)
          std::fprintf(stderr, "%s row %ld column %ld: %.9g, exactly %.9g\n", tables[t]->isa, r, j, got, e.value);
        CHECK(close);
      }
    }
  }
  for (const std::vector<std::byte>& out : outs)
    for (int64_t r = 0; r < p.x.m; ++r)
      for (size_t i = 0; i < 3 * SizeOf(p.out_dtype); ++i)
        CHECK(out[static_cast<size_t>(r * p.Stride() + p.Columns()) * SizeOf(p.out_dtype) + i] == kGuard);
}

void TheReferenceIsRight() {
  for (const Kind& kind : kKinds) {
    for (int planes : {1, 2, 3}) {
      for (DType dtype : kFloats) {
        const Weight w(kind.format, 35, 150, kind.group, false, kind.extra);
        const Rows x(dtype, 3, 150, 2);
        const Product p(x, w, planes, DType::kF32);
        CheckProduct(p, {&Select("reference")});
      }
    }
  }
}

/// Bit for bit, at all sizes: groups that end with k or before it, ragged panels, blocks and tiles.
void EveryTableGivesTheBitsOfTheReference() {
  for (const Kind& kind : kKinds) {
    for (int planes : {1, 2, 3}) {
      for (int64_t k : {1, 31, 64, 100, 257}) {
        for (int64_t n : {1, 16, 40, 145}) {
          const Weight w(kind.format, n, k, kind.group, false, kind.extra);
          const DType dtype = kFloats[(k + n) % 3];
          for (int64_t m : {1, 2, 3, 5, 9, 16, 17, 33, 41}) {
            if (m > 17 && n < 145) continue;
            const Rows x(dtype, m, k, 2);
            const Product p(x, w, planes, DType::kF32);
            const KernelTable& reference = Select("reference");
            const std::vector<std::byte> expected = p.Run(reference);
            for (const KernelTable* table : TestedTables()) {
              const bool same = table == &reference || p.Run(*table) == expected;
              if (!same)
                std::fprintf(stderr, "%s: format %d group %ld extra %d planes %d k %ld n %ld m %ld\n", table->isa,
                             static_cast<int>(kind.format), kind.group, static_cast<int>(kind.extra), planes, k, n, m);
              CHECK(same);
            }
          }
        }
      }
    }
  }
}

/// More channels than one go takes, more rows than are kept at once, more panels than a group of them has.
void LargeProductsAreRight() {
  const std::array<int64_t, 4> sizes[] = {{35, 50, 8200, 128}, {300, 40, 130, 32}, {140, 1100, 64, 0},
                                          {150, 70, 4500, 96}, {70, 40, 9000, 0},  {33, 17, 5000, 1024}};
  const std::array<std::pair<WeightFormat, Extra>, 6> kinds = {{{WeightFormat::kI8, Extra::kNone},
                                                                {WeightFormat::kI4, Extra::kNone},
                                                                {WeightFormat::kI4, Extra::kProducts},
                                                                {WeightFormat::kI4, Extra::kOffsets},
                                                                {WeightFormat::kE2M1, Extra::kProducts},
                                                                {WeightFormat::kE2M1, Extra::kExponents}}};
  for (const auto& [format, extra] : kinds) {
    for (int planes : {1, 2, 3}) {
      for (const auto& [m, n, k, group] : sizes) {
        const Weight w(format, n, k, group, false, extra != Extra::kOffsets && group == 0 ? Extra::kNone : extra);
        const Rows x(DType::kBF16, m, k, 2);
        const Product p(x, w, planes, DType::kF32);
        const std::vector<std::byte> first = p.Run(*Available().front());
        // The reference takes too long for all of it.
        const Rows last = [&, m = m, k = k] {
          Rows rows(DType::kBF16, 2, k, 2);
          for (int64_t i = 0; i < 2 * k; ++i) rows.Set(i / k, i % k, x.At(m - 2 + i / k, i % k));
          return rows;
        }();
        const Product q(last, w, planes, DType::kF32);
        const std::vector<std::byte> expected = q.Run(Select("reference"));
        CHECK(std::memcmp(expected.data(), &first[first.size() - expected.size()], expected.size()) == 0);
        for (const KernelTable* table : TestedTables()) {
          if (std::string(table->isa) != "reference") CHECK(p.Run(*table) == first);
        }
      }
    }
  }
}

/// The bits of a row are the same however many rows share the call and however panels are handed out.
void RowsDoNotDependOnTheirCompany() {
  for (const KernelTable* table : TestedTables()) {
    for (const Kind& kind : kKinds) {
      for (int planes : {1, 2, 3}) {
        // The reference computes row by row and is slow: a few ways to hand rows out are enough.
        const bool is_slow = std::string(table->isa) == "reference";
        const int64_t m = is_slow ? 19 : 70;
        const Weight w(kind.format, 150, 200, kind.group, true, kind.extra);
        const Rows x(DType::kBF16, m, 200, 2), bias(DType::kF32, 1, 150, 3);
        for (bool swiglu : {false, true}) {
          Product p(x, w, planes, DType::kF32);
          p.swiglu = swiglu;
          p.bias = &bias;
          const std::vector<std::byte> together = p.Run(*table);
          for (int64_t rows : {1, 2, 3, 5, 8, 16, 17, 32}) {
            if (is_slow && rows != 1 && rows != 16) continue;
            for (int64_t panels : {2, 6, 0})
              if (!is_slow || panels == 2) CHECK(p.Run(*table, rows, panels) == together);
          }
        }
      }
    }
  }
}

void EpiloguesAreRightInEveryDtype() {
  for (const Kind& kind : kKinds) {
    for (DType out : kFloats) {
      for (int64_t m : {1, 17}) {
        for (bool interleaved : {false, true}) {
          const Weight w(kind.format, 100, 65, kind.group, interleaved, kind.extra);
          const Rows x(DType::kBF16, m, 65, 2), bias_own(DType::kBF16, 1, 100, 3), bias_f32(DType::kF32, 1, 100, 4);
          const Rows residual(out, m, 100, 5);
          for (bool swiglu : {false, true}) {
            if (swiglu && !interleaved) continue;
            for (const Rows* bias : {static_cast<const Rows*>(nullptr), &bias_own, &bias_f32}) {
              for (const Rows* added : {static_cast<const Rows*>(nullptr), &residual}) {
                Product p(x, w, 2, out);
                p.swiglu = swiglu;
                p.bias = bias;
                p.residual = added;
                CheckProduct(p, TestedTables());
              }
            }
          }
        }
      }
    }
  }
}

void ANanStaysInItsRow() {
  for (const KernelTable* table : TestedTables()) {
    for (const Kind& kind : kKinds) {
      for (int planes : {1, 2, 3}) {
        for (int64_t m : {1, 3, 17, 40}) {
          const Weight w(kind.format, 40, 97, kind.group, false, kind.extra);
          const Rows clean(DType::kBF16, m, 97, 2);
          const std::vector<std::byte> expected = Product(clean, w, planes, DType::kF32).Run(*table);
          for (int64_t bad : {int64_t{0}, m / 2, m - 1}) {
            Rows x = clean;
            x.Set(bad, 50, std::numeric_limits<float>::quiet_NaN());
            const Product p(x, w, planes, DType::kF32);
            const std::vector<std::byte> got = p.Run(*table);
            for (int64_t r = 0; r < m; ++r) {
              const auto bytes = static_cast<size_t>(p.Stride()) * 4;
              if (r != bad)
                CHECK(std::memcmp(&got[static_cast<size_t>(r) * bytes], &expected[static_cast<size_t>(r) * bytes],
                                  bytes) == 0);
              for (int64_t j = 0; r == bad && j < 40; ++j)
                CHECK(std::isnan(LoadFloat(got.data(), DType::kF32, r * p.Stride() + j)));
            }
          }
        }
      }
    }
  }
}

/// The largest digits and weights there are, over the most channels: sums come close to the ends of int32.
void SumsOfTheLargestProductsDoNotOverflow() {
  const int64_t k = 131071, n = 2;
  for (const Kind& kind :
       {Kind{WeightFormat::kI8, 0}, Kind{WeightFormat::kI4, 0}, Kind{WeightFormat::kI4, 1024, Extra::kProducts},
        Kind{WeightFormat::kE2M1, 1024, Extra::kProducts}}) {
    const WeightFormat format = kind.format;
    Weight w(format, n, k, kind.group, false, kind.extra);
    const bool twice = format == WeightFormat::kE2M1;
    std::vector<int8_t> multipliers(16 * 128, twice ? 8 : 15);
    if (kind.extra == Extra::kProducts) w.packed.multipliers = multipliers.data();
    for (size_t i = 0; i < w.integers.size(); ++i) w.integers[i] = format == WeightFormat::kI8 ? -128 : twice ? -1 : -8;
    PackRows(w.packed, w.memory.data, 0, n, {w.integers.data(), DType::kI8, k});
    for (int planes : {1, 2}) {
      for (const KernelTable* table : TestedTables()) {
        for (int64_t m : {1, 17}) {
          // Given digits, as W8A8MatMul gives them: -128 is one.
          std::vector<float> ones(static_cast<size_t>(m), 1.0f);
          Aligned digits(m * planes * 131072), scratch(table->gemm_scratch_bytes);
          std::memset(digits.data, 0x80, static_cast<size_t>(m * planes * 131072));
          std::vector<float> out(static_cast<size_t>(m * n));
          const GemmCall call{.weight = &w.packed,
                              .x = nullptr,
                              .m = m,
                              .x_stride = 0,
                              .bias = nullptr,
                              .bias_dtype = DType::kF32,
                              .residual = nullptr,
                              .out = out.data(),
                              .out_dtype = DType::kF32,
                              .out_stride = n,
                              .digits = {reinterpret_cast<const int8_t*>(digits.data), planes, ones.data()}};
          table->gemm(call, 0, 1, scratch.data);
          const double number = planes == 1 ? -128 : -128 * 256 - 128;
          for (int64_t i = 0; i < m * n; ++i) {
            const double weight = twice ? -6 : static_cast<double>(w.integers[0]);
            const double expected = number * static_cast<double>(k) * weight *
                                    (kind.extra == Extra::kProducts ? static_cast<double>(multipliers[0]) : 1.0) *
                                    static_cast<double>(w.packed.scales[i % n]);
            CHECK(std::fabs(static_cast<double>(out[static_cast<size_t>(i)]) - expected) <= 0x1p-21 * expected);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace atb::kernels

int main() {
  using namespace atb::kernels;
  RUN(TheReferenceIsRight);
  RUN(EveryTableGivesTheBitsOfTheReference);
  RUN(LargeProductsAreRight);
  RUN(RowsDoNotDependOnTheirCompany);
  RUN(EpiloguesAreRightInEveryDtype);
  RUN(ANanStaysInItsRow);
  RUN(SumsOfTheLargestProductsDoNotOverflow);
  return 0;
}
