#pragma once
#include <memory>
#include <string>
#include <vector>

#include "graph/graph_spec.h"

namespace atb::test {

using Numbers = std::vector<double>;
using Names = std::vector<std::string>;

inline NodeSpec Op(std::string name, std::string type, ParamObject param, Names inputs, Names outputs) {
  return {std::move(name), std::move(type), std::move(param), nullptr, std::move(inputs), std::move(outputs)};
}
inline NodeSpec Add(std::string name, Names inputs, Names outputs) {
  return Op(std::move(name), "Elewise", {{"elewiseType", "ELEWISE_ADD"}}, std::move(inputs), std::move(outputs));
}
inline NodeSpec Mul(std::string name, Names inputs, Names outputs) {
  return Op(std::move(name), "Elewise", {{"elewiseType", "ELEWISE_MUL"}}, std::move(inputs), std::move(outputs));
}
inline NodeSpec Muls(std::string name, double factor, Names inputs, Names outputs) {
  return Op(std::move(name), "Elewise",
            {{"elewiseType", "ELEWISE_MULS"}, {"mulsParam", ParamObject{{"varAttr", factor}}}}, std::move(inputs),
            std::move(outputs));
}
inline NodeSpec Sub(std::string name, std::shared_ptr<const GraphSpec> graph, Names inputs, Names outputs) {
  return {std::move(name), "", {}, std::move(graph), std::move(inputs), std::move(outputs)};
}

inline ViewDim Dim(std::vector<int> axes) { return {-1, std::move(axes)}; }
inline ViewDim Size(int64_t size) { return {size, {}}; }

/// y = 2 * (a + b) + a, through two intermediates.
inline GraphSpec Chain() {
  return {"chain",
          {"a", "b"},
          {"y"},
          {},
          {Add("sum", {"a", "b"}, {"s"}), Muls("twice", 2, {"s"}, {"t"}), Add("plus", {"t", "a"}, {"y"})}};
}

}  // namespace atb::test
