"""What ATB's and MindIE's host code asks of operations: types, keys, enum strings, numbers of tensors, shapes, dtypes.

Facts from MindIE's operation_register.cpp and ATB's infer_op_params.h and operations, written down independently of the
tables in src/graph/, so that one checks the other. Only what exported text models use.
"""
import torch

QUANT = ["QUANT_UNDEFINED", "QUANT_INT4", "QUANT_INT8", "QUANT_INT16", "QUANT_FLOAT8", "QUANT_FLOAT16"]
DTYPES = ["ACL_DT_UNDEFINED", "ACL_FLOAT", "ACL_FLOAT16", "ACL_INT8", "ACL_INT32", "ACL_INT64", "ACL_BF16"]
NORM = {"quantType": QUANT, "epsilon": float, "hasBias": bool}
LAYER_NORM = {"quantType": QUANT, "epsilon": float, "zoomScaleValue": float}
ATTENTION = {"headNum": int, "kvHeadNum": int, "qkScale": float, "batchRunStatusEnable": bool, "outDataType": DTYPES,
             "mlaVHeadSize": int}
PAGED_MASKS = ["MASK_TYPE_UNDEFINED", "MASK_TYPE_NORM", "MASK_TYPE_ALIBI", "MASK_TYPE_SPEC"]
SELF_MASKS = ["MASK_TYPE_UNDEFINED", "MASK_TYPE_NORM", "MASK_TYPE_ALIBI", "MASK_TYPE_NORM_COMPRESS"]
ACTIVATIONS = ["RELU", "GELU", "FAST_GELU", "SWISH", "LOG", "SWIGLU_FORWARD", "SWIGLU_BACKWARD", "SIGMOID"]
ELEWISES = ["ADD", "SUB", "MUL", "MULS", "TANH", "NEG", "COS", "SIN", "QUANT_PER_CHANNEL", "CAST", "EQUAL", "GREATER", "LESS",
            "LOGICAL_NOT", "LOGICAL_AND", "LOGICAL_OR", "REALDIV"]

# Keys of each operation's JSON: a type, a list of enum strings, or a block of keys.
KEYS = {
    "Activation": {
        "activationType": ["ACTIVATION_" + name for name in ACTIVATIONS],
        "scale": float,
        "dim": int,
        "geluMode": ["TANH_MODE", "NONE_MODE"],
    },
    "Cast": {"dtype": DTYPES},
    "Concat": {"concatDim": int},
    "DynamicQuant": {},
    "Elewise": {
        "elewiseType": ["ELEWISE_" + name for name in ELEWISES],
        "mulsParam": {"varAttr": float},
        "outTensorType": DTYPES,
    },
    "Fill": {"withMask": bool, "value": list, "outDim": list},
    "Gather": {"axis": int, "batchDims": int},
    "GroupTopk": {"groupNum": int, "k": int, "groupMultiFlag": int, "n": int},
    "GroupedMatmul": {"transposeB": bool, "hasBias": bool, "quantType": int, "outDataType": DTYPES},
    "LayerNorm": {
        "layerType": ["LAYER_NORM_NORM", "LAYER_NORM_PRENORM", "LAYER_NORM_POSTNORM"],
        "normParam": {"quantType": QUANT, "epsilon": float, "beginNormAxis": int, "beginParamsAxis": int},
        "preNormParam": LAYER_NORM,
        "postNormParam": LAYER_NORM,
    },
    "Linear": {"transposeA": bool, "transposeB": bool, "hasBias": bool, "enAccum": bool, "outDataType": DTYPES},
    "MoeInitRouting": {"topkNum": int, "expertNum": int},
    "MoeTokenUnpermute": {},
    "PagedAttention": {
        **ATTENTION,
        "maskType": PAGED_MASKS,
        "calcType": ["CALC_TYPE_UNDEFINED", "CALC_TYPE_SPEC"],
    },
    "Reduce": {"reduceType": ["REDUCE_MAX", "REDUCE_MIN", "REDUCE_SUM"], "axis": list},
    "ReshapeAndCache": {"compressType": ["COMPRESS_TYPE_UNDEFINED"], "kvCacheCfg": ["K_CACHE_V_CACHE", "K_CACHE_V_BYPASS"]},
    "RmsNorm": {
        "layerType": ["RMS_NORM_NORM", "RMS_NORM_PRENORM", "RMS_NORM_POSTNORM"],
        "normParam": {**NORM, "modelType": ["LLAMA_MODEL", "GEMMA_MODEL"], "rstd": bool},
        "preNormParam": NORM,
        "postNormParam": NORM,
    },
    "Rope": {"rotaryCoeff": int, "cosFormat": int},
    "SelfAttention": {
        **ATTENTION,
        "calcType": ["UNDEFINED", "ENCODER", "DECODER", "PA_ENCODER"],
        "maskType": SELF_MASKS,
        "isTriuMask": int,
        "kernelType": ["KERNELTYPE_DEFAULT", "KERNELTYPE_HIGH_PRECISION"],
    },
    "Sigmoid": {},
    "Slice": {"offsets": list, "size": list},
    "Softmax": {"axes": list},
    "Sort": {"num": list},
    "Split": {"splitDim": int, "splitNum": int, "splitSizes": list},
    "Transpose": {"perm": list},
    "VectorNorm": {},
    "W4A16MatMul": {"hasBias": bool, "quantGroupSize": int, "transposeB": bool},
    "W8A16MatMul": {"hasBias": bool, "quantGroupSize": int, "transposeB": bool},
    "W8A8MatMul": {"transposeB": bool, "hasBias": bool, "isBF16": bool, "hasPerTokenScale": bool},
}


