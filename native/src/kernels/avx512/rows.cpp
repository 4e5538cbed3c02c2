#include "kernels/avx512/kernels.h"
#include "kernels/avx512/vec.h"
#include "kernels/simd/rows.h"

namespace atb::kernels::avx512 {

void ToF32(const void* src, DType dtype, float* dst, int64_t n) { simd::ToF32<Vec>(src, dtype, dst, n); }
void FromF32(const float* src, void* dst, DType dtype, int64_t n) { simd::FromF32<Vec>(src, dst, dtype, n); }
void RmsNorm(const float* x, const float* weight, float* out, int64_t size, float epsilon) {
  simd::RmsNorm<Vec>(x, weight, out, size, epsilon);
}
void LayerNorm(const float* x, const float* weight, const float* bias, float* out, int64_t size, float epsilon) {
  simd::LayerNorm<Vec>(x, weight, bias, out, size, epsilon);
}
void Binary(BinaryOp op, const float* a, const float* b, float* out, int64_t n) { simd::Binary<Vec>(op, a, b, out, n); }
void Mix(const float* rows, int64_t stride, const float* weights, int64_t count, float* out, int64_t n) {
  simd::Mix<Vec>(rows, stride, weights, count, out, n);
}
void Unary(UnaryOp op, const float* x, float* out, int64_t n, float arg) { simd::Unary<Vec>(op, x, out, n, arg); }
void Swiglu(const float* gate, const float* up, float* out, int64_t n) { simd::Swiglu<Vec>(gate, up, out, n); }
void Rope(const float* x, const float* cos, const float* sin, float* out, int64_t size) {
  simd::Rope<Vec>(x, cos, sin, out, size);
}
void Softmax(const float* x, float* out, int64_t n) { simd::Softmax<Vec>(x, out, n); }
void BlockMaxima(const float* x, int64_t n, float* maxima) { simd::BlockMaxima<Vec>(x, n, maxima); }

}  // namespace atb::kernels::avx512
