#pragma once
#include <napi.h>

#include <memory>

#include "addon/values.h"
#include "graph/graph_spec.h"

namespace atb::addon {

/// Reads a GraphSpec of JavaScript (src/graph/graph-spec.ts). A sub-graph that is one object there is one object here.
/// Throws NATIVE_ARGUMENT_INVALID for what is not of that form or beyond limits of depth and size; whether the graph
/// makes sense is the graph's matter.
GraphSpec ReadGraph(const Napi::Value& value, const Where& where);

}  // namespace atb::addon
