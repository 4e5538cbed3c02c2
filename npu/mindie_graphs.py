"""Builds exported graphs through MindIE's `_libatb_torch`, which runs all of them."""
import json
import os
import sys

import torch

from reshapes import reshape_function


def load_library():
    # MindIE's own start script sets ATB_SPEED_HOME_PATH.
    home = os.environ.get("ATB_SPEED_HOME_PATH")
    if home:
        sys.path.append(os.path.join(home, "lib"))
    import _libatb_torch

    return _libatb_torch


class MindieGraph:
    """One kind of graph of the model: layers as single operations, in an outer graph that runs node by node."""

    def __init__(self, export, weights):
        self.library = load_library()
        self.graphs = {graph["name"]: graph for graph in export["graphs"]}
        self.outer = self.graphs[export["name"]]
        # C++ keeps pointers to operations only.
        self.operations = []
        self.model = self.build(self.outer, export["name"])
        self.model.set_weights({name: weights[name] for name in self.outer["inputs"] if name in weights})

    def build(self, graph, name):
        built = self.library.GraphOperation(name)
        built.execute_as_single = graph["executeAsSingle"]
        built.add_input_output(graph["inputs"], graph["outputs"])
        for view, reshape in graph["reshapes"].items():
            built.add_reshape(reshape["tensor"], view, reshape_function(reshape["shape"]))
        for node in graph["nodes"]:
            built.add_operation(self.operation(node), node["in"], node["out"])
        built.build()
        return built

    def operation(self, node):
        if "graph" in node:
            # Each place has an operation of its own: it keeps the plan of its last run.
            operation = self.build(self.graphs[node["graph"]], f"{node['graph']}_{node['name']}")
        else:
            operation = self.library.BaseOperation(node["type"], json.dumps(node["param"]), node["name"])
        self.operations.append(operation)
        return operation

    def run(self, inputs, rows, vocab_size, dtype, device):
        """Logits [rows, vocab]."""
        [output] = self.outer["outputs"]
        logits = torch.empty((rows, vocab_size), dtype=dtype, device=device)
        bind = {name: inputs[name].cpu() for name in self.outer["hostInputs"]}
        # The library runs behind this call, and reads these until it is done.
        self.kept = (inputs, bind)
        return self.model.forward(inputs, {output: logits}, bind)[output]
