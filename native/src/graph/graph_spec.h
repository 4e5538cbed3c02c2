#pragma once
#include <memory>
#include <string>
#include <vector>

#include "ops/param.h"

namespace atb {

/// One dimension of a view: a constant, or the product of some axes of its source.
struct ViewDim {
  int64_t constant = -1;  ///< Used when axes is empty.
  std::vector<int> axes;
};

/// A second shape for a tensor's bytes.
struct ViewSpec {
  std::string name;
  std::string source;  ///< A tensor or another view.
  std::vector<ViewDim> shape;
};

struct GraphSpec;

/// An operation, or a graph placed by position.
struct NodeSpec {
  std::string name;
  std::string op_type;  ///< Empty when `graph` is set.
  ParamObject param;
  std::shared_ptr<const GraphSpec> graph;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
};

/// A graph as plain data, the twin of GraphSpec in src/graph/. Equal sub-graphs share one object.
struct GraphSpec {
  std::string name;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::vector<ViewSpec> views;
  std::vector<NodeSpec> nodes;
};

}  // namespace atb
