#pragma once
// Sixteen f32 lanes in four registers of AArch64. Same interface as avx2/vec.h; the templates of kernels/simd/ are
// written against it. Everything has internal linkage, so that no copy compiled for a newer CPU is linked into other
// code.
#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

#include "kernels/neon/kernels.h"

namespace atb::kernels::neon {
namespace {

struct Vec {
  float32x4_t a;
  float32x4_t b;
  float32x4_t c;
  float32x4_t d;

  /// Accumulators of this type that fit the register file beside weights and activations.
  static constexpr int kAccumulators = 6;
  /// Panels of floats that are read side by side for one row: what is fastest from memory.
  static constexpr int kStreams = 8;

  static simd::RowFinisher FinisherOf(const GemmCall& call) { return neon::FinisherOf(call); }

  static Vec Set1(float x) { return Of(vdupq_n_f32(x)); }
  static Vec Zero() { return Set1(0); }
  static Vec Load(const float* p) { return {vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}; }
  static Vec LoadInt16(const int16_t* p) {
    const auto quarter = [](const int16_t* from) { return vcvtq_f32_s32(vmovl_s16(vld1_s16(from))); };
    return {quarter(p), quarter(p + 4), quarter(p + 8), quarter(p + 12)};
  }
  static Vec LoadInt8(const int8_t* p) {
    int16_t words[16];
    const int8x16_t bytes = vld1q_s8(p);
    vst1q_s16(words, vmovl_s8(vget_low_s8(bytes)));
    vst1q_s16(words + 8, vmovl_high_s8(bytes));
    return LoadInt16(words);
  }
  /// The first n of 16 lanes, 0 <= n <= 16; zeros in the others.
  static Vec LoadPart(const float* p, int64_t n) {
    float lanes[16] = {};
    for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
    return Load(lanes);
  }
  static Vec LoadF16(const uint16_t* p) {
    const auto quarter = [](const uint16_t* from) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from))); };
    return {quarter(p), quarter(p + 4), quarter(p + 8), quarter(p + 12)};
  }
  static Vec LoadF16Part(const uint16_t* p, int64_t n) { return LoadF16(Lanes(p, n).bits); }
  /// Of sixteen pairs of bf16 those at even and those at odd places.
  static Vec LoadEven(const char* p);
  static Vec LoadOdd(const char* p);
  static Vec LoadBF16(const uint16_t* p) {
    const auto quarter = [](const uint16_t* from) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(from), 16)); };
    return {quarter(p), quarter(p + 4), quarter(p + 8), quarter(p + 12)};
  }
  static Vec LoadBF16Part(const uint16_t* p, int64_t n) { return LoadBF16(Lanes(p, n).bits); }

  /// 2^(exponent - 127) of sixteen exponents below 255; 2^-127 is subnormal.
  static Vec PowersOfTwo(const uint8_t* exponents) {
    const uint8x16_t bytes = vld1q_u8(exponents);
    const uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_high_u8(bytes);
    const auto quarter = [](uint32x4_t exponent) {
      return vreinterpretq_f32_u32(vmaxq_u32(vshlq_n_u32(exponent, 23), vdupq_n_u32(1u << 22)));
    };
    return {quarter(vmovl_u16(vget_low_u16(low))), quarter(vmovl_high_u16(low)),
            quarter(vmovl_u16(vget_low_u16(high))), quarter(vmovl_high_u16(high))};
  }

  void Store(float* p) const {
    vst1q_f32(p, a);
    vst1q_f32(p + 4, b);
    vst1q_f32(p + 8, c);
    vst1q_f32(p + 12, d);
  }
  void StorePart(float* p, int64_t n) const {
    float lanes[16];
    Store(lanes);
    for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
  }
  /// Rounded to nearest even.
  void StoreF16(uint16_t* p) const {
    const auto half = [](float32x4_t low, float32x4_t high) {
      return vreinterpretq_u16_f16(vcvt_high_f16_f32(vcvt_f16_f32(low), high));
    };
    vst1q_u16(p, half(a, b));
    vst1q_u16(p + 8, half(c, d));
  }
  void StoreF16Part(uint16_t* p, int64_t n) const {
    uint16_t lanes[16];
    StoreF16(lanes);
    for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
  }
  void StoreBF16(uint16_t* p) const {
    const auto half = [](float32x4_t low, float32x4_t high) {
      return vshrn_high_n_u32(vshrn_n_u32(Brain(low), 16), Brain(high), 16);
    };
    vst1q_u16(p, half(a, b));
    vst1q_u16(p + 8, half(c, d));
  }
  void StoreBF16Part(uint16_t* p, int64_t n) const {
    uint16_t lanes[16];
    StoreBF16(lanes);
    for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
  }

 private:
  struct Bits {
    uint16_t bits[16] = {};
  };
  static Vec Of(float32x4_t quarter) { return {quarter, quarter, quarter, quarter}; }
  static Bits Lanes(const uint16_t* p, int64_t n) {
    Bits lanes;
    for (int64_t i = 0; i < n; ++i) lanes.bits[i] = p[i];
    return lanes;
  }
  /// The upper halves are x rounded to bf16.
  static uint32x4_t Brain(float32x4_t x) {
    const uint32x4_t bits = vreinterpretq_u32_f32(x);
    const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    const uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7FFF)));
    const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x00400000));
    return vbslq_u32(vceqq_f32(x, x), rounded, quiet);
  }
};

