#include <algorithm>
#include <cmath>

#include "kernels/convert.h"
#include "kernels/reference/kernels.h"

namespace atb::kernels::reference {

void ToF32(const void* src, DType dtype, float* dst, int64_t n) {
  for (int64_t i = 0; i < n; ++i) dst[i] = LoadFloat(src, dtype, i);
}

void FromF32(const float* src, void* dst, DType dtype, int64_t n) {
  for (int64_t i = 0; i < n; ++i) StoreFloat(dst, dtype, i, src[i]);
}

void RmsNorm(const float* x, const float* weight, float* out, int64_t size, float epsilon) {
  double sum = 0;
  for (int64_t i = 0; i < size; ++i) sum += static_cast<double>(x[i]) * x[i];
  const float scale = static_cast<float>(1 / std::sqrt(sum / static_cast<double>(size) + epsilon));
  for (int64_t i = 0; i < size; ++i) out[i] = x[i] * scale * weight[i];
}

void LayerNorm(const float* x, const float* weight, const float* bias, float* out, int64_t size, float epsilon) {
  double sum = 0;
  for (int64_t i = 0; i < size; ++i) sum += x[i];
  const double mean = sum / static_cast<double>(size);
  double squares = 0;
  for (int64_t i = 0; i < size; ++i) squares += (x[i] - mean) * (x[i] - mean);
  const double scale = 1 / std::sqrt(squares / static_cast<double>(size) + epsilon);
  for (int64_t i = 0; i < size; ++i) out[i] = static_cast<float>((x[i] - mean) * scale) * weight[i] + bias[i];
}

void Binary(BinaryOp op, const float* a, const float* b, float* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    switch (op) {
      case BinaryOp::kAdd:
        out[i] = a[i] + b[i];
        break;
      case BinaryOp::kSub:
        out[i] = a[i] - b[i];
        break;
      case BinaryOp::kMul:
        out[i] = a[i] * b[i];
        break;
      case BinaryOp::kDiv:
        out[i] = a[i] / b[i];
        break;
    }
  }
}

void Mix(const float* rows, int64_t stride, const float* weights, int64_t count, float* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    double sum = 0;
    for (int64_t j = 0; j < count; ++j)
      sum += static_cast<double>(weights[j]) * static_cast<double>(rows[j * stride + i]);
    out[i] = static_cast<float>(sum);
  }
}

namespace {

// In double: a specification has no rounding of its own but the last one.
double Apply(UnaryOp op, double x, double arg) {
  switch (op) {
    case UnaryOp::kNone:
      return x;
    case UnaryOp::kRelu:
      return x < 0 ? 0 : x;  // A NaN stays.
    case UnaryOp::kRelu2:
      return x < 0 ? 0 : x * x;
    case UnaryOp::kGeluTanh:
      return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));  // sqrt(2 / pi)
    case UnaryOp::kGeluErf:
      return 0.5 * x * std::erfc(-x * 0.7071067811865476);  // 1 / sqrt(2)
    case UnaryOp::kFastGelu:
      return x * std::exp(0.851 * (x - std::fabs(x))) / (1 + std::exp(-1.702 * std::fabs(x)));
    case UnaryOp::kSwish:
      return x / (1 + std::exp(-arg * x));
    case UnaryOp::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case UnaryOp::kLog:
      return std::log(x);
    case UnaryOp::kMuls:
      return x * arg;
    case UnaryOp::kCos:
      return std::cos(x);
    case UnaryOp::kSin:
      return std::sin(x);
    case UnaryOp::kNeg:
      return -x;
    case UnaryOp::kTanh:
      return std::tanh(x);
    case UnaryOp::kExp:
      return std::exp(x);
    case UnaryOp::kSoftplus:
      return std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x)));
  }
  return x;
}

}  // namespace

void Unary(UnaryOp op, const float* x, float* out, int64_t n, float arg) {
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(Apply(op, x[i], arg));
}

void Swiglu(const float* gate, const float* up, float* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(Apply(UnaryOp::kSwish, gate[i], 1)) * up[i];
}

void Rope(const float* x, const float* cos, const float* sin, float* out, int64_t size) {
  const int64_t half = size / 2;
  for (int64_t i = 0; i < half; ++i) {
    const float x1 = x[i];
    const float x2 = x[i + half];
    out[i] = x1 * cos[i] - x2 * sin[i];
    out[i + half] = x2 * cos[i + half] + x1 * sin[i + half];
  }
}

void Softmax(const float* x, float* out, int64_t n) {
  float max = -INFINITY;
  for (int64_t i = 0; i < n; ++i) max = x[i] > max ? x[i] : max;
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    out[i] = std::exp(x[i] - max);
    sum += out[i];
  }
  const float scale = static_cast<float>(1 / sum);
  for (int64_t i = 0; i < n; ++i) out[i] *= scale;
}

void BlockMaxima(const float* x, int64_t n, float* maxima) {
  for (int64_t begin = 0; begin < n; begin += kMaximaBlock, ++maxima) {
    *maxima = -INFINITY;
    for (int64_t i = begin; i < std::min(n, begin + kMaximaBlock); ++i) {
      const bool bad = std::isnan(x[i]) || x[i] == INFINITY;
      if (bad || x[i] > *maxima) *maxima = bad ? NAN : x[i];
      if (bad) break;
    }
  }
}

}  // namespace atb::kernels::reference
