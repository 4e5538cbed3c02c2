#pragma once
#include <memory>

#include "ops/operation.h"

namespace atb {

// One function for each op type. op_table.cpp lists them. Each throws NATIVE_PARAM_INVALID.
std::unique_ptr<Operation> CreateActivation(const ParamObject& param);
std::unique_ptr<Operation> CreateBlockAttention(const ParamObject& param);
std::unique_ptr<Operation> CreateCast(const ParamObject& param);
std::unique_ptr<Operation> CreateCausalConv1d(const ParamObject& param);
std::unique_ptr<Operation> CreateCompressedAttention(const ParamObject& param);
std::unique_ptr<Operation> CreateConcat(const ParamObject& param);
std::unique_ptr<Operation> CreateCumsum(const ParamObject& param);
std::unique_ptr<Operation> CreateDepthwiseConv(const ParamObject& param);
std::unique_ptr<Operation> CreateDynamicQuant(const ParamObject& param);
std::unique_ptr<Operation> CreateElewise(const ParamObject& param);
std::unique_ptr<Operation> CreateFill(const ParamObject& param);
std::unique_ptr<Operation> CreateFusedExperts(const ParamObject& param);
std::unique_ptr<Operation> CreateFusedLinear(const ParamObject& param);
std::unique_ptr<Operation> CreateFusedMultiply(const ParamObject& param);
std::unique_ptr<Operation> CreateGatedDeltaRule(const ParamObject& param);
std::unique_ptr<Operation> CreateGather(const ParamObject& param);
std::unique_ptr<Operation> CreateGatherDequant(const ParamObject& param);
std::unique_ptr<Operation> CreateGroupTopk(const ParamObject& param);
std::unique_ptr<Operation> CreateGroupedMatmul(const ParamObject& param);
std::unique_ptr<Operation> CreateHyperWeights(const ParamObject& param);
std::unique_ptr<Operation> CreateLayerNorm(const ParamObject& param);
std::unique_ptr<Operation> CreateLightningIndexer(const ParamObject& param);
std::unique_ptr<Operation> CreateLinear(const ParamObject& param);
std::unique_ptr<Operation> CreateMixStreams(const ParamObject& param);
std::unique_ptr<Operation> CreateMoeInitRouting(const ParamObject& param);
std::unique_ptr<Operation> CreateMoeTokenUnpermute(const ParamObject& param);
std::unique_ptr<Operation> CreatePagedAttention(const ParamObject& param);
std::unique_ptr<Operation> CreateQkvRopeCache(const ParamObject& param);
std::unique_ptr<Operation> CreateRealGatedLru(const ParamObject& param);
std::unique_ptr<Operation> CreateReduce(const ParamObject& param);
std::unique_ptr<Operation> CreateRepeat(const ParamObject& param);
std::unique_ptr<Operation> CreateReshapeAndCache(const ParamObject& param);
std::unique_ptr<Operation> CreateRmsNorm(const ParamObject& param);
std::unique_ptr<Operation> CreateRope(const ParamObject& param);
std::unique_ptr<Operation> CreateSelectiveScan(const ParamObject& param);
std::unique_ptr<Operation> CreateSelfAttention(const ParamObject& param);
std::unique_ptr<Operation> CreateSetValue(const ParamObject& param);
std::unique_ptr<Operation> CreateSigmoid(const ParamObject& param);
std::unique_ptr<Operation> CreateSlice(const ParamObject& param);
std::unique_ptr<Operation> CreateSoftmax(const ParamObject& param);
std::unique_ptr<Operation> CreateSort(const ParamObject& param);
std::unique_ptr<Operation> CreateSparseAttention(const ParamObject& param);
std::unique_ptr<Operation> CreateSplit(const ParamObject& param);
std::unique_ptr<Operation> CreateTranspose(const ParamObject& param);
std::unique_ptr<Operation> CreateVectorNorm(const ParamObject& param);
std::unique_ptr<Operation> CreateW4A16MatMul(const ParamObject& param);
std::unique_ptr<Operation> CreateW8A16MatMul(const ParamObject& param);
std::unique_ptr<Operation> CreateW8A8MatMul(const ParamObject& param);
std::unique_ptr<Operation> CreateWhere(const ParamObject& param);
std::unique_ptr<Operation> CreateWindowPool(const ParamObject& param);

}  // namespace atb
