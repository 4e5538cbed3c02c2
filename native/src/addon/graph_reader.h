#pragma once
#include <napi.h>

#include <memory>

#include "addon/values.h"
#include "graph/graph_spec.h"

namespace atb::addon {

/// Reads a GraphSpec of JavaScript (src/graph/graph-spec.ts). Where two nodes share a sub-graph object, they share it
/// here. Throws NATIVE_ARGUMENT_INVALID for what has another form, or exceeds the limits of depth and size. Whether the
/// graph makes sense is checked later, by Graph.
GraphSpec ReadGraph(const Napi::Value& value, const Where& where);

}  // namespace atb::addon
