#include "graph/graph.h"
#include "graph_specs.h"
#include "op_runner.h"

using namespace atb;        // NOLINT
using namespace atb::test;  // NOLINT

namespace {

std::string GraphError(const GraphSpec& spec) {
  return ErrorOf([&] { Graph graph(spec); });
}

bool Invalid(const GraphSpec& spec, std::initializer_list<std::string_view> parts) {
  const std::string error = GraphError(spec);
  return Has(error, {"NATIVE_GRAPH_INVALID"}) && Has(error, parts);
}

void NodesAreChecked() {
  CHECK(GraphError(Chain()) == "nothing");
  CHECK(Invalid({"g", {"a"}, {"y"}, {}, {Add("n", {"a", "b"}, {"y"})}},
                {"n: reads \"b\", which nothing before it writes"}));
  CHECK(Invalid({"g", {"a"}, {"z"}, {}, {Add("n", {"a", "a"}, {"y"})}}, {"graph output: reads \"z\""}));
  CHECK(Invalid({"g", {"a"}, {"y"}, {}, {Add("n", {"a"}, {"y"})}}, {"n: takes 2 inputs, found 1"}));
  CHECK(Invalid({"g", {"a"}, {"y"}, {}, {Add("n", {"a", "a"}, {"y", "z"})}}, {"n: takes 1 outputs, found 2"}));
  CHECK(Invalid({"g", {"a", "a"}, {"a"}, {}, {}}, {"input \"a\" is declared twice"}));
  CHECK(Invalid({"g", {"a", "b"}, {"a"}, {}, {Muls("n", 1, {"a"}, {"b"})}}, {"n: writes \"b\", which already exists"}));
  CHECK(Invalid({"g", {"a"}, {"t"}, {}, {Muls("n", 1, {"a"}, {"t"}), Muls("m", 1, {"a"}, {"t"})}},
                {"m: writes \"t\", which already exists"}));
  CHECK(Invalid({"g", {"a"}, {"a"}, {}, {Op("n", "Transpose", {{"perm", Numbers{1, 0}}}, {"a"}, {"a"})}},
                {"cannot write \"a\" in place"}));
  const ParamObject rope = {{"rotaryCoeff", 2}};
  CHECK(Invalid({"g", {"q", "c", "l"}, {"q"}, {}, {Op("n", "Rope", rope, {"q", "q", "c", "c", "l"}, {"q", "q"})}},
                {"writes \"q\" twice"}));
}

void ViewsAreChecked() {
  const auto view = [](std::string name, std::string source) {
    return ViewSpec{std::move(name), std::move(source), {Dim({0})}};
  };
  CHECK(Invalid({"g", {"a"}, {"u"}, {view("u", "v"), view("v", "u")}, {}}, {"is made of itself"}));
  CHECK(Invalid({"g", {"a"}, {"a"}, {view("u", "v"), view("v", "u")}, {}}, {"is made of itself"}));
  CHECK(Invalid({"g", {"a"}, {"a"}, {view("u", "z")}, {}}, {"view \"u\" is made of \"z\", which nothing writes"}));
  CHECK(Invalid({"g", {"a"}, {"a"}, {view("u", "a"), view("u", "a")}, {}}, {"view \"u\" is declared twice"}));
  CHECK(Invalid({"g", {"a"}, {"a"}, {view("a", "a")}, {}}, {"both an input and a view"}));
  CHECK(Invalid({"g", {"a"}, {"u"}, {{"u", "a", {Dim({8})}}}, {}}, {"neither a size nor axes"}));
  CHECK(Invalid({"g", {"a"}, {"u"}, {{"u", "a", {ViewDim{}}}}, {}}, {"neither a size nor axes"}));
  CHECK(Invalid({"g", {"a"}, {"u"}, {{"u", "a", std::vector<ViewDim>(9, Size(1))}}, {}}, {"rank 9"}));
  CHECK(Invalid({"g", {"a"}, {"y"}, {view("u", "y")}, {Muls("n", 1, {"u"}, {"y"})}}, {"n: reads \"u\""}));
  CHECK(Invalid({"g", {"a"}, {"y"}, {view("u", "y")}, {Muls("n", 1, {"a"}, {"u"}), Muls("m", 1, {"a"}, {"y"})}},
                {"n: writes the view \"u\""}));
}

void SubGraphsAreChecked() {
  CHECK(Invalid({"g", {"a"}, {"a"}, {}, {Op("n", "", {}, {}, {})}}, {"neither an operation nor a graph"}));
  auto inner = std::make_shared<GraphSpec>(GraphSpec{"inner", {"x"}, {"y"}, {}, {Muls("m", 1, {"x"}, {"y"})}});
  NodeSpec both = Sub("n", inner, {"a"}, {"y"});
  both.op_type = "Elewise";
  CHECK(Invalid({"g", {"a"}, {"y"}, {}, {both}}, {"both an operation and a graph"}));
  CHECK(Invalid({"g", {"a"}, {"y"}, {}, {Sub("n", inner, {"a", "a"}, {"y"})}}, {"n: takes 1 inputs, found 2"}));
  CHECK(Invalid({"g", {"a"}, {"a"}, {}, {Sub("n", inner, {"a"}, {"a"})}},
                {"cannot write \"a\" in place: the sub-graph"}));
  CHECK(Has(GraphError({"g", {"a"}, {"y"}, {}, {Op("n", "Nothing", {}, {"a"}, {"y"})}}), {"NATIVE_OP_UNKNOWN: n: "}));
  CHECK(Has(GraphError({"g", {"a"}, {"y"}, {}, {Op("n", "Elewise", {}, {"a"}, {"y"})}}),
            {"NATIVE_PARAM_INVALID: n: Elewise"}));
}

void GraphsThatUnfoldWithoutEndAreRefused() {
  auto deep = std::make_shared<GraphSpec>(GraphSpec{"inner", {"x"}, {"y"}, {}, {Muls("m", 1, {"x"}, {"y"})}});
  for (int i = 0; i < 20; ++i)
    deep = std::make_shared<GraphSpec>(GraphSpec{"deep", {"x"}, {"y"}, {}, {Sub("d", deep, {"x"}, {"y"})}});
  CHECK(Invalid({"g", {"a"}, {"y"}, {}, {Sub("n", deep, {"a"}, {"y"})}}, {"deeper than 16"}));
  auto wide = std::make_shared<GraphSpec>(GraphSpec{"empty", {"x"}, {"x"}, {}, {}});
  for (int i = 0; i < 12; ++i)
    wide = std::make_shared<GraphSpec>(
        GraphSpec{"wide", {"x"}, {"x"}, {}, std::vector<NodeSpec>(10, Sub("w", wide, {"x"}, {"x"}))});
  CHECK(Invalid({"g", {"a"}, {"a"}, {}, {Sub("n", wide, {"a"}, {"a"})}}, {"unfolds to more than"}));
}

}  // namespace

int main() {
  RUN(NodesAreChecked);
  RUN(ViewsAreChecked);
  RUN(SubGraphsAreChecked);
  RUN(GraphsThatUnfoldWithoutEndAreRefused);
}
