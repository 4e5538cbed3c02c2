#include "ops/recurrent/state.h"

#include <cstring>
#include <string>

#include "ops/check.h"

namespace atb {
namespace {

void RequireBlocks(const char* op, int input, const Tensor& blocks, int64_t count) {
  const int32_t* data = blocks.As<int32_t>();
  for (int64_t i = 0; i < blocks.desc.dim(0); ++i)
    if (data[i] < -1 || data[i] >= count)
      FailValue(op, input, "blocks from 0 to " + std::to_string(count - 1) + ", or -1", std::to_string(data[i]));
}

}  // namespace

void StateInputs::Check(std::span<const TensorDesc> in, int64_t tokens, int64_t numbers) const {
  const TensorDesc& blocks = At(in, state);
  RequireDType(op, state, blocks, DType::kF32);
  RequireRank(op, state, blocks, 2, 2);
  if (blocks.dim(1) != numbers) FailShape(op, state, "[blocks," + std::to_string(numbers) + "]", blocks);
  const TensorDesc& begins = At(in, from());
  RequireRank(op, from(), begins, 1, 1);
  RequireVector(op, from(), begins, DType::kI32, begins.dim(0));
  RequireVector(op, to(), At(in, to()), DType::kI32, tokens);
  RequireVector(op, lengths(), At(in, lengths()), DType::kI32, begins.dim(0));
}

void StateInputs::Validate(std::span<const Tensor> in) const {
  const int64_t blocks = At(in, state).desc.dim(0);
  RequireBlocks(op, from(), At(in, from()), blocks);
  RequireBlocks(op, to(), At(in, to()), blocks);
  const int64_t tokens = At(in, to()).desc.dim(-1);
  int64_t total = 0;
  for (int64_t i = 0; i < At(in, lengths()).desc.dim(-1); ++i) {
    const int64_t length = At(in, lengths()).As<int32_t>()[i];
    if (length < 0 || length > tokens)
      FailValue(op, lengths(), "lengths from 0 to " + std::to_string(tokens), std::to_string(length));
    total += length;
  }
  if (total != tokens)
    FailValue(op, lengths(), "lengths that add up to " + std::to_string(tokens), std::to_string(total));
}

StateSequence SequenceOf(const StateInputs& inputs, std::span<const Tensor> in, int64_t index) {
  const int32_t* lengths = At(in, inputs.lengths()).As<int32_t>();
  int64_t begin = 0;
  for (int64_t i = 0; i < index; ++i) begin += lengths[i];
  return {begin, begin + lengths[index], At(in, inputs.from()).As<int32_t>()[index], At(in, inputs.to()).As<int32_t>()};
}

void KeepState(const Tensor& in, const Tensor& out) {
  if (out.data != in.data && in.desc.Bytes() > 0) std::memcpy(out.data, in.data, in.desc.Bytes());
}

}  // namespace atb
