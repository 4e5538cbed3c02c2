"""What exported operations compute, with PyTorch on the CPU: in float32, rounded to the dtype of the result."""
import torch

from stub_checks import StubError, of_integers, require, values_in_keys
from stub_experts import EXPERT_KERNELS, TORCH_DTYPES


def attend(q, k, v, scale, mask):
    """q [tokens, heads, D], k and v [keys, kvHeads, D], mask [tokens, keys] or of each head, or None."""
    group = q.shape[1] // k.shape[1]
    k, v = (x.float().repeat_interleave(group, dim=1) for x in (k, v))
    scores = torch.einsum("thd,khd->htk", q.float(), k) * scale
    if mask is not None:
        scores = scores + mask
    return torch.einsum("htk,khd->thd", scores.softmax(-1), v)


def mask_factor(op, dtype, param):
    # SelfAttention scales a mask (unpad_flashattention_bf16_mix.cce), and so does the kernel of latent attention against
    # the cache (paged_attention_decoder of MLA), but none of ALiBi; PagedAttention of keys and values adds it.
    if param["maskType"] == "MASK_TYPE_ALIBI":
        return 1.0
    precise = param.get("kernelType") == "KERNELTYPE_HIGH_PRECISION"
    scales = op == "SelfAttention" or values_in_keys(param)
    return -3e38 if scales and (dtype == torch.bfloat16 or precise) else 1.0


def with_values(param, tensors):
    """The same inputs with values as the third: of latent attention the first numbers of each key."""
    size = values_in_keys(param)
    return [*tensors[:2], tensors[1][..., :size], *tensors[2:]] if size else tensors


def self_attention(param, tensors):
    q, k, v, *mask, lengths = with_values(param, tensors)
    out, begin = torch.empty(*q.shape[:2], v.shape[-1]), 0
    for n in lengths.tolist():
        rows = slice(begin, begin + n)
        added = None
        if param.get("isTriuMask") == 1:
            blocked = mask_factor("SelfAttention", q.dtype, param) * mask[0][0, 1].float()
            require(blocked < -1e4, "the triangle does not hide the future")
            added = torch.zeros(n, n).masked_fill(torch.ones(n, n).triu(1).bool(), -torch.inf)
        elif mask:
            added = mask[0][..., :n, :n].float() * mask_factor("SelfAttention", q.dtype, param)
        out[rows] = attend(q[rows], k[rows], v[rows], param["qkScale"], added)
        begin += n
    require(begin == q.shape[0], f"SelfAttention: lengths {lengths.tolist()} of {q.shape[0]} tokens")
    return [out.to(q.dtype)]