/// f of each register of a vector, or of each two of two vectors.
template <class F>
inline Vec Each(Vec x, F f) {
  return {f(x.a), f(x.b), f(x.c), f(x.d)};
}
template <class F>
inline Vec Each(Vec x, Vec y, F f) {
  return {f(x.a, y.a), f(x.b, y.b), f(x.c, y.c), f(x.d, y.d)};
}

inline Vec operator+(Vec x, Vec y) { return Each(x, y, [](float32x4_t p, float32x4_t q) { return vaddq_f32(p, q); }); }
inline Vec operator-(Vec x, Vec y) { return Each(x, y, [](float32x4_t p, float32x4_t q) { return vsubq_f32(p, q); }); }
inline Vec operator*(Vec x, Vec y) { return Each(x, y, [](float32x4_t p, float32x4_t q) { return vmulq_f32(p, q); }); }
inline Vec operator/(Vec x, Vec y) { return Each(x, y, [](float32x4_t p, float32x4_t q) { return vdivq_f32(p, q); }); }
inline Vec operator-(Vec x) { return Each(x, [](float32x4_t p) { return vnegq_f32(p); }); }
/// x * y + z, rounded once.
inline Vec Fma(Vec x, Vec y, Vec z) {
  return {vfmaq_f32(z.a, x.a, y.a), vfmaq_f32(z.b, x.b, y.b), vfmaq_f32(z.c, x.c, y.c), vfmaq_f32(z.d, x.d, y.d)};
}
/// x * *y + z, rounded once. The factor is read into a lane, which all four products take it from: written as a load,
/// compilers make it one that fills all lanes, which costs the pipes of the products.
inline Vec FmaBy(Vec x, const float* y, Vec z) {
  float factor;
  __asm__("ldr %s0, %1" : "=w"(factor) : "m"(*y));
  return {vfmaq_n_f32(z.a, x.a, factor), vfmaq_n_f32(z.b, x.b, factor), vfmaq_n_f32(z.c, x.c, factor),
          vfmaq_n_f32(z.d, x.d, factor)};
}
/// Four bytes in the lowest lane, to be named by it.
inline int8x8_t LoadQuad(const int8_t* p) {
  int8x8_t quad;
  __asm__("ldr %s0, %1" : "=w"(quad) : "m"(*reinterpret_cast<const int32_t*>(p)));
  return quad;
}
/// The larger of each two lanes; y where either is NaN.
inline Vec Max(Vec x, Vec y) {
  return Each(x, y, [](float32x4_t p, float32x4_t q) { return vbslq_f32(vcgtq_f32(p, q), p, q); });
}
inline Vec Min(Vec x, Vec y) {
  return Each(x, y, [](float32x4_t p, float32x4_t q) { return vbslq_f32(vcltq_f32(p, q), p, q); });
}
inline Vec Abs(Vec x) { return Each(x, [](float32x4_t p) { return vabsq_f32(p); }); }
inline Vec Round(Vec x) { return Each(x, [](float32x4_t p) { return vrndnq_f32(p); }); }
/// x * 2^n for whole n in [-252, 254], rounded once, also to subnormals: two factors, the first product is exact.
inline Vec Scale(Vec x, Vec n) {
  return Each(x, n, [](float32x4_t p, float32x4_t q) {
    const int32x4_t whole = vcvtq_s32_f32(q);
    const int32x4_t first = vshrq_n_s32(whole, 1), second = vsubq_s32(whole, first);
    const auto power = [](int32x4_t exponent) {
      return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(exponent, vdupq_n_s32(127)), 23));
    };
    return vmulq_f32(vmulq_f32(p, power(first)), power(second));
  });
}
/// x < 0 ? y : z; z where x is NaN.
inline Vec WhereNegative(Vec x, Vec y, Vec z) {
  return {vbslq_f32(vcltzq_f32(x.a), y.a, z.a), vbslq_f32(vcltzq_f32(x.b), y.b, z.b),
          vbslq_f32(vcltzq_f32(x.c), y.c, z.c), vbslq_f32(vcltzq_f32(x.d), y.d, z.d)};
}
/// The first n lanes of x, y in the others.
inline Vec First(Vec x, int64_t n, Vec y) {
  float lanes[16];
  y.Store(lanes);
  x.StorePart(lanes, n);
  return Vec::Load(lanes);
}

