#include "addon/graph_reader.h"

#include <string>
#include <utility>
#include <vector>

namespace atb::addon {
namespace {

// Far beyond any model. These limits bound the time and the stack that a malicious object can take.
constexpr int kMaxGraphDepth = 16;
constexpr int kMaxParamDepth = 8;
constexpr uint32_t kMaxNodes = 1 << 18;
constexpr uint32_t kMaxNumbers = 1 << 16;
constexpr uint32_t kMaxKeys = 256;
/// How many of the latest sub-graphs a new one is compared with by identity. Few are enough, since equal layers stand
/// close together.
constexpr size_t kRemembered = 32;

class Reader {
 public:
  GraphSpec Graph(const Napi::Value& value, const Where& where, int depth) {
    if (depth > kMaxGraphDepth)
      FailArgument(where, "nested at most " + std::to_string(kMaxGraphDepth) + " deep", value);
    const Napi::Object object = ReadObject(value, where);
    GraphSpec spec;
    spec.name = ReadString(object.Get("name"), Where(where, "name"));
    spec.inputs = ReadStrings(object.Get("inputs"), Where(where, "inputs"), kMaxTensors);
    spec.outputs = ReadStrings(object.Get("outputs"), Where(where, "outputs"), kMaxTensors);
    Views(object.Get("views"), Where(where, "views"), spec.views);
    const Where nodes_where(where, "nodes");
    const Napi::Array nodes = ReadArray(object.Get("nodes"), nodes_where, kMaxNodes);
    const uint32_t count = nodes.Length();
    for (uint32_t i = 0; i < count; ++i) spec.nodes.push_back(Node(nodes.Get(i), Where(nodes_where, i), depth));
    return spec;
  }

 private:
  NodeSpec Node(const Napi::Value& value, const Where& where, int depth) {
    if (++nodes_ > kMaxNodes) FailArgument(where, "among the first " + std::to_string(kMaxNodes) + " nodes", value);
    const Napi::HandleScope scope(value.Env());
    const Napi::Object object = ReadObject(value, where);
    NodeSpec node;
    node.name = ReadString(object.Get("name"), Where(where, "name"));
    node.inputs = ReadStrings(object.Get("inputs"), Where(where, "inputs"), kMaxTensors);
    node.outputs = ReadStrings(object.Get("outputs"), Where(where, "outputs"), kMaxTensors);
    const Where op_where(where, "op");
    const Napi::Object op = ReadObject(object.Get("op"), op_where);
    const Napi::Value graph = op.Get("graph");
    if (!graph.IsUndefined()) {
      node.graph = SubGraph(graph, Where(op_where, "graph"), depth + 1);
      return node;
    }
    node.op_type = ReadString(op.Get("type"), Where(op_where, "type"));
    node.param = Params(op.Get("param"), Where(op_where, "param"), 0);
    return node;
  }

  std::shared_ptr<const GraphSpec> SubGraph(const Napi::Value& value, const Where& where, int depth) {
    for (const auto& [reference, spec] : known_)
      if (reference.Value().StrictEquals(value)) return spec;
    auto spec = std::make_shared<const GraphSpec>(Graph(value, where, depth));
    if (known_.size() == kRemembered) known_.erase(known_.begin());
    // This keeps a reference, because the handle itself ends with the handle scope of its node.
    known_.emplace_back(Napi::Persistent(value.As<Napi::Object>()), spec);
    return spec;
  }

  static void Views(const Napi::Value& value, const Where& where, std::vector<ViewSpec>& views) {
    const Napi::Object object = ReadObject(value, where);
    for (const std::string& name : ReadKeys(object, where, kMaxTensors)) {
      const Where view_where(where, name);
      const Napi::Object from = ReadObject(object.Get(name), view_where);
      ViewSpec view;
      view.name = name;
      view.source = ReadString(from.Get("source"), Where(view_where, "source"));
      const Where shape_where(view_where, "shape");
      const Napi::Array shape = ReadArray(from.Get("shape"), shape_where, kMaxRank);
      const uint32_t rank = shape.Length();
      for (uint32_t i = 0; i < rank; ++i) view.shape.push_back(Dim(shape.Get(i), Where(shape_where, i)));
      views.push_back(std::move(view));
    }
  }

  static ViewDim Dim(const Napi::Value& value, const Where& where) {
    ViewDim dim;
    if (value.IsNumber()) {
      dim.constant = ReadInteger(value, where, 0, kMaxSafeInteger);
      return dim;
    }
    const Where axes_where(where, "axes");
    const Napi::Array axes = ReadArray(ReadObject(value, where).Get("axes"), axes_where, kMaxRank);
    const uint32_t count = axes.Length();
    if (count == 0) FailArgument(axes_where, "a list of axes", axes);
    for (uint32_t i = 0; i < count; ++i)
      dim.axes.push_back(static_cast<int>(ReadInteger(axes.Get(i), Where(axes_where, i), 0, kMaxRank - 1)));
    return dim;
  }

  static ParamObject Params(const Napi::Value& value, const Where& where, int depth) {
    if (depth > kMaxParamDepth)
      FailArgument(where, "nested at most " + std::to_string(kMaxParamDepth) + " deep", value);
    const Napi::Object object = ReadObject(value, where);
    ParamObject params;
    for (const std::string& key : ReadKeys(object, where, kMaxKeys)) {
      const Napi::Value entry = object.Get(key);
      // As in JSON, a key whose value is undefined counts as absent.
      if (!entry.IsUndefined()) params.emplace(key, Parameter(entry, Where(where, key), depth));
    }
    return params;
  }

  static Param Parameter(const Napi::Value& value, const Where& where, int depth) {
    switch (value.Type()) {
      case napi_boolean:
        return value.As<Napi::Boolean>().Value();
      case napi_number:
        return value.As<Napi::Number>().DoubleValue();
      case napi_string:
        return ReadString(value, where);
      case napi_null:
        return {};
      case napi_object:
        break;
      default:
        FailArgument(where, "JSON", value);
    }
    if (!value.IsArray()) return Params(value, where, depth + 1);
    const Napi::Array array = ReadArray(value, where, kMaxNumbers);
    const uint32_t count = array.Length();
    std::vector<double> numbers;
    for (uint32_t i = 0; i < count; ++i) numbers.push_back(ReadNumber(array.Get(i), Where(where, i)));
    return numbers;
  }

  uint32_t nodes_ = 0;
  std::vector<std::pair<Napi::ObjectReference, std::shared_ptr<const GraphSpec>>> known_;
};

}  // namespace

GraphSpec ReadGraph(const Napi::Value& value, const Where& where) { return Reader().Graph(value, where, 0); }

}  // namespace atb::addon
