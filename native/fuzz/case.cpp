#include "case.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <memory>
#include <utility>

#include "draw.h"
#include "kernels/convert.h"
#include "stored_tensors.h"

namespace atb::fuzz {
namespace {

Param AnyParam(Bytes& bytes) {
  switch (bytes.Int(0, 7)) {
    case 0:
      return bytes.Flag();
    case 1:
      return static_cast<double>(bytes.Float());
    case 2:
      return Num(bytes.Raw<int64_t>() >> 8);
    case 3: {
      Numbers numbers;
      for (int64_t i = bytes.Int(0, 9); i > 0; --i) numbers.push_back(Num(bytes.Int(-9, 40)));
      return numbers;
    }
    case 4:
      return ParamObject{{"epsilon", Num(bytes.Int(-2, 2))}};
    case 5:
      return "MASK_TYPE_NORM";
    default:
      return Num(bytes.Int(-9, 300));
  }
}

}  // namespace

std::string Case::Input(DType dtype, std::vector<int64_t> shape, Filling filling) {
  const std::string name = "i" + std::to_string(names_++);
  TensorDesc desc(dtype, {});
  desc.rank = static_cast<uint8_t>(shape.size());
  std::copy(shape.begin(), shape.end(), desc.dims.begin());
  given_.push_back({name, desc, std::move(filling)});
  request.spec.inputs.push_back(name);
  return name;
}

std::string Case::Own(const std::string& name) {
  Strings& inputs = request.spec.inputs;
  if (std::find(inputs.begin(), inputs.end(), name) == inputs.end()) inputs.push_back(name);
  return name;
}

void Case::Node(const std::string& type, ParamObject param, std::vector<std::string> inputs, int outputs,
                std::vector<std::string> in_place) {
  NodeSpec node{"n" + std::to_string(names_++), type, std::move(param), nullptr, std::move(inputs), {}};
  for (int i = 0; i < outputs; ++i) {
    node.outputs.push_back("o" + std::to_string(names_++));
    request.spec.outputs.push_back(node.outputs.back());
  }
  node.outputs.insert(node.outputs.end(), in_place.begin(), in_place.end());
  request.spec.nodes.push_back(std::move(node));
  types.push_back(type);
}

void Case::Spoil() {
  GraphSpec& spec = request.spec;
  NodeSpec& node = spec.nodes[static_cast<size_t>(bytes.Int(0, static_cast<int64_t>(spec.nodes.size()) - 1))];
  const auto pick = [&](auto& list) -> auto& {
    return list[static_cast<size_t>(bytes.Int(0, static_cast<int64_t>(list.size()) - 1))];
  };
  switch (bytes.Int(0, 10)) {
    case 0:
      if (node.param.empty()) return;
      std::next(node.param.begin(), bytes.Int(0, static_cast<int64_t>(node.param.size()) - 1))->second =
          AnyParam(bytes);
      return;
    case 1:
      if (!node.param.empty()) node.param.erase(node.param.begin());
      return;
    case 2: {
      constexpr const char* kKeys[] = {"windowSize", "chunkSize",      "causal",     "hasBias", "axes",
                                       "axis",       "quantGroupSize", "transposeB", "x"};
      node.param.insert_or_assign(bytes.Of(kKeys), AnyParam(bytes));
      return;
    }
    case 3:
      Resize();
      return;
    case 4: {
      if (given_.empty()) return;
      TensorDesc& desc = pick(given_).desc;
      if (bytes.Flag()) {
        desc.dtype = bytes.Of(kAll);
      } else if (desc.rank < kMaxRank) {
        desc.dims[desc.rank++] = 1;
      }
      return;
    }
    case 5:
      if (given_.empty()) return;
      pick(given_).filling = {bytes.Flag() ? -3 : INT32_MIN, bytes.Flag() ? 200 : INT32_MAX, {}};
      return;
    case 6:
      if (node.inputs.empty()) return;
      pick(node.inputs) = pick(spec.inputs);
      return;
    case 7:
      if (node.inputs.empty()) return;
      if (bytes.Flag()) {
        node.inputs.pop_back();
      } else {
        node.inputs.push_back(node.inputs.front());
      }
      return;
    case 8: {
      // Another weight or cache, scales of another one among them.
      static const Strings names = TensorNames();
      if (node.inputs.empty()) return;
      pick(node.inputs) = Own(names[static_cast<size_t>(bytes.Int(0, static_cast<int64_t>(names.size()) - 1))]);
      return;
    }
    case 9: {
      // A view that flattens, splits or adds an axis, in place of an input.
      if (node.inputs.empty()) return;
      std::string& input = pick(node.inputs);
      ViewSpec view{"v" + std::to_string(names_++), input, {}};
      for (int64_t i = bytes.Int(1, 4); i > 0; --i) {
        ViewDim dim;
        if (bytes.Flag()) {
          dim.constant = bytes.OneIn(20) ? bytes.Raw<int64_t>() & ((int64_t{1} << 53) - 1) : bytes.Int(0, 64);
        } else {
          for (int64_t j = bytes.Int(1, 3); j > 0; --j) dim.axes.push_back(static_cast<int>(bytes.Int(0, 5)));
        }
        view.shape.push_back(std::move(dim));
      }
      input = view.name;
      spec.views.push_back(std::move(view));
      return;
    }
    default: {
      // The node as a graph of its own, which changes nothing.
      if (node.graph) return;
      auto inner = std::make_shared<GraphSpec>();
      inner->name = "inner";
      for (const std::string& input : node.inputs)
        if (std::find(inner->inputs.begin(), inner->inputs.end(), input) == inner->inputs.end())
          inner->inputs.push_back(input);
      inner->outputs = node.outputs;
      inner->nodes.push_back(node);
      node.inputs = inner->inputs;
      node.op_type.clear();
      node.param.clear();
      node.graph = std::move(inner);
    }
  }
}

void Case::Resize() {
  if (given_.empty()) return;
  TensorDesc& desc = given_[static_cast<size_t>(bytes.Int(0, static_cast<int64_t>(given_.size()) - 1))].desc;
  if (desc.rank == 0) return;
  constexpr int64_t kSizes[] = {0, 1, 2, 7, 31, 32, 64, 100};
  desc.dims[static_cast<size_t>(bytes.Int(0, desc.rank - 1))] = bytes.Of(kSizes);
}

void Case::Allocate() {
  request.inputs = {};
  // Spoiled sizes multiply; what takes too long says nothing.
  constexpr int64_t kMostElements = 1 << 16;
  for (Given& given : given_) {
    int64_t elements = 1;
    for (int i = 0; i < given.desc.rank; ++i) {
      if (elements * std::max<int64_t>(1, given.desc.dims[i]) > kMostElements) given.desc.dims[i] = 1;
      elements *= std::max<int64_t>(1, given.desc.dims[i]);
    }
    request.inputs.Add(given.name, given.desc);
  }
  request.inputs.Allocate();
  for (size_t i = 0; i < given_.size(); ++i) Fill(given_[i], request.inputs[i]);
}

void Case::Fill(const Given& given, const Tensor& tensor) {
  const auto elements = static_cast<size_t>(given.desc.Elements());
  const Filling& filling = given.filling;
  float floats[4];
  int64_t integers[4];
  for (int i = 0; i < 4; ++i) {
    floats[i] = bytes.Float();
    integers[i] = bytes.Int(filling.low, filling.high);
  }
  for (size_t i = 0; i < elements; ++i) {
    const int64_t integer = i < filling.exact.size() ? filling.exact[i] : integers[(i + i / 4) % 4];
    const float number = filling.exact.empty() ? floats[(i + i / 4) % 4] : static_cast<float>(integer);
    switch (given.desc.dtype) {
      case DType::kF32:
        tensor.As<float>()[i] = number;
        break;
      case DType::kF16:
        // Half of these bits are large numbers, some are NaN: what they are does not matter, that they vary does.
        tensor.As<uint16_t>()[i] = static_cast<uint16_t>(integers[i % 4] * 4099 + 0x3000);
        if (!filling.exact.empty()) kernels::StoreFloat(tensor.data, DType::kF16, static_cast<int64_t>(i), number);
        break;
      case DType::kBF16: {
        uint32_t bits;
        std::memcpy(&bits, &number, sizeof bits);
        tensor.As<uint16_t>()[i] = static_cast<uint16_t>(bits >> 16);
        break;
      }
      case DType::kI32:
        tensor.As<int32_t>()[i] = static_cast<int32_t>(integer);
        break;
      case DType::kI64:
        tensor.As<int64_t>()[i] = integer;
        break;
      default:
        tensor.As<int8_t>()[i] = static_cast<int8_t>(integer);
    }
  }
}

}  // namespace atb::fuzz
