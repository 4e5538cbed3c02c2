#pragma once
#include "kernels/kernel_table.h"

/// The specification: one plain loop per kernel. Every other table is tested against this one, so it is run a lot: what
/// is the same for many outputs is read once for them, and their sums stay chains of their own.
namespace atb::kernels::reference {

void ToF32(const void* src, DType dtype, float* dst, int64_t n);
void FromF32(const float* src, void* dst, DType dtype, int64_t n);
void RmsNorm(const float* x, const float* weight, float* out, int64_t size, float epsilon);
void LayerNorm(const float* x, const float* weight, const float* bias, float* out, int64_t size, float epsilon);
void Binary(BinaryOp op, const float* a, const float* b, float* out, int64_t n);
void Mix(const float* rows, int64_t stride, const float* weights, int64_t count, float* out, int64_t n);
void Unary(UnaryOp op, const float* x, float* out, int64_t n, float arg);
void Swiglu(const float* gate, const float* up, float* out, int64_t n);
void Rope(const float* x, const float* cos, const float* sin, float* out, int64_t size);
void Softmax(const float* x, float* out, int64_t n);
void BlockMaxima(const float* x, int64_t n, float* maxima);
float Quantize(const void* x, DType dtype, int64_t k, int planes, int8_t* out, int64_t step, int64_t plane_stride);
int32_t SumDigits(const int8_t* digits, int64_t count);
float QuantizeInt4(const float* x, int64_t k, int64_t group, int8_t* out, int8_t* multipliers);
void PackLines(const void* rows, int64_t row_stride, int64_t units, void* out);
void WidenE2M1(const void* panel, const float* scales, int64_t k, DType dtype, void* out);
void Gemm(const GemmCall& call, int64_t panel_begin, int64_t panel_end, void* scratch);
/// A number for each column of a panel; those behind the panel's width mean nothing.
struct PanelSums {
  float of[kPanelColumns];
  float& operator[](int64_t column) { return of[column]; }
  float operator[](int64_t column) const { return of[column]; }
};
/// A row's outputs of Gemm in a panel, without its epilogue, for a weight of integers.
PanelSums IntegerDots(const GemmCall& call, int64_t row, int64_t panel);
void Attend(const AttendCall& call, int64_t key_begin, int64_t key_end, const AttendPartial& out, void* scratch);
void Merge(const AttendPartial& acc, const AttendPartial& part, int64_t rows, int64_t value_dim);

void IndexScores(const IndexCall& call);

void Recur(const RecurrentCall& call);
void Conv(const ConvCall& call);

int64_t Yardstick(const void* memory);

}  // namespace atb::kernels::reference
