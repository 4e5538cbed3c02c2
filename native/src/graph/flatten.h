#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "graph/graph_spec.h"
#include "ops/operation.h"

namespace atb {

/// The bytes of one tensor: an input's, or those that one node's output makes and later nodes may write in place.
struct Storage {
  int input = -1;      ///< Index among the graph's inputs; -1: an intermediate, which lives in the arena.
  int slot = -1;       ///< The slot with its own shape.
  int first_node = 0;  ///< Node that writes it first.
  int last_node = 0;   ///< Last node that reads or writes it; for outputs of the graph, the number of nodes.
  int last_write = -1;
};

/// A name's tensor: one shape of the bytes of one storage.
struct Slot {
  int storage;
  int source = -1;  ///< For a view, the slot whose axes `shape` names; else -1.
  std::vector<ViewDim> shape;
};

struct FlatNode {
  std::string name;  ///< Path, "layer_3/attn_out".
  std::string type;
  std::shared_ptr<const Operation> op;
  std::vector<int> inputs;     ///< Slots.
  std::vector<int> outputs;    ///< Slots. One that is also among the inputs is written in place.
  std::vector<bool> in_place;  ///< Per output.
  size_t views_before = 0;     ///< Views (see FlatGraph) that must have their shapes before this node.
};

/// Where a tensor inside the graph can be read: its slot, and the node after which it holds its value.
struct TensorPlace {
  int slot;
  int node;
};

/// A graph in which sub-graphs are inlined, tensors are slots instead of names, and operations are made.
struct FlatGraph {
  std::vector<std::string> inputs;  ///< Input i is slot i and storage i.
  std::vector<std::string> outputs;
  std::vector<int> output_slots;
  std::vector<Slot> slots;
  std::vector<Storage> storages;
  std::vector<int> views;  ///< Slots that are views, each after its source.
  std::vector<FlatNode> nodes;
  /// Tensors by path. "layer_3/rope/q" is q as the node layer_3/rope left it; "layer_3/q" is the tensor q of the
  /// sub-graph layer_3, as its last writer left it.
  std::map<std::string, TensorPlace, std::less<>> names;

  /// What messages call a slot: the input that it belongs to, or the node that wrote it.
  std::string Describe(int slot) const;
};

/// Inlines sub-graphs, resolves names, and makes one operation for each node of a spec. Throws NATIVE_GRAPH_INVALID,
/// NATIVE_OP_UNKNOWN, NATIVE_PARAM_INVALID.
FlatGraph Flatten(const GraphSpec& spec);

}  // namespace atb