ELEWISE_INPUTS = {**{"ELEWISE_" + name: 1 for name in ("MULS", "TANH", "NEG", "COS", "SIN", "CAST", "LOGICAL_NOT")},
                  "ELEWISE_QUANT_PER_CHANNEL": 3}
LOGICAL = ("ELEWISE_LOGICAL_NOT", "ELEWISE_LOGICAL_AND", "ELEWISE_LOGICAL_OR")


class StubError(RuntimeError):
    """A call that the real library would refuse, or would silently take for something else."""


def require(condition, text):
    if not condition:
        raise StubError(text)


def check_param(op, param, keys=None):
    require(op in KEYS, f"no operation {op}")
    for key, value in param.items():
        known = (KEYS[op] if keys is None else keys).get(key)
        require(known is not None, f"{op} reads no key {key}")
        if isinstance(known, dict):
            require(isinstance(value, dict), f"{op}.{key} must be a block")
            check_param(op, value, known)
        elif isinstance(known, list):
            require(value in known, f"{op}.{key}: unknown enum string {value!r} would become {known[0]}")
        elif known is float:
            require(isinstance(value, (int, float)) and not isinstance(value, bool), f"{op}.{key} must be a number")
        else:
            require(type(value) is known, f"{op}.{key} must be {known.__name__}, found {value!r}")


def of_integers(param):
    """Whether a Linear multiplies int8: then it has scales, and its result is of 16 bits."""
    return param.get("outDataType") in ("ACL_FLOAT16", "ACL_BF16")


def values_in_keys(param):
    """How many of a key's first numbers are its value; 0 where values are tensors of their own."""
    return param.get("mlaVHeadSize", 0)


