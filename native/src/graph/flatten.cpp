#include "graph/flatten.h"

#include <algorithm>

#include "base/error.h"

namespace atb {
namespace {

/// Operations and sub-graphs of a graph, each counted as often as it is placed. This is far more than any model has,
/// and far less than a hostile spec could unfold to.
constexpr size_t kMaxNodes = size_t{1} << 16;
constexpr int kMaxDepth = 16;
constexpr size_t kMaxGraphTensors = size_t{1} << 16;  ///< Inputs of one graph, and also outputs.
constexpr int64_t kMaxDim = int64_t{1} << 40;

[[noreturn]] void Fail(const std::string& where, const std::string& problem) {
  throw Error("NATIVE_GRAPH_INVALID", (where.empty() ? "graph" : where) + ": " + problem);
}

std::string Quote(std::string_view name) { return '"' + std::string(name.substr(0, 200)) + '"'; }

class Flattener {
 public:
  explicit Flattener(FlatGraph& flat) : flat_(flat) {}

  void Run(const GraphSpec& spec) {
    flat_.inputs = spec.inputs;
    flat_.outputs = spec.outputs;
    std::vector<int> inputs;
    for (size_t i = 0; i < spec.inputs.size(); ++i) inputs.push_back(NewStorage(static_cast<int>(i)));
    flat_.output_slots = Inline(spec, "", inputs, 0);
    const int end = static_cast<int>(flat_.nodes.size());
    for (int slot : flat_.output_slots) StorageOf(slot).last_node = end;
    for (auto& [name, tensor] : flat_.names)
      if (tensor.node < 0) tensor.node = std::max(0, StorageOf(tensor.slot).last_write);
  }

 private:
  /// The names of one graph where it is placed.
  struct Scope {
    const GraphSpec& spec;
    std::string path;
    std::map<std::string, int, std::less<>> tensors;  ///< Slots of the inputs and of what nodes have written so far.
    std::map<std::string, const ViewSpec*, std::less<>> views;
    std::map<std::string, int, std::less<>> view_slots;
  };

  Storage& StorageOf(int slot) { return flat_.storages[static_cast<size_t>(SlotAt(slot).storage)]; }
  Slot& SlotAt(int slot) { return flat_.slots[static_cast<size_t>(slot)]; }

  int NewStorage(int input) {
    const int slot = static_cast<int>(flat_.slots.size());
    const int node = static_cast<int>(flat_.nodes.size());
    flat_.slots.push_back({.storage = static_cast<int>(flat_.storages.size()), .source = -1, .shape = {}});
    flat_.storages.push_back({.input = input, .slot = slot, .first_node = node, .last_node = node, .last_write = -1});
    return slot;
  }

  Scope Open(const GraphSpec& spec, const std::string& path, const std::vector<int>& inputs) {
    Scope scope{.spec = spec, .path = path, .tensors = {}, .views = {}, .view_slots = {}};
    if (spec.inputs.size() > kMaxGraphTensors || spec.outputs.size() > kMaxGraphTensors)
      Fail(path, "more than " + std::to_string(kMaxGraphTensors) + " inputs or outputs");
    for (size_t i = 0; i < spec.inputs.size(); ++i)
      if (!scope.tensors.emplace(spec.inputs[i], inputs[i]).second)
        Fail(path, "input " + Quote(spec.inputs[i]) + " is declared twice");
    for (const ViewSpec& view : spec.views) {
      if (!scope.views.emplace(view.name, &view).second) Fail(path, "view " + Quote(view.name) + " is declared twice");
      if (scope.tensors.contains(view.name)) Fail(path, Quote(view.name) + " is both an input and a view");
      CheckView(path, view);
    }
    return scope;
  }

  static void CheckView(const std::string& path, const ViewSpec& view) {
    if (view.shape.size() > kMaxRank)
      Fail(path, "view " + Quote(view.name) + " has rank " + std::to_string(view.shape.size()) + ", at most " +
                     std::to_string(kMaxRank));
    for (const ViewDim& dim : view.shape) {
      const bool constant = dim.axes.empty() && dim.constant >= 0 && dim.constant <= kMaxDim;
      const bool axes = !dim.axes.empty() && dim.axes.size() <= kMaxRank &&
                        std::ranges::all_of(dim.axes, [](int a) { return a >= 0 && a < kMaxRank; });
      if (!constant && !axes)
        Fail(path, "view " + Quote(view.name) + " has a dimension that is neither a size nor axes");
    }
  }

