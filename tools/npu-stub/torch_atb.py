"""ATB's own Python bindings, without an NPU: classes and keywords of bindings.cpp; every call is checked."""
import enum

from stub_checks import ELEWISES, require
from stub_graph import StubGraph, StubOperation


def _enum(name, *values):
    return enum.Enum(name, list(values))


AclDataType = _enum("AclDataType", "ACL_DT_UNDEFINED", "ACL_FLOAT", "ACL_FLOAT16", "ACL_INT32", "ACL_INT64", "ACL_BF16")
QuantType = _enum("QuantType", "QUANT_UNQUANT", "QUANT_INT4", "QUANT_INT8")
ActivationType = _enum(
    "ActivationType",
    "ACTIVATION_UNDEFINED",
    "ACTIVATION_RELU",
    "ACTIVATION_GELU",
    "ACTIVATION_FAST_GELU",
    "ACTIVATION_SWISH",
    "ACTIVATION_LOG",
    "ACTIVATION_SWIGLU_FORWARD",
    "ACTIVATION_SIGMOID",
)


def _camel(key):
    first, *rest = key.split("_")
    return first + "".join(part.capitalize() for part in rest)


class _Param:
    """`fields`: the keywords of the constructor and their types."""

    fields = {}

    def __init__(self, **values):
        for key, value in values.items():
            kind = self.fields.get(key)
            require(kind is not None, f"{type(self).__name__} has no keyword {key}")
            fits = isinstance(value, (int, float)) if kind is float else isinstance(value, kind)
            require(fits, f"{type(self).__name__}.{key} must be {kind.__name__}, found {value!r}")
        self.values = values

    def dialect(self):
        """As the JSON dialect has it."""
        return {_camel(key): self.spelt(key, value) for key, value in self.values.items()}

    def spelt(self, key, value):
        if isinstance(value, _Param):
            return value.dialect()
        if isinstance(value, enum.Enum):
            return "QUANT_UNDEFINED" if value is QuantType.QUANT_UNQUANT else value.name
        return value


def _param(name, fields, **inner):
    return type(name, (_Param,), {"fields": fields, **inner})


_ElewiseType = _enum("ElewiseType", *("ELEWISE_" + name for name in ELEWISES))
_MulsParam = _param("MulsParam", {"var_attr": float})
_GeLUMode = _enum("GeLUMode", "TANH_MODE", "NONE_MODE")
_RmsNormType = _enum("RmsNormType", "RMS_NORM_UNDEFINED", "RMS_NORM_NORM", "RMS_NORM_PRENORM", "RMS_NORM_POSTNORM")
_ModelType = _enum("ModelType", "LLAMA_MODEL", "GEMMA_MODEL")
_NormParam = _param("NormParam", {"quant_type": QuantType, "epsilon": float, "rstd": bool, "model_type": _ModelType})
_LayerNormType = _enum("LayerNormType", *("LAYER_NORM_" + name for name in ("UNDEFINED", "NORM", "PRENORM", "POSTNORM", "MAX")))
_LayerNorm = {"quant_type": QuantType, "epsilon": float, "begin_norm_axis": int, "begin_params_axis": int}
_LayerNormParam = _param("NormParam", _LayerNorm)
_SelfCalc = _enum("CalcType", "UNDEFINED", "ENCODER", "DECODER", "PA_ENCODER", "PREFIX_ENCODER")
_SelfMask = _enum("MaskType", "MASK_TYPE_UNDEFINED", "MASK_TYPE_NORM", "MASK_TYPE_ALIBI", "MASK_TYPE_NORM_COMPRESS")
_PagedCalc = _enum("CalcType", "CALC_TYPE_UNDEFINED", "CALC_TYPE_SPEC")
_PagedMask = _enum("MaskType", "UNDEFINED", "MASK_TYPE_NORM", "MASK_TYPE_ALIBI", "MASK_TYPE_SPEC")
_HEADS = {"head_num": int, "kv_head_num": int, "qk_scale": float}

LinearParam = _param("LinearParam", {"transpose_a": bool, "transpose_b": bool, "has_bias": bool, "out_data_type": AclDataType})
GatherParam = _param("GatherParam", {"axis": int, "batch_dims": int})
ConcatParam = _param("ConcatParam", {"concat_dim": int})
SplitParam = _param("SplitParam", {"split_dim": int, "split_num": int, "split_sizes": list})
SliceParam = _param("SliceParam", {"offsets": list, "size": list})
RopeParam = _param("RopeParam", {"rotary_coeff": int, "cos_format": int})
ReshapeAndCacheParam = _param("ReshapeAndCacheParam", {})
ElewiseParam = _param(
    "ElewiseParam", {"elewise_type": _ElewiseType, "muls_param": _MulsParam}, ElewiseType=_ElewiseType, MulsParam=_MulsParam
)
ActivationParam = _param(
    "ActivationParam",
    {"activation_type": ActivationType, "scale": float, "dim": int, "gelu_mode": _GeLUMode},
    GeLUMode=_GeLUMode,
)
RmsNormParam = _param(
    "RmsNormParam",
    {"layer_type": _RmsNormType, "norm_param": _NormParam},
    RmsNormType=_RmsNormType,
    ModelType=_ModelType,
    NormParam=_NormParam,
)
LayerNormParam = _param(
    "LayerNormParam",
    {"layer_type": _LayerNormType, "norm_param": _LayerNormParam},
    LayerNormType=_LayerNormType,
    NormParam=_LayerNormParam,
)
SelfAttentionParam = _param(
    "SelfAttentionParam",
    {**_HEADS, "is_triu_mask": int, "calc_type": _SelfCalc, "mask_type": _SelfMask},
    CalcType=_SelfCalc,
    MaskType=_SelfMask,
)
PagedAttentionParam = _param(
    "PagedAttentionParam", {**_HEADS, "calc_type": _PagedCalc, "mask_type": _PagedMask}, CalcType=_PagedCalc, MaskType=_PagedMask
)
_RENAMED = {("PagedAttention", "maskType", "UNDEFINED"): "MASK_TYPE_UNDEFINED"}


class Operation:
    def __init__(self, param):
        if isinstance(param, StubGraph):
            self.impl = param
            return
        op = type(param).__name__.removesuffix("Param")
        values = {key: _RENAMED.get((op, key, str(value)), value) for key, value in param.dialect().items()}
        self.impl = StubOperation(op, values)

    def forward(self, tensors):
        require(len(tensors) == self.impl.input_count, f"{len(tensors)} tensors for {self.impl.input_count} inputs")
        # Here the device is the host; which names are read where is checked when a graph is built.
        return self.impl.execute(tensors, [True] * len(tensors))


class GraphBuilder:
    def __init__(self, name):
        self.graph = StubGraph(name)
        self.on_host, self.on_device = set(), set()

    def set_input_output(self, inputs, outputs):
        self.graph.set_input_output(inputs, outputs)
        return self

    def reshape(self, source, function, view):
        self.graph.reshape(source, view, function)
        return self

    def add_operation(self, operation, inputs, outputs):
        host = getattr(operation.impl, "host", [])
        for index, name in enumerate(inputs):
            (self.on_host if index in host else self.on_device).add(name)
        both = self.on_host & self.on_device
        require(not both, f"{both}: a tensor is on the host or on the device")
        self.graph.add(operation.impl, inputs, outputs)
        return self

    def build(self):
        self.graph.finish(True)
        return Operation(self.graph)