def counts(op, param):
    """How many tensors an operation reads and writes: GetInputNum and GetOutputNum."""
    if op in ("SelfAttention", "PagedAttention"):
        check_heads(op, param)
    masked = param.get("maskType", "MASK_TYPE_UNDEFINED") != "MASK_TYPE_UNDEFINED"
    if op == "PagedAttention":
        return 4 + (not values_in_keys(param)) + masked + (param.get("calcType") == "CALC_TYPE_SPEC"), 1
    if op == "RmsNorm":
        require(param["layerType"] == "RMS_NORM_NORM", "the stub has plain norms only")
        require(param["normParam"]["epsilon"] > 0, "RmsNorm: epsilon must be positive")
        return 2, 1
    if op == "LayerNorm":
        require(param["layerType"] == "LAYER_NORM_NORM", "the stub has plain norms only")
        require(param["normParam"]["epsilon"] > 0, "LayerNorm: epsilon must be positive")
        return 3, 1
    fixed = {
        "Activation": (1, 1),
        "Cast": (1, 1),
        "Concat": (2, 1),
        "DynamicQuant": (1, 2),
        "Elewise": (ELEWISE_INPUTS.get(param.get("elewiseType"), 2), 1),
        "Fill": (2 if param.get("withMask") else 0, 1),
        "Gather": (2, 1),
        "GroupTopk": (2, 1),
        "GroupedMatmul": (3 + param.get("hasBias", False), 1),
        "Linear": (2 + param.get("hasBias", True) + of_integers(param), 1),
        "MoeInitRouting": (2, 3),
        "MoeTokenUnpermute": (3, 1),
        "Reduce": (1, 1),
        "ReshapeAndCache": (3, 1) if param.get("kvCacheCfg") == "K_CACHE_V_BYPASS" else (5, 2),
        "Rope": (5, 2),
        "SelfAttention": (3 + (not values_in_keys(param)) + masked, 1),
        "Sigmoid": (1, 1),
        "Slice": (1, 1),
        "Softmax": (1, 1),
        "Sort": (1, 2),
        "Split": (1, param.get("splitNum", 2)),
        "Transpose": (1, 1),
        "VectorNorm": (1, 1),
        "W4A16MatMul": (4 + param.get("hasBias", False), 1),
        "W8A16MatMul": (4 + param.get("hasBias", False), 1),
        "W8A8MatMul": (3 + param.get("hasPerTokenScale", False) + param.get("hasBias", False), 1),
    }
    return fixed[op]


def host_inputs(op, param):
    """Inputs whose values the host must have (param.cpp of ATB)."""
    masked = param.get("maskType", "MASK_TYPE_UNDEFINED") != "MASK_TYPE_UNDEFINED"
    values = 0 if values_in_keys(param) else 1
    if op == "SelfAttention":
        return [2 + values + masked]
    if op == "PagedAttention":
        contexts = 3 + values
        return [contexts, contexts + 1 + masked] if param.get("calcType") == "CALC_TYPE_SPEC" else [contexts]
    return []


def check_heads(op, param):
    """self_attention_operation.cpp and paged_attention_operation.cpp, when an operation is made."""
    heads, groups = param.get("headNum", 0), param.get("kvHeadNum", 0)
    require(heads > 0 and groups > 0 and heads % groups == 0, f"{op}: {heads} heads, {groups} of keys")
    if values_in_keys(param):
        # MlaParamCheck of both.
        require(groups == 1, f"{op}: mlaVHeadSize with {groups} heads of keys")
        require(param.get("maskType") != "MASK_TYPE_ALIBI", f"{op}: mlaVHeadSize with ALiBi")
        several = param.get("calcType") == "CALC_TYPE_SPEC"
        require(not several or param.get("maskType") == "MASK_TYPE_SPEC", f"{op}: mlaVHeadSize wants a mask of its own")


# ElewiseOperationCast of atb_ops_info.ini; f32 to itself is what bf16 to f32 becomes in an export of f32.
CASTS = {(torch.float16, "ACL_FLOAT"), (torch.float32, "ACL_FLOAT16"), (torch.int32, "ACL_INT64"), (torch.int64, "ACL_INT32"),
         (torch.bfloat16, "ACL_FLOAT"), (torch.float32, "ACL_BF16"), (torch.float32, "ACL_FLOAT")}