def paged_attention(param, tensors):
    q, k_cache, v_cache, tables, contexts, *rest = with_values(param, tensors)
    several = param.get("calcType") == "CALC_TYPE_SPEC"
    q_lens = rest.pop().tolist() if several else [1] * len(contexts)
    mask = rest[0].float() * mask_factor("PagedAttention", q.dtype, param) if rest else None
    require(not several or mask is not None, "CALC_TYPE_SPEC needs a mask")
    out, begin = torch.empty(*q.shape[:2], v_cache.shape[-1]), 0
    # Rows of a square mask are positions, those of MASK_TYPE_SPEC tokens of the step.
    by_position = param.get("maskType") != "MASK_TYPE_SPEC"
    for row, (context, n) in enumerate(zip(contexts.tolist(), q_lens, strict=True)):
        used = tables[row, : -(-context // k_cache.shape[1])].long()
        k, v = (cache[used].flatten(0, 1)[:context] for cache in (k_cache, v_cache))
        added = None
        if mask is not None:
            first = context - n if by_position else begin
            added = mask[first : first + n, :context] if several else mask[row, ..., :context]
        rows = slice(begin, begin + n)
        out[rows] = attend(q[rows], k, v, param["qkScale"], added)
        begin += n
    require(begin == q.shape[0], f"PagedAttention: {begin} queries of {q.shape[0]}")
    return [out.to(q.dtype)]


def rope(param, tensors):
    q, k, cos, sin, _ = tensors
    require(param["rotaryCoeff"] == 2, "the stub turns halves only")

    def turned(x):
        heads = x.float().reshape(x.shape[0], -1, cos.shape[1])
        first, second = heads.chunk(2, dim=-1)
        c, s = (table.float().unsqueeze(1) for table in (cos, sin))
        return (heads * c + torch.cat([-second, first], -1) * s).reshape(x.shape).to(x.dtype)

    return [turned(q), turned(k)]


def reshape_and_cache(param, tensors):
    *tensors, slots = tensors
    half = len(tensors) // 2
    for rows, cache in zip(tensors[:half], tensors[half:], strict=True):
        cache.flatten(0, 1)[slots.long()] = rows
    return tensors[half:]


def rms_norm(param, tensors):
    x, weight = tensors
    block = param["normParam"]
    gamma = weight.float() + (1 if block.get("modelType") == "GEMMA_MODEL" else 0)
    normed = x.float() * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + block["epsilon"])
    return [(normed * gamma).to(x.dtype)]


def layer_norm(param, tensors):
    x, gamma, beta = (tensor.float() for tensor in tensors)
    normed = torch.nn.functional.layer_norm(x, gamma.shape, gamma, beta, param["normParam"]["epsilon"])
    return [normed.to(tensors[0].dtype)]


def linear(param, tensors):
    x, weight, *bias = tensors
    if of_integers(param):
        scale = bias.pop()
        sums = x.double() @ weight.double().t() + (bias[0].double() if bias else 0)
        # Words have the bits of f32 in their lower halves.
        scale = scale if scale.dtype == torch.float32 else scale.to(torch.int32).view(torch.float32)
        return [(sums.float() * scale).to(torch.bfloat16 if param["outDataType"] == "ACL_BF16" else torch.float16)]
    y = x.float() @ (weight.float().transpose(-1, -2) if param.get("transposeB", True) else weight.float())
    return [(y + bias[0].float() if bias else y).to(x.dtype)]


def integers(weight, columns):
    """[n, k] int8; of [n, k / 2] bytes the two 4-bit numbers of each, the low one first."""
    if weight.shape[1] == columns:
        return weight.float()
    low, high = (weight.to(torch.int16) << 12).to(torch.int16) >> 12, weight.to(torch.int16) >> 4
    return torch.stack([low, high], -1).flatten(1).float()


def weight_quant(param, tensors):
    x, weight, scale, offset, *bias = tensors
    k = x.shape[-1]
    size = param.get("quantGroupSize") or k
    spread = [each.float().repeat_interleave(size, dim=1)[:, :k] for each in (scale, offset)]
    y = x.float() @ ((integers(weight, k) + spread[1]) * spread[0]).t()
    return [(y + bias[0].float() if bias else y).to(x.dtype)]


def dynamic_quant(param, tensors):
    x = tensors[0].float()
    scale = x.abs().amax(-1) / 127
    return [(x / scale.unsqueeze(-1)).round().clamp(-127, 127).to(torch.int8), scale]


def w8a8(param, tensors):
    x, weight, scale, row_scale, *bias = tensors
    y = (x.double() @ weight.double().t()).float() * scale * row_scale.unsqueeze(-1)
    return [(y + bias[0].float() if bias else y).to(torch.bfloat16 if param.get("isBF16", True) else torch.float16)]


def activation(param, tensors):
    x = tensors[0].float()
    name = param["activationType"]
    if name == "ACTIVATION_SWIGLU_FORWARD":
        gate, up = x.chunk(2, dim=-1)
        y = torch.nn.functional.silu(gate) * up
    elif name == "ACTIVATION_RELU":
        y = x.relu()
    elif name == "ACTIVATION_SWISH":
        y = x * torch.sigmoid(x * param.get("scale", 1.0))
    elif name == "ACTIVATION_GELU":
        y = torch.nn.functional.gelu(x, approximate="tanh" if param.get("geluMode") != "NONE_MODE" else "none")
    elif name == "ACTIVATION_SIGMOID":
        y = x.sigmoid()
    elif name == "ACTIVATION_LOG":
        y = x.log()
    else:
        raise StubError(f"the stub has no {name}")
    return [y.to(tensors[0].dtype)]


# Of one tensor or two, computed in float32.
FLOAT_ELEWISES = {
    "ELEWISE_TANH": torch.tanh,
    "ELEWISE_NEG": torch.neg,
    "ELEWISE_COS": torch.cos,
    "ELEWISE_SIN": torch.sin,
    "ELEWISE_ADD": torch.add,
    "ELEWISE_SUB": torch.sub,
    "ELEWISE_MUL": torch.mul,
    "ELEWISE_REALDIV": torch.div,
}
# Whose result is int8, 0 or 1.
LOGICAL_ELEWISES = {
    "ELEWISE_EQUAL": torch.eq,
    "ELEWISE_GREATER": torch.gt,
    "ELEWISE_LESS": torch.lt,
    "ELEWISE_LOGICAL_NOT": torch.logical_not,
    "ELEWISE_LOGICAL_AND": torch.logical_and,
    "ELEWISE_LOGICAL_OR": torch.logical_or,
}


def elewise(param, tensors):
    name = param["elewiseType"]
    if name == "ELEWISE_CAST":
        return [tensors[0].to(TORCH_DTYPES[param["outTensorType"]])]
    if name in LOGICAL_ELEWISES:
        return [LOGICAL_ELEWISES[name](*tensors).to(torch.int8)]
    x, *others = (tensor.float() for tensor in tensors)
    if name == "ELEWISE_QUANT_PER_CHANNEL":
        return [(x / others[0] + others[1]).round().clamp(-128, 127).to(torch.int8)]
    y = x * param["mulsParam"]["varAttr"] if name == "ELEWISE_MULS" else FLOAT_ELEWISES[name](x, *others)
    return [y.to(tensors[0].dtype)]


def reduce(param, tensors):
    [x] = tensors
    over = {"REDUCE_MAX": torch.amax, "REDUCE_MIN": torch.amin, "REDUCE_SUM": torch.sum}[param["reduceType"]]
    return [over(x.float(), dim=param["axis"]).to(x.dtype)]


def split(param, tensors):
    [x] = tensors
    axis, parts = param.get("splitDim", 0), param.get("splitNum", 2)
    sizes = param.get("splitSizes") or [x.shape[axis] // parts] * parts
    return [part.contiguous() for part in x.split(sizes, dim=axis)]


def gather(param, tensors):
    x, indices = tensors
    axis = param.get("axis", 0)
    if param.get("batchDims", 0):
        require(axis == param["batchDims"] == 1, "the stub gathers along the last of two axes")
        return [x.gather(1, indices.long())]
    return [x.index_select(axis, indices.flatten().long()).reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])]


