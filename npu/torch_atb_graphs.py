"""Builds exported graphs of floats through ATB's own `torch_atb`. It has no products of integers."""
import re

from reshapes import reshape_function

# Enums that lie in the module itself; all others lie in the class of their param.
MODULE_ENUMS = {"outDataType": "AclDataType", "outTensorType": "AclDataType", "quantType": "QuantType"}
MODULE_ENUMS_OF = {("Activation", "activationType"): "ActivationType"}
OWN_ENUMS = {
    "calcType": "CalcType",
    "compressType": "CompressType",
    "elewiseType": "ElewiseType",
    "geluMode": "GeLUMode",
    "kernelType": "KernelType",
    "kvCacheCfg": "KvCacheCfg",
    "maskType": "MaskType",
    "modelType": "ModelType",
    "precisionMode": "PrecisionMode",
}
OWN_ENUMS_OF = {("RmsNorm", "layerType"): "RmsNormType", ("LayerNorm", "layerType"): "LayerNormType"}
# Names that the JSON dialect and these bindings spell differently.
RENAMED_VALUES = {
    ("PagedAttention", "maskType", "MASK_TYPE_UNDEFINED"): "UNDEFINED",
    ("RmsNorm", "quantType", "QUANT_UNDEFINED"): "QUANT_UNQUANT",
    ("LayerNorm", "quantType", "QUANT_UNDEFINED"): "QUANT_UNQUANT",
}
BLOCKS = {"normParam": "NormParam", "preNormParam": "PreNormParam", "postNormParam": "PostNormParam", "mulsParam": "MulsParam"}


# What MindIE's library has and these bindings have not.
MISSING_KEYS = {"mlaVHeadSize"}


def snake_case(key):
    return re.sub(r"[A-Z]", lambda letter: "_" + letter.group().lower(), key)


class TorchAtbGraph:
    """One kind of graph of the model. Nodes of the outer graph are operations that this program runs one by one."""

    def __init__(self, export, weights):
        import torch_atb

        self.library = torch_atb
        self.graphs = {graph["name"]: graph for graph in export["graphs"]}
        self.outer = self.graphs[export["name"]]
        self.weights = weights
        self.nodes = [(self.operation(node), self.inputs_of(node), node["out"]) for node in self.outer["nodes"]]

    def param(self, node):
        name = f"{node['type']}Param"
        cls = getattr(self.library, name, None)
        if cls is None:
            raise ValueError(f"torch_atb has no {name}: run this export through MindIE's library")
        return self.filled(cls, cls, node["type"], node["param"])

    def filled(self, cls, outer, op, values):
        arguments = {}
        for key, value in values.items():
            if key in MISSING_KEYS:
                raise ValueError(f"torch_atb's {op}Param has no {key}: run this export through MindIE's library")
            if key in BLOCKS:
                value = self.filled(getattr(outer, BLOCKS[key]), outer, op, value)
            elif isinstance(value, str):
                value = self.enum(outer, op, key, value)
            arguments[snake_case(key)] = value
        return cls(**arguments)

    def enum(self, cls, op, key, value):
        value = RENAMED_VALUES.get((op, key, value), value)
        shared = MODULE_ENUMS_OF.get((op, key))
        if key in MODULE_ENUMS and "Attention" not in op:
            shared = MODULE_ENUMS[key]
        owner = self.library if shared else cls
        enum = shared or OWN_ENUMS_OF.get((op, key)) or OWN_ENUMS[key]
        return getattr(getattr(owner, enum), value)

    def operation(self, node):
        if "graph" in node:
            return self.graph(self.graphs[node["graph"]], f"{node['graph']}_{node['name']}")
        return self.library.Operation(self.param(node))

    def graph(self, graph, name):
        builder = self.library.GraphBuilder(name)
        builder.set_input_output(with_host(graph, graph["inputs"]), graph["outputs"])
        for view, reshape in graph["reshapes"].items():
            builder.reshape(reshape["tensor"], reshape_function(reshape["shape"]), view)
        for node in graph["nodes"]:
            builder.add_operation(self.operation(node), self.inputs_of(node), node["out"])
        return builder.build()

    def inputs_of(self, node):
        """Here a tensor is on the device or on the host, so what is read on both has two names."""
        if "graph" in node:
            return with_host(self.graphs[node["graph"]], node["in"])
        host = node.get("hostIn", [])
        return [name + "_host" if index in host else name for index, name in enumerate(node["in"])]

    def run(self, inputs, rows, vocab_size, dtype, device):
        """Logits [rows, vocab]."""
        tensors = {**self.weights, **inputs}
        for name in self.outer["hostInputs"]:
            tensors[name + "_host"] = inputs[name].cpu()
        for operation, names, outputs in self.nodes:
            results = operation.forward([tensors[name] for name in names])
            for name, result in zip(outputs, results, strict=True):
                tensors[name] = result
        # The library runs behind these calls, and reads these until it is done.
        self.kept = tensors
        return tensors[self.outer["outputs"][0]]


def with_host(graph, given):
    """A graph's inputs as `given` names them, and behind them those that it reads on the host."""
    places = [graph["inputs"].index(name) for name in graph["hostInputs"]]
    return [*given, *(given[place] + "_host" for place in places)]