inline float ReduceAdd(Vec x) {
  const float32x4_t quarter = vaddq_f32(vaddq_f32(x.a, x.c), vaddq_f32(x.b, x.d));
  return vpadds_f32(vadd_f32(vget_low_f32(quarter), vget_high_f32(quarter)));
}
/// The largest lane. No lane may be NaN.
inline float ReduceMax(Vec x) { return vmaxvq_f32(vmaxq_f32(vmaxq_f32(x.a, x.c), vmaxq_f32(x.b, x.d))); }

/// Lane i of the result is all lanes of v[i] joined by `op`. Lane j is joined with lane j + 8 first, then with j + 4,
/// j + 2 and j + 1, as ReduceAdd does it.
template <class Op>
inline Vec ReduceEach(const Vec (&v)[16], Op op) {
  Vec eighths[2];  // Two registers have what is left of two vectors: two lanes of each.
  for (int half = 0; half < 2; ++half) {
    Vec quarters[2];  // Each register has what is left of a vector.
    for (int i = 0; i < 2; ++i) {
      const Vec* const four = v + half * 8 + i * 4;
      const auto halves = [&](const Vec& x, const Vec& y) {
        return op(Vec{x.a, x.b, y.a, y.b}, Vec{x.c, x.d, y.c, y.d});
      };
      const Vec low = halves(four[0], four[1]), high = halves(four[2], four[3]);
      quarters[i] = op(Vec{low.a, low.c, high.a, high.c}, Vec{low.b, low.d, high.b, high.d});
    }
    const auto zip = [](float32x4_t x, float32x4_t y, bool upper) {
      const float64x2_t p = vreinterpretq_f64_f32(x), q = vreinterpretq_f64_f32(y);
      return vreinterpretq_f32_f64(upper ? vzip2q_f64(p, q) : vzip1q_f64(p, q));
    };
    const auto zips = [&](bool upper) {
      const Vec &x = quarters[0], &y = quarters[1];
      return Vec{zip(x.a, x.b, upper), zip(x.c, x.d, upper), zip(y.a, y.b, upper), zip(y.c, y.d, upper)};
    };
    eighths[half] = op(zips(false), zips(true));
  }
  const Vec &x = eighths[0], &y = eighths[1];
  return op(Vec{vuzp1q_f32(x.a, x.b), vuzp1q_f32(x.c, x.d), vuzp1q_f32(y.a, y.b), vuzp1q_f32(y.c, y.d)},
            Vec{vuzp2q_f32(x.a, x.b), vuzp2q_f32(x.c, x.d), vuzp2q_f32(y.a, y.b), vuzp2q_f32(y.c, y.d)});
}

// The two bf16 of a pair, of four lanes.
inline float32x4_t Even(float32x4_t pairs) {
  return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(pairs), 16));
}
inline float32x4_t Odd(float32x4_t pairs) {
  return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(pairs), vdupq_n_u32(0xFFFF0000u)));
}
inline Vec Vec::LoadEven(const char* p) { return Each(Load(reinterpret_cast<const float*>(p)), Even); }
inline Vec Vec::LoadOdd(const char* p) { return Each(Load(reinterpret_cast<const float*>(p)), Odd); }

/// Sixteen int32.
struct Int32x16 {
  int32x4_t a;
  int32x4_t b;
  int32x4_t c;
  int32x4_t d;

  static Int32x16 Zero() { return {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)}; }
  static Int32x16 Load(const int32_t* p) {
    return {vld1q_s32(p), vld1q_s32(p + 4), vld1q_s32(p + 8), vld1q_s32(p + 12)};
  }
  /// Sixteen words.
  static Int32x16 Of(int16x8_t low, int16x8_t high) {
    return {vmovl_s16(vget_low_s16(low)), vmovl_high_s16(low), vmovl_s16(vget_low_s16(high)), vmovl_high_s16(high)};
  }
  void Store(int32_t* p) const {
    vst1q_s32(p, a);
    vst1q_s32(p + 4, b);
    vst1q_s32(p + 8, c);
    vst1q_s32(p + 12, d);
  }
  Vec Floats() const { return {vcvtq_f32_s32(a), vcvtq_f32_s32(b), vcvtq_f32_s32(c), vcvtq_f32_s32(d)}; }
};

/// The whole numbers of a vector of them, rounded to nearest even.
inline Int32x16 Whole(Vec x) {
  return {vcvtnq_s32_f32(x.a), vcvtnq_s32_f32(x.b), vcvtnq_s32_f32(x.c), vcvtnq_s32_f32(x.d)};
}

/// Calls f(Index<i>()) for 0 <= i < kN, so that lanes of registers can be named by i.
template <int kI>
struct Index {
  static constexpr int value = kI;
};
template <int kN, int kI = 0, class F>
__attribute__((always_inline)) inline void Repeat(const F& f) {
  if constexpr (kI < kN) {
    f(Index<kI>());
    Repeat<kN, kI + 1>(f);
  }
}

}  // namespace
}  // namespace atb::kernels::neon