def check_inputs(op, param, tensors):
    """dtypes and shapes; float32, which ATB refuses, passes here, so that results can be compared."""
    shapes = [list(tensor.shape) for tensor in tensors]
    kinds = [tensor.dtype for tensor in tensors]
    floats = (torch.float32, torch.float16, torch.bfloat16)

    def ints(*indices):
        for index in indices:
            require(kinds[index] == torch.int32, f"{op}: input {index} must be int32, found {kinds[index]}")

    def same(*indices):
        require(len({kinds[index] for index in indices}) == 1, f"{op}: dtypes differ: {kinds}")
        require(kinds[indices[0]] in floats, f"{op}: floats expected, found {kinds}")

    if op == "Gather":
        require(kinds[1] in (torch.int32, torch.int64), "Gather: indices must be integers")
    elif op == "Activation":
        same(0)
        name = param["activationType"]
        # atb_ops_info.ini: float and bf16 only.
        require(name != "ACTIVATION_RELU" or kinds[0] != torch.float16, "Activation: RELU has no float16")
        require(param.get("dim", -1) == -1, "Activation: dim must be -1")
        require(name != "ACTIVATION_SWIGLU_FORWARD" or shapes[0][-1] % 2 == 0, f"Activation: halves of {shapes[0]}")
    elif op == "Elewise" and param["elewiseType"] == "ELEWISE_QUANT_PER_CHANNEL":
        same(0, 1)
        require(kinds[2] == torch.int8 and shapes[1] == shapes[2], f"Elewise: {kinds}, {shapes}")
        require(shapes[1] in ([1], shapes[0][-1:]), f"Elewise: scales {shapes[1]} of {shapes[0]}")
    elif op == "Elewise" and param["elewiseType"] in LOGICAL:
        require(set(kinds) == {torch.int8}, f"Elewise: {kinds}, {param}")
    elif op == "Elewise" and param["elewiseType"] == "ELEWISE_CAST":
        require((kinds[0], param["outTensorType"]) in CASTS, f"Elewise: {kinds}, {param}")
    elif op == "Elewise":
        same(*range(len(tensors)))
        aligned = [shape[::-1] for shape in shapes]
        fits = all(len({1, *sizes}) <= 2 for sizes in zip(*aligned))
        require(fits, f"Elewise: {shapes} do not broadcast")
    elif op == "Reduce":
        same(0)
        # reduce_operation.cpp, ParamCheck; tensor_check.cpp: a result has an axis.
        axes = param["axis"]
        require(axes and len(set(axes)) < len(shapes[0]), f"Reduce: axes {axes} of {shapes[0]}")
        require(all(0 <= axis < len(shapes[0]) for axis in axes), f"Reduce: axes {axes} of {shapes[0]}")
    elif op == "Concat":
        same(0, 1)
        require(len(shapes[0]) == len(shapes[1]), f"Concat: {shapes}")
    elif op == "Split":
        same(0)
        axis, parts, sizes = param.get("splitDim", 0), param.get("splitNum", 2), param.get("splitSizes", [])
        require(parts in (2, 3), f"Split: into {parts}")
        if sizes:
            require(axis >= 0 and len(sizes) == parts and sum(sizes) == shapes[0][axis], f"Split: {shapes[0]} into {sizes}")
        else:
            require(shapes[0][axis] % parts == 0, f"Split: {shapes[0]} into {parts}")
    elif op == "LayerNorm":
        same(0, 1, 2)
        axis = param["normParam"].get("beginNormAxis", 0)
        # layer_norm_operation.cpp, ParamCheck; norm_operation.cpp of its kernels.
        fits = axis + len(shapes[1]) == len(shapes[0]) if axis >= 0 else -axis == len(shapes[1])
        require(fits, f"LayerNorm: beginNormAxis {axis} of {shapes[0]}, gamma {shapes[1]}")
        require(shapes[1] == shapes[2] == shapes[0][axis:], f"LayerNorm: {shapes}")
    elif op == "Linear" and of_integers(param):
        outputs = [shapes[1][0]]
        require(kinds[0] == kinds[1] == torch.int8 and shapes[0][-1] == shapes[1][1], f"Linear: {kinds}, {shapes}")
        require(kinds[-1] == (torch.float32 if param["outDataType"] == "ACL_BF16" else torch.int64), f"Linear: {kinds}")
        require(len(kinds) == 3 or kinds[2] == torch.int32, f"Linear: {kinds}")
        require(all(shape == outputs for shape in shapes[2:]), f"Linear: {shapes}")
    elif op == "Linear":
        same(*range(len(tensors)))
        depth, outputs = (-1, -2) if param.get("transposeB", True) else (-2, -1)
        require(shapes[0][-1] == shapes[1][depth], f"Linear: {shapes[0]} times {shapes[1]}")
        require(len(shapes[1]) == 2 or shapes[0][0] == shapes[1][0], f"Linear: batches {shapes}")
        require(len(shapes) == 2 or shapes[2] == [shapes[1][outputs]], f"Linear: bias {shapes[2:]}")
    elif op == "RmsNorm":
        same(0, 1)
        # rms_norm_operation.cpp, CheckLastDims: rows of whole 32 bytes.
        require(shapes[0][-1] * tensors[0].element_size() % 32 == 0, f"RmsNorm: {shapes}")
        require(shapes[0][-1] == shapes[1][0], f"RmsNorm: {shapes}")
    elif op == "Rope":
        same(0, 1)
        same(2, 3)
        ints(4)
        require(all(len(shape) == 2 for shape in shapes[:4]), f"Rope: {shapes}")
        require(shapes[0][0] == shapes[1][0] == shapes[2][0] and shapes[2] == shapes[3], f"Rope: {shapes}")
        width = shapes[2][1]
        # rope_operation.cpp, ParamCheck and DimCheck.
        require(param["rotaryCoeff"] in (2, 4, width), f"Rope: rotaryCoeff {param['rotaryCoeff']}, cos of {width}")
        require(16 <= width <= 4096 and shapes[1][1] % width == 0, f"Rope: {shapes}")
        require(shapes[0][1] % shapes[1][1] == 0, f"Rope: {shapes}")
    elif op == "ReshapeAndCache":
        caches = len(tensors) // 2
        same(*range(2 * caches))
        ints(2 * caches)
        for row in range(caches):
            require(shapes[caches + row][2:] == shapes[row][1:], f"ReshapeAndCache: {shapes}")
        require(shapes[-1] == [shapes[0][0]], f"ReshapeAndCache: {shapes}")
    elif op == "SelfAttention":
        same(*range(len(tensors) - 1))
        ints(len(tensors) - 1)
        require(param["calcType"] == "PA_ENCODER", "the stub has packed prompts only")
        require(len(shapes[0]) == 3 and shapes[0][1] == param["headNum"], f"SelfAttention: {shapes}")
        require(shapes[1][1] == param["kvHeadNum"], f"SelfAttention: {shapes}")
        if param.get("isTriuMask") == 1:
            require(shapes[-2] == [128, 128], f"SelfAttention: triangle {shapes[-2]}")
        if param.get("maskType") == "MASK_TYPE_ALIBI":
            require(shapes[3][-3:-1] == [param["headNum"], shapes[3][-1]], f"SelfAttention: {shapes[3]}")
    elif op == "PagedAttention":
        latent = values_in_keys(param)
        same(0, 1) if latent else same(0, 1, 2)
        tables = 2 if latent else 3
        ints(tables, *host_inputs(op, param))
        require(len(shapes[0]) == 3 and shapes[0][1] == param["headNum"], f"PagedAttention: {shapes}")
        require((latent or shapes[1] == shapes[2]) and shapes[1][1] % 16 == 0, f"PagedAttention: {shapes}")
        require(latent <= shapes[1][3] <= 576, f"PagedAttention: values of {latent} in keys of {shapes[1][3]}")
        require(shapes[1][2] == param["kvHeadNum"], f"PagedAttention: {shapes}")
        if latent and param.get("maskType") == "MASK_TYPE_SPEC":
            require(shapes[4][0] == shapes[0][0], f"PagedAttention: a mask of {shapes[4]} for {shapes[0][0]} tokens")
        if param.get("calcType") == "CALC_TYPE_SPEC" and not latent:
            # paged_attention_tiling.cpp.
            heads, size = shapes[0][1:]
            require(shapes[1][1] <= 128 and heads <= 256 and heads * size <= 16384, f"PagedAttention: {shapes}")
        if param.get("maskType") == "MASK_TYPE_ALIBI":
            require(param.get("calcType") != "CALC_TYPE_SPEC", "masks of CALC_TYPE_SPEC are of all heads")
            require(shapes[5][:3] == [shapes[4][0], param["headNum"], 1], f"PagedAttention: {shapes}")
    elif op in ("W8A16MatMul", "W4A16MatMul"):
        groups = -(-shapes[0][-1] // param["quantGroupSize"]) if param.get("quantGroupSize") else 1
        require(param["transposeB"] and kinds[1] == torch.int8, f"{op}: {kinds}")
        require(shapes[2] == shapes[3] == [shapes[1][0], groups], f"{op}: scales {shapes[2:4]}")
        same(0, 2, 3)
        wanted = torch.float32 if kinds[0] == torch.bfloat16 else kinds[0]
        require(len(kinds) == 4 or kinds[4] == wanted, f"{op}: bias {kinds[4:]}")
    elif op == "W8A8MatMul":
        require(kinds[0] == kinds[1] == torch.int8 and kinds[2] == torch.float32, f"{op}: {kinds}")
        require(shapes[2] == [shapes[1][0]] and shapes[3] == shapes[0][:-1], f"{op}: {shapes}")
    elif op == "Fill":
        require(param.get("withMask") and len(param["value"]) == 1, f"the stub fills by masks only: {param}")
        require(kinds[1] == torch.int8 and shapes[0] == shapes[1], f"Fill: {kinds}, {shapes}")
    elif op == "GroupTopk":
        same(0)
        ints(1)
        require(shapes[1] == [1024], f"GroupTopk: indices {shapes[1]}")
        # group_topk_operation.cpp: groups of neighbours, of which k stay.
        require(1 <= param["k"] <= param["groupNum"], f"GroupTopk: {param}")
        require(shapes[0][1] <= 1024 and shapes[0][1] % param["groupNum"] == 0, f"GroupTopk: {shapes}, {param}")
    elif op == "GroupedMatmul":
        require(kinds[0] == kinds[1] and kinds[-1] == torch.int64, f"GroupedMatmul: {kinds}")
        require(param["transposeB"] and param["quantType"] == 0, f"the stub has experts of floats only: {param}")
        require(shapes[0][1] == shapes[1][2] and shapes[-1] == shapes[1][:1], f"GroupedMatmul: {shapes}")
    elif op == "MoeInitRouting":
        ints(1)
        require(shapes[1] == [shapes[0][0], param["topkNum"]], f"MoeInitRouting: {shapes}, {param}")
    elif op == "MoeTokenUnpermute":
        ints(1)
        require(shapes[0][:1] == shapes[1] == [shapes[2][0] * shapes[2][1]], f"MoeTokenUnpermute: {shapes}")
    elif op == "Sort":
        require(len(param["num"]) == 1 and 1 <= param["num"][0] <= shapes[0][-1], f"Sort: {param} of {shapes}")
    elif op == "Softmax":
        require(len(param["axes"]) == 1 and param["axes"][0] >= -1, f"Softmax: {param}")
    elif op == "Transpose":
        require(sorted(param["perm"]) == list(range(len(shapes[0]))), f"Transpose: {param} of {shapes}")
    elif op == "Slice":
        require(len(param["offsets"]) == len(param["size"]) == len(shapes[0]), f"Slice: {param} of {shapes}")
