// Row kernels of every table that this machine runs, against the reference table or double arithmetic.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "check.h"
#include "kernels/convert.h"
#include "kernels/dispatch.h"
#include "random.h"

namespace atb::kernels {
namespace {

const int64_t kSizes[] = {1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 128, 1000};
constexpr float kInf = std::numeric_limits<float>::infinity();
const float kNan = std::numeric_limits<float>::quiet_NaN();

using test::Uniform;

const KernelTable& Reference() { return Select("reference"); }

/// Output buffers carry a guard behind the last element.
struct Out {
  explicit Out(int64_t n) : values(static_cast<size_t>(n) + 1, 0.0f) { values.back() = 12345.0f; }
  float* data() { return values.data(); }
  bool Intact() const { return values.back() == 12345.0f; }
  std::vector<float> values;
};

/// Equal NaN-ness and infinities; else |a - b| <= ulps units of 2^-23 of |b|, or of the smallest normal number.
void CheckClose(float a, float b, double ulps, double absolute = 0) {
  if (std::isnan(b) || std::isinf(b)) {
    CHECK(std::isnan(b) ? std::isnan(a) : a == b);
    return;
  }
  const double unit = std::max<double>(std::fabs(b), std::numeric_limits<float>::min()) * 0x1p-23;
  const bool close = std::fabs(static_cast<double>(a) - b) <= ulps * unit + absolute;
  if (!close) std::fprintf(stderr, "%.9g against %.9g\n", static_cast<double>(a), static_cast<double>(b));
  CHECK(close);
}

template <typename F>
void ForEachTable(F f) {
  for (const KernelTable* table : Available()) f(*table);
}

void TablesAreListedBestFirstAndSelectedByName() {
  CHECK(std::string(Available().back()->isa) == "reference");
  CHECK(&Select() == Available().front());
  ForEachTable([](const KernelTable& t) { CHECK(&Select(t.isa) == &t); });
  bool thrown = false;
  try {
    Select("z80");
  } catch (const Error& e) {
    thrown = std::string(e.code()) == "NATIVE_ISA_UNSUPPORTED" && std::strstr(e.what(), "reference");
  }
  CHECK(thrown);
}

/// A table that were available by mistake would end this program here: its own instructions are not the CPU's.
void TablesOfWhichNothingIsMissingRun() {
  std::vector<int8_t> digits;
  for (int i = 0; i < 64; ++i) digits.push_back(static_cast<int8_t>(7 * i - 128));
  int32_t sum = 0;
  for (int8_t digit : digits) sum += digit;
  size_t complete = 0;
  for (const TableState& state : States()) {
    if (!state.missing.empty() || !state.is_built) continue;
    ++complete;
    CHECK(Select(state.isa).sum_digits(digits.data(), 64) == sum);
  }
  CHECK(complete == Available().size());
}

double ExactValue(uint16_t bits, DType dtype) { return dtype == DType::kF16 ? F16ToF32(bits) : Bf16ToF32(bits); }

/// The definition of rounding to nearest even, by looking at the neighbours.
void ScalarConversionsRoundToNearestEven() {
  for (DType dtype : {DType::kF16, DType::kBF16}) {
    const uint16_t infinity = dtype == DType::kF16 ? 0x7C00 : 0x7F80;
    const double beyond = dtype == DType::kF16 ? 65536.0 : 0x1p128;  // What infinity stands for when rounding.
    const auto value = [&](int bits) {
      return bits == infinity ? beyond : ExactValue(static_cast<uint16_t>(bits), dtype);
    };
    for (int bits = 0; bits < infinity; ++bits) {
      const double low = value(bits);
      const double high = value(bits + 1);
      const auto check = [&](double x, int expected) {
        const float f = static_cast<float>(x);
        if (static_cast<double>(f) != x) return;
        uint16_t got[2];
        StoreFloat(got, dtype, 0, f);
        StoreFloat(got, dtype, 1, -f);
        CHECK(got[0] == expected && got[1] == (expected | 0x8000));
      };
      const double middle = low + (high - low) / 2;
      check(low, bits);
      check(middle, bits + bits % 2);  // A tie goes to the even one.
      check(std::nextafterf(static_cast<float>(middle), 0.0f), bits);
      check(std::nextafterf(static_cast<float>(middle), kInf), bits + 1);
    }
    uint16_t special[3];
    StoreFloat(special, dtype, 0, kInf);
    StoreFloat(special, dtype, 1, -kInf);
    StoreFloat(special, dtype, 2, kNan);
    CHECK(special[0] == infinity && special[1] == (infinity | 0x8000));
    CHECK(std::isnan(ExactValue(special[2], dtype)));
  }
}

void ConversionsToF32AgreeInEveryPattern() {
  std::vector<uint16_t> bits(65536);
  for (size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<uint16_t>(i);
  ForEachTable([&](const KernelTable& t) {
    for (DType dtype : {DType::kF16, DType::kBF16}) {
      std::vector<float> expected(bits.size()), got(bits.size());
      Reference().to_f32(bits.data(), dtype, expected.data(), 65536);
      t.to_f32(bits.data(), dtype, got.data(), 65536);
      CHECK(std::memcmp(expected.data(), got.data(), got.size() * 4) == 0);
    }
  });
}

void ConversionsFromF32AgreeBitwise() {
  std::vector<float> values;
  std::mt19937 rng(7);
  for (int i = 0; i < 300000; ++i) values.push_back(std::bit_cast<float>(static_cast<uint32_t>(rng())));
  for (uint32_t half = 0; half < 65536; ++half) {
    // Around the ties of bf16, and around every f16 number.
    for (uint32_t low : {0x0000u, 0x7FFFu, 0x8000u, 0x8001u}) values.push_back(std::bit_cast<float>(half << 16 | low));
    const uint32_t f16 = std::bit_cast<uint32_t>(F16ToF32(static_cast<uint16_t>(half)));
    for (uint32_t low : {0x0FFFu, 0x1000u, 0x1001u}) values.push_back(std::bit_cast<float>(f16 + low));
  }
  const auto n = static_cast<int64_t>(values.size());
  ForEachTable([&](const KernelTable& t) {
    for (DType dtype : {DType::kF16, DType::kBF16}) {
      std::vector<uint16_t> expected(values.size()), got(values.size());
      Reference().from_f32(values.data(), expected.data(), dtype, n);
      t.from_f32(values.data(), got.data(), dtype, n);
      CHECK(std::memcmp(expected.data(), got.data(), got.size() * 2) == 0);
    }
  });
}

void ConversionsOfAnySizeStayInBounds() {
  ForEachTable([](const KernelTable& t) {
    for (int64_t n : kSizes) {
      const std::vector<float> x = Uniform<float>(n, -4, 4, 1);
      for (DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
        std::vector<std::byte> packed((static_cast<size_t>(n) + 1) * SizeOf(dtype), std::byte{0x5A});
        t.from_f32(x.data(), packed.data(), dtype, n);
        for (size_t i = static_cast<size_t>(n) * SizeOf(dtype); i < packed.size(); ++i)
          CHECK(packed[i] == std::byte{0x5A});
        Out back(n), expected(n);
        t.to_f32(packed.data(), dtype, back.data(), n);
        Reference().to_f32(packed.data(), dtype, expected.data(), n);
        CHECK(back.values == expected.values && back.Intact());
      }
    }
  });
}

void NormsAgree() {
  ForEachTable([](const KernelTable& t) {
    for (int64_t n : kSizes) {
      const auto x = Uniform<float>(n, -3, 5, 1), w = Uniform<float>(n, 0.5f, 1.5f, 2), b = Uniform<float>(n, -1, 1, 3);
      Out got(n), expected(n);
      // A sum of n squares in another order, a square root, a division, two products: a few units, whatever n <= 1000.
      t.rms_norm(x.data(), w.data(), got.data(), n, 1e-5f);
      Reference().rms_norm(x.data(), w.data(), expected.data(), n, 1e-5f);
      for (int64_t i = 0; i < n; ++i) CheckClose(got.values[i], expected.values[i], 8);
      CHECK(got.Intact());
      // Subtracting the mean cancels: an error of one unit of |x| <= 5 times 1/std, which is at most 1 / sqrt(1e-5).
      t.layer_norm(x.data(), w.data(), b.data(), got.data(), n, 1e-5f);
      Reference().layer_norm(x.data(), w.data(), b.data(), expected.data(), n, 1e-5f);
      const double tolerance = n == 1 ? 0 : n == 2 ? 2e-4 : 6e-6;
      for (int64_t i = 0; i < n; ++i) CheckClose(got.values[i], expected.values[i], 8, tolerance);
      CHECK(got.Intact());
    }
  });
}

void NormsWriteOverTheirInput() {
  ForEachTable([](const KernelTable& t) {
    const auto x = Uniform<float>(100, -3, 5, 1), w = Uniform<float>(100, 0.5f, 1.5f, 2);
    std::vector<float> in_place = x, apart(100);
    t.rms_norm(x.data(), w.data(), apart.data(), 100, 1e-5f);
    t.rms_norm(in_place.data(), w.data(), in_place.data(), 100, 1e-5f);
    CHECK(in_place == apart);
    in_place = x;
    t.softmax(x.data(), apart.data(), 100);
    t.softmax(in_place.data(), in_place.data(), 100);
    CHECK(in_place == apart);
    in_place = x;
    t.rope(x.data(), w.data(), w.data(), apart.data(), 100);
    t.rope(in_place.data(), w.data(), w.data(), in_place.data(), 100);
    CHECK(in_place == apart);
  });
}

void BinaryAgreesBitwise() {
  ForEachTable([](const KernelTable& t) {
    for (int64_t n : kSizes) {
      const auto a = Uniform<float>(n, -3, 5, 1), b = Uniform<float>(n, -2, 2, 2);
      for (BinaryOp op : {BinaryOp::kAdd, BinaryOp::kSub, BinaryOp::kMul, BinaryOp::kDiv}) {
        Out got(n), expected(n);
        t.binary(op, a.data(), b.data(), got.data(), n);
        Reference().binary(op, a.data(), b.data(), expected.data(), n);
        CHECK(got.values == expected.values && got.Intact());
      }
    }
  });
}

void MixAddsUpInOrder() {
  ForEachTable([](const KernelTable& t) {
    for (int64_t n : {1, 15, 16, 17, 33, 100}) {
      for (int64_t count : {1, 2, 5}) {
        const int64_t stride = n + 3;
        const auto rows = Uniform<float>(count * stride, -3, 5, 1), weights = Uniform<float>(count, -2, 2, 2);
        Out got(n);
        t.mix(rows.data(), stride, weights.data(), count, got.data(), n);
        for (int64_t i = 0; i < n; ++i) {
          double sum = 0, all = 0;
          for (int64_t j = 0; j < count; ++j) {
            const double product = static_cast<double>(weights[static_cast<size_t>(j)]) *
                                   static_cast<double>(rows[static_cast<size_t>(j * stride + i)]);
            sum += product;
            all += std::abs(product);
          }
          CHECK(std::abs(static_cast<double>(got.values[static_cast<size_t>(i)]) - sum) <= 3e-7 * all);
        }
        CHECK(got.Intact());
      }
    }
  });
}

struct UnaryCase {
  UnaryOp op;
  float low, high, arg;
  double ulps;      ///< Relative error.
  double absolute;  ///< Near zeros of the function.
};

// The vector exponential is within 1.5 units; a sum, a division and a product add half a unit each. The arguments of
// the exponentials in the GELUs carry their own rounding: |argument| * half a unit, 40 units at -80.
const UnaryCase kUnary[] = {
    {UnaryOp::kRelu, -5, 5, 0, 0, 0},        {UnaryOp::kGeluTanh, -4, 12, 0, 24, 0},
    {UnaryOp::kRelu2, -5, 5, 0, 0, 0},       {UnaryOp::kGeluErf, -5, 12, 0, 24, 0},
    {UnaryOp::kFastGelu, -20, 20, 0, 24, 0}, {UnaryOp::kSwish, -80, 80, 1, 4, 0},
    {UnaryOp::kSwish, -40, 40, 1.6f, 48, 0}, {UnaryOp::kSigmoid, -86, 86, 0, 4, 0},
    {UnaryOp::kLog, 0.01f, 50, 0, 2, 0},     {UnaryOp::kMuls, -5, 5, 0.37f, 0, 0},
    {UnaryOp::kCos, -100, 100, 0, 2, 1e-7},  {UnaryOp::kSin, -100, 100, 0, 2, 1e-7},
    {UnaryOp::kNeg, -5, 5, 0, 0, 0},         {UnaryOp::kTanh, -9, 9, 0, 5, 0},
    {UnaryOp::kExp, -80, 80, 0, 2, 0},       {UnaryOp::kSoftplus, -80, 80, 0, 5, 0},
};

void UnaryAgrees() {
  ForEachTable([](const KernelTable& t) {
    for (const UnaryCase& c : kUnary) {
      for (int64_t n : kSizes) {
        const auto x = Uniform<float>(n, c.low, c.high, static_cast<uint32_t>(n));
        Out got(n), expected(n);
        t.unary(c.op, x.data(), got.data(), n, c.arg);
        Reference().unary(c.op, x.data(), expected.data(), n, c.arg);
        for (int64_t i = 0; i < n; ++i) CheckClose(got.values[i], expected.values[i], c.ulps, c.absolute);
        CHECK(got.Intact());
      }
    }
  });
}

void UnaryKeepsSpecialValues() {
  const std::vector<float> x = {kNan, kInf, 0.0f, -0.0f, 100.0f, -100.0f, 1e30f, -1e30f, 88.8f, -88.8f, -103.0f};
  const auto n = static_cast<int64_t>(x.size());
  ForEachTable([&](const KernelTable& t) {
    for (UnaryOp op :
         {UnaryOp::kRelu, UnaryOp::kRelu2, UnaryOp::kGeluTanh, UnaryOp::kGeluErf, UnaryOp::kFastGelu, UnaryOp::kSwish,
          UnaryOp::kSigmoid, UnaryOp::kNeg, UnaryOp::kTanh, UnaryOp::kExp, UnaryOp::kSoftplus}) {
      Out got(n), expected(n);
      t.unary(op, x.data(), got.data(), n, 1.0f);
      Reference().unary(op, x.data(), expected.data(), n, 1.0f);
      for (int64_t i = 0; i < n; ++i) CheckClose(got.values[i], expected.values[i], 48, 1e-35);
    }
  });
}

/// sigmoid(x) is e^x (1 - e^x ...) for very negative x: the error of the exponential, a sum and a division.
void ExponentialsAreWithinTwoUnits() {
  ForEachTable([](const KernelTable& t) {
    double worst = 0;
    std::vector<float> x(1 << 16), y(x.size());
    for (int block = 0; block < 16; ++block) {
      for (size_t i = 0; i < x.size(); ++i)
        x[i] = -87.0f + 70.0f * static_cast<float>(i * 16 + block) / (16 * 65536.0f);
      t.unary(UnaryOp::kSigmoid, x.data(), y.data(), 1 << 16, 0);
      for (size_t i = 0; i < x.size(); ++i) {
        const double exact = 1 / (1 + std::exp(-static_cast<double>(x[i])));
        const double unit = std::ldexp(1.0, std::ilogb(exact) - 23);
        worst = std::max(worst, std::fabs(y[i] - exact) / unit);
      }
    }
    CHECK(worst <= 2.0);
  });
}

void SwigluAgrees() {
  ForEachTable([](const KernelTable& t) {
    for (int64_t n : kSizes) {
      const auto gate = Uniform<float>(n, -20, 20, 1), up = Uniform<float>(n, -3, 3, 2);
      Out got(n), expected(n);
      t.swiglu(gate.data(), up.data(), got.data(), n);
      Reference().swiglu(gate.data(), up.data(), expected.data(), n);
      for (int64_t i = 0; i < n; ++i) CheckClose(got.values[i], expected.values[i], 5);
      CHECK(got.Intact());
    }
  });
}

void RopeAgrees() {
  ForEachTable([](const KernelTable& t) {
    for (int64_t half : kSizes) {
      const int64_t n = 2 * half;
      const auto x = Uniform<float>(n, -3, 3, 1), cos = Uniform<float>(n, -1, 1, 2), sin = Uniform<float>(n, -1, 1, 3);
      Out got(n), expected(n);
      t.rope(x.data(), cos.data(), sin.data(), got.data(), n);
      Reference().rope(x.data(), cos.data(), sin.data(), expected.data(), n);
      // A fused multiply-add rounds a product of at most 3 once less, and the difference may cancel.
      for (int64_t i = 0; i < n; ++i) CheckClose(got.values[i], expected.values[i], 1, 3 * 0x1p-24);
      CHECK(got.Intact());
    }
  });
}

void SoftmaxAgrees() {
  ForEachTable([](const KernelTable& t) {
    for (int64_t n : kSizes) {
      auto x = Uniform<float>(n, -30, 30, static_cast<uint32_t>(n));
      if (n > 2) x[static_cast<size_t>(n) / 2] = -kInf;
      Out got(n), expected(n);
      t.softmax(x.data(), got.data(), n);
      Reference().softmax(x.data(), expected.data(), n);
      for (int64_t i = 0; i < n; ++i) CheckClose(got.values[i], expected.values[i], 8);
      CHECK(got.Intact());
      for (int64_t bad = 0; bad < n; bad += 13) {  // One NaN is everybody's.
        auto y = x;
        y[static_cast<size_t>(bad)] = kNan;
        t.softmax(y.data(), got.data(), n);
        for (int64_t i = 0; i < n; ++i) CHECK(std::isnan(got.values[static_cast<size_t>(i)]));
      }
    }
    std::vector<float> blind(20, -kInf);
    t.softmax(blind.data(), blind.data(), 20);
    for (float v : blind) CHECK(std::isnan(v));
  });
}

void BlockMaximaTellRowsThatAreNotFinite() {
  ForEachTable([](const KernelTable& t) {
    for (int64_t n : kSizes) {
      const auto x = Uniform<float>(n, -3, -1, 5);
      const int64_t blocks = (n + kMaximaBlock - 1) / kMaximaBlock;
      const auto maxima = [&](const std::vector<float>& row) {
        Out found(blocks);
        t.block_maxima(row.data(), n, found.data());
        CHECK(found.Intact());
        return found.values;
      };
      for (int64_t at = 0; at < n; at += n > 200 ? 37 : 1) {
        for (float value : {-0.5f, -kInf, kInf, kNan, -kNan}) {
          auto y = x;
          y[static_cast<size_t>(at)] = value;
          const std::vector<float> found = maxima(y);
          for (int64_t b = 0; b < blocks; ++b) {
            const auto begin = y.begin() + b * kMaximaBlock;
            const float largest = *std::max_element(begin, y.begin() + std::min(n, (b + 1) * kMaximaBlock));
            const bool bad = at / kMaximaBlock == b && !(value <= 0);
            const float own = found[static_cast<size_t>(b)];
            CHECK(bad ? std::isnan(own) : own == largest);
          }
        }
      }
      for (float low : maxima(std::vector<float>(static_cast<size_t>(n), -kInf)))
        CHECK(low == -kInf || low == 12345.0f);
    }
  });
}

}  // namespace
}  // namespace atb::kernels

int main() {
  using namespace atb::kernels;
  RUN(TablesAreListedBestFirstAndSelectedByName);
  RUN(TablesOfWhichNothingIsMissingRun);
  RUN(ScalarConversionsRoundToNearestEven);
  RUN(ConversionsToF32AgreeInEveryPattern);
  RUN(ConversionsFromF32AgreeBitwise);
  RUN(ConversionsOfAnySizeStayInBounds);
  RUN(NormsAgree);
  RUN(NormsWriteOverTheirInput);
  RUN(BinaryAgreesBitwise);
  RUN(MixAddsUpInOrder);
  RUN(UnaryAgrees);
  RUN(UnaryKeepsSpecialValues);
  RUN(ExponentialsAreWithinTwoUnits);
  RUN(SwigluAgrees);
  RUN(RopeAgrees);
  RUN(SoftmaxAgrees);
  RUN(BlockMaximaTellRowsThatAreNotFinite);
  return 0;
}