  /// The slot of a name; -1 when nothing defines it so far.
  int Find(Scope& scope, std::string_view name) {
    std::vector<const ViewSpec*> chain;
    for (;;) {
      const auto view = scope.views.find(name);
      if (view == scope.views.end()) break;
      chain.push_back(view->second);
      if (chain.size() > scope.views.size()) Fail(scope.path, "view " + Quote(name) + " is made of itself");
      name = view->second->source;
    }
    const auto tensor = scope.tensors.find(name);
    if (tensor == scope.tensors.end()) return -1;
    int slot = tensor->second;
    for (; !chain.empty(); chain.pop_back()) slot = ViewOf(scope, *chain.back(), slot);
    return slot;
  }

  int ViewOf(Scope& scope, const ViewSpec& view, int source) {
    // A node may give the name to another tensor. So an earlier slot serves only while it is a view of the same tensor.
    const auto known = scope.view_slots.find(view.name);
    if (known != scope.view_slots.end() && SlotAt(known->second).source == source) return known->second;
    const int slot = static_cast<int>(flat_.slots.size());
    flat_.slots.push_back({.storage = SlotAt(source).storage, .source = source, .shape = view.shape});
    flat_.views.push_back(slot);
    scope.view_slots[view.name] = slot;
    return slot;
  }

  int Resolve(Scope& scope, std::string_view name, const std::string& reader) {
    const int slot = Find(scope, name);
    if (slot < 0) Fail(reader, "reads " + Quote(name) + ", which nothing before it writes");
    return slot;
  }

  std::vector<int> Inline(const GraphSpec& spec, const std::string& path, const std::vector<int>& inputs, int depth) {
    if (depth > kMaxDepth) Fail(path, "sub-graphs are nested deeper than " + std::to_string(kMaxDepth));
    Count(path);
    Scope scope = Open(spec, path, inputs);
    for (const NodeSpec& node : spec.nodes) {
      const std::string node_path = path.empty() ? node.name : path + "/" + node.name;
      if (node.graph && !node.op_type.empty()) Fail(node_path, "is both an operation and a graph");
      if (!node.graph && node.op_type.empty()) Fail(node_path, "is neither an operation nor a graph");
      std::vector<int> slots;
      for (const std::string& name : node.inputs) slots.push_back(Resolve(scope, name, node_path));
      if (node.graph) {
        CheckArity(node_path, "inputs", node.inputs.size(), node.graph->inputs.size());
        CheckArity(node_path, "outputs", node.outputs.size(), node.graph->outputs.size());
        const std::vector<int> outputs = Inline(*node.graph, node_path, slots, depth + 1);
        for (size_t i = 0; i < outputs.size(); ++i) Rebind(scope, node, node_path, i, outputs[i]);
      } else {
        Place(scope, node, node_path, std::move(slots));
      }
    }
    std::vector<int> outputs;
    for (const std::string& name : spec.outputs)
      outputs.push_back(Resolve(scope, name, path.empty() ? "graph output" : path + " output"));
    Close(scope);
    return outputs;
  }

  void Count(const std::string& path) {
    if (++placed_ > kMaxNodes) Fail(path, "the graph unfolds to more than " + std::to_string(kMaxNodes) + " nodes");
  }

  static void CheckArity(const std::string& path, const char* side, size_t found, size_t expected) {
    if (found != expected)
      Fail(path, "takes " + std::to_string(expected) + " " + side + ", found " + std::to_string(found));
  }

  /// Adds one operation to the graph.
  void Place(Scope& scope, const NodeSpec& spec, const std::string& path, std::vector<int> inputs) {
    Count(path);
    FlatNode node;
    node.name = path;
    node.type = spec.op_type;
    node.op = OperationOf(spec, path);
    node.inputs = std::move(inputs);
    CheckArity(path, "inputs", spec.inputs.size(), static_cast<size_t>(node.op->NumInputs()));
    CheckArity(path, "outputs", spec.outputs.size(), static_cast<size_t>(node.op->NumOutputs()));
    const int index = static_cast<int>(flat_.nodes.size());
    for (int slot : node.inputs) StorageOf(slot).last_node = index;
    for (size_t i = 0; i < spec.outputs.size(); ++i) {
      const int aliased = InPlaceSlot(scope, spec, path, *node.op, i);
      const int slot = aliased >= 0 ? aliased : NewStorage(-1);
      for (int other : node.outputs)
        if (SlotAt(other).storage == SlotAt(slot).storage) Fail(path, "writes " + Quote(spec.outputs[i]) + " twice");
      if (aliased < 0) scope.tensors[spec.outputs[i]] = slot;
      StorageOf(slot).last_write = index;
      node.outputs.push_back(slot);
      node.in_place.push_back(aliased >= 0);
      flat_.names.emplace(path + "/" + spec.outputs[i], TensorPlace{slot, index});
    }
    node.views_before = flat_.views.size();
    flat_.nodes.push_back(std::move(node));
  }

