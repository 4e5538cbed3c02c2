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
  int last_node = 0;   ///< Last node that reads or writes it; the number of nodes for outputs of the graph.
  int last_write = -1;
};

/// One shape of one storage.
struct Slot {
  int storage;
  int source = -1;  ///< The slot whose axes `shape` names; -1: the storage's own shape.
  std::vector<ViewDim> shape;
};

struct FlatNode {
  std::string name;  ///< Path, "layer_3/attn_out".
  std::string type;
  std::shared_ptr<const Operation> op;
  std::vector<int> inputs;     ///< Slots.
  std::vector<int> outputs;    ///< Slots; those also among the inputs are written in place.
  std::vector<bool> in_place;  ///< Per output.
  size_t views_before = 0;     ///< Views (see FlatGraph) that must have their shapes before this node.
};

/// Where an inner tensor can be looked at: its slot, and the node after which it holds its value.
struct TensorPlace {
  int slot;
  int node;
};

/// A graph without sub-graphs and names: every tensor is a slot, every operation is made.
struct FlatGraph {
  std::vector<std::string> inputs;  ///< Input i is slot i and storage i.
  std::vector<std::string> outputs;
  std::vector<int> output_slots;
  std::vector<Slot> slots;
  std::vector<Storage> storages;
  std::vector<int> views;  ///< Slots that are views, each after its source.
  std::vector<FlatNode> nodes;
  /// By node path and tensor ("layer_3/rope/q": as that node left it) and by sub-graph path and tensor ("layer_3/q": as
  /// its last writer left it).
  std::map<std::string, TensorPlace, std::less<>> names;

  /// A name for messages: of the input that the slot belongs to, or of the node that wrote it.
  std::string Describe(int slot) const;
};

/// Inlines sub-graphs, resolves names, makes each operation once per node spec. Throws NATIVE_GRAPH_INVALID,
/// NATIVE_OP_UNKNOWN, NATIVE_PARAM_INVALID.
FlatGraph Flatten(const GraphSpec& spec);

}  // namespace atb
