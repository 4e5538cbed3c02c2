#include <algorithm>

#include "base/error.h"
#include "ops/factories.h"

namespace atb {
namespace {

struct Entry {
  std::string_view type;
  std::unique_ptr<Operation> (*create)(const ParamObject& param);
};

/// Every operation that the engine executes.
constexpr Entry kOperations[] = {
    {"Activation", CreateActivation},
    {"BlockAttention", CreateBlockAttention},
    {"Cast", CreateCast},
    {"CausalConv1d", CreateCausalConv1d},
    {"CompressedAttention", CreateCompressedAttention},
    {"Concat", CreateConcat},
    {"Cumsum", CreateCumsum},
    {"DepthwiseConv", CreateDepthwiseConv},
    {"DynamicQuant", CreateDynamicQuant},
    {"Elewise", CreateElewise},
    {"Fill", CreateFill},
    {"FusedExperts", CreateFusedExperts},
    {"FusedLinear", CreateFusedLinear},
    {"FusedMultiply", CreateFusedMultiply},
    {"GatedDeltaRule", CreateGatedDeltaRule},
    {"Gather", CreateGather},
    {"GatherDequant", CreateGatherDequant},
    {"GroupTopk", CreateGroupTopk},
    {"GroupedMatmul", CreateGroupedMatmul},
    {"HyperWeights", CreateHyperWeights},
    {"LayerNorm", CreateLayerNorm},
    {"LightningIndexer", CreateLightningIndexer},
    {"Linear", CreateLinear},
    {"MixStreams", CreateMixStreams},
    {"MoeInitRouting", CreateMoeInitRouting},
    {"MoeTokenUnpermute", CreateMoeTokenUnpermute},
    {"PagedAttention", CreatePagedAttention},
    {"QkvRopeCache", CreateQkvRopeCache},
    {"RealGatedLru", CreateRealGatedLru},
    {"Reduce", CreateReduce},
    {"Repeat", CreateRepeat},
    {"ReshapeAndCache", CreateReshapeAndCache},
    {"RmsNorm", CreateRmsNorm},
    {"Rope", CreateRope},
    {"SelectiveScan", CreateSelectiveScan},
    {"SelfAttention", CreateSelfAttention},
    {"SetValue", CreateSetValue},
    {"Sigmoid", CreateSigmoid},
    {"Slice", CreateSlice},
    {"Softmax", CreateSoftmax},
    {"Sort", CreateSort},
    {"SparseAttention", CreateSparseAttention},
    {"Split", CreateSplit},
    {"Transpose", CreateTranspose},
    {"VectorNorm", CreateVectorNorm},
    {"W4A16MatMul", CreateW4A16MatMul},
    {"W8A16MatMul", CreateW8A16MatMul},
    {"W8A8MatMul", CreateW8A8MatMul},
    {"Where", CreateWhere},
    {"WindowPool", CreateWindowPool},
};
static_assert(std::ranges::is_sorted(kOperations, {}, &Entry::type));

}  // namespace

std::unique_ptr<Operation> CreateOperation(std::string_view type, const ParamObject& param) {
  const auto entry = std::ranges::find(kOperations, type, &Entry::type);
  if (entry != std::end(kOperations)) return entry->create(param);
  std::string known;
  for (const Entry& e : kOperations) known += (known.empty() ? "" : ", ") + std::string(e.type);
  throw Error("NATIVE_OP_UNKNOWN", "no operation \"" + std::string(type.substr(0, 100)) + "\"; known: " + known);
}

std::vector<std::string> SupportedOperations() {
  std::vector<std::string> types;
  for (const Entry& e : kOperations) types.emplace_back(e.type);
  return types;
}

}  // namespace atb