  /// The slot that output `index` writes in place, because the node reads a tensor of that name; -1: a new tensor.
  int InPlaceSlot(Scope& scope, const NodeSpec& spec, const std::string& path, const Operation& op, size_t index) {
    const std::string& name = spec.outputs[index];
    const int existing = Find(scope, name);
    if (existing < 0) {
      if (scope.views.contains(name))
        Fail(path, "writes the view " + Quote(name) + ", whose source does not exist yet");
      return -1;
    }
    bool read = false;
    for (size_t i = 0; i < spec.inputs.size(); ++i) {
      if (spec.inputs[i] != name) continue;
      read = true;
      if (op.InPlace(static_cast<int>(i), static_cast<int>(index))) return existing;
    }
    if (!read) Fail(path, "writes " + Quote(name) + ", which already exists and which it does not read");
    // The operation cannot work in place, so the name gets a new tensor. That is an error where others would miss the
    // change.
    if (StorageOf(existing).input >= 0 || SlotAt(existing).source >= 0)
      Fail(path, "cannot write " + Quote(name) + " in place (" + spec.op_type + " does not allow it)");
    return -1;
  }

  /// Names output `index` of a sub-graph.
  void Rebind(Scope& scope, const NodeSpec& spec, const std::string& path, size_t index, int slot) {
    const std::string& name = spec.outputs[index];
    const int existing = Find(scope, name);
    if (existing < 0 && scope.views.contains(name))
      Fail(path, "writes the view " + Quote(name) + ", whose source does not exist yet");
    if (existing >= 0) {
      if (std::ranges::find(spec.inputs, name) == spec.inputs.end())
        Fail(path, "writes " + Quote(name) + ", which already exists and which it does not read");
      if (existing == slot) return;
      if (StorageOf(existing).input >= 0 || SlotAt(existing).source >= 0)
        Fail(path, "cannot write " + Quote(name) + " in place: the sub-graph's output is not that input");
    }
    scope.tensors[name] = slot;
  }

  std::shared_ptr<const Operation> OperationOf(const NodeSpec& spec, const std::string& path) {
    std::shared_ptr<const Operation>& op = operations_[&spec];
    if (op) return op;
    try {
      op = CreateOperation(spec.op_type, spec.param);
    } catch (const Error& e) {
      throw Error(e.code(), path + ": " + e.what());
    }
    return op;
  }

  /// Checks views that nobody read, and publishes the scope's names.
  void Close(Scope& scope) {
    for (const auto& [name, view] : scope.views) {
      std::string_view source = name;
      for (size_t steps = 0; scope.views.contains(source); source = scope.views.find(source)->second->source)
        if (steps++ > scope.views.size()) Fail(scope.path, "view " + Quote(name) + " is made of itself");
      if (!scope.tensors.contains(source))
        Fail(scope.path, "view " + Quote(name) + " is made of " + Quote(source) + ", which nothing writes");
    }
    const std::string prefix = scope.path.empty() ? "" : scope.path + "/";
    for (const auto& [name, slot] : scope.tensors) flat_.names.emplace(prefix + name, TensorPlace{slot, -1});
    for (const auto& [name, slot] : scope.view_slots) flat_.names.emplace(prefix + name, TensorPlace{slot, -1});
  }

  FlatGraph& flat_;
  size_t placed_ = 0;
  /// Equal layers share their spec, and with it the operations.
  std::map<const NodeSpec*, std::shared_ptr<const Operation>> operations_;
};

}  // namespace

std::string FlatGraph::Describe(int slot) const {
  const Storage& storage = storages[static_cast<size_t>(slots[static_cast<size_t>(slot)].storage)];
  if (storage.input >= 0) return '"' + inputs[static_cast<size_t>(storage.input)] + '"';
  return "the output of " + nodes[static_cast<size_t>(storage.first_node)].name;
}

FlatGraph Flatten(const GraphSpec& spec) {
  FlatGraph flat;
  Flattener(flat).Run(spec);
  return flat;
}

}  // namespace atb
