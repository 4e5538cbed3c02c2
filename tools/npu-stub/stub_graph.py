"""A graph of operations, as ATB's GraphParam holds it, run node by node; and one operation."""
import re

from stub_checks import check_inputs, check_param, counts, host_inputs, require
from stub_kernels import KERNELS

MAX_TENSORS = 256


class StubOperation:
    """One operation; `param` in the JSON dialect."""

    def __init__(self, op, param):
        check_param(op, param)
        self.op, self.param = op, param
        self.input_count, self.output_count = counts(op, param)
        self.host = host_inputs(op, param)
        self.placed = False

    def execute(self, tensors, on_host):
        for index in self.host:
            require(on_host[index], f"{self.op} needs input {index} on the host")
        check_inputs(self.op, self.param, tensors)
        return KERNELS[self.op](self.param, tensors)


class StubGraph:
    def __init__(self, name):
        require(re.fullmatch(r"[A-Za-z0-9_]{1,128}", name), f"{name!r} is no name of a graph")
        self.name = name
        self.inputs, self.outputs, self.nodes = [], [], []
        self.views = {}
        self.placed = False

    def set_input_output(self, inputs, outputs):
        require(not self.nodes and not self.views, "inputs and outputs come first")
        require(len(set(inputs + outputs)) == len(inputs + outputs), f"{self.name}: a name is there twice")
        self.inputs, self.outputs = list(inputs), list(outputs)

    def reshape(self, source, view, function):
        require(source not in self.views, f"{self.name}: {view} is a view of the view {source}")
        self.views[view] = (source, function)

    def add(self, operation, inputs, outputs):
        require(not operation.placed, "an operation has one place")
        operation.placed = True
        require(len(inputs) == operation.input_count, f"{self.name}: {operation} reads {operation.input_count}: {inputs}")
        require(len(outputs) == operation.output_count, f"{self.name}: writes {operation.output_count}: {outputs}")
        self.nodes.append((operation, list(inputs), list(outputs)))

    def finish(self, as_single):
        """What CreateOperation asks of a GraphParam, or MindIE's graph when it runs node by node."""
        known, inner = set(self.inputs), set()
        for operation, inputs, outputs in self.nodes:
            for name in inputs:
                root = self.views[name][0] if name in self.views else name
                require(root in known, f"{self.name}: {name} is read before it is written")
                require(as_single or name not in self.views, f"{self.name}: a view of the outer graph")
            require(as_single or len(outputs) <= len(inputs), f"{self.name}: more outputs than inputs, node by node")
            known.update(outputs)
            inner.update(outputs)
        inner -= {*self.inputs, *self.outputs}
        require(set(self.outputs) <= known, f"{self.name}: an output is never written")
        if as_single:
            for what in (self.inputs, self.outputs, inner):
                require(len(what) <= MAX_TENSORS, f"{self.name}: {len(what)} tensors of a kind")
            require(len(self.nodes) <= 1024, f"{self.name}: {len(self.nodes)} nodes")
        self.input_count, self.output_count = len(self.inputs), len(self.outputs)

    def execute(self, tensors, on_host):
        values = dict(zip(self.inputs, tensors, strict=True))
        host = dict(zip(self.inputs, on_host, strict=True))

        def seen(name):
            if name not in self.views:
                return values[name]
            source, function = self.views[name]
            tensor = values[source]
            return tensor.reshape(function(list(tensor.shape)))

        for operation, inputs, outputs in self.nodes:
            results = operation.execute([seen(name) for name in inputs], [host.get(name, False) for name in inputs])
            for name, result in zip(outputs, results, strict=True):
                values[name] = result
        return [values[name] for name in self.outputs]