def boxed(param, tensors):
    [x] = tensors
    for axis, (offset, size) in enumerate(zip(param["offsets"], param["size"], strict=True)):
        begin = offset + x.shape[axis] if offset < 0 else offset
        x = x.narrow(axis, begin, x.shape[axis] - begin if size == -1 else size)
    return [x.contiguous()]


KERNELS = {
    **EXPERT_KERNELS,
    "Activation": activation,
    "Concat": lambda param, tensors: [torch.cat(tensors, dim=param.get("concatDim", 0))],
    "DynamicQuant": dynamic_quant,
    "Elewise": elewise,
    "Fill": lambda param, tensors: [tensors[0].masked_fill(tensors[1].bool(), param["value"][0])],
    "Gather": gather,
    "LayerNorm": layer_norm,
    "Linear": linear,
    "PagedAttention": paged_attention,
    "Reduce": reduce,
    "ReshapeAndCache": reshape_and_cache,
    "RmsNorm": rms_norm,
    "Rope": rope,
    "SelfAttention": self_attention,
    "Sigmoid": lambda param, tensors: [tensors[0].float().sigmoid().to(tensors[0].dtype)],
    "Slice": boxed,
    "Split": split,
    "Transpose": lambda param, tensors: [tensors[0].permute(param["perm"]).contiguous()],
    "W4A16MatMul": weight_quant,
    "W8A16MatMul": weight_quant,
    "W8A8MatMul": w8a8,
}
