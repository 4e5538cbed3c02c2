"""MindIE's Python graph library, without an NPU: every call is checked, results are PyTorch's."""
import json

from stub_checks import require
from stub_graph import StubGraph, StubOperation


class Operation:
    def __init__(self, impl, op_name):
        self.impl, self.op_name = impl, op_name
        self.weights = {}

    def set_weights(self, weights=None):
        for name in weights or {}:
            require(name in self.impl.inputs, f"{self.op_name} error weight key: {name}")
        self.weights.update(weights or {})

    def forward(self, input, output=None, bind=None):
        output, bind = output or {}, bind or {}
        for name in [*input, *bind]:
            require(name in self.impl.inputs, f"{self.op_name} invalid tensor name: {name}")
        given = {**input, **self.weights}
        missing = [name for name in self.impl.inputs if name not in given]
        require(not missing, f"{self.op_name}: inputs stay empty: {missing}")
        for name, tensor in bind.items():
            require(tensor.dtype == given[name].dtype, f"{name}: bindTensor's dtype is different from inTensor's dtype")
            require(tensor.tolist() == given[name].tolist(), f"{name}: host and device differ")
        require(set(output) == set(self.impl.outputs), f"{self.op_name}: outputs must be given: {list(output)}")
        results = self.impl.execute(
            [given[name] for name in self.impl.inputs], [name in bind for name in self.impl.inputs]
        )
        for name, result in zip(self.impl.outputs, results, strict=True):
            require(result.shape == output[name].shape, f"{name}: {result.shape}, given {output[name].shape}")
            require(result.dtype == output[name].dtype, f"{name}: {result.dtype}, given {output[name].dtype}")
            output[name].copy_(result)
        return output


class BaseOperation(Operation):
    def __init__(self, op_type, op_param, op_name):
        require(isinstance(op_param, str) and len(op_param) <= 200000, "op_param must be a JSON string")
        super().__init__(StubOperation(op_type, json.loads(op_param)), op_name)
        self.op_type, self.op_param = op_type, op_param


class GraphOperation(Operation):
    def __init__(self, op_name=""):
        super().__init__(StubGraph(op_name), op_name)
        self.execute_as_single = True
        self.built = False

    def add_input_output(self, input, output):
        self.impl.set_input_output(input, output)

    def add_operation(self, operation, input, output):
        require(getattr(operation, "built", True), f"{operation.op_name} is not built")
        self.impl.add(operation.impl, input, output)

    def add_reshape(self, input, ouput, func):
        self.impl.reshape(input, ouput, func)

    def build(self):
        self.impl.finish(self.execute_as_single)
        self.built = True
